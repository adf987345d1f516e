import { sql } from 'kysely'
import type { TokenAsk } from '../connector/tokens.ts'
import type { Store } from '../store/port.ts'
import type { TokenRow } from '../store/schema.ts'

/** The statements about a shared token's row. All instants are the store's: clocks of processes differ. */

type Whose = Pick<TokenAsk, 'connection' | 'name'>

/** The right to refresh one version of a token. */
export interface TokenLease {
  id: string
  version: number
}

/** The row, and what time it is. */
export async function readRow(
  { db, clock }: Store,
  { connection, name }: Whose,
): Promise<(TokenRow & { now: number }) | undefined> {
  const row = await db
    .selectFrom('tokens')
    .selectAll()
    .select(clock.as('now'))
    .where('connection', '=', connection.id)
    .where('name', '=', name)
    .executeTakeFirst()
  return row && { ...row, now: Number(row.now) }
}

/**
 * Takes the right to refresh this version, unless somebody holds it, has just failed, or has replaced the token since it
 * was read.
 */
export async function takeLease(
  store: Store,
  { connection, name }: Whose,
  version: number,
  { leaseMs, restMs }: { leaseMs: number; restMs: number },
): Promise<TokenLease | null> {
  const id = crypto.randomUUID()
  const nothing = {
    sealed: null,
    issued_at: null,
    expires_at: null,
    lease: null,
    lease_until: null,
    failed_at: null,
    failure: null,
  }
  const rows = await store.atomic(
    [],
    [
      store.db
        .insertInto('tokens')
        .values({ connection: connection.id, name, version: 0, ...nothing })
        .onConflict((conflict) => conflict.doNothing()),
      rowOf(store, connection.id, name, version)
        .set({ lease: id, lease_until: sql<number>`${store.clock} + ${leaseMs}` })
        .where((row) => row.or([row('lease', 'is', null), row('lease_until', '<=', store.clock)]))
        .where((row) =>
          row.or([
            row('failed_at', 'is', null),
            row('failed_at', '<=', sql<number>`${store.clock} - ${restMs}`),
          ]),
        )
        .returning('version'),
    ],
  )
  return rows !== 'lost' && rows[1]?.length === 1 ? { id, version } : null
}

/**
 * Stores the new token. Only the version counts, not the lease: who was so slow that another one took over still has a
 * true token, and the first to store one is the one that everybody uses. False when another one was first.
 */
export async function storeToken(
  store: Store,
  { connection, name }: Whose,
  version: number,
  { sealed, lifeMs }: { sealed: Uint8Array; lifeMs: number | null },
): Promise<boolean> {
  const rows = await store.atomic(
    [],
    [
      rowOf(store, connection.id, name, version)
        .set({
          version: version + 1,
          sealed,
          issued_at: store.clock,
          expires_at: lifeMs === null ? null : sql<number>`${store.clock} + ${lifeMs}`,
          lease: null,
          lease_until: null,
          failed_at: null,
          failure: null,
        })
        .returning('version'),
    ],
  )
  return rows !== 'lost' && rows[0]?.length === 1
}

/** Gives the lease back, with the failure that ended it if others must know of it. False when it was not ours any more. */
export async function giveBack(
  store: Store,
  { connection, name }: Whose,
  lease: TokenLease,
  failure: string | null,
): Promise<boolean> {
  const rows = await store.atomic(
    [],
    [
      rowOf(store, connection.id, name, lease.version)
        .set({
          lease: null,
          lease_until: null,
          ...(failure === null ? {} : { failure, failed_at: store.clock }),
        })
        .where('lease', '=', lease.id)
        .returning('version'),
    ],
  )
  return rows !== 'lost' && rows[0]?.length === 1
}

const rowOf = ({ db }: Store, connection: string, name: string, version: number) =>
  db
    .updateTable('tokens')
    .where('connection', '=', connection)
    .where('name', '=', name)
    .where('version', '=', version)
