import { CordboardError } from '../errors.ts'

const MAX_BYTES = 8 * 1024 * 1024
const MAX_DEPTH = 64
/** Values of one document. A three-hour transcript with a time for every word has about 150,000. */
const MAX_VALUES = 500_000

/** Keys that reach an object's prototype when code copies them. No vendor has a field of these names. */
const UNSAFE_KEYS = ['__proto__', 'constructor', 'prototype']
/** Whole numbers from this length on may be ones that no double holds. */
const MAY_BE_INEXACT = /\d{16}/

/** Such a key may be written with escapes, which `JSON.parse` undoes; then only a walk finds it. */
const MAY_BE_UNSAFE = /__proto__|constructor|prototype|\\u00/i

/**
 * JSON that a stranger sent: bounded in size, depth and count before the parser sees it (one pass over the bytes), and
 * without keys that reach prototypes. A whole number that a double would round (beyond 2^53) comes as the text of its
 * digits: it is an id. Throws `invalid_payload`.
 */
export function parseJson(body: Uint8Array, mostBytes = MAX_BYTES): unknown {
  checkBounds(body, mostBytes)
  const text = new TextDecoder().decode(body)
  let value: unknown
  try {
    value = MAY_BE_INEXACT.test(text) ? JSON.parse(text, exact) : JSON.parse(text)
  } catch (cause) {
    // The parser's own message quotes the body.
    throw new CordboardError('invalid_payload', 'The body is no valid JSON', { cause })
  }
  if (MAY_BE_UNSAFE.test(text)) dropUnsafeKeys(value)
  return value
}

function exact(_key: string, value: unknown, { source }: { source?: string } = {}): unknown {
  if (typeof value !== 'number' || source === undefined || Number.isSafeInteger(value)) return value
  return /^-?\d+$/.test(source) ? source : value
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
const BACKSLASH = 0x5c
const COMMA = 0x2c

function checkBounds(body: Uint8Array, mostBytes: number): void {
  if (body.length > mostBytes) {
    throw new CordboardError(
      'invalid_payload',
      `The JSON body has ${body.length} bytes, ${mostBytes} are read`,
    )
  }
  let depth = 0
  let values = 0
  for (let i = 0; i < body.length; i++) {
    const byte = body[i]
    if (byte === QUOTE) {
      // To the closing quote; a backslash takes the next byte with it.
      for (i++; i < body.length && body[i] !== QUOTE; i++) if (body[i] === BACKSLASH) i++
    } else if (byte === 0x7b || byte === 0x5b) {
      values++
      if (++depth > MAX_DEPTH) {
        throw new CordboardError('invalid_payload', `The JSON is nested deeper than ${MAX_DEPTH} levels`)
      }
    } else if (byte === 0x7d || byte === 0x5d) {
      depth--
    } else if (byte === COMMA) {
      values++
    }
  }
  if (values > MAX_VALUES) {
    throw new CordboardError('invalid_payload', `The JSON holds more than ${MAX_VALUES} values`)
  }
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
