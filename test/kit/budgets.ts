import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Budgets } from '../../src/connector/budgets.ts'
import type { Budget } from '../../src/connector/contract.ts'

/** What all request budgets must do, wherever the counts are kept. */

export interface BudgetsUnderTest {
  /** Without any takes, on a clock that is set by hand. */
  open(now: () => number): Budgets
  /** How much longer than the window a take may count: 0 where each has its own time. */
  slackMs(windowMs: number): number
  /** Games played per property: fewer where every take is a commit. */
  runs?: number
}

export const fixed = (limit: number, windowMs: number): Budget => ({ limit, windowMs, window: 'fixed' })
export const rolling = (limit: number, windowMs: number): Budget => ({ limit, windowMs, window: 'rolling' })

/** A budget, a start, and requests some thousandths of a window apart. */
const plays = [
  fc.integer({ min: 1, max: 8 }),
  fc.oneof(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1001, max: 100_000_000 })),
  fc.integer({ min: 0, max: 200_000_000 }),
  fc.array(fc.integer({ min: 0, max: 600 }), { maxLength: 60 }),
] as const

export function budgetsKit(name: string, { open, slackMs, runs = 300 }: BudgetsUnderTest): void {
  /** Plays the requests; a refused one comes again when the budget said, or just goes. */
  async function play(budget: Budget, start: number, gaps: number[], patient: boolean) {
    let now = start
    const budgets = open(() => now)
    const taken: number[] = []
    for (const gap of gaps) {
      now += Math.round((gap * budget.windowMs) / 1000)
      const ms = await budgets.take('a', 'default', budget)
      if (ms > 0) {
        expect(ms, 'nobody waits for more than a window').toBeLessThanOrEqual(
          budget.windowMs + slackMs(budget.windowMs),
        )
        if (patient) {
          now += ms
          expect(await budgets.take('a', 'default', budget), 'the named delay is enough').toBe(0)
        } else if (budget.window === 'rolling') {
          const from = now - budget.windowMs - slackMs(budget.windowMs)
          expect(
            taken.filter((at) => at > from).length,
            'a refused one was one too many',
          ).toBeGreaterThanOrEqual(budget.limit)
        }
      }
      if (ms === 0 || patient) taken.push(now)
    }
    return taken
  }

  describe(`${name}: a fixed window`, () => {
    it('never lets more than the limit through in any window of the wall clock', async () => {
      await fc.assert(
        fc.asyncProperty(...plays, fc.boolean(), async (limit, windowMs, start, gaps, patient) => {
          const taken = await play(fixed(limit, windowMs), start, gaps, patient)
          const perWindow = Map.groupBy(taken, (at) => Math.floor(at / windowMs))
          for (const group of perWindow.values()) expect(group.length).toBeLessThanOrEqual(limit)
        }),
        { numRuns: runs },
      )
    })

    it('is aligned to the clock, not to the first request', async () => {
      let now = 59_000
      const budgets = open(() => now)
      expect(await budgets.take('a', 'default', fixed(1, 60_000))).toBe(0)
      expect(await budgets.take('a', 'default', fixed(1, 60_000))).toBe(1000)
      now = 60_000
      expect(await budgets.take('a', 'default', fixed(1, 60_000))).toBe(0)
    })

    it('keeps its count when the clock is set back, and waits for no more than a window', async () => {
      let now = 600_000
      const budgets = open(() => now)
      expect(await budgets.take('a', 'default', fixed(1, 60_000))).toBe(0)
      now = 30_000
      expect(await budgets.take('a', 'default', fixed(1, 60_000))).toBe(30_000)
      now = 60_000
      expect(await budgets.take('a', 'default', fixed(1, 60_000))).toBe(0)
    })
  })

  describe(`${name}: a rolling window`, () => {
    it('never lets more than the limit through in any span of its length, and refuses no other', async () => {
      await fc.assert(
        fc.asyncProperty(...plays, fc.boolean(), async (limit, windowMs, start, gaps, patient) => {
          const taken = await play(rolling(limit, windowMs), start, gaps, patient)
          for (const from of taken) {
            const inSpan = taken.filter((at) => at >= from && at < from + windowMs)
            expect(inSpan.length).toBeLessThanOrEqual(limit)
          }
        }),
        { numRuns: runs },
      )
    })

    it('forgives a clock that was set back within a window', async () => {
      let now = 600_000
      const budgets = open(() => now)
      const take = () => budgets.take('a', 'default', rolling(2, 1000))
      expect([await take(), await take()]).toEqual([0, 0])
      now = 5000
      const ms = await take()
      expect(ms).toBeGreaterThanOrEqual(1000)
      expect(ms).toBeLessThanOrEqual(1000 + slackMs(1000))
      now += ms
      expect(await take()).toBe(0)
    })
  })

  it(`${name}: a limit of none lets nothing through`, async () => {
    const budgets = open(() => 0)
    expect(await budgets.take('a', 'default', rolling(0, 1000))).toBe(1000)
    expect(await budgets.take('a', 'default', fixed(0, 1000))).toBe(1000)
  })

  it(`${name}: connections, buckets and kinds of window do not share`, async () => {
    const budgets = open(() => 0)
    for (const window of [fixed(1, 1000), rolling(1, 1000)]) {
      expect(await budgets.take('a', 'default', window)).toBe(0)
      expect(await budgets.take('a', 'default', window)).toBeGreaterThan(0)
      expect(await budgets.take('a', 'search', window)).toBe(0)
      expect(await budgets.take('b', 'default', window)).toBe(0)
    }
  })
}
