import { z } from 'zod'
import { tracks } from '../../src/call/call.ts'
import { secretList, secretValue } from '../../src/connector/secret.ts'

/** The connection's keys. */
export const config = z.object({
  verificationToken: secretList.describe(
    'token of your own that the subscription is made with, 32 random characters or more; a list while it is changed',
  ),
  clientId: z.string().min(1).max(128).describe('Client ID of the app'),
  clientSecret: secretValue.describe('Client Secret beside it'),
  jwt: secretValue.describe('JWT credential of a user who may see the company’s calls'),
  baseUrl: z
    .url()
    .default('https://platform.ringcentral.com')
    .describe('another address of the API: sandbox, or that of a partner’s brand'),
  callQueues: z
    .array(z.string().min(1).max(256))
    .default([])
    .describe('names or extension ids of your call queues: what they answer is not yet an agent'),
  recordingFormat: z.enum(['mp3', 'wav']).default('mp3').describe('what your account’s recordings are'),
  tracks: tracks
    .optional()
    .describe(
      'who is on which track of your recordings, if they have two: listen first, it is not documented',
    ),
})

export type Config = z.output<typeof config>

/** RingCentral leaves out what there is not; in places it writes null or an empty string. */
const orNothing = <Schema extends z.ZodType>(schema: Schema) =>
  z
    .union([z.literal(['']), z.null(), schema])
    .optional()
    .transform((value) => (value === '' || value === null ? undefined : (value as z.output<Schema>)))

/** Ids end up in URLs: only what they are made of. Those of extensions are text in events, numbers in the call log. */
const id = z.string().regex(/^[\w-]{1,128}$/)
const textual = z.union([id, z.int().nonnegative().transform(String)])
const words = orNothing(z.string().max(256))
const clock = z.iso.datetime({ offset: true }).transform((text) => new Date(text).toISOString())

const party = z.object({
  phoneNumber: words,
  name: words,
  extensionId: orNothing(textual),
  extensionNumber: words,
})
export type Party = z.output<typeof party>

const sessionParty = z.object({
  id,
  extensionId: orNothing(textual),
  direction: words,
  to: orNothing(party),
  from: orNothing(party),
  status: z.object({
    code: z.string().max(64),
    reason: words,
    peerId: orNothing(z.object({ telephonySessionId: orNothing(id) })),
  }),
  queueCall: orNothing(z.boolean()),
  recordings: orNothing(z.array(z.object({ id: textual, active: orNothing(z.boolean()) })).max(100)),
})
export type SessionParty = z.output<typeof sessionParty>

/** Any notification: what it is about says `event`, the filter's URI with the account filled in. */
export const notification = z.object({ event: z.string().max(512), body: z.unknown() })

/** `body` of a telephony session's notification. */
export const session = z.object({
  telephonySessionId: id,
  sequence: z.int().nonnegative(),
  eventTime: clock,
  parties: z.array(sessionParty).max(100),
})
export type Session = z.output<typeof session>

const recording = z.object({ id: textual, contentUri: orNothing(z.url().max(4096)) })
const leg = z.object({
  startTime: orNothing(clock),
  duration: orNothing(z.number().nonnegative().max(1e8)),
  result: words,
  master: orNothing(z.boolean()),
  from: orNothing(party),
  to: orNothing(party),
  extension: orNothing(z.object({ id: orNothing(textual) })),
  recording: orNothing(recording),
})

/** A record of the call log, view Detailed. */
export const record = z.object({
  id,
  sessionId: orNothing(id),
  telephonySessionId: orNothing(id),
  startTime: clock,
  duration: orNothing(z.number().nonnegative().max(1e8)),
  durationMs: orNothing(z.int().nonnegative().max(1e11)),
  type: words,
  direction: words,
  result: words,
  reason: words,
  from: orNothing(party),
  to: orNothing(party),
  extension: orNothing(z.object({ id: orNothing(textual) })),
  recording: orNothing(recording),
  legs: orNothing(z.array(leg).max(200)),
})
export type CallRecord = z.output<typeof record>

/** GET /restapi/v1.0/account/~/call-log */
export const logPage = z.object({
  records: z.array(record).default([]),
  navigation: orNothing(z.object({ nextPage: orNothing(z.object({ uri: z.string() })) })),
})

/** POST /restapi/oauth/token */
export const token = z.object({ access_token: z.string().min(1), expires_in: z.number().positive() })
/** GET /restapi/v1.0/account/~/extension/~ */
export const extension = z.object({ extensionNumber: words })

export const subscription = z.object({
  id,
  status: words,
  eventFilters: orNothing(z.array(z.string().max(1024)).max(1000)),
  deliveryMode: orNothing(z.object({ address: orNothing(z.string().max(4096)) })),
})
/** GET /restapi/v1.0/subscription */
export const subscriptions = z.object({ records: z.array(subscription).default([]) })
