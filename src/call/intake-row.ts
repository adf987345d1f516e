import { suggest } from '../config/suggest.ts'
import { type IntakeCall, intakeCall } from './intake.ts'

/**
 * A row of a CSV as a call that is handed in. The columns are those that an analysis service asks for in files of many
 * calls (docs/api.md says which one), so that one file does for both, and the fields of a call by their own names.
 */

interface Column {
  /** Where it stands in the call; null for the name of a file. */
  path: readonly string[] | null
  /** What the schema is given; null for what is none, and `expected` says so. */
  read?: (text: string) => unknown
  expected?: string
}

const at = (...path: string[]): Column => ({ path })
const number = (path: string, unit: number, expected: string): Column => ({
  path: [path],
  read: (text) => (/^\d{1,9}$/.test(text) ? Number(text) * unit : null),
  expected,
})
const milliseconds = (path: string) => number(path, 1, 'a whole number of milliseconds')
const time = (path: string): Column => ({
  path: [path],
  read: readTime,
  expected: 'an ISO 8601 time (UTC where it names no offset), or Unix seconds',
})
const SIDES: Readonly<Record<string, string>> = {
  operator: 'agent',
  agent: 'agent',
  client: 'customer',
  customer: 'customer',
}
const side = (name: 'left' | 'right'): Column => ({
  path: ['recording', 'tracks', name],
  read: (text) => SIDES[text.toLowerCase()] ?? null,
  expected: 'operator or client',
})

const COLUMNS: ReadonlyMap<string, Column> = new Map(
  Object.entries({
    audio_file_name: { path: null },
    client_phone_number: at('customer', 'phone'),
    operator_name: at('agent', 'name'),
    start_time: time('startedAt'),
    segment_type: at('segment'),
    right_channel: side('right'),
    left_channel: side('left'),
    partner_call_id: at('externalId'),
    direction: { ...at('direction'), read: (text) => text.toLowerCase() },
    operator_group_name: at('agent', 'group'),
    disconnect_reason: at('disconnectReason'),
    duration: number('talkMs', 1000, 'a whole number of seconds'),
    anonymized_text: at('transcript'),
    operator_id: at('agent', 'id'),
    group_name: at('agent', 'group'),
    recording_url: at('recordingUrl'),
    medium: at('medium'),
    result: at('result'),
    outcome: at('outcome'),
    answered_at: time('answeredAt'),
    ended_at: time('endedAt'),
    ring_ms: milliseconds('ringMs'),
    talk_ms: milliseconds('talkMs'),
    hold_ms: milliseconds('holdMs'),
    total_ms: milliseconds('totalMs'),
    from: at('from'),
    dialed: at('dialed'),
    client_id: at('customer', 'id'),
    client_name: at('customer', 'name'),
    client_email: at('customer', 'email'),
    operator_extension: at('agent', 'extension'),
    operator_email: at('agent', 'email'),
    reference: at('reference'),
    language: at('language'),
    tags: {
      path: ['tags'],
      read: (text) => text.split('|').map((tag) => tag.trim()),
      expected: 'tags with | between them',
    },
  } satisfies Record<string, Column>),
)

/** Every column there is, for people. `meta.…` beside them. */
export const COLUMN_NAMES: readonly string[] = [...COLUMNS.keys()]

const META = /^meta\.([\w.-]{1,64})$/
const MOST_COLUMNS = 200
const DELIMITERS = [',', ';', '\t'] as const

export interface Columns {
  delimiter: string
  /** Of each column in turn. */
  names: string[]
}

/** The columns that the first line names, or what is wrong with it. Spreadsheets put a semicolon or a tab where the comma is a decimal one. */
export function readColumns(line: string): Columns | { wrong: string; fix: string } {
  const known = (delimiter: string) => cut(line, delimiter).filter((name) => columnOf(name)).length
  const [delimiter] = [...DELIMITERS].sort((a, b) => known(b) - known(a)) as [string]
  const names = cut(line, delimiter)
  const fix = `Columns: ${COLUMN_NAMES.join(', ')}, meta.<name>`
  if (names.length > MOST_COLUMNS)
    return { wrong: `expected at most ${MOST_COLUMNS} columns, seen more`, fix }
  const strangers = names.filter((name) => !columnOf(name))
  if (strangers.length === names.length)
    return { wrong: 'expected a first line with the names of the columns, seen none that is known', fix }
  const [twice] = names.filter((name, n) => names.indexOf(name) !== n)
  if (twice !== undefined) return { wrong: `expected each column once, seen ${word(twice)} twice`, fix }
  if (strangers.length === 0) return { delimiter, names }
  const meant = strangers.map((name) => suggest(name, COLUMN_NAMES)).find((one) => one !== null)
  const seen = strangers.slice(0, 5).map(word).join(', ')
  return {
    wrong: `expected columns that are known, seen ${seen}`,
    fix: `${meant ? `Did you mean ${meant}? ` : ''}${fix}; what a call shall only carry along is meta.<name>`,
  }
}

