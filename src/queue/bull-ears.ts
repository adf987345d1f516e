import { Worker } from 'bullmq'
import type { Log } from '../connector/contract.ts'
import { connectRedis, type RedisClient } from '../node/redis.ts'
import { bullPrefix } from './bull-bells.ts'

/**
 * Hears bells: one BullMQ worker per lane. Its job is over when the bell has been heard, so that it holds nobody up and
 * nothing is lost with it. Each worker blocks a connection of its own; they share one more for everything else.
 */
export interface Ears {
  /** Deaf: the bells of this lane are for others, or wait in Redis. Takes effect with the loop's next turn. */
  setDeaf(lane: string, deaf: boolean): void
  close(): Promise<void>
}

export interface EarsOptions {
  url: string
  prefix: string
  lanes: readonly string[]
  log: Log
  heard(lane: string): void
}

/** A bell whose hearer died between taking and finishing it keeps its lane silent for up to both. */
const LOCK_MS = 5_000
const STALLED_MS = 5_000
/** Bells that were not heard to the end are rung again, ever again: there is nothing wrong with them. */
const EVER = 1_000_000_000
const RETRY_MS = 1_000
/** A Redis that answers ends a worker in a few ms. */
const CLOSE_MS = 1_000

export function openEars({ url, prefix, lanes, log, heard }: EarsOptions): Ears {
  const redis = connectRedis({ url, log, role: 'blocking' })
  const copies = collectCopies(redis)
  const deaf = new Map<string, boolean>()
  const deafNow = new Set<string>()
  const workers = new Map(lanes.map((lane) => [lane, openWorker(lane)]))
  /** Fractions of a second in blocking commands came with Redis 6: without them delayed bells are up to a second late. */
  const hasFractions = redis.info('server').then(
    (info) => !/^redis_version:[1-5]\./m.test(info),
    () => false,
  )
  let applying = false
  let closed = false

  function openWorker(lane: string): Worker {
    const worker = new Worker(lane, async () => heard(lane), {
      connection: redis,
      prefix: bullPrefix(prefix),
      skipVersionCheck: true,
      concurrency: 1,
      lockDuration: LOCK_MS,
      skipLockRenewal: true,
      stalledInterval: STALLED_MS,
      maxStalledCount: EVER,
      runRetryDelay: RETRY_MS,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
    })
    // A bell that vanishes while it is heard (FLUSHALL) and a lost connection: both mend themselves.
    worker.on('error', (error) => {
      if (redis.status === 'ready') log.debug('hearing a bell failed', { lane, error: error.name })
    })
    void refine(worker)
    return worker
  }

  async function refine(worker: Worker): Promise<void> {
    try {
      await worker.waitUntilReady()
      const { blockingConnection } = worker.getBackend()
      if (blockingConnection && (await hasFractions)) blockingConnection.capabilities.canDoubleTimeout = true
    } catch {
      // Closed before Redis ever answered.
    }
  }

  /** Not at once: BullMQ's loop must have come to rest after what it did last, or a resume passes it by. */
  function apply(): void {
    applying = false
    if (closed) return
    for (const [lane, wanted] of deaf) {
      const worker = workers.get(lane)
      if (worker === undefined || wanted === deafNow.has(lane)) continue
      if (wanted) deafNow.add(lane)
      else deafNow.delete(lane)
      const change = wanted ? worker.pause(true) : worker.resume()
      change.catch(() => undefined)
    }
    deaf.clear()
  }

  return {
    setDeaf(lane, wanted) {
      deaf.set(lane, wanted)
      if (applying) return
      applying = true
      setImmediate(apply)
    },
    async close() {
      if (closed) return
      closed = true
      const answers = redis.status === 'ready'
      const ends = Promise.allSettled([...workers.values()].map((worker) => worker.close(!answers)))
      if (answers) await within(CLOSE_MS, ends)
      // Whatever still waits for Redis is refused with its connection.
      for (const client of [redis, ...copies]) client.disconnect()
      await within(CLOSE_MS, ends)
    },
  }
}

/** BullMQ makes a copy of the connection for each worker; who holds them can end them, whatever they wait for. */
function collectCopies(redis: RedisClient): Set<RedisClient> {
  const copies = new Set<RedisClient>()
  const duplicate = redis.duplicate.bind(redis) as (...args: unknown[]) => RedisClient
  const collecting = (...args: unknown[]) => {
    const copy = duplicate(...args)
    copy.on('error', () => undefined)
    copies.add(copy)
    return copy
  }
  redis.duplicate = collecting as typeof redis.duplicate
  return copies
}

async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([work, late])
  clearTimeout(timer)
}
