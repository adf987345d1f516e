import type { components } from '../../openapi/generated/cyberdev.d.ts'
import type { Analysis, Transcript } from '../../src/call/analysis.ts'
import type { Agent, Call, Recording } from '../../src/call/call.ts'
import { formatTranscript, parseTranscript } from '../../src/call/roles.ts'
import type { SubmitRequest } from '../../src/connector/contract.ts'
import { csvLine } from '../../src/connector/csv.ts'
import { asObject } from '../../src/connector/json.ts'
import { CordboardError, type ErrorCode } from '../../src/errors.ts'
import type { CallItem, Config, ResultPaths } from './schema.ts'

type Schemas = components['schemas']
type Metadata = Schemas['Metadata']
type TranscriptionRow = Schemas['TranscriptionRow']

const METADATA_COLUMNS = [
  'audio_file_name',
  'client_phone_number',
  'operator_name',
  'start_time',
  'segment_type',
  'right_channel',
  'left_channel',
  'partner_call_id',
  'direction',
  'operator_group_name',
  'disconnect_reason',
] as const satisfies readonly (keyof Metadata)[]

const TRANSCRIPTION_COLUMNS = [
  'client_phone_number',
  'operator_name',
  'duration',
  'anonymized_text',
  'start_time',
  'segment_type',
  'partner_call_id',
  'operator_id',
  'direction',
  'group_name',
  'operator_group_name',
  'disconnect_reason',
] as const satisfies readonly (keyof TranscriptionRow)[]

/** What is told of a recording. Throws `rejected` for what the vendor would refuse. */
export function toMetadata(request: SubmitRequest, config: Config): Metadata {
  const { call, audio, name } = request
  if (!audio) throw unfit('It has no recording')
  const { left, right } = sides(audio.recording, config)
  const group = operatorOf(call, config).group
  return {
    audio_file_name: audio.fileName,
    ...common(call, name, config),
    right_channel: right,
    left_channel: left,
    ...(group === undefined ? {} : { operator_group_name: group }),
  }
}

/** A transcript as a row. Throws `rejected` for what the vendor would refuse. */
export function toTranscription(request: SubmitRequest, config: Config): TranscriptionRow {
  const { call, text, name } = request
  if (!text) throw unfit('It has no transcript')
  const { id, group } = operatorOf(call, config)
  return {
    ...common(call, name, config),
    duration: seconds(call, text),
    anonymized_text: taggedText(text, config),
    ...(id === undefined ? {} : { operator_id: id }),
    ...(group === undefined ? {} : { [config.groupColumn]: group }),
  }
}

/** metadata.csv */
export const metadataCsv = (rows: readonly Metadata[]): string => csv(METADATA_COLUMNS, rows)

/** transcriptions.csv */
export const transcriptionsCsv = (rows: readonly TranscriptionRow[]): string =>
  csv(TRANSCRIPTION_COLUMNS, rows)

function csv<Column extends string>(
  columns: readonly Column[],
  rows: readonly Partial<Record<Column, string | number>>[],
): string {
  const lines = rows.map((row) => csvLine(columns.map((column) => String(row[column] ?? ''))))
  return [csvLine(columns), ...lines].join('')
}

function common(call: Call, partner_call_id: string, config: Config) {
  const phone = call.customer?.phone ?? config.withheldPhone
  if (phone === undefined) {
    throw unfit('The customer’s number is not known', 'Set withheldPhone for calls of such callers')
  }
  const operator_name = operatorOf(call, config).name
  if (operator_name === undefined) {
    throw unfit('The agent is not known', 'Set operatorName for calls without an agent')
  }
  const at = call.startedAt ?? call.answeredAt ?? call.endedAt
  if (at === undefined) throw unfit('The time of the call is not known')
  const { direction } = call
  return {
    client_phone_number: phone,
    operator_name,
    // All times are read as UTC; whether an offset is understood is not documented.
    start_time: new Date(at).toISOString().slice(0, 19),
    segment_type: (call.segment && own(config.segments, call.segment)) ?? config.segmentType,
    partner_call_id,
    ...(direction === 'inbound' || direction === 'outbound' ? { direction } : {}),
    ...(call.disconnectReason ? { disconnect_reason: call.disconnectReason } : {}),
  } satisfies Partial<Metadata>
}

