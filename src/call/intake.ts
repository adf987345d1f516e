import { z } from 'zod'
import { transcript } from './analysis.ts'
import { agent, customer, lengthMs, MEDIA, meta, recording } from './call.ts'
import { facts } from './facts.ts'
import { sentInstant, sentNumber } from './sent.ts'

/** A call that somebody hands in, and the form in which the API stores it as a delivery. */

const instant = sentInstant.optional()

/** Of our own ids: who could choose one would choose another's. */
const OWN_ID = /^call_/

export const externalId = z
  .string()
  .min(1)
  .max(256)
  .refine((id) => !OWN_ID.test(id), 'an id of your own, not one of ours')
  .describe('your id of the call: the same id is the same call')

/** How a recording is to be read, where the sender knows it. */
const hints = recording.pick({ durationMs: true, channels: true, tracks: true })

const shape = {
  externalId: externalId.optional(),
  medium: z.enum(MEDIA).optional().describe('`text` for a chat; default voice'),
  direction: facts.shape.direction,
  result: facts.shape.result,
  outcome: facts.shape.outcome,
  startedAt: instant,
  answeredAt: instant,
  endedAt: instant,
  ringMs: lengthMs.optional(),
  talkMs: lengthMs.optional(),
  holdMs: lengthMs.optional(),
  totalMs: lengthMs.optional(),
  from: sentNumber.optional().describe('in any spelling'),
  dialed: sentNumber.optional(),
  customer: customer
    .omit({ phone: true, phoneRaw: true })
    .extend({ phone: sentNumber.optional() })
    .optional()
    .describe('the outside party'),
  agent: agent.optional(),
  segment: facts.shape.segment,
  directory: facts.shape.directory,
  disconnectReason: facts.shape.disconnectReason,
  reference: facts.shape.reference,
  language: facts.shape.language,
  tags: facts.shape.tags,
  meta: meta.optional(),
  transcript: z
    .union([z.string().min(1).max(2_000_000), transcript])
    .optional()
    .describe(
      'a transcript or a chat: turns, or text whose speakers are marked (`Agent: …`, `<operator> …`)',
    ),
  recordingUrl: z
    .url({ protocol: /^https$/, error: 'an https URL' })
    .max(4096)
    .optional()
    .describe('where the recording can be fetched without credentials'),
  recording: hints.optional(),
}

export const intakeCall = z.strictObject(shape, {
  error: ({ code }) =>
    code === 'unrecognized_keys' ? `expected one of ${Object.keys(shape).join(', ')}` : undefined,
})
export type IntakeCall = z.output<typeof intakeCall>

/** A file in the media store. */
export const storedFile = z.object({
  mediaId: z.string(),
  bytes: z.int().nonnegative(),
  hash: z.string().describe('SHA-256 in hex'),
  format: recording.shape.format,
  channels: recording.shape.channels,
  durationMs: recording.shape.durationMs,
})
export type StoredFile = z.output<typeof storedFile>

const common = {
  /** What the sender was told. */
  callId: z.string(),
  /** One more id of the call, under which its uploads are known. */
  promise: z.string(),
  /** What makes it the same again; the event's key follows from it. */
  key: z.string(),
  /** Hash of what was sent: the same key with another one is a conflict. */
  content: z.string(),
  /** Role and label of the token that sent it. */
  by: z.string(),
  /** Of an import: which row of it this is. */
  row: z.object({ import: z.string(), row: z.int() }).optional(),
}

/** The body of the delivery: written by our API, so it is read exactly. */
export const storedIntake = z.discriminatedUnion('kind', [
  z.object({ ...common, kind: z.literal('call'), call: z.unknown(), file: storedFile.optional() }),
  z.object({
    ...common,
    kind: z.literal('vcon'),
    vcon: z.unknown(),
    direction: facts.shape.direction,
    /** By the place of its dialog: what stood in the vCon and was put aside. */
    files: z.record(z.string(), storedFile),
  }),
])
export type StoredIntake = z.output<typeof storedIntake>
