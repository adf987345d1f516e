import { sql } from 'kysely'
import type { Call } from '../call/call.ts'
import type { BatchSide, BatchVerdict, SubmitRequest } from '../connector/contract.ts'
import { asCordboardError, CordboardError, type ErrorCode } from '../errors.ts'
import type { Query } from '../store/port.ts'
import type { BatchMemberRow, BatchRow } from '../store/schema.ts'
import { halve, handBack, release, sent } from './batch-end.ts'
import { callOf } from './call-row.ts'
import { chooseContent } from './content.ts'
import { close, sameSize, writeFailure } from './gather.ts'
import { whyNotAnalysed } from './plan.ts'
import { restoredAt, stableName } from './restored.ts'
import { judge } from './retry.ts'
import { callRow } from './round.ts'
import { checkpointing } from './send.ts'
import type { Outcome, Running } from './step.ts'

/** A service that is merely down keeps a batch this many attempts; then its calls go on by themselves. */
const PATIENCE = 3
const DOWN: ReadonlySet<ErrorCode> = new Set(['vendor_down', 'timeout'])

/** A member with what is sent of it; `fault` when it cannot be sent, and at whose connection. */
interface Member {
  row: BatchMemberRow
  request: SubmitRequest | null
  fault: { error: CordboardError; at?: string } | null
}

/**
 * batch: hands over what was gathered, once. Each member gets its own verdict, which its submit step takes up. What the
 * service refuses as a whole is halved, so that a bad row fails only its own call; what fails for all goes back to all.
 */
export async function batch(running: Running): Promise<Outcome> {
  const { deps, connection } = running
  const side = connection.connector.analysis?.batch
  const row = await batchRow(running)
  if (row.state === 'sent' || row.state === 'failed') return { done: 'this batch has ended' }
  const restored = await restoredAt(deps.store)
  if (restored !== null && Number(row.created_at) <= restored) {
    return release(running, row, 'the store was put back: each call is looked for before it is handed over')
  }
  await running.commit([...close(running, row.id), ...(row.checkpoint === null ? [gone(running, row)] : [])])
  const refusal = side
    ? await withoutQuota(running)
    : new CordboardError('config', `${connection.connector.name} takes no files of many calls`)
  if (!side || refusal) return handBack(running, row, refusal ?? new CordboardError('config', 'No batches'))

  const members = await membersOf(running, row, side)
  const unfit = members.filter(({ fault }) => fault !== null)
  if (unfit.length > 0) await running.commit(failing(running, unfit, row.checkpoint))
  const many = members.filter(({ fault }) => fault === null)
  if (many.length === 0) return sent(running, row, 'none of its calls is left')
  let verdicts: readonly BatchVerdict[]
  try {
    const state = row.checkpoint === null ? {} : { state: JSON.parse(row.checkpoint) as unknown }
    const requests = many.flatMap(({ request }) => request ?? [])
    verdicts = await side.submit(
      { batchId: row.id, many: requests, ...state },
      { ...running.context(), checkpoint: checkpointing(running, 'batches', row.id) },
    )
  } catch (thrown) {
    return refusedWhole(running, row, many, asCordboardError(thrown))
  }
  await running.commit(noting(running, many, verdicts))
  return sent(running, row, `handed over: ${many.length} calls`)
}

/** Nobody got through: whose fault it is decides who tries again. */
async function refusedWhole(
  running: Running,
  row: BatchRow,
  many: readonly Member[],
  error: CordboardError,
): Promise<Outcome> {
  const { deps, step, signal } = running
  if (signal.aborted) return { failed: error }
  // A recording broke off in the middle of the file: the others go without it, as another file.
  const broken = many.filter(({ fault }) => fault !== null)
  if (broken.length > 0) {
    const queries = [...failing(running, broken), forget(running, row)]
    return {
      again: deps.now(),
      says: `${broken.length} recordings broke off; the others go without them`,
      queries,
    }
  }
  if (error.code === 'rejected' && many.length > 1)
    return halve(running, await batchRow(running), many.length)
  const { state } = judge(error, step, deps.now(), deps.random)
  const isTired = DOWN.has(error.code) && step.attempts + 1 >= PATIENCE
  if (state === 'waiting' && !isTired) return { failed: error }
  return handBack(running, await batchRow(running), error)
}

function batchRow({ deps, step }: Running): Promise<BatchRow> {
  return deps.store.db
    .selectFrom('batches')
    .selectAll()
    .where('id', '=', step.subject)
    .executeTakeFirstOrThrow()
}

/** Takes out those whose step does not wait any more: the call went elsewhere, or has a better recording. */
function gone({ deps }: Running, { id }: BatchRow): Query {
  return deps.store.db
    .deleteFrom('batch_members')
    .where('batch_id', '=', id)
    .where('ref', 'is', null)
    .where('failed', 'is', null)
    .where((is) =>
      is.not(
        is.exists(
          is
            .selectFrom('steps')
            .select('steps.id')
            .whereRef('steps.id', '=', 'batch_members.step_id')
            .where('steps.state', 'in', ['waiting', 'working']),
        ),
      ),
    )
}

