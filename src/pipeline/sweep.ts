import { createContext } from '../connector/context.ts'
import { asCordboardError, CordboardError } from '../errors.ts'
import type { Bell } from '../queue/port.ts'
import { expireQuery } from '../store/claim.ts'
import type { Query } from '../store/port.ts'
import type { BreakerRow, StepRow } from '../store/schema.ts'
import { type Breakers, needsCheck } from './breaker.ts'
import type { Deps } from './deps.ts'
import { openIssue } from './issues.ts'
import { enforceRetention } from './retention.ts'
import { attemptRow, bellsOf, CORE_LANE, insertSteps, newStep } from './step.ts'

/** At most this many at once of anything: a sweep stays short however much there is; the next one goes on. */
const ROOM = 1_000
/** A step that took its worker down this often is isolated. */
const POISONED = 3
const RETENTION_EVERY_MS = 60_000

/**
 * sweep: what nobody rang for. Steps whose worker is gone go back, waits end, parked steps whose cause is over go on,
 * connections that refused us are checked, and every lane with due steps is woken. Losing all bells costs one sweep.
 */
export function createSweep(deps: Deps, breakers: Breakers): () => Promise<void> {
  let retentionAt = 0
  return async function sweep() {
    await deps.refusals.flush()
    const rows = await breakers.refresh()
    const bells = [
      ...(await takeBack(deps)),
      ...(await endWaits(deps)),
      ...(await unpark(deps)),
      ...(await failOver(deps, rows)),
    ]
    await Promise.all(rows.map((row) => checkAgain(deps, breakers, row)))
    if (deps.now() - retentionAt >= RETENTION_EVERY_MS) {
      retentionAt = deps.now()
      await enforceRetention(deps)
    }
    deps.queue.wake([...bells, ...(await due(deps))])
  }
}

/** One bell per lane with due steps. */
async function due({ store }: Deps): Promise<Bell[]> {
  const rows = await store.db
    .selectFrom('steps')
    .select(['lane', (eb) => eb.fn.min('due_at').as('due_at')])
    .where('state', '=', 'waiting')
    .where('due_at', '<=', store.clock)
    .groupBy('lane')
    .execute()
  return rows.map((row) => ({ step: '', lane: row.lane, dueAt: row.due_at }))
}

/** Steps whose lease ran out. One that did so three times is poison: it is put aside, the rest goes on. */
async function takeBack(deps: Deps): Promise<Bell[]> {
  const result = await deps.store.atomic([], [expireQuery(deps.store, ROOM)])
  const rows = (result === 'lost' ? [] : (result[0] ?? [])) as unknown as StepRow[]
  const poisoned = rows.filter((step) => step.crashes >= POISONED)
  for (const step of rows)
    deps.log.warn('a step came back: its worker is gone', {
      step: step.id,
      kind: step.kind,
      crashes: step.crashes,
    })
  if (poisoned.length > 0)
    await deps.store.atomic(
      [],
      poisoned.flatMap((step) => isolate(deps, step)),
    )
  return bellsOf(rows.filter((step) => step.crashes < POISONED))
}

function isolate(deps: Deps, step: StepRow): Query[] {
  const error = new CordboardError(
    'poisoned',
    `The step ${step.kind} took its worker down ${step.crashes} times`,
  )
  const { db } = deps.store
  return [
    db
      .updateTable('steps')
      .set({ state: 'dead', code: error.code, reason: error.message })
      .where('id', '=', step.id)
      .where('state', '=', 'waiting'),
    db
      .insertInto('attempts')
      .values(attemptRow(deps, step, { outcome: 'dead', code: error.code, says: error.message })),
    openIssue(
      deps,
      { kind: step.kind, connection: step.connection, call_id: step.call_id, step_id: step.id },
      error,
    ),
    ...(step.call_id === null
      ? []
      : [
          db
            .updateTable('calls')
            .set({ state: 'attention', reason: 'poisoned' })
            .where('id', '=', step.call_id),
        ]),
  ]
}

/** Calls whose recording did not come in time go on without it: a merge with the wait marked as over. */
async function endWaits(deps: Deps): Promise<Bell[]> {
  const { db, clock } = deps.store
  const calls = await db
    .selectFrom('calls')
    .select(['id', 'connection', 'version'])
    .where('state', '=', 'waiting')
    .where('wait_until', '<=', clock)
    .limit(ROOM)
    .execute()
  if (calls.length === 0) return []
  const steps = calls.map((call) =>
    newStep(deps, {
      kind: 'merge',
      subject: call.id,
      callId: call.id,
      connection: call.connection,
      generation: call.version,
      flow: null,
      lane: CORE_LANE,
    }),
  )
  await deps.store.atomic([], insertSteps(deps, steps))
  return bellsOf(steps)
}

