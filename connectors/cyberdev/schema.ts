import { z } from 'zod'
import { secretValue } from '../../src/connector/secret.ts'

/** Supported role tags (https://docs.cyberdev.app/api-reference/transcriptions, read 2026-11-20). */
export const AGENT_TAGS = ['operator', 'оператор', 'operador'] as const
export const CUSTOMER_TAGS = ['client', 'клиент', 'абонент', 'mijoz', 'cliente', 'кардар'] as const

const words = z.string().trim().min(1).max(256)
/** A place in the vendor's JSON: names and numbers of places in lists, with dots between them. */
const path = z
  .string()
  .regex(
    /^[^.\s]{1,64}(?:\.[^.\s]{1,64}){0,15}$/,
    'names with dots between them: llm.summary, scores.0.value',
  )

/** Where the fields of a result stand. None of them is documented. */
export const resultPaths = z
  .strictObject({
    transcript: path.optional(),
    title: path.optional(),
    summary: path.optional(),
    sentiment: path.optional(),
    language: path.optional(),
    scores: path.optional().describe('an object of numbers'),
    topics: path.optional().describe('a list'),
    actions: path.optional().describe('a list'),
    notes: path.optional().describe('an object, such as custom variables'),
    link: path.optional(),
    failure: path.optional().describe('why a call failed'),
  })
  .refine((paths) => Object.values(paths).some((one) => one !== undefined), 'at least one path')
  .describe('where the fields of a result stand: they are not documented, look at one and name them')
export type ResultPaths = z.output<typeof resultPaths>

const side = z.enum(['agent', 'customer'])

/** The connection's keys. */
export const config = z.object({
  baseUrl: z.url().describe('address of the API; it is on no page, CyberDev gives it'),
  token: secretValue.describe('token from the administrator of the organisation'),
  segmentType: words.describe('segment_type of calls; it must exist in the organisation'),
  segments: z
    .record(z.string(), words)
    .default({})
    .describe('segment of the call → segment_type, where it is another'),
  tracks: z
    .object({
      left: side.describe('who is on the left track: `agent` or `customer`'),
      right: side.describe('who is on the right one'),
    })
    .optional()
    .describe('who is on which track of recordings whose phone system does not say'),
  operators: z
    .record(z.string(), z.object({ name: words.optional(), id: words.optional(), group: words.optional() }))
    .default({})
    .describe(
      'agent’s extension, id or e-mail address → operator_name, operator_id and group, where they are others',
    ),
  operatorName: words.optional().describe('operator_name of calls whose agent is not known'),
  groupColumn: z
    .enum(['operator_group_name', 'group_name'])
    .default('operator_group_name')
    .describe('which column of transcriptions has the group: both are documented, not which one counts'),
  withheldPhone: z
    .string()
    .regex(/^\+?\d{7,15}$/, '7 to 15 digits, with or without a plus')
    .optional()
    .describe('client_phone_number of callers who withhold theirs; without it such calls are not sent'),
  transcripts: z
    .boolean()
    .default(true)
    .describe('a transcript that the phone system brings is sent instead of the recording'),
  agentTag: z.enum(AGENT_TAGS).default('operator').describe('tag of the agent’s words'),
  customerTag: z.enum(CUSTOMER_TAGS).default('client').describe('tag of the customer’s words'),
  results: resultPaths.optional(),
  trustSearch: z
    .boolean()
    .default(false)
    .describe('the only call that a search for our id finds is ours, though no field of it shows the id'),
  searchLagMs: z
    .int()
    .min(0)
    .max(86_400_000)
    .default(600_000)
    .describe('how long what was sent may be missing from the search: not documented'),
  pollMs: z
    .int()
    .min(5_000)
    .max(3_600_000)
    .default(60_000)
    .describe('how often the list is asked for an unfinished call'),
  requestsPerMinute: z
    .int()
    .min(1)
    .optional()
    .describe('a limit of requests, if CyberDev told you one: none is documented'),
})
export type Config = z.output<typeof config>

/** What of an upload is written down between its requests. */
export const uploadState = z.object({
  /** Whose it is: a submission's name, or a batch's id. */
  of: z.string(),
  metadata: z.object({ url: z.string(), key: z.string(), isThere: z.boolean() }).optional(),
  audios: z.object({ url: z.string(), key: z.string(), isThere: z.boolean() }).optional(),
  /** When the presigned URLs end. */
  until: z.number().optional(),
  /** When processing was asked for: from here on the end may be unknown. */
  askedAt: z.number().optional(),
})
export type UploadState = z.output<typeof uploadState>

/** `status` is `ok`, `success` or `error`. */
export const reply = z.object({ status: z.string().nullish(), code: z.string().nullish() })

export const uploadUrls = z.object({
  data: z.object({
    metadata_upload_url: z.url(),
    metadata_key: z.string().min(1).max(2048),
    audio_upload_url: z.url().nullish(),
    audio_key: z.string().min(1).max(2048).nullish(),
    expires_in: z.number().positive().nullish(),
  }),
})

/** No field of a call is documented. */
export const callPage = z.object({
  data: z.array(z.record(z.string(), z.unknown())),
  total: z.int().nonnegative().nullish(),
})
export type CallItem = z.output<typeof callPage>['data'][number]

export const STATUSES = [
  'pending',
  'transcription',
  'token_lemma',
  'llm_analysis',
  'scoring',
  'completed',
  'failed',
] as const
export type Status = (typeof STATUSES)[number]
