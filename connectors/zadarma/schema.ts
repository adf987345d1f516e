import { z } from 'zod'
import { tracks } from '../../src/call/call.ts'
import { isTimeZone } from '../../src/call/zone.ts'
import { secretList } from '../../src/connector/secret.ts'

/** The connection's keys. */
export const config = z.object({
  key: z.string().min(1).describe('Key of the API page of your personal account'),
  secret: secretList.describe('Secret beside it, which signs webhooks too; a list while it is changed'),
  timeZone: z
    .string()
    .refine(isTimeZone, 'a time zone of the IANA list, such as Europe/Paris')
    .describe('IANA zone of the account: Zadarma writes local times without an offset'),
  baseUrl: z
    .url()
    .default('https://api.zadarma.com')
    .describe('another one for Novofon and other resellers of the same API'),
  linkLifetimeMs: z
    .int()
    .min(180_000)
    .max(5_184_000_000)
    .default(1_800_000)
    .describe('how long a link to a recording stays good'),
  tracks: tracks
    .optional()
    .describe('who is on which track, if you record in stereo: listen first, it is not documented'),
})

export type Config = z.output<typeof config>

/** "2026-03-04 11:22:33" on the account's clock. */
export const wallClock = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$/)
  .refine(isOnCalendar, 'no date of the calendar')

/** Date.parse takes February 31 for March 3. */
function isOnCalendar(wall: string): boolean {
  const ms = Date.parse(`${wall.replace(' ', 'T')}Z`)
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(wall.replace(' ', 'T'))
}

/** Ids end up in URLs and in unsigned fields: only what they are made of. */
const id = z.string().regex(/^[\w.-]{1,128}$/)
const words = z.string().max(256)
const seconds = z
  .string()
  .regex(/^\d{1,8}$/)
  .transform((text) => Number(text) * 1000)

/** Any notification of a call. Every value is text; empty ones were taken out before. */
export const callNotice = z.object({
  pbx_call_id: id,
  call_start: wallClock,
  caller_id: words.optional(),
  called_did: words.optional(),
  destination: words.optional(),
  internal: words.optional(),
  last_internal: words.optional(),
  duration: seconds.optional(),
  disposition: z.string().max(64).optional(),
  status_code: z.string().max(16).optional(),
  is_recorded: z.enum(['0', '1']).optional(),
  call_id_with_rec: id.optional(),
})
export type CallNotice = z.output<typeof callNotice>

/** NOTIFY_RECORD has no time and no numbers. */
export const recordNotice = z.object({ pbx_call_id: id, call_id_with_rec: id })
export type RecordNotice = z.output<typeof recordNotice>

/** Numbers of the statistics come as JSON numbers or as text. */
const textual = z.union([z.string(), z.number()]).transform(String)

/** GET /v1/statistics/pbx/ with version=2: one row per part of a call. */
export const statistics = z.object({
  stats: z.array(
    z.object({
      call_id: textual.pipe(id),
      pbx_call_id: id,
      callstart: wallClock,
      sip: textual.optional(),
      clid: textual.optional(),
      destination: textual.optional(),
      disposition: z.string().max(64),
      seconds: z.coerce.number().int().nonnegative(),
      // Documented as a boolean; text in older copies of the page.
      is_recorded: z
        .union([z.boolean(), z.literal(['true', 'false'])])
        .transform((value) => value === true || value === 'true'),
    }),
  ),
})
export type StatisticsRow = z.output<typeof statistics>['stats'][number]

/** GET /v1/pbx/record/request/ by call_id. */
export const recordLink = z.object({ link: z.url().max(4096) })

/** GET /v1/info/timezone/ */
export const accountClock = z.object({
  unixtime: z.coerce.number().int(),
  datetime: wallClock,
  timezone: z.string(),
})
