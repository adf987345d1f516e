import { z } from 'zod'
import { crmKeys } from '../../src/connector/crm-plan.ts'
import { secretList, secretValue } from '../../src/connector/secret.ts'

const digits = z.string().regex(/^\d{1,15}$/, 'an id: digits')
const url = z.url({ protocol: /^https?$/ }).transform((value) => value.replace(/\/+$/, ''))

/** The connection's keys. */
export const config = z
  .object({
    baseUrl: url.describe('the account: https://<name>.kommo.com or https://<name>.amocrm.ru'),
    token: secretValue.optional().describe('long-lived token of a private integration; or else oauth'),
    oauth: z
      .object({
        clientId: z.string().min(1).describe('of the integration'),
        clientSecret: secretValue.describe('of the integration'),
        refreshToken: secretValue.describe('of the installation; each use brings another, kept by Cordboard'),
        redirectUri: z.url().describe('as the integration names it'),
      })
      .optional()
      .describe('an integration’s credentials, instead of token'),
    hookToken: secretList
      .optional()
      .describe('last part of the webhooks’ address, which nobody guesses; a list while it is changed'),
    accountId: digits.optional().describe('webhooks of another account are not taken'),
    ...crmKeys(digits),
    log: z
      .enum(['note', 'call'])
      .default('note')
      .describe('a call note on the record that was found, or a call whose record Kommo chooses itself'),
    source: z.string().min(1).max(64).default('Cordboard').describe('what a call names as its telephony'),
    attachTo: z
      .enum(['contact', 'openLead'])
      .default('contact')
      .describe('where calls stand: on the contact, or on its lead, when exactly one is open'),
    unknownCallers: z
      .enum(['contact', 'unsorted'])
      .default('contact')
      .describe(
        'what an unknown caller becomes: a contact, or an incoming lead with a contact that people accept',
      ),
    pipelineId: z
      .int()
      .min(1)
      .optional()
      .describe('pipeline of such incoming leads; default the account’s first'),
    noteType: z
      .enum(['common', 'service_message', 'extended_service_message'])
      .default('common')
      .describe('form of the notes with the analysis'),
    taskTypeId: z.int().min(1).default(1).describe('type of follow-ups; 1 is a call, 2 a meeting'),
    note: z
      .object({
        transcript: z
          .boolean()
          .default(false)
          .describe('write the transcript, into as many notes as it needs'),
      })
      .prefault({})
      .describe('what goes into notes'),
    calls: z.boolean().default(false).describe('take calls from Kommo: call notes become calls here'),
    recordingHosts: z
      .array(z.string().regex(/^[\w.-]{1,253}$/))
      .default([])
      .describe('the only hosts that recordings are fetched from; default: any public one'),
    requestsPerSecond: z.int().min(1).max(1000).default(7).describe('Kommo allows 7 for one account'),
  })
  .refine(({ token, oauth }) => (token === undefined) !== (oauth === undefined), {
    message: 'either token or oauth',
    path: ['token'],
  })

export type Config = z.output<typeof config>

const id = z.union([z.int(), z.string().regex(/^\d{1,15}$/)]).transform(String)
const maybe = <Schema extends z.ZodType>(schema: Schema) => schema.nullish().catch(undefined)

export const token = z.object({
  access_token: z.string().min(1),
  refresh_token: z.string().min(1).optional(),
  expires_in: z.number().optional(),
})

/** GET /api/v4/account */
export const account = z.object({ id, name: maybe(z.string()), subdomain: maybe(z.string().max(100)) })

/** GET /api/v4/users */
export const user = z.object({ id, email: maybe(z.string()) })

/** Contacts, companies and leads: what is read of them. */
export const entity = z.object({
  id,
  name: maybe(z.string()),
  responsible_user_id: maybe(id),
  created_at: maybe(z.number()),
  updated_at: maybe(z.number()),
  closed_at: maybe(z.number()),
  is_deleted: maybe(z.boolean()),
  custom_fields_values: maybe(
    z.array(
      z.object({
        field_code: maybe(z.string()),
        values: z.array(z.object({ value: z.unknown() })),
      }),
    ),
  ),
  _embedded: maybe(z.object({ leads: z.array(z.object({ id })).optional() })),
})
export type Entity = z.output<typeof entity>

/** A page of a list; nothing found is 204 without a body. */
export const listOf = <Name extends string, Item extends z.ZodType>(name: Name, item: Item) =>
  z
    .object({ _embedded: z.record(z.string(), z.unknown()) })
    .nullable()
    .transform((page) => page?._embedded[name] ?? [])
    .pipe(z.array(item))

const text = maybe(z.string())
/** Of call notes `uniq` is ours, of all others a line of the text. */
export const note = z.object({
  id,
  entity_id: id,
  note_type: text,
  params: maybe(z.object({ uniq: text, text })),
})
export const task = z.object({ id, text, entity_type: text, entity_id: maybe(id) })

export const field = z.object({
  id,
  name: z.string(),
  code: text,
  type: z.string(),
  is_api_only: maybe(z.boolean()),
  enums: maybe(z.array(z.object({ id: z.int(), value: z.string() }))),
})
export type Field = z.output<typeof field>

export const webhook = z.object({
  destination: z.string(),
  settings: z.array(z.string()).default([]),
  disabled: maybe(z.boolean()),
})

/** POST /api/v4/calls: what was not added stands among the errors. */
export const addedCalls = z.object({
  errors: maybe(z.array(z.object({ detail: text, title: text, status: maybe(z.unknown()) }))),
  _embedded: maybe(z.object({ calls: z.array(z.object({ entity_id: maybe(id) })).optional() })),
})

/** POST /api/v4/leads/unsorted/sip */
export const addedUnsorted = z.object({
  _embedded: z.object({
    unsorted: z
      .array(z.object({ _embedded: z.object({ contacts: z.array(z.object({ id })).min(1) }) }))
      .min(1),
  }),
})

// ── Webhooks ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A note as a webhook tells it; everything is text in a form. */
export const toldNote = z.object({
  id: z.string().regex(/^\d{1,15}$/),
  note_type: z.string(),
  element_id: z.string().regex(/^\d{1,15}$/),
  text: z.string().optional(),
  created_by: z.string().optional(),
  created_user_id: z.string().optional(),
  responsible_user_id: z.string().optional(),
  created_at: z.string().optional(),
  date_create: z.string().optional(),
})
export type ToldNote = z.output<typeof toldNote>

/** What stands in its text, as JSON; older telephonies write the names in capitals. */
const word = z.union([z.string(), z.number()]).transform(String)
export const callParams = z.object({
  uniq: maybe(word),
  phone: maybe(word),
  duration: maybe(word),
  link: maybe(z.string()),
  call_result: maybe(word),
  call_status: maybe(word),
  call_responsible: maybe(word),
})

/** The same in a list of notes. */
export const callNote = z.object({
  id,
  entity_id: id,
  note_type: z.string(),
  params: maybe(callParams),
  created_at: maybe(z.number()),
  created_by: maybe(id),
  responsible_user_id: maybe(id),
})
export type CallNote = z.output<typeof callNote>
