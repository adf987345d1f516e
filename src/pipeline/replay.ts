import { sql } from 'kysely'
import { newId } from '../call/ids.ts'
import type { Bell } from '../queue/port.ts'
import type { Query } from '../store/port.ts'
import type { DeliveryRow, SettingRow } from '../store/schema.ts'
import { type Actor, auditRow } from './audit.ts'
import { DELIVERY_STEPS } from './delivery.ts'
import type { Deps } from './deps.ts'
import { firstId } from './erase-transcripts.ts'
import { bellsOf, CORE_LANE, insertSteps, newStep } from './step.ts'

/** Which stored deliveries are meant; all conditions hold. */
export interface ReplayFilter {
  ids?: readonly string[]
  connection?: string
  state?: DeliveryRow['state']
  /** Received at or after, ms since 1970. */
  since?: number
}

/** What a replay has begun, or would begin. */
export interface Replayed {
  matched: number
  /** Of them, on their way. */
  replayed: number
  /** Ids of the first few. */
  sample: string[]
  /** The replay that sees to the others, a little with every sweep; absent when all are on their way. */
  replay?: string
}

/** A replay under way, as the store keeps it: whichever worker sweeps goes on with it. */
export interface Replay {
  id: string
  filter: Omit<ReplayFilter, 'ids'>
  actor: string
  startedAt: number
  matched: number
  replayed: number
  /** The last one that is on its way. */
  after: string
  /** What came in later is not part of it. */
  last: string
  /** Until when work is planned. */
  plannedUntil: number
}

const PAGE = 90
/** Replayed deliveries stand in the same lane as what comes in now: so many a second leave it room. */
const PER_SECOND = 200
/** Work is planned so far ahead, and only while no more than that is late: it never becomes a backlog of its own. */
const AHEAD_MS = 5_000
const NAME = 'replay '

/**
 * Sends stored deliveries through today's code. The same events have the same keys and calls their ids, so nothing is
 * written twice. What is on its way, and where it goes on, is committed page by page: a replay that was cut off goes on with
 * the next sweep, in order of receipt, and no page is done twice. `dryRun` only counts.
 */
export async function replayDeliveries(
  deps: Deps,
  filter: ReplayFilter,
  options: Actor & { dryRun: boolean },
): Promise<Replayed> {
  const counted = await select(deps, filter)
    .select((eb) => [eb.fn.countAll<number>().as('count'), eb.fn.max('id').as('last')])
    .executeTakeFirst()
  const first = await select(deps, filter).select('id').orderBy('id').limit(5).execute()
  const matched = Number(counted?.count ?? 0)
  const answer = { matched, replayed: 0, sample: first.map((row) => row.id) }
  if (options.dryRun || matched === 0) return answer

  const { ids, ...others } = filter
  const now = deps.now()
  const detail = JSON.stringify({ ...others, matched })
  const audit = auditRow(
    deps,
    options.actor,
    'replay',
    ids === undefined ? 'filter' : ids.slice(0, 5).join(' '),
    detail,
  )
  if (ids !== undefined) {
    const page = await select(deps, filter).select(['id', 'connection', 'role']).orderBy('id').execute()
    const { queries, bells } = await planned(deps, page, now)
    await deps.store.atomic([], [audit, ...queries])
    deps.queue.wake(bells)
    return { ...answer, replayed: page.length }
  }

  const replay: Replay = {
    id: newId('rpl', now, deps.random),
    filter: others,
    actor: options.actor,
    startedAt: now,
    matched,
    replayed: 0,
    after: '',
    last: counted?.last ?? '',
    plannedUntil: now,
  }
  const row = rowOf(replay, now)
  await deps.store.atomic([], [audit, deps.store.db.insertInto('settings').values(row)])
  const { replay: reached, isOver, bells } = await goOn(deps, replay)
  deps.queue.wake(bells)
  return { ...answer, replayed: reached.replayed, ...(isOver ? {} : { replay: replay.id }) }
}

/** The replays under way, the oldest first. */
export async function openReplays({ store }: Pick<Deps, 'store'>, most = 200): Promise<Replay[]> {
  const rows = await store.db
    .selectFrom('settings')
    .select('value')
    .where('name', 'like', `${NAME}%`)
    .orderBy('name')
    .limit(most)
    .execute()
  return rows.map(({ value }) => JSON.parse(value) as Replay)
}

/** Plans no more of it; what is on its way goes on. Answers where it stopped, null when there is no such replay. */
export async function stopReplay(deps: Deps, id: string, { actor }: Actor): Promise<Replay | null> {
  const replay = (await openReplays(deps)).find((one) => one.id === id)
  if (!replay) return null
  const detail = JSON.stringify({ matched: replay.matched, replayed: replay.replayed })
  await deps.store.atomic([], [forget(deps, id), auditRow(deps, actor, 'stop replay', id, detail)])
  return replay
}

/** For the sweep: the oldest replay goes on. One at a time, so that the rate is that of all together. */
export async function goOnReplaying(deps: Deps, most = Number.POSITIVE_INFINITY): Promise<Bell[]> {
  const [replay] = await openReplays(deps, 1)
  if (!replay || (await isLate(deps))) return []
  const { bells, replay: reached, isOver } = await goOn(deps, replay, most)
  const { id, matched } = replay
  if (isOver) deps.log.info('replay done', { replay: id, matched, replayed: reached.replayed })
  return bells
}

