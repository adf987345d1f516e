import { z } from 'zod'
import { tracks } from '../../src/call/call.ts'
import { secretList, secretValue } from '../../src/connector/secret.ts'

/** The connection's keys. */
export const config = z.object({
  apiId: z.string().min(1).describe('API ID of the API key, from Integrations & API of the dashboard'),
  apiToken: secretValue.describe('API token beside it'),
  webhookToken: secretList.describe(
    'token of the webhook, which the API answers when the webhook is created; a list while it is changed',
  ),
  baseUrl: z.url().default('https://api.aircall.io').describe('the API'),
  tracks: tracks
    .optional()
    .describe('who is on which track, if your recordings have two: listen first, it is not documented'),
})

export type Config = z.output<typeof config>

/** Ids are JSON numbers today; text is taken too. They end up in addresses. */
const id = z.union([z.int().nonnegative(), z.string().regex(/^\d{1,32}$/)]).transform(String)
const words = z.string().max(256)

const orNothing = <Schema extends z.ZodType>(schema: Schema) =>
  schema.nullish().transform((value) => value ?? undefined)
/** What there is not is null, an empty text or left out. */
const text = orNothing(words).transform((value) => value || undefined)

const LAST_SECOND = 253_402_300_799
/** UNIX seconds, UTC. */
const instant = z
  .int()
  .min(0)
  .max(LAST_SECOND)
  .transform((seconds) => new Date(seconds * 1000).toISOString())

/** `{}` stands for nobody. */
const user = orNothing(z.object({ id: id.optional(), name: text, email: text }))
const contact = orNothing(
  z.object({
    first_name: text,
    last_name: text,
    emails: orNothing(z.array(z.object({ value: text })).max(100)),
  }),
)
const named = z.array(z.object({ id: id.optional(), name: text }))

/** A call, as events and the API show it; the fields differ only in ones that are not read. */
export const aircallCall = z.object({
  id,
  direction: text,
  status: text,
  missed_call_reason: text,
  hangup_cause: text,
  started_at: orNothing(instant),
  answered_at: orNothing(instant),
  ended_at: orNothing(instant),
  raw_digits: text,
  recording: orNothing(z.string().max(4096)).transform((value) => value || undefined),
  voicemail: orNothing(z.string().max(4096)).transform((value) => value || undefined),
  user,
  contact,
  number: orNothing(z.object({ name: text, digits: text })),
  transferred_to: user,
  teams: orNothing(named.max(200)),
  tags: orNothing(named.max(200)),
  comments: orNothing(z.array(z.object({ content: orNothing(z.string().max(10_000)) })).max(200)),
  participants: orNothing(z.array(z.object({ type: text, phone_number: text })).max(200)),
})
export type AircallCall = z.output<typeof aircallCall>

/** What every webhook is wrapped in; `data` is read once the event says that it is a call. */
export const envelope = z.object({ event: z.string().max(128), timestamp: instant, data: z.unknown() })

/** GET /v1/calls/{id} */
export const oneCall = z.object({ call: aircallCall })

const meta = orNothing(z.object({ next_page_link: text }))
/** GET /v1/calls */
export const callPage = z.object({ calls: z.array(aircallCall), meta })

/** PUT /v1/webhooks/{id} */
export const oneWebhook = z.object({ webhook: z.object({ active: z.boolean() }) })

/** GET /v1/webhooks: what the check compares with the connection. */
export const webhookPage = z.object({
  webhooks: z.array(
    z.object({
      webhook_id: orNothing(z.string().regex(/^[\w-]{1,64}$/)),
      url: z.string(),
      active: z.boolean(),
      token: z.string(),
      events: orNothing(z.array(z.string())),
    }),
  ),
  meta,
})
export type ListedWebhook = z.output<typeof webhookPage>['webhooks'][number]
