import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import type { Log } from '../../src/connector/contract.ts'
import { createBullQueue } from '../../src/queue/bullmq.ts'
import type { Queue, Take } from '../../src/queue/port.ts'
import { freshRedis } from '../services/redis.ts'
import type { OpenedQueue } from './queue.ts'
import type { FromChild, ToChild } from './queue-bullmq-child.ts'

export const LANES = ['core', 'slow', 'hubspot', 'other']

export interface Logged {
  log: Log
  /** Of warnings and errors. */
  lines: string[]
}

export function logLines(): Logged {
  const lines: string[] = []
  const line = (level: string) => (message: string, fields?: object) =>
    void lines.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`)
  return {
    log: { debug: () => undefined, info: () => undefined, warn: line('warn'), error: line('error') },
    lines,
  }
}

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** Real servers and their timers are the thing under test: it is looked at until it is so. */
export async function until(so: () => boolean | Promise<boolean>, ms = 10_000): Promise<void> {
  for (const end = Date.now() + ms; !(await so()); ) {
    expect(Date.now(), 'it never happened').toBeLessThan(end)
    await sleep(5)
  }
}

export const answers = (queue: Queue) => until(() => !queue.state().says.startsWith('Redis does not answer'))

/** Nothing but a place where steps can be waiting, for as many queues as like. */
export function heap() {
  const waiting = new Map<string, number>()
  const add = (lane: string, count: number) => waiting.set(lane, (waiting.get(lane) ?? 0) + count)
  const left = (lane: string) => waiting.get(lane) ?? 0
  function worker() {
    const running: Array<() => void> = []
    const asked: string[] = []
    let most = 0
    let taken = 0
    const take: Take = async (lane, room) => {
      asked.push(lane)
      const count = Math.min(room, left(lane))
      add(lane, -count)
      taken += count
      return Array.from({ length: count }, () => {
        const { promise, resolve } = Promise.withResolvers<void>()
        running.push(resolve)
        most = Math.max(most, running.length)
        return promise
      })
    }
    const end = () => running.shift()?.()
    return { take, asked, running, end, taken: () => taken, most: () => most }
  }
  return { add, left, worker }
}

/** `rungBy` another process: whatever rings has to pass through Redis. */
export async function openOnRedis(rungBy: 'itself' | 'another'): Promise<OpenedQueue> {
  const { url, prefix, drop } = await freshRedis()
  const { log, lines } = logLines()
  const options = { redis: url, prefix, lanes: LANES, now: Date.now, log }
  const mine = createBullQueue(options)
  const theirs = rungBy === 'itself' ? null : createBullQueue(options)
  await answers(mine)
  if (theirs) await answers(theirs)
  const queue: Queue = theirs === null ? mine : { ...mine, wake: (bells) => theirs.wake(bells) }
  return {
    queue,
    now: Date.now,
    pass: sleep,
    until,
    errors: () => lines.filter((line) => line.startsWith('error')),
    async drop() {
      await Promise.all([mine.stop(0), theirs?.stop(0)])
      await drop()
    },
  }
}

export interface Child {
  /** Steps that it took and that have not ended. */
  running: number
  asked: number
  tell(message: ToChild): void
  kill(): Promise<void>
  /** Resolves with its exit code, or null after a signal. */
  ended: Promise<number | null>
}

/** Another process that works, or with no places only rings; what it takes comes from `add` and `left`. */
export async function startChild(
  redis: { url: string; prefix: string },
  places: number,
  steps: Pick<ReturnType<typeof heap>, 'add' | 'left'>,
): Promise<Child> {
  const args = [redis.url, redis.prefix, String(places), ...LANES]
  const process = fork(fileURLToPath(new URL('queue-bullmq-child.ts', import.meta.url)), args)
  const { promise: ready, resolve: isReady, reject } = Promise.withResolvers<void>()
  const ended = new Promise<number | null>((resolve) => process.once('exit', resolve))
  process.once('error', reject)
  const child: Child = {
    running: 0,
    asked: 0,
    tell: (message) => {
      if ('end' in message) child.running -= Math.min(message.end, child.running)
      process.send(message)
    },
    async kill() {
      process.kill('SIGKILL')
      await ended
    },
    ended,
  }
  process.on('message', (message: FromChild) => {
    if ('ready' in message) return isReady()
    child.asked += 1
    const count = Math.min(message.room, steps.left(message.lane))
    steps.add(message.lane, -count)
    child.running += count
    child.tell({ given: message.asks, steps: count })
  })
  await ready
  return child
}
