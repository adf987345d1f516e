import { z } from 'zod'

/** What is derived from a call. A part that a backend does not give is absent, never invented. */

export const turn = z.object({
  party: z.enum(['agent', 'customer', 'other']),
  label: z.string().max(128).optional().describe('the service’s own label when the party is not known'),
  text: z.string(),
  startMs: z.int().nonnegative().optional(),
  endMs: z.int().nonnegative().optional(),
})

export const transcript = z.object({ turns: z.array(turn).max(20_000) })

export const score = z.object({
  value: z.number(),
  scale: z
    .object({ min: z.number(), max: z.number() })
    .optional()
    .describe('absent when the service does not document it'),
})

export const checklistItem = z.object({
  question: z.string().max(2000),
  answer: z.string().max(5000),
  score: z.number().optional(),
  evidence: z.string().max(5000).optional(),
})

const words = z.array(z.string().max(1000)).max(500)

export const analysis = z.object({
  language: z.string().max(35).optional(),
  transcript: transcript.optional(),
  title: z.string().max(1000).optional(),
  summary: z.string().max(100_000).optional(),
  sentiment: z.enum(['positive', 'neutral', 'negative', 'mixed']).optional(),
  scores: z.record(z.string().max(128), score).optional(),
  checklist: z.array(checklistItem).max(1000).optional(),
  topics: words.optional(),
  categories: words.optional(),
  actions: words.optional().describe('things somebody promised to do'),
  risks: words.optional(),
  salesSignals: words.optional(),
  notes: z.record(z.string().max(128), z.string().max(5000)).optional(),
  link: z.url().max(4096).optional().describe('the call in the service’s own application'),
  raw: z.unknown().optional().describe('as received'),
})

/** A result arrives in up to two parts, in either order, each by webhook or by polling. */
export const PARTS = ['transcript', 'analysis'] as const
export type Part = (typeof PARTS)[number]

export type Turn = z.infer<typeof turn>
export type Transcript = z.infer<typeof transcript>
export type Analysis = z.infer<typeof analysis>

/**
 * The whole analysis of a call from its parts: the analysis part's own fields win, the transcript part fills gaps.
 * Pure; the order of arrival does not matter.
 */
export function joinParts(parts: Partial<Record<Part, Analysis>>): Analysis {
  const joined: Analysis = { ...parts.transcript, ...parts.analysis }
  if (parts.transcript?.transcript) joined.transcript = parts.transcript.transcript
  const raw = { transcript: parts.transcript?.raw, analysis: parts.analysis?.raw }
  if (raw.transcript !== undefined && raw.analysis !== undefined) joined.raw = raw
  return joined
}
