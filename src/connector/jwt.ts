import { CordboardError } from '../errors.ts'
import { decodeAs, decodeBase64Url, utf8 } from './encoding.ts'
import { asObject, isSameJson, parseJson } from './json.ts'
import { checkSecrets } from './keys.ts'
import { valueAt } from './signed-text.ts'
import type { Hash, JwtAlgorithm, JwtVerification, VerifiableRequest } from './verification.ts'
import type { Verified, VerifyTools } from './verify.ts'

const MAX_TOKEN_LENGTH = 16_384
/** Of one that is the whole body: everything that there is to say stands in it. */
const MAX_BODY_LENGTH = 1024 * 1024
/** How far the sender's clock may be off. */
const LEEWAY_S = 60

/** Those that go by a shared secret. */
export const SHARED: Readonly<Partial<Record<JwtAlgorithm, Hash>>> = { HS256: 'sha256', HS512: 'sha512' }

const refuse = (reason: string): Verified => ({ ok: false, reason })

/** A JSON Web Token (RFC 7519) with the algorithm that was configured; the token never chooses its own. */
export async function verifyJwt(
  request: VerifiableRequest,
  verification: JwtVerification,
  tools: VerifyTools,
): Promise<Verified> {
  const { place, algorithms } = verification
  if (algorithms.some((name) => SHARED[name])) checkSecrets(verification.secrets)
  if (algorithms.some((name) => !SHARED[name])) checkSecrets(verification.publicKeys ?? [], 'public key')
  const value = valueAt('header' in place ? { prefix: 'Bearer ', ...place } : place, request)
  if ('refused' in value) return refuse(value.refused)
  if (value.length > ('body' in place ? MAX_BODY_LENGTH : MAX_TOKEN_LENGTH))
    return refuse('the token is too long')

  const [head, claims, signature, more] = partsOf(value)
  const header = partOf(head)
  const bytes = decodeBase64Url(signature ?? '')
  if (!header || claims === undefined || !bytes || more !== undefined)
    return refuse('the token is no JSON Web Token')
  const algorithm = algorithms.find((name) => name === header.alg)
  if (!algorithm) return refuse(`the token’s algorithm is not ${algorithms.join(' or ')}`)
  // Extensions that we do not know must not be ignored (RFC 7515 §4.1.11).
  if (header.crit !== undefined) return refuse('the token demands an extension that is not known')

  const fitting = await fittingKey(algorithm, `${head}.${claims}`, bytes, verification, tools)
  if (fitting === null) return refuse('the token’s signature does not fit what is configured')
  const payload = partOf(claims)
  if (!payload) return refuse('the token’s claims are no JSON object')
  const wrong =
    wrongClaim(payload, verification, tools.now) ??
    wrongUrl(payload, request, verification) ??
    otherBody(payload, request, verification) ??
    (await wrongBody(payload, request, verification, tools))
  return wrong ? refuse(wrong) : { ok: true, with: `${fitting}, ${algorithm}` }
}

/** White space around it is not part of it, nor are the quotes of a body that was written as a JSON text. */
const partsOf = (token: Uint8Array): string[] =>
  new TextDecoder()
    .decode(token)
    .trim()
    .replace(/^"([^"]*)"$/, '$1')
    .split('.')

/** What the token says, as bytes of JSON: for who reads it once it was verified. Throws `invalid_payload`. */
export function claimsOf(token: Uint8Array): Uint8Array {
  const parts = partsOf(token)
  const claims = parts.length === 3 && parts[1] ? decodeBase64Url(parts[1]) : null
  if (claims) return claims
  throw new CordboardError('invalid_payload', 'The body is no JSON Web Token')
}

