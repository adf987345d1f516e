import { z } from 'zod'
import { secretList, secretValue } from '../../src/connector/secret.ts'

/** The connection's keys. */
export const config = z
  .object({
    apiKey: secretValue.describe('API key from the account settings (Business plan)'),
    webhookSecret: secretList.optional().describe('webhookSecret of the account; a list while it is changed'),
    results: z
      .enum(['webhook', 'polling'])
      .optional()
      .describe('how results come; default webhook when webhookSecret is set, else polling'),
    type: z
      .enum(['phone_call', 'single_voice'])
      .default('phone_call')
      .describe('phone_call labels two speakers, single_voice gives plain text'),
    checklistId: z.string().min(1).max(256).optional().describe('QA checklist to run on every call'),
    expectAnalysis: z
      .boolean()
      .default(true)
      .describe('with a checklist and webhooks: wait for its answers before a submission counts as finished'),
    metadata: z
      .record(z.string().min(1).max(64), z.string().max(1000))
      .default({})
      .describe('fixed fields to send with every call'),
    sendFields: z
      .array(z.enum(['phonenumber', 'agent']))
      .default(['phonenumber', 'agent'])
      .describe('what Xosum is told of a call beside its audio'),
    pollMs: z
      .int()
      .min(250)
      .max(600_000)
      .default(7000)
      .describe('how often an unfinished job is asked for; Xosum asks for 5 to 10 seconds'),
    uploadContentType: z
      .string()
      .regex(/^[\w!#$&^.+-]+\/[\w!#$&^.+-]+$/)
      .default('audio/mpeg')
      .describe('Content-Type of the upload; Xosum does not document which one its upload URL wants'),
    requestsPerMinute: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(60)
      .describe('what Xosum allows a key in a minute; more only when it has promised you more'),
    baseUrl: z.url().default('https://app.xosum.am'),
  })
  .refine((value) => value.results !== 'webhook' || value.webhookSecret !== undefined, {
    path: ['webhookSecret'],
    message: 'results by webhook need webhookSecret: without it no delivery can be told from a forgery',
  })

export type Config = z.output<typeof config>

/** POST /api/createTranscription */
export const created = z.object({ docId: z.string().min(1).max(512), uploadUrl: z.url().max(8192) })

/** GET /api/getTranscription; every status but `transcribed` and `failed` is work in progress. */
export const transcription = z.object({
  docId: z.string(),
  status: z.string(),
  type: z.string().optional(),
  transcription: z.string().nullish(),
  title: z.string().nullish(),
  resolution: z.string().nullish(),
  languageCode: z.string().nullish(),
  error: z.unknown().optional(),
})
export type Transcription = z.output<typeof transcription>

const metadata = z.record(z.string(), z.unknown()).nullish()

/** Webhook `transcript_ready`. */
export const transcriptReady = z.object({
  docId: z.string().min(1).max(400),
  transcription: z.string(),
  metadata,
  title: z.string().nullish(),
  resolution: z.string().nullish(),
  link: z.string().nullish(),
})
export type TranscriptReady = z.output<typeof transcriptReady>

/** Webhook `analysis_ready`. The members of an entry of `results` are not documented. */
export const analysisReady = z.object({
  docId: z.string().min(1).max(400),
  analysisId: z.string().max(100).nullish(),
  metadata,
  checklistName: z.string().nullish(),
  results: z.record(z.string(), z.unknown()).nullish(),
  link: z.string().nullish(),
})
export type AnalysisReady = z.output<typeof analysisReady>

/** What `checkpoint` keeps between the creation of a job and the end of its upload. */
export const submitState = z.object({
  docId: z.string(),
  uploadUrl: z.string(),
  /** Until when the upload URL is good, in ms since 1970. */
  uploadBy: z.number(),
  isUploaded: z.boolean(),
})
export type SubmitState = z.output<typeof submitState>
