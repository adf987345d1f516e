import { z } from 'zod'
import { tracks } from '../../src/call/call.ts'
import { asObject } from '../../src/connector/json.ts'
import { secretList, secretValue } from '../../src/connector/secret.ts'

/** The connection's keys. */
export const config = z.object({
  hookToken: secretList
    .refine(
      (all) => all.every((token) => /^[\w-]{24,}$/.test(token)),
      'at least 24 letters, digits, - and _: openssl rand -hex 24',
    )
    .describe(
      'your own secret, the last part of the address that you give to Binotel; a list while it is changed',
    ),
  key: secretValue.describe('key of API 4.0, from Binotel’s support'),
  secret: secretValue.describe('secret of API 4.0, from Binotel’s support'),
  companyId: z
    .string()
    .regex(/^\d{1,20}$/, 'the companyID of your calls is a number')
    .optional()
    .describe('calls of another companyID are ignored'),
  requestsPerMinute: z
    .int()
    .min(1)
    .max(600)
    .default(5)
    .describe('what the API may be asked; more than about five a minute was seen to be refused'),
  baseUrl: z.url().default('https://api.binotel.com').describe('another host of the same API'),
  tracks: tracks
    .optional()
    .describe('who is on which track, if your recordings are stereo: listen first, it is not documented'),
})

export type Config = z.output<typeof config>

/** Forms have text only, JSON has numbers as well; beyond 2^53 a number would be another one. */
const said = z
  .union([z.string(), z.number().refine(Number.isSafeInteger)])
  .nullish()
  .transform((value) => (value == null ? undefined : String(value).trim() || undefined))
const words = said.pipe(z.string().max(256).optional())
const whole = said.pipe(
  z
    .string()
    .regex(/^\d{1,10}$/)
    .transform(Number),
)
/** Digits alone: ids end up in requests and keys. */
const id = said.pipe(z.string().regex(/^\d{1,20}$/))

/** Where there is nothing, PHP writes an empty text, null or an empty list instead of an object. */
const orEmpty = <Schema extends z.ZodType>(schema: Schema) =>
  z.preprocess((value) => asObject(value) ?? {}, schema)

const employee = orEmpty(z.object({ name: words, email: words }))

/** One attempt to reach somebody, as `historyData` has it. */
const attempt = z.object({
  disposition: words,
  internalNumber: words,
  internalAdditionalData: words,
  employeeData: employee,
})
export type Attempt = z.output<typeof attempt>

/** The same in bodies of 2018, where `dstNumber` is `801 > 901`: the group and who was rung (official sample). */
const attemptOf2018 = z
  .object({ disposition: words, dstNumber: words, employeeName: words, employeeEmail: words })
  .transform(({ disposition, dstNumber = '', employeeName: name, employeeEmail: email }): Attempt => {
    const at = dstNumber.lastIndexOf('>') + 1
    return {
      disposition,
      internalNumber: dstNumber.slice(at).trim() || undefined,
      internalAdditionalData: dstNumber.slice(0, at) || undefined,
      employeeData: { name, email },
    }
  })

/** A list of JSON, or of a form, which is an object by index. */
const listOf = <Schema extends z.ZodType>(schema: Schema) =>
  z.preprocess(
    (value) => (Array.isArray(value) ? value : Object.values(asObject(value) ?? {})),
    z.array(schema).max(100),
  )

const outsideCustomer = orEmpty(z.object({ id: words, name: words }))

/** `callDetails`, the same in API CALL COMPLETED and in the statistics of the API. */
export const callDetails = z.object({
  companyID: words,
  generalCallID: id,
  startTime: whole,
  callType: said.pipe(z.enum(['0', '1'])),
  internalNumber: words,
  internalAdditionalData: words,
  externalNumber: words,
  waitsec: whole,
  billsec: whole,
  disposition: said.pipe(z.string().max(64)),
  /** Absent in bodies of 2018; an empty text says that there is none. */
  recordingStatus: z.string().max(64).nullish(),
  whoHungUp: words,
  employeeData: employee,
  pbxNumberData: orEmpty(z.object({ number: words, name: words })),
  historyData: listOf(attempt),
  customerData: outsideCustomer,
  customerDataFromOutside: outsideCustomer,
  callTrackingData: orEmpty(
    z.object({
      utm_source: words,
      utm_medium: words,
      utm_campaign: words,
      utm_content: words,
      utm_term: words,
    }),
  ),
  // As in 2018:
  dstNumbers: listOf(attemptOf2018),
  employeeName: words,
  employeeEmail: words,
  didNumber: words,
  didName: words,
})
export type CallDetails = z.output<typeof callDetails>

/** API CALL EVENTS: who called whom, without a time. */
export const liveCall = z.object({
  companyID: words,
  generalCallID: id,
  callType: said.pipe(z.enum(['0', '1'])),
  externalNumber: words,
  srcNumber: words,
  internalNumber: words,
  pbxNumber: words,
  didNumber: words,
})
export type LiveCall = z.output<typeof liveCall>

// ── API 4.0 ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** POST /api/4.0/stats/call-record.json */
export const recordLink = z.object({ url: z.url().max(4096) })

/** POST /api/4.0/stats/list-of-calls-for-period.json: by generalCallID; an empty list when there is none. */
export const callList = z.object({
  callDetails: z
    .unknown()
    .transform((value) => (Array.isArray(value) ? value : Object.values(asObject(value) ?? {})))
    .pipe(z.array(callDetails)),
})
