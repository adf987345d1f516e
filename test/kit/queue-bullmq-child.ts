import { createBullQueue } from '../../src/queue/bullmq.ts'
import type { Bell } from '../../src/queue/port.ts'

/**
 * A process with a queue of its own. Its parent is the store: it asks it for steps, and is told which have ended. After
 * `stop` nothing keeps it alive, so it ends by itself.
 */
export type ToChild = { wake: Bell[] } | { given: number; steps: number } | { end: number } | { stop: number }
export type FromChild = { ready: true } | { asks: number; lane: string; room: number }

const [url = '', prefix = '', places = '0', ...lanes] = process.argv.slice(2)
const silent = () => undefined
const log = { debug: silent, info: silent, warn: silent, error: silent }
const queue = createBullQueue({ redis: url, prefix, lanes, now: Date.now, log })
const asking = new Map<number, (steps: Promise<void>[]) => void>()
const running: Array<() => void> = []
let asked = 0

const say = (message: FromChild) => process.send?.(message)

/** Before the next message, which may end them. */
function give({ given, steps }: { given: number; steps: number }): void {
  const ends = Array.from({ length: steps }, () => Promise.withResolvers<void>())
  running.push(...ends.map(({ resolve }) => resolve))
  asking.get(given)?.(ends.map(({ promise }) => promise))
}

process.on('message', (message: ToChild) => {
  if ('wake' in message) queue.wake(message.wake)
  else if ('given' in message) give(message)
  else if ('end' in message) for (const end of running.splice(0, message.end)) end()
  else void queue.stop(message.stop).then(() => process.disconnect?.())
})

if (places !== '0') {
  queue.work(
    async (lane, room) => {
      asked += 1
      const { promise, resolve } = Promise.withResolvers<Promise<void>[]>()
      asking.set(asked, resolve)
      say({ asks: asked, lane, room })
      return promise
    },
    () => Number(places),
  )
}
say({ ready: true })
