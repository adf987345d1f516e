import { z } from 'zod'
import { transcript } from './analysis.ts'
import {
  agent,
  customer,
  direction,
  instant,
  leg,
  lengthMs,
  MEDIA,
  meta,
  party,
  recording,
  result,
} from './call.ts'

/**
 * What one event says of a call: a partial observation. A Call is the fold of all its stored events (merge.ts), so a
 * connector reports only what this event knows and never guesses the rest.
 */
export const facts = z.object({
  medium: z.enum(MEDIA).optional(),
  direction: direction.optional(),
  result: result.optional(),
  outcome: z.string().max(256).optional(),
  startedAt: instant.optional(),
  answeredAt: instant.optional(),
  endedAt: instant.optional(),
  ringMs: lengthMs.optional().describe('the vendor’s figure; instants win where they are known'),
  talkMs: lengthMs.optional(),
  holdMs: lengthMs.optional(),
  totalMs: lengthMs.optional(),
  from: party.optional(),
  dialed: party.optional(),
  customer: customer.partial().optional(),
  agent: agent.optional(),
  legs: z.array(leg).max(200).optional(),
  segment: z.string().max(128).optional(),
  directory: z.string().max(128).optional(),
  disconnectReason: z.string().max(256).optional(),
  recordings: z.array(recording).max(100).optional(),
  /** Whether a recording will come. Absent: not known, and the call waits as long as its connection says. */
  recordingExpected: z.boolean().optional(),
  transcript: transcript.optional(),
  reference: z.string().max(256).optional(),
  language: z.string().max(35).optional(),
  tags: z.array(z.string().max(128)).max(100).optional(),
  meta: meta.optional(),
})

/**
 * Where in a call's life an event stands. The fold takes events by phase first, so that a `ringing` event that arrives
 * after the `ended` one never overwrites what is newer. `recorded` and `amended` come after the end.
 */
export const PHASES = ['ringing', 'answered', 'ended', 'recorded', 'amended'] as const

export const callEvent = z.object({
  key: z.string().min(1).max(512).describe('the same for the same thing said again; unique per connection'),
  callId: z.string().min(1).max(512).describe('the vendor’s id of the call'),
  alsoKnownAs: z
    .array(z.string().max(512))
    .max(20)
    .optional()
    .describe('further ids of the same call (transfer, linked id)'),
  phase: z.enum(PHASES),
  at: instant.optional().describe('when it happened, by the vendor’s clock; absent when not said'),
  facts,
})

export type Facts = z.infer<typeof facts>
export type Phase = (typeof PHASES)[number]
export type CallEvent = z.infer<typeof callEvent>