function operatorOf({ agent = {} }: Call, config: Config): { name?: string; id?: string; group?: string } {
  const said = keysOf(agent).map((key) => own(config.operators, key))
  const found = said.find((one) => one !== undefined) ?? {}
  const name = found.name ?? agent.name ?? agent.extension ?? agent.id ?? config.operatorName
  const id = found.id ?? agent.id ?? agent.extension
  const group = found.group ?? agent.group
  return {
    ...(name ? { name } : {}),
    ...(id ? { id } : {}),
    ...(group ? { group } : {}),
  }
}

const keysOf = ({ extension, id, email }: Agent): string[] =>
  [extension, id, email].filter((key) => key !== undefined)

const own = <Value>(record: Record<string, Value>, key: string): Value | undefined =>
  Object.hasOwn(record, key) ? record[key] : undefined

const ROLES = { agent: 'operator', customer: 'client' } as const
const OTHER = { agent: 'customer', customer: 'agent' } as const

/** Who is on which track, as the phone system says, else as the connection does. Two parties have two tracks. */
function sides({ tracks }: Recording, config: Config): Record<'left' | 'right', Schemas['Side']> {
  const told = { left: oneParty(tracks?.left), right: oneParty(tracks?.right) }
  const left = told.left ?? (told.right && OTHER[told.right]) ?? config.tracks?.left
  const right = told.right ?? (told.left && OTHER[told.left]) ?? config.tracks?.right
  if (left && right) return { left: ROLES[left], right: ROLES[right] }
  const fix = 'Set tracks for the phone system’s connection, or for this one: listen to a recording first'
  throw unfit('It is not known who is on which track', fix)
}

function oneParty(party: 'agent' | 'customer' | 'both' | undefined): 'agent' | 'customer' | undefined {
  return party === 'both' ? undefined : party
}

function seconds(call: Call, text: Transcript): number {
  const ms = call.talkMs ?? call.totalMs ?? text.turns.at(-1)?.endMs
  if (ms !== undefined) return Math.round(ms / 1000)
  const from = call.answeredAt ?? call.startedAt
  if (from === undefined || call.endedAt === undefined) throw unfit('The length of the call is not known')
  return Math.max(0, Math.round((Date.parse(call.endedAt) - Date.parse(from)) / 1000))
}

/** Line breaks within a cell are not documented: the tags alone separate the utterances. */
function taggedText({ turns }: Transcript, { agentTag, customerTag }: Config): string {
  if (turns.some(({ party, text }) => party === 'other' && text.trim() !== '')) {
    throw unfit('It is not known who said some of it', 'Both parties must be known in the transcript')
  }
  // Angle brackets in what was said could be taken for tags.
  const plain = turns.map((turn) => ({ ...turn, text: turn.text.replaceAll(/[<>]/g, ' ') }))
  const text = formatTranscript(plain, { agent: agentTag, customer: customerTag }).replaceAll('\n', ' ')
  if (text === '') throw unfit('Its transcript is empty')
  return text
}

const unfit = (why: string, fix?: string) =>
  new CordboardError('rejected', `CyberDev cannot take this call: ${why}`, fix === undefined ? {} : { fix })

// ── Results ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const MOST_LEAVES = 10_000

/** Whether a field of the call, whichever it is, holds this text: which one shows partner_call_id is not documented. */
export const carries = (item: CallItem, text: string): boolean => holds(item, (value) => value === text)

/** Whether a field holds an id of our making, if not this one. */
export function carriesLike(item: CallItem, id: string): boolean {
  const ours = /^[a-z]+_(?=[0-9A-Z]+$)/.exec(id)?.[0]
  if (ours === undefined) return false
  return holds(
    item,
    (value) =>
      typeof value === 'string' &&
      value.length === id.length &&
      value.startsWith(ours) &&
      /^[0-9A-Z]+$/.test(value.slice(ours.length)),
  )
}

