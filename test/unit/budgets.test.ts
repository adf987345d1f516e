import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createMemoryBudgets } from '../../src/connector/budgets.ts'
import type { Budget } from '../../src/connector/contract.ts'

const fixed = (limit: number, windowMs: number): Budget => ({ limit, windowMs, window: 'fixed' })
const rolling = (limit: number, windowMs: number): Budget => ({ limit, windowMs, window: 'rolling' })

/** Plays requests that come after the given gaps; a refused one comes again when the budget said, or just goes. */
async function play(budget: Budget, start: number, gaps: number[], patient: boolean) {
  let now = start
  const budgets = createMemoryBudgets({ now: () => now })
  const taken: number[] = []
  for (const gap of gaps) {
    now += gap
    const ms = await budgets.take('a', 'default', budget)
    if (ms > 0 && patient) {
      now += ms
      expect(await budgets.take('a', 'default', budget), 'the named delay is enough').toBe(0)
    }
    if (ms === 0 || patient) taken.push(now)
  }
  return taken
}

const plays = [
  fc.integer({ min: 1, max: 8 }),
  fc.integer({ min: 1, max: 1000 }),
  fc.integer({ min: 0, max: 5000 }),
  fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 80 }),
] as const

describe('a fixed window', () => {
  it('never lets more than the limit through in any window of the wall clock', async () => {
    await fc.assert(
      fc.asyncProperty(...plays, fc.boolean(), async (limit, windowMs, start, gaps, patient) => {
        const taken = await play(fixed(limit, windowMs), start, gaps, patient)
        const perWindow = Map.groupBy(taken, (at) => Math.floor(at / windowMs))
        for (const group of perWindow.values()) expect(group.length).toBeLessThanOrEqual(limit)
      }),
    )
  })

  it('is aligned to the clock, not to the first request', () => {
    let now = 59_000
    const budgets = createMemoryBudgets({ now: () => now })
    expect(budgets.take('a', 'default', fixed(1, 60_000))).toBe(0)
    expect(budgets.take('a', 'default', fixed(1, 60_000))).toBe(1000)
    now = 60_000
    expect(budgets.take('a', 'default', fixed(1, 60_000))).toBe(0)
  })

  it('keeps its count when the clock is set back, and waits for no more than a window', () => {
    let now = 600_000
    const budgets = createMemoryBudgets({ now: () => now })
    expect(budgets.take('a', 'default', fixed(1, 60_000))).toBe(0)
    now = 30_000
    expect(budgets.take('a', 'default', fixed(1, 60_000))).toBe(30_000)
    now = 60_000
    expect(budgets.take('a', 'default', fixed(1, 60_000))).toBe(0)
  })
})

describe('a rolling window', () => {
  it('never lets more than the limit through in any span of its length', async () => {
    await fc.assert(
      fc.asyncProperty(...plays, fc.boolean(), async (limit, windowMs, start, gaps, patient) => {
        const taken = await play(rolling(limit, windowMs), start, gaps, patient)
        for (const from of taken) {
          const inSpan = taken.filter((at) => at >= from && at < from + windowMs)
          expect(inSpan.length).toBeLessThanOrEqual(limit)
        }
      }),
    )
  })

  it('wastes nothing: what is refused would have been one too many', async () => {
    await fc.assert(
      fc.asyncProperty(...plays, async (limit, windowMs, start, gaps) => {
        let now = start
        const budgets = createMemoryBudgets({ now: () => now })
        const taken: number[] = []
        for (const gap of gaps) {
          now += gap
          const recent = taken.filter((at) => at > now - windowMs).length
          const ms = await budgets.take('a', 'default', rolling(limit, windowMs))
          expect(ms === 0).toBe(recent < limit)
          if (ms === 0) taken.push(now)
        }
      }),
    )
  })

  it('forgives a clock that was set back within a window', () => {
    let now = 600_000
    const budgets = createMemoryBudgets({ now: () => now })
    expect(budgets.take('a', 'default', rolling(2, 1000))).toBe(0)
    expect(budgets.take('a', 'default', rolling(2, 1000))).toBe(0)
    now = 5000
    expect(budgets.take('a', 'default', rolling(2, 1000))).toBe(1000)
    now = 6000
    expect(budgets.take('a', 'default', rolling(2, 1000))).toBe(0)
  })

  it('with a limit of none lets nothing through', () => {
    const budgets = createMemoryBudgets({ now: () => 0 })
    expect(budgets.take('a', 'default', rolling(0, 1000))).toBe(1000)
    expect(budgets.take('a', 'default', fixed(0, 1000))).toBe(1000)
  })
})

it('connections and buckets do not share, and a changed limit counts anew', () => {
  const budgets = createMemoryBudgets({ now: () => 0 })
  const one = fixed(1, 1000)
  expect(budgets.take('a', 'default', one)).toBe(0)
  expect(budgets.take('a', 'default', one)).toBe(1000)
  expect(budgets.take('a', 'search', one)).toBe(0)
  expect(budgets.take('b', 'default', one)).toBe(0)
  expect(budgets.take('a', 'default', fixed(2, 1000))).toBe(0)
})
