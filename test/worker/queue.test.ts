import { createExecutionContext, createMessageBatch, getQueueResult } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { afterAll, describe, expect, it } from 'vitest'
import { type CloudflareQueue, createCloudflareQueue } from '../../src/queue/cloudflare.ts'
import type { QueueBatch, QueueBinding } from '../../src/queue/cloudflare-message.ts'
import type { Share, Take } from '../../src/queue/port.ts'
import { bellsKit, type OpenedQueue } from '../kit/queue.ts'
import { delivered } from './entry.ts'

// The queues of wrangler.toml in workerd: what is sent comes back through the Worker's entry.

const { STEPS, MEDIA_STEPS } = env as unknown as Record<'STEPS' | 'MEDIA_STEPS', QueueBinding>
/** Failures after which the breaker opens, and how long each takes. */
const PATIENCE = 5
const BLACK_HOLE_MS = 1_500

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

async function until(so: () => boolean): Promise<void> {
  for (const end = Date.now() + 15_000; !so(); await sleep(20))
    expect(Date.now(), 'it never happened').toBeLessThan(end)
}

let tests = 0
const consumers = new Map<number, (batch: QueueBatch) => Promise<void>>()

/** Hands what was delivered to the test that sent it; what is of an earlier one shall not come again. */
const pump = setInterval(() => {
  for (const { queue, messages } of delivered.splice(0)) {
    for (const [test, mine] of Map.groupBy(messages, ({ body }) => (body as { test: number }).test)) {
      const given = mine.map((message) => ({
        ...message,
        ack() {
          message.verdict = 'ack'
        },
        retry(how = {}) {
          message.verdict = how
        },
      }))
      const consume = consumers.get(test)
      if (consume) void consume({ queue, messages: given })
      else for (const message of given) message.ack()
    }
  }
}, 5)
afterAll(() => clearInterval(pump))

interface Opened extends OpenedQueue {
  queue: CloudflareQueue
  /** Queue and number of messages of each batch. */
  batches: { queue: string; size: number }[]
}

function open(): Opened {
  tests += 1
  const test = tests
  const errors: string[] = []
  const batches: Opened['batches'] = []
  /** Bells of this test only. */
  const marked = (binding: QueueBinding): QueueBinding => ({
    sendBatch: (messages) =>
      binding.sendBatch(messages.map((message) => ({ ...message, body: { ...message.body, test } }))),
  })
  const queue = createCloudflareQueue({
    queues: { others: marked(STEPS), recordings: marked(MEDIA_STEPS) },
    streams: (lane) => lane === 'xosum',
    // Each send goes on in the test's own context.
    waitUntil: (work) => void work,
    now: Date.now,
    log: {
      warn: (message) => void errors.push(message),
      error: (message, fields) => void errors.push(`${message}: ${fields?.says}`),
    },
  })
  consumers.set(test, async (batch) => {
    batches.push({ queue: batch.queue, size: batch.messages.length })
    await queue.consume(batch.messages)
  })
  return {
    queue,
    batches,
    now: Date.now,
    pass: sleep,
    until,
    errors: () => errors,
    drop: async () => void consumers.delete(test),
  }
}

bellsKit('Cloudflare Queues', async () => open())

