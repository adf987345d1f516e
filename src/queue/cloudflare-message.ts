import { z } from 'zod'
import { CONNECTION_ID } from '../config/schema.ts'

/**
 * What is needed of Cloudflare's own types, and what a message of ours is: ids and nothing else. Lanes and ids are short,
 * so that a batch of 100 stays far below the 256 KB that may be sent at once.
 */

/** A binding of `[[queues.producers]]`. */
export interface QueueBinding {
  sendBatch(messages: { body: BellMessage; contentType: 'json'; delaySeconds: number }[]): Promise<unknown>
}

export interface QueueMessage {
  readonly id: string
  readonly body: unknown
  /** 1 when it is delivered for the first time. */
  readonly attempts: number
  ack(): void
  retry(options?: { delaySeconds?: number }): void
}

export interface QueueBatch {
  /** The queue's name. */
  readonly queue: string
  readonly messages: readonly QueueMessage[]
}

const bellMessage = z.object({
  /** Of another version: its bell is for nobody here. */
  v: z.literal(1),
  /** Empty: whatever is due. */
  step: z.string().regex(/^(?:stp_[0-9A-Za-z]{1,40})?$/),
  lane: z.string().regex(CONNECTION_ID),
  share: z.enum(['recordings', 'others']),
})

export type BellMessage = z.output<typeof bellMessage>

/** Null: not one of ours, whatever it is. */
export function readBell(body: unknown): BellMessage | null {
  const { data } = bellMessage.safeParse(body)
  return data ?? null
}
