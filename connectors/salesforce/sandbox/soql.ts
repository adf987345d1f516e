import { type Column, type Objection, type Row, refuse, type Value } from './objects.ts'

/** As much of SOQL as the connector speaks, read strictly: what it does not know, the stand-in refuses. */

type Sign = '=' | '!=' | '>=' | '<'
interface Condition {
  field: string
  sign: Sign
  values: Value[]
  /** Others, of which one is enough. */
  or: Condition[]
}
export interface Soql {
  fields: string[]
  type: string
  where: Condition[]
  orderBy: string | null
  limit: number
}

const TOKEN = /\s*(?:'((?:[^'\\]|\\.)*)'|([A-Za-z_][\w.]*)|(\d{4}-\d\d-\d\dT[\d:.]+Z)|(\d+)|(!=|>=|[=<,()]))/y

type Token = { text: string } | { word: string } | { number: number } | { sign: string }

function tokens(soql: string): Token[] | null {
  const all: Token[] = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < soql.length) {
    const found = TOKEN.exec(soql)
    if (!found) return null
    const [, text, word, instant, number, sign] = found
    if (text !== undefined) all.push({ text: unescaped(text) })
    else if (word !== undefined) all.push({ word })
    else if (instant !== undefined) all.push({ text: instant })
    else if (number !== undefined) all.push({ number: Number(number) })
    else all.push({ sign: sign ?? '' })
  }
  return all
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' }
const unescaped = (text: string): string =>
  text.replace(/\\(.)/gs, (_, char: string) => ESCAPES[char] ?? char)

/** Null: not understood. */
export function parseSoql(soql: string): Soql | null {
  const all = tokens(soql)
  if (!all) return null
  let at = 0
  const isNext = (text: string): boolean => {
    const next = all[at]
    return (
      next !== undefined && (('word' in next && next.word === text) || ('sign' in next && next.sign === text))
    )
  }
  const take = (text: string): boolean => isNext(text) && at++ >= 0
  const word = (): string | null => {
    const next = all[at++]
    return next && 'word' in next ? next.word : null
  }
  const value = (): Value | undefined => {
    const next = all[at++]
    if (!next || 'sign' in next) return undefined
    if ('text' in next) return next.text
    if ('number' in next) return next.number
    const words: Record<string, Value> = { true: true, false: false, null: null }
    return words[next.word]
  }
  const list = <T>(one: () => T | null | undefined): NonNullable<T>[] | null => {
    const items: NonNullable<T>[] = []
    do {
      const item = one()
      if (item === null || item === undefined) return null
      items.push(item)
    } while (take(','))
    return items
  }

  const fields = take('SELECT') ? list(word) : null
  const type = fields && take('FROM') ? word() : null
  if (!fields || type === null) return null
  const condition = (): Condition | null => {
    if (take('(')) {
      const first = condition()
      while (first && take('OR')) {
        const other = condition()
        if (!other) return null
        first.or.push(other)
      }
      return take(')') ? first : null
    }
    const field = word()
    if (field === null) return null
    if (take('IN')) {
      const values = take('(') ? list(value) : null
      return values && take(')') ? { field, sign: '=', values, or: [] } : null
    }
    const sign = (['=', '!=', '>=', '<'] as const).find(take)
    const one = sign && value()
    return sign === undefined || one === undefined ? null : { field, sign, values: [one], or: [] }
  }
  const where: Condition[] = []
  if (take('WHERE')) {
    do {
      const one = condition()
      if (!one) return null
      where.push(one)
    } while (take('AND'))
  }
  let orderBy: string | null = null
  if (take('ORDER')) {
    if (!take('BY')) return null
    orderBy = word()
    if (orderBy === null || !take('ASC')) return null
  }
  let limit = 2000
  if (take('LIMIT')) {
    const most = value()
    if (typeof most !== 'number') return null
    limit = most
  }
  return at === all.length ? { fields, type, where, orderBy, limit } : null
}

/** What is wrong with the fields that a query names. */
export function objectionToQuery(
  { fields, type, where, orderBy }: Soql,
  columns: readonly Column[],
): Objection | null {
  const known = new Map(columns.map((one) => [one.name, one]))
  const unknown = [...fields, ...where.flatMap(fieldsIn), ...(orderBy ? [orderBy] : [])].find(
    (name) => !known.has(name),
  )
  if (unknown) return refuse('INVALID_FIELD', `No such column '${unknown}' on entity '${type}'`)
  const fixed = where.flatMap(fieldsIn).find((field) => !known.get(field)?.filterable)
  if (fixed) return refuse('INVALID_FIELD', `field '${fixed}' can not be filtered in a query call`)
  if (type === 'ContentDocumentLink' && !where.some(({ field }) => field === 'LinkedEntityId')) {
    return refuse('MALFORMED_QUERY', 'ContentDocumentLink requires a filter by a single LinkedEntityId')
  }
  return null
}

export function select({ where, orderBy, limit }: Soql, rows: Iterable<Row>): Row[] {
  const found = [...rows].filter((row) => where.every((condition) => holds(condition, row)))
  if (orderBy) {
    const key = (row: Row) => String(row[orderBy] ?? '')
    // Stable: of one instant, the order of creation.
    found.sort((a, b) => (key(a) < key(b) ? -1 : Number(key(a) > key(b))))
  }
  return found.slice(0, limit)
}

const fieldsIn = ({ field, or }: Condition): string[] => [field, ...or.flatMap(fieldsIn)]

function holds({ field, sign, values, or }: Condition, row: Row): boolean {
  const held = row[field] ?? null
  const isOne = values.some((value) => {
    if (sign === '=' || sign === '!=') return isSame(held, value, field) === (sign === '=')
    const [a, b] = [Date.parse(String(held)), Date.parse(String(value))]
    return sign === '<' ? a < b : a >= b
  })
  return isOne || or.some((other) => holds(other, row))
}

/** Texts are compared without case, ids of 15 and 18 characters as the same; a boolean that is not set is false. */
function isSame(held: Value, asked: Value, field: string): boolean {
  if (typeof asked === 'boolean') return (held ?? false) === asked
  if (typeof held !== 'string' || typeof asked !== 'string') return held === asked
  if (/Id$/.test(field) && /^\w{15,18}$/.test(asked)) return held.slice(0, 15) === asked.slice(0, 15)
  return held.toLowerCase() === asked.toLowerCase()
}

/** A row as an answer tells it: `ContentDocument.Title` stands in an object of its own. */
export function shown(
  row: Row,
  fields: readonly string[],
  type: string,
  path: string,
): Record<string, unknown> {
  const told: Record<string, unknown> = { attributes: { type, url: `${path}/sobjects/${type}/${row.Id}` } }
  for (const field of fields) {
    const [parent = '', child] = field.split('.')
    const value = row[field] ?? null
    if (child === undefined) told[field] = value
    else told[parent] = { ...(typeof told[parent] === 'object' ? told[parent] : {}), [child]: value }
  }
  return told
}
