import { Queue } from 'bullmq'
import type { Log } from '../connector/contract.ts'
import { connectRedis, wordOf } from '../node/redis.ts'

/**
 * Rings in Redis: one BullMQ queue per lane, one waiting bell per lane however often it is rung, nothing in it but that it
 * rang. Never waits for Redis and never throws.
 */
export interface Bells {
  ring(lane: string): void
  /** False: nobody will ring then, because it is too far away or Redis is. */
  ringAt(lane: string, dueAt: number): boolean
  answers(): boolean
  close(): Promise<void>
}

export interface BellsOptions {
  url: string
  prefix: string
  lanes: readonly string[]
  now: () => number
  log: Log
}

/** All keys of all lanes in one slot of a Redis Cluster: the scripts of BullMQ touch several at once. */
export const bullPrefix = (prefix: string): string => `{${prefix}}`

/**
 * Bells for later are rounded up to this and rung for a minute ahead at most, so that a lane has at most 240 of them in
 * Redis. What is due later is found by the sweep, which comes every few seconds.
 */
const GRID_MS = 250
const HORIZON_MS = 60_000
/** What BullMQ remembers of its own doings per lane; nobody reads it. */
const EVENTS_KEPT = 100
const RETRY_MS = 500

export function openBells({ url, prefix, lanes, now, log }: BellsOptions): Bells {
  const redis = connectRedis({ url, log, role: 'commands' })
  const queues = new Map(lanes.map((lane) => [lane, openQueue(lane)]))
  /** Rung in this turn of the loop; sent together. */
  const rung = new Map<string, () => Promise<unknown>>()
  /** Sent and not answered; true when it rang again meanwhile, perhaps too late to be heard with the first. */
  const sent = new Map<string, boolean>()
  /** Lanes that rang while Redis was away: one bell each when it is back. */
  const missed = new Set<string>()
  let bellsMissed = 0
  let flushing = false
  let refused = false
  let retry: NodeJS.Timeout | null = null
  let closed = false
  let quiet: (() => void) | null = null

  function openQueue(lane: string): Queue {
    const queue = new Queue(lane, {
      connection: redis,
      prefix: bullPrefix(prefix),
      skipVersionCheck: true,
      streams: { events: { maxLen: EVENTS_KEPT } },
      defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
    })
    // The connection says once what is wrong; an event that nobody listens to would end the process.
    queue.on('error', () => undefined)
    return queue
  }

  const answers = () => redis.status === 'ready'

  redis.on('ready', ringMissed)

  function ringMissed(): void {
    if (bellsMissed > 0) log.debug('bells rang while Redis took none', { bells: bellsMissed })
    bellsMissed = 0
    const lanesMissed = [...missed]
    missed.clear()
    for (const lane of lanesMissed) ring(lane)
  }

  function ring(lane: string): void {
    const queue = queues.get(lane)
    if (queue === undefined || closed) return
    // A job that is kept, or an id without `keepLastIfActive`, would swallow a bell that rings while one is being heard.
    if (!answers()) miss(lane)
    else send(lane, () => queue.add('bell', {}, { deduplication: { id: 'now', keepLastIfActive: true } }))
  }

  function miss(lane: string): void {
    missed.add(lane)
    bellsMissed += 1
    // Not away, but it takes nothing (no memory, a failover, a node that is connecting): nobody will say when that is over.
    if (answers() && !closed) retry ??= setTimeout(ringAgain, RETRY_MS).unref()
  }

  function ringAgain(): void {
    retry = null
    ringMissed()
  }

  function ringAt(lane: string, dueAt: number): boolean {
    const queue = queues.get(lane)
    if (queue === undefined || closed || !answers() || dueAt - now() > HORIZON_MS) return false
    const at = Math.ceil(dueAt / GRID_MS) * GRID_MS
    send(`${lane} ${at}`, () =>
      queue.add('bell', {}, { delay: Math.max(0, at - now()), deduplication: { id: `at-${at}` } }),
    )
    return true
  }

  function send(key: string, add: () => Promise<unknown>): void {
    rung.set(key, add)
    if (flushing) return
    flushing = true
    setImmediate(flush)
  }

  function flush(): void {
    flushing = false
    for (const [key, add] of rung) {
      if (sent.has(key)) sent.set(key, true)
      else void deliver(key, add)
    }
    rung.clear()
  }

  /** Never rejects. */
  async function deliver(key: string, add: () => Promise<unknown>): Promise<void> {
    do {
      sent.set(key, false)
      try {
        await add()
        refused = false
      } catch (error) {
        if (queues.has(key)) miss(key)
        // What the connection is to blame for, it has told itself.
        if (answers() && !refused)
          log.warn('Redis takes no bells; work goes on without them', { says: wordOf(error) })
        refused = answers()
        break
      }
    } while (sent.get(key) === true)
    sent.delete(key)
    if (sent.size === 0) quiet?.()
  }

  return {
    ring,
    ringAt,
    answers,
    async close() {
      if (closed) return
      closed = true
      if (retry) clearTimeout(retry)
      flush()
      // What rang last is for others to hear. Every command ends within its own time limit.
      if (sent.size > 0 && answers()) await new Promise<void>((resolve) => (quiet = resolve))
      redis.disconnect()
      await Promise.allSettled([...queues.values()].map((queue) => queue.close()))
    },
  }
}
