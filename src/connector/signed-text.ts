import { CordboardError } from '../errors.ts'
import { decodeBase64, utf8 } from './encoding.ts'
import { asObject } from './json.ts'
import { pathOf, queryOf } from './request.ts'
import type { HashVerification, Place, SignedPart, VerifiableRequest } from './verification.ts'

/** Something the request lacks, in words for the operator. Never holds a secret or a value of the request. */
export interface Refused {
  refused: string
}

/** The bytes that were signed. A part that is missing refuses: it must never count as empty. */
export function signedBytes(
  parts: readonly SignedPart[],
  request: VerifiableRequest,
): { data: string | Uint8Array } | Refused {
  const pieces: (string | Uint8Array)[] = []
  for (const part of parts) {
    const piece = pieceOf(part, request)
    if (typeof piece === 'object' && 'refused' in piece) return piece
    const last = pieces.at(-1)
    // Neighbouring texts are encoded as one: this is done for every request.
    if (typeof last === 'string' && typeof piece === 'string') pieces[pieces.length - 1] = last + piece
    else pieces.push(piece)
  }
  const [only] = pieces
  return { data: pieces.length === 1 && only !== undefined ? only : concat(pieces) }
}

/** The text of a plain hash, with this secret in it. */
export function hashedBytes(
  { signed: parts, closedBy }: Pick<HashVerification, 'signed' | 'closedBy'>,
  secret: string,
  request: VerifiableRequest,
): { data: string | Uint8Array } | Refused {
  const last = parts.at(-1)
  const isClosed =
    closedBy === 'json'
      ? last !== undefined && 'body' in last && parts.some((part) => 'secret' in part)
      : last !== undefined && 'secret' in last
  if (!isClosed) {
    throw new CordboardError('config', 'The connector hashes a text that does not end with the secret')
  }
  return signedBytes(
    parts.map((part) => ('secret' in part ? { text: secret } : part)),
    request,
  )
}

function pieceOf(part: SignedPart, request: VerifiableRequest): string | Uint8Array | Refused {
  if ('body' in part) return request.body
  if ('text' in part) return part.text
  if ('method' in part) return request.method
  if ('url' in part) return request.url
  if ('urlDecoded' in part) return decodeOnly(request.url, part.urlDecoded)
  if ('path' in part) return pathOf(request.url)
  if ('header' in part) {
    return (
      request.headers.get(part.header) ?? {
        refused: `the header ${part.header}, which is signed, is missing`,
      }
    )
  }
  if ('query' in part) {
    const value = queryOf(request.url).get(part.query)
    return value ?? { refused: `the query parameter ${part.query}, which is signed, is missing` }
  }
  return fieldOf(request, part.field) ?? { refused: `the field ${part.field}, which is signed, is missing` }
}

function decodeOnly(url: string, escapes: readonly string[]): string {
  const wanted = new Set(escapes.map((code) => code.toUpperCase()))
  return url.replaceAll(/%[\da-f]{2}/gi, (code) =>
    wanted.has(code.toUpperCase()) ? String.fromCharCode(Number.parseInt(code.slice(1), 16)) : code,
  )
}

/** A top-level field of the body as text: of a JSON object when the content type says JSON, else of a form. */
export function fieldOf(request: VerifiableRequest, name: string): string | null {
  try {
    if (!isJson(request)) return request.form().get(name)
    const object = asObject(request.json())
    const value = object && Object.hasOwn(object, name) ? object[name] : null
    return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
      ? `${value}`
      : null
  } catch (error) {
    // Out of bounds or malformed: to the verifier the field is not there.
    if (error instanceof CordboardError) return null
    throw error
  }
}

function isJson(request: VerifiableRequest): boolean {
  const type = request.headers.get('content-type') ?? ''
  // Some systems post JSON as text/plain or without a content type; no form begins with a brace.
  return /\bjson\b/i.test(type) || (request.body[0] === 0x7b && !/form/i.test(type))
}

/** The value at a place, as bytes to compare; or what is missing. */
export function valueAt(place: Place | { body: true }, request: VerifiableRequest): Uint8Array | Refused {
  if ('header' in place) {
    const { header, or } = place
    const value = request.headers.get(header) || (or && request.headers.get(or))
    if (!value) return { refused: `the header ${or ? `${header} or ${or}` : header} is missing` }
    const prefix = place.prefix ?? ''
    // Scheme names such as "Bearer" are case-insensitive (RFC 9110 §11.1).
    if (!value.toLowerCase().startsWith(prefix.toLowerCase())) {
      return { refused: `the header ${place.header} does not begin with "${prefix}"` }
    }
    return utf8(value.slice(prefix.length))
  }
  if ('basic' in place) return basicAt(place.basic, request)
  if ('body' in place) return request.body.length > 0 ? request.body : { refused: 'the body is missing' }
  const [what, value] =
    'query' in place
      ? [`query parameter ${place.query}`, queryOf(request.url).get(place.query)]
      : 'field' in place
        ? [`field ${place.field}`, fieldOf(request, place.field)]
        : ['last segment of the path', lastSegment(request.url)]
  return value ? utf8(value) : { refused: `the ${what} is missing` }
}

function basicAt(part: 'password' | 'user:password', request: VerifiableRequest): Uint8Array | Refused {
  const value = request.headers.get('authorization')
  if (!value) return { refused: 'the header Authorization is missing' }
  const [, encoded] = /^Basic +([^\s]+)$/i.exec(value) ?? []
  const bytes = encoded === undefined || encoded.length > 4096 ? null : decodeBase64(encoded)
  const colon = bytes?.indexOf(0x3a) ?? -1
  if (!bytes || colon < 0) return { refused: 'the header Authorization is no Basic authentication' }
  return part === 'password' ? bytes.subarray(colon + 1) : bytes
}

function lastSegment(url: string): string {
  const segment = pathOf(url).split('/').at(-1) ?? ''
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

function concat(pieces: readonly (string | Uint8Array)[]): Uint8Array {
  const all = pieces.map((piece) => (typeof piece === 'string' ? utf8(piece) : piece))
  const bytes = new Uint8Array(all.reduce((size, piece) => size + piece.length, 0))
  let at = 0
  for (const piece of all) {
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}
