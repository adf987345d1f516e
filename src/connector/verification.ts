/**
 * How an inbound request proves who sent it: data, evaluated in one place (verify.ts) over the raw bytes, in constant
 * time, failing closed. A connector states the scheme; it never compares anything itself.
 */

export type Hash = 'sha1' | 'sha256' | 'sha512' | 'md5'

/** `base64-of-hex` is base64 over the lowercase hex text: what PHP's hash_hmac + base64_encode produce. */
export type Encoding = 'hex' | 'base64' | 'base64url' | 'base64-of-hex'

/** A piece of the signed text. `urlDecoded` decodes only the listed escapes (`%3A` …) in the URL, nothing else. */
export type SignedPart =
  | { text: string }
  | { method: true }
  | { url: true }
  | { urlDecoded: readonly string[] }
  | { path: true }
  | { body: true }
  | { header: string }
  | { query: string }
  | { field: string }

/**
 * Where a plain value stands in the request. `field` is a top-level field of a form or JSON body; `path` is the last
 * segment of the URL's path. `or` is a second header for the same value, where the vendor's own pages name it differently.
 */
export type Place =
  | { header: string; or?: string; prefix?: string }
  | { query: string }
  | { path: true }
  | { field: string }
  | { basic: 'password' | 'user:password' }

export interface Freshness {
  /** Header that carries the sender's time; it must be part of what is signed. */
  header: string
  /** `clock`: `2026-03-04 11:22:33`, of a clock in `timeZone`. */
  unit: 's' | 'ms' | 'clock'
  /** IANA name; default UTC. */
  timeZone?: string
  /** How far it may differ from our clock, both ways, in milliseconds. */
  toleranceMs: number
}

export interface HmacVerification {
  scheme: 'hmac'
  hash: Hash
  encoding: Encoding | readonly Encoding[]
  /** Header with the signature; with `prefix` (`v1=`) cut off; several signatures divided by `separator` are all tried. */
  header: string
  prefix?: string
  separator?: string
  signed: readonly SignedPart[]
  secrets: readonly string[]
  /** How a secret becomes key bytes; default: its UTF-8 text. */
  secretEncoding?: 'utf8' | 'base64' | 'hex'
  freshness?: Freshness
}

/**
 * A plain hash over a text that holds the secret, for vendors that make no HMAC: `sha256(key + body + secret)`. The secret
 * closes the text. Where it only stood in front, whoever saw one signed text could sign a longer one (length extension).
 */
export interface HashVerification {
  scheme: 'hash'
  hash: Hash
  encoding: Encoding
  /** Where the signature stands. */
  place: Exclude<Place, { basic: string }>
  signed: readonly (SignedPart | { secret: true })[]
  /**
   * `json`: the secret stands in front, and the body closes the text and must be JSON. What length extension adds begins with
   * the byte 0x80, and nothing may follow a JSON value. For vendors that have nothing better.
   */
  closedBy?: 'json'
  secrets: readonly string[]
}

export interface TokenVerification {
  scheme: 'token'
  place: Place
  secrets: readonly string[]
}

export type JwtAlgorithm = 'HS256' | 'HS512' | 'RS256' | 'ES256'

/**
 * JSON Web Token in `place` (a header's `prefix` is `Bearer ` unless given), signed HS256/HS512 with a shared secret or
 * RS256/ES256 with `publicKeys`. `body`: of a vendor that sends what it says as a token, which is the whole body.
 */
export interface JwtVerification {
  scheme: 'jwt'
  place: Place | { body: true }
  algorithms: readonly JwtAlgorithm[]
  /** For HS256 and HS512. */
  secrets: readonly string[]
  /** SPKI PEM, for RS256 and ES256. Kept apart from `secrets`: a public key must never be taken for a shared one. */
  publicKeys?: readonly string[]
  issuer?: string
  audience?: string
  /** How far the claim `iat` may differ from our clock, both ways, in milliseconds: for tokens that do not expire. */
  maxAgeMs?: number
  /** Claim that must equal the hash of the raw body, when the vendor binds it. */
  bodyHashClaim?: { claim: string; hash: Hash; encoding: Encoding }
  /**
   * Claim that must say the same as the JSON of the body, for vendors that put the whole body into the token; where there
   * is no such claim, all claims together must.
   */
  bodyClaim?: string
  /** Claim that must be the URL that was called, up to its query, where it is there. */
  urlClaim?: string
}

export interface Ed25519Verification {
  scheme: 'ed25519'
  header: string
  encoding: Encoding
  signed: readonly SignedPart[]
  /** Raw 32-byte public keys, base64 or hex. */
  publicKeys: readonly string[]
  freshness?: Freshness
}

/** One text that, signed with a secret, would give `given`. */
export interface Claim {
  hash: Hash
  encoding: Encoding
  signed: string | Uint8Array
  given: string
}

/**
 * For schemes whose text depends on the request (which event, which URL spelling). The connector only lists claims; the
 * engine computes and compares. Accepted when one claim fits one secret and every digest fits.
 */
export interface CustomVerification {
  scheme: 'custom'
  /** Why nothing else fits. */
  reason: string
  /** Header that carries the signature: where a signer of fixtures puts it. */
  header: string
  secrets: readonly string[]
  /** Every claim must have this header in its text: nothing here can see whether it has. */
  freshness?: Freshness
  /** Also lists its claims when the header is missing (`given` is empty then): the engine refuses, a signer signs. */
  claims(request: VerifiableRequest): readonly Claim[] | { refused: string }
  digests?(
    request: VerifiableRequest,
  ): readonly { hash: Hash; encoding: Encoding; of: Uint8Array; given: string }[]
}

/** The vendor signs nothing. Shown as a warning wherever the connection is shown. */
export interface NothingVerification {
  scheme: 'nothing'
  reason: string
}

export type Verification =
  | HmacVerification
  | HashVerification
  | TokenVerification
  | JwtVerification
  | Ed25519Verification
  | CustomVerification
  | NothingVerification

/** What a verifier may look at. `form` and `json` are bounded parses (size, depth 64, no prototypes). */
export interface VerifiableRequest {
  method: string
  /** The URL the vendor called: the configured public base, then the path and query as received. Never from `Host`. */
  url: string
  headers: Headers
  body: Uint8Array
  form(): URLSearchParams
  json(): unknown
}
