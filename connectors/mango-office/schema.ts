import { z } from 'zod'
import { tracks } from '../../src/call/call.ts'
import { isTimeZone } from '../../src/call/zone.ts'
import { secretList, secretValue } from '../../src/connector/secret.ts'

/** The connection's keys. */
export const config = z.object({
  apiKey: secretValue.describe('unique code of your VPBX (vpbx_api_key), of the page API коннектор'),
  apiSalt: secretList.describe(
    'key for signatures (vpbx_api_salt) beside it: signs both ways; a list while it is changed',
  ),
  baseUrl: z.url().default('https://app.mango-office.ru').describe('another one for a reseller'),
  eventClock: z
    .enum(['utc', 'moscow'])
    .default('utc')
    .describe('moscow when calls appear three hours ahead of the clock'),
  timeZone: z
    .string()
    .refine(isTimeZone, 'a time zone of the IANA list, such as Europe/Moscow')
    .default('Europe/Moscow')
    .describe('IANA zone in which the statistics read dates'),
  tracks: tracks
    .optional()
    .describe('who is on which track of your two-channel recordings: listen first, it is not documented'),
})

export type Config = z.output<typeof config>

/** "String of at most 128 bytes, its inner format must not be used": base64 with = + /, or numbers with colons. */
const id = z.string().regex(/^[\x21-\x7e]{1,128}$/)

/** Examples of the same field have a JSON number here and a text there; some say nothing by an empty text or null. */
const said = z
  .union([z.string(), z.number()])
  .nullish()
  .transform((value) => (value == null || value === '' ? undefined : String(value)))
  .pipe(z.string().max(256).optional())
const whole = z
  .union([z.string(), z.number()])
  .transform(String)
  .pipe(z.string().regex(/^-?\d{1,11}$/))
  .transform(Number)

const side = z.object({ extension: said, number: said }).default({ extension: undefined, number: undefined })

/** POST …/events/summary: once per call, after its end. */
export const summary = z.object({
  entry_id: id,
  call_direction: whole.pipe(z.literal([0, 1, 2])),
  from: side,
  to: side,
  line_number: said,
  create_time: whole,
  talk_time: whole,
  end_time: whole,
  disconnect_reason: whole.optional(),
  sip_call_id: said,
})
export type Summary = z.output<typeof summary>

/** POST …/events/call: one leg at one moment. */
export const legNotice = z.object({
  entry_id: id,
  call_id: id,
  timestamp: whole,
  seq: whole,
  call_state: z.string().max(64),
  location: said,
  from: side,
  to: z
    .object({ extension: said, number: said, acd_group: said })
    .default({ extension: undefined, number: undefined, acd_group: undefined }),
  disconnect_reason: whole.optional(),
  dct: z.object({ number: said, type: whole.optional() }).nullish(),
  callback_initiator: said,
})
export type LegNotice = z.output<typeof legNotice>

/** POST …/events/recording: a recording while it is made. */
export const recordingNotice = z.object({
  entry_id: id,
  recording_id: id,
  recording_state: z.string().max(64),
  seq: whole,
  timestamp: whole,
  completion_code: whole.optional(),
  recipient: said,
})
export type RecordingNotice = z.output<typeof recordingNotice>

/** POST …/events/record/added: it can be fetched. */
export const recordAdded = z.object({ entry_id: id, recording_id: id, timestamp: whole })
export type RecordAdded = z.output<typeof recordAdded>

// ── API ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

const seconds = whole.nullish().transform((value) => value ?? undefined)

const listedLeg = z.object({
  call_type: said,
  call_abonent_id: said,
  call_abonent_info: said,
  call_abonent_number: said,
  call_start_time: seconds,
  call_answer_time: seconds,
  call_end_time: seconds,
  talk_duration: seconds,
  call_end_reason: seconds,
  recording_id: z
    .array(id)
    .nullish()
    .transform((all) => all ?? []),
  external_call_id: id.nullish(),
})
export type ListedLeg = z.output<typeof listedLeg>

const nullable = <Schema extends z.ZodType>(schema: Schema) =>
  z
    .array(schema)
    .nullish()
    .transform((all) => all ?? [])

/** A call of the extended statistics. `members`: those whom a group rang. */
const listedCall = z.object({
  entry_id: id,
  context_type: whole.pipe(z.literal([1, 2, 3])),
  caller_id: said,
  caller_name: said,
  caller_number: said,
  called_number: said,
  context_start_time: whole,
  duration: seconds,
  talk_duration: seconds,
  context_calls: nullable(listedLeg.extend({ members: nullable(listedLeg) })),
})
export type ListedCall = z.output<typeof listedCall>

/** POST /vpbx/stats/calls/request/ */
export const statisticsKey = z.object({ key: z.string().min(1).max(1024) })

/** POST /vpbx/stats/calls/result/: `data` is a list of days; third-party code has met a single day as well. */
const day = z.object({ list: nullable(listedCall) })
export const statisticsPage = z.object({
  status: z.string().max(64),
  data: z
    .union([z.array(day), day.transform((one) => [one])])
    .nullish()
    .transform((days) => (days ?? []).flatMap(({ list }) => list)),
})
