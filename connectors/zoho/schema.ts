import { z } from 'zod'
import { isTimeZone } from '../../src/call/zone.ts'
import { crmKeys } from '../../src/connector/crm-plan.ts'
import { secretList, secretValue } from '../../src/connector/secret.ts'

const recordId = z.string().regex(/^\d{1,30}$/, 'a Zoho id: digits')
const url = z.url({ protocol: /^https?$/ }).transform((value) => value.replace(/\/+$/, ''))
const fieldName = z.string().regex(/^[A-Za-z]\w{0,99}$/, 'the API name of a field')

/** The connection's keys. */
export const config = z.object({
  clientId: z.string().min(1).max(128).describe('Client ID of a Server-based or Self Client application'),
  clientSecret: secretValue.describe('its Client Secret'),
  refreshToken: secretValue.describe('refresh token with the scopes of the README'),
  accountsUrl: url
    .default('https://accounts.zoho.com')
    .describe('accounts server of your data centre: https://accounts.zoho.eu, .in, .com.au, .jp …'),
  baseUrl: url.optional().describe('another address of the API than the one that comes with each token'),
  notificationToken: secretList
    .optional()
    .describe('token of your own that notifications carry, at most 50 characters: without it none is taken'),
  channelId: recordId
    .default('1000000068001')
    .describe('number of the notification channel, of your own choice'),
  ...crmKeys(recordId),
  newRecord: z
    .enum(['contact', 'lead'])
    .default('contact')
    .describe('what an unknown caller becomes, where the flow creates one'),
  timeZone: z
    .string()
    .refine(isTimeZone, 'not a time zone of the IANA list, such as Europe/Paris')
    .default('UTC')
    .describe('in which the due date of a task is its day'),
  transcript: z.boolean().default(false).describe('attach the transcript to the call as a file'),
  trigger: z
    .array(z.enum(['workflow', 'approval', 'blueprint', 'orchestration']))
    .max(4)
    .default([])
    .describe('automations that records written here set off; default: none'),
  externalIdField: fieldName
    .optional()
    .describe('a unique text field of calls that you made: then Zoho itself refuses a second record'),
  statusField: fieldName
    .optional()
    .describe('field of calls for the state Completed: Outgoing_Call_Status or Outbound_Call_Status'),
  recordingField: fieldName
    .optional()
    .describe('field of calls with the recording’s address: Voice_Recording__s, or one of your own'),
  calls: z.boolean().default(false).describe('calls that others log in Zoho are taken as a phone system’s'),
  crmUrl: url.optional().describe('where people open records: https://crm.zoho.com/crm/org12345'),
  requestsPerDay: z
    .int()
    .min(1)
    .max(10_000_000)
    .optional()
    .describe('requests in any 24 hours, if Zoho’s credits are shared with other programs'),
})

export type Config = z.output<typeof config>

/** Zoho's names of the modules a call can stand on, by ours. */
export const MODULES = { contact: 'Contacts', lead: 'Leads', account: 'Accounts', deal: 'Deals' } as const
export type RecordType = keyof typeof MODULES
export const isRecordType = (type: string): type is RecordType => Object.hasOwn(MODULES, type)

// ── Notifications ───────────────────────────────────────────────────────────────────────────────────────────────────

/** Ids are beyond 2^53: the parser gives those that stand there as numbers as text. */
const id = z.union([recordId, z.int().nonnegative().transform(String)])

/** What is notified: a module, what happened, and the ids of the records; never the records. */
export const notification = z.object({
  module: z.string().min(1).max(100),
  operation: z.string().min(1).max(40),
  ids: z.array(id).max(1000),
})

// ── Answers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const orNothing = <Schema extends z.ZodType>(schema: Schema) =>
  z.union([z.null().transform(() => undefined), z.literal('').transform(() => undefined), schema]).optional()
const words = orNothing(z.string().max(65_536))
const instant = orNothing(
  z.iso.datetime({ offset: true }).transform((value) => new Date(value).toISOString()),
)
const named = orNothing(z.object({ id, name: words, email: words, module: words }))

/** accounts server, oauth/v2/token. */
export const grant = z.object({
  access_token: z.string().min(1),
  api_domain: z.url({ protocol: /^https?$/ }),
  expires_in: z.coerce.number().positive(),
})
export const grantRefusal = z.object({ error: z.string(), error_description: z.string().optional() })

/** What became of one record of a request. */
const outcome = z.object({
  code: z.string().max(100),
  message: z.string().max(1000).optional(),
  status: z.string().max(40).optional(),
  details: z
    .object({
      id: id.optional().catch(undefined),
      api_name: z.string().optional().catch(undefined),
      duplicate_record: z.object({ id }).optional().catch(undefined),
    })
    .optional()
    .catch(undefined),
})
export type Outcome = z.output<typeof outcome>
export const outcomes = z.object({ data: z.array(outcome) })
export const errorBody = z.union([outcomes, outcome.transform((one) => ({ data: [one] }))])

const info = z.object({ more_records: z.boolean().optional() }).optional()

/** A contact, lead or account, as far as it is read; its other telephone fields are looked at as well. */
export const crmRecord = z.looseObject({
  id,
  Full_Name: words,
  First_Name: words,
  Last_Name: words,
  Account_Name: z.unknown().optional(),
  Phone: words,
  Mobile: words,
  Owner: named.catch(undefined),
  Created_Time: instant.catch(undefined),
  Last_Activity_Time: instant.catch(undefined),
})
export type CrmEntity = z.output<typeof crmRecord>
export const crmRecords = z.object({ data: z.array(crmRecord), info })

/** A call; the fields that a connection names are read beside these. */
export const loggedCall = z.looseObject({
  id,
  Subject: words,
  Call_Type: words,
  Call_Start_Time: instant,
  Call_Duration: words,
  Call_Duration_in_seconds: orNothing(z.coerce.number().int().min(0).max(1_000_000)).catch(undefined),
  Call_Status: words,
  Description: words,
  Dialled_Number: words,
  Who_Id: named.catch(undefined),
  What_Id: named.catch(undefined),
  $se_module: words.catch(undefined),
  Owner: named.catch(undefined),
})
export type LoggedCall = z.output<typeof loggedCall>
export const loggedCalls = z.object({ data: z.array(loggedCall), info })

/** Records by which a part is found again. */
export const found = z.object({
  data: z.array(
    z.looseObject({
      id,
      Description: words,
      Note_Content: words,
      File_Name: words,
      Who_Id: named.catch(undefined),
      What_Id: named.catch(undefined),
      $se_module: words.catch(undefined),
    }),
  ),
  info,
})
export type Found = z.output<typeof found>['data'][number]
export const userList = z.object({ users: z.array(z.object({ id, email: words })), info })
export const watches = z.object({ watch: z.array(z.object({ channel_id: id, notify_url: words })) })
export const watchOutcomes = z.object({ watch: z.array(outcome) })

export const fieldList = z.object({
  fields: z.array(
    z.object({
      api_name: z.string().max(200),
      field_label: words,
      data_type: z.string().max(60),
      length: z.number().optional().catch(undefined),
      custom_field: z.boolean().optional().catch(undefined),
      read_only: z.boolean().optional().catch(undefined),
      field_read_only: z.boolean().optional().catch(undefined),
      unique: z.record(z.string(), z.unknown()).nullish().catch(undefined),
      pick_list_values: z
        .array(z.object({ actual_value: z.string().optional(), display_value: z.string() }))
        .optional()
        .catch(undefined),
    }),
  ),
})
export type FieldMeta = z.output<typeof fieldList>['fields'][number]
