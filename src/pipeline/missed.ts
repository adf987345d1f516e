import { sql } from 'kysely'
import type { Query, Store } from '../store/port.ts'
import type { SettingRow } from '../store/schema.ts'
import type { Deps } from './deps.ts'
import { LISTING, type Listing, listingsIn } from './listing.ts'

const NAME = 'missed '

/** Calls that only the vendor's list told of. */
export interface Missed {
  connection: string
  count: number
  lastAt: number
}

/** One more call of which no webhook had told, or not that it has ended. Committed with what the list brought of it. */
export function countMissed({ store, now }: Pick<Deps, 'store' | 'now'>, connection: string): Query {
  const updated_at = now()
  return store.db
    .insertInto('settings')
    .values({ name: NAME + connection, value: '1', updated_at })
    .onConflict((conflict) =>
      conflict.column('name').doUpdateSet({
        value: sql<string>`cast(cast(settings.value as bigint) + 1 as text)`,
        updated_at,
      }),
    )
}

/** What webhooks missed, by connection. */
export async function missedCalls({ db }: Pick<Store, 'db'>): Promise<Map<string, Missed>> {
  return missedIn(await db.selectFrom('settings').selectAll().where('name', 'like', `${NAME}%`).execute())
}

const missedIn = (rows: readonly SettingRow[]): Map<string, Missed> =>
  new Map(
    rows.map(({ name, value, updated_at }) => {
      const connection = name.slice(NAME.length)
      return [connection, { connection, count: Number(value), lastAt: Number(updated_at) }]
    }),
  )

/** Both by one question: how far the lists have come, and what they found. */
export async function compared({
  db,
}: Pick<Store, 'db'>): Promise<{ lists: Listing[]; missed: Map<string, Missed> }> {
  const rows = await db
    .selectFrom('settings')
    .selectAll()
    .where((eb) => eb.or([eb('name', 'like', `${LISTING}%`), eb('name', 'like', `${NAME}%`)]))
    .orderBy('name')
    .execute()
  const [lists, counts] = [LISTING, NAME].map((before) => rows.filter(({ name }) => name.startsWith(before)))
  return { lists: listingsIn(lists ?? []), missed: missedIn(counts ?? []) }
}
