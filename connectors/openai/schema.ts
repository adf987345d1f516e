import { z } from 'zod'
import { secretValue } from '../../src/connector/secret.ts'

/** What the hosted service takes: "File uploads are currently limited to 25 MB" (speech to text guide, read 2026-11-27). */
const HOSTED_BYTES = 25_000_000
const HOSTED_FORMATS = ['mp3', 'wav', 'm4a', 'mp4', 'webm', 'flac', 'ogg'] as const

const name = z.string().min(1).max(128)
const address = z.url().describe('address up to and with its version, as clients have it: …/v1')

/** The connection's keys. */
export const config = z.object({
  baseUrl: address.default('https://api.openai.com/v1'),
  apiKey: secretValue.optional().describe('API key; servers of your own often have none'),
  transcriptionUrl: address.optional().describe('another server for the transcription; default baseUrl'),
  transcriptionKey: secretValue
    .optional()
    .describe('its API key; with transcriptionUrl apiKey is not sent there'),
  transcriptionModel: name.default('whisper-1').describe('model that transcribes'),
  analysisModel: name.default('gpt-4o-mini').describe('model that analyses; it has to know JSON schemas'),
  responseFormat: z
    .enum(['verbose_json', 'json'])
    .default('verbose_json')
    .describe('verbose_json brings times; json for models that refuse it, such as gpt-4o-transcribe'),
  splitTracks: z
    .boolean()
    .default(true)
    .describe(
      'transcribe each track by itself where it is known who is on which: two requests, and speakers are known',
    ),
  language: z
    .string()
    .regex(/^[a-z]{2,3}$/)
    .optional()
    .describe('ISO 639 code of all calls; default what is known of the call, else the model finds out'),
  transcriptionPrompt: z
    .string()
    .min(1)
    .max(2000)
    .optional()
    .describe('words that the transcription should know: names, products'),
  formats: z
    .array(z.enum(HOSTED_FORMATS))
    .min(1)
    .default([...HOSTED_FORMATS])
    .describe('audio formats that the server takes'),
  maxBytes: z
    .int()
    .positive()
    .max(2_000_000_000)
    .default(HOSTED_BYTES)
    .describe('largest upload; the hosted service takes 25 MB'),
  analyse: z.boolean().default(true).describe('false: the transcript alone'),
  answerFormat: z
    .enum(['json_schema', 'json_object', 'text'])
    .default('json_schema')
    .describe('how the server is held to JSON; the others for servers that know no schemas'),
  answerLanguage: z
    .string()
    .min(2)
    .max(64)
    .optional()
    .describe('language of summary, topics and actions, in words; default that of the call'),
  instructions: z
    .string()
    .min(1)
    .max(10_000)
    .optional()
    .describe('what the analysis should know or look for'),
  checklist: z
    .array(z.string().min(1).max(1000))
    .max(100)
    .default([])
    .describe('questions that are answered for every call'),
  scores: z
    .array(
      z.object({
        name: name.describe('unique among the scores'),
        describe: z.string().min(1).max(1000).describe('what is measured'),
        min: z.number().default(0).describe('the worst, or the least'),
        max: z.number().default(10).describe('the best, or the most'),
      }),
    )
    .max(50)
    .refine((all) => new Set(all.map((one) => one.name)).size === all.length, 'two scores have one name')
    .refine((all) => all.every(({ min, max }) => min < max), 'min is less than max')
    .default([])
    .describe('what is rated, and on which scale'),
  categories: z.array(name).max(100).default([]).describe('the only categories that a call may get'),
  temperature: z
    .number()
    .min(0)
    .max(2)
    .optional()
    .describe('of the analysis; not sent when absent: some models refuse it'),
  maxTokens: z
    .int()
    .min(64)
    .max(1_000_000)
    .optional()
    .describe('longest answer of the analysis; default the server’s'),
  maxTokensField: z
    .enum(['max_completion_tokens', 'max_tokens'])
    .default('max_completion_tokens')
    .describe('how the server calls that limit; older ones know max_tokens'),
  timeoutMs: z
    .int()
    .min(1_000)
    .max(3_600_000)
    .default(600_000)
    .describe('how long an answer may take; a model of your own may need minutes'),
})
export type Config = z.output<typeof config>

const seconds = z.number().nonnegative().nullish().catch(null)

/** POST /audio/transcriptions. Servers differ in all but `text`. */
export const transcription = z.object({
  text: z.string(),
  language: z.string().nullish().catch(null),
  segments: z
    .array(
      z.object({
        text: z.string(),
        start: seconds,
        end: seconds,
        no_speech_prob: z.number().nullish().catch(null),
        avg_logprob: z.number().nullish().catch(null),
      }),
    )
    .nullish()
    .catch(null),
})
export type Transcription = z.output<typeof transcription>

/** POST /chat/completions */
export const completion = z.object({
  model: z.string().nullish().catch(null),
  choices: z
    .array(
      z.object({
        finish_reason: z.string().nullish(),
        message: z.object({ content: z.string().nullish(), refusal: z.string().nullish() }),
      }),
    )
    .min(1),
  usage: z
    .object({ prompt_tokens: z.number().nullish(), completion_tokens: z.number().nullish() })
    .nullish()
    .catch(null),
})
export type Completion = z.output<typeof completion>

/** GET /models */
export const models = z.object({ data: z.array(z.object({ id: z.string() })) })

/** What `checkpoint` keeps between the two tracks. */
export const submitState = z.object({
  left: z.array(z.tuple([z.number(), z.number(), z.string()])),
  language: z.string().nullish(),
})
