import { z } from 'zod'
import { tracks } from '../../src/call/call.ts'
import { secretList, secretValue } from '../../src/connector/secret.ts'

/** The connection's keys. */
export const config = z.object({
  webhookKey: secretList.describe('Key of the webhook section Call event; a list while it is changed'),
  apiKey: secretValue.describe('API key with the right to read calls'),
  baseUrl: z.url().default('https://public-api.ringover.com').describe('the API'),
  tracks: tracks
    .optional()
    .describe('who is on which track, if your recordings have two: listen first, it is not documented'),
})

export type Config = z.output<typeof config>

/** JSON numbers or text, of up to twenty digits: those that a double would round were read as text. */
const digits = z
  .union([z.number(), z.string()])
  .transform(String)
  .pipe(z.string().regex(/^\d{1,32}$/))

const orNothing = <Schema extends z.ZodType>(schema: Schema) =>
  schema.nullish().transform((value) => value ?? undefined)
const text = (most = 256) => orNothing(z.string().max(most)).transform((value) => value || undefined)
const number = z
  .union([z.string().max(256), z.number()])
  .nullish()
  .transform((value) => (value === undefined || value === null ? undefined : String(value) || undefined))
/** Sometimes 0 and 1. */
const flag = z
  .union([z.boolean(), z.literal([0, 1])])
  .nullish()
  .transform(Boolean)

const LAST_SECOND = 253_402_300_799
/** UNIX seconds with a fraction, as the events have them; ISO 8601 with an offset in the list and in one example. */
const instant = orNothing(
  z.union([
    z
      .number()
      .min(0)
      .max(LAST_SECOND)
      .transform((seconds) => new Date(Math.round(seconds * 1000)).toISOString()),
    z.iso.datetime({ offset: true }).transform((written) => new Date(written).toISOString()),
  ]),
)

const user = orNothing(
  z.object({ user_id: digits.optional(), firstname: text(), lastname: text(), email: text(320) }),
)

/** What an event of the resource `call` says: every one says what it knows of the call. */
const callData = z.object({
  call_id: digits,
  channel_id: digits.nullish().transform((value) => value ?? undefined),
  direction: text(64),
  is_internal: flag,
  is_anonymous: flag,
  from_number: number,
  to_number: number,
  start_time: instant,
  answered_time: instant,
  hangup_time: instant,
  user_id: orNothing(digits),
  user,
  ivr_data: orNothing(z.object({ scenario_name: text(), ivr_name: text() })),
  ivr: orNothing(z.object({ scenario: text(), name: text() })),
  status: text(),
  reason: text(),
  record: text(4096),
  message: text(4096),
})
export type CallData = z.output<typeof callData>

/** What an event of the resource `aftercall` says: ids, and what it is about. */
const afterData = z.object({
  call_id: digits,
  channel_id: digits.nullish().transform((value) => value ?? undefined),
  record_link: text(4096),
  record_duration: orNothing(z.number().min(0).max(10_000_000)),
  voicemail_link: text(4096),
  voicemail_duration: orNothing(z.number().min(0).max(10_000_000)),
  tags: orNothing(z.array(z.string().max(1000)).max(200)),
  comments: text(100_000),
})
export type AfterData = z.output<typeof afterData>

/** What every event is wrapped in. The vendor's own SDK reads the first field by a misspelt name in places. */
export const envelope = z.object({
  resource: text(64),
  ressource: text(64),
  event: z.string().max(64),
  timestamp: instant,
})
export const callEvent = z.object({ data: callData })
export const afterEvent = z.object({ data: afterData })

/** One row of GET /v2/calls. */
const row = z.object({
  call_id: digits,
  channel_id: digits.nullish().transform((value) => value ?? undefined),
  direction: text(64),
  is_answered: flag,
  last_state: text(),
  from_number: number,
  to_number: number,
  start_time: instant,
  answered_time: instant,
  end_time: instant,
  incall_duration: orNothing(z.number().min(0).max(10_000_000)),
  record: text(4096),
  voicemail: text(4096),
  user,
})
export type Row = z.output<typeof row>
export const callPage = z.object({ call_list: orNothing(z.array(row)) })
