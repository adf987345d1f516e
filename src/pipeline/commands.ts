import { newId } from '../call/ids.ts'
import { CordboardError } from '../errors.ts'
import type { Query } from '../store/port.ts'
import type { DeliveryRow, StepRow } from '../store/schema.ts'
import type { Deps } from './deps.ts'
import { matchSteps } from './plan.ts'
import { bellsOf, CORE_LANE, insertSteps, newStep } from './step.ts'

/** What people may do to work: each leaves an audit row in the same batch. */

export interface Actor {
  /** Role and label of the token, never the token. */
  actor: string
}

/** A row of the audit log. `detail` holds no number and no secret. */
export function auditRow(
  deps: Pick<Deps, 'store' | 'now' | 'random'>,
  actor: string,
  action: string,
  subject: string,
  detail: string,
): Query {
  return deps.store.db.insertInto('audit').values({
    id: newId('aud', deps.now(), deps.random),
    at: deps.now(),
    actor,
    action,
    subject,
    detail: detail.slice(0, 1000),
  })
}

/**
 * Runs a call’s steps again from one on, on what is stored and by today's flow. Answers how many steps were made. Throws
 * `unknown_object`, `flow_gone`, and `bad_request` when there is nothing to run.
 */
export async function rerunCall(
  deps: Deps,
  callId: string,
  options: { from: 'submit' | 'match' | 'write' } & Actor,
): Promise<{ steps: number }> {
  const { db } = deps.store
  const row = await db.selectFrom('calls').selectAll().where('id', '=', callId).executeTakeFirst()
  if (!row) throw new CordboardError('unknown_object', 'There is no call with this id')
  if (row.joined_into !== null) return rerunCall(deps, row.joined_into, options)
  const flow =
    deps.config.flows.find((candidate) => candidate.name === row.flow) ??
    deps.config.flows.find((candidate) => candidate.from.includes(row.connection))
  if (!flow) throw new CordboardError('flow_gone', 'No flow of the configuration takes this call')
  const generation = row.generation + 1
  const base = { subject: row.id, callId: row.id, generation, flow }
  const [backend] = flow.analyze
  if (options.from === 'submit' && backend === undefined)
    throw new CordboardError('bad_request', `The flow ${flow.name} has no analysis connection`)
  const steps: StepRow[] =
    options.from === 'submit' && backend !== undefined
      ? [newStep(deps, { ...base, kind: 'submit', connection: backend })]
      : options.from === 'match'
        ? matchSteps(deps, flow, row.id, generation)
        : flow.write.map((connection) => newStep(deps, { ...base, kind: 'write', connection }))
  const stuck = db
    .updateTable('steps')
    .set({ state: 'done', reason: 'run again by a person', updated_at: deps.now() })
    .where('call_id', '=', row.id)
    .where('state', 'in', ['parked', 'dead'])
  const result = await deps.store.atomic(
    [{ call: row.id, version: row.version }],
    [
      stuck,
      db
        .updateTable('calls')
        .set({ generation, version: row.version + 1, state: 'working', reason: null, updated_at: deps.now() })
        .where('id', '=', row.id),
      ...insertSteps(deps, steps),
      auditRow(deps, options.actor, 'rerun', row.id, `from ${options.from}`),
    ],
  )
  // The call changed between reading and writing: its new state decides.
  if (result === 'lost') return rerunCall(deps, callId, options)
  deps.queue.wake(bellsOf(steps))
  return { steps: steps.length }
}

export interface ReplayFilter {
  ids?: readonly string[]
  connection?: string
  state?: DeliveryRow['state']
  /** Received at or after, ms since 1970. */
  since?: number
}

export interface Replayed {
  matched: number
  replayed: number
  /** Ids of the first few. */
  sample: string[]
}

const PAGE = 90

/**
 * Sends stored deliveries through today's code. The same events have the same keys and calls their ids, so nothing is
 * written twice. Works page by page in order of receipt; `dryRun` only counts.
 */
export async function replayDeliveries(
  deps: Deps,
  filter: ReplayFilter,
  options: Actor & { dryRun: boolean },
): Promise<Replayed> {
  const { db } = deps.store
  const select = () => {
    let query = db.selectFrom('deliveries').where('id', '>', '')
    if (filter.ids) query = query.where('id', 'in', [...filter.ids])
    if (filter.connection !== undefined) query = query.where('connection', '=', filter.connection)
    if (filter.state !== undefined) query = query.where('state', '=', filter.state)
    if (filter.since !== undefined) query = query.where('received_at', '>=', filter.since)
    return query
  }
  const counted = await select()
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirst()
  const first = await select().select('id').orderBy('id').limit(5).execute()
  const answer = { matched: Number(counted?.count ?? 0), replayed: 0, sample: first.map((row) => row.id) }
  if (options.dryRun || answer.matched === 0) return answer

  await deps.store.atomic(
    [],
    [
      auditRow(
        deps,
        options.actor,
        'replay',
        filter.ids?.join(' ').slice(0, 200) ?? 'filter',
        JSON.stringify({ ...filter, ids: undefined }),
      ),
    ],
  )
  let after = ''
  for (;;) {
    const page = await select()
      .select(['id', 'connection', 'role', 'state'])
      .where('id', '>', after)
      .orderBy('id')
      .limit(PAGE)
      .execute()
    if (page.length === 0) return answer
    const ids = page.map((row) => row.id)
    const last = await db
      .selectFrom('steps')
      .select(['subject', (eb) => eb.fn.max('generation').as('generation')])
      .where('subject', 'in', ids)
      .where('kind', 'in', ['merge', 'callback'])
      .groupBy('subject')
      .execute()
    const generations = new Map(last.map((row) => [row.subject, Number(row.generation)]))
    const steps = page.map((row) =>
      newStep(deps, {
        kind: row.role === 'analysis' ? 'callback' : 'merge',
        subject: row.id,
        callId: null,
        connection: row.connection,
        generation: (generations.get(row.id) ?? -1) + 1,
        flow: null,
        lane: CORE_LANE,
      }),
    )
    await deps.store.atomic(
      [],
      [
        db.updateTable('deliveries').set({ state: 'new', reason: null }).where('id', 'in', ids),
        ...insertSteps(deps, steps),
      ],
    )
    deps.queue.wake(bellsOf(steps))
    answer.replayed += page.length
    after = ids.at(-1) ?? after
  }
}
