import type { Flow } from '../config/model.ts'
import { CordboardError } from '../errors.ts'
import type { Query } from '../store/port.ts'
import type { CallRow, StepKind, StepRow, StepState } from '../store/schema.ts'
import { type Actor, auditRow } from './audit.ts'
import { callOf } from './call-row.ts'
import type { Deps } from './deps.ts'
import { openBreakers } from './fail-over.ts'
import { chooseFlow } from './plan.ts'
import { matchSteps } from './round.ts'
import { bellsOf, insertSteps, newStep } from './step.ts'
import { DELETED } from './write-part.ts'

type From = 'submit' | 'match' | 'write'

/** What a rerun plans, or would plan. */
export interface Rerun {
  steps: number
  /** Services that were handed the call before, the oldest first; `at` in ms. Empty unless it is analysed again. */
  paidBefore: { connection: string; at: number }[]
}

/**
 * Runs a call’s steps again from one on, on what is stored and by today's flow. Answers how many steps were made, and which
 * services were given the call before, to whom it may be paid for again; a dry run answers the same and does nothing.
 * `keepsRecords`: only where no record of the CRM is known yet it is looked for. Throws
 * `unknown_object`, `flow_gone`, and `bad_request` when there is nothing to run.
 */
export async function rerunCall(
  deps: Deps,
  callId: string,
  options: { from: From; dryRun?: boolean; keepsRecords?: boolean } & Actor,
): Promise<Rerun> {
  const { db } = deps.store
  const row = await db.selectFrom('calls').selectAll().where('id', '=', callId).executeTakeFirst()
  if (!row) throw new CordboardError('unknown_object', `There is no call ${callId}`)
  if (row.joined_into !== null) return rerunCall(deps, row.joined_into, options)
  const generation = row.generation + 1
  const steps = await stepsFrom(deps, row, generation, options.from)
  const paidBefore = options.from === 'submit' ? await givenBefore(deps, row.id) : []
  if (options.dryRun) return { steps: steps.length, paidBefore }
  const result = await deps.store.atomic(
    [{ call: row.id, version: row.version }],
    [
      ...takeOver(deps, row, options),
      db
        .updateTable('calls')
        .set({ generation, version: row.version + 1, state: 'working', reason: null, updated_at: deps.now() })
        .where('id', '=', row.id),
      ...insertSteps(deps, steps),
      ...steps.filter((step) => step.kind === 'submit').map((step) => resume(deps, step)),
      auditRow(deps, options.actor, 'rerun', row.id, `from ${options.from}`),
    ],
  )
  // The call changed between reading and writing: its new state decides.
  if (result === 'lost') return rerunCall(deps, callId, options)
  deps.queue.wake(bellsOf(steps))
  return { steps: steps.length, paidBefore }
}

async function givenBefore({ store }: Deps, callId: string): Promise<Rerun['paidBefore']> {
  const rows = await store.db
    .selectFrom('submissions')
    .select(['connection', 'submitted_at'])
    .where('call_id', '=', callId)
    .where('submitted_at', 'is not', null)
    .orderBy('submitted_at')
    .execute()
  return rows.map(({ connection, submitted_at }) => ({ connection, at: submitted_at ?? 0 }))
}

/** Today's flow of a call; where none takes it any more, the one that it came by. Throws `flow_gone`. */
export function flowOfCall(deps: Pick<Deps, 'config'>, row: CallRow): Flow {
  const flow =
    chooseFlow(deps, { id: row.connection }, callOf(row)) ??
    deps.config.flows.find((candidate) => candidate.name === row.flow)
  if (!flow) throw new CordboardError('flow_gone', 'No flow of the configuration takes this call')
  return flow
}

async function stepsFrom(deps: Deps, row: CallRow, generation: number, from: From): Promise<StepRow[]> {
  const flow = flowOfCall(deps, row)
  const base = { subject: row.id, callId: row.id, generation, flow }
  if (from === 'submit') {
    const open = await openBreakers(deps)
    const backend = flow.analyze.find((id) => !open.has(id)) ?? flow.analyze[0]
    if (backend === undefined)
      throw new CordboardError('bad_request', `The flow ${flow.name} has no analysis connection`)
    return [newStep(deps, { ...base, kind: 'submit', connection: backend })]
  }
  if (flow.write.length === 0)
    throw new CordboardError('bad_request', `The flow ${flow.name} writes to no CRM`)
  if (from === 'match') return matchSteps(deps, flow, row.id, generation)
  const matched = await deps.store.db
    .selectFrom('writebacks')
    .select('connection')
    .where('call_id', '=', row.id)
    .where('state', '!=', 'skipped')
    .execute()
  // Where its record was never looked for, it is looked for first.
  const isMatched = (connection: string) => matched.some((known) => known.connection === connection)
  return flow.write.map((connection) =>
    newStep(deps, { ...base, kind: isMatched(connection) ? 'write' : 'match', connection }),
  )
}

/** What the new round takes the place of: work that is stuck, and analyses that would be sent twice. */
function takeOver(
  { store, now }: Deps,
  row: CallRow,
  { from, keepsRecords = false }: { from: From; keepsRecords?: boolean },
): Query[] {
  const { db } = store
  const end = (kinds: StepKind[], states: StepState[]) =>
    db
      .updateTable('steps')
      .set({ state: 'done', reason: 'run again by a person', updated_at: now() })
      .where('call_id', '=', row.id)
      .where('kind', 'in', kinds)
      .where('state', 'in', states)
  if (from === 'submit') return [end(['submit', 'poll', 'match', 'write'], ['waiting', 'parked', 'dead'])]
  const mine = db.selectFrom('writebacks').select('id').where('call_id', '=', row.id)
  // A record that somebody deleted over there is made anew.
  const anew = db
    .updateTable('writeback_parts')
    .set({ external_id: null, hash: null })
    .where('writeback_id', 'in', mine)
    .where('hash', '=', DELETED)
  if (from === 'write') return [end(['write'], ['parked', 'dead']), anew]
  const lookAgain = db
    .updateTable('writebacks')
    .set({ target_type: null, target_id: null, state: 'matched' })
    .where('call_id', '=', row.id)
    .where('chosen', '=', 0)
  const looks = keepsRecords ? [] : [lookAgain]
  return [end(['match', 'write'], ['waiting', 'parked', 'dead']), anew, ...looks]
}

/**
 * A submission that never got its reference goes on under its own id: what an attempt with an unknown end did is then
 * found, or refused as a duplicate, instead of being paid for twice.
 */
function resume({ store }: Deps, { subject, connection, generation }: StepRow): Query {
  const open = store.db
    .selectFrom('submissions')
    .select('id')
    .where('call_id', '=', subject)
    .where('connection', '=', connection)
    .where('ref', 'is', null)
    .where('state', 'in', ['intent', 'failed'])
    .orderBy('generation', 'desc')
    .limit(1)
  return store.db
    .updateTable('submissions')
    .set({ generation, state: 'intent', done_at: null, reason: null })
    .where('id', 'in', open)
}