async function withoutQuota({ deps, connection }: Running): Promise<CordboardError | null> {
  const breaker = await deps.store.db
    .selectFrom('breakers')
    .select('code')
    .where('connection', '=', connection.id)
    .where('state', '=', 'open')
    .executeTakeFirst()
  if (breaker?.code !== 'quota') return null
  return new CordboardError('quota', `The account of ${connection.id} has no quota left`)
}

/** Those without a verdict, in the order of their submissions. */
async function membersOf(running: Running, row: BatchRow, side: BatchSide<unknown>): Promise<Member[]> {
  const rows = await running.deps.store.db
    .selectFrom('batch_members')
    .innerJoin('submissions', 'submissions.id', 'batch_members.submission_id')
    .innerJoin('calls', 'calls.id', 'submissions.call_id')
    .selectAll('batch_members')
    .select(['submissions.call_id', 'submissions.flow', 'calls.call', 'calls.joined_into'])
    .where('batch_id', '=', row.id)
    .where('batch_members.ref', 'is', null)
    .where('failed', 'is', null)
    .orderBy('submission_id')
    .execute()
  const members: Member[] = []
  for (const one of rows) {
    const known = one.joined_into === null ? one : await callRow(running.deps, one.call_id)
    const call = callOf(known)
    const member = memberOf(running, row, side, one, call)
    // A rule may apply to a call since it joined. What is on its way already cannot be called back.
    const flow = running.deps.config.flows.find(({ name }) => name === one.flow)
    const forbidden = flow && row.checkpoint === null ? whyNotAnalysed(flow, call) : null
    if (forbidden !== null)
      member.fault = { error: new CordboardError('rejected', `Not analysed: ${forbidden}`) }
    members.push(member)
  }
  return members
}

function memberOf(
  running: Running,
  batch: BatchRow,
  side: BatchSide<unknown>,
  row: BatchMemberRow,
  call: Call,
): Member {
  const { connection, signal } = running
  const member: Member = { row, request: null, fault: null }
  const blame = (error: CordboardError, at?: string) => {
    if (!signal.aborted) member.fault ??= { error, ...(at === undefined ? {} : { at }) }
  }
  const content = chooseContent(running, call, {
    troubled: ({ connection: at, error }) => blame(error, at),
    spoiled: blame,
  })
  if ('refused' in content) {
    blame(content.refused)
    return member
  }
  const name = stableName(row.submission_id)
  const { audio, text } = content.of(name)
  if (content.isMade || (text ? 'text' : 'audio') !== batch.content) {
    blame(new CordboardError('gone', 'What was gathered is no longer what is to be sent', { retry: 'later' }))
    return member
  }
  member.request = { submissionId: row.submission_id, name, call, ...(text ? { text } : {}) }
  if (audio) {
    const same = sameSize(audio, { bytes: Number(row.bytes) }, (error) =>
      blame(error, call.source.connection),
    )
    member.request.audio = {
      ...same,
      open: () =>
        same.open().catch((thrown) => {
          const error = asCordboardError(thrown)
          blame(error)
          throw error
        }),
    }
  }
  try {
    side.validate(member.request, {
      connection: connection.id,
      config: connection.settings,
      region: connection.region,
    })
  } catch (thrown) {
    blame(asCordboardError(thrown))
  }
  return member
}

/** Members that go on by themselves, with the reason and with what is known of the attempt. */
function failing(
  running: Running,
  members: readonly Pick<Member, 'row' | 'fault'>[],
  checkpoint: string | null = null,
): Query[] {
  const { db } = running.deps.store
  return members.flatMap(({ row: { submission_id, step_id }, fault }) => [
    db
      .updateTable('batch_members')
      .set({ failed: fault ? writeFailure(fault.error, fault.at) : null })
      .where('submission_id', '=', submission_id),
    ...(checkpoint === null
      ? []
      : [db.updateTable('submissions').set({ checkpoint }).where('id', '=', submission_id)]),
    db
      .updateTable('steps')
      .set({ due_at: running.deps.now(), awaiting: null })
      .where('id', '=', step_id)
      .where('state', '=', 'waiting'),
  ])
}

function forget({ deps }: Running, { id }: BatchRow): Query {
  return deps.store.db.updateTable('batches').set({ checkpoint: null }).where('id', '=', id)
}

/** So many references a statement: three parameters each, of a hundred at most. */
const PAGE = 30

function noting(running: Running, many: readonly Member[], verdicts: readonly BatchVerdict[]): Query[] {
  const { db } = running.deps.store
  const missing = new CordboardError('ambiguous', 'The connector gave no verdict on this call')
  const refs: { id: string; ref: string }[] = []
  const queries: Query[] = []
  for (const [i, { row }] of many.entries()) {
    const said = verdicts[i] ?? { failed: missing }
    if ('ref' in said) refs.push({ id: row.submission_id, ref: said.ref })
    else queries.push(...failing(running, [{ row, fault: { error: said.failed } }]))
  }
  for (let at = 0; at < refs.length; at += PAGE) {
    const page = refs.slice(at, at + PAGE)
    const cases = sql.join(
      page.map(({ id, ref }) => sql`when ${id} then ${ref}`),
      sql` `,
    )
    const ids = page.map(({ id }) => id)
    queries.push(
      db
        .updateTable('batch_members')
        .set({ ref: sql<string>`case submission_id ${cases} end` })
        .where('submission_id', 'in', ids),
    )
  }
  return queries
}
