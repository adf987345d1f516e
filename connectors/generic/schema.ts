import { z } from 'zod'
import { agent, leg, party, recording } from '../../src/call/call.ts'
import { callEvent, facts } from '../../src/call/facts.ts'
import { secretList, secretValue } from '../../src/connector/secret.ts'

/** The prefix may be missing, as in the libraries. */
const WHSEC =
  /^(?:whsec_)?(?:[A-Za-z\d+/]{4}){5,}(?:[A-Za-z\d+/]{2}(?:==)?|[A-Za-z\d+/]{3}=?|[A-Za-z\d+/]{4})?$/

/** The connection's keys. */
export const config = z.object({
  secret: secretList
    .refine((all) => all.every((secret) => WHSEC.test(secret)), 'whsec_ and the base64 of at least 16 bytes')
    .describe('Standard Webhooks secret (whsec_…), or a list of them, newest first'),
  baseUrl: z
    .url({ protocol: /^https?$/ })
    .transform((value) => value.replace(/\/+$/, ''))
    .optional()
    .describe('your system: recordings at this origin are fetched with the token, and the check asks it'),
  token: secretValue.optional().describe('bearer token for your system'),
})
export type Config = z.output<typeof config>

/** Any offset may be sent; inside there is only UTC. */
const instant = z.iso
  .datetime({ offset: true })
  .transform((value) => (value.endsWith('Z') ? value : new Date(value).toISOString()))
  .optional()

/** A number as the sender has it: a text, or the pair of the common schema. What is E.164 we work out ourselves. */
const number = z.union([
  z.string().max(256),
  party
    .partial()
    .refine((value) => value.phone != null || value.phoneRaw !== undefined, 'phone or phoneRaw is needed'),
])
export type SentNumber = z.output<typeof number>

/** The common facts, more lenient where senders differ. https://www.standardwebhooks.com (read 2026-11-20) */
export const sentEvent = callEvent.extend({
  at: instant,
  facts: facts.extend({
    startedAt: instant,
    answeredAt: instant,
    endedAt: instant,
    from: number.optional(),
    dialed: number.optional(),
    customer: facts.shape.customer
      .unwrap()
      .extend({ phoneRaw: z.string().max(256).optional() })
      .optional(),
    legs: z
      .array(
        leg.extend({ agent: agent.optional(), startedAt: instant, answeredAt: instant, endedAt: instant }),
      )
      .max(200)
      .optional(),
    recordings: z
      .array(recording.extend({ state: recording.shape.state.default('ready') }))
      .max(100)
      .optional(),
  }),
})
export type SentEvent = z.output<typeof sentEvent>

/** `data` is where Standard Webhooks puts the content; `events` at the top is shorter. */
export const envelope = z.object({
  type: z.string().max(200),
  events: z.array(sentEvent).min(1).max(1000).optional(),
  data: z.union([sentEvent, z.array(sentEvent).min(1).max(1000)]).optional(),
})