async function fittingKey(
  algorithm: JwtAlgorithm,
  signed: string,
  signature: Uint8Array,
  { secrets, publicKeys = [] }: JwtVerification,
  { signer }: VerifyTools,
): Promise<string | null> {
  const hash = SHARED[algorithm]
  const keys = hash ? secrets : publicKeys
  for (const [index, key] of keys.entries()) {
    let fits: boolean
    if (algorithm === 'HS256' || algorithm === 'HS512') {
      const pending = signer.hmac(hash ?? 'sha256', key, signed)
      fits = signer.equal(pending instanceof Promise ? await pending : pending, signature)
    } else {
      fits = await signer.verify(algorithm, key, signature, utf8(signed))
    }
    if (fits) return `${hash ? 'secret' : 'public key'} ${index + 1} of ${keys.length}`
  }
  return null
}

/** A claim that is there but is no number or text refuses too: it must not count as absent. */
function wrongClaim(
  claims: Record<string, unknown>,
  { issuer, audience, maxAgeMs }: JwtVerification,
  nowMs: number,
) {
  const now = nowMs / 1000
  const { exp, nbf, iat, iss, aud } = claims
  if (exp !== undefined && !(typeof exp === 'number' && now < exp + LEEWAY_S)) return 'the token has expired'
  if (nbf !== undefined && !(typeof nbf === 'number' && now >= nbf - LEEWAY_S))
    return 'the token is not valid yet'
  if (maxAgeMs !== undefined) {
    if (typeof iat !== 'number') return 'the token does not say when it was issued'
    const age = Math.round(now - iat)
    if (Math.abs(age) * 1000 > maxAgeMs) {
      return `the token is ${Math.abs(age)} s ${age > 0 ? 'old' : 'ahead of our clock'}, ${maxAgeMs / 1000} allowed`
    }
  }
  if (issuer !== undefined && iss !== issuer) return `the token’s issuer is not ${issuer}`
  const audiences: unknown[] = Array.isArray(aud) ? aud : [aud]
  if (audience !== undefined && !audiences.includes(audience))
    return `the token’s audience is not ${audience}`
  return null
}

function wrongUrl(
  claims: Record<string, unknown>,
  request: VerifiableRequest,
  { urlClaim }: JwtVerification,
): string | null {
  const given = urlClaim === undefined ? undefined : claims[urlClaim]
  if (given === undefined) return null
  const [a, b] = [typeof given === 'string' ? URL.parse(given) : null, URL.parse(request.url)]
  if (a && b && a.origin === b.origin && a.pathname === b.pathname) return null
  return `the token’s claim ${urlClaim} is another URL than the one that was called`
}

/** The body is read here, once the token is known to be authentic: else it could be swapped under a token that is. */
function otherBody(
  claims: Record<string, unknown>,
  request: VerifiableRequest,
  { bodyClaim }: JwtVerification,
): string | null {
  if (bodyClaim === undefined) return null
  let body: unknown
  try {
    body = request.json()
  } catch (error) {
    if (!(error instanceof CordboardError)) throw error
    return 'the body is no JSON that can be read'
  }
  const signed = Object.hasOwn(claims, bodyClaim) ? claims[bodyClaim] : claims
  return isSameJson(signed, body) ? null : 'the body says something else than the token'
}

async function wrongBody(
  claims: Record<string, unknown>,
  request: VerifiableRequest,
  { bodyHashClaim: bound }: JwtVerification,
  { signer }: VerifyTools,
): Promise<string | null> {
  if (!bound) return null
  const given = claims[bound.claim]
  if (typeof given !== 'string') return `the token’s claim ${bound.claim} is missing`
  const pending = signer.digest(bound.hash, request.body)
  const digest = pending instanceof Promise ? await pending : pending
  const bytes = decodeAs(bound.encoding, given)
  return bytes && signer.equal(digest, bytes)
    ? null
    : `the body does not fit the token’s claim ${bound.claim}`
}

function partOf(text: string | undefined): Record<string, unknown> | null {
  const bytes = decodeBase64Url(text ?? '')
  if (!bytes) return null
  try {
    return asObject(parseJson(bytes))
  } catch (error) {
    if (error instanceof CordboardError) return null
    throw error
  }
}
