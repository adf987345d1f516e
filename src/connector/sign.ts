import { toWallClock } from '../call/zone.ts'
import { CordboardError } from '../errors.ts'
import { encodeAs, encodeBase64, encodeBase64Url, utf8 } from './encoding.ts'
import { asObject, parseJson } from './json.ts'
import { claimsOf, SHARED } from './jwt.ts'
import { checkSecrets, keyOf } from './keys.ts'
import { inboundRequest, type RawRequest } from './request.ts'
import { fieldOf, hashedBytes, signedBytes } from './signed-text.ts'
import { STAND_IN_PUBLIC_KEY, signAsStandIn } from './stand-in-key.ts'
import type {
  CustomVerification,
  Ed25519Verification,
  Freshness,
  HashVerification,
  HmacVerification,
  JwtVerification,
  Place,
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
    case 'hash':
      return headerAt(request, verification.place, await hashOf(request, verification, tools))
    case 'token':
      return headerAt(request, verification.place, newest(verification.secrets))
    case 'jwt':
      return signJwt(request, verification, tools)
    case 'custom':
      return signCustom(request, verification, tools)
    case 'nothing':
      return {}
    case 'ed25519':
      return signEd25519(request, verification, tools)
  }
}

/** The whole request as its sender would send it: with the proof in the header, the query, the path or the body. */
export async function signRaw(
  raw: RawRequest,
  verification: Verification,
  tools: VerifyTools,
): Promise<RawRequest> {
  const request = inboundRequest(raw)
  if (verification.scheme === 'jwt' && 'body' in verification.place) {
    return { ...raw, body: utf8(await tokenOf(claimsIn(raw.body), verification, tools)) }
  }
  const isPlaced = verification.scheme === 'token' || verification.scheme === 'hash'
  if (!isPlaced || 'header' in verification.place || 'basic' in verification.place) {
    const headers = new Headers(request.headers)
    for (const [name, value] of Object.entries(await signRequest(request, verification, tools)))
      headers.set(name, value)
    return { ...raw, headers }
  }
  const { place } = verification
  const proof =
    verification.scheme === 'token'
      ? newest(verification.secrets)
      : await hashOf(request, verification, tools)
  if ('field' in place) return { ...raw, body: withField(request, place.field, proof) }
  if ('query' in place) return { ...raw, url: withQuery(raw.url, place.query, proof) }
  const [base = '', query] = raw.url.split('?', 2)
  const last = `/${encodeURIComponent(proof)}`
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
  const added = timeHeader(freshness, now)
  const signed = signedBytes(verification.signed, withHeaders(request, added))
  if ('refused' in signed) throw cannot(signed.refused, 'Add it to the request')
  const mac = await signer.hmac(hash, keyOf(secret, verification.secretEncoding), signed.data)
  const first = typeof encoding === 'string' ? encoding : encoding[0]
  if (first === undefined)
    throw new CordboardError('config', 'The connector names no encoding of its signature')
  return { ...added, [header]: prefix + encodeAs(first, mac) }
}

/** Only for accounts whose key is that of the stand-ins: a vendor's private key is nowhere but with the vendor. */
async function signEd25519(
  request: VerifiableRequest,
  { header, encoding, signed, publicKeys, freshness }: Ed25519Verification,
  { now }: VerifyTools,
) {
  if (!publicKeys.includes(STAND_IN_PUBLIC_KEY)) {
    throw cannot(
      'only the vendor has the private key',
      `Use a request that the vendor signed, or the stand-ins’ public key ${STAND_IN_PUBLIC_KEY}`,
    )
  }
  const added = timeHeader(freshness, now)
  const bytes = signedBytes(signed, withHeaders(request, added))
  if ('refused' in bytes) throw cannot(bytes.refused, 'Add it to the request')
  const data = typeof bytes.data === 'string' ? utf8(bytes.data) : bytes.data
  return { ...added, [header]: encodeAs(encoding, await signAsStandIn(data)) }
}

function timeHeader(freshness: Freshness | undefined, now: number): Record<string, string> {
  return freshness ? { [freshness.header]: timeText(now, freshness) } : {}
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
  const added = timeHeader(verification.freshness, now)
  const claims = verification.claims(withHeaders(request, added))
  if ('refused' in claims) throw cannot(claims.refused, 'Correct the request')
  const [first] = claims
  if (!first) throw cannot('the connector finds nothing to sign in it', 'Correct the request')
  const mac = await signer.hmac(first.hash, newest(verification.secrets), first.signed)
  return { ...added, [verification.header]: encodeAs(first.encoding, mac) }
}

async function hashOf(
  request: VerifiableRequest,
  { hash, encoding, secrets, ...text }: HashVerification,
  { signer }: VerifyTools,
): Promise<string> {
  const bytes = hashedBytes(text, newest(secrets), request)
  if ('refused' in bytes) throw cannot(bytes.refused, 'Add it to the request')
  return encodeAs(encoding, await signer.digest(hash, bytes.data))
}

/** The header that carries a token or signature; none when the request has it where it belongs. */
function headerAt(request: VerifiableRequest, place: Place, proof: string): Record<string, string> {
  if ('header' in place) return { [place.header]: `${place.prefix ?? ''}${proof}` }
  if ('basic' in place) {
    const pair = place.basic === 'password' ? `cordboard:${proof}` : proof
    return { authorization: `Basic ${encodeBase64(utf8(pair))}` }
  }
  if ('field' in place && fieldOf(request, place.field) === proof) return {}
  const where = 'field' in place ? `field ${place.field}` : 'query' in place ? `query ${place.query}` : 'path'
  throw cannot(`its proof stands in the ${where}, not in a header`, `Put it there before sending`)
}

async function signJwt(request: VerifiableRequest, verification: JwtVerification, tools: VerifyTools) {
  const { now, signer } = tools
  const { place, issuer, audience, bodyHashClaim, bodyClaim, urlClaim } = verification
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
  const token = await tokenOf(utf8(payload), verification, tools)
  return { [place.header]: `${place.prefix ?? 'Bearer '}${token}` }
}

async function tokenOf(
  claims: Uint8Array,
  { algorithms, secrets }: JwtVerification,
  { signer }: VerifyTools,
): Promise<string> {
  const algorithm = algorithms.find((name) => SHARED[name])
  const hash = algorithm && SHARED[algorithm]
  if (!hash) throw cannot('only the vendor has the private key', 'Use a request of the vendor')
  const head = encodeBase64Url(utf8(JSON.stringify({ alg: algorithm, typ: 'JWT' })))
  const signed = `${head}.${encodeBase64Url(claims)}`
  return `${signed}.${encodeBase64Url(await signer.hmac(hash, newest(secrets), signed))}`
}

/** Of a body that is a token already what it says, to be signed anew; else the body itself. */
function claimsIn(body: Uint8Array): Uint8Array {
  return /^[\w-]+\.[\w-]+\.[\w-]*$/.test(new TextDecoder().decode(body).trim()) ? claimsOf(body) : body
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
