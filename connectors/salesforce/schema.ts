import { z } from 'zod'
import { isTimeZone } from '../../src/call/zone.ts'
import { crmKeys } from '../../src/connector/crm-plan.ts'
import { decodeBase64 } from '../../src/connector/encoding.ts'
import { secretValue } from '../../src/connector/secret.ts'
import { inboundKeys, namesItsOrg } from './inbound/schema.ts'

/** 15 characters, or the same with three more that carry the case of its letters. */
export const RECORD_ID = /^[A-Za-z\d]{15}(?:[A-Za-z\d]{3})?$/
const recordId = z.string().regex(RECORD_ID, 'a Salesforce id: 15 or 18 letters and digits')

/** A custom field's API name, with the namespace of a package where it has one. */
const customField = z.string().regex(/^(?:[A-Za-z]\w{0,14}__)?[A-Za-z]\w{0,39}__c$/, 'a custom field: …__c')

/** The bytes of a private key: PEM (PKCS #8), or its base64 on one line; null when it is none. */
export function privateKeyBytes(text: string): Uint8Array | null {
  // Files of environment variables write the ends of its lines as \n.
  const lines = text.replaceAll('\\n', '\n').trim()
  const framed = /^-----BEGIN PRIVATE KEY-----([\sA-Za-z\d+/=]+)-----END PRIVATE KEY-----$/.exec(lines)
  const bytes = decodeBase64((framed?.[1] ?? lines).replaceAll(/\s/g, ''))
  return bytes && bytes.length > 700 && bytes[0] === 0x30 ? bytes : null
}

/** The connection's keys. */
export const config = z
  .object({
    baseUrl: z
      .url({ protocol: /^https?$/ })
      .transform((value) => value.replace(/\/+$/, ''))
      .refine(
        (value) => !/\.lightning\.force\.com$/i.test(value),
        'the address that ends in .my.salesforce.com',
      )
      .describe('My Domain of the org, where tokens are asked for: https://<domain>.my.salesforce.com'),
    clientId: z.string().min(1).max(512).describe('Consumer Key of the External Client App'),
    clientSecret: secretValue
      .optional()
      .describe('Consumer Secret: for client credentials, and refresh tokens'),
    refreshToken: secretValue
      .optional()
      .describe('refresh token of the web-server flow; one that changes with its use is kept'),
    privateKey: secretValue
      .refine(
        (text) => privateKeyBytes(text) !== null,
        'a private key is PEM (BEGIN PRIVATE KEY), or its base64 on one line',
      )
      .optional()
      .describe('private key of the app’s certificate: JWT bearer, in the name of username'),
    username: z.string().min(1).max(128).optional().describe('user of the JWT bearer flow'),
    audience: z
      .url()
      .default('https://login.salesforce.com')
      .describe('audience of the JWT; https://test.salesforce.com for a sandbox'),
    apiVersion: z
      .string()
      .regex(/^\d{2,3}\.0$/)
      .default('67.0')
      .describe('version of the REST API'),
    orgId: recordId
      .optional()
      .describe('id of the org: the check says when the credentials are another one’s'),
    ...crmKeys(recordId),
    ...inboundKeys,
    externalIdField: customField
      .optional()
      .describe(
        'a unique External ID of activities that you made: then Salesforce itself refuses a second record',
      ),
    unknownCallerAs: z.enum(['Lead', 'Contact']).default('Lead').describe('what an unknown caller becomes'),
    unknownName: z
      .string()
      .min(1)
      .max(80)
      .default('Unknown caller')
      .describe('last name of a caller whose name is not known'),
    unknownCompany: z
      .string()
      .min(1)
      .max(255)
      .default('Unknown')
      .describe('company of a new lead, which Salesforce requires'),
    personAccounts: z.boolean().default(false).describe('the org has person accounts'),
    closedStatus: z
      .string()
      .min(1)
      .max(255)
      .optional()
      .describe('task status of a call that is over; default: the first closed one of the org'),
    timeZone: z
      .string()
      .refine(isTimeZone, 'a time zone of the IANA list, such as Europe/Paris')
      .default('UTC')
      .describe('for the date of activities whose owner’s zone is not known'),
    transcript: z
      .object({
        text: z
          .boolean()
          .default(false)
          .describe('write the transcript into the comments, as far as it fits'),
        file: z.boolean().default(false).describe('attach the whole transcript to the call as a file'),
      })
      .prefault({}),
    requestsPerDay: z
      .int()
      .min(1)
      .optional()
      .describe(
        'how many of the org’s API requests may be used in 24 hours; default: all that Salesforce allows',
      ),
  })
  .refine(({ privateKey, username }) => (privateKey === undefined) === (username === undefined), {
    path: ['username'],
    message: 'privateKey and username go together',
  })
  .refine(namesItsOrg, {
    path: ['orgId'],
    message: 'outbound messages are not signed: orgId says whose are read',
  })
  .refine((keys) => keys.privateKey ?? keys.refreshToken ?? keys.clientSecret, {
    path: ['clientSecret'],
    message: 'clientSecret, refreshToken, or privateKey with username',
  })

