import { sql } from 'kysely'
import type { Guard, Query, Rows } from '../store/port.ts'
import { DELIVERY_STEPS } from './delivery.ts'
import type { Deps } from './deps.ts'
import { firstId, placeOf, remember } from './erase-transcripts.ts'
import { markErased, type Name } from './erased.ts'
import { eraseUploadsOf } from './uploads.ts'

// Whole calls go, and what belongs to none. By age a call outlives its deliveries, so that nothing that is stored can make it
// anew; on request it leaves what keeps it from being made again (erased.ts).

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

/**
 * Calls of somebody who wants to be forgotten, few enough for a list: with the deliveries that told of them and of their
 * results. They do not come back, whoever tells of them again.
 */
export async function eraseWhole(deps: Deps, ids: readonly string[]): Promise<void> {
  const { db } = deps.store
  const all = await withJoined(deps, ids)
  const guards: Guard[] = []
  const names: Name[] = []
  const told = new Map<string, string | null>()
  for (let at = 0; at < all.length; at += MOST_IDS) {
    const some = all.slice(at, at + MOST_IDS)
    const calls = await db.selectFrom('calls').select(['id', 'version']).where('id', 'in', some).execute()
    guards.push(...calls.map(({ id, version }) => ({ call: id, version: Number(version) })))
    names.push(...(await namesOf(deps, some)))
    const byEvents = db.selectFrom('events').select('delivery_id as id').where('call_id', 'in', some)
    const byResults = db
      .selectFrom('steps')
      .select('subject as id')
      .where('kind', '=', 'callback')
      .where('call_id', 'in', some)
    for (const telling of [byEvents, byResults]) {
      const rows = await db
        .selectFrom('deliveries')
        .select(['id', 'media_id'])
        .where('id', 'in', telling)
        .execute()
      for (const { id, media_id } of rows) told.set(id, media_id)
    }
  }
  const deliveries = [...told.keys()]
  const queries: Query[] = []
  for (let at = 0; at < deliveries.length; at += MOST_IDS) {
    const some = deliveries.slice(at, at + MOST_IDS)
    queries.push(
      db.deleteFrom('steps').where('kind', 'in', DELIVERY_STEPS).where('subject', 'in', some),
      db.deleteFrom('deliveries').where('id', 'in', some),
    )
  }
  queries.push(...(await markErased(deps, names)))
  // Before the rows: an attempt that is cut off finds by them what is left to erase.
  await deps.media.delete([...told.values()].filter((id) => id !== null))
  // What was heard of them meanwhile goes as well, with the names that it brought.
  if ((await erase(deps, all, queries, guards)) === 'lost') await eraseWhole(deps, ids)
}

/** Under which their phone systems, and the services that were given them, may tell of them again. */
async function namesOf({ store: { db } }: Deps, ids: readonly string[]): Promise<Name[]> {
  const keys = await db
    .selectFrom('call_keys')
    .select(['connection', 'external_id'])
    .where('call_id', 'in', ids)
    .execute()
  const submissions = await db
    .selectFrom('submissions')
    .select(['connection', 'id', 'ref'])
    .where('call_id', 'in', ids)
    .execute()
  return [
    ...keys.map(({ connection, external_id: id }): Name => ({ connection, of: 'call', id })),
    ...submissions.flatMap(({ connection, id, ref }) =>
      [id, ref].filter((one) => one !== null).map((one): Name => ({ connection, of: 'submission', id: one })),
    ),
  ]
}

async function withJoined({ store }: Deps, ids: readonly string[]): Promise<string[]> {
  const joined = await store.db.selectFrom('calls').select('id').where('joined_into', 'in', ids).execute()
  return [...ids, ...joined.map((row) => row.id)]
}

async function erase(
  deps: Deps,
  all: readonly string[],
  besides: readonly Query[],
  guards: readonly Guard[] = [],
): Promise<Rows | 'lost'> {
  const queries: Query[] = []
  for (let at = 0; at < all.length; at += MOST_IDS) await eraseUploadsOf(deps, all.slice(at, at + MOST_IDS))
  for (let at = 0; at < all.length; at += MOST_IDS)
    queries.push(...erasing(deps, all.slice(at, at + MOST_IDS)))
  return deps.store.atomic(guards, [...queries, ...besides])
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
