import { CordboardError } from '../errors.ts'
import type { Analysis } from './analysis.ts'
import { type Call, call as callSchema } from './call.ts'
import { idBits } from './ids.ts'
import { analysisFrom, analysisTo } from './vcon-analysis.ts'
import { callTo } from './vcon-call.ts'
import { callFrom } from './vcon-parties.ts'
import { KNOWN_EXTENSIONS, type Vcon, VERSIONS, vcon, withTodaysNames } from './vcon-schema.ts'

export { recordingFrom, SHA512 } from './vcon-parties.ts'
export type { Vcon } from './vcon-schema.ts'

/**
 * Calls as vCons (draft-ietf-vcon-vcon-core-04) and back. Pure. What the standard has a place for stands there; the rest
 * of a call, and what a place holds only roughly, is one attachment of our own, so that nothing is lost on the way back.
 */

export const VCON_TYPE = 'application/vcon'
/** What people ask for as well: the suffix says that it is JSON. */
export const VCON_JSON_TYPE = 'application/vcon+json'

/** The attachment's purpose. */
const REST = 'cordboard-call'

export interface VconOptions {
  createdAt: string
  updatedAt?: string
  /** Who made the analysis; the standard wants a name. */
  vendor: string
}

/** As JSON; the order of its arrays follows from the call alone, so that references into it stay true. */
export function toVcon(call: Call, analysis: Analysis | null, options: VconOptions): Record<string, unknown> {
  const { createdAt, updatedAt, vendor } = options
  const { parties, dialog } = callTo(call)
  const plain = {
    uuid: uuidOf(call.id),
    created_at: createdAt,
    ...(updatedAt === undefined ? {} : { updated_at: updatedAt }),
    extensions: KNOWN_EXTENSIONS,
    parties,
    dialog,
    analysis: analysis === null ? [] : analysisTo(analysis, vendor, dialog.length),
  }
  // As JSON, because that is what a reader gets: what is left out there is absent here.
  const known = callFrom(vcon.parse(JSON.parse(JSON.stringify(plain))))
  const rest = differing(call, known)
  const absent = Object.keys(known).filter((key) => !Object.hasOwn(call, key))
  const attachment = {
    purpose: REST,
    start: createdAt,
    party: 0,
    dialog: 0,
    mediatype: 'application/json',
    encoding: 'json',
    body: { call: rest, ...(absent.length === 0 ? {} : { absent }) },
  }
  return { ...plain, attachments: [attachment] }
}

function differing(call: Call, known: Partial<Call>): Partial<Call> {
  const entries = Object.entries(call).filter(
    ([key, value]) => JSON.stringify(value) !== JSON.stringify(known[key as keyof Call]),
  )
  return Object.fromEntries(entries)
}

/**
 * A call's id as UUID version 8: the same 48 bits of time, then its chance, so that exporting again gives the same. (The
 * draft would have the last 62 bits tell the host; ours are as unique, and tell nobody who made the file.)
 */
function uuidOf(callId: string): string {
  const bits = idBits(callId)
  if (bits === null) throw new RangeError('A vCon is made of a stored call')
  const time = bits >> 80n
  const uuid =
    (time << 80n) |
    (8n << 76n) |
    (((bits >> 68n) & 0xfffn) << 64n) |
    (2n << 62n) |
    (bits & ((1n << 62n) - 1n))
  const hex = uuid.toString(16).padStart(32, '0')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

/** What a vCon says. `call` has an id and a source only where it is one of ours. */
export interface FromVcon {
  call: Partial<Call>
  analysis: Analysis | null
}

/** `direction`: as whoever hands it in knows it, where the file does not say it. */
export function fromVcon(file: Vcon, direction?: Call['direction']): FromVcon {
  const known = callFrom(file, direction)
  const analysis = analysisFrom(file)
  const rest = restOf(file)
  const call = rest ? without({ ...known, ...rest.call }, rest.absent) : known
  return { call, analysis: Object.keys(analysis).length === 0 ? null : analysis }
}

function restOf(file: Vcon): { call: Partial<Call>; absent: readonly string[] } | null {
  const body = file.attachments.find(({ purpose, encoding }) => purpose === REST && encoding === 'json')?.body
  if (typeof body !== 'object' || body === null) return null
  const { call, absent } = body as Record<string, unknown>
  // Somebody else may have written it: what does not fit is left out as a whole.
  const read = callSchema.partial().safeParse(call)
  if (!read.success || typeof call !== 'object' || call === null) return null
  // The schema's defaults are no part of what was said.
  const said = Object.fromEntries(Object.entries(read.data).filter(([key]) => Object.hasOwn(call, key)))
  return { call: said, absent: Array.isArray(absent) ? absent.map(String) : [] }
}

const without = (call: Partial<Call>, absent: readonly string[]): Partial<Call> =>
  Object.fromEntries(Object.entries(call).filter(([key]) => !absent.includes(key)))

/**
 * A vCon that somebody sent, already parsed as JSON. Throws `invalid_payload`: which form, which member, what is
 * supported; values stay out of the message.
 */
export function readVcon(value: unknown): Vcon {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw unfit('a JSON object', 'something else')
  const file = value as Record<string, unknown>
  if ('payload' in file && 'signatures' in file) throw unfit('the unsigned form', 'the signed form (JWS)')
  if ('ciphertext' in file && 'recipients' in file)
    throw unfit('the unsigned form', 'the encrypted form (JWE)')
  const read = vcon.safeParse(withTodaysNames(file))
  if (!read.success) {
    const [issue] = read.error.issues
    throw unfit(
      `a vCon (draft core-04); ${issue?.path.join('.') || 'the file'}: ${issue?.message}`,
      'another',
    )
  }
  const { vcon: version, critical = [], parties, dialog } = read.data
  if (version !== undefined && !VERSIONS.includes(version))
    throw unfit(`version ${VERSIONS.join(', ')} or none`, 'another version')
  if (critical.some((name) => !KNOWN_EXTENSIONS.includes(name)))
    throw unfit(`critical extensions ${KNOWN_EXTENSIONS.join(', ')} only`, 'one that is not known here')
  for (const [at, { body, url, parties: named, originator }] of dialog.entries()) {
    if (body !== undefined && body !== '' && url !== undefined)
      throw unfit(`dialog.${at}: body or url`, 'both')
    const indexes = [named ?? [], originator ?? []].flat(3).filter((one) => one !== null)
    if (indexes.some((one) => one >= parties.length))
      throw unfit(`dialog.${at}: references to its ${parties.length} parties`, 'one beyond them')
  }
  return read.data
}

const unfit = (expected: string, seen: string) =>
  new CordboardError('invalid_payload', `vCon: expected ${expected}; seen ${seen}`, {
    fix: 'Send the unsigned form of the vCon as JSON, with its recordings inside or behind https URLs',
  })
