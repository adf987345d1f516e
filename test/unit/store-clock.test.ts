import { expect, it, vi } from 'vitest'
import { createStoreClock } from '../../src/node/store-clock.ts'

it('tells the store’s time whatever this machine’s clock says, and carries it on by itself', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  const realNow = Date.now
  try {
    let counter = 500
    let storeAt = 1_000_000
    const clock = await createStoreClock({ now: async () => storeAt }, () => counter)
    Date.now = () => 7
    expect(clock.now()).toBe(1_000_000)
    counter += 2_500
    expect(clock.now()).toBe(1_002_500)

    // The counter was slow: the next answer of the store counts.
    storeAt = 1_013_000
    await vi.advanceTimersByTimeAsync(10_000)
    expect(clock.now()).toBe(1_013_000)
    clock.close()
  } finally {
    Date.now = realNow
    vi.useRealTimers()
  }
})

it('goes on while the store is away', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  try {
    let counter = 0
    let isAway = false
    const store = { now: () => (isAway ? Promise.reject(new Error('away')) : Promise.resolve(5_000)) }
    const clock = await createStoreClock(store, () => counter)
    isAway = true
    counter = 25_000
    await vi.advanceTimersByTimeAsync(20_000)
    expect(clock.now()).toBe(30_000)
    clock.close()
  } finally {
    vi.useRealTimers()
  }
})

it('takes the middle of the way for the moment of the answer', async () => {
  let counter = 0
  const store = {
    now: async () => {
      counter += 40
      return 1_000
    },
  }
  const clock = await createStoreClock(store, () => counter)
  expect(clock.now()).toBe(1_020)
  clock.close()
})
