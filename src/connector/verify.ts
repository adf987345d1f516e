import { toInstant } from '../call/zone.ts'
import { CordboardError } from '../errors.ts'
import { decodeAs, utf8 } from './encoding.ts'
import { verifyJwt } from './jwt.ts'
import { checkSecrets, ed25519Key, keyOf } from './keys.ts'
import { maskSecrets } from './mask.ts'
import type { Signer } from './platform.ts'
import { hashedBytes, type Refused, signedBytes, valueAt } from './signed-text.ts'
import type {
  CustomVerification,
  Ed25519Verification,
  Encoding,
  Freshness,
  HashVerification,
  HmacVerification,
  SignedPart,
  TokenVerification,
  VerifiableRequest,
  Verification,
} from './verification.ts'

/** `with` says what fitted (`secret 2 of 2`), so that an operator sees when an old secret can go. */
export type Verified = { ok: true; with: string } | { ok: false; reason: string }

export interface VerifyTools {
  /** Milliseconds since 1970. */
  now: number
  signer: Signer
}

/**
 * The one place where a request's authenticity is decided. Fails closed: what is missing, unreadable or out of bounds
 * refuses. Reasons are for operators and hold no secret and no computed signature. Throws `config` when there is no
 * usable secret, since that is nobody's forged request.
 *
 * This runs for every request that reaches us, so a signer's answer is awaited only when it is a promise, and no async
 * function returns another's: with a synchronous signer a request costs a single microtask.
 */
export function verifyRequest(
  request: VerifiableRequest,
  verification: Verification,
  tools: VerifyTools,
): Promise<Verified> {
  switch (verification.scheme) {
    case 'hmac':
      return verifyHmac(request, verification, tools)
    case 'hash':
      return verifyHash(request, verification, tools)
    case 'token':
      return verifyToken(request, verification, tools)
    case 'jwt':
      return verifyJwt(request, verification, tools)
    case 'ed25519':
      return verifyEd25519(request, verification, tools)
    case 'custom':
      return verifyCustom(request, verification, tools)
    case 'nothing':
      return Promise.resolve({ ok: true, with: `nothing: ${verification.reason}` })
  }
}

const refuse = (reason: string): Verified => ({ ok: false, reason })
const nth = (index: number, all: readonly unknown[], what = 'secret') =>
  `${what} ${index + 1} of ${all.length}`

/** More signatures than any sender rotates through. */
const MAX_SIGNATURES = 16
const MAX_SIGNATURE_LENGTH = 1024

async function verifyHmac(
  request: VerifiableRequest,
  verification: HmacVerification,
  { now, signer }: VerifyTools,
): Promise<Verified> {
  const { hash, header, secrets, freshness } = verification
  checkSecrets(secrets)
  const given = signaturesIn(request, verification)
  if ('refused' in given) return refuse(given.refused)
  const stale = freshness && signedStaleness(request, freshness, verification.signed, now)
  if (stale) return refuse(stale)
  const signed = signedBytes(verification.signed, request)
  if ('refused' in signed) return refuse(signed.refused)

  const encodings: readonly Encoding[] =
    typeof verification.encoding === 'string' ? [verification.encoding] : verification.encoding
  const candidates = given.signatures.flatMap((text) =>
    encodings.map((encoding) => ({ encoding, bytes: decodeAs(encoding, text) })),
  )
  if (candidates.every(({ bytes }) => bytes === null)) {
    return refuse(`the signature in the header ${header} is not written as ${encodings.join(' or ')}`)
  }
  for (const [index, secret] of secrets.entries()) {
    const pending = signer.hmac(hash, keyOf(secret, verification.secretEncoding), signed.data)
    const mac = pending instanceof Promise ? await pending : pending
    const fit = candidates.find(({ bytes }) => bytes !== null && signer.equal(mac, bytes))
    if (fit)
      return { ok: true, with: nth(index, secrets) + (encodings.length > 1 ? `, ${fit.encoding}` : '') }
  }
  return refuse(misfit(secrets, verification.signed.some(isUrl) ? request.url : null))
}

const isUrl = (part: SignedPart | { secret: true }) => 'url' in part || 'urlDecoded' in part || 'path' in part