/** Plans as much as may be due `AHEAD_MS` from now, at most so many. */
async function goOn(
  deps: Deps,
  begun: Replay,
  most = Number.POSITIVE_INFINITY,
): Promise<{ replay: Replay; isOver: boolean; bells: Bell[] }> {
  let replay = begun
  const bells: Bell[] = []
  for (;;) {
    const from = Math.max(replay.plannedUntil, deps.now())
    const allowed = Math.floor(((deps.now() + AHEAD_MS - from) * PER_SECOND) / 1_000)
    const room = Math.min(allowed, begun.replayed + most - replay.replayed)
    if (room <= 0) return { replay, isOver: false, bells }
    const page = await select(deps, replay.filter)
      .select(['id', 'connection', 'role'])
      .where('id', '>', replay.after)
      .where('id', '<=', replay.last)
      .orderBy('id')
      .limit(Math.min(PAGE, room))
      .execute()
    const last = page.at(-1)
    if (!last) {
      await deps.store.atomic([], [forget(deps, replay.id)])
      return { replay, isOver: true, bells }
    }
    const next: Replay = {
      ...replay,
      after: last.id,
      replayed: replay.replayed + page.length,
      plannedUntil: from + Math.ceil((page.length * 1_000) / PER_SECOND),
    }
    const plan = await planned(deps, page, from)
    const hold = replace(deps, replay, next)
    try {
      await deps.store.atomic([], [...hold, ...plan.queries])
    } catch (error) {
      const now = (await openReplays(deps)).find(({ id }) => id === replay.id)
      // Another process goes on with it, or somebody has stopped it.
      if (now?.after !== replay.after) return { replay: now ?? replay, isOver: now === undefined, bells }
      throw error
    }
    bells.push(...plan.bells)
    replay = next
    if (last.id === replay.last) {
      await deps.store.atomic([], [forget(deps, replay.id)])
      return { replay, isOver: true, bells }
    }
  }
}

/** The steps of a page, due one after the other from `from` on. */
async function planned(
  deps: Deps,
  page: readonly Pick<DeliveryRow, 'id' | 'connection' | 'role'>[],
  from: number,
): Promise<{ queries: Query[]; bells: Bell[] }> {
  const { db } = deps.store
  const ids = page.map((row) => row.id)
  const last = await db
    .selectFrom('steps')
    .select(['subject', (eb) => eb.fn.max('generation').as('generation')])
    .where('kind', 'in', DELIVERY_STEPS)
    .where('subject', 'in', ids)
    .groupBy('subject')
    .execute()
  const generations = new Map(last.map((row) => [row.subject, Number(row.generation)]))
  const steps = page.map((row, at) =>
    newStep(deps, {
      kind: row.role === 'analysis' ? 'callback' : 'merge',
      subject: row.id,
      callId: null,
      connection: row.connection,
      generation: (generations.get(row.id) ?? -1) + 1,
      flow: null,
      lane: CORE_LANE,
      // By the second, so that those of a second share one bell.
      dueAt: Math.ceil((from + (at * 1_000) / PER_SECOND) / 1_000) * 1_000,
    }),
  )
  const queries = [
    // One that is stuck is taken over by the replay.
    db
      .updateTable('steps')
      .set({ state: 'done', reason: 'replayed', updated_at: deps.now() })
      .where('kind', 'in', DELIVERY_STEPS)
      .where('subject', 'in', ids)
      .where('state', 'in', ['parked', 'dead']),
    db.updateTable('deliveries').set({ state: 'new', reason: null }).where('id', 'in', ids),
    ...insertSteps(deps, steps),
  ]
  const seconds = new Map(bellsOf(steps).map((bell) => [bell.dueAt, bell]))
  return { queries, bells: [...seconds.values()] }
}

/** Ids of deliveries are made when they are received, so that the key leads to a time as well. */
function select({ store }: Pick<Deps, 'store'>, { ids, connection, state, since }: ReplayFilter) {
  let query = store.db.selectFrom('deliveries').where('id', '>', '')
  if (ids) query = query.where('id', 'in', [...ids])
  if (connection !== undefined) query = query.where('connection', '=', connection)
  if (since !== undefined) query = query.where('id', '>=', firstId('dlv', since))
  if (state === undefined) return query
  // As the index has it, and then the half of it that is meant.
  if (state === 'unreadable' || state === 'ignored')
    query = query.where(sql<boolean>`state in ('unreadable', 'ignored')`)
  return query.where('state', '=', state)
}

/** What is due has waited for longer than work is planned ahead: the workers are not through with it. */
export async function isLate({ store }: Pick<Deps, 'store'>): Promise<boolean> {
  const oldest = await store.db
    .selectFrom('steps')
    .select(sql<number>`${store.clock} - due_at`.as('ms'))
    .where('state', '=', sql.lit('waiting'))
    .where('lane', '=', CORE_LANE)
    .orderBy('due_at')
    .limit(1)
    .executeTakeFirst()
  return oldest !== undefined && Number(oldest.ms) > AHEAD_MS
}

const rowOf = (replay: Replay, now: number): SettingRow => ({
  name: NAME + replay.id,
  value: JSON.stringify(replay),
  updated_at: now,
})

/**
 * Fails, and the whole batch with it, unless the replay stands where this one stands: the column takes no null. The first
 * statement finds it elsewhere, the second does not find it at all.
 */
function replace({ store, now }: Deps, from: Replay, to: Replay): Query[] {
  const { db } = store
  const { name, value, updated_at } = rowOf(to, now())
  const held = db.selectFrom('settings').select('value').where('name', '=', name)
  return [
    db
      .updateTable('settings')
      .set({ value: sql<string>`case when value = ${JSON.stringify(from)} then ${value} end` })
      .where('name', '=', name),
    db
      .insertInto('settings')
      .values({ name, value: sql<string>`(${held})`, updated_at })
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ updated_at })),
  ]
}

const forget = ({ store }: Deps, id: string): Query =>
  store.db.deleteFrom('settings').where('name', '=', NAME + id)
