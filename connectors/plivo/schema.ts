import { z } from 'zod'
import { tracks } from '../../src/call/call.ts'
import { isTimeZone, toInstant } from '../../src/call/zone.ts'
import { secretList } from '../../src/connector/secret.ts'

/** The connection's keys. */
export const config = z.object({
  authId: z
    .string()
    .regex(/^(?:MA|SA)[A-Z\d]{18}$/, 'an Auth ID is MA or SA and 18 capitals and digits')
    .describe('Auth ID; of the subaccount, when the numbers belong to one'),
  authToken: secretList.describe(
    'Auth Token of that account, which signs webhooks; a list while it is changed',
  ),
  ownNumbers: z
    .array(z.string().min(3).max(256))
    .default([])
    .describe('your own numbers, those of agents’ phones too: they are never taken for the customer'),
  answeredBy: z
    .enum(['leg', 'dial'])
    .default('leg')
    .describe(
      'when an inbound call counts as answered: leg, as soon as Plivo takes it; dial, when who is dialled answers (needs the callbackUrl of <Dial>)',
    ),
  timeZone: z
    .string()
    .refine(isTimeZone, 'a time zone of the IANA list, such as Europe/Paris')
    .default('UTC')
    .describe(
      'IANA zone of the times in webhooks, which have no offset: UTC, unless your account shows others',
    ),
  tracks: tracks.optional().describe('who is on which track, if you record in stereo: listen first'),
  baseUrl: z.url().default('https://api.plivo.com').describe('another address of the API'),
})

export type Config = z.output<typeof config>

const CLOCK = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.\d{1,9})?([+-]\d\d:?\d\d)?$/

/** "2026-03-04 11:22:33", in webhooks without an offset, in lists with one; null is a moment that never was. */
export type Clock = { wall: string; offset: string | undefined }

export const instantOf = ({ wall, offset }: Clock, timeZone: string): string =>
  offset === undefined
    ? toInstant(wall, timeZone)
    : new Date(`${wall.replace(' ', 'T')}${offset}`).toISOString()

const clock = z.string().transform((text, ctx): Clock => {
  const [, day, time, sent] = CLOCK.exec(text) ?? []
  const offset = sent?.replace(/^(...)(\d\d)$/, '$1:$2')
  const ms = day === undefined ? Number.NaN : Date.parse(`${day}T${time}${offset ?? 'Z'}`)
  const isReal =
    !Number.isNaN(ms) && new Date(Date.parse(`${day}T${time}Z`)).toISOString().startsWith(`${day}T${time}`)
  if (isReal) return { wall: `${day} ${time}`, offset }
  ctx.addIssue({ code: 'custom', message: 'no time such as 2026-03-04 11:22:33' })
  return z.NEVER
})

/** Ids end up in URLs: only what they are made of. */
const id = z.string().regex(/^[\w-]{1,128}$/)
const words = z.string().max(256)
const number = z
  .union([z.number(), z.string().regex(/^-?\d{1,15}(?:\.\d+)?$/)])
  .transform((value) => Math.round(Number(value)))
const seconds = number.transform((value) => (value < 0 ? undefined : value * 1000))

/** A leg at one moment, wherever it was read. */
export interface SeenLeg {
  id: string
  parent: string | undefined
  status: string | undefined
  direction: string | undefined
  from: string | undefined
  to: string | undefined
  startedAt: Clock | undefined
  answeredAt: Clock | undefined
  endedAt: Clock | undefined
  lengthMs: number | undefined
  cause: string | undefined
  source: string | undefined
  forwardedFrom?: string | undefined
}

/** ring_url, answer_url, hangup_url: every value is text. Empty ones were taken out before. */
export const callNotice = z
  .object({
    CallUUID: id,
    ALegUUID: id.optional(),
    CallStatus: z.string().max(64),
    Direction: z.string().max(32).optional(),
    From: words.optional(),
    To: words.optional(),
    ForwardedFrom: words.optional(),
    SessionStart: clock.optional(),
    StartTime: clock.optional(),
    AnswerTime: clock.optional(),
    EndTime: clock.optional(),
    Duration: seconds.optional(),
    HangupCause: z.string().max(128).optional(),
    HangupCauseName: z.string().max(128).optional(),
    HangupSource: z.string().max(64).optional(),
  })
  .transform(
    (read): SeenLeg => ({
      id: read.CallUUID,
      parent: read.ALegUUID,
      status: read.CallStatus,
      direction: read.Direction,
      from: read.From,
      to: read.To,
      startedAt: read.StartTime ?? read.SessionStart,
      answeredAt: read.AnswerTime,
      endedAt: read.EndTime,
      lengthMs: read.Duration,
      cause: read.HangupCause ?? read.HangupCauseName,
      source: read.HangupSource,
      forwardedFrom: read.ForwardedFrom,
    }),
  )