const cut = (line: string, delimiter: string) =>
  line.split(delimiter).map((name) =>
    name
      .replace(/^\s*"(.*)"\s*$/s, '$1')
      .trim()
      .toLowerCase(),
  )

function columnOf(name: string): Column | undefined {
  const [, key] = META.exec(name) ?? []
  return key === undefined ? COLUMNS.get(name) : at('meta', key)
}

/** A name that came from outside, as it may be shown. */
const word = (name: string) =>
  name === '' ? 'one without a name' : `“${name.replaceAll(/[^\p{L}\p{N} ._-]/gu, '?').slice(0, 40)}”`

export interface IntakeRow {
  call: IntakeCall
  /** Of the archive; exactly as it stands there. */
  file: string | undefined
}

/**
 * The call that a row tells of, or what is wrong with it, by column and without the cells: those hold numbers and names.
 * Cells are text: what a spreadsheet would take for a formula is the same text as ever.
 */
export function readRow({ names }: Columns, cells: readonly string[]): IntakeRow | { wrong: string } {
  if (cells.length > names.length && cells.slice(names.length).some((cell) => cell.trim() !== ''))
    return { wrong: `expected ${names.length} cells, seen ${cells.length}` }
  const sent: Record<string, unknown> = {}
  const from = new Map<string, string>()
  const wrong: string[] = []
  let file: string | undefined
  for (const [n, name] of names.entries()) {
    const cell = cells[n] ?? ''
    const { path, read, expected } = columnOf(name) ?? { path: null }
    const text = cell.trim()
    if (text === '') continue
    if (path === null) {
      file = cell.normalize('NFC')
      continue
    }
    const value = read ? read(text) : text
    if (value === null) wrong.push(`${name}: expected ${expected}`)
    else if (place(sent, path, value)) from.set(path.join('.'), name)
  }
  if (wrong.length > 0) return { wrong: wrong.slice(0, 5).join('; ') }
  const call = intakeCall.safeParse(sent)
  if (!call.success) return { wrong: problems(call.error.issues, from).join('; ') }
  const { recordingUrl, transcript, result } = call.data
  if (file !== undefined && recordingUrl !== undefined)
    return { wrong: 'expected audio_file_name or recording_url, seen both' }
  if (file === undefined && recordingUrl === undefined && transcript === undefined && result === undefined)
    return { wrong: 'expected audio_file_name, recording_url, anonymized_text or result, seen none' }
  return { call: call.data, file }
}

/** Of two columns for the same, the first that says something counts. */
function place(sent: Record<string, unknown>, path: readonly string[], value: unknown): boolean {
  let node = sent
  for (const key of path.slice(0, -1)) {
    if (!Object.hasOwn(node, key)) define(node, key, {})
    node = node[key] as Record<string, unknown>
  }
  const last = path.at(-1) ?? ''
  if (Object.hasOwn(node, last)) return false
  define(node, last, value)
  return true
}

/** Never by assignment: `meta.__proto__` is a name like any other. */
const define = (node: Record<string, unknown>, key: string, value: unknown) =>
  Object.defineProperty(node, key, { value, enumerable: true, configurable: true, writable: true })

function problems(
  issues: readonly { path: PropertyKey[]; message: string }[],
  from: ReadonlyMap<string, string>,
): string[] {
  const lines = issues.map(({ path, message }) => {
    const parts = path.map(String)
    const named = parts
      .map((_, n) => from.get(parts.slice(0, n + 1).join('.')))
      .find((name) => name !== undefined)
    const own = named === undefined ? undefined : columnOf(named)?.expected
    const said = message.replace(/^[A-Z][\w ]*: (?:expected )?/, '').replace(/, received .*$/s, '')
    return `${named ?? 'row'}: expected ${own ?? said}`
  })
  return [...new Set(lines)].slice(0, 5)
}

const WALL = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(:\d\d(?:\.\d{1,9})?)?\s?([Zz]|[+-]\d\d:?\d\d)?$/

function readTime(text: string): string | null {
  if (/^\d{9,10}$/.test(text)) return new Date(Number(text) * 1000).toISOString()
  const [, day, minutes, seconds = ':00', zone = 'Z'] = WALL.exec(text) ?? []
  if (day === undefined) return null
  const offset = zone.toUpperCase()
  return `${day}T${minutes}${seconds}${offset.length === 5 ? `${offset.slice(0, 3)}:${offset.slice(3)}` : offset}`
}
