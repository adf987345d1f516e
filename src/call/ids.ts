/**
 * Ids: a prefix that says what the thing is, then 26 characters in the layout of ULID (48 bits of milliseconds,
 * 80 random bits, Crockford base32), so that sorting ids sorts by time and two workers never need to agree.
 *
 * Within one millisecond the order is random: order rows by a column, never by id, where that matters.
 */

/** The prefix of every kind of id there is. */
export const ID_PREFIXES = {
  delivery: 'dlv',
  call: 'call',
  event: 'evt',
  step: 'stp',
  submission: 'sub',
  batch: 'bat',
  writeBack: 'wbk',
  issue: 'iss',
  attempt: 'att',
  audit: 'aud',
  replay: 'rpl',
  backfill: 'bfl',
  upload: 'med',
  import: 'imp',
} as const

export type IdPrefix = (typeof ID_PREFIXES)[keyof typeof ID_PREFIXES]

/** Crockford's alphabet: no I, L, O or U, so that an id read over the phone is not misread. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const BITS_20 = 2 ** 20
const LAST_MS = 2 ** 48 - 1
const SHAPE = /^[a-z]+_([0-7][0-9A-HJKMNP-TV-Z]{25})$/

// Thousands of ids share a millisecond on the ingest path: its ten characters are worked out once.
let cachedMs = -1
let cachedTime = ''

/**
 * A new id such as `call_01JDX3M8E0W5H4ZK6R2T9QYBVC`.
 *
 * @param now milliseconds since 1970; outside 48 bits it is a programming error and throws
 * @param random like `Math.random`: 40 bits are taken from each of two calls, which its 52 bits cover
 */
export function newId(prefix: IdPrefix, now: number, random: () => number): string {
  const ms = Math.trunc(now)
  if (ms !== cachedMs) {
    cachedTime = timeChars(ms)
    cachedMs = ms
  }
  return `${prefix}_${cachedTime}${randomChars(random())}${randomChars(random())}`
}

/** When the id was made, in milliseconds since 1970; `NaN` for text that is no id of ours. */
export function idTime(id: string): number {
  const body = SHAPE.exec(id)?.[1]
  if (body === undefined) return Number.NaN
  let ms = 0
  for (let i = 0; i < 10; i++) ms = ms * 32 + ALPHABET.indexOf(body.charAt(i))
  return ms
}

/** The 128 bits of an id, its time first; null for text that is no id of ours. */
export function idBits(id: string): bigint | null {
  const body = SHAPE.exec(id)?.[1]
  if (body === undefined) return null
  let bits = 0n
  for (const letter of body) bits = bits * 32n + BigInt(ALPHABET.indexOf(letter))
  return bits
}

function timeChars(ms: number): string {
  if (!(ms >= 0 && ms <= LAST_MS)) throw new RangeError(`No id can be made for the time ${ms}`)
  let rest = ms
  let out = ''
  for (let i = 0; i < 10; i++) {
    out = ALPHABET.charAt(rest % 32) + out
    rest = Math.floor(rest / 32)
  }
  return out
}

/** Eight characters from one random number, in two halves that fit the 32-bit integer operators. */
function randomChars(value: number): string {
  const scaled = value * BITS_20
  const high = Math.floor(scaled)
  return fourChars(high) + fourChars(Math.floor((scaled - high) * BITS_20))
}

function fourChars(bits: number): string {
  return (
    ALPHABET.charAt((bits >>> 15) & 31) +
    ALPHABET.charAt((bits >>> 10) & 31) +
    ALPHABET.charAt((bits >>> 5) & 31) +
    ALPHABET.charAt(bits & 31)
  )
}
