import { toWallClock } from '../call/zone.ts'
import { CordboardError } from '../errors.ts'
import { encodeAs, encodeBase64, encodeBase64Url, utf8 } from './encoding.ts'
import { asObject, parseJson } from './json.ts'
import { SHARED } from './jwt.ts'
import { checkSecrets, keyOf } from './keys.ts'
import { inboundRequest, type RawRequest } from './request.ts'
import { fieldOf, signedBytes } from './signed-text.ts'
import type {
  CustomVerification,
  Freshness,
  HmacVerification,
  JwtVerification,
  TokenVerification,
  VerifiableRequest,
  Verification,
} from './verification.ts'
import type { VerifyTools } from './verify.ts'

/**
 * The headers that a sender adds to this request, with the newest secret: what `cordboard send`, the demo and the
 * round-trip tests use. Throws `bad_request` where the proof is no header (then see `signRaw`) or cannot be made here.
 */
export async function signRequest(
  request: VerifiableRequest,
  verification: Verification,
  tools: VerifyTools,
): Promise<Record<string, string>> {
  switch (verification.scheme) {
    case 'hmac':
      return signHmac(request, verification, tools)
    case 'token':
      return tokenHeader(request, verification)
    case 'jwt':
      return signJwt(request, verification, tools)
    case 'custom':
      return signCustom(request, verification, tools)
    case 'nothing':
      return {}
    case 'ed25519':
      throw cannot('only the vendor has the private key', 'Use a request that the vendor signed')
  }
}

/** The whole request as its sender would send it: with the proof in the header, the query, the path or the body. */
export async function signRaw(
  raw: RawRequest,
  verification: Verification,
  tools: VerifyTools,
): Promise<RawRequest> {
  const request = inboundRequest(raw)
  if (verification.scheme !== 'token' || 'header' in verification.place || 'basic' in verification.place) {
    const headers = new Headers(request.headers)
    for (const [name, value] of Object.entries(await signRequest(request, verification, tools)))
      headers.set(name, value)
    return { ...raw, headers }
  }
  const { place } = verification
  const secret = newest(verification.secrets)
  if ('field' in place) return { ...raw, body: withField(request, place.field, secret) }
  if ('query' in place) return { ...raw, url: withQuery(raw.url, place.query, secret) }
  const [base = '', query] = raw.url.split('?', 2)
  const last = `/${encodeURIComponent(secret)}`
  return {
    ...raw,
    url: `${base.replace(/\/[^/]*$/, last)}${query === undefined ? '' : `?${query}`}`,
    path: raw.path.replace(/\/[^/]*$/, last),
  }
}

const cannot = (why: string, fix: string) =>
  new CordboardError('bad_request', 'This request cannot be signed here', { why, fix })

const newest = (secrets: readonly string[]): string => checkSecrets(secrets)[0] ?? ''

async function signHmac(
  request: VerifiableRequest,
  verification: HmacVerification,
  { now, signer }: VerifyTools,
) {
  const { hash, header, prefix = '', freshness, encoding } = verification
  const secret = newest(verification.secrets)
  const added = freshness ? { [freshness.header]: timeText(now, freshness) } : {}
  const signed = signedBytes(verification.signed, withHeaders(request, added))
  if ('refused' in signed) throw cannot(signed.refused, 'Add it to the request')
  const mac = await signer.hmac(hash, keyOf(secret, verification.secretEncoding), signed.data)
  const first = typeof encoding === 'string' ? encoding : encoding[0]
  if (first === undefined)
    throw new CordboardError('config', 'The connector names no encoding of its signature')
  return { ...added, [header]: prefix + encodeAs(first, mac) }
}

function timeText(now: number, { unit, timeZone = 'UTC' }: Freshness): string {
  if (unit === 'clock') return toWallClock(now, timeZone)
  return String(unit === 's' ? Math.floor(now / 1000) : now)
}

function withHeaders(request: VerifiableRequest, added: Record<string, string>): VerifiableRequest {
  const headers = new Headers(request.headers)
  for (const [name, value] of Object.entries(added)) headers.set(name, value)
  const { method, url, body } = request
  return { method, url, body, headers, form: () => request.form(), json: () => request.json() }
}

