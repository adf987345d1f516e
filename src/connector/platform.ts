import type { AudioFormat } from './contract.ts'
import type { Encoding, Hash } from './verification.ts'

/** What the core needs of its runtime. Node's are in src/node, Cloudflare's in src/worker. */

export interface HttpRequest {
  method: string
  headers: Record<string, string>
  body?: string | Uint8Array | URLSearchParams | FormData | ReadableStream<Uint8Array>
  signal: AbortSignal
  /** Until the response's headers are in, and between two chunks of its body. */
  timeoutMs: number
  /** A longer response body errors with `too_large`. */
  maxBytes: number
  /** Redirects to follow; each hop is checked like the first. */
  redirects: number
  /** `host` or `host:port` of private addresses that this connection may reach (on-premise systems). */
  allowPrivate: readonly string[]
}

/**
 * One HTTP exchange, without retries. Throws CordboardError `timeout`, `vendor_down`, `blocked_address`, `too_large`;
 * any HTTP status is an answer. The response body streams.
 */
export type HttpFetch = (url: URL, request: HttpRequest) => Promise<Response>

export interface Hasher {
  add(bytes: Uint8Array): void
  /** Once, at the end. */
  digest(): Uint8Array
}

/** Cryptography over bytes. Keys are cached by the implementation: one key object per secret. */
export interface Signer {
  hmac(hash: Hash, key: string | Uint8Array, data: string | Uint8Array): Uint8Array | Promise<Uint8Array>
  digest(hash: Hash, data: string | Uint8Array): Uint8Array | Promise<Uint8Array>
  /** The digest of what comes in pieces. */
  hasher(hash: 'sha256' | 'sha512'): Hasher
  /** Constant time for any two inputs, also of different lengths. */
  equal(a: Uint8Array, b: Uint8Array): boolean
  /** Public-key check. `publicKey`: raw 32 bytes for ed25519, SPKI DER or PEM text for the others. */
  verify(
    algorithm: 'ed25519' | 'RS256' | 'ES256',
    publicKey: string | Uint8Array,
    signature: Uint8Array,
    data: Uint8Array,
  ): Promise<boolean>
}

/** Formats that recordings are made into, the most welcome first: small, known everywhere, a stream from the first byte. */
export const MADE_FORMATS = ['mp3', 'ogg', 'flac', 'wav'] as const
export type MadeFormat = (typeof MADE_FORMATS)[number]

export interface Conversion {
  from: AudioFormat
  to: MadeFormat
  /** Only this track; absent: all of them, as they are. */
  track?: 'left' | 'right'
  /** More is too much, and ends it. */
  maxBytes?: number
  signal: AbortSignal
}

/**
 * Makes audio of one format into another, as it is read. The stream errors with CordboardError: `rejected` for what is no
 * such audio, `too_large`, `timeout`, and `config` when nothing here can convert any more.
 */
export type Convert = (audio: ReadableStream<Uint8Array>, wish: Conversion) => ReadableStream<Uint8Array>

export type { Encoding, Hash }
