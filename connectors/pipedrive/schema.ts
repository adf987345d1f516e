import { z } from 'zod'
import { crmKeys } from '../../src/connector/crm-plan.ts'
import { secretList, secretValue } from '../../src/connector/secret.ts'

const userId = z.string().regex(/^\d{1,15}$/, 'a Pipedrive user id: digits')
const url = z.url({ protocol: /^https?$/ }).transform((value) => value.replace(/\/+$/, ''))
const typeName = z.string().regex(/^[\w-]{1,64}$/)

/** The connection's keys. */
export const config = z
  .object({
    apiToken: secretValue.optional().describe('personal API token; or else oauth'),
    oauth: z
      .object({
        clientId: z.string().min(1).describe('of the app'),
        clientSecret: secretValue.describe('of the app'),
        refreshToken: secretValue.describe(
          'of the app’s installation; changed by Pipedrive, kept by Cordboard',
        ),
      })
      .optional()
      .describe('an app’s credentials, instead of apiToken'),
    baseUrl: url
      .optional()
      .describe(
        'API host; default https://api.pipedrive.com, with oauth the api_domain that its token names',
      ),
    oauthUrl: url.default('https://oauth.pipedrive.com').describe('where access tokens are given out'),
    appUrl: url
      .optional()
      .describe('https://<company>.pipedrive.com: without it there are no links to records'),
    webhookUser: z
      .string()
      .regex(/^[\w.-]{1,64}$/)
      .default('cordboard')
      .describe('user name of the webhooks’ HTTP Basic login'),
    webhookPassword: secretList
      .optional()
      .describe('password of the webhooks’ HTTP Basic login; a list while it is changed'),
    ...crmKeys(userId),
    log: z
      .enum(['activity', 'callLog'])
      .default('activity')
      .describe('what a call becomes: an activity, which can be changed, or a call log, which cannot'),
    activityType: typeName.default('call').describe('key of the activity type of calls'),
    taskType: typeName.default('task').describe('key of the activity type of follow-ups'),
    note: z
      .object({
        transcript: z
          .boolean()
          .default(false)
          .describe('write the transcript into the note, as far as it fits'),
        file: z.boolean().default(false).describe('attach the whole transcript as a file'),
      })
      .prefault({})
      .describe('what goes into the note'),
    calls: z
      .boolean()
      .default(false)
      .describe('take calls from Pipedrive: done activities of the types of callTypes become calls here'),
    callTypes: z.array(typeName).min(1).max(20).default(['call']).describe('activity types that are calls'),
    requestsPer2s: z
      .int()
      .min(1)
      .max(10_000)
      .default(20)
      .describe('the plan’s burst limit for one user and two seconds'),
    searchesPer2s: z
      .int()
      .min(1)
      .max(10_000)
      .default(10)
      .describe('Pipedrive allows 10 searches in two seconds'),
  })
  .refine(({ apiToken, oauth }) => (apiToken === undefined) !== (oauth === undefined), {
    message: 'either apiToken or oauth',
    path: ['apiToken'],
  })

export type Config = z.output<typeof config>

const id = z.union([z.int(), z.string().regex(/^\d{1,15}$/)]).transform(String)
/** Ids of leads and call logs are no numbers. */
const anyId = z.union([z.int(), z.string().min(1).max(64)]).transform(String)
const maybe = <Schema extends z.ZodType>(schema: Schema) => schema.nullish().catch(undefined)

/** What a creation or a change answers: v1 and v2 alike. */
export const created = z.object({ data: z.object({ id: anyId }) })

export const token = z.object({
  access_token: z.string().min(1),
  refresh_token: z.string().min(1).optional(),
  expires_in: z.number().optional(),
  api_domain: z.url({ protocol: /^https?$/ }).optional(),
})

/** GET /v1/users/me */
export const me = z.object({
  data: z.object({ id, company_domain: maybe(z.string().max(200)) }),
})

