import { sql } from 'kysely'
import { CordboardError, ERRORS } from '../errors.ts'
import type { Bell } from '../queue/port.ts'
import { expireQuery } from '../store/claim.ts'
import type { Query } from '../store/port.ts'
import type { StepRow } from '../store/schema.ts'
import type { Watch } from './conclude.ts'
import type { Deps } from './deps.ts'
import { openIssue } from './issues.ts'
import { moveOn } from './move-on.ts'
import { enforceRetention } from './retention.ts'
import { settleCall } from './settle.ts'
import { bellsOf, CORE_LANE, insertSteps, newStep } from './step.ts'
import { attemptRow } from './timeline.ts'
import { unpark } from './unpark.ts'

/** At most this many at once of anything: a sweep stays short however much there is; the next one goes on. */
const ROOM = 1_000
/** A step that took its worker down this often is isolated. */
const POISONED = 3
const RETENTION_EVERY_MS = 60_000

/**
 * sweep: what nobody rang for. Steps whose worker is gone go back, waits end, parked steps whose cause is over go on, and
 * every lane with due steps is woken. Losing all bells costs one sweep. Every query here is led by an index to what is
 * due, so that a sweep costs the same however much is stored.
 */
export function createSweep(deps: Deps, watch: Watch): () => Promise<void> {
  let retentionAt = 0
  let isFirst = true
  return async function sweep() {
    await deps.refusals.flush()
    const breakers = await watch.breakers.refresh()
    await watch.issues.refresh()
    const bells = [
      ...(await takeBack(deps)),
      ...(await endWaits(deps)),
      ...(await unpark(deps, breakers, isFirst)),
      ...(await moveOn(deps, breakers)),
    ]
    isFirst = false
    deps.queue.wake([...bells, ...(await dueLanes(deps))])
    if (deps.now() - retentionAt >= RETENTION_EVERY_MS) {
      retentionAt = deps.now()
      await enforceRetention(deps)
    }
  }
}

/** One bell per lane with due steps. From lane to lane through the index: a million waiting steps are not read. */
async function dueLanes({ store }: Deps): Promise<Bell[]> {
  const bells: Bell[] = []
  for (let last = ''; ; ) {
    const first = await store.db
      .selectFrom('steps')
      .select(['lane', 'due_at', sql<unknown>`due_at <= ${store.clock}`.as('is_due')])
      .where('state', '=', sql.lit('waiting'))
      .where('lane', '>', last)
      .orderBy('lane')
      .orderBy('due_at')
      .limit(1)
      .executeTakeFirst()
    if (!first) return bells
    last = first.lane
    if (first.is_due) bells.push({ step: '', lane: first.lane, dueAt: first.due_at })
  }
}

/** Steps whose lease ran out. One that did so three times is poison: it is put aside, the rest goes on. */
async function takeBack(deps: Deps): Promise<Bell[]> {
  const { db, clock } = deps.store
  const poisoned = await db
    .selectFrom('steps')
    .selectAll()
    .where('state', '=', sql.lit('working'))
    .where('lease_until', '<=', clock)
    .where('crashes', '>=', POISONED - 1)
    .limit(ROOM)
    .execute()
  const isolated = poisoned.flatMap((step) => isolate(deps, step))
  const result = await deps.store.atomic([], [...isolated, expireQuery(deps.store, ROOM)])
  const rows = (result === 'lost' ? [] : (result.at(-1) ?? [])) as unknown as StepRow[]
  for (const { id, kind, crashes } of rows)
    deps.log.warn('a step came back: its worker is gone', { step: id, kind, crashes })
  return bellsOf(rows)
}

function isolate(deps: Deps, step: StepRow): Query[] {
  const { id, kind, connection, call_id } = step
  const says = `The step ${kind} took its worker down ${POISONED} times`
  const error = new CordboardError('poisoned', says)
  deps.log.error('a step was put aside', { step: id, kind, connection, says: ERRORS.poisoned.title })
  const fields = {
    state: 'dead',
    code: error.code,
    reason: says,
    crashes: POISONED,
    lease: null,
    lease_until: null,
  } as const
  return [
    deps.store.db
      .updateTable('steps')
      .set({ ...fields, updated_at: deps.now() })
      .where('id', '=', id)
      .where('state', '=', 'working')
      .where('lease_until', '<=', deps.store.clock),
    deps.store.db
      .insertInto('attempts')
      .values(attemptRow(deps, step, { outcome: 'dead', code: error.code, says })),
    openIssue(deps, { kind, connection, call_id, step_id: id }, error),
    ...(call_id === null ? [] : settleCall(deps, call_id)),
  ]
}

/** Calls whose recording did not come in time go on without it: a merge with the wait marked as over. */
async function endWaits(deps: Deps): Promise<Bell[]> {
  const { db, clock } = deps.store
  const calls = await db
    .selectFrom('calls')
    .select(['id', 'connection', 'version'])
    .where('state', '=', sql.lit('waiting'))
    .where('wait_until', '<=', clock)
    .orderBy('wait_until')
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
