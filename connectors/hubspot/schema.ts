import { z } from 'zod'
import { crmKeys } from '../../src/connector/crm-plan.ts'
import { secretList, secretValue } from '../../src/connector/secret.ts'

const recordId = z.string().regex(/^\d{1,20}$/, 'a HubSpot id: digits')
const url = z.url({ protocol: /^https?$/ }).transform((value) => value.replace(/\/+$/, ''))

/** The connection's keys. */
export const config = z.object({
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
        .default(false)
        .describe('attach the whole transcript to the note as a file (scope files)'),
    })
    .prefault({}),
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

export type Config = z.output<typeof config>

/** A record as every object endpoint returns it. */
export const crmObject = z.object({
  id: z.string().min(1),
  properties: z.record(z.string(), z.string().nullish()).default({}),
  associations: z.record(z.string(), z.object({ results: z.array(z.object({ id: z.string() })) })).optional(),
})
export type CrmObject = z.output<typeof crmObject>

export const crmObjects = z.object({ results: z.array(crmObject) })

/** GET /account-info/<version>/details */
export const account = z.object({ portalId: z.int(), uiDomain: z.string().optional() })
export type Account = z.output<typeof account>

/** GET /crm/owners/<version>: `id` is the owner's; `userId` is another thing and refused as an owner. */
export const owners = z.object({
  results: z.array(z.object({ id: z.string(), email: z.string().nullish() })),
})

/** GET /crm/properties/<version>/<object>/<name> */
export const property = z.object({ name: z.string(), hasUniqueValue: z.boolean().optional() })

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

/** One change of a webhook delivery; the record itself is never in it. */
export const change = z.object({
  subscriptionType: z.string().max(200).optional(),
  /** The table of the docs names it so. */
  eventType: z.string().max(200).optional(),
  objectTypeId: z.string().max(50).optional(),
})
export type Change = z.output<typeof change>
export const changes = z.array(change).max(1000)

/** A search as HubSpot takes it: groups are alternatives, at most 5 of them with 18 filters in all. */
export interface Search {
  filterGroups: { filters: Filter[] }[]
  properties: string[]
  limit: number
}
export interface Filter {
  propertyName: string
  operator: 'EQ' | 'CONTAINS_TOKEN' | 'BETWEEN'
  value: string
  highValue?: string | undefined
}