function holds(item: CallItem, isIt: (value: unknown) => boolean): boolean {
  const left: unknown[] = [item]
  for (let seen = 0; left.length > 0 && seen < MOST_LEAVES; seen += 1) {
    const value = left.pop()
    if (isIt(value)) return true
    if (typeof value === 'object' && value !== null) left.push(...Object.values(value).slice(0, MOST_LEAVES))
  }
  return false
}

/** The value at a path; undefined when there is none. */
export function at(item: unknown, path: string | undefined): unknown {
  if (path === undefined) return undefined
  return path.split('.').reduce<unknown>((value, key) => {
    const isThere = typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    return isThere ? (value as Record<string, unknown>)[key] : undefined
  }, item)
}

/** What stands at the configured paths. A field of an unexpected form is left out: nothing of it is documented. */
export function toAnalysis(item: CallItem, paths: ResultPaths): Analysis {
  const text = (path: string | undefined, most: number) => words(at(item, path)).slice(0, most)
  const turns = parseTranscript(text(paths.transcript, 5_000_000)).slice(0, 20_000)
  const sentiment = text(paths.sentiment, 64).toLowerCase()
  const link = URL.parse(text(paths.link, 4096))
  const notes = Object.entries(asObject(at(item, paths.notes)) ?? {}).slice(0, 500)
  const scores = Object.entries(asObject(at(item, paths.scores)) ?? {}).flatMap(([name, value]) =>
    typeof value === 'number' && Number.isFinite(value) ? [[name.slice(0, 128), { value }] as const] : [],
  )
  return filled({
    transcript: turns.length > 0 ? { turns } : undefined,
    title: text(paths.title, 1000),
    summary: text(paths.summary, 100_000),
    language: text(paths.language, 35),
    sentiment: isSentiment(sentiment) ? sentiment : undefined,
    scores: Object.fromEntries(scores.slice(0, 500)),
    topics: list(at(item, paths.topics)),
    actions: list(at(item, paths.actions)),
    notes: Object.fromEntries(
      notes.map(([name, value]) => [name.slice(0, 128), words(value).slice(0, 5000)]),
    ),
    link: link?.protocol === 'https:' || link?.protocol === 'http:' ? link.href : undefined,
    raw: item,
  })
}

function filled(analysis: { [Field in keyof Analysis]: Analysis[Field] | undefined }): Analysis {
  const there = Object.entries(analysis).filter(([, value]) =>
    typeof value === 'object' && value !== null
      ? Object.keys(value).length > 0
      : value !== undefined && value !== '',
  )
  return Object.fromEntries(there) as Analysis
}

const isSentiment = (text: string) =>
  text === 'positive' || text === 'neutral' || text === 'negative' || text === 'mixed'

const list = (value: unknown): string[] =>
  (Array.isArray(value) ? value : [])
    .slice(0, 500)
    .map((one) => words(one).slice(0, 1000))
    .filter((one) => one !== '')

function words(value: unknown): string {
  if (typeof value === 'string') return value.trim()
  return value === undefined || value === null ? '' : JSON.stringify(value)
}

// ── Errors ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * What an error's code means (https://docs.cyberdev.app/api-reference/errors, read 2026-11-20). `rejected` is about one
 * row or file; what is wrong with the file as a whole is our own mistake, which halving would not find.
 */
const CODES: Record<string, ErrorCode> = {
  AUTH_MISSING_TOKEN: 'auth',
  AUTH_INVALID_TOKEN: 'auth',
  AUTH_UNAUTHORIZED: 'forbidden',
  VALIDATION_ERROR: 'rejected',
  INVALID_FILE_FORMAT: 'rejected',
  FILE_TOO_LARGE: 'rejected',
  INVALID_PHONE_NUMBER: 'rejected',
  AUDIO_FILENAME_MISMATCH: 'rejected',
  FILE_NOT_FOUND: 'gone',
  EMPTY_CELL: 'rejected',
  INVALID_DATETIME: 'rejected',
  INVALID_ANONYMIZED_TEXT: 'rejected',
  METADATA_EMPTY: 'invalid_payload',
  MISSING_COLUMNS: 'invalid_payload',
  INVALID_ARCHIVE_FORMAT: 'invalid_payload',
}

export const codeOf = (code: string): ErrorCode | undefined => own(CODES, code)
