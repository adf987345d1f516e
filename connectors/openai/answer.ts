import { z } from 'zod'
import type { Analysis } from '../../src/call/analysis.ts'
import type { Config } from './schema.ts'

/** What the model is asked to answer, as a schema for it and as one for us: only what passes ours goes any further. */

const MOST_WORDS = 50
const SENTIMENTS = ['positive', 'neutral', 'negative', 'mixed'] as const

type JsonSchema = Record<string, unknown>

const text: JsonSchema = { type: 'string' }
const texts: JsonSchema = { type: 'array', items: text }
/** The common subset of what servers enforce: every property required, none besides, no bounds. */
const object = (properties: Record<string, JsonSchema>): JsonSchema => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
})
const orNull = (schema: JsonSchema): JsonSchema => ({ anyOf: [schema, { type: 'null' }] })

/** Questions and scores go by short names of ours: the operator's words are no property names. */
const ids = (prefix: string, count: number) => Array.from({ length: count }, (_, n) => `${prefix}${n + 1}`)

export function answerSchema({ checklist, scores, categories }: Config): JsonSchema {
  const entry = object({ answer: text, evidence: orNull(text) })
  return object({
    title: text,
    summary: text,
    sentiment: { type: 'string', enum: SENTIMENTS },
    topics: texts,
    actions: texts,
    risks: texts,
    sales_signals: texts,
    ...(categories.length > 0 && {
      categories: { type: 'array', items: { type: 'string', enum: categories } },
    }),
    ...(scores.length > 0 && {
      scores: object(
        Object.fromEntries(ids('s', scores.length).map((id) => [id, orNull({ type: 'number' })])),
      ),
    }),
    ...(checklist.length > 0 && {
      checklist: object(Object.fromEntries(ids('q', checklist.length).map((id) => [id, entry]))),
    }),
  })
}

const words = (most: number) => z.string().trim().max(most)
const list = z.array(words(500)).max(MOST_WORDS).nullish()

/** Of the same things, with the bounds that servers do not enforce. Whatever else was answered is left out. */
function reader({ checklist, scores, categories }: Config) {
  const entry = z.object({ answer: words(2000), evidence: words(2000).nullish() }).nullish()
  const allowed = z.string().refine((value) => categories.includes(value), 'not one of the categories')
  const rated = Object.fromEntries(
    scores.map(({ min, max }, n) => [`s${n + 1}`, z.number().min(min).max(max).nullish()]),
  )
  return z.object({
    title: words(300).min(1),
    summary: words(20_000).min(1),
    sentiment: z.enum(SENTIMENTS).nullish(),
    topics: list,
    actions: list,
    risks: list,
    sales_signals: list,
    categories: z.array(allowed).max(MOST_WORDS).nullish(),
    scores: z.object(rated).nullish(),
    checklist: z.object(Object.fromEntries(ids('q', checklist.length).map((id) => [id, entry]))).nullish(),
  })
}

/** The answer as an analysis, or where it is wrong: paths and what was expected there, without its values. */
export function readAnswer(value: unknown, config: Config): { analysis: Analysis } | { wrong: string } {
  const parsed = reader(config).safeParse(value)
  if (!parsed.success) {
    const places = parsed.error.issues.slice(0, 10)
    return {
      wrong: places.map(({ path, message }) => `${path.join('.') || 'answer'}: ${message}`).join('; '),
    }
  }
  const { data } = parsed
  const rated = config.scores.flatMap(({ name, min, max }, n) => {
    const value = data.scores?.[`s${n + 1}`]
    return value == null ? [] : [[name, { value, scale: { min, max } }] as const]
  })
  const answers = config.checklist.flatMap((question, n) => {
    const given = data.checklist?.[`q${n + 1}`]
    if (!given?.answer) return []
    return [{ question, answer: given.answer, ...(given.evidence ? { evidence: given.evidence } : {}) }]
  })
  const some = (found: string[] | null | undefined) => [...new Set(found?.filter((one) => one !== ''))]
  return {
    analysis: {
      title: data.title,
      summary: data.summary,
      ...(data.sentiment ? { sentiment: data.sentiment } : {}),
      topics: some(data.topics),
      actions: some(data.actions),
      risks: some(data.risks),
      salesSignals: some(data.sales_signals),
      ...(config.categories.length > 0 ? { categories: some(data.categories) } : {}),
      ...(rated.length > 0 ? { scores: Object.fromEntries(rated) } : {}),
      ...(answers.length > 0 ? { checklist: answers } : {}),
    },
  }
}
