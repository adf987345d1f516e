import { z } from 'zod'
import { tracks } from '../../src/call/call.ts'
import { decodeBase64 } from '../../src/connector/encoding.ts'
import { secretList, secretValue } from '../../src/connector/secret.ts'

/** PKCS #8, as the dashboard gives it in PEM, or the same without its frame; null when it is neither. */
export function privateKeyBytes(text: string): Uint8Array | null {
  // Files of environment variables write the ends of its lines as \n.
  const lines = text.replaceAll('\\n', '\n').trim()
  const framed = /^-----BEGIN PRIVATE KEY-----([\sA-Za-z\d+/=]+)-----END PRIVATE KEY-----$/.exec(lines)
  const bytes = decodeBase64((framed?.[1] ?? lines).replaceAll(/\s/g, ''))
  // A sequence (0x30), and longer than an RSA key of 1024 bits; what else is in it, the import says.
  return bytes && bytes.length > 700 && bytes[0] === 0x30 ? bytes : null
}

/** The connection's keys. */
export const config = z.object({
  applicationId: z
    .string()
    .regex(/^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i, 'an Application ID is a UUID')
    .describe('Application ID of the Voice application that makes and takes the calls'),
  privateKey: secretValue
    .refine(
      (text) => privateKeyBytes(text) !== null,
      'a private key is PEM (BEGIN PRIVATE KEY), or its base64 on one line',
    )
    .describe('private key of that application, to fetch recordings and lists with'),
  signatureSecret: secretList.describe(
    'Signature secret of the account, which signs webhooks; a list while it is changed',
  ),
  ownNumbers: z
    .array(z.string().min(3).max(256))
    .default([])
    .describe('your own numbers, those of agents’ phones too: they are never taken for the customer'),
  answeredBy: z
    .enum(['connect', 'leg'])
    .default('connect')
    .describe(
      'when an inbound call counts as answered: connect, when an agent’s leg is answered; leg, as soon as your application takes it',
    ),
  recordingFormat: z
    .enum(['mp3', 'wav', 'ogg'])
    .default('mp3')
    .describe('the format that your record action asks for: no webhook says it'),
  tracks: tracks
    .optional()
    .describe('who is on which track, if you record with split: conversation; left is the one who called'),
  baseUrl: z.url().default('https://api.nexmo.com').describe('the API of another region'),
})

export type Config = z.output<typeof config>

const orNothing = <Schema extends z.ZodType>(schema: Schema) =>
  schema.nullish().transform((value) => value ?? undefined)

const WALL = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/
/** ISO 8601; the list’s page has one without a zone as well. Empty on events that have no such time yet. */
const moment = orNothing(
  z.string().transform((text, ctx) => {
    if (text === '') return undefined
    const iso = WALL.test(text) ? `${text.replace(' ', 'T')}Z` : text
    const read = z.iso.datetime({ offset: true }).safeParse(iso)
    if (read.success && !Number.isNaN(Date.parse(iso))) return new Date(iso).toISOString()
    ctx.addIssue({ code: 'custom', message: 'no ISO 8601 time' })
    return z.NEVER
  }),
)
const id = z.string().regex(/^[\w:.-]{1,128}$/)
const words = orNothing(z.string().max(256)).transform((value) => value || undefined)
const seconds = orNothing(
  z
    .union([z.number(), z.string().regex(/^\d{0,9}(?:\.\d+)?$/)])
    .transform((value) => (value === '' ? undefined : Math.round(Number(value) * 1000))),
)

/** A leg at one moment, wherever it was read. */
export interface SeenLeg {
  leg: string
  conversation: string
  status: string
  direction: string | undefined
  from: string | undefined
  to: string | undefined
  at: string | undefined
  answeredAt: string | undefined
  endedAt: string | undefined
  lengthMs: number | undefined
  detail: string | undefined
  by?: string | undefined
  sipCode?: string | undefined
}

/** https://developer.vonage.com/en/voice/voice-api/webhook-reference#event-webhook (read 2026-11-27) */
export const statusEvent = z
  .object({
    uuid: id.optional(),
    /** What `human` and `machine` call it. */
    call_uuid: id.optional(),
    conversation_uuid: id,
    status: z.string().max(64),
    direction: orNothing(z.string().max(16)),
    from: words,
    from_user: words,
    to: words,
    timestamp: moment,
    start_time: moment,
    end_time: moment,
    duration: seconds,
    detail: words,
    disconnected_by: words,
    sip_code: orNothing(z.union([z.string(), z.number()]).transform(String)),
  })
  .transform((read, ctx): SeenLeg => {
    const leg = read.uuid ?? read.call_uuid
    if (leg === undefined) {
      ctx.addIssue({ code: 'custom', path: ['uuid'], message: 'no id of a leg' })
      return z.NEVER
    }
    return {
      leg,
      conversation: read.conversation_uuid,
      status: read.status,
      direction: read.direction,
      from: read.from ?? (read.from_user && `app:${read.from_user}`),
      to: read.to,
      at: read.timestamp,
      answeredAt: read.start_time,
      endedAt: read.end_time,
      lengthMs: read.duration,
      detail: read.detail,
      by: read.disconnected_by,
      sipCode: read.sip_code,
    }
  })

export const transferEvent = z.object({
  uuid: id,
  conversation_uuid_from: id,
  conversation_uuid_to: id,
  timestamp: moment,
})

/** The event of a record action: it has no status, no leg and no numbers. */
export const recordEvent = z.object({
  conversation_uuid: id,
  recording_uuid: id,
  recording_url: z.url().max(4096),
  size: orNothing(z.union([z.number(), z.string().regex(/^\d{1,15}$/)]).transform(Number)),
  start_time: moment,
  end_time: moment,
})
export type RecordEvent = z.output<typeof recordEvent>

const endpoint = z
  .object({ type: words, number: words, uri: words, user: words, extension: words })
  .nullish()
  .transform((end) => end?.number ?? end?.uri ?? end?.extension ?? (end?.user && `app:${end.user}`))

/** GET /v1/calls: github.com/Nexmo/api-specification definitions/voice.yml (1.3.6) and npm @vonage/voice 1.24.1 */
export const callPage = z.object({
  count: orNothing(z.int().nonnegative()),
  _embedded: z.object({
    calls: z.array(
      z
        .object({
          uuid: id,
          conversation_uuid: id,
          status: z.string().max(64),
          direction: orNothing(z.string().max(16)),
          from: endpoint,
          to: endpoint,
          start_time: moment,
          end_time: moment,
          duration: seconds,
        })
        .transform(
          (row): SeenLeg => ({
            leg: row.uuid,
            conversation: row.conversation_uuid,
            status: row.status,
            direction: row.direction,
            from: row.from || undefined,
            to: row.to || undefined,
            at: row.end_time,
            answeredAt: row.start_time,
            endedAt: row.end_time,
            lengthMs: row.duration,
            detail: undefined,
          }),
        ),
    ),
  }),
})
