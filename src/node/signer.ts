import {
  createHash,
  createHmac,
  createPublicKey,
  createSecretKey,
  hash as digestOf,
  type KeyObject,
  timingSafeEqual,
  verify as verifySignature,
} from 'node:crypto'
import { promisify } from 'node:util'
import type { Signer } from '../connector/platform.ts'
import { CordboardError } from '../errors.ts'

/** Secrets and public keys of all connections fit; what a vendor rotates out falls off the end. */
const KEPT_KEYS = 1024

const verifyInThreadPool = promisify(verifySignature)

/** Cryptography on Node. A key object per secret: importing one costs more than the HMAC of a webhook. */
export function createSigner(): Signer {
  const secretKey = keeping((bytes) => createSecretKey(bytes))
  const ed25519Key = keeping((bytes) =>
    createPublicKey({
      key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(bytes).toString('base64url') },
      format: 'jwk',
    }),
  )
  const spkiKey = keeping((bytes) => {
    const text = Buffer.from(bytes)
    return createPublicKey(
      text.subarray(0, 10).toString('latin1') === '-----BEGIN'
        ? text.toString('latin1')
        : { key: text, format: 'der', type: 'spki' },
    )
  })

  return {
    hmac: (hash, key, data) => createHmac(hash, secretKey(key)).update(data).digest(),
    digest: (hash, data) => digestOf(hash, data, 'buffer'),
    hasher(hash) {
      const state = createHash(hash)
      return { add: (bytes) => state.update(bytes), digest: () => state.digest() }
    },
    // Digests have one length, so that comparing tells nothing about the length of the secret.
    equal: (a, b) => timingSafeEqual(digestOf('sha256', a, 'buffer'), digestOf('sha256', b, 'buffer')),
    async verify(algorithm, publicKey, signature, data) {
      const key = readable(() => (algorithm === 'ed25519' ? ed25519Key : spkiKey)(publicKey))
      if (algorithm === 'ed25519') return verifyInThreadPool(null, data, key, signature)
      const isRsa = key.asymmetricKeyType === 'rsa'
      if (isRsa !== (algorithm === 'RS256')) throw unreadableKey()
      // JWT signatures of ES256 are r and s side by side, not DER (RFC 7518 §3.4).
      const input = isRsa ? key : { key, dsaEncoding: 'ieee-p1363' as const }
      return verifyInThreadPool('sha256', data, input, signature)
    },
  }
}

function keeping(make: (bytes: Uint8Array) => KeyObject): (key: string | Uint8Array) => KeyObject {
  const kept = new Map<string, KeyObject>()
  return (key) => {
    const bytes =
      typeof key === 'string' ? Buffer.from(key) : Buffer.from(key.buffer, key.byteOffset, key.byteLength)
    // latin1 maps bytes to characters one to one; the prefix keeps text and bytes that look alike apart.
    const name = typeof key === 'string' ? `t${key}` : `b${bytes.toString('latin1')}`
    let made = kept.get(name)
    if (!made) {
      made = make(bytes)
      if (kept.size >= KEPT_KEYS) kept.delete(kept.keys().next().value ?? '')
      kept.set(name, made)
    }
    return made
  }
}

const unreadableKey = (cause?: unknown) =>
  new CordboardError('config', 'A public key of this connection cannot be read', {
    fix: 'Give ed25519 keys as 32 bytes, RS256 and ES256 keys as PEM or DER (SPKI)',
    cause,
  })

function readable<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw unreadableKey(error)
  }
}
