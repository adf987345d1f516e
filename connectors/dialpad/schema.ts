import { z } from 'zod'
import { tracks } from '../../src/call/call.ts'
import { secretList, secretValue } from '../../src/connector/secret.ts'

/** The connection's keys. */
export const config = z.object({
  webhookSecret: secretList.describe('secret that the webhook was created with; a list while it is changed'),
  apiKey: secretValue.describe('API key of the company, with the scopes recordings_export and calls:list'),
  baseUrl: z
    .url()
    .default('https://dialpad.com')
    .describe('another address of the API, such as https://sandbox.dialpad.com'),
  tracks: tracks
    .optional()
    .describe(
      'who is on which track of your recordings, if they have two: listen first, it is not documented',
    ),
})

export type Config = z.output<typeof config>

/** Dialpad writes null, an empty string and an empty object for what there is not. */
const orNothing = <Schema extends z.ZodType>(schema: Schema) =>
  z
    .union([z.literal(['']), z.null(), schema])
    .optional()
    .transform((value) => (value === '' || value === null ? undefined : (value as z.output<Schema>)))

/** 64 bits, as a number: what a JavaScript number may not hold came as text from `parseJson`. */
const id = z.union([z.string().regex(/^\d{1,20}$/), z.int().nonnegative().transform(String)])
const words = orNothing(z.string().max(256))
/** Milliseconds since 1970, to an instant. */
const clock = orNothing(
  z
    .int()
    .min(0)
    .max(8_640_000_000_000_000)
    .transform((ms) => new Date(ms).toISOString()),
)
/** Milliseconds, with a fraction. */
const length = orNothing(
  z
    .number()
    .nonnegative()
    .max(1e12)
    .transform((ms) => Math.round(ms)),
)

const party = orNothing(
  z.object({
    id: orNothing(z.union([z.string().max(256), z.int().transform(String)])),
    type: words,
    name: words,
    email: orNothing(z.string().max(320)),
    phone: words,
  }),
)

const recording = z.object({
  id: z.string().regex(/^[\w-]{1,128}$/),
  recording_type: words,
  duration: length,
  url: orNothing(z.url().max(4096)),
})

/** A call object: the same in every event and in the list. */
export const callObject = z.object({
  call_id: id,
  state: words,
  direction: words,
  date_started: clock,
  date_connected: clock,
  date_ended: clock,
  event_timestamp: clock,
  talk_time: length,
  hold_time: length,
  duration: length,
  total_duration: length,
  external_number: words,
  internal_number: words,
  contact: party,
  target: party,
  entry_point_target: party,
  entry_point_call_id: orNothing(id),
  master_call_id: orNothing(id),
  operator_call_id: orNothing(id),
  is_internal: orNothing(z.boolean()),
  labels: orNothing(z.array(z.string().max(128)).max(100)),
  was_recorded: orNothing(z.boolean()),
  voicemail_link: orNothing(z.string().max(4096)),
  voicemail_share_link: orNothing(z.string().max(4096)),
  voicemail_recording_id: orNothing(z.union([z.string().max(128), z.int().transform(String)])),
  recording_details: orNothing(z.array(recording).max(100)),
  admin_recording_urls: orNothing(z.array(z.url().max(4096)).max(100)),
})
export type CallObject = z.output<typeof callObject>
export type Party = NonNullable<CallObject['target']>

const page = { cursor: orNothing(z.string().max(4096)) }
/** GET /api/v2/call */
export const callPage = z.object({ items: z.array(callObject).default([]), ...page })

const webhook = z.object({
  id,
  hook_url: orNothing(z.string().max(4096)),
  signature: orNothing(z.object({ secret: words })),
})
export type Webhook = z.output<typeof webhook>
/** POST and PATCH /api/v2/webhooks */
export const oneWebhook = webhook
/** GET /api/v2/webhooks */
export const webhookPage = z.object({ items: z.array(webhook).default([]), ...page })

/** POST /api/v2/subscriptions/call */
export const subscription = z.object({ id, webhook: orNothing(z.object({ id: orNothing(id) })) })
/** GET /api/v2/subscriptions/call */
export const subscriptionPage = z.object({ items: z.array(subscription).default([]), ...page })
