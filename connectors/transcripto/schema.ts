import { z } from 'zod'
import { secretValue } from '../../src/connector/secret.ts'

const words = (most: number) => z.string().trim().min(1).max(most)

const isDistinct = (names: string[]): boolean =>
  new Set(names.map((name) => name.toLowerCase())).size === names.length

/** The connection's keys. */
export const config = z.object({
  baseUrl: z.url().describe('the personal URL that Transcripto issued'),
  token: secretValue.describe('JWT for the API; log in by hand or ask Transcripto for one'),
  taskType: z
    .enum(['call', 'audio'])
    .default('call')
    .describe('call: transcript and analysis; audio: a transcript alone, from its own minutes of the plan'),
  submitBy: z
    .enum(['file', 'url'])
    .default('file')
    .describe('file: upload the audio; url: Transcripto downloads it by a link of the phone system'),
  processingType: z
    .string()
    .min(1)
    .max(64)
    .default('analysis')
    .describe('processing_type of a task; the documents show "standard" and "analysis"'),
  fileLang: z
    .string()
    .regex(/^[A-Za-z0-9-]{2,16}$/)
    .default('00')
    .describe('file_lang of audio and video tasks; 00: Transcripto finds out'),
  directory: z
    .string()
    .trim()
    .min(1)
    .max(128)
    .optional()
    .describe('name of the directory that tasks are put into; made when there is none'),
  directoryId: z.int().positive().optional().describe('the same by its number'),
  chats: z.boolean().default(true).describe('conversations in writing are handed over as text'),
  reserveMinutes: z
    .int()
    .min(0)
    .default(0)
    .describe('minutes of the plan that are left alone: with no more than these nothing is submitted'),
  language: z
    .string()
    .regex(/^[A-Za-z0-9,;=.* -]{1,64}$/)
    .optional()
    .describe('Accept-Language: language of summaries and notes'),
  sendFields: z
    .array(z.enum(['operator_name', 'client_id', 'call_type', 'call_datetime']))
    .default(['operator_name', 'client_id', 'call_type', 'call_datetime'])
    .describe('what Transcripto is told of a call beside its audio'),
  expectAnalysis: z
    .boolean()
    .default(true)
    .describe('false when the processing type gives a transcript only'),
  checklistAnswers: z
    .boolean()
    .default(true)
    .describe('also ask for the answers to checklist questions when the analysis brings none'),
  checklist: z
    .array(z.union([words(2000), z.strictObject({ question: words(2000), was: words(2000).optional() })]))
    .max(500)
    .refine(
      (all) => isDistinct(all.map((one) => (typeof one === 'string' ? one : one.question))),
      'a question stands there twice',
    )
    .optional()
    .describe('questions of the account; { question, was } gives one that is there another wording'),
  scripts: z
    .array(
      z.strictObject({
        identifier: words(200),
        title: words(500),
        body: words(200_000),
        description: z.string().max(5000).optional(),
        version: z.int().min(1).default(1),
        active: z.boolean().default(true),
      }),
    )
    .max(500)
    .refine((all) => isDistinct(all.map((one) => one.identifier)), 'an identifier stands there twice')
    .optional()
    .describe('call check scripts of the account'),
  keepOthers: z
    .boolean()
    .default(false)
    .describe('questions and scripts that are not listed here stay active'),
  pollMs: z
    .int()
    .min(2000)
    .max(600_000)
    .default(15_000)
    .describe('how often an unfinished task is asked for'),
})

export type Config = z.output<typeof config>

/** Business errors come with HTTP 200; every reply is looked at for these first. */
export const failure = z.object({
  success: z.boolean().nullish(),
  error_code: z.number().nullish(),
  /** /user/tariff spells it without the underscore. */
  errorcode: z.number().nullish(),
  error_message: z.string().nullish(),
})

export const created = z.object({ code: z.string().min(1).max(256) })
export const chatCreated = z.object({ task_code: z.string().min(1).max(256) })

