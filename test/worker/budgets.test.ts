import { reset } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Budget } from '../../src/connector/contract.ts'
import { type D1Store, openD1Store } from '../../src/store/d1.ts'
import { createStoreBudgets } from '../../src/store/store-budgets.ts'
import { budgetsKit, fixed, rolling } from '../kit/budgets.ts'

/** The request budgets of a Worker: rows of D1, which every invocation takes from by one statement. */

let store: D1Store
let now = 0
let games = 0

beforeAll(async () => {
  store = openD1Store({ database: env.DB, clock: () => Math.trunc(now) })
  await store.migrate()
})
afterAll(async () => {
  await store.close()
  await reset()
})

// Every take is a request to D1: fewer games than where it is a function call.
budgetsKit('in D1', {
  open(clock) {
    games += 1
    const game = `game ${games}: `
    const budgets = createStoreBudgets({ store, random: () => 1 })
    return {
      take(connection, bucket, budget) {
        now = clock()
        return budgets.take(game + connection, bucket, budget)
      },
    }
  },
  slackMs: () => 0,
  runs: 60,
})

describe('budgets in D1, by its own clock', () => {
  it('invocations that take at once never get more than the limit together', async () => {
    const invocations = [1, 2, 3].map(() =>
      createStoreBudgets({ store: openD1Store({ database: env.DB }), random: () => 0 }),
    )
    for (const budget of [fixed(10, 1e12), rolling(10, 3_600_000)]) {
      const take = (of: Budget) => invocations.map((budgets) => budgets.take('crm', 'default', of))
      const waits = await Promise.all(Array.from({ length: 20 }, () => take(budget)).flat())
      expect(waits.filter((ms) => ms === 0)).toHaveLength(10)
      expect(waits.every((ms) => ms >= 0 && ms <= budget.windowMs)).toBe(true)
    }
  })

  it('a database that fails lets nothing through and says so', async () => {
    const answer = () => Promise.reject(new Error('D1_ERROR: Network connection lost.'))
    const statement = { bind: () => statement, all: answer } as unknown as D1PreparedStatement
    const database = { prepare: () => statement, batch: answer } as unknown as D1Database
    const budgets = createStoreBudgets({ store: openD1Store({ database }), random: () => 1 })
    await expect(budgets.take('crm', 'default', rolling(10, 1_000))).rejects.toMatchObject({
      code: 'storage_unavailable',
    })
  })
})
