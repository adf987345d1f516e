import { z } from 'zod'
import { tracks } from '../../src/call/call.ts'
import { isTimeZone } from '../../src/call/zone.ts'
import { secretList, secretValue } from '../../src/connector/secret.ts'

const timeZone = z.string().max(64).refine(isTimeZone, 'a time zone of the IANA list, such as Europe/Paris')

/** The connection's keys. */
export const config = z
  .object({
    secret: secretList.describe('SECRET of the script, which signs with it; a list while it is changed'),
    trunks: z
      .array(z.string().min(1).max(80))
      .min(1)
      .describe('endpoints that lead outside, as channels name them: `provider` of PJSIP/provider-0000002a'),
    dialPrefix: z
      .string()
      .regex(/^[\d*#+]{1,8}$/)
      .optional()
      .describe('what agents dial before an outside number, when the records have it'),
    timeZone: timeZone
      .optional()
      .describe('zone of records with local times, when they do not bring it; the script’s have none'),
    announced: z
      .boolean()
      .default(true)
      .describe('the script runs after each recording; false: what a record names can be fetched at once'),
    baseUrl: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe('where the recordings are fetched: their folder served over HTTPS, or ARI'),
    recordings: z.enum(['folder', 'ari']).default('folder').describe('which of the two baseUrl is'),
    user: z.string().min(1).optional().describe('user of the folder or of ARI'),
    password: secretValue.optional().describe('its password'),
    tracks: tracks
      .optional()
      .describe('who is on which track, if you record in stereo; MixMonitor mixes to one'),
  })
  .refine((value) => (value.user === undefined) === (value.password === undefined), {
    path: ['password'],
    message: 'user and password belong together: set both or neither',
  })

export type Config = z.output<typeof config>

/** Columns are text; exports of a database write numbers too. An empty one says nothing. */
const text = z
  .union([z.string(), z.number()])
  .nullish()
  .transform((value) => (value == null || value === '' ? undefined : String(value).slice(0, 256)))

/** `<seconds since 1970>.<serial>`, after the system's name where one is set (asterisk.conf, systemname). */
const id = z.string().regex(/^[\w.-]{1,150}$/)
const optionalId = text.pipe(id.optional())

/** `CDR(start,u)`: seconds since 1970 with six decimals, zeros for "never". */
const epoch = text.pipe(
  z
    .string()
    .regex(/^\d{1,11}(?:\.\d{1,9})?$/)
    .transform((value) => Math.floor(Number(value) * 1000) || undefined)
    .optional(),
)

const seconds = text.pipe(
  z
    .string()
    .regex(/^\d{1,8}$/)
    .transform((value) => Number(value) * 1000)
    .optional(),
)

/** "2026-03-04 13:22:33" on the server's clock. */
const wallClock = text.pipe(
  z
    .string()
    .regex(/^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$/)
    .refine(isOnCalendar, 'no date of the calendar')
    .optional(),
)

/** Date.parse takes February 31 for March 3. */
function isOnCalendar(wall: string): boolean {
  const ms = Date.parse(`${wall.replace(' ', 'T')}Z`)
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(wall.replace(' ', 'T'))
}

/** A name in a folder and no way out of it: it becomes a part of a URL that is asked with our credentials. */
export const fileName = z.string().regex(/^[^./\\\p{C}][^/\\\p{C}]{0,250}$/u)
const optionalFileName = text.pipe(fileName.optional())

/**
 * A call detail record: its variables by their names in Asterisk (`CDR(start,u)`, …), or the columns of FreePBX's table
 * `cdr` (`calldate`, `did`, `cnam`, …), which has `calldate` and no end.
 */
export const record = z.object({
  uniqueid: id,
  linkedid: optionalId,
  sequence: optionalId,
  start: epoch,
  answer: epoch,
  end: epoch,
  calldate: wallClock,
  duration: seconds,
  billsec: seconds,
  disposition: text,
  channel: text,
  dstchannel: text,
  clid: text,
  src: text,
  dst: text,
  did: text,
  cnum: text,
  cnam: text,
  outbound_cnum: text,
  dst_cnam: text,
  lastapp: text,
  lastdata: text,
  accountcode: text,
  recordingfile: optionalFileName,
})
export type CallRecord = z.output<typeof record>

/** What the script says when MixMonitor has closed a file. */
export const recorded = z.object({
  uniqueid: id,
  linkedid: optionalId,
  recordingfile: fileName,
  bytes: z.int().nonnegative(),
})
export type Recorded = z.output<typeof recorded>

const MOST_ROWS = 500
export const post = z.object({
  tz: timeZone.optional(),
  rows: z.array(record).max(MOST_ROWS).default([]),
  recordings: z.array(recorded).max(MOST_ROWS).default([]),
})

/** GET /ari/asterisk/info?only=system */
export const ariInfo = z.object({ system: z.object({ version: z.string().max(100) }) })
