import { z } from 'zod'
import { agent, leg, recording } from '../../src/call/call.ts'
import { callEvent, facts } from '../../src/call/facts.ts'
import { sentInstant, sentNumber } from '../../src/call/sent.ts'
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

const instant = sentInstant.optional()

/** The common facts, more lenient where senders differ. https://www.standardwebhooks.com (read 2026-11-20) */
export const sentEvent = callEvent.extend({
  at: instant,
  facts: facts.extend({
    startedAt: instant,
    answeredAt: instant,
    endedAt: instant,
    from: sentNumber.optional(),
    dialed: sentNumber.optional(),
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
      .array(recording.omit({ mediaId: true }).extend({ state: recording.shape.state.default('ready') }))
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
