import { CordboardError } from '../errors.ts'
import { decodeBase64, decodeHex } from './encoding.ts'
import type { HmacVerification } from './verification.ts'

/**
 * Keys out of configured secrets. A secret that cannot be one is a mistake of the configuration and thrown as such,
 * before anything is compared: an empty key would accept whoever guesses that it is empty.
 */
export function checkSecrets(secrets: readonly string[], what = 'secret'): readonly string[] {
  if (secrets.length === 0) throw new CordboardError('config', `No ${what} is configured`)
  if (secrets.some((secret) => secret.trim() === '')) {
    throw new CordboardError('config', `A configured ${what} is empty`)
  }
  return secrets
}

/**
 * The key that a secret stands for. Decoded ones are remembered: the signer keeps its key objects by the identity of the
 * bytes, and thousands of requests a second use the same few.
 */
export function keyOf(
  secret: string,
  encoding: HmacVerification['secretEncoding'] = 'utf8',
): string | Uint8Array {
  if (encoding === 'utf8') return secret
  const name = `${encoding}:${secret}`
  const known = decoded.get(name)
  if (known) return known
  const bytes = encoding === 'hex' ? decodeHex(secret) : decodeBase64(secret)
  if (!bytes || bytes.length === 0) {
    throw new CordboardError('config', `A configured secret is not ${encoding}`, {
      fix: 'Copy the whole secret from the sender, with nothing before or after it',
    })
  }
  if (decoded.size >= 1000) decoded.clear()
  decoded.set(name, bytes)
  return bytes
}

const decoded = new Map<string, Uint8Array>()

/** Raw 32 bytes, written as base64 or hex. */
export function ed25519Key(publicKey: string): Uint8Array {
  const bytes = /^[\da-f]{64}$/i.test(publicKey) ? decodeHex(publicKey) : decodeBase64(publicKey)
  if (bytes?.length !== 32)
    throw new CordboardError('config', 'A configured public key is no Ed25519 key of 32 bytes')
  return bytes
}
