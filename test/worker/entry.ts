import type { QueueBatch } from '../../src/queue/cloudflare-message.ts'

/** A batch that was delivered. workerd keeps invocations apart, so tests see it as plain data and leave their verdicts in it. */
export interface Delivered {
  queue: string
  messages: { id: string; body: unknown; attempts: number; verdict: Verdict | null }[]
}
export type Verdict = 'ack' | { delaySeconds?: number }

export const delivered: Delivered[] = []

const LOOK_MS = 10
/** Nobody waits for it any more. */
const PATIENCE_MS = 30_000

/** The Worker that the queues of wrangler.toml deliver to in tests: it answers each message as the test says. */
export default {
  async queue({ queue, messages }: QueueBatch): Promise<void> {
    const mine = messages.map(({ id, body, attempts }) => ({
      id,
      body,
      attempts,
      verdict: null as Verdict | null,
    }))
    delivered.push({ queue, messages: mine })
    for (let ms = 0; ms < PATIENCE_MS && mine.some(({ verdict }) => verdict === null); ms += LOOK_MS)
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    for (const [at, message] of messages.entries()) {
      const verdict = mine[at]?.verdict ?? 'ack'
      if (verdict === 'ack') message.ack()
      else message.retry(verdict)
    }
  },
}