async function signCustom(
  request: VerifiableRequest,
  verification: CustomVerification,
  { now, signer }: VerifyTools,
) {
  const { freshness } = verification
  const added = freshness ? { [freshness.header]: timeText(now, freshness) } : {}
  const claims = verification.claims(withHeaders(request, added))
  if ('refused' in claims) throw cannot(claims.refused, 'Correct the request')
  const [first] = claims
  if (!first) throw cannot('the connector finds nothing to sign in it', 'Correct the request')
  const mac = await signer.hmac(first.hash, newest(verification.secrets), first.signed)
  return { ...added, [verification.header]: encodeAs(first.encoding, mac) }
}

function tokenHeader(
  request: VerifiableRequest,
  { place, secrets }: TokenVerification,
): Record<string, string> {
  const secret = newest(secrets)
  if ('header' in place) return { [place.header]: `${place.prefix ?? ''}${secret}` }
  if ('basic' in place) {
    const pair = place.basic === 'password' ? `cordboard:${secret}` : secret
    return { authorization: `Basic ${encodeBase64(utf8(pair))}` }
  }
  if ('field' in place && fieldOf(request, place.field) === secret) return {}
  const where = 'field' in place ? `field ${place.field}` : 'query' in place ? `query ${place.query}` : 'path'
  throw cannot(`its proof is a token in the ${where}, not a header`, `Put the secret there before sending`)
}

async function signJwt(
  request: VerifiableRequest,
  verification: JwtVerification,
  { now, signer }: VerifyTools,
) {
  const { place, algorithms, issuer, audience, bodyHashClaim, bodyClaim, urlClaim } = verification
  const algorithm = algorithms.find((name) => SHARED[name])
  const hash = algorithm && SHARED[algorithm]
  if (!hash) throw cannot('only the vendor has the private key', 'Use a request of the vendor')
  if (!('header' in place)) throw cannot('its token is not in a header', 'Use a request of the vendor')
  const iat = Math.floor(now / 1000)
  const claims: Record<string, unknown> = { iat, exp: iat + 300 }
  if (issuer !== undefined) claims.iss = issuer
  if (audience !== undefined) claims.aud = audience
  if (urlClaim !== undefined) claims[urlClaim] = request.url
  if (bodyHashClaim) {
    const digest = await signer.digest(bodyHashClaim.hash, request.body)
    claims[bodyHashClaim.claim] = encodeAs(bodyHashClaim.encoding, digest)
  }
  let payload = JSON.stringify(claims)
  // As it is, with all digits of its numbers.
  if (bodyClaim !== undefined) {
    payload = `${payload.slice(0, -1)},${JSON.stringify(bodyClaim)}:${new TextDecoder().decode(request.body)}}`
  }
  const part = (json: string) => encodeBase64Url(utf8(json))
  const signed = `${part(JSON.stringify({ alg: algorithm, typ: 'JWT' }))}.${part(payload)}`
  const mac = await signer.hmac(hash, newest(verification.secrets), signed)
  return { [place.header]: `${place.prefix ?? 'Bearer '}${signed}.${encodeBase64Url(mac)}` }
}

function withQuery(url: string, name: string, value: string): string {
  const [base = '', query = ''] = url.split('?', 2)
  const others = query.split('&').filter((pair) => pair !== '' && pair.split('=', 1)[0] !== name)
  return `${base}?${[...others, `${name}=${encodeURIComponent(value)}`].join('&')}`
}

function withField(request: VerifiableRequest, name: string, value: string): Uint8Array {
  const type = request.headers.get('content-type') ?? ''
  if (/multipart/i.test(type)) throw cannot('its proof is a field of a multipart body', 'Send it urlencoded')
  if (!/\bjson\b/i.test(type)) {
    const form = new URLSearchParams(request.form())
    form.set(name, value)
    return utf8(form.toString())
  }
  const object = asObject(parseJson(request.body))
  if (!object) throw cannot('its proof is a field of a JSON object, and the body is none', 'Send an object')
  return utf8(JSON.stringify({ ...object, [name]: value }))
}
