import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import type { Log } from '../../src/connector/contract.ts'
import { createBullQueue } from '../../src/queue/bullmq.ts'
import type { Queue as Bells } from '../../src/queue/port.ts'
import { freshRedis } from '../services/redis.ts'

/**
 * What waking costs. BullMQ's own rate, a job for each step, added and processed with nothing to do, beside ours: steps that
 * stand in memory, bells through Redis from one queue to another that claims them. Both with 50 places, in one process, on
 * one Redis (REDIS_URL, or one of its own). A bell stands for however many steps: that is the whole difference.
 * `--steps=N` for others.
 */
const STEPS = 20_000
const RUNS = 3
const PLACES = 50
/** Steps per bell: as one commit of webhooks brings them, and the worst there is. */
const BATCHES = [32, 1]
const PAUSES = 200

interface Rate {
  perSecond: number
  /** What Redis was asked. */
  commandsPerStep: number
}

const silent = () => undefined
const log: Log = { debug: silent, info: silent, warn: silent, error: silent }

export async function run(args: string[]): Promise<void> {
  const steps = Number(args.find((arg) => arg.startsWith('--steps='))?.slice(8) ?? STEPS)
  const redis = await freshRedis()
  const client = new Redis(redis.url, { maxRetriesPerRequest: null })
  try {
    const bullmq: Rate[] = []
    const ours = BATCHES.map((): Rate[] => [])
    // In turns, so that whatever else the machine does meets all alike.
    for (let n = 0; n < RUNS; n++) {
      bullmq.push(await measure(client, steps, (count) => jobs(client, `${redis.prefix}-${n}`, count)))
      for (const [index, batch] of BATCHES.entries()) {
        ours[index]?.push(
          await measure(client, steps, (count) =>
            woken(redis.url, `${redis.prefix}-${n}-${batch}`, count, batch),
          ),
        )
      }
    }
    const latency = await oneByOne(redis.url, redis.prefix)
    report(median(bullmq), ours.map(median), latency, steps)
  } finally {
    client.disconnect()
    await redis.drop()
  }
}

function report(bullmq: Rate, ours: readonly Rate[], latency: readonly number[], steps: number): void {
  const line = (name: string, { perSecond, commandsPerStep }: Rate) =>
    console.error(
      `${name.padEnd(32)} ${String(perSecond).padStart(8)} steps/s ${String(commandsPerStep).padStart(8)} commands of Redis per step`,
    )
  line('BullMQ, a job for each step', bullmq)
  for (const [index, rate] of ours.entries()) line(`ours, a bell for ${BATCHES[index]} steps`, rate)
  const [batched, single] = ours
  const ratio = (rate: Rate | undefined) => round((rate?.perSecond ?? Number.NaN) / bullmq.perSecond)
  const sorted = latency.toSorted((a, b) => a - b)
  const at = (share: number) => round(sorted[Math.floor(sorted.length * share)] ?? Number.NaN)
  console.error(
    `ratio ${ratio(single)} (batched ${ratio(batched)}); one bell alone is heard after ${at(0.5)} ms (p99 ${at(0.99)})`,
  )
  const result = {
    bullmq,
    ours: single,
    oursBatched: batched,
    ratio: ratio(single),
    ratioBatched: ratio(batched),
    heardMs: { p50: at(0.5), p99: at(0.99) },
    steps,
    take: 'in memory',
    node: process.version,
  }
  console.log(JSON.stringify(result))
}

async function measure(
  client: Redis,
  steps: number,
  work: (steps: number) => Promise<number>,
): Promise<Rate> {
  const before = await commands(client)
  const ms = await work(steps)
  const asked = (await commands(client)) - before
  return { perSecond: Math.round(steps / (ms / 1000)), commandsPerStep: round(asked / steps) }
}

/** Commands inside of scripts too. */
async function commands(client: Redis): Promise<number> {
  const stats = await client.info('commandstats')
  return [...stats.matchAll(/:calls=(\d+)/g)].reduce((sum, [, calls]) => sum + Number(calls), 0)
}

async function jobs(client: Redis, prefix: string, count: number): Promise<number> {
  const connection = client.duplicate()
  const queue = new Queue('core', { connection, prefix })
  let done = 0
  const { promise, resolve } = Promise.withResolvers<void>()
  const worker = new Worker(
    'core',
    async () => {
      done += 1
      if (done === count) resolve()
    },
    { connection, prefix, concurrency: PLACES, removeOnComplete: { count: 0 } },
  )
  await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()])
  const startedAt = performance.now()
  let added = 0
  await Promise.all(
    Array.from({ length: PLACES }, async () => {
      while (added < count) {
        added += 1
        await queue.add('step', { step: `stp_${added}` })
      }
    }),
  )
  await promise
  const ms = performance.now() - startedAt
  await worker.close()
  await queue.close()
  connection.disconnect()
  return ms
}

/** A queue that rings and one that works, as in two processes. */
async function pair(
  url: string,
  prefix: string,
): Promise<{ web: Bells; worker: Bells; stop(): Promise<void> }> {
  const make = () => createBullQueue({ redis: url, prefix, lanes: ['core'], now: Date.now, log })
  const [web, worker] = [make(), make()]
  while (!web.state().says.startsWith('rings')) await turn()
  const stop = async () => void (await Promise.all([web.stop(0), worker.stop(0)]))
  return { web, worker, stop }
}

async function woken(url: string, prefix: string, count: number, batch: number): Promise<number> {
  const { web, worker, stop } = await pair(url, prefix)
  let waiting = 1
  let done = 0
  const { promise, resolve } = Promise.withResolvers<void>()
  const { promise: warm, resolve: isWarm } = Promise.withResolvers<void>()
  const finish = () => {
    done += 1
    if (done === 1) isWarm()
    if (done === count + 1) resolve()
  }
  worker.work(
    async (_, room) => {
      const taken = Math.min(room, waiting)
      waiting -= taken
      return Array.from({ length: taken }, async () => finish())
    },
    () => PLACES,
  )
  web.wake([{ step: 'stp_0', lane: 'core', dueAt: 0 }])
  await warm
  const startedAt = performance.now()
  for (let added = 0; added < count; ) {
    const more = Math.min(batch, count - added)
    const bells = Array.from({ length: more }, (_, n) => ({
      step: `stp_${added + n}`,
      lane: 'core',
      dueAt: 0,
    }))
    added += more
    waiting += more
    web.wake(bells)
    await turn()
  }
  await promise
  const ms = performance.now() - startedAt
  await stop()
  return ms
}

/** From a bell to the claim, when nothing else is going on. */
async function oneByOne(url: string, prefix: string): Promise<number[]> {
  const { web, worker, stop } = await pair(url, prefix)
  let heard = Promise.withResolvers<void>()
  worker.work(
    async () => {
      heard.resolve()
      return []
    },
    () => PLACES,
  )
  const took: number[] = []
  for (let n = 0; n <= PAUSES; n++) {
    heard = Promise.withResolvers<void>()
    const startedAt = performance.now()
    web.wake([{ step: `stp_${n}`, lane: 'core', dueAt: 0 }])
    await heard.promise
    // The first one also connects the worker.
    if (n > 0) took.push(performance.now() - startedAt)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await stop()
  return took
}

function median(rates: readonly Rate[]): Rate {
  const sorted = rates.toSorted((a, b) => a.perSecond - b.perSecond)
  return sorted[Math.floor(sorted.length / 2)] ?? { perSecond: Number.NaN, commandsPerStep: Number.NaN }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
const round = (value: number): number => Math.round(value * 100) / 100
