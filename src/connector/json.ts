import { CordboardError } from '../errors.ts'

const MAX_BYTES = 8 * 1024 * 1024
const MAX_DEPTH = 64
/** Values of one document. A three-hour transcript with a time for every word has about 150,000. */
const MAX_VALUES = 500_000

/**
 * Different names of fields in one document. The engine keeps a shape for each, so that half a million of them in 4 MB held
 * the process up for seconds, before anybody knew who had sent it. Vendors' documents have some hundred.
 */
const MAX_NAMES = 20_000

/** Keys that reach an object's prototype when code copies them. No vendor has a field of these names. */
const UNSAFE_KEYS = ['__proto__', 'constructor', 'prototype']
/** The longest of them with each letter written as an escape. */
const LONGEST_UNSAFE = 6 * 'constructor'.length
/** Whole numbers from this length on may be ones that no double holds. */
const MAY_BE_INEXACT = 16
const WHOLE = /^-?(?:0|[1-9]\d*)$/

/**
 * JSON that a stranger sent: bounded in size, depth, count and names before the parser sees it (one pass), and without
 * keys that reach prototypes. A whole number that a double would round (beyond 2^53) comes as the text of its digits: it
 * is an id. Throws `invalid_payload`.
 */
export function parseJson(body: Uint8Array, mostBytes = MAX_BYTES): unknown {
  if (body.length > mostBytes) throw unfit(`The JSON body has ${body.length} bytes, ${mostBytes} are read`)
  const text = new TextDecoder().decode(body)
  const { ids, isUnsafe } = look(text)
  let value: unknown
  try {
    value = JSON.parse(ids.length === 0 ? text : quoted(text, ids))
  } catch (cause) {
    // The parser's own message quotes the body.
    throw new CordboardError('invalid_payload', 'The body is no valid JSON', { cause })
  }
  if (isUnsafe) dropUnsafeKeys(value)
  return value
}

/** Whether two documents say the same: the order of keys does not count. Depth is bounded by the parser. */
export function isSameJson(one: unknown, other: unknown): boolean {
  if (Array.isArray(one) && Array.isArray(other))
    return one.length === other.length && one.every((item, index) => isSameJson(item, other[index]))
  const [a, b] = [asObject(one), asObject(other)]
  if (!a || !b) return Object.is(one, other)
  const keys = Object.keys(a)
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && isSameJson(a[key], b[key]))
  )
}

/** The value as an object with fields, or null. */
export function asObject(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null
}

/** The same with every text in it changed; names of members stay. */
export function mapTexts(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value)
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, change))
  const object = asObject(value)
  if (!object) return value
  return Object.fromEntries(Object.entries(object).map(([name, item]) => [name, mapTexts(item, change)]))
}

const QUOTE = 0x22
const COMMA = 0x2c
const MINUS = 0x2d
const COLON = 0x3a
const BACKSLASH = 0x5c

/**
 * One pass over the text. Throws beyond the bounds; finds the whole numbers that no double holds (begin and end, one after
 * the other), and whether a key is an unsafe one. What is no JSON is left for the parser to say.
 */
function look(text: string): { ids: number[]; isUnsafe: boolean } {
  const names = new Set<string>()
  const ids: number[] = []
  let isUnsafe = false
  let depth = 0
  let values = 0
  /** The last character that counts. */
  let before = 0
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (isSpace(char)) continue
    if (char === QUOTE) {
      const start = at + 1
      at = endOfString(text, start)
      if (text.charCodeAt(behindSpace(text, at + 1)) === COLON) {
        const name = text.slice(start, at)
        if (names.size <= MAX_NAMES) names.add(name)
        isUnsafe ||= isUnsafeKey(name)
      }
    } else if (char === 0x7b || char === 0x5b) {
      values++
      if (++depth > MAX_DEPTH) throw unfit(`The JSON is nested deeper than ${MAX_DEPTH} levels`)
    } else if (char === 0x7d || char === 0x5d) {
      depth--
    } else if (char === COMMA) {
      values++
    } else if (char === MINUS || isDigit(char)) {
      const start = at
      while (at + 1 < text.length && isOfNumber(text.charCodeAt(at + 1))) at++
      const isLong = at + 1 - start >= MAY_BE_INEXACT
      if (isLong && mayStand(before, text, at + 1) && isInexact(text.slice(start, at + 1)))
        ids.push(start, at + 1)
    }
    before = char
  }
  if (values > MAX_VALUES) throw unfit(`The JSON holds more than ${MAX_VALUES} values`)
  if (names.size > MAX_NAMES) throw unfit(`The JSON has more than ${MAX_NAMES} different names`)
  return { ids, isUnsafe }
}

const isSpace = (char: number): boolean => char === 0x20 || char === 0x0a || char === 0x0d || char === 0x09
const isDigit = (char: number): boolean => char >= 0x30 && char <= 0x39
/** Digits, signs, the point and the exponent. */
const isOfNumber = (char: number): boolean =>
  isDigit(char) || char === MINUS || char === 0x2b || char === 0x2e || char === 0x65 || char === 0x45

function behindSpace(text: string, from: number): number {
  let at = from
  while (isSpace(text.charCodeAt(at))) at++
  return at
}

/** The place of the closing quote; a backslash takes the next character with it. */
function endOfString(text: string, from: number): number {
  let at = from
  while (at < text.length && text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1
  return at
}

function isUnsafeKey(name: string): boolean {
  if (UNSAFE_KEYS.includes(name)) return true
  if (name.length > LONGEST_UNSAFE || !name.includes('\\u')) return false
  try {
    return UNSAFE_KEYS.includes(JSON.parse(`"${name}"`) as string)
  } catch {
    return false
  }
}

/** As a value: quotes around anything else could make JSON of what is none. */
function mayStand(before: number, text: string, end: number): boolean {
  const next = behindSpace(text, end)
  const [first, last] = [before || 0x5b, text.charCodeAt(next)]
  return [COLON, COMMA, 0x5b].includes(first) && (next >= text.length || [COMMA, 0x7d, 0x5d].includes(last))
}

const isInexact = (digits: string): boolean => WHOLE.test(digits) && !Number.isSafeInteger(Number(digits))

/** With those numbers as texts. A reviver would be asked of every value there is. */
function quoted(text: string, ids: readonly number[]): string {
  const pieces: string[] = []
  let from = 0
  for (const at of ids) {
    pieces.push(text.slice(from, at))
    from = at
  }
  return [...pieces, text.slice(from)].join('"')
}

/** Recursion is bounded by MAX_DEPTH. */
function dropUnsafeKeys(value: unknown): void {
  if (Array.isArray(value)) {
    for (const item of value) dropUnsafeKeys(item)
    return
  }
  const object = asObject(value)
  if (!object) return
  for (const key of UNSAFE_KEYS) if (Object.hasOwn(object, key)) delete object[key]
  for (const item of Object.values(object)) dropUnsafeKeys(item)
}

const unfit = (message: string) => new CordboardError('invalid_payload', message)
