import { isSupportedCountry } from 'libphonenumber-js/max'
import { z } from 'zod'
import { DIRECTIONS, MEDIA, RESULTS } from '../call/call.ts'
import type { Connector } from '../connector/contract.ts'
import { PREFERENCES } from '../connector/crm-role.ts'
import { DURATION, durationMs } from './duration.ts'
import type { FieldRule } from './mapping.ts'
import type { FlowRule } from './model.ts'
import { publicUrlFault, withoutTrailingSlash } from './public-url.ts'

/**
 * The configuration file. Messages of checks are what is expected, in words, because a problem is shown as "expected,
 * seen, fix"; what a connector's own keys must be is its own schema's business.
 */

export const CONNECTION_ID = /^[a-z0-9][a-z0-9-]{0,62}$/
const HOST = /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?$/
/** A timer of the platform holds 24.8 days; a recording that late is not coming. */
const LONGEST_WAIT_MS = 86_400_000
/** More than a month in one go is a backfill. */
const LONGEST_SPAN_MS = 31 * 86_400_000
/**
 * Steps are tried for 76 hours and senders repeat for about as long; and a delivery that outlives its call would make another
 * of it when it is replayed.
 */
const SHORTEST_CALLS_MS = 7 * 86_400_000
/** More than any process takes: a limit above it would be none. */
const MOST_PER_MINUTE = 1_000_000
const MOST_MINUTES = 100_000_000
/** Longer lists belong into tags that the sender sets. */
const MOST_NUMBERS = 10_000

const connectionId = z.string().regex(CONNECTION_ID, 'lower-case letters, digits and "-", at most 63')

const region = z
  .string()
  .regex(/^[A-Za-z]{2}$/, 'a country code of two letters')
  .refine((code) => isSupportedCountry(code.toUpperCase()), 'a country code of two letters (ISO 3166-1)')
  .transform((code) => code.toUpperCase())
  .describe('default region of phone numbers without a country code, ISO 3166-1 alpha-2')

const duration = z
  .string()
  .refine((text) => text === 'forever' || DURATION.test(text), 'a length of time or "forever"')
  .meta({ examples: ['30 days', '12 months', 'forever'], pattern: `^forever$|${DURATION.source}` })

/** A length that ends. */
const span = duration.refine(
  (text) => (durationMs(text) ?? Number.POSITIVE_INFINITY) <= LONGEST_SPAN_MS,
  'at most 31 days',
)

const oneOrMore = <Item extends z.ZodType>(item: Item) => z.union([item, z.array(item).min(1)])

/** Keys of every connection; the others are its connector's. */
export const commonKeys = {
  use: z
    .union([z.string(), z.custom<Connector>(isConnector)], 'the id of a connector')
    .describe('which connector: the vendor of this account'),
  baseUrl: z.url({ protocol: /^https?$/, error: 'an http or https URL' }).optional(),
  allowPrivate: z
    .array(z.string().regex(HOST, 'a host, or host:port'))
    .optional()
    .describe('private addresses this connection may reach: host or host:port'),
  region: region.optional(),
  concurrency: z.int().min(1).max(1000).default(8).describe('steps of this connection at once, per worker'),
  deliveriesPerMinute: z
    .int()
    .min(1)
    .max(MOST_PER_MINUTE)
    .optional()
    .describe('authentic deliveries taken per minute and process; a sender of more is told to come back'),
  minutesPerDay: z
    .int()
    .min(1)
    .max(MOST_MINUTES)
    .optional()
    .describe(
      'minutes of conversation given to this service for analysis on one day (UTC); then calls wait for the next',
    ),
  recordingWaitMs: z
    .int()
    .min(0)
    .max(LONGEST_WAIT_MS)
    .optional()
    .describe('how long to wait for a recording that nobody announced'),
  reconcile: z
    .union([
      z.literal(false),
      z.strictObject({
        every: span.default('15 minutes').describe('how often the vendor’s list of calls is read'),
        over: span.default('24 hours').describe('how far back'),
      }),
    ])
    .prefault({})
    .describe(
      'calls whose webhooks got lost are found in the vendor’s own list, where it has one; false: never',
    ),
  subscribe: z.boolean().optional().describe('the webhook is created at the vendor, and renewed, by its API'),
  indexLagMs: z
    .int()
    .min(0)
    .max(LONGEST_WAIT_MS)
    .optional()
    .describe(
      'a caller whom nobody knows is looked for again this long after the call: a new record may not show in the CRM’s search before',
    ),
  measureTracks: z
    .boolean()
    .optional()
    .describe('who speaks when is measured in stereo WAV recordings of this phone system as they pass'),
  redact: z
    .boolean()
    .optional()
    .describe('names, numbers, addresses, cards and accounts are taken out of transcripts that are sent'),
  gather: z
    .strictObject({
      count: z.int().min(2).max(10_000).default(100).describe('calls of one file at most'),
      bytes: z.int().min(1).default(500_000_000).describe('size of one file at most'),
      ageMs: z
        .int()
        .min(1_000)
        .max(LONGEST_WAIT_MS)
        .default(900_000)
        .describe('how long the first call waits for others'),
    })
    .optional()
    .describe('calls are collected and handed over together, where the service takes files of many'),
}

