import { sha256, sha512 } from '@noble/hashes/sha2.js'
import { CordboardError } from '../errors.ts'
import type { Hash, Signer } from './platform.ts'

/** Secrets and public keys of all connections fit; what a vendor rotates out falls off the end. */
const KEPT_KEYS = 1024

const HASH_NAMES: Partial<Record<Hash, string>> = { sha1: 'SHA-1', sha256: 'SHA-256', sha512: 'SHA-512' }

/** The signer over WebCrypto, for runtimes that have nothing else. */
export function createWebSigner(): Signer {
  const { subtle } = crypto
  const keys = new Map<string, Promise<CryptoKey>>()

  const kept = (kind: string, key: string | Uint8Array, load: (bytes: Bytes) => Promise<CryptoKey>) => {
    const bytes = toBytes(key)
    const name = `${kind}:${Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')}`
    let loading = keys.get(name)
    if (!loading) {
      loading = load(bytes)
      if (keys.size >= KEPT_KEYS) keys.delete(keys.keys().next().value ?? '')
      keys.set(name, loading)
      // A key that cannot be read is not kept: the next request must say so as well.
      loading.catch(() => keys.delete(name))
    }
    return loading
  }

  return {
    async hmac(hash, key, data) {
      const name = hashName(hash)
      const imported = await kept(hash, key, (bytes) =>
        subtle.importKey('raw', bytes, { name: 'HMAC', hash: name }, false, ['sign']),
      )
      return new Uint8Array(await subtle.sign('HMAC', imported, toBytes(data)))
    },
    async digest(hash, data) {
      return new Uint8Array(await subtle.digest(hashName(hash), toBytes(data)))
    },
    hasher(hash) {
      // WebCrypto takes only what is whole.
      const state = (hash === 'sha256' ? sha256 : sha512).create()
      return { add: (bytes) => state.update(bytes), digest: () => state.digest() }
    },
    // The time depends on the length of `b` alone, never on where the two differ. Past its end `a` is read from its
    // beginning: a read outside an array takes longer and would tell how long `a` is.
    equal(a, b) {
      let difference = a.length ^ b.length
      for (let at = 0; at < b.length; at += 1) difference |= (a[at % a.length] ?? 0) ^ (b[at] ?? 0)
      return difference === 0
    },
    async verify(algorithm, publicKey, signature, data) {
      const scheme = SCHEMES[algorithm]
      const key = await kept(algorithm, publicKey, (bytes) =>
        subtle.importKey(scheme.format, scheme.format === 'raw' ? bytes : der(bytes), scheme.import, false, [
          'verify',
        ]),
      ).catch((error: unknown) => {
        throw new CordboardError('config', 'A public key of this connection cannot be read', {
          fix: 'Give ed25519 keys as 32 bytes, RS256 and ES256 keys as PEM or DER (SPKI)',
          cause: error,
        })
      })
      return subtle.verify(scheme.verify, key, toBytes(signature), toBytes(data)).catch((error: unknown) => {
        // workerd throws at a signature of another length; it is a wrong one like any other.
        if (error instanceof Error && error.name === 'OperationError') return false
        throw error
      })
    },
  }
}

const SCHEMES = {
  ed25519: { format: 'raw', import: { name: 'Ed25519' }, verify: { name: 'Ed25519' } },
  RS256: {
    format: 'spki',
    import: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
    verify: { name: 'RSASSA-PKCS1-v1_5' },
  },
  ES256: {
    format: 'spki',
    import: { name: 'ECDSA', namedCurve: 'P-256' },
    verify: { name: 'ECDSA', hash: 'SHA-256' },
  },
} as const

type Bytes = Uint8Array<ArrayBuffer>

/** WebCrypto takes no views of shared memory; a copy satisfies it and its types. */
const toBytes = (data: string | Uint8Array): Bytes =>
  new Uint8Array(typeof data === 'string' ? new TextEncoder().encode(data) : data)

function hashName(hash: Hash): string {
  const name = HASH_NAMES[hash]
  if (name !== undefined) return name
  throw new CordboardError('config', `This runtime cannot compute ${hash}`, {
    why: 'WebCrypto leaves it out',
    fix: 'Run connections of this vendor on Node, or choose a newer signature in the vendor’s settings',
  })
}

/** PEM text to DER; DER stays as it is. */
function der(bytes: Bytes): Bytes {
  const text = new TextDecoder('latin1').decode(bytes)
  if (!text.startsWith('-----BEGIN')) return bytes
  const base64 = text.replaceAll(/-----[^-]+-----|\s/g, '')
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
}
