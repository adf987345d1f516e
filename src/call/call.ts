import { z } from 'zod'
import { transcript } from './analysis.ts'

/** The common call schema. Instants are `…At` (UTC, ISO 8601 with `Z`), lengths `…Ms` (whole milliseconds). */

export const instant = z.iso.datetime({ offset: false }).describe('UTC instant, ISO 8601 with Z')
export const lengthMs = z.int().nonnegative().describe('length in milliseconds')

export const DIRECTIONS = ['inbound', 'outbound', 'internal'] as const
export const RESULTS = [
  'answered',
  'no_answer',
  'busy',
  'failed',
  'rejected',
  'abandoned',
  'voicemail',
] as const
export const MEDIA = ['voice', 'text', 'video'] as const

export const direction = z.enum(DIRECTIONS)
export const result = z.enum(RESULTS).describe('how the call ended technically')

/** A number as it is dialled and as it was written. `phone` is null when the raw form is no public number. */
export const party = z.object({
  phone: z.string().nullable().describe('E.164, or null when withheld, internal or not a number'),
  phoneRaw: z.string().max(256).describe('as the phone system wrote it'),
})

export const customer = party.extend({
  id: z.string().max(256).optional().describe('the organisation’s own id of the customer'),
  name: z.string().max(256).optional(),
  email: z.string().max(320).optional(),
  crm: z
    .record(z.string(), z.string())
    .optional()
    .describe('connection id → record id, when the sender knew it'),
})

export const agent = z.object({
  id: z.string().max(256).optional(),
  name: z.string().max(256).optional(),
  extension: z.string().max(64).optional().describe('internal number'),
  email: z.string().max(320).optional(),
  group: z.string().max(256).optional().describe('team or call queue'),
})

export const leg = z.object({
  key: z.string().max(256).describe('the vendor’s id of the leg, unique within the call'),
  agent: agent.optional(),
  from: z.string().max(256).optional(),
  to: z.string().max(256).optional(),
  startedAt: instant.optional(),
  answeredAt: instant.optional(),
  endedAt: instant.optional(),
  result: result.optional(),
})

/** Which party is on which audio track; absent where the vendor does not say. */
export const tracks = z.object({
  left: z.enum(['agent', 'customer', 'both']).optional(),
  right: z.enum(['agent', 'customer', 'both']).optional(),
})

/** One recording. `key` is the vendor's id; how to fetch it is the connector's business (`url` or the key alone). */
export const recording = z.object({
  key: z.string().max(512),
  url: z.url().max(4096).optional(),
  mediaId: z.string().optional().describe('set when the audio is in our own media store'),
  format: z.enum(['mp3', 'wav', 'ogg', 'flac', 'm4a', 'webm', 'aiff', 'au', 'mp4']).optional(),
  bytes: z.int().nonnegative().optional(),
  durationMs: lengthMs.optional(),
  contentHash: z
    .string()
    .regex(/^sha512-[\w-]{86}$/)
    .optional()
    .describe('of the audio, as its source gave it: sha512- and base64url; checked on its way'),
  channels: z.int().min(1).max(8).optional().describe('number of audio tracks'),
  tracks: tracks.optional(),
  state: z
    .enum(['pending', 'ready', 'absent', 'failed'])
    .describe('pending until the vendor says it can be fetched'),
})

/** Vendor fields that have no place of their own: at most 64, each at most 1,000 characters. */
export const meta = z.record(z.string().max(64), z.string().max(1000))

export const call = z.object({
  id: z.string().describe('call_…'),
  medium: z.enum(MEDIA).default('voice'),
  source: z.object({
    connection: z.string(),
    callId: z.string().max(512).describe('the vendor’s id of the call'),
  }),
  direction: direction.optional(),
  result: result.optional(),
  outcome: z.string().max(256).optional().describe('business verdict'),
  startedAt: instant.optional(),
  answeredAt: instant.optional(),
  endedAt: instant.optional(),
  ringMs: lengthMs.optional(),
  talkMs: lengthMs.optional(),
  holdMs: lengthMs.optional(),
  totalMs: lengthMs.optional(),
  from: party.optional(),
  dialed: party.optional().describe('the number that was called'),
  customer: customer.optional().describe('the outside party'),
  agent: agent.optional().describe('the last who talked to the customer'),
  legs: z.array(leg).max(200).default([]),
  segment: z.string().max(128).optional().describe('business line: sales, support …'),
  directory: z.string().max(128).optional(),
  disconnectReason: z.string().max(256).optional(),
  recordings: z.array(recording).max(100).default([]),
  transcript: transcript.optional().describe('when the phone system brings its own'),
  reference: z.string().max(256).optional().describe('order or ticket number'),
  language: z.string().max(35).optional().describe('BCP 47'),
  tags: z.array(z.string().max(128)).max(100).default([]),
  meta: meta.default({}),
})

export type Direction = z.infer<typeof direction>
export type Result = z.infer<typeof result>
export type Recording = z.infer<typeof recording>
export type Leg = z.infer<typeof leg>
export type Agent = z.infer<typeof agent>
export type Customer = z.infer<typeof customer>
export type Call = z.infer<typeof call>
