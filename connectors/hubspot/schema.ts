import { z } from 'zod'
import { crmKeys } from '../../src/connector/crm-plan.ts'
import { secretList, secretValue } from '../../src/connector/secret.ts'

const recordId = z.string().regex(/^\d{1,20}$/, 'a HubSpot id: digits')
const url = z.url({ protocol: /^https?$/ }).transform((value) => value.replace(/\/+$/, ''))

/** The connection's keys. */
export const config = z
  .object({
    token: secretValue.describe('service key, private-app token or OAuth access token'),
    appSecret: secretList
      .optional()
      .describe('client secret of the app that sends webhooks; service keys have none'),
    baseUrl: url.default('https://api.hubapi.com'),
    apiVersion: z
      .string()
      .regex(/^\d{4}-\d{2}(-beta)?$/)
      .default('2026-03')
      .describe('date segment of the API paths; HubSpot supports each for 18 months'),
    portalId: recordId.optional().describe('account (Hub) id: without it there are no links to records'),
    appUrl: url.default('https://app.hubspot.com').describe('where people open records'),
    ...crmKeys(recordId),
    note: z
      .object({
        transcript: z
          .boolean()
          .default(false)
          .describe('write the transcript into the note, as far as it fits'),
        file: z
          .boolean()
          .optional()
          .describe(
            'attach the whole transcript to the note as a private file (scope files); default: only where note.transcript is on and it does not fit',
          ),
        folder: z
          .string()
          .regex(/^\/[\w -]{1,100}(?:\/[\w -]{1,100}){0,4}$/, 'a folder of the files tool: "/cordboard"')
          .default('/cordboard')
          .describe('where such files lie in HubSpot’s files tool'),
      })
      .prefault({}),
    transcriptsExtension: z
      .boolean()
      .default(false)
      .describe(
        'show the transcript in HubSpot’s own view of the call: only with the token of an OAuth public app (scope crm.extensions_calling_transcripts.write), and where the analysis tells the times of every turn',
      ),
    calls: z
      .boolean()
      .default(false)
      .describe(
        'take the calls that others log in HubSpot: they are analysed and written back to their own record',
      ),
    recordingHosts: z
      .array(z.string().regex(/^[a-z0-9.-]{1,253}$/, 'a host name in lower case, without a port'))
      .default([])
      .describe('hosts whose recording links are followed; default: any public one'),
    recordingAuth: z
      .enum(['none', 'bearer'])
      .default('none')
      .describe('bearer: recordings are fetched with a token; only from recordingHosts'),
    recordingToken: secretValue
      .optional()
      .describe('the token for recordingAuth: bearer; default: the connection’s own'),
    signature: z
      .enum(['v3', 'v2', 'v1'])
      .default('v3')
      .describe('how HubSpot signs: v1 and v2 only for older apps that send no other'),
    externalIdProperty: z
      .string()
      .regex(/^[a-z][a-z0-9_]{0,99}$/)
      .optional()
      .describe('a unique property of calls that you made: then HubSpot itself refuses a second record'),
    requestsPer10s: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(100)
      .describe('the plan’s limit: 100, 110, 190 or 250'),
    searchPerSecond: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(4)
      .describe('HubSpot allows 5 for the whole account'),
  })
  .refine(({ recordingAuth, recordingHosts }) => recordingAuth === 'none' || recordingHosts.length > 0, {
    path: ['recordingHosts'],
    error: 'name the hosts that may get the token',
  })

export type Config = z.output<typeof config>

/** A record as every object endpoint returns it; the client library makes dates of its instants. */
export const crmObject = z.object({
  id: z.string().min(1),
  properties: z.record(z.string(), z.string().nullish()).default({}),
  associations: z.record(z.string(), z.object({ results: z.array(z.object({ id: z.string() })) })).optional(),
})
export type CrmObject = z.output<typeof crmObject>

export const crmObjects = z.object({ results: z.array(crmObject) })

