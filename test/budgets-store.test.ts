import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Budgets } from '../src/connector/budgets.ts'
import type { Budget } from '../src/connector/contract.ts'
import type { Store } from '../src/store/port.ts'
import { openSqliteStore } from '../src/store/sqlite.ts'
import { createStoreBudgets } from '../src/store/store-budgets.ts'
import { budgetsKit, fixed, rolling } from './kit/budgets.ts'
import { openTemp } from './kit/store-postgres.ts'

interface Opened {
  store: Store
  drop(): Promise<void>
}
type Open = (clock?: () => number) => Promise<Opened>

const openers: [string, Open][] = [
  [
    'SQLite',
    async (clock) => {
      const folder = await mkdtemp(join(tmpdir(), 'cordboard-budgets-'))
      const store = await openSqliteStore({
        file: join(folder, 'cordboard.db'),
        ...(clock === undefined ? {} : { clock }),
      })
      await store.migrate()
      const drop = async () => {
        await store.close()
        await rm(folder, { recursive: true })
      }
      return { store, drop }
    },
  ],
  ['PostgreSQL', (clock) => openTemp(clock === undefined ? {} : { clock })],
]

const never = () => 1
const always = () => 0

/** How many of `tries` at once are let through. */
async function through(budgets: Budgets, budget: Budget, tries: number): Promise<number> {
  const waits = await Promise.all(Array.from({ length: tries }, () => budgets.take('crm', 'default', budget)))
  return waits.filter((ms) => ms === 0).length
}

for (const [name, open] of openers) {
  let opened: Opened | undefined
  let now = 0
  let games = 0
  beforeAll(async () => {
    opened = await open(() => Math.trunc(now))
  }, 60_000)
  afterAll(() => opened?.drop())

  const storeOf = () => {
    if (!opened) throw new Error('the store was not opened')
    return opened.store
  }

  budgetsKit(`in ${name}`, {
    open(clock) {
      games += 1
      const game = `game ${games}: `
      const budgets = createStoreBudgets({ store: storeOf(), random: never })
      return {
        take(connection, bucket, budget) {
          now = clock()
          return budgets.take(game + connection, bucket, budget)
        },
      }
    },
    slackMs: () => 0,
    runs: 150,
  })

  describe(`in ${name}`, () => {
    const at = (ms: number) => {
      now = ms
    }
    const START = Date.UTC(2026, 10, 20, 12)
    const fresh = (random = never) => {
      games += 1
      const budgets = createStoreBudgets({ store: storeOf(), random })
      const take = (budget: Budget, bucket = 'default') => budgets.take(`game ${games}`, bucket, budget)
      return { ...budgets, take }
    }

    it('a larger rolling budget is counted in lumps: never too much in any span, hardly ever too little', async () => {
      const { take } = fresh()
      const budget = rolling(1_001, 1_000_000)
      const taken: number[] = []
      at(START)
      for (let n = 0; n < 1_010; n++) {
        at(START + n * 300)
        if ((await take(budget)) === 0) taken.push(now)
      }
      // 500 lumps of two.
      expect(taken).toHaveLength(1_000)
      const wait = await take(budget)
      at(now + wait - 1)
      expect(await take(budget)).toBe(1)
      at(now + 1)
      expect(await take(budget)).toBe(0)
      // The first lump's last take was made then.
      expect(now).toBe(START + 300 + 1_000_000)
    })

    it('a lowered limit holds at once, for what was taken before as well', async () => {
      const { take } = fresh()
      for (let n = 0; n < 10; n++) {
        at(START + n * 50)
        expect(await take(rolling(10, 10_000))).toBe(0)
      }
      const wait = await take(rolling(3, 10_000))
      at(now + wait - 1)
      expect(await take(rolling(3, 10_000))).toBe(1)
      at(now + 1)
      expect(await take(rolling(3, 10_000))).toBe(0)
      expect(now).toBe(START + 7 * 50 + 10_000)
    })

    it('a statement that read the clock before it got its row does not make time go faster', async () => {
      const { take } = fresh()
      const budget = rolling(3, 1_000)
      const taken: number[] = []
      for (let n = 0; n < 200; n++) {
        // Each second one is 20 ms late.
        at(START + n * 40 - (n % 2) * 60)
        if ((await take(budget)) === 0) taken.push(START + n * 40)
      }
      for (const from of taken)
        expect(taken.filter((one) => one >= from && one < from + 940).length).toBeLessThanOrEqual(3)
      const clock = fresh()
      at(60_000 * 100)
      expect([await clock.take(fixed(2, 60_000)), await clock.take(fixed(2, 60_000))]).toEqual([0, 0])
      at(60_000 * 100 - 5)
      expect(await clock.take(fixed(2, 60_000))).toBe(60_005)
      at(60_000 * 100 + 1)
      expect(await clock.take(fixed(2, 60_000))).toBe(59_999)
    })

    it('is one row each, and those that nobody takes from any more go', async () => {
      await storeOf().atomic([], [storeOf().db.deleteFrom('budgets')])
      const { take } = fresh(always)
      const count = async () => (await storeOf().db.selectFrom('budgets').select('name').execute()).length
      at(START)
      for (let n = 0; n < 30; n++) {
        at(START + n * 200)
        await take(rolling(10, 1_000), 'search')
        await take(fixed(10, 1_000))
      }
      expect(await count()).toBe(2)
      const { log } = await storeOf()
        .db.selectFrom('budgets')
        .select('log')
        .where('log', '<>', '')
        .executeTakeFirstOrThrow()
      expect(log).toHaveLength(10 * 16)
      at(START + 29 * 200 + 86_400_000)
      await take(fixed(10, 1_000))
      expect(await count()).toBe(2)
      at(START + 29 * 200 + 86_402_000)
      await take(fixed(10, 1_000))
      expect(await count()).toBe(1)
    })
  })

  describe(`in ${name}, by its own clock`, () => {
    it('workers that take at once never get more than the limit together', async () => {
      const { store, drop } = await open()
      try {
        const workers = [1, 2, 3].map(() => createStoreBudgets({ store, random: always }))
        for (const budget of [fixed(10, 1e12), rolling(10, 3_600_000)]) {
          const each = await Promise.all(workers.map((budgets) => through(budgets, budget, 20)))
          expect(each.reduce((sum, count) => sum + count)).toBe(10)
        }
      } finally {
        await drop()
      }
    })

    it('a store that fails lets nothing through and says so', async () => {
      const { store, drop } = await open()
      const budgets = createStoreBudgets({ store, random: never })
      await drop()
      await expect(budgets.take('crm', 'default', rolling(10, 1_000))).rejects.toMatchObject({
        code: 'storage_unavailable',
      })
    })
  })
}
