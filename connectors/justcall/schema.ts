import { z } from 'zod'
import { tracks } from '../../src/call/call.ts'
import { isTimeZone } from '../../src/call/zone.ts'
import { secretList } from '../../src/connector/secret.ts'

/** The connection's keys. */
export const config = z.object({
  apiKey: z.string().min(1).describe('API key of the account'),
  apiSecret: secretList.describe(
    'API secret beside it, which signs webhooks too; a list while it is changed',
  ),
  maxAgeMs: z
    .union([z.int().min(60_000).max(600_000), z.literal(false)])
    .default(300_000)
    .describe('how far a webhook’s time may be from ours; `false`: it is not looked at'),
  timestampZone: z
    .string()
    .refine(isTimeZone, 'a time zone of the IANA list, such as America/New_York')
    .default('UTC')
    .describe('IANA zone of that time, which the vendor does not state'),
  baseUrl: z.url().default('https://api.justcall.io').describe('the API'),
  tracks: tracks
    .optional()
    .describe('who is on which track, if your recordings have two: listen first, it is not documented'),
})

export type Config = z.output<typeof config>

const id = z.union([z.int().nonnegative(), z.string().regex(/^\d{1,32}$/)]).transform(String)

const orNothing = <Schema extends z.ZodType>(schema: Schema) =>
  schema.nullish().transform((value) => value ?? undefined)
/** What there is not is an empty text, null or left out. */
const text = (most: number) => orNothing(z.string().max(most)).transform((value) => value || undefined)
const textual = z
  .union([z.string().max(256), z.number()])
  .nullish()
  .transform((value) => (value === undefined || value === null ? undefined : String(value) || undefined))

/** Whole seconds, to milliseconds. */
const seconds = orNothing(
  z
    .union([z.number(), z.string().regex(/^\d{1,8}$/)])
    .transform(Number)
    .pipe(z.number().min(0).max(10_000_000)),
).transform((value) => (value === undefined ? undefined : Math.round(value * 1000)))

const TIME = /^(\d{1,2}):(\d\d):(\d\d)$/

/** UTC, in two fields; hours come with one digit too. */
function startOf({ call_date: date, call_time: time }: { call_date: string; call_time: string }) {
  const [, hour = '', minute, second] = TIME.exec(time) ?? []
  const ms = Date.parse(`${date}T${hour.padStart(2, '0')}:${minute}:${second}Z`)
  // Date.parse takes February 31 for March 3.
  const instant = Number.isNaN(ms) ? '' : new Date(ms).toISOString()
  return instant.startsWith(date) ? instant : undefined
}

/** A call, as webhooks and the list show it. */
export const justCall = z
  .object({
    id,
    contact_number: textual,
    contact_name: text(256),
    contact_email: text(320),
    justcall_number: textual,
    justcall_line_name: text(256),
    agent_id: textual,
    agent_name: text(256),
    agent_email: text(320),
    call_date: z.string().regex(/^\d{4}-\d\d-\d\d$/),
    call_time: z.string().regex(TIME),
    call_info: z.object({
      direction: text(64),
      type: text(64),
      missed_call_reason: text(256),
      status: text(256),
      disposition: text(256),
      notes: text(100_000),
      rating: textual,
      recording: text(4096),
      recording_child: text(4096),
    }),
    call_duration: orNothing(
      z.object({
        total_duration: seconds,
        ring_time: seconds,
        queue_wait_time: seconds,
        hold_time: seconds,
        conversation_time: seconds,
      }),
    ),
    tags: orNothing(z.array(z.unknown()).max(200)),
  })
  .transform((read, ctx) => {
    const startedAt = startOf(read)
    if (startedAt !== undefined) return { ...read, startedAt }
    ctx.addIssue({ code: 'custom', message: 'no date and time of the calendar', path: ['call_date'] })
    return z.NEVER
  })
export type JustCall = z.output<typeof justCall>

/** What every webhook is wrapped in; `data` is read once the type says that it is a call. */
export const envelope = z.object({
  type: z.string().max(128),
  request_id: z.string().max(128),
  data: z.unknown(),
})

/** GET /v2.1/calls/{id} */
export const oneCall = z.object({ data: justCall })
/** GET /v2.1/calls */
export const callPage = z.object({ data: z.array(justCall) })
/** The same, when nothing of it is read. */
export const anyPage = z.object({ data: z.array(z.unknown()) })