/** What the task's mode has made; only the texts that it was asked for. */
export const task = z.object({
  id: z.int().nullish(),
  type: z.string().nullish(),
  status: z.string().nullish(),
  error_message: z.string().nullish(),
  task_result: z
    .object({
      original_text: z.string().nullish(),
      normalized_text: z.string().nullish(),
      blog_post: z.string().nullish(),
      image_prompt: z.string().nullish(),
    })
    .nullish(),
})
export type Task = z.output<typeof task>

export const taskPage = z.object({
  tasks: z.array(
    z.object({
      task_code: z.string().nullish(),
      status: z.string().nullish(),
      file_name: z.string().nullish(),
      call_time: z.string().nullish(),
      call_date: z.string().nullish(),
      operator_name: z.string().nullish(),
    }),
  ),
  pagination: z.object({ total_pages: z.int().nonnegative() }).nullish(),
})
export type TaskSummary = z.output<typeof taskPage>['tasks'][number]

/**
 * The vendor adds keys without a change of version, and its two descriptions of checklists disagree (page read
 * 2026-11-20): a field of another type than expected is left out instead of losing the whole analysis.
 */
const loose = <Schema extends z.ZodType>(schema: Schema) => schema.nullish().catch(null)
const strings = loose(z.array(z.unknown()))
const scalar = loose(z.union([z.string(), z.number()]))

const answer = z.object({
  title: scalar,
  question: scalar,
  question_id: scalar,
  checklist_id: scalar,
  value: z.unknown().optional(),
  answer: z.unknown().optional(),
})
export type Answer = z.output<typeof answer>

export const callAnalysis = z.object({
  transcript: loose(z.object({ language: loose(z.string()) })),
  analysis: loose(
    z.object({
      summary: loose(z.string()),
      sentiment: loose(z.string()),
      scores: loose(z.record(z.string(), z.unknown())),
      actions: strings,
      tags: strings,
      analysis_notes: loose(z.record(z.string(), z.unknown())),
    }),
  ),
  call_checklists: loose(
    z.array(answer.extend({ score: loose(z.number()), answers: loose(z.array(answer)) })),
  ),
  category_ids: strings,
  customer_satisfaction_score: loose(z.number()),
})
export type CallAnalysis = z.output<typeof callAnalysis>

export const checklistAnswers = z.object({ data: loose(z.array(answer)) })

export const tariff = z.object({
  tariff: z
    .object({
      name: z.string().nullish(),
      days_left: z.number().nullish(),
      calls_enabled: z.boolean().nullish(),
      remaining_resources: z
        .object({
          available_call_minutes: z.number().nullish(),
          available_audio_minutes: z.number().nullish(),
        })
        .nullish(),
    })
    .nullish(),
})
/** Null or absent without a plan. */
export type Tariff = z.output<typeof tariff>['tariff']

const named = z.object({ id: z.int(), name: z.string() })
export const directories = z.object({ directories: z.array(named) })
export const directoryCreated = z.object({ directory: named })
export const categoryPage = z.object({ items: z.array(named), total: z.int().nonnegative() })

export const checklist = z.object({
  data: z.array(z.object({ id: z.int(), question: z.string(), is_active: z.boolean().nullish() })),
})
export type Question = z.output<typeof checklist>['data'][number]

export const scriptPage = z.object({
  items: z.array(
    z.object({
      id: z.int(),
      identifier: z.string(),
      title: z.string(),
      description: z.string().nullish(),
      is_active: z.boolean(),
      version: z.int().nullish(),
      script_body: z.string(),
    }),
  ),
  total: z.int().nonnegative(),
})
export type Script = z.output<typeof scriptPage>['items'][number]

export const savedFilters = z.object({
  filters: z.array(z.object({ id: z.int(), name: z.string(), criteria: z.record(z.string(), z.unknown()) })),
})