function signaturesIn(
  request: VerifiableRequest,
  { header, prefix, separator }: HmacVerification,
): { signatures: string[] } | Refused {
  const value = request.headers.get(header)
  if (!value) return { refused: `the header ${header} is missing` }
  if (value.length > MAX_SIGNATURES * MAX_SIGNATURE_LENGTH)
    return { refused: `the header ${header} is too long` }
  const all = (separator === undefined ? [value] : value.split(separator))
    .map((text) => text.trim())
    .filter((text) => text !== '' && text.length <= MAX_SIGNATURE_LENGTH)
  const own = prefix === undefined ? all : all.filter((text) => text.startsWith(prefix))
  if (own.length === 0) {
    return {
      refused: `the header ${header} carries no signature${prefix ? ` that begins with "${prefix}"` : ''}`,
    }
  }
  if (own.length > MAX_SIGNATURES) {
    return { refused: `the header ${header} carries more than ${MAX_SIGNATURES} signatures` }
  }
  return { signatures: prefix === undefined ? own : own.map((text) => text.slice(prefix.length)) }
}

/** An unsigned time says nothing: whoever replays a request would write the present one. */
function signedStaleness(
  request: VerifiableRequest,
  freshness: Freshness,
  signed: readonly SignedPart[],
  now: number,
): string | null {
  const { header } = freshness
  const isSigned = signed.some(
    (part) => 'header' in part && part.header.toLowerCase() === header.toLowerCase(),
  )
  if (!isSigned) throw new CordboardError('config', `The connector does not sign its time header ${header}`)
  return staleness(request, freshness, now)
}

/** Why the request is too old or too new, or null. */
function staleness(request: VerifiableRequest, freshness: Freshness, now: number): string | null {
  const { header, unit, toleranceMs } = freshness
  const value = request.headers.get(header)
  if (!value) return `the header ${header} is missing`
  const at = timeOf(value, freshness)
  if (at === null) return `the header ${header} is no time in ${unit}`
  const age = now - at
  if (Math.abs(age) <= toleranceMs) return null
  const seconds = Math.round(Math.abs(age) / 1000)
  return `the timestamp is ${seconds} s ${age > 0 ? 'old' : 'ahead of our clock'}, ${toleranceMs / 1000} allowed`
}

function timeOf(value: string, { unit, timeZone = 'UTC' }: Freshness): number | null {
  if (unit !== 'clock') return /^\d{1,16}$/.test(value) ? Number(value) * (unit === 's' ? 1000 : 1) : null
  if (!/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/.test(value)) return null
  return Number.isNaN(Date.parse(`${value.replace(' ', 'T')}Z`))
    ? null
    : Date.parse(toInstant(value, timeZone))
}

function misfit(secrets: readonly string[], url: string | null): string {
  const which = secrets.length === 1 ? 'the secret' : `any of the ${secrets.length} secrets`
  if (url === null) return `the signature does not fit ${which}`
  // Values of the query may be personal; its presence is what matters when the URL is the mistake.
  const shown = maskSecrets(url.replace(/\?.*$/s, ''), secrets).slice(0, 300)
  const query = url.includes('?') ? ' and its query as received' : ''
  return `the signature does not fit ${which}; the URL that was signed is expected to be ${shown}${query}`
}

async function verifyHash(
  request: VerifiableRequest,
  { hash, encoding, place, signed, secrets, closedBy }: HashVerification,
  { signer }: VerifyTools,
): Promise<Verified> {
  checkSecrets(secrets)
  const given = valueAt(place, request)
  if ('refused' in given) return refuse(given.refused)
  const bytes =
    given.length > MAX_SIGNATURE_LENGTH ? null : decodeAs(encoding, new TextDecoder().decode(given))
  if (bytes === null) return refuse(`the signature is not written as ${encoding}`)
  for (const [index, secret] of secrets.entries()) {
    const text = hashedBytes({ signed, ...(closedBy && { closedBy }) }, secret, request)
    if ('refused' in text) return refuse(text.refused)
    const pending = signer.digest(hash, text.data)
    const digest = pending instanceof Promise ? await pending : pending
    if (!signer.equal(digest, bytes)) continue
    if (closedBy === 'json' && !isJson(request)) return refuse('what was signed does not end with JSON')
    return { ok: true, with: nth(index, secrets) }
  }
  return refuse(misfit(secrets, signed.some(isUrl) ? request.url : null))
}

/** Asked only of what somebody who knows the secret, or has seen a text of theirs, has signed. */
function isJson(request: VerifiableRequest): boolean {
  return !('refused' in readable(() => ({ json: request.json() })))
}