/** What a search finds: 10,000 records at most, `after` leads to the next page. */
export const crmPage = z.object({
  total: z.int().nonnegative().default(0),
  results: z.array(crmObject),
  paging: z.object({ next: z.object({ after: z.string() }).optional() }).nullish(),
})

/** POST /crm/associations/<version>/<from>/<to>/batch/read; a page of more follows where `paging` is there. */
export const associations = z.object({
  results: z.array(
    z.object({
      from: z.object({ id: z.string() }),
      // A number in some versions.
      to: z.array(z.object({ toObjectId: z.union([z.string(), z.int()]).transform(String) })).default([]),
      paging: z.object({ next: z.unknown().optional() }).nullish(),
    }),
  ),
})

/** GET /account-info/<version>/details */
export const account = z.object({ portalId: z.int(), uiDomain: z.string().optional() })
export type Account = z.output<typeof account>

/** GET /crm/owners/<version>: `id` is the owner's; `userId` is another thing and refused as an owner. */
export const owner = z.object({
  id: z.string(),
  email: z.string().nullish(),
  firstName: z.string().nullish(),
  lastName: z.string().nullish(),
})
export type Owner = z.output<typeof owner>
export const owners = z.object({ results: z.array(owner) })

/** GET /crm/properties/<version>/<object>, and one of it by its name */
export const property = z.object({
  name: z.string(),
  label: z.string().default(''),
  type: z.string().default('string'),
  hasUniqueValue: z.boolean().optional(),
  calculated: z.boolean().optional(),
  archived: z.boolean().optional(),
  options: z.array(z.object({ value: z.string(), hidden: z.boolean().nullish() })).default([]),
  modificationMetadata: z.object({ readOnlyValue: z.boolean().optional() }).nullish(),
})
export type Property = z.output<typeof property>
export const properties = z.object({ results: z.array(property) })

/** POST and PUT /files/<version>/files */
export const file = z.object({ id: z.union([z.string().min(1), z.int()]).transform(String) })

/**
 * Every field is optional: HubSpot asks to rely on none of them. A 429 has `policyName`, a missing scope stands in
 * `errors[].context`. https://developers.hubspot.com/docs/api-reference/error-handling (read 2026-11-20)
 */
export const errorBody = z.object({
  message: z.string().optional().catch(undefined),
  category: z.string().optional().catch(undefined),
  policyName: z.string().optional().catch(undefined),
  errors: z
    .array(
      z.object({
        message: z.string().optional().catch(undefined),
        context: z.record(z.string(), z.unknown()).optional().catch(undefined),
      }),
    )
    .optional()
    .catch(undefined),
})
export type ErrorBody = z.output<typeof errorBody>

/** Numbers in webhooks, text everywhere else; 64 bits, which our JSON reader keeps as text where they do not fit. */
const anyId = z
  .union([z.string(), z.number()])
  .transform(String)
  .refine((id) => /^\d{1,20}$/.test(id))
  .optional()
  .catch(undefined)

/** One change of a webhook delivery; the record itself is never in it. */
export const change = z.object({
  subscriptionType: z.string().max(200).optional(),
  /** The table of the docs names it so. */
  eventType: z.string().max(200).optional(),
  objectTypeId: z.string().max(50).optional(),
  objectId: anyId,
  /** Of a merge: the one that was kept, those that went into it, and the record that came of it. */
  primaryObjectId: anyId,
  mergedObjectIds: z.array(anyId).max(1000).optional().catch(undefined),
  newObjectId: anyId,
})
export type Change = z.output<typeof change>
export const changes = z.array(change).max(1000)

/**
 * A search as HubSpot takes it: groups are alternatives, at most 5 of them with 18 filters in all. `after` is where the
 * page before ended.
 */
export interface Search {
  filterGroups: { filters: Filter[] }[]
  properties: string[]
  limit: number
  sorts?: string[]
  after?: string
}
export interface Filter {
  propertyName: string
  operator: 'EQ' | 'CONTAINS_TOKEN' | 'BETWEEN' | 'IN'
  value?: string
  values?: string[]
  highValue?: string | undefined
}
