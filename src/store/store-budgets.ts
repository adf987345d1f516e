import { sql } from 'kysely'
import type { Budgets } from '../connector/budgets.ts'
import type { Budget } from '../connector/contract.ts'
import { CordboardError } from '../errors.ts'
import type { Query, Store } from './port.ts'

/**
 * Budgets that all workers of one store share, exactly: one row each, taken by one statement that also answers how long to
 * wait, by the store's clock. For workers that share nothing else, as on Cloudflare.
 *
 * A store that fails lets nothing through: its own error goes on to the step, which counts it as what it is and not as the
 * vendor's limit. Nobody's breaker opens for that.
 */
export interface StoreBudgetsOptions {
  store: Pick<Store, 'db' | 'clock' | 'atomic'>
  random: () => number
}

/**
 * A statement may have waited for its row, and read the clock before: time stands still for it then. Only a clock that is
 * further behind than this was set back.
 */
const SET_BACK_MS = 60_000
/** Rows of budgets that nobody takes from any more go, once in so many takes. */
const FORGET_EVERY = 100
const KEPT_MS = 86_400_000
/** A rolling window is a list of so many instants at most; of a larger budget, each instant is that of several takes. */
const MOST_STAMPS = 1_000
/** Instants in the list, all of one width: milliseconds since 1970, and this. */
const STAMP = { base: 1_000_000_000_000_000, width: 16 } as const

export function createStoreBudgets({ store, random }: StoreBudgetsOptions): Budgets {
  const { db, clock } = store

  return {
    async take(connection, bucket, budget) {
      // Half a request cannot be sent, and less than one would have to be refused for ever.
      const limit = Math.floor(budget.limit)
      if (limit < 1) return budget.windowMs
      // Without the limit: workers whose limits differ for the length of a deployment still share what was taken.
      const name = [connection, bucket, budget.window, budget.windowMs].join(':')
      const take = (budget.window === 'fixed' ? fixed : rolling)(name, { ...budget, limit })
      const rows = await store.atomic([], random() * FORGET_EVERY < 1 ? [take, forget()] : [take])
      const wait = rows === 'lost' ? undefined : rows[0]?.[0]?.wait_ms
      if (wait === undefined) throw new CordboardError('internal', 'Taking a budget answered no row')
      return Number(wait)
    },
  }

  /** The vendor counts per window of the wall clock. A clock that was set back keeps the count. */
  function fixed(name: string, { limit, windowMs }: Budget): Query {
    const statement = sql`
      insert into budgets (name, start_at, used, ahead_ms, log, wait_ms, keep_until)
      select cast(${name} as text), now - now % ${windowMs}, 1, 0, '', 0, now + ${windowMs + KEPT_MS}
      from (select ${clock} as now) as clock where true
      on conflict (name) do update set (start_at, used, wait_ms, keep_until) = (
        select
          start,
          case when start > budgets.start_at then 1 when budgets.used < ${limit} then budgets.used + 1
            else budgets.used end,
          case when start > budgets.start_at or budgets.used < ${limit} then 0 else start + ${windowMs} - now end,
          now + ${windowMs + KEPT_MS}
        from (
          select now, case
            when now < budgets.start_at and now > budgets.start_at - ${SET_BACK_MS} then budgets.start_at
            else now - now % ${windowMs} end as start
          from (select ${clock} as now) as clock
        ) as present)
      returning wait_ms`
    return { compile: () => statement.compile(db) }
  }

  /**
   * The vendor counts any span of the window's length: the take `limit` takes ago must be that old. After a clock was set
   * back the row's own time goes on from the last take, by `ahead_ms`: only differences count here.
   */
  function rolling(name: string, { limit, windowMs }: Budget): Query {
    const each = Math.ceil(limit / MOST_STAMPS)
    const stamps = Math.floor(limit / each)
    const { base, width } = STAMP
    const statement = sql`
      insert into budgets (name, start_at, used, ahead_ms, log, wait_ms, keep_until)
      select cast(${name} as text), 0, 1, 0, cast(cast(now + ${base} as bigint) as text), 0, now + ${windowMs + KEPT_MS}
      from (select ${clock} as now) as clock where true
      on conflict (name) do update set (used, ahead_ms, log, wait_ms, keep_until) = (
        select
          case when budgets.used < ${each} then budgets.used + 1 when wait <= 0 then 1 else budgets.used end,
          ahead,
          case
            when budgets.used < ${each} then substr(budgets.log, 1, length(budgets.log) - ${width}) || stamp
            when wait > 0 then budgets.log
            when length(budgets.log) < ${stamps * width} then budgets.log || stamp
            else substr(budgets.log, length(budgets.log) - ${(stamps - 1) * width} + 1) || stamp end,
          case when budgets.used < ${each} or wait <= 0 then 0 else wait end,
          now + ${windowMs + KEPT_MS}
        from (
          select now, ahead, cast(cast(time + ${base} as bigint) as text) as stamp, case
            when length(budgets.log) < ${stamps * width} then 0
            else cast(substr(budgets.log, length(budgets.log) - ${stamps * width} + 1, ${width}) as bigint)
              - ${base} + ${windowMs} - time end as wait
          from (
            select now, ahead, case when last > now + ahead then last else now + ahead end as time
            from (
              select now, last, case when last - now - budgets.ahead_ms > ${SET_BACK_MS} then last - now
                else budgets.ahead_ms end as ahead
              from (
                select ${clock} as now,
                  cast(substr(budgets.log, length(budgets.log) - ${width} + 1) as bigint) - ${base} as last
              ) as clock
            ) as known
          ) as present
        ) as answer)
      returning wait_ms`
    return { compile: () => statement.compile(db) }
  }

  function forget(): Query {
    return db.deleteFrom('budgets').where('keep_until', '<=', clock)
  }
}