async function verifyToken(
  request: VerifiableRequest,
  { place, secrets }: TokenVerification,
  { signer }: VerifyTools,
): Promise<Verified> {
  checkSecrets(secrets)
  const value = valueAt(place, request)
  if ('refused' in value) return refuse(value.refused)
  // All are compared, so that the time does not tell which one fitted.
  const fits = secrets.map((secret) => signer.equal(utf8(secret), value))
  const index = fits.indexOf(true)
  if (index >= 0) return { ok: true, with: nth(index, secrets) }
  return refuse(
    `the token does not fit ${secrets.length === 1 ? 'the secret' : `any of the ${secrets.length} secrets`}`,
  )
}

async function verifyEd25519(
  request: VerifiableRequest,
  { header, encoding, signed, publicKeys, freshness }: Ed25519Verification,
  { now, signer }: VerifyTools,
): Promise<Verified> {
  checkSecrets(publicKeys, 'public key')
  const given = request.headers.get(header)
  if (!given) return refuse(`the header ${header} is missing`)
  const stale = freshness && signedStaleness(request, freshness, signed, now)
  if (stale) return refuse(stale)
  const bytes = signedBytes(signed, request)
  if ('refused' in bytes) return refuse(bytes.refused)
  const signature = given.length > MAX_SIGNATURE_LENGTH ? null : decodeAs(encoding, given)
  if (signature?.length !== 64)
    return refuse(`the signature in the header ${header} is not 64 bytes as ${encoding}`)
  const data = typeof bytes.data === 'string' ? utf8(bytes.data) : bytes.data
  for (const [index, key] of publicKeys.entries()) {
    if (await signer.verify('ed25519', ed25519Key(key), signature, data)) {
      return { ok: true, with: nth(index, publicKeys, 'public key') }
    }
  }
  return refuse('the signature does not fit the configured public key')
}

/** More ways to spell what was signed than any vendor has. */
const MAX_CLAIMS = 32

async function verifyCustom(
  request: VerifiableRequest,
  verification: CustomVerification,
  { now, signer }: VerifyTools,
): Promise<Verified> {
  const { header, secrets, freshness } = verification
  checkSecrets(secrets)
  if (!request.headers.get(header)) return refuse(`the header ${header} is missing`)
  const stale = freshness && staleness(request, freshness, now)
  if (stale) return refuse(stale)
  const listed = readable(() => verification.claims(request))
  if ('refused' in listed) return refuse(listed.refused)
  const claims = listed.slice(0, MAX_CLAIMS).flatMap((claim) => {
    const { encoding, given } = claim
    const bytes = given === '' || given.length > MAX_SIGNATURE_LENGTH ? null : decodeAs(encoding, given)
    return bytes === null ? [] : [{ claim, bytes }]
  })
  if (claims.length === 0) return refuse(`the signature in the header ${header} is not written as expected`)
  for (const [index, secret] of secrets.entries()) {
    for (const { claim, bytes } of claims) {
      // Read here, one after the other: a connector may work a text out only when the ones before did not fit.
      const { hash, encoding, signed } = claim
      const pending = signer.hmac(hash, secret, signed)
      const mac = pending instanceof Promise ? await pending : pending
      if (!signer.equal(mac, bytes)) continue
      const wrong = await wrongDigest(request, verification, signer)
      return wrong ? refuse(wrong) : { ok: true, with: `${nth(index, secrets)}, ${encoding}` }
    }
  }
  return refuse(misfit(secrets, request.url))
}

async function wrongDigest(
  request: VerifiableRequest,
  verification: CustomVerification,
  signer: Signer,
): Promise<string | null> {
  const digests = readable(() => verification.digests?.(request) ?? [])
  if ('refused' in digests) return digests.refused
  for (const { hash, encoding, of, given } of digests) {
    const pending = signer.digest(hash, of)
    const digest = pending instanceof Promise ? await pending : pending
    const bytes = decodeAs(encoding, given.slice(0, MAX_SIGNATURE_LENGTH))
    if (!bytes || !signer.equal(digest, bytes))
      return `the ${hash} of the body is not the one that was signed`
  }
  return null
}

/** What a connector reads from a hostile body may be out of bounds: that refuses, it is no failure of ours. */
function readable<T>(read: () => T): T | Refused {
  try {
    return read()
  } catch (error) {
    if (error instanceof CordboardError && error.code === 'invalid_payload') return { refused: error.message }
    throw error
  }
}
