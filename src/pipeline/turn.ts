import { sql } from 'kysely'
import type { Store } from '../store/port.ts'

/** The row that says who sweeps, and when anybody did last. */
const ROW = 'sweep'

/**
 * Whose turn it is to sweep. Workers share one row: whoever holds it keeps it by going on, and it is anybody's when its
 * holder has not swept for `turnMs` by the store's clock. So one of them sweeps at a time, and one that dies delays the
 * next sweep by one turn. What is swept is guarded by itself: should two overlap, they only do needless work.
 */
export interface Turn {
  /** Answers whether it is ours. `over` takes it from whoever has it: the last one to start has the newest configuration. */
  take(over?: boolean): Promise<boolean>
}

/** A turn that one process at a time has, by a row of `settings`. */
export function createTurn(store: Pick<Store, 'db' | 'clock' | 'atomic'>, turnMs: number): Turn {
  const { db, clock } = store
  const me = crypto.randomUUID()
  const holder = db
    .selectFrom('settings')
    .select(['value', sql<number>`${clock} - updated_at`.as('ms')])
    .where('name', '=', ROW)
  const isFree = sql<boolean>`(settings.value = excluded.value
    or settings.updated_at <= excluded.updated_at - ${turnMs})`

  return {
    async take(over = false) {
      const row = await holder.executeTakeFirst()
      // Those who stand by write nothing, and whoever holds it writes only when half of it is over.
      if (row && !over) {
        const isMine = row.value === me
        if (!isMine && Number(row.ms) < turnMs) return false
        if (isMine && Number(row.ms) < turnMs / 2) return true
      }
      const result = await store.atomic([], [claim(over)])
      return result !== 'lost' && result[0]?.length === 1
    },
  }

  function claim(over: boolean) {
    return db
      .insertInto('settings')
      .values({ name: ROW, value: me, updated_at: clock })
      .onConflict((conflict) => {
        const update = conflict.column('name').doUpdateSet((eb) => ({
          value: eb.ref('excluded.value'),
          updated_at: eb.ref('excluded.updated_at'),
        }))
        if (over) return update
        return update.where(isFree)
      })
      .returning('name')
  }
}

/** How long ago anybody swept, in ms; null: never. */
export async function sinceSweep({ db, clock }: Pick<Store, 'db' | 'clock'>): Promise<number | null> {
  const row = await db
    .selectFrom('settings')
    .select(sql<number>`${clock} - updated_at`.as('ms'))
    .where('name', '=', ROW)
    .executeTakeFirst()
  return row ? Math.max(0, Number(row.ms)) : null
}
