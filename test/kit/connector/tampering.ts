import { utf8 } from '../../../src/connector/encoding.ts'
import { asObject, parseJson } from '../../../src/connector/json.ts'
import { inboundRequest, type RawRequest } from '../../../src/connector/request.ts'
import type { Verification } from '../../../src/connector/verification.ts'
import type { Settings } from './fixtures.ts'

/** Ways to spoil an authentic request. */

/** The secrets, or public keys, that a verification goes by. */
export function keysOf(verification: Verification): readonly string[] {
  if (verification.scheme === 'nothing') return []
  if (verification.scheme === 'ed25519') return verification.publicKeys
  if (verification.scheme === 'jwt') return [...verification.secrets, ...(verification.publicKeys ?? [])]
  return verification.secrets
}

export function withKeys(verification: Verification, keys: readonly string[]): Verification {
  if (verification.scheme === 'ed25519') return { ...verification, publicKeys: keys }
  if (verification.scheme === 'jwt') return { ...verification, secrets: keys, publicKeys: keys }
  return verification.scheme === 'nothing' ? verification : { ...verification, secrets: keys }
}

/** Whether any change of the body must be noticed (`all`), some changes (`some`: only fields are covered), or none. */
export function coverageOf(verification: Verification): 'all' | 'some' | 'none' {
  if ('signed' in verification) {
    if (verification.signed.some((part) => 'body' in part)) return 'all'
    return verification.signed.some((part) => 'field' in part) ? 'some' : 'none'
  }
  if (verification.scheme === 'jwt') {
    if (verification.bodyHashClaim || verification.bodyClaim !== undefined) return 'all'
    // Two bits of a signature's last letter say nothing.
    return 'body' in verification.place ? 'some' : 'none'
  }
  if (verification.scheme === 'token') return 'field' in verification.place ? 'some' : 'none'
  return verification.scheme === 'custom' ? 'some' : 'none'
}

/** Schemes that look at nothing but bytes and headers must not have the body parsed. */
export function needsFields(verification: Verification): boolean {
  if (verification.scheme === 'custom') return true
  const isPlaced = 'place' in verification && 'field' in verification.place
  return isPlaced || ('signed' in verification && verification.signed.some((part) => 'field' in part))
}

export function withFlippedByte(raw: RawRequest, at: number): RawRequest {
  const body = new Uint8Array(raw.body)
  body[at] = (body[at] ?? 0) ^ 1
  return { ...raw, body }
}

/** The same request without the signature or token. */
export function withoutProof(raw: RawRequest, verification: Verification): RawRequest {
  if (verification.scheme === 'nothing') return raw
  if ('header' in verification) return withHeader(raw, verification.header, null)
  const { place } = verification
  if ('header' in place) {
    const without = withHeader(raw, place.header, null)
    return place.or === undefined ? without : withHeader(without, place.or, null)
  }
  if ('basic' in place) return withHeader(raw, 'authorization', null)
  // The first two parts of the token, without the signature.
  if ('body' in place) {
    const parts = new TextDecoder().decode(raw.body).split('.', 2)
    return { ...raw, body: utf8(parts.join('.')) }
  }
  if ('path' in place) return { ...raw, url: raw.url.replace(/[^/?]*(?=\?|$)/, '') }
  if ('query' in place) {
    const url = new URL(raw.url)
    url.searchParams.delete(place.query)
    return { ...raw, url: url.href }
  }
  const request = inboundRequest(raw)
  if (/json/i.test(request.headers.get('content-type') ?? '')) {
    const { [place.field]: _, ...rest } = asObject(parseJson(raw.body)) ?? {}
    return { ...raw, body: utf8(JSON.stringify(rest)) }
  }
  const form = new URLSearchParams(request.form())
  form.delete(place.field)
  return { ...raw, body: utf8(form.toString()) }
}

export function withHeader(raw: RawRequest, name: string, value: string | null): RawRequest {
  const headers = new Headers(inboundRequest(raw).headers)
  if (value === null) headers.delete(name)
  else headers.set(name, value)
  return { ...raw, headers }
}

/** Another secret of the same shape: hex stays hex, base64 stays base64, the length is kept. */
export function different(secret: string): string {
  const at = Math.floor(secret.length / 2) + secret.slice(Math.floor(secret.length / 2)).search(/[a-z\d]/i)
  const char = secret.charAt(at)
  const next = (all: string) => all.charAt((all.indexOf(char) + 1) % all.length)
  const alphabet = ['0123456789', 'abcdef', 'ABCDEF', 'ghijklmnopqrstuvwxyz', 'GHIJKLMNOPQRSTUVWXYZ'].find(
    (all) => all.includes(char),
  )
  return alphabet && char ? secret.slice(0, at) + next(alphabet) + secret.slice(at + 1) : `${secret}x`
}

type Path = readonly string[]

/** Where texts (or lists of texts) stand in the settings. */
export function textLeaves(settings: Settings, base: Path = []): { path: Path; value: string }[] {
  return Object.entries(settings).flatMap(([key, value]) => {
    const path = [...base, key]
    if (typeof value === 'string') return [{ path, value }]
    if (Array.isArray(value)) return typeof value[0] === 'string' ? [{ path, value: value[0] }] : []
    return asObject(value) ? textLeaves(value as Settings, path) : []
  })
}

/** `undefined` removes the key. */
export function withLeaf(settings: Settings, [key = '', ...rest]: Path, value: unknown): Settings {
  if (rest.length > 0) return { ...settings, [key]: withLeaf(asObject(settings[key]) ?? {}, rest, value) }
  const { [key]: _, ...others } = settings
  return value === undefined ? others : { ...others, [key]: value }
}