/** Steps parked because their connection or flow was gone go on when the configuration has it again. */
async function unpark(deps: Deps): Promise<Bell[]> {
  const { db } = deps.store
  const parked = await db
    .selectFrom('steps')
    .selectAll()
    .where('state', '=', 'parked')
    .where('code', 'in', ['connection_gone', 'flow_gone'])
    .limit(ROOM)
    .execute()
  const back = parked.filter(
    (step) =>
      deps.config.connections.has(step.connection) &&
      (step.flow === null || deps.config.flows.some((flow) => flow.name === step.flow)),
  )
  if (back.length === 0) return []
  const now = deps.now()
  await deps.store.atomic(
    [],
    [
      db
        .updateTable('steps')
        .set({ state: 'waiting', due_at: now, code: null, reason: null, updated_at: now })
        .where(
          'id',
          'in',
          back.slice(0, 90).map((step) => step.id),
        )
        .where('state', '=', 'parked'),
    ],
  )
  return bellsOf(back.map((step) => ({ ...step, due_at: now })))
}

/** Calls that wait for an analysis connection that is closed are given to the flow's next one. */
async function failOver(deps: Deps, rows: readonly BreakerRow[]): Promise<Bell[]> {
  const { db } = deps.store
  const closed = new Set(rows.filter((row) => row.state === 'open').map((row) => row.connection))
  const lanes = [...closed].filter((id) => deps.config.connections.get(id)?.connector.analysis)
  if (lanes.length === 0) return []
  const waiting = await db
    .selectFrom('steps')
    .selectAll()
    .where('kind', '=', 'submit')
    .where('lane', 'in', lanes)
    .where('state', 'in', ['waiting', 'parked'])
    .limit(90)
    .execute()
  const moved: StepRow[] = []
  const queries: Query[] = []
  for (const step of waiting) {
    const flow = deps.config.flows.find((candidate) => candidate.name === step.flow)
    const asked = await db
      .selectFrom('steps')
      .select('connection')
      .where('kind', '=', 'submit')
      .where('subject', '=', step.subject)
      .where('generation', '=', step.generation)
      .execute()
    const other = flow?.analyze.find(
      (id) =>
        !closed.has(id) && deps.config.connections.has(id) && !asked.some((row) => row.connection === id),
    )
    if (!flow || !other) continue
    const says = `${step.connection} cannot take calls now; ${other} is asked`
    const next = newStep(deps, {
      kind: 'submit',
      subject: step.subject,
      callId: step.call_id,
      connection: other,
      generation: step.generation,
      flow,
    })
    moved.push(next)
    queries.push(
      db
        .updateTable('steps')
        .set({ state: 'done', reason: says, updated_at: deps.now() })
        .where('id', '=', step.id)
        .where('state', 'in', ['waiting', 'parked']),
      db.insertInto('attempts').values(attemptRow(deps, step, { outcome: 'note', says })),
      ...insertSteps(deps, [next]),
    )
  }
  if (queries.length > 0) await deps.store.atomic([], queries)
  return bellsOf(moved)
}

/** Asks a connection that refused our credentials, or had no quota, whether it takes us again. */
async function checkAgain(deps: Deps, breakers: Breakers, row: BreakerRow): Promise<void> {
  if (row.state !== 'open' || !needsCheck(row) || (row.retry_at ?? 0) > deps.now()) return
  const connection = deps.config.connections.get(row.connection)
  if (!connection) return
  const context = createContext({
    connection,
    publicUrl: deps.config.publicUrl,
    http: deps.http,
    budgets: deps.budgets,
    now: deps.now,
    random: deps.random,
    log: deps.log,
    signal: AbortSignal.timeout(CHECK_TIMEOUT_MS),
  })
  try {
    await connection.connector.check(context)
    await deps.store.atomic([], breakers.succeeded(connection.id))
    deps.queue.wake([{ step: '', lane: connection.id, dueAt: deps.now() }])
  } catch (thrown) {
    const error = asCordboardError(thrown)
    // Not reachable is no news about the credentials: ask again later, for the same reason as before.
    const same = new CordboardError(row.code === 'quota' ? 'quota' : 'auth', row.says ?? error.message, {
      cause: error,
    })
    await deps.store.atomic([], breakers.failed(connection.id, same))
  }
}

const CHECK_TIMEOUT_MS = 15_000
