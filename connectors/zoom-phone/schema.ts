import { z } from 'zod'
import { tracks } from '../../src/call/call.ts'
import { secretList, secretValue } from '../../src/connector/secret.ts'

/** The connection's keys. */
export const config = z.object({
  secretToken: secretList.describe(
    'Secret Token of the app, which signs webhooks; a list while it is changed',
  ),
  accountId: z.string().min(1).max(128).describe('Account ID of the Server-to-Server OAuth app'),
  clientId: z.string().min(1).max(128).describe('Client ID beside it'),
  clientSecret: secretValue.describe('Client Secret beside it'),
  baseUrl: z
    .url()
    .default('https://api.zoom.us')
    .describe('address of the API; tokens come from the same host without its `api.`'),
  toleranceMs: z
    .int()
    .min(60_000)
    .max(7_200_000)
    .default(300_000)
    .describe('how old a webhook’s timestamp may be, in ms'),
  recordingFormat: z
    .enum(['mp3', 'wav', 'm4a'])
    .default('mp3')
    .describe('what recordings are: Zoom does not document it, and most see MP3'),
  tracks: tracks
    .optional()
    .describe(
      'who is on which track of your recordings, if they have two: listen first, it is not documented',
    ),
})

export type Config = z.output<typeof config>

/** Zoom writes an empty string or null in places for what there is not. */
const orNothing = <Schema extends z.ZodType>(schema: Schema) =>
  z
    .union([z.literal(['']), z.null(), schema])
    .optional()
    .transform((value) => (value === '' || value === null ? undefined : (value as z.output<Schema>)))

/** Ids end up in URLs: only what they are made of. Call ids are numbers of 19 digits, always written as text. */
const id = z.string().regex(/^[\w.=-]{1,128}$/)
const words = orNothing(z.string().max(256))
/** Extension numbers come as numbers in some events, as text in others. */
const textual = orNothing(z.union([z.string().max(64), z.int().transform(String)]))
const seconds = orNothing(
  z
    .int()
    .nonnegative()
    .max(10_000_000)
    .transform((value) => value * 1000),
)
/** "GMT date-time format" to an instant. */
const clock = z.iso.datetime({ offset: true }).transform((text) => new Date(text).toISOString())

/** What every notification is wrapped in. */
export const notification = z.object({
  event: z.string().max(128),
  payload: z.object({ object: z.unknown() }),
})

const party = z.object({
  extension_id: words,
  extension_type: words,
  extension_number: textual,
  phone_number: words,
  name: words,
})
const forwarder = orNothing(z.object({ name: words, extension_type: words }))

/** `payload.object` of the events that tell of a call under way, of one party of it. */
export const liveCall = z.object({
  call_id: id,
  caller: orNothing(party),
  callee: orNothing(party),
  ringing_start_time: orNothing(clock),
  answer_start_time: orNothing(clock),
  connected_start_time: orNothing(clock),
  call_end_time: orNothing(clock),
  forwarded_by: forwarder,
})
export type LiveCall = z.output<typeof liveCall>
export type LiveParty = z.output<typeof party>

/** One hop of a call, the same in the webhooks and in the call history; `id` and `call_path_id` are its older names. */
const element = z
  .object({
    call_element_id: orNothing(id),
    id: orNothing(id),
    call_history_uuid: orNothing(id),
    call_path_id: orNothing(id),
    call_id: id,
    connect_type: words,
    direction: orNothing(z.enum(['inbound', 'outbound'])),
    caller_ext_id: words,
    caller_name: words,
    caller_email: orNothing(z.string().max(320)),
    caller_did_number: words,
    caller_ext_number: textual,
    caller_ext_type: words,
    callee_ext_id: words,
    callee_name: words,
    callee_email: orNothing(z.string().max(320)),
    callee_did_number: words,
    callee_ext_number: textual,
    callee_ext_type: words,
    operator_name: words,
    operator_ext_type: words,
    start_time: orNothing(clock),
    answer_time: orNothing(clock),
    end_time: orNothing(clock),
    event: words,
    result: words,
    result_reason: words,
    recording_id: orNothing(id),
    talk_time: seconds,
    hold_time: seconds,
  })
  .transform(({ call_element_id, id: older, call_history_uuid, call_path_id, ...read }, ctx) => {
    const elementId = call_element_id ?? older
    if (elementId !== undefined) return { ...read, elementId, historyId: call_history_uuid ?? call_path_id }
    ctx.addIssue({ code: 'custom', path: ['call_element_id'], message: 'no id' })
    return z.NEVER
  })
export type Element = z.output<typeof element>

/** `payload.object` of the events on finished calls: the third form of 2025, and the second of 2023. */
export const elements = z
  .object({
    call_elements: z.array(element).max(200).optional(),
    call_logs: z.array(element).max(200).optional(),
  })
  .transform((read, ctx) => {
    const all = read.call_elements ?? read.call_logs
    if (all !== undefined) return all
    ctx.addIssue({ code: 'custom', path: ['call_elements'], message: 'no hops' })
    return z.NEVER
  })

const recordingRow = z.object({
  id,
  call_id: id,
  download_url: orNothing(z.url().max(4096)),
  duration: seconds,
})
export type RecordingRow = z.output<typeof recordingRow>

/** `payload.object` of `phone.recording_completed`. */
export const recordings = z.object({ recordings: z.array(recordingRow).max(100) })
/** `payload.object` of the other events on a recording. */
export const recordingProgress = z.object({ id, call_id: id })

/** `payload.object` of `phone.voicemail_received`. `caller_number_type` 1 is an extension, 2 a phone number. */
export const voicemail = z.object({
  id,
  call_id: id,
  download_url: orNothing(z.url().max(4096)),
  duration: seconds,
  caller_number: words,
  caller_did_number: words,
  caller_number_type: orNothing(z.int()),
  callee_did_number: words,
  date_time: orNothing(clock),
})
export type Voicemail = z.output<typeof voicemail>

/** POST /oauth/token */
export const token = z.object({ access_token: z.string().min(1), expires_in: z.number().positive() })

const page = { next_page_token: words }
/** GET /v2/phone/call_history; its `call_logs` is the same under older names, until November 2026. */
export const historyPage = z.object({
  call_history: z.array(z.object({ call_history_uuid: id })).default([]),
  ...page,
})
/** GET /v2/phone/call_history/{callHistoryUuid} */
export const history = z.object({ call_elements: z.array(element).max(1000).default([]) })
/** GET /v2/phone/recordings */
export const recordingPage = z.object({ recordings: z.array(recordingRow).default([]), ...page })
/** GET /v2/phone/voice_mails/{voicemailId} */
export const voicemailDetails = z.object({ download_url: z.url().max(4096) })