/** GET /v1/users/find */
export const users = z.object({ data: z.array(z.object({ id, email: maybe(z.string()) })).nullish() })

/** GET /api/v2/persons/search: numbers come as plain texts here. */
export const personSearch = z.object({
  data: z.object({
    items: z.array(
      z.object({
        item: z.object({
          id,
          name: maybe(z.string()),
          phones: z.array(z.string()).nullish(),
          emails: z.array(z.string()).nullish(),
          owner: maybe(z.object({ id })),
        }),
      }),
    ),
  }),
})
export type FoundPerson = z.output<typeof personSearch>['data']['items'][number]['item']

export const person = z.object({
  id,
  name: maybe(z.string()),
  phones: z.array(z.object({ value: z.string() })).nullish(),
  owner_id: maybe(id),
  add_time: maybe(z.string()),
  update_time: maybe(z.string()),
  open_deals_count: maybe(z.number()),
})
export type Person = z.output<typeof person>
export const onePerson = z.object({ data: person })
export const persons = z.object({ data: z.array(person).nullish() })

export const activity = z.object({
  id,
  subject: maybe(z.string()),
  type: maybe(z.string()),
  done: maybe(z.boolean()),
  is_deleted: maybe(z.boolean()),
  owner_id: maybe(id),
  person_id: maybe(id),
  org_id: maybe(id),
  deal_id: maybe(id),
  lead_id: maybe(z.string()),
  due_date: maybe(z.string()),
  due_time: maybe(z.string()),
  duration: maybe(z.string()),
  update_time: maybe(z.string()),
  note: maybe(z.string()),
})
export type Activity = z.output<typeof activity>
export const oneActivity = z.object({ data: activity })
export const activities = z.object({
  data: z.array(activity).nullish(),
  additional_data: maybe(z.object({ next_cursor: maybe(z.string()) })),
})

/** GET /v1/callLogs */
export const callLog = z.object({
  id: anyId,
  activity_id: maybe(id),
  outcome: maybe(z.string()),
  duration: maybe(z.string()),
  from_phone_number: maybe(z.string()),
  to_phone_number: maybe(z.string()),
  start_time: maybe(z.string()),
  end_time: maybe(z.string()),
  note: maybe(z.string()),
})
export type CallLog = z.output<typeof callLog>
export const callLogs = z.object({ data: z.array(callLog).nullish() })

export const notes = z.object({
  data: z.array(z.object({ id, content: maybe(z.string()) })).nullish(),
})

export const files = z.object({
  data: z.array(z.object({ id, name: maybe(z.string()), file_name: maybe(z.string()) })).nullish(),
})

/** GET /api/v2/personFields, …/dealFields */
export const field = z.object({
  field_code: z.string().min(1),
  field_name: z.string(),
  field_type: z.string(),
  is_custom_field: maybe(z.boolean()),
  options: z.array(z.object({ id: z.union([z.int(), z.string()]), label: z.string() })).nullish(),
})
export type Field = z.output<typeof field>
export const fields = z.object({
  data: z.array(field).nullish(),
  additional_data: maybe(z.object({ next_cursor: maybe(z.string()) })),
})

export const webhooks = z.object({
  data: z
    .array(
      z.object({
        subscription_url: maybe(z.string()),
        event_action: maybe(z.string()),
        event_object: maybe(z.string()),
        version: maybe(z.string()),
        is_active: maybe(z.union([z.boolean(), z.number()])),
      }),
    )
    .nullish(),
})

/** A delivery of webhooks v2: https://pipedrive.readme.io/docs/guide-for-webhooks-v2 (read 2026-11-20). */
export const delivery = z.object({
  meta: z.object({
    action: z.string().max(64),
    entity: z.string().max(64),
    entity_id: anyId,
  }),
  data: maybe(
    z.object({
      type: maybe(z.string()),
      done: maybe(z.boolean()),
      note: maybe(z.string()),
    }),
  ),
})
export type Delivery = z.output<typeof delivery>
