import { sql } from 'kysely'
import type { Query, Store } from '../store/port.ts'
import type { SettingRow } from '../store/schema.ts'
import type { Deps } from './deps.ts'

/** What a list has brought. */
export interface Counts {
  /** Calls that have ended, each once. */
  listed: number
  /** Of them, those that nobody had told of before. */
  new: number
  known: number
  /** Stored: what was said before is not. */
  events: number
}

/** Where every count begins. */
export const NOTHING: Counts = { listed: 0, new: 0, known: 0, events: 0 }

/**
 * A vendor's list of calls on its way into the store, as the store keeps it. It is read in windows of time: whoever has its
 * step goes on where the last window ended, however the one before has ended.
 */
export interface Listing {
  /** Subject of its step: the backfill's own id, or the connection's, whose reconciliation it is. */
  id: string
  connection: string
  since: number
  until: number
  /** What begins before this has been listed. */
  at: number
  /** Length of the next window. */
  spanMs: number
  /** Somebody has begun with the window: what it brings may be there already. */
  begun: boolean
  counts: Counts
  startedAt: number
  endedAt: number | null
  /** By a person, before its end. */
  stoppedAt?: number
  /** Of a reconciliation: since when the list is compared with the webhooks, and when the last one ended. */
  watchedSince?: number
  lastAt?: number
}

/** Settings with this before their name are lists. */
export const LISTING = 'listing '

/** Read to its end, or ended by a person. */
export const isOver = ({ at, until, stoppedAt }: Pick<Listing, 'at' | 'until' | 'stoppedAt'>): boolean =>
  at >= until || stoppedAt !== undefined

/** The listing of this id; null when there is none. */
export async function readListing({ db }: Pick<Store, 'db'>, id: string): Promise<Listing | null> {
  const row = await db
    .selectFrom('settings')
    .select('value')
    .where('name', '=', LISTING + id)
    .executeTakeFirst()
  return row ? (JSON.parse(row.value) as Listing) : null
}

/** Of all connections and backfills. */
export async function listings({ db }: Pick<Store, 'db'>): Promise<Listing[]> {
  const rows = await db
    .selectFrom('settings')
    .select('value')
    .where('name', 'like', `${LISTING}%`)
    .orderBy('name')
    .execute()
  return listingsIn(rows)
}

/** Our own JSON, so it is not validated again. */
export const listingsIn = (rows: readonly Pick<SettingRow, 'value'>[]): Listing[] =>
  rows.map(({ value }) => JSON.parse(value) as Listing)

/** Stores how far it has come, to be committed with what it brought. */
export function saveListing({ store, now }: Pick<Deps, 'store' | 'now'>, listing: Listing): Query {
  const row: SettingRow = { name: LISTING + listing.id, value: JSON.stringify(listing), updated_at: now() }
  const { name: _, ...update } = row
  return store.db
    .insertInto('settings')
    .values(row)
    .onConflict((conflict) => conflict.column('name').doUpdateSet(update))
}

/** Fails, and the whole batch with it, unless the list stands where this one stands: the column takes no null. */
export function replaceListing(
  { store, now }: Pick<Deps, 'store' | 'now'>,
  from: Listing,
  to: Listing,
): Query {
  const [was, becomes] = [from, to].map((one) => JSON.stringify(one))
  return store.db
    .updateTable('settings')
    .set({ value: sql<string>`case when value = ${was} then ${becomes} end`, updated_at: now() })
    .where('name', '=', LISTING + from.id)
}

/** A new one, unless it is there: of two that begin the same at once, one does. */
export const addListing = ({ store, now }: Pick<Deps, 'store' | 'now'>, listing: Listing): Query =>
  store.db
    .insertInto('settings')
    .values({ name: LISTING + listing.id, value: JSON.stringify(listing), updated_at: now() })

/** The sum of two windows. */
export const addCounts = (a: Counts, b: Counts): Counts => ({
  listed: a.listed + b.listed,
  new: a.new + b.new,
  known: a.known + b.known,
  events: a.events + b.events,
})