export type Config = z.output<typeof config>

// ── Answers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** POST /services/oauth2/token. `refresh_token` only where the app rotates it. */
export const token = z.object({
  access_token: z.string().min(1),
  instance_url: z.url(),
  refresh_token: z.string().optional().catch(undefined),
  expires_in: z.coerce.number().positive().optional().catch(undefined),
})

/** `errorCode` decides; https://developer.salesforce.com/docs/platform/api-rest/guide/errorcodes.md (read 2026-11-20) */
export const refusals = z
  .array(
    z.object({
      message: z.string().optional().catch(undefined),
      errorCode: z.string().optional().catch(undefined),
      fields: z.array(z.string()).optional().catch(undefined),
      duplicateResult: z.unknown().optional(),
    }),
  )
  .min(1)
export type Refusal = z.output<typeof refusals>[number]

/** A field as `describe` tells of it; only what is used of the forty properties. */
export const field = z.object({
  name: z.string(),
  label: z.string().catch(''),
  type: z.string(),
  length: z.int().catch(0),
  createable: z.boolean().catch(false),
  updateable: z.boolean().catch(false),
  externalId: z.boolean().catch(false),
  unique: z.boolean().catch(false),
  restrictedPicklist: z.boolean().catch(false),
  picklistValues: z
    .array(z.object({ value: z.string(), active: z.boolean().catch(true) }))
    .nullish()
    .transform((values) => (values ?? []).filter(({ active }) => active).map(({ value }) => value)),
})
export type Field = z.output<typeof field>
export const described = z.object({ fields: z.array(field) })

/** Of a creation. An update answers nothing. */
export const saved = z.object({ id: z.string().optional() })

const text = z
  .string()
  .nullish()
  .transform((value) => value ?? undefined)

/** A person or company, whichever of these fields its object has. */
export const person = z.object({
  attributes: z.object({ type: z.string() }),
  Id: z.string(),
  Name: text,
  Phone: text,
  MobilePhone: text,
  HomePhone: text,
  OtherPhone: text,
  PersonMobilePhone: text,
  PersonHomePhone: text,
  PersonOtherPhone: text,
  OwnerId: text,
  LastActivityDate: text,
  CreatedDate: text,
  IsConverted: z.boolean().nullish(),
  ConvertedContactId: text,
  IsPersonAccount: z.boolean().nullish(),
  PersonContactId: text,
})
export type Person = z.output<typeof person>
export const found = z.object({ searchRecords: z.array(person) })

export const withId = z.object({ Id: z.string() })
export const user = z.object({ Id: z.string(), TimeZoneSidKey: text })
export const taskStatus = z.object({ ApiName: z.string(), IsClosed: z.boolean() })
export const dealOf = z.object({ ContactId: text, AccountId: text })
export const commentsOf = z.object({ Id: z.string(), Description: text })
export const linkedFile = z.object({
  ContentDocument: z.object({ Title: text, LatestPublishedVersionId: text }),
})
/** GET /services/data/v67.0: `identity` ends in /id/<org>/<user>. */
export const resources = z.object({ identity: z.string() })
