import { CordboardError } from '../errors.ts'
import { decodeAs, decodeBase64Url, utf8 } from './encoding.ts'
import { asObject, parseJson } from './json.ts'
import { checkSecrets } from './keys.ts'
import { valueAt } from './signed-text.ts'
import type { JwtVerification, VerifiableRequest } from './verification.ts'
import type { Verified, VerifyTools } from './verify.ts'

const MAX_TOKEN_LENGTH = 16_384
/** How far the sender's clock may be off. */
const LEEWAY_S = 60

const refuse = (reason: string): Verified => ({ ok: false, reason })

/** A JSON Web Token (RFC 7519) with the algorithm that was configured; the token never chooses its own. */
export async function verifyJwt(
  request: VerifiableRequest,
  verification: JwtVerification,
  tools: VerifyTools,
): Promise<Verified> {
  const { place, algorithms } = verification
  if (algorithms.includes('HS256')) checkSecrets(verification.secrets)
  if (algorithms.some((name) => name !== 'HS256')) checkSecrets(verification.publicKeys ?? [], 'public key')
  const value = valueAt('header' in place ? { prefix: 'Bearer ', ...place } : place, request)
  if ('refused' in value) return refuse(value.refused)
  if (value.length > MAX_TOKEN_LENGTH) return refuse('the token is too long')

  const [head, claims, signature, more] = new TextDecoder().decode(value).trim().split('.')
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
    wrongClaim(payload, verification, tools.now) ?? (await wrongBody(payload, request, verification, tools))
  return wrong ? refuse(wrong) : { ok: true, with: `${fitting}, ${algorithm}` }
}

async function fittingKey(
  algorithm: 'HS256' | 'RS256' | 'ES256',
  signed: string,
  signature: Uint8Array,
  { secrets, publicKeys = [] }: JwtVerification,
  { signer }: VerifyTools,
): Promise<string | null> {
  const keys = algorithm === 'HS256' ? secrets : publicKeys
  for (const [index, key] of keys.entries()) {
    let fits: boolean
    if (algorithm === 'HS256') {
      const pending = signer.hmac('sha256', key, signed)
      fits = signer.equal(pending instanceof Promise ? await pending : pending, signature)
    } else {
      fits = await signer.verify(algorithm, key, signature, utf8(signed))
    }
    if (fits) return `${algorithm === 'HS256' ? 'secret' : 'public key'} ${index + 1} of ${keys.length}`
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
