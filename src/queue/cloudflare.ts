import type { Log } from '../connector/contract.ts'
import { STREAMING } from '../store/claim.ts'
import { type BellMessage, type QueueBinding, type QueueMessage, readBell } from './cloudflare-message.ts'
import type { Bell, Queue, Share, Take } from './port.ts'

/**
 * The queue of a Worker on Cloudflare, for one invocation: bells are messages, one for each step. Cloudflare calls the
 * consumer with a few of them, as often side by side as there is work.
 *
 * What bounds the harm of a vendor that never answers: a batch is small, all its steps run at once, and each ends with its
 * request's time limit. Who shares a batch with such a step has done its own work by then; only the next batch waits, where
 * Cloudflare has not started further consumers yet. After five failures the breaker keeps the lane out: at worst, with one
 * consumer and one such step in each batch, others waited for five time limits by then, and for one with each try after it.
 * Submissions, which take as long as their recordings, have a queue of their own.
 */
export interface CloudflareQueue extends Queue {
  /** Works on the messages of one batch and answers each of them. Never rejects: that would repeat the whole batch. */
  consume(messages: readonly QueueMessage[]): Promise<void>
}

export interface CloudflareQueueOptions {
  /** Where the bells of each share are sent. */
  queues: Record<Share, QueueBinding>
  /** Whether steps of the lane may stream recordings. */
  streams: (lane: string) => boolean
  /** Keeps the invocation alive until it has settled. */
  waitUntil(work: Promise<unknown>): void
  now: () => number
  log: Pick<Log, 'warn' | 'error'>
  /** Steps at once. */
  atOnce?: number
}

/**
 * An invocation may have six connections open; the next request waits until one is free. Were all six with a vendor that
 * never answers, no lease could be renewed and no result stored.
 */
const AT_ONCE = 4
/** Of one `sendBatch`. */
const MOST_MESSAGES = 100
/** The most that a message can be delayed. The sweep rings for what is due later. */
const MOST_DELAY_S = 43_200
/** After the store could not be reached: 2 s, then twice as long each time. */
const RETRY_S = 2
const MOST_RETRY_S = 300
/** After their abort, steps get this long to notice. */
const ABORT_MS = 1_000

export function createCloudflareQueue(options: CloudflareQueueOptions): CloudflareQueue {
  const { queues, streams, waitUntil, now, log, atOnce = AT_ONCE } = options
  const abort = new AbortController()
  const answering = new Set<Promise<void>>()
  let work: { take: Take; concurrency: (lane: string) => number } | null = null
  let stopping: Promise<void> | null = null
  let running = 0

  /** A step whose kind is not known, or whatever is due, may be either. */
  function sharesOf({ lane, kind }: Bell): readonly Share[] {
    if (kind !== undefined) return [STREAMING.some((one) => one === kind) ? 'recordings' : 'others']
    return streams(lane) ? ['others', 'recordings'] : ['others']
  }

  function ring(share: Share, bells: readonly Pick<Bell, 'step' | 'lane' | 'dueAt'>[]): void {
    const time = now()
    const messages = new Map<string, Parameters<QueueBinding['sendBatch']>[0][number]>()
    for (const { step, lane, dueAt } of bells) {
      const delaySeconds = Math.max(0, Math.ceil((dueAt - time) / 1_000))
      if (delaySeconds > MOST_DELAY_S) continue
      const body: BellMessage = { v: 1, step, lane, share }
      messages.set(`${lane} ${step} ${delaySeconds}`, { body, contentType: 'json', delaySeconds })
    }
    if (messages.size > 0) waitUntil(send(queues[share], [...messages.values()]))
  }

  /** Never rejects. */
  async function send(binding: QueueBinding, messages: Parameters<QueueBinding['sendBatch']>[0]) {
    for (let at = 0; at < messages.length; at += MOST_MESSAGES) {
      try {
        await binding.sendBatch(messages.slice(at, at + MOST_MESSAGES))
      } catch (error) {
        log.warn('bells could not be sent; the sweep rings again', {
          bells: messages.length - at,
          says: wordOf(error),
        })
        return
      }
    }
  }

  /** Never rejects. `room`: for whatever is due in the lane. */
  async function answer(message: QueueMessage, room: number): Promise<void> {
    const bell = readBell(message.body)
    if (bell === null) {
      log.warn('a message is none of ours, or of another version', { message: message.id })
      return message.ack()
    }
    if (work === null || stopping !== null) return message.retry()
    const { step, lane, share } = bell
    const wanted = step === '' ? Math.min(room, work.concurrency(lane)) : 1
    let steps: readonly Promise<void>[]
    try {
      // Whichever is due in the lane: for each step that waits there is a message, and the one it names may have been taken.
      steps = await work.take(lane, wanted, abort.signal, share)
    } catch (error) {
      log.error('taking steps failed', { lane, says: wordOf(error) })
      return message.retry({ delaySeconds: retryAfterS(message.attempts) })
    }
    running += steps.length
    await Promise.allSettled(steps)
    running -= steps.length
    // It got all it asked for: there may be more. Otherwise nothing is due, or a breaker is open and the sweep comes back.
    if (step === '' && steps.length >= wanted) ring(share, [{ step, lane, dueAt: now() }])
    message.ack()
  }

  async function consume(messages: readonly QueueMessage[]): Promise<void> {
    const room = Math.max(1, Math.floor(atOnce / messages.length))
    const left = messages.values()
    const places = Array.from({ length: Math.min(atOnce, messages.length) }, async () => {
      for (const message of left) await answer(message, room)
    })
    await Promise.all(places)
  }

  /** Whether nothing is under way any more within `ms`. */
  async function settled(ms: number): Promise<boolean> {
    if (answering.size === 0) return true
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), ms)
    })
    const isSettled = await Promise.race([Promise.all(answering).then(() => true), late])
    if (timer !== undefined) clearTimeout(timer)
    return isSettled
  }

  async function stop(graceMs: number): Promise<void> {
    if (await settled(graceMs)) return
    abort.abort(new DOMException('the worker is stopping', 'AbortError'))
    await settled(ABORT_MS)
  }

  return {
    wake(bells) {
      const time = now()
      // Whatever is due later in a lane is found by the sweep: a message that waits for an open breaker would be one more each time.
      const wanted = bells.filter(({ step, dueAt }) => step !== '' || dueAt <= time)
      for (const share of ['others', 'recordings'] as const) {
        const mine = wanted.filter((bell) => sharesOf(bell).includes(share))
        ring(share, mine)
      }
    },
    work(take, concurrency) {
      work = { take, concurrency }
    },
    async consume(messages) {
      const consumed = consume(messages)
      answering.add(consumed)
      await consumed
      answering.delete(consumed)
    },
    stop(graceMs) {
      stopping ??= Promise.resolve().then(() => stop(graceMs))
      return stopping
    },
    state() {
      const says = stopping !== null ? 'stopped' : 'messages of Cloudflare Queues'
      return { ok: stopping === null, says, running }
    },
  }
}

/** When a message whose store was away comes again. */
export function retryAfterS(attempts: number): number {
  return Math.min(MOST_RETRY_S, RETRY_S * 2 ** Math.max(0, attempts - 1))
}

const wordOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
