import { expect } from 'vitest'
import type { BellMessage, QueueBinding, QueueMessage } from '../src/queue/cloudflare-message.ts'

// For the queue of Cloudflare between a real store and the real pipeline; the queues of workerd are in test/worker/queue.test.ts.

const BATCH = { others: 4, recordings: 2 }
const MOST_RETRIES = 10

export type Share = 'others' | 'recordings'
interface Waiting {
  body: unknown
  at: number
  attempts: number
}

/** Two queues by hand, with the limits of the real ones, and a dead-letter queue. */
export function cloud(now: () => number) {
  const waiting: Record<Share | 'dead', Waiting[]> = { others: [], recordings: [], dead: [] }
  const sent: Record<Share, BellMessage[][]> = { others: [], recordings: [] }
  const pending: Promise<unknown>[] = []
  let refusal: Error | null = null
  const binding = (share: Share): QueueBinding => ({
    async sendBatch(messages) {
      if (refusal) throw refusal
      expect(messages.length).toBeLessThanOrEqual(100)
      expect(JSON.stringify(messages).length).toBeLessThan(256_000)
      sent[share].push(messages.map(({ body }) => body))
      for (const { body, delaySeconds } of messages) {
        expect(delaySeconds).toBeLessThanOrEqual(43_200)
        waiting[share].push({ body, at: now() + delaySeconds * 1_000, attempts: 0 })
      }
    },
  })
  return {
    waiting,
    sent,
    refuse: (error: Error) => {
      refusal = error
    },
    queues: { others: binding('others'), recordings: binding('recordings') },
    waitUntil: (work: Promise<unknown>) => void pending.push(work),
    settled: async () => {
      while (pending.length > 0) await pending.shift()
    },
    /** Delivers one batch of what is due; false when there is none. */
    async deliver(
      share: Share | 'dead',
      consume: (messages: QueueMessage[]) => Promise<void>,
    ): Promise<boolean> {
      const size = share === 'dead' ? 10 : BATCH[share]
      const batch = waiting[share].filter(({ at }) => at <= now()).slice(0, size)
      if (batch.length === 0) return false
      waiting[share] = waiting[share].filter((one) => !batch.includes(one))
      const verdicts = new Map<Waiting, { delaySeconds?: number } | 'ack'>()
      for (const one of batch) one.attempts += 1
      await consume(
        batch.map((one) => ({
          id: 'a message',
          body: one.body,
          attempts: one.attempts,
          ack: () => void verdicts.set(one, 'ack'),
          retry: (how = {}) => void verdicts.set(one, how),
        })),
      )
      for (const one of batch) {
        const verdict = verdicts.get(one)
        expect(verdict, 'each message has its own answer').toBeDefined()
        if (verdict === undefined || verdict === 'ack') continue
        if (one.attempts > MOST_RETRIES && share !== 'dead')
          waiting.dead.push({ body: one.body, at: now(), attempts: 0 })
        else waiting[share].push({ ...one, at: now() + (verdict.delaySeconds ?? 0) * 1_000 })
      }
      return true
    },
  }
}

export const ENDED = {
  key: 'c:ended',
  callId: 'c',
  phase: 'ended',
  facts: { direction: 'inbound', from: '+33639980001', result: 'busy' },
}
