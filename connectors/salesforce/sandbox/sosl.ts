import type { Row, Value } from './objects.ts'

/** As much of SOSL as the connector speaks: a search in the phone fields of three objects, read strictly. */

interface Returning {
  type: string
  fields: string[]
  isConverted: boolean | null
  limit: number
}
export interface Sosl {
  terms: Term[]
  returning: Returning[]
}
interface Term {
  words: string[]
  startsWild: boolean
}

const RESERVED = new Set('&|!(){}[]^"~*?:\\\'+-')

/** Null: not understood. */
export function parseSosl(sosl: string): Sosl | null {
  const found = /^FIND \{((?:[^{}\\]|\\.)*)\} IN PHONE FIELDS RETURNING (.+)$/s.exec(sosl)
  if (!found?.[1] || !found[2]) return null
  const terms = termsOf(found[1])
  const returning = [
    ...found[2].matchAll(/(\w+)\(([\w, ]+?)(?: WHERE IsConverted = (true|false))?(?: LIMIT (\d+))?\)/g),
  ]
  const rebuilt = returning.map(([whole]) => whole).join(', ')
  if (!terms || rebuilt !== found[2]) return null
  return {
    terms,
    returning: returning.map(([, type = '', fields = '', isConverted, limit]) => ({
      type,
      fields: fields.split(', '),
      isConverted: isConverted === undefined ? null : isConverted === 'true',
      limit: limit === undefined ? 2000 : Number(limit),
    })),
  }
}

function termsOf(text: string): Term[] | null {
  const terms: Term[] = []
  let rest = text
  for (;;) {
    const phrase = /^"((?:[^"\\]|\\.)+)"/s.exec(rest)
    const word = phrase ? null : /^(\*?)((?:[^\s"*\\]|\\.)+)/s.exec(rest)
    const content = phrase?.[1] ?? word?.[2]
    const plain = content === undefined ? null : unescaped(content)
    if (plain === null) return null
    terms.push({ words: wordsOf(plain), startsWild: word?.[1] === '*' })
    rest = rest.slice((phrase ?? word)?.[0].length ?? 0)
    if (rest === '') return terms
    if (!rest.startsWith(' OR ')) return null
    rest = rest.slice(4)
  }
}

/** Null when a sign of the language stands there without its backslash. */
function unescaped(text: string): string | null {
  let plain = ''
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? ''
    if (char === '\\') plain += text[++at] ?? ''
    else if (RESERVED.has(char)) return null
    else plain += char
  }
  return plain
}

const wordsOf = (text: string): string[] =>
  text
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter(Boolean)

const PHONES = [
  'Phone',
  'MobilePhone',
  'HomePhone',
  'OtherPhone',
  'PersonMobilePhone',
  'PersonHomePhone',
  'PersonOtherPhone',
]

/**
 * Whether the index leads from one of the terms to the row. A number is found by its words as they are written, and by its
 * bare digits, as the vendor's own sample searches; more of how it is divided is not documented.
 */
export function isFound(row: Row, terms: readonly Term[]): boolean {
  return PHONES.some((name) => terms.some((term) => fits(row[name] ?? null, term)))
}

function fits(held: Value, { words, startsWild }: Term): boolean {
  if (typeof held !== 'string' || held === '') return false
  const parts = wordsOf(held)
  const digits = held.replace(/\D/g, '')
  const [first = ''] = words
  if (words.length === 1) {
    return [...parts, digits].some((word) => word === first || (startsWild && word.endsWith(first)))
  }
  return parts.some((_, at) => words.every((word, index) => parts[at + index] === word))
}
