import type { components, paths } from '../../openapi/generated/transcripto.d.ts'
import type { Analysis, Transcript } from '../../src/call/analysis.ts'
import type { Call } from '../../src/call/call.ts'
import { formatTranscript, parseTranscript } from '../../src/call/roles.ts'
import type { ErrorCode } from '../../src/errors.ts'
import type { Answer, CallAnalysis, Config, Task, TaskSummary } from './schema.ts'

export type Endpoint = keyof paths
export type CallFields = components['schemas']['CallFields']
export type TaskFilter = components['schemas']['TaskFilter']
type Chat = components['schemas']['Chat']
type Score = NonNullable<Analysis['scores']>[string]

const DAY_MS = 86_400_000

/** What a task is told of the call, with the file or with the link. */
export function toFields(call: Call, config: Config): CallFields {
  const operator = call.agent?.name ?? call.agent?.extension
  const client = call.customer?.id ?? call.customer?.phone ?? undefined
  const at = call.startedAt === undefined ? undefined : withOffset(call.startedAt)
  const isSent = (field: Config['sendFields'][number]) => config.sendFields.includes(field)
  return {
    ...(operator !== undefined && isSent('operator_name') ? { operator_name: operator } : {}),
    ...(client !== undefined && isSent('client_id') ? { client_id: client } : {}),
    // The documents show no value for internal calls.
    ...(call.direction && call.direction !== 'internal' && isSent('call_type')
      ? { call_type: call.direction }
      : {}),
    ...(at !== undefined && isSent('call_datetime') ? { call_datetime: at } : {}),
    ...(config.directoryId === undefined ? {} : { directory_id: config.directoryId }),
    processing_type: config.processingType,
  }
}

/**
 * A conversation in writing. `text` alone: what an element of `chunks` is, is not documented. The words for the speakers
 * are those that the vendor's own transcripts begin with.
 */
export function toChat(call: Call, text: Transcript, config: Config): Chat {
  const { operator_name } = toFields(call, config)
  const isDated = config.sendFields.includes('call_datetime') && call.startedAt !== undefined
  return {
    text: formatTranscript(text.turns, {
      agent: 'Operator',
      customer: 'Client',
      other: 'Speaker',
    }).replaceAll(/^<(\w+)>/gm, '$1:'),
    chunks: null,
    ...(operator_name === undefined ? {} : { operator_name }),
    ...(isDated ? { call_date: new Date(call.startedAt ?? 0).toISOString().slice(0, 10) } : {}),
  }
}

/** Chats have no file name: the same text on the same day by the same operator is the same chat. */
export function isSameChat(task: TaskSummary, chat: Chat): boolean {
  return (
    (chat.call_date === undefined || !task.call_date || task.call_date === chat.call_date) &&
    (chat.operator_name === undefined || !task.operator_name || task.operator_name === chat.operator_name)
  )
}

export const isSameText = (one: string | null | undefined, other: string | null | undefined): boolean =>
  Boolean(one) && one?.replaceAll(/\s+/g, ' ').trim() === other?.replaceAll(/\s+/g, ' ').trim()

/**
 * The filter that an earlier task of this call must pass. Whole days around the call, because whether a bare date is
 * inclusive is not documented; the operator's name is matched as an SQL pattern, so one with `%` or `_` is not asked for.
 */
export function toFilter(fields: CallFields, taskType: 'call' | 'audio' = 'call'): TaskFilter {
  // An audio task is told nothing of the call, and the filter's dates are those of a call.
  if (taskType === 'audio') return { task_type: 'audio' }
  const at = fields.call_datetime === undefined ? Number.NaN : Date.parse(fields.call_datetime)
  const day = (ms: number) => new Date(ms).toISOString().slice(0, 10)
  const operator = fields.operator_name
  return {
    task_type: 'call',
    ...(Number.isNaN(at) ? {} : { date_from: day(at - DAY_MS), date_to: day(at + DAY_MS) }),
    ...(operator !== undefined && !/[%_\\]/.test(operator) ? { operator_name: operator } : {}),
  }
}

/**
 * Is this our task? An uploaded file keeps its unique name. What a task made from a link is called is not documented:
 * its own name and time together must fit then.
 */
export function isSameTask(task: TaskSummary, fileName: string, url: string | null, fields: CallFields) {
  if (!task.file_name) return false
  if (task.file_name === fileName) return true
  if (url === null || fields.call_datetime === undefined || !task.call_time) return false
  const name = new URL(url).pathname.split('/').at(-1)
  return name === task.file_name && Date.parse(task.call_time) === Date.parse(fields.call_datetime)
}

/** The transcript part, or null when the task has no text (yet). */
export function toTranscript(task: Task, raw: unknown): Analysis | null {
  const text = task.task_result?.original_text
  return text ? { transcript: { turns: parseTranscript(text).slice(0, 20_000) }, raw } : null
}

/** What else the task's mode has made of the recording. */
export function madeTexts({ task_result: made }: Task): Record<string, string> {
  const { normalized_text, blog_post, image_prompt } = made ?? {}
  return wordsOf({ normalized_text, blog_post, image_prompt })
}

export interface Besides {
  /** What /checklist/answer said, when it was asked. */
  answers?: readonly Answer[]
  /** Names of the categories that the analysis has as numbers. */
  categories?: ReadonlyMap<number, string>
  /** Of the task: more notes. */
  texts?: Readonly<Record<string, string>>
}

