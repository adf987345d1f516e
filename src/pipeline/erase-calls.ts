import { sql } from 'kysely'
import type { Query } from '../store/port.ts'
import { DELIVERY_STEPS } from './delivery.ts'
import type { Deps } from './deps.ts'
import { firstId, placeOf, remember } from './erase-transcripts.ts'
import { eraseUploadsOf } from './uploads.ts'

// Whole calls go, and what belongs to none. A call outlives its deliveries, so that nothing that is stored can make it anew.

/** Calls of one run; with those that were joined into them still few enough for a list of parameters. */
export const ROOM_CALLS = 45
const ROOM = 1_000
/** Ids in one statement: with what else it binds, no statement has more than 100 parameters. */
export const MOST_IDS = 90

/** Calls that began before and of which nothing has been heard since: with everything that is known of them. */
export async function eraseCalls(deps: Deps, before: number): Promise<number> {
  const { db } = deps.store
  const place = 'retention.erased'
  const [startedAt = '0', id = ''] = (await placeOf(deps, place, '0 ')).split(' ')
  const old = await db
    .selectFrom('calls')
    .select(['id', 'started_at', 'updated_at'])
    .where('joined_into', 'is', null)
    .where(sql<boolean>`(started_at, id) > (${Number(startedAt)}, ${id})`)
    .where('started_at', '<', before)
    .orderBy('started_at')
    .orderBy('id')
    .limit(ROOM_CALLS)
    .execute()
  const last = old.at(-1)
  // Those that stay (told of late, imported) are passed by, and looked at again from the start.
  const reached = last && old.length === ROOM_CALLS ? `${last.started_at} ${last.id}` : '0 '
  const ids = old.filter((row) => Number(row.updated_at) < before).map((row) => row.id)
  if (ids.length === 0) {
    if (last || startedAt !== '0') await deps.store.atomic([], [remember(deps, place, reached)])
    return old.length
  }
  await erase(deps, await withJoined(deps, ids), [remember(deps, place, reached)])
  return old.length
}

/** Calls of somebody who wants to be forgotten, few enough for a list: with the deliveries that told of them. */
export async function eraseWhole(deps: Deps, ids: readonly string[]): Promise<void> {
  const { db } = deps.store
  const all = await withJoined(deps, ids)
  const told: { id: string; media_id: string | null }[] = []
  for (let at = 0; at < all.length; at += MOST_IDS) {
    const events = db
      .selectFrom('events')
      .select('delivery_id')
      .where('call_id', 'in', all.slice(at, at + MOST_IDS))
    const rows = await db
      .selectFrom('deliveries')
      .select(['id', 'media_id'])
      .where('id', 'in', events)
      .execute()
    told.push(...rows)
  }
  const queries: Query[] = []
  for (let at = 0; at < told.length; at += MOST_IDS) {
    const deliveries = told.slice(at, at + MOST_IDS).map((row) => row.id)
    queries.push(
      db.deleteFrom('steps').where('kind', 'in', DELIVERY_STEPS).where('subject', 'in', deliveries),
      db.deleteFrom('deliveries').where('id', 'in', deliveries),
    )
  }
  // Before the rows: an attempt that is cut off finds by them what is left to erase.
  await deps.media.delete(told.flatMap((row) => (row.media_id === null ? [] : [row.media_id])))
  await erase(deps, all, queries)
}

async function withJoined({ store }: Deps, ids: readonly string[]): Promise<string[]> {
  const joined = await store.db.selectFrom('calls').select('id').where('joined_into', 'in', ids).execute()
  return [...ids, ...joined.map((row) => row.id)]
}

async function erase(deps: Deps, all: readonly string[], besides: readonly Query[]): Promise<void> {
  const queries: Query[] = []
  for (let at = 0; at < all.length; at += MOST_IDS) await eraseUploadsOf(deps, all.slice(at, at + MOST_IDS))
  for (let at = 0; at < all.length; at += MOST_IDS)
    queries.push(...erasing(deps, all.slice(at, at + MOST_IDS)))
  await deps.store.atomic([], [...queries, ...besides])
}

