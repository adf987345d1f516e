import { sql } from 'kysely'
import type { Bell } from '../queue/port.ts'
import type { BreakerRow } from '../store/schema.ts'
import type { Watch } from './conclude.ts'
import type { Deps } from './deps.ts'
import { moveOn } from './move-on.ts'
import { beginRegular } from './regular.ts'
import { goOnReplaying } from './replay.ts'
import { enforceRetention } from './retention.ts'
import { createStandstillWatch, oldestWaiting } from './standstill.ts'
import { bellsOf, CORE_LANE, insertSteps, newStep } from './step.ts'
import { takeBack } from './take-back.ts'
import { createTurn } from './turn.ts'
import { unpark } from './unpark.ts'

/** How much one sweep may do. */
export interface SweepOptions {
  /** At most this many at once of anything: a sweep stays short however much there is; the next one goes on. */
  room?: number
  /** Rounds of erasing at most, of each kind of what is too old; 0: none. */
  erasures?: number
  /** False: a worker of the same configuration has swept before. */
  isFirst?: boolean
  /** True: this worker is stopping, and nobody waits for what can be done later. */
  isOver?: () => boolean
  /** Since when the store is worked on with this configuration, in ms since 1970; default: from now on. */
  since?: number
}

const ROOM = 1_000
const RETENTION_EVERY_MS = 60_000
/** Turns in a lease: who waits for a dead worker's steps waits hardly longer when it was the one that swept. */
const TURNS = 4

/**
 * sweep: what nobody rang for. Steps whose worker is gone go back, waits end, parked steps whose cause is over go on, and
 * every lane with due steps is woken. Losing all bells costs one sweep. Every query here is led by an index to what is
 * due, so that a sweep costs the same however much is stored.
 *
 * Of several workers one does what changes the store. Each of them keeps its own view of breakers and issues fresh, and
 * rings for what is due: its lanes may hear no bell but its own.
 */
export function createSweep(
  deps: Deps,
  watch: Watch,
  leaseMs: number,
  options: SweepOptions = {},
): () => Promise<void> {
  const { room = ROOM, erasures, since = deps.now(), isOver = () => false } = options
  const turn = createTurn(deps.store, leaseMs / TURNS)
  const watchStandstill = createStandstillWatch(deps)
  let retentionAt = 0
  let isFirst = options.isFirst ?? true

  return async function sweep() {
    await deps.refusals.flush()
    const breakers = await watch.breakers.refresh()
    await watch.issues.refresh()
    const isOurs = await turn.take(isFirst)
    if (isOurs && isFirst) await beginRegular(deps)
    const bells = isOurs ? await settle(breakers) : []
    isFirst = false
    const oldest = await oldestWaiting(deps.store)
    const due = oldest.filter(({ dueForMs }) => dueForMs >= 0)
    deps.queue.wake([...bells, ...due.map(({ lane, dueAt }) => ({ step: '', lane, dueAt }))])
    if (!isOurs) return
    await watchStandstill(oldest, breakers)
    if (erasures !== 0 && deps.now() - retentionAt >= RETENTION_EVERY_MS) {
      retentionAt = deps.now()
      await enforceRetention(deps, erasures, async () => !isOver() && (await turn.take()))
    }
  }

  async function settle(breakers: readonly BreakerRow[]): Promise<Bell[]> {
    return [
      ...(await takeBack(deps, leaseMs, room)),
      ...(await endWaits(deps, room)),
      ...(await unpark(deps, breakers, isFirst ? null : since, room)),
      ...(await moveOn(deps, breakers, room)),
      ...(await goOnReplaying(deps, room)),
    ]
  }
}

/** Calls whose recording did not come in time go on without it: a merge with the wait marked as over. */
async function endWaits(deps: Deps, room: number): Promise<Bell[]> {
  const { db, clock } = deps.store
  const calls = await db
    .selectFrom('calls')
    .select(['id', 'connection', 'version'])
    .where('state', '=', sql.lit('waiting'))
    .where('wait_until', '<=', clock)
    // Those whose merge is under way already, or stuck, must not take the room of all who come after them.
    .where(
      sql<boolean>`not exists (select 1 from steps where kind = 'merge' and subject = calls.id
        and connection = calls.connection and generation = calls.version)`,
    )
    .orderBy('wait_until')
    .limit(room)
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
