import { type ExpressionBuilder, type SelectQueryBuilder, sql } from 'kysely'
import type { Share } from '../queue/port.ts'
import type { Query, Store } from './port.ts'
import type { Schema, StepKind } from './schema.ts'

/**
 * Holding a step: claimed with a lease token, renewed while it is worked on, taken back when the lease has run out. All
 * instants are the store's. States are literals, not parameters: only then do the partial indexes on `steps` serve.
 */

/** Steps that stream recordings: the share `recordings`. */
export const STREAMING = ['submit', 'batch', 'import'] as const satisfies readonly StepKind[]

/**
 * Takes up to `room` due steps of a lane for `lease`; run through `atomic([], [query])`, which answers the rows taken, in
 * no particular order. The state is tested outside as well as inside, and PostgreSQL locks what it picks: without
 * both, eight claimers took 92 % of the rows twice.
 */
export function claimQuery(
  store: Store,
  claim: { lane: string; room: number; lease: string; leaseMs: number; share?: Share | undefined },
): Query {
  const { share } = claim
  const due = store.db
    .selectFrom('steps')
    .select('id')
    .where('lane', '=', claim.lane)
    .where('state', '=', sql.lit('waiting'))
    .where('due_at', '<=', store.clock)
    .$if(share !== undefined, (query) =>
      query.where(
        'kind',
        share === 'recordings' ? 'in' : 'not in',
        STREAMING.map((kind) => sql.lit(kind)),
      ),
    )
    .orderBy('due_at')
    .limit(claim.room)
    .$if(store.dialect === 'postgres', (query) => query.forUpdate().skipLocked())
  return store.db
    .updateTable('steps')
    .set({
      state: 'working',
      lease: claim.lease,
      lease_until: sql<number>`${store.clock} + ${claim.leaseMs}`,
      updated_at: store.clock,
    })
    .where('state', '=', sql.lit('waiting'))
    .where(oneOf(store, due))
    .returningAll()
}

/** Lengthens a lease that still holds, from now. Answers one row with its new end, or none: then it is lost. */
export function renewQuery(store: Store, held: { step: string; lease: string; leaseMs: number }): Query {
  return store.db
    .updateTable('steps')
    .set({ lease_until: sql<number>`${store.clock} + ${held.leaseMs}` })
    .where('id', '=', held.step)
    .where('lease', '=', held.lease)
    .where('state', '=', sql.lit('working'))
    .where('lease_until', '>', store.clock)
    .returning(['id', 'lease_until'])
}

/** Frees up to `room` steps whose worker is gone and counts the crash; answers them. For the sweep. */
export function expireQuery(store: Store, room: number): Query {
  const gone = store.db
    .selectFrom('steps')
    .select('id')
    .where('state', '=', sql.lit('working'))
    .where('lease_until', '<=', store.clock)
    .orderBy('lease_until')
    .limit(room)
    .$if(store.dialect === 'postgres', (query) => query.forUpdate().skipLocked())
  return store.db
    .updateTable('steps')
    .set((step) => ({
      state: 'waiting',
      lease: null,
      lease_until: null,
      crashes: step('crashes', '+', 1),
      updated_at: store.clock,
    }))
    .where('state', '=', sql.lit('working'))
    .where('lease_until', '<=', store.clock)
    .where(oneOf(store, gone))
    .returningAll()
}

/** On PostgreSQL as an array, which is made once: a subselect it may run again for every row, each time locking others. */
function oneOf({ dialect }: Store, ids: SelectQueryBuilder<Schema, 'steps', { id: string }>) {
  return (is: ExpressionBuilder<Schema, 'steps'>) =>
    dialect === 'postgres' ? sql<boolean>`id = any(array${ids})` : is('id', 'in', ids)
}
