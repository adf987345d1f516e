import { expect, it } from 'vitest'
import { createInProcessQueue } from '../src/queue/in-process.ts'
import { type OpenedQueue, queueKit } from './kit/queue.ts'

/** The queue on timers that are moved by hand. */
function openByHand(): OpenedQueue & { timers(): number } {
  let time = Date.UTC(2026, 2, 2, 9)
  const timers = new Map<object, { at: number; run: () => void }>()
  const logged: string[] = []
  const queue = createInProcessQueue({
    now: () => time,
    log: { error: (message, fields) => logged.push(`${message}: ${fields?.says}`) },
    setTimer(run, ms) {
      const timer = {}
      timers.set(timer, { at: time + ms, run })
      return () => timers.delete(timer)
    },
  })
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
  const turns = async () => {
    for (let n = 0; n < 5; n++) await turn()
  }
  return {
    queue,
    now: () => time,
    async pass(ms) {
      const end = time + ms
      await turns()
      for (;;) {
        const [next] = [...timers].sort(([, a], [, b]) => a.at - b.at)
        if (next === undefined || next[1].at > end) break
        const [timer, { at, run }] = next
        timers.delete(timer)
        time = Math.max(time, at)
        run()
        await turns()
      }
      time = end
      await turns()
    },
    async until(so) {
      for (let n = 0; !so(); n++) {
        expect(n, 'it never happened').toBeLessThan(1_000)
        await turn()
      }
    },
    errors: () => logged,
    drop: () => Promise.resolve(),
    timers: () => timers.size,
  }
}

queueKit('in process', () => Promise.resolve(openByHand()))

it('keeps one timer per lane and forgets the farthest when there are too many', async () => {
  const { queue, now, pass, timers } = openByHand()
  let takes = 0
  queue.work(
    () => {
      takes += 1
      return Promise.resolve([])
    },
    () => 1,
  )
  const start = now()
  queue.wake(Array.from({ length: 1_200 }, (_, n) => ({ step: 's', lane: 'a', dueAt: start + 1_200 - n })))
  expect(timers()).toBe(1)
  await pass(5_000)
  expect(takes).toBe(1_000)
  expect(timers()).toBe(0)
})

it('rings after a delay that is longer than a timer can be', async () => {
  const { queue, now, pass } = openByHand()
  const DAY = 24 * 3_600_000
  const rung: number[] = []
  queue.work(
    () => {
      rung.push(now())
      return Promise.resolve([])
    },
    () => 1,
  )
  const dueAt = now() + 40 * DAY
  queue.wake([{ step: 's', lane: 'a', dueAt }])
  await pass(41 * DAY)
  expect(rung).toEqual([dueAt])
})

it('keeps no process alive with its own timers', async () => {
  const queue = createInProcessQueue({ now: Date.now })
  const timersBefore = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
  queue.wake([{ step: 's', lane: 'a', dueAt: Date.now() + 60_000 }])
  const timers = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
  expect(timers).toBe(timersBefore)
  await queue.stop(0)
})