function erasing({ store: { db } }: Deps, ids: readonly string[]): Query[] {
  const submissions = db.selectFrom('submissions').select('id').where('call_id', 'in', ids)
  const writebacks = db.selectFrom('writebacks').select('id').where('call_id', 'in', ids)
  return [
    db.deleteFrom('batch_members').where('submission_id', 'in', submissions),
    db.deleteFrom('results').where('submission_id', 'in', submissions),
    db.deleteFrom('submissions').where('call_id', 'in', ids),
    db.deleteFrom('writeback_parts').where('writeback_id', 'in', writebacks),
    db.deleteFrom('writebacks').where('call_id', 'in', ids),
    db.deleteFrom('attempts').where('call_id', 'in', ids),
    db.deleteFrom('steps').where('call_id', 'in', ids),
    db.deleteFrom('events').where('call_id', 'in', ids),
    db.deleteFrom('call_keys').where('call_id', 'in', ids),
    db.deleteFrom('calls').where('id', 'in', ids),
  ]
}

/** What was said on no call's timeline: of deliveries that were ignored, or told of nobody's call. */
export async function eraseLooseAttempts(deps: Deps, before: number): Promise<number> {
  const { db } = deps.store
  const place = 'retention.attempts'
  const old = await db
    .selectFrom('attempts')
    .select(['id', 'call_id'])
    .where('id', '>', await placeOf(deps, place, ''))
    .where('id', '<', firstId('att', before))
    .orderBy('id')
    .limit(ROOM)
    .execute()
  const [first, last] = [old[0], old.at(-1)]
  if (!first || !last) return 0
  const loose = db
    .deleteFrom('attempts')
    .where('id', '>=', first.id)
    .where('id', '<=', last.id)
    .where('call_id', 'is', null)
  await deps.store.atomic([], [loose, remember(deps, place, last.id)])
  return old.length === ROOM ? ROOM : 0
}

/**
 * Reserved numbers of callers: by then the CRM itself has the contact under its number. A page at a time, round and round,
 * because nothing leads to the old ones.
 */
export async function erasePeople(deps: Deps, before: number): Promise<void> {
  const { db } = deps.store
  const place = 'retention.people'
  const [connection = '', phone = ''] = JSON.parse(await placeOf(deps, place, '["",""]')) as string[]
  const page = await db
    .selectFrom('people')
    .select(['connection', 'phone', 'created_at'])
    .where(sql<boolean>`(connection, phone) > (${connection}, ${phone})`)
    .orderBy('connection')
    .orderBy('phone')
    .limit(ROOM)
    .execute()
  const last = page.at(-1)
  const isEnd = last === undefined || page.length < ROOM
  const queries: Query[] = []
  if (last && page.some((row) => Number(row.created_at) < before)) {
    queries.push(
      db
        .deleteFrom('people')
        .where(sql<boolean>`(connection, phone) > (${connection}, ${phone})`)
        .where(sql<boolean>`(connection, phone) <= (${last.connection}, ${last.phone})`)
        .where('created_at', '<', before),
    )
  }
  const reached = JSON.stringify(isEnd ? ['', ''] : [last.connection, last.phone])
  if (queries.length > 0 || reached !== JSON.stringify([connection, phone]))
    await deps.store.atomic([], [...queries, remember(deps, place, reached)])
}

/** Batches that ended before, and the steps that sent them. */
export async function eraseBatches({ store }: Deps, before: number): Promise<number> {
  const { db } = store
  const old = await db
    .selectFrom('batches')
    .select('id')
    .where('created_at', '<', before)
    .where('state', 'in', ['sent', 'failed'])
    .orderBy('created_at')
    .limit(MOST_IDS)
    .execute()
  const ids = old.map((row) => row.id)
  if (ids.length === 0) return 0
  await store.atomic(
    [],
    [
      db.deleteFrom('steps').where('kind', '=', 'batch').where('subject', 'in', ids),
      db.deleteFrom('batch_members').where('batch_id', 'in', ids),
      db.deleteFrom('batches').where('id', 'in', ids),
    ],
  )
  return ids.length
}

/** Who did what is for the auditors of last year, not for those of the next decade. */
export async function eraseAudit({ store }: Deps, before: number): Promise<void> {
  const old = store.db
    .selectFrom('audit')
    .select('id')
    .where('id', '<', firstId('aud', before))
    .orderBy('id')
    .limit(ROOM)
  if (await old.limit(1).executeTakeFirst())
    await store.atomic([], [store.db.deleteFrom('audit').where('id', 'in', old)])
}
