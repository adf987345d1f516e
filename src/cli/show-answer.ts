import { asObject } from '../connector/json.ts'
import type { Io } from './io.ts'
import { table } from './table.ts'

/** What a vendor answered, for people: lists as tables, the rest as names and values. */
export function showAnswer(answer: unknown, io: Io): void {
  const lines = answer === undefined || answer === null ? ['done'] : linesOf(answer, io)
  for (const line of lines) io.out(line)
}

const MOST_CELL = 60

function linesOf(answer: unknown, io: Io): string[] {
  if (Array.isArray(answer)) return listed(answer, io)
  const object = asObject(answer)
  if (!object) return [plain(inWords(answer))]
  const { values, lists } = split(object)
  const width = Math.max(0, ...values.map(([name]) => name.length))
  return [
    ...values.map(([name, value]) => `${plain(name).padEnd(width)}  ${plain(inWords(value))}`.trimEnd()),
    ...lists.flatMap(([name, rows]) => ['', io.paint('bold', plain(name)), ...listed(rows, io)]),
  ]
}

/** Values by their path, and the lists of objects that are shown as tables below them. */
function split(
  object: Record<string, unknown>,
  prefix = '',
): { values: Named[]; lists: [string, unknown[]][] } {
  const values: Named[] = []
  const lists: [string, unknown[]][] = []
  for (const [key, value] of Object.entries(object)) {
    const name = `${prefix}${key}`
    const inner = Array.isArray(value) ? null : asObject(value)
    if (Array.isArray(value) && value.some((one) => asObject(one))) lists.push([name, value])
    else if (inner && Object.keys(inner).length > 0) {
      const below = split(inner, `${name}.`)
      values.push(...below.values)
      lists.push(...below.lists)
    } else values.push([name, value])
  }
  return { values, lists }
}
type Named = [name: string, value: unknown]

function listed(rows: readonly unknown[], io: Io): string[] {
  if (rows.length === 0) return ['none']
  if (!rows.some((row) => asObject(row))) return rows.map((row) => plain(inWords(row)))
  const flat = rows.map((row) => {
    const object = asObject(row)
    return new Map<string, unknown>(object ? split(object).values.concat(split(object).lists) : [['', row]])
  })
  const names = [...new Set(flat.flatMap((row) => [...row.keys()]))]
  const cells = flat.map((row) => names.map((name) => cut(plain(inWords(row.get(name))))))
  const [head = '', ...lines] = table([names.map(plain), ...cells])
  return [io.paint('bold', head), ...lines]
}

function inWords(value: unknown): string {
  if (value === undefined || value === null) return ''
  if (typeof value === 'string') return value
  if (Array.isArray(value) && value.every((one) => typeof one !== 'object')) return value.join(', ')
  return JSON.stringify(value)
}

const cut = (text: string): string => {
  const line = text.replaceAll(/\s+/g, ' ')
  return line.length > MOST_CELL ? `${line.slice(0, MOST_CELL - 1)}…` : line
}

/** Without what a terminal would obey. */
const plain = (text: string): string => text.replaceAll(/(?!\n)[\p{Cc}\p{Bidi_Control}]/gu, ' ')
