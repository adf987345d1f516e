import { z } from 'zod'
import { tracks } from '../../src/call/call.ts'
import { crmKeys } from '../../src/connector/crm-plan.ts'
import { secretList, secretValue } from '../../src/connector/secret.ts'

const recordId = z.string().regex(/^\d{1,20}$/, 'a Bitrix24 id: digits')
const url = z.url({ protocol: /^https?$/ }).transform((value) => value.replace(/\/+$/, ''))

/** The connection's keys. */
export const config = z
  .object({
    baseUrl: url.describe('the portal: https://example.bitrix24.com'),
    webhook: secretValue
      .regex(
        /^(?:https?:\/\/[^/]+\/rest\/)?\d{1,20}\/\w{6,128}\/?$/,
        'user id/code, as in the URL of the webhook',
      )
      .optional()
      .describe('incoming webhook: its URL, or `<user id>/<code>` of it; calls become comments then'),
    clientId: z.string().min(1).max(128).optional().describe('client id of a local application'),
    clientSecret: secretValue.optional().describe('its key'),
    refreshToken: secretValue
      .optional()
      .describe('its first refresh token; later ones are kept by Cordboard'),
    authUrl: url.default('https://oauth.bitrix.info').describe('where tokens of applications are renewed'),
    applicationToken: secretList
      .optional()
      .describe(
        'token of the outgoing webhook, or the application_token of the application: without it no event is taken',
      ),
    ...crmKeys(recordId),
    newRecord: z
      .enum(['contact', 'lead'])
      .default('contact')
      .describe('what an unknown caller becomes, where the flow creates one'),
    lineNumber: z
      .string()
      .min(1)
      .max(64)
      .optional()
      .describe('number of the external line calls are shown under'),
    chat: z.boolean().default(false).describe('tell of each call in the chat of its user'),
    transcript: z
      .boolean()
      .default(false)
      .describe('attach the transcript to the call; where that cannot be, write it into the comment'),
    calls: z.boolean().default(false).describe('Bitrix24 is the phone system as well: take its calls'),
    recorded: z.boolean().default(true).describe('with calls: answered calls are recorded'),
    tracks: tracks
      .optional()
      .describe('with calls: who is on which track, if recordings have two: listen first'),
    requestsPerSecond: z
      .int()
      .min(1)
      .max(100)
      .default(2)
      .describe('the plan’s rate: 2, or 5 with Enterprise'),
  })
  .refine(({ webhook, clientId, clientSecret, refreshToken }) => {
    const app = [clientId, clientSecret, refreshToken].filter((value) => value !== undefined).length
    return webhook === undefined ? app === 3 : app === 0
  }, 'either webhook, or clientId, clientSecret and refreshToken')

export type Config = z.output<typeof config>

/** Only an application may register calls (telephony.externalCall.register, read 2026-11-27). */
export const isApplication = ({ webhook }: Pick<Config, 'webhook'>): boolean => webhook === undefined

// ── Events ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const text = z.string().max(1000)
const callId = z.string().regex(/^[\w.:-]{1,200}$/)
const seconds = z.coerce.number().int().min(0).max(1_000_000)
const clock = z.iso.datetime({ offset: true }).transform((value) => new Date(value).toISOString())

export const envelope = z.object({ event: z.string().min(1).max(100) })

/** ONVOXIMPLANTCALLEND: every value is text. */
export const callEnd = z.object({
  data: z.object({
    CALL_ID: callId,
    CALL_TYPE: z.string().max(8),
    PHONE_NUMBER: text.optional(),
    PORTAL_NUMBER: text.optional(),
    PORTAL_USER_ID: z.string().max(20).optional(),
    CALL_DURATION: seconds.optional(),
    CALL_START_DATE: clock,
    CALL_FAILED_CODE: z.string().max(16).optional(),
    CALL_FAILED_REASON: text.optional(),
    CRM_ACTIVITY_ID: z.string().max(20).optional(),
  }),
})

/** ONCRMCONTACTDELETE and its like. */
export const recordEvent = z.object({ data: z.object({ FIELDS: z.object({ ID: recordId }) }) })

// ── Answers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Ids come as text in lists and as numbers elsewhere. */
const id = z.union([recordId, z.int().nonnegative().transform(String)])
const nothing = z.union([z.null(), z.literal('')]).transform(() => undefined)
const orNothing = <Schema extends z.ZodType>(schema: Schema) => z.union([nothing, schema]).optional()

