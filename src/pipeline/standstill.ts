import { sql } from 'kysely'
import { CordboardError } from '../errors.ts'
import type { Query, Store } from '../store/port.ts'
import type { BreakerRow } from '../store/schema.ts'
import type { Deps } from './deps.ts'
import { openIssue } from './issues.ts'

/** A due step that nobody takes, and a sweep that nobody makes, for this long: then nothing moves there. */
export const STILL_MS = 60_000
/** Of issues about a lane; `connection` is the lane then. */
const KIND = 'lane'

/** The step of a lane that has waited longest. */
export interface Oldest {
  lane: string
  step: string
  dueAt: number
  /** How long it has been due, by the store's clock; below 0 when it is not yet. */
  dueForMs: number
}

/** From lane to lane through the index: a million waiting steps are not read. */
export async function oldestWaiting({ db, clock }: Pick<Store, 'db' | 'clock'>): Promise<Oldest[]> {
  const all: Oldest[] = []
  for (let last = ''; ; ) {
    const first = await db
      .selectFrom('steps')
      .select(['id', 'lane', 'due_at', sql<number>`${clock} - due_at`.as('due_for')])
      .where('state', '=', sql.lit('waiting'))
      .where('lane', '>', last)
      .orderBy('lane')
      .orderBy('due_at')
      .limit(1)
      .executeTakeFirst()
    if (!first) return all
    last = first.lane
    all.push({
      lane: first.lane,
      step: first.id,
      dueAt: Number(first.due_at),
      dueForMs: Number(first.due_for),
    })
  }
}

/**
 * Sees that nothing moves: the same step has been the oldest due one of its lane for a minute, no step of the lane is under
 * way, and no breaker says why. A backlog that is worked off moves, however old it is.
 */
export function createStandstillWatch(deps: Deps) {
  const seen = new Map<string, { step: string; since: number; moved: boolean; told: boolean }>()
  return async function watch(oldest: readonly Oldest[], breakers: readonly BreakerRow[]): Promise<void> {
    const now = deps.now()
    const held = new Set(breakers.filter(({ state }) => state === 'open').map(({ connection }) => connection))
    const due = new Map(oldest.flatMap((one) => (one.dueForMs >= 0 ? [[one.lane, one]] : [])))
    for (const lane of seen.keys()) if (!due.has(lane)) seen.delete(lane)
    const queries: Query[] = []
    for (const { lane, step, dueForMs } of due.values()) {
      const known = seen.get(lane)
      if (known?.step !== step || held.has(lane)) {
        seen.set(lane, { step, since: now, moved: known !== undefined, told: false })
      } else if (!known.told && now - known.since >= STILL_MS && !(await isBusy(deps, lane))) {
        known.told = true
        known.moved = false
        const forS = Math.round(dueForMs / 1_000)
        deps.log.error('nothing moves', { lane, forS })
        queries.push(
          standstill(deps, { lane, step }, `Steps of the lane ${lane} are due and nobody takes them`),
        )
      }
    }
    queries.push(...(await resolved(deps, (lane) => due.has(lane) && seen.get(lane)?.moved !== true)))
    if (queries.length > 0) await deps.store.atomic([], queries)
  }
}

/** Opens the issue of a lane in which nothing moves; it is over when something has, or nothing is due any more. */
export function standstill(
  deps: Pick<Deps, 'store' | 'now' | 'random'>,
  { lane, step }: { lane: string; step: string | null },
  says: string,
): Query {
  return openIssue(
    deps,
    { kind: KIND, connection: lane, step_id: step },
    new CordboardError('standstill', says),
  )
}

/** Steps are bounded in time: as long as one of the lane is under way, the next is a matter of its end. */
async function isBusy({ store }: Deps, lane: string): Promise<boolean> {
  const working = store.db
    .selectFrom('steps')
    .select('id')
    .where('state', '=', sql.lit('working'))
    .where('lane', '=', lane)
    .limit(1)
  return (await working.executeTakeFirst()) !== undefined
}

/** Issues of lanes in which something has moved since, or nothing is due any more, are over. */
async function resolved({ store, now }: Deps, isStill: (lane: string) => boolean): Promise<Query[]> {
  const open = await store.db
    .selectFrom('issues')
    .select(['id', 'connection'])
    .where('kind', '=', KIND)
    .where('state', 'in', ['open', 'acknowledged'])
    .execute()
  return open
    .filter(({ connection }) => !isStill(connection))
    .map(({ id }) =>
      store.db.updateTable('issues').set({ state: 'resolved', last_at: now() }).where('id', '=', id),
    )
}