describe('Cloudflare Queues: messages', () => {
  it('come when the step is due, not before, and submissions through a queue of their own', async () => {
    const { queue, batches, drop } = open()
    const taken: { lane: string; share: Share | undefined; at: number }[] = []
    queue.work(
      async (lane, _room, _signal, share) => {
        taken.push({ lane, share, at: Date.now() })
        return []
      },
      () => 8,
    )
    const dueAt = Date.now() + 1_500
    queue.wake([
      { step: 'stp_1', lane: 'xosum', dueAt, kind: 'submit' },
      { step: 'stp_2', lane: 'hubspot', dueAt, kind: 'match' },
    ])
    await until(() => taken.length === 2)
    for (const { at } of taken) expect(at).toBeGreaterThanOrEqual(dueAt)
    expect(taken.map(({ lane, share }) => [lane, share]).sort()).toEqual([
      ['hubspot', 'others'],
      ['xosum', 'recordings'],
    ])
    expect(batches.map(({ queue: name }) => name).sort()).toEqual([
      'cordboard-media-steps',
      'cordboard-steps',
    ])
    await drop()
  })

  it('of a large sweep all come, a few at a time', async () => {
    const { queue, batches, drop } = open()
    let taken = 0
    queue.work(
      async () => {
        taken += 1
        return [sleep(20)]
      },
      () => 8,
    )
    const dueAt = Date.now()
    queue.wake(
      Array.from({ length: 150 }, (_, n) => ({ step: `stp_${n}`, lane: 'hubspot', dueAt, kind: 'write' })),
    )
    await until(() => taken === 150)
    expect(Math.max(...batches.map(({ size }) => size))).toBeLessThanOrEqual(4)
    await drop()
  })

  it('of one batch are answered one by one: only those whose store was away come again', async () => {
    const { queue } = open()
    const takes: Record<string, Awaited<ReturnType<Take>>> = { fine: [sleep(1)], taken: [] }
    queue.work(
      async (lane) => {
        const steps = takes[lane]
        if (!steps) throw new Error('the store is away')
        return steps
      },
      () => 8,
    )
    const bodies = {
      good: { v: 1, step: 'stp_1', lane: 'fine', share: 'others' },
      gone: { v: 1, step: 'stp_2', lane: 'taken', share: 'others' },
      away: { v: 1, step: 'stp_3', lane: 'away', share: 'others' },
      newer: { v: 2, step: 'stp_4', lane: 'fine', share: 'others', more: true },
      forged: { v: 1, step: 'stp_5', lane: "fine'; drop table steps", share: 'others' },
      text: 'wake up',
      nothing: null,
    }
    const batch = createMessageBatch(
      'cordboard-steps',
      Object.entries(bodies).map(([id, body]) => ({ id, body, timestamp: 0, attempts: 1 })),
    )
    await queue.consume(batch.messages)
    const { outcome, ackAll, explicitAcks, retryMessages, retryBatch } = await getQueueResult(
      batch,
      createExecutionContext(),
    )
    expect({ outcome, ackAll, retry: retryBatch.retry }).toEqual({
      outcome: 'ok',
      ackAll: false,
      retry: false,
    })
    expect(explicitAcks.sort()).toEqual(['forged', 'gone', 'good', 'newer', 'nothing', 'text'])
    expect(retryMessages.map(({ msgId }) => msgId)).toEqual(['away'])
  })
})

describe('Cloudflare Queues: a CRM that never answers', () => {
  it('does not stop the other lanes, whoever shares a batch with its steps, and is kept out by its breaker', async () => {
    const { queue, drop } = open()
    const started: { lane: string; at: number }[] = []
    const of = (lane: string) => started.filter((step) => step.lane === lane)
    let failures = 0
    queue.work(
      async (lane, room) => {
        // As the breaker of a worker does.
        if (lane === 'black-hole' && failures >= PATIENCE) return []
        return Array.from({ length: room }, async () => {
          started.push({ lane, at: Date.now() })
          await sleep(lane === 'black-hole' ? BLACK_HOLE_MS : 10)
          if (lane === 'black-hole') failures += 1
        })
      },
      () => 8,
    )
    const ring = (count: number) => {
      const dueAt = Date.now()
      const steps = Array.from({ length: count }, (_, n) => `stp_${dueAt}n${n}`)
      queue.wake(
        steps.flatMap((step) =>
          ['black-hole', 'hubspot', 'core'].map((lane) => ({ step, lane, dueAt, kind: 'match' as const })),
        ),
      )
    }
    const from = Date.now()
    ring(20)
    await until(() => of('hubspot').length === 20 && of('core').length === 20)
    // Those of the first batch did not wait for it; the last ones waited until the breaker knew, at most.
    expect(started.slice(0, 4).every(({ at }) => at - (started[0]?.at ?? 0) < 200)).toBe(true)
    expect(Date.now() - from).toBeLessThan(PATIENCE * BLACK_HOLE_MS + 2_000)

    await until(() => failures >= PATIENCE)
    await sleep(BLACK_HOLE_MS)
    const tried = of('black-hole').length
    expect(tried).toBeLessThan(20)
    ring(4)
    await until(() => of('hubspot').length === 24 && of('core').length === 24)
    expect(of('black-hole')).toHaveLength(tried)
    await drop()
  })
})
