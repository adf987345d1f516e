import { z } from 'zod'
import { tracks } from '../../src/call/call.ts'
import { secretValue } from '../../src/connector/secret.ts'

const PUBLIC_KEY = /^(?:[A-Za-z\d+/]{43}=|[\da-f]{64})$/i
const publicKey = z.string().regex(PUBLIC_KEY, 'a public key is 32 bytes as base64 (44 characters) or hex')
const numbers = z.array(z.string().min(3).max(256)).default([])

/** The connection's keys. */
export const config = z.object({
  publicKey: z
    .union([publicKey, z.array(publicKey).min(1)])
    .transform((value): readonly string[] => (typeof value === 'string' ? [value] : value))
    .describe('Public key of the account, which webhooks are checked with; a list while it is changed'),
  apiKey: secretValue.describe('API key (v2), to fetch recordings with'),
  ownNumbers: numbers.describe(
    'your numbers at Telnyx: they tell whose leg a leg is, and are never the customer',
  ),
  agentPhones: numbers.describe(
    'agents’ own phones that calls are put through to; SIP addresses are known to be agents’',
  ),
  answeredBy: z
    .enum(['bridge', 'leg'])
    .default('bridge')
    .describe(
      'when an inbound call counts as answered: bridge, an agent is put through (Voice API); leg, as soon as its leg is taken (SIP connection, voice bot)',
    ),
  tracks: tracks
    .optional()
    .describe('who is on which track of your dual recordings, when all are started on the same kind of leg'),
  baseUrl: z.url().default('https://api.telnyx.com').describe('another address of the API'),
})

export type Config = z.output<typeof config>

const orNothing = <Schema extends z.ZodType>(schema: Schema) =>
  schema.nullish().transform((value) => value ?? undefined)

/** ISO 8601 with microseconds, kept as milliseconds: instants are compared as text. */
const instant = z.iso.datetime({ offset: true }).transform((text) => new Date(text).toISOString())
const id = z.string().regex(/^[\w:.-]{1,128}$/)
const words = orNothing(z.string().max(256)).transform((value) => value || undefined)

/** Every webhook: https://developers.telnyx.com/api-reference/callbacks/call-hangup (read 2026-11-27) */
export const envelope = z.object({
  data: z.object({
    id,
    event_type: z.string().max(128),
    occurred_at: orNothing(instant),
    payload: z.record(z.string(), z.unknown()),
  }),
})

const ids = { call_leg_id: id, call_session_id: id }

/** What the events of a leg have in common, and what some of them add. */
export const legPayload = z.object({
  ...ids,
  from: words,
  to: words,
  start_time: orNothing(instant),
  direction: orNothing(z.string().max(16)),
  caller_id_name: words,
  tags: orNothing(z.array(z.string().max(128)).max(100)),
  hangup_cause: orNothing(z.string().max(64)),
  hangup_source: orNothing(z.string().max(16)),
  sip_hangup_cause: orNothing(z.union([z.string(), z.number()]).transform(String)),
  queue: words,
  /** Of a machine detection. */
  result: orNothing(z.string().max(64)),
})
export type SeenLeg = z.output<typeof legPayload>

const urls = z
  .object({ mp3: z.url().max(4096).nullish(), wav: z.url().max(4096).nullish() })
  .nullish()
  .transform((given) => given ?? {})

export interface SeenRecording {
  id: string | undefined
  /** Absent for a conference. */
  leg: string | undefined
  session: string
  channels: string | undefined
  formats: readonly ('mp3' | 'wav')[]
  startedAt: string | undefined
  endedAt: string | undefined
}

/** In which formats there is a link. */
export const formatsOf = (...given: z.output<typeof urls>[]) =>
  (['mp3', 'wav'] as const).filter((format) => given.some((links) => links[format]))

const recordingFields = {
  call_leg_id: orNothing(id),
  channels: orNothing(z.string().max(16)),
  recording_started_at: orNothing(instant),
  recording_ended_at: orNothing(instant),
}

/**
 * `recording_id` stands in the reference of conferences only, in the guide's sample of calls too
 * (https://developers.telnyx.com/api-reference/callbacks/call-recording-saved, read 2026-11-27).
 */
export const recordingPayload = z
  .object({
    ...recordingFields,
    call_session_id: id,
    recording_id: orNothing(id),
    recording_urls: urls,
    public_recording_urls: urls,
  })
  .transform(
    (read): SeenRecording => ({
      id: read.recording_id,
      leg: read.call_leg_id,
      session: read.call_session_id,
      channels: read.channels,
      formats: formatsOf(read.recording_urls, read.public_recording_urls),
      startedAt: read.recording_started_at,
      endedAt: read.recording_ended_at,
    }),
  )

/** The field is `reason` in the reference and `result` in its example. */
export const recordingError = z.object({ ...ids, reason: words, result: words })

export const transcription = z.object({
  ...ids,
  recording_transcription_id: orNothing(id),
  transcription_text: z.string().max(1_000_000),
})

/** GET /v2/recordings/{id}, and a row of the list: npm telnyx 7.24.0, resources/recordings. */
export const recordingRow = z.object({
  ...recordingFields,
  id,
  call_session_id: orNothing(id),
  source: orNothing(z.string().max(32)),
  from: words,
  to: words,
  download_urls: urls,
})
export type RecordingRow = z.output<typeof recordingRow>

export const oneRecording = z.object({ data: recordingRow })
export const recordingPage = z.object({
  data: z.array(recordingRow),
  meta: z.object({ total_pages: z.int().nonnegative(), total_results: orNothing(z.int()) }),
})