/** The analysis part. */
export function toAnalysis(reply: CallAnalysis, raw: unknown, besides: Besides = {}): Analysis {
  const { answers = [], categories = new Map(), texts = {} } = besides
  const said = reply.analysis
  const { risk_signals, sales_signals, ...otherNotes } = said?.analysis_notes ?? {}
  const notes: Record<string, unknown> = { ...otherNotes, ...texts }
  const ids = idsOf(reply)
  const named = ids.flatMap((id) => categories.get(id) ?? [])
  const unnamed = ids.filter((id) => !categories.has(id))
  if (unnamed.length > 0) notes.category_ids = unnamed.join(', ')
  const checklist = [...answersOf(reply), ...answers].slice(0, 1000)
  const language = reply.transcript?.language
  return {
    ...(language ? { language: language.slice(0, 35) } : {}),
    ...(said?.summary ? { summary: said.summary.slice(0, 100_000) } : {}),
    ...(isSentiment(said?.sentiment) ? { sentiment: said.sentiment } : {}),
    ...filled('scores', scoresOf(reply)),
    ...(checklist.length > 0 ? { checklist: checklist.map(toItem) } : {}),
    ...list('topics', [...new Set([...(said?.tags ?? []), ...named])]),
    ...list('categories', named),
    ...list('actions', said?.actions ?? []),
    ...list('risks', signals(risk_signals)),
    ...list('salesSignals', signals(sales_signals)),
    ...filled('notes', wordsOf(notes)),
    raw,
  }
}

export function idsOf(reply: CallAnalysis): number[] {
  return (reply.category_ids ?? []).filter((id) => typeof id === 'number')
}

/** The sample nests answers in checklists; elsewhere a checklist is one question with its answer. */
export function answersOf(reply: CallAnalysis): Answer[] {
  return (reply.call_checklists ?? []).flatMap((item) => {
    return item.answers ?? (item.answer === undefined && item.value === undefined ? [] : [item])
  })
}

function toItem(answer: Answer): NonNullable<Analysis['checklist']>[number] {
  const question = answer.question ?? answer.title ?? answer.question_id ?? answer.checklist_id ?? ''
  return {
    question: String(question).slice(0, 2000),
    answer: inWords(answer.answer ?? answer.value).slice(0, 5000),
  }
}

/** Only the scale of csat is documented (0 to 10, by the filter); politeness 0.95 in one place is 1 to 5 in another. */
function scoresOf(reply: CallAnalysis): Record<string, Score> {
  const scores: Record<string, Score> = {}
  const csat = reply.customer_satisfaction_score
  if (typeof csat === 'number') scores.csat = { value: csat }
  for (const [name, value] of Object.entries(reply.analysis?.scores ?? {})) {
    if (typeof value === 'number') scores[name.slice(0, 128)] = { value }
  }
  if (scores.csat) scores.csat.scale = { min: 0, max: 10 }
  for (const { title, checklist_id, score } of reply.call_checklists ?? []) {
    if (score != null) scores[`checklist ${title ?? checklist_id ?? ''}`.slice(0, 128)] = { value: score }
  }
  return scores
}

/** The sample says "none" for no signal. */
function signals(value: unknown): unknown[] {
  return (Array.isArray(value) ? value : [value]).filter((one) => one != null && inWords(one) !== 'none')
}

function wordsOf(notes: Record<string, unknown>): Record<string, string> {
  const said = Object.entries(notes).filter(([, value]) => value != null && value !== '')
  return Object.fromEntries(
    said.map(([name, value]) => [name.slice(0, 128), inWords(value).slice(0, 5000)] as const),
  )
}

function list<Name extends string>(name: Name, values: readonly unknown[]): { [key in Name]?: string[] } {
  const words = values.map((value) => inWords(value).slice(0, 1000)).filter((word) => word !== '')
  return filled(name, words.slice(0, 500))
}

function filled<Name extends string, Value extends object>(name: Name, value: Value) {
  return (Object.keys(value).length > 0 ? { [name]: value } : {}) as { [key in Name]?: Value }
}

function inWords(value: unknown): string {
  if (typeof value === 'string') return value.trim()
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  return JSON.stringify(value) ?? ''
}

function isSentiment(value: unknown): value is 'positive' | 'neutral' | 'negative' {
  return value === 'positive' || value === 'neutral' || value === 'negative'
}

/** "2025-10-20T10:00:00+03:00" in the samples: no fraction, and an offset instead of Z. */
function withOffset(instant: string): string {
  return `${new Date(instant).toISOString().slice(0, 19)}+00:00`
}

/**
 * What an error_code means where nothing else is said of it. Whatever is not here is `rejected`
 * (https://docs.transcripto.eu, read 2026-11-20).
 */
const CODES: Record<number, ErrorCode> = {
  4012: 'auth',
  4021: 'not_found',
  4023: 'auth',
  4033: 'not_found',
  4034: 'quota',
  4041: 'not_found',
  4044: 'quota',
  4050: 'quota',
  4053: 'not_found',
  4054: 'duplicate',
  4056: 'forbidden',
  4057: 'not_found',
  4059: 'not_found',
  4066: 'not_found',
  4070: 'vendor_down',
  4602: 'quota',
  5000: 'vendor_down',
  5001: 'vendor_down',
  5002: 'vendor_down',
  5003: 'vendor_down',
}

/** Codes are overloaded: the same number stands for other things at these endpoints. */
const CODES_OF: Partial<Record<Endpoint, Record<number, ErrorCode>>> = {
  '/addtaskcall': { 4091: 'duplicate' },
  // "User validation errors": at the login they are about who logs in.
  '/auth/login': {
    ...Object.fromEntries(Array.from({ length: 8 }, (_, i) => [4030 + i, 'auth' as const])),
  },
  '/get_file': { 4046: 'not_found', 4056: 'rejected' },
  '/user/callreport/file': { 4043: 'not_found', 4044: 'not_found' },
}

export function codeOf(endpoint: Endpoint, code: number): ErrorCode {
  return CODES_OF[endpoint]?.[code] ?? CODES[code] ?? 'rejected'
}
