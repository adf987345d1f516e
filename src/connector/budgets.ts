import type { Budget } from './contract.ts'

/**
 * Request budgets: vendors limit requests, a step makes several, and all steps of a connection share the limit. In
 * memory for one process; a shared store keeps them where several processes use one account.
 */
export interface Budgets {
  /** Takes one request. Answers 0 when it may be sent now, else the ms after which asking again makes sense. */
  take(connection: string, bucket: string, budget: Budget): number | Promise<number>
}

interface Counter {
  take(now: number): number
}

/** Budgets of one process. Memory: one counter per connection and bucket, at most `limit` numbers in a rolling one. */
export function createMemoryBudgets({ now }: { now: () => number }): Budgets {
  const counters = new Map<string, Counter>()
  return {
    take(connection, bucket, budget) {
      // The budget is part of the key: a changed limit starts a new counter instead of misreading the old one.
      const key = JSON.stringify([connection, bucket, budget.window, budget.limit, budget.windowMs])
      let counter = counters.get(key)
      if (!counter) {
        counter = budget.window === 'fixed' ? fixedWindow(budget) : rollingWindow(budget)
        counters.set(key, counter)
      }
      return counter.take(now())
    },
  }
}

/** The vendor counts per window of the wall clock (minute, day). */
function fixedWindow({ limit, windowMs }: Budget): Counter {
  let start = Number.NEGATIVE_INFINITY
  let count = 0
  return {
    take(now) {
      const current = Math.floor(now / windowMs) * windowMs
      if (current > start) count = 0
      // A clock that was set back keeps the count: at worst one window is waited for, never overrun.
      start = current
      if (count < limit) {
        count += 1
        return 0
      }
      return start + windowMs - now
    },
  }
}

/** The vendor counts any span of the window's length: the take `limit` takes ago must be that old. */
function rollingWindow({ limit, windowMs }: Budget): Counter {
  let taken: number[] = []
  let next = 0
  let last = Number.NEGATIVE_INFINITY
  return {
    take(now) {
      if (limit < 1) return windowMs
      // After a clock was set back, earlier takes count as just made instead of blocking until the old time returns.
      if (now < last) taken = taken.map((at) => Math.min(at, now))
      last = now
      const oldest = taken[next]
      if (oldest !== undefined && now - oldest < windowMs) return oldest + windowMs - now
      taken[next] = now
      next = (next + 1) % limit
      return 0
    },
  }
}