const flowFilter = z.strictObject({
  medium: oneOrMore(z.enum(MEDIA)).optional(),
  direction: oneOrMore(z.enum(DIRECTIONS)).optional(),
  result: oneOrMore(z.enum(RESULTS)).optional(),
  minTalkMs: z.int().min(0).optional().describe('shortest conversation, in milliseconds'),
  maxTalkMs: z.int().min(0).optional().describe('longest conversation, in milliseconds'),
  segment: oneOrMore(z.string().min(1)).optional(),
  language: oneOrMore(z.string().min(2)).optional().describe('"fr" also takes "fr-CA"'),
  tags: oneOrMore(z.string().min(1)).optional().describe('any of these'),
})

const flowKeys = {
  name: z.string().min(1).max(128).optional(),
  from: z.array(connectionId).min(1, 'at least one telephony connection'),
  analyze: z.array(connectionId).describe('analysis connections in order of preference'),
  unknownCaller: z.enum(['create', 'skip', 'unmatched']).default('unmatched'),
  prefer: z
    .array(z.enum(PREFERENCES))
    .max(PREFERENCES.length)
    .default(['open deal', 'last activity'])
    .describe(
      'which of several records with one number is taken, the first rule first; where they leave more than one, a person chooses',
    ),
}

const fieldName = z.string().regex(/^[A-Za-z][\w.]{0,254}$/, 'the name of a field, as the CRM’s API has it')
const fieldPaths = z
  .record(fieldName, z.string().min(1).max(400))
  .describe('the CRM’s name of a field → where its value stands: scores.csat, summary, call.talkMs')
const intoCrms = <Rule extends z.ZodType>(rule: Rule) =>
  z
    .union([z.array(connectionId), z.record(connectionId, rule)], 'CRM connections, or each with its fields')
    .describe('CRM connections; as an object, each with what goes into fields of your own')

const fileKeys = {
  $schema: z.string().optional(),
  publicUrl: z
    .string()
    .check((context) => {
      const expected = publicUrlFault(context.value)
      if (expected !== null) context.issues.push({ code: 'custom', message: expected, input: context.value })
    })
    .transform(withoutTrailingSlash)
    .optional()
    .describe('what vendors call and sign: https, without the path of a hook'),
  region: region.optional(),
  connections: z.record(connectionId, z.looseObject(commonKeys)),
  keep: z
    .strictObject({
      audio: duration.optional(),
      transcript: duration.optional(),
      deliveries: duration.default('30 days'),
      calls: duration.optional().describe('how long calls are kept with all that is known of them'),
    })
    .check(({ value: { calls, deliveries }, issues }) => {
      const callsMs = calls === undefined ? undefined : durationMs(calls)
      if (callsMs === undefined || callsMs >= Math.max(SHORTEST_CALLS_MS, durationMs(deliveries) ?? Infinity))
        return
      const message = 'a week at least, and not less than deliveries'
      issues.push({ code: 'custom', path: ['calls'], message, input: calls })
    })
    .prefault({})
    .describe('how long things are kept'),
}

const noAnalysisKeys = {
  numbers: z
    .array(z.string().min(3).max(32))
    .max(MOST_NUMBERS)
    .optional()
    .describe('calls of these outside numbers are analysed by nobody'),
}

/** A file as JSON can hold it: what the JSON Schema is made of. */
export const jsonFile = z.strictObject({
  ...fileKeys,
  flows: z.array(
    z.strictObject({
      ...flowKeys,
      write: intoCrms(fieldPaths),
      when: flowFilter.optional(),
      noAnalysis: z.strictObject({ ...noAnalysisKeys, when: flowFilter.optional() }).optional(),
    }),
  ),
})

const rule = z.union([flowFilter, z.custom<FlowRule>((value) => typeof value === 'function')])

/** The same, with what only TypeScript can hold. */
export const configFile = z.strictObject({
  ...fileKeys,
  flows: z.array(
    z.strictObject({
      ...flowKeys,
      write: intoCrms(
        z.union(
          [fieldPaths, z.custom<FieldRule>((value) => typeof value === 'function')],
          'fields, or a function',
        ),
      ),
      when: rule.optional(),
      noAnalysis: z.strictObject({ ...noAnalysisKeys, when: rule.optional() }).optional(),
    }),
  ),
})

export type ConfigFile = z.output<typeof configFile>
export type FlowEntry = ConfigFile['flows'][number]

/** Keys that may stand at a place of the file; null where any may (a connection: its connector decides). */
export function knownKeys(path: readonly PropertyKey[]): readonly string[] | null {
  if (path.length === 0) return Object.keys(configFile.shape)
  if (path[0] === 'keep') return Object.keys(configFile.shape.keep.unwrap().shape)
  if (path[0] !== 'flows') return null
  if (path.length === 2) return Object.keys(configFile.shape.flows.element.shape)
  return path.at(-1) === 'noAnalysis'
    ? ['when', ...Object.keys(noAnalysisKeys)]
    : Object.keys(flowFilter.shape)
}

function isConnector(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'check' in value && 'config' in value && 'id' in value
}