/** One row of voximplant.statistic.get. */
export const statistic = z.object({
  CALL_ID: callId,
  EXTERNAL_CALL_ID: orNothing(text),
  CALL_TYPE: z.coerce.string(),
  PHONE_NUMBER: orNothing(text),
  PORTAL_NUMBER: orNothing(text),
  PORTAL_USER_ID: orNothing(id),
  CALL_DURATION: orNothing(seconds),
  CALL_START_DATE: clock,
  CALL_RECORD_URL: orNothing(z.url({ protocol: /^https?$/ }).max(4096)),
  RECORD_FILE_ID: orNothing(id),
  RECORD_DURATION: orNothing(seconds),
  CALL_FAILED_CODE: orNothing(z.coerce.string().pipe(z.string().max(16))),
  CALL_FAILED_REASON: orNothing(text),
  CRM_ENTITY_TYPE: orNothing(z.string().max(32)),
  CRM_ENTITY_ID: orNothing(id),
  CRM_ACTIVITY_ID: orNothing(id),
  TRANSCRIPT_ID: orNothing(id),
})
export type Statistic = z.output<typeof statistic>

export const statistics = z.object({ result: z.array(statistic), next: z.int().optional() })

/** crm.duplicate.findbycomm: an object by type, an empty list where nothing is found (PHP writes it so). */
export const duplicates = z.object({
  result: z.union([
    z.array(z.unknown()).transform((): Record<string, string[]> => ({})),
    z.record(z.string(), z.array(id)),
  ]),
})

const multifield = orNothing(z.array(z.object({ VALUE: z.coerce.string() })))
const instant = orNothing(
  z.iso.datetime({ offset: true }).transform((value) => new Date(value).toISOString()),
)

/** A contact, lead or company as crm.*.list gives the fields that are selected. */
export const crmRecord = z.object({
  ID: id,
  NAME: orNothing(text),
  LAST_NAME: orNothing(text),
  TITLE: orNothing(text),
  ASSIGNED_BY_ID: orNothing(id),
  DATE_CREATE: instant.catch(undefined),
  LAST_ACTIVITY_TIME: instant.catch(undefined),
  PHONE: multifield,
})
export type CrmEntity = z.output<typeof crmRecord>
export const crmRecords = z.object({ result: z.array(crmRecord) })

export const listed = z.object({
  result: z.array(z.object({ ID: id, COMMENT: orNothing(z.string()), DESCRIPTION: orNothing(z.string()) })),
  next: z.int().optional(),
})
export const users = z.object({ result: z.array(z.object({ ID: id, EMAIL: orNothing(z.string()) })) })
export const madeId = z.object({ result: id })
export const madeTodo = z.object({ result: z.object({ id }) })
export const registered = z.object({ result: z.object({ CALL_ID: callId }) })
export const attachedRecord = z.object({ result: z.object({ FILE_ID: id }) })
export const attachedTranscript = z.object({ result: z.object({ TRANSCRIPT_ID: id }) })
export const scopes = z.object({ result: z.array(z.string().max(100)) })
export const handlers = z.object({
  result: z.array(z.object({ event: z.string().max(100), handler: z.string().max(4096) })),
})
export const described = z.object({
  result: z.record(
    z.string(),
    z.object({
      type: z.string(),
      title: z.string().optional(),
      formLabel: z.string().optional(),
      isReadOnly: z.boolean().optional(),
      isMultiple: z.boolean().optional(),
      items: z.array(z.object({ ID: id, VALUE: z.string() })).optional(),
    }),
  ),
})
export const done = z.object({ result: z.unknown() })
/** What a right is missing for is answered with false, and no error (crm.timeline.bindings.bind, read 2026-11-28). */
export const yesOrNo = z.object({ result: z.boolean() })

/** oauth.bitrix.info/oauth/token/: each refresh brings the next refresh token. */
export const grant = z.object({
  access_token: z.string().min(1),
  refresh_token: z.string().min(1),
  expires_in: z.coerce.number().positive(),
})

export const errorBody = z.object({
  error: z.coerce.string().optional().catch(undefined),
  error_description: z.string().optional().catch(undefined),
  time: z.object({ operating_reset_at: z.number() }).optional().catch(undefined),
})