/** callbackUrl of <Dial>: https://docs.plivo.com/docs/voice/xml/dial (read 2026-11-27) */
export const dialNotice = z.object({
  DialAction: z.string().max(32),
  DialALegUUID: id.optional(),
  CallUUID: id.optional(),
  DialBLegUUID: id,
  DialBLegFrom: words.optional(),
  DialBLegTo: words.optional(),
  DialBLegDuration: seconds.optional(),
  DialBLegHangupCause: z.string().max(128).optional(),
})
export type DialNotice = z.output<typeof dialNotice>

export interface SeenRecording {
  id: string
  call: string | undefined
  url: string | undefined
  format: string | undefined
  startMs: number | undefined
  endMs: number | undefined
  durationMs: number | undefined
}

/** callbackUrl of <Record> and of the Record API: https://docs.plivo.com/docs/voice/xml/record (read 2026-11-27) */
export const recordingNotice = z
  .object({
    RecordingID: id,
    CallUUID: id.optional(),
    RecordUrl: z.url().max(4096),
    RecordingDurationMs: number.optional(),
    RecordingDuration: number.optional(),
    RecordingStartMs: number.optional(),
    RecordingEndMs: number.optional(),
  })
  .transform(
    (read): SeenRecording => ({
      id: read.RecordingID,
      call: read.CallUUID,
      url: read.RecordUrl,
      format: /\.(mp3|wav)(?:\?|$)/i.exec(read.RecordUrl)?.[1]?.toLowerCase(),
      startMs: read.RecordingStartMs,
      endMs: read.RecordingEndMs,
      // RecordingDuration is in seconds by the page and in milliseconds by others: it only says that there is none yet.
      durationMs: read.RecordingDurationMs ?? ((read.RecordingDuration ?? 0) < 0 ? -1 : undefined),
    }),
  )

export const transcription = z.object({
  call_uuid: id,
  recording_id: id,
  transcription: z.string().max(1_000_000),
})

const orNothing = <Schema extends z.ZodType>(schema: Schema) =>
  schema.nullish().transform((value) => value ?? undefined)
const text = orNothing(z.union([z.string(), z.number()]).transform(String)).transform(
  (value) => value?.slice(0, 256) || undefined,
)

/** A row of GET /v1/Account/{auth_id}/Call/: https://docs.plivo.com/docs/voice/api/call/the-call-object (read 2026-11-27) */
const callRow = z
  .object({
    call_uuid: id,
    parent_call_uuid: orNothing(id),
    call_direction: text,
    from_number: text,
    to_number: text,
    initiation_time: orNothing(clock),
    answer_time: orNothing(clock),
    end_time: orNothing(clock),
    call_duration: orNothing(seconds),
    call_state: text,
    hangup_cause_name: text,
    hangup_source: text,
  })
  .transform(
    (row): SeenLeg => ({
      id: row.call_uuid,
      parent: row.parent_call_uuid,
      status: row.call_state,
      direction: row.call_direction,
      from: row.from_number,
      to: row.to_number,
      startedAt: row.initiation_time,
      answeredAt: row.answer_time,
      endedAt: row.end_time,
      lengthMs: row.call_duration,
      cause: row.hangup_cause_name,
      source: row.hangup_source,
    }),
  )

const recordingRow = z
  .object({
    recording_id: id,
    call_uuid: orNothing(id),
    recording_url: orNothing(z.string().max(4096)),
    recording_format: text,
    recording_start_ms: orNothing(number),
    recording_end_ms: orNothing(number),
    recording_duration_ms: orNothing(number),
  })
  .transform(
    (row): SeenRecording => ({
      id: row.recording_id,
      call: row.call_uuid,
      url: row.recording_url || undefined,
      format: row.recording_format?.toLowerCase(),
      startMs: row.recording_start_ms,
      endMs: row.recording_end_ms,
      durationMs: row.recording_duration_ms,
    }),
  )

export const callPage = z.object({ objects: z.array(callRow) })
export const recordingPage = z.object({ objects: z.array(recordingRow) })
export const oneRecording = recordingRow

/** GET /v1/Account/{auth_id}/ */
export const account = z.object({ auth_id: z.string(), account_type: text })
