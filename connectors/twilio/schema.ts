import { z } from 'zod'
import { tracks } from '../../src/call/call.ts'
import { secretList, secretValue } from '../../src/connector/secret.ts'

/** The connection's keys. */
export const config = z
  .object({
    accountSid: z
      .string()
      .regex(/^AC[0-9a-f]{32}$/i, 'an Account SID is AC and 32 hexadecimal digits')
      .describe('Account SID; of the subaccount, when the numbers belong to one'),
    authToken: secretList.describe(
      'Auth Token of that account, which signs webhooks; a list while it is changed',
    ),
    apiKeySid: z
      .string()
      .regex(/^SK[0-9a-f]{32}$/i, 'an API key SID is SK and 32 hexadecimal digits')
      .optional()
      .describe('API key to fetch recordings and lists with, instead of the Auth Token'),
    apiKeySecret: secretValue.optional().describe('secret of that API key'),
    baseUrl: z
      .url()
      .default('https://api.twilio.com')
      .describe('another one for accounts outside region US1'),
    ownNumbers: z
      .array(z.string().min(3).max(64))
      .default([])
      .describe('your own numbers, those of agents’ phones too: they are never taken for the customer'),
    recordingFormat: z.enum(['mp3', 'wav']).default('mp3').describe('wav is 8 kHz, 16 bit'),
    tracks: tracks
      .optional()
      .describe('who is on which track of your two-channel recordings, when all are made the same way'),
  })
  .refine((value) => (value.apiKeySid === undefined) === (value.apiKeySecret === undefined), {
    path: ['apiKeySecret'],
    message: 'apiKeySid and apiKeySecret belong together: set both or neither',
  })

export type Config = z.output<typeof config>

const CLOCK = /^(?:[A-Z][a-z]{2}, )?\d{1,2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} (?:[+-]\d{4}|GMT)$/

/** RFC 2822, as every time of this API is written, to an instant. */
const clock = z.string().transform((text, ctx) => {
  const ms = CLOCK.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(ms)) return new Date(ms).toISOString()
  ctx.addIssue({ code: 'custom', message: 'no RFC 2822 time' })
  return z.NEVER
})

/** Whole seconds as text, to milliseconds; the REST API writes -1 for "not known yet". */
const seconds = z
  .string()
  .regex(/^-?\d{1,9}$/)
  .transform((text) => (Number(text) < 0 ? undefined : Number(text) * 1000))

const sid = (prefix: string) => z.string().regex(new RegExp(`^${prefix}[0-9a-z]{1,62}$`, 'i'))
const words = z.string().max(256)

/** One leg at one moment, wherever it was read: in a webhook or in the list of calls. */
export interface SeenLeg {
  sid: string
  parent: string | undefined
  status: string
  direction: string | undefined
  from: string | undefined
  to: string | undefined
  /** Only the list knows it. */
  startedAt?: string | undefined
  /** When this status was reached. */
  at: string | undefined
  lengthMs: number | undefined
  callerName: string | undefined
  forwardedFrom: string | undefined
  sipCode?: string | undefined
  recording?: SeenRecording | undefined
}

export interface SeenRecording {
  key: string
  /** Absent of a conference’s recording: its callback names the conference alone. */
  callSid: string | undefined
  status: string
  url?: string | undefined
  durationMs: number | undefined
  channels?: number | undefined
  source?: string | undefined
  error?: string | undefined
}

/** Webhook of a call's progress: every value is text. Empty ones were taken out before. */
export const statusCallback = z
  .object({
    CallSid: sid('CA'),
    ParentCallSid: sid('CA').optional(),
    CallStatus: z.string().max(64),
    CallDuration: seconds.optional(),
    Direction: z.string().max(64).optional(),
    From: words.optional(),
    To: words.optional(),
    Timestamp: clock.optional(),
    CallerName: words.optional(),
    ForwardedFrom: words.optional(),
    SipResponseCode: z.string().max(16).optional(),
    RecordingSid: sid('RE').optional(),
    RecordingUrl: z.url().max(4096).optional(),
    RecordingDuration: seconds.optional(),
  })
  .transform((read): SeenLeg => {
    const { RecordingSid: key, RecordingUrl: url, RecordingDuration: durationMs } = read
    return {
      sid: read.CallSid,
      parent: read.ParentCallSid,
      status: read.CallStatus,
      direction: read.Direction,
      from: read.From,
      to: read.To,
      at: read.Timestamp,
      lengthMs: read.CallDuration,
      callerName: read.CallerName,
      forwardedFrom: read.ForwardedFrom,
      sipCode: read.SipResponseCode,
      // `Record=true` on the REST API: the last status callback brings the recording along.
      recording:
        key === undefined ? undefined : { key, callSid: read.CallSid, status: 'completed', url, durationMs },
    }
  })

/** Webhook of a recording's progress. */
export const recordingCallback = z
  .object({
    CallSid: sid('CA').optional(),
    RecordingSid: sid('RE'),
    RecordingStatus: z.string().max(64),
    RecordingUrl: z.url().max(4096).optional(),
    RecordingDuration: seconds.optional(),
    RecordingChannels: z.enum(['1', '2']).optional().catch(undefined),
    RecordingSource: z.string().max(64).optional(),
    ErrorCode: z.string().max(16).optional(),
  })
  .transform(
    (read): SeenRecording => ({
      key: read.RecordingSid,
      callSid: read.CallSid,
      status: read.RecordingStatus,
      url: read.RecordingUrl,
      durationMs: read.RecordingDuration,
      channels: read.RecordingChannels === undefined ? undefined : Number(read.RecordingChannels),
      source: read.RecordingSource,
      error: read.ErrorCode,
    }),
  )

/** GET /2010-04-01/Accounts/{sid}.json */
export const account = z.object({ status: z.string(), type: z.string().nullish() })

const orNothing = <Schema extends z.ZodType>(schema: Schema) =>
  schema.nullish().transform((value) => value ?? undefined)
/** The REST API writes null, and in places an empty string, for what there is not. */
const text = orNothing(words).transform((value) => value || undefined)

const callRow = z
  .object({
    sid: sid('CA'),
    parent_call_sid: text,
    status: z.string(),
    direction: text,
    from: text,
    to: text,
    start_time: orNothing(clock),
    end_time: orNothing(clock),
    duration: orNothing(seconds),
    caller_name: text,
    forwarded_from: text,
  })
  .transform(
    (row): SeenLeg => ({
      sid: row.sid,
      parent: row.parent_call_sid,
      status: row.status,
      direction: row.direction,
      from: row.from,
      to: row.to,
      startedAt: row.start_time,
      at: row.end_time,
      lengthMs: row.duration,
      callerName: row.caller_name,
      forwardedFrom: row.forwarded_from,
    }),
  )

const recordingRow = z
  .object({
    sid: sid('RE'),
    call_sid: orNothing(sid('CA')),
    status: z.string(),
    channels: orNothing(z.int().min(1).max(8).optional().catch(undefined)),
    duration: orNothing(seconds),
    source: text,
    error_code: orNothing(z.int()),
  })
  .transform(
    (row): SeenRecording => ({
      key: row.sid,
      callSid: row.call_sid,
      status: row.status,
      durationMs: row.duration,
      channels: row.channels,
      source: row.source,
      error: row.error_code === undefined ? undefined : String(row.error_code),
    }),
  )

const page = { next_page_uri: orNothing(z.string().max(4096)) }
export const callPage = z.object({ calls: z.array(callRow), ...page })
export const recordingPage = z.object({ recordings: z.array(recordingRow), ...page })
