import { sql } from 'kysely'
import type { Bell } from '../queue/port.ts'
import type { Watch } from './conclude.ts'
import type { Deps } from './deps.ts'
import { moveOn } from './move-on.ts'
import { enforceRetention } from './retention.ts'
import { bellsOf, CORE_LANE, insertSteps, newStep } from './step.ts'
import { takeBack } from './take-back.ts'
import { unpark } from './unpark.ts'

/** At most this many at once of anything: a sweep stays short however much there is; the next one goes on. */
const ROOM = 1_000
const RETENTION_EVERY_MS = 60_000

/**
 * sweep: what nobody rang for. Steps whose worker is gone go back, waits end, parked steps whose cause is over go on, and
 * every lane with due steps is woken. Losing all bells costs one sweep. Every query here is led by an index to what is
 * due, so that a sweep costs the same however much is stored.
 */
export function createSweep(deps: Deps, watch: Watch, leaseMs: number): () => Promise<void> {
  let retentionAt = 0
  let isFirst = true
  return async function sweep() {
    await deps.refusals.flush()
    const breakers = await watch.breakers.refresh()
    await watch.issues.refresh()
    const bells = [
      ...(await takeBack(deps, leaseMs)),
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
