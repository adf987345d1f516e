import { utf8 } from './encoding.ts'

/**
 * Seals what must be kept and must not be readable in the database: AES-256-GCM under a key derived (HKDF-SHA-256) from
 * the connection's own secrets. No further key has to be configured, and the database alone holds nothing usable.
 *
 * Whoever changes one of those secrets starts afresh: what was sealed before counts as absent.
 */
export interface Seal {
  seal(value: unknown): Promise<Uint8Array>
  /** Null when it cannot be opened: other secrets, another connection or name, a changed byte. */
  open(sealed: Uint8Array): Promise<unknown>
}

/** First byte of everything sealed: another way of sealing gets another one. */
const FORM = 1
const IV_BYTES = 12
const PURPOSE = 'cordboard/token/1'

/** `about` is what the seal belongs to: under another name it cannot be opened. */
export async function createSeal(secrets: readonly string[], about: readonly string[]): Promise<Seal> {
  const { subtle } = crypto
  const info = bytesOf(JSON.stringify([PURPOSE, ...about]))
  // Sorted: the order of keys in a configuration file means nothing.
  const material = await subtle.importKey(
    'raw',
    bytesOf(JSON.stringify([...secrets].sort())),
    'HKDF',
    false,
    ['deriveKey'],
  )
  const key = await subtle.deriveKey(
    { name: 'HKDF', hash: 'SHA-256', salt: bytesOf(PURPOSE), info },
    material,
    { name: 'AES-GCM', length: 256 },
    false,
    ['encrypt', 'decrypt'],
  )
  const algorithm = (iv: Uint8Array<ArrayBuffer>) => ({ name: 'AES-GCM', iv, additionalData: info })
  return {
    async seal(value) {
      const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES))
      const body = await subtle.encrypt(algorithm(iv), key, bytesOf(JSON.stringify(value)))
      const sealed = new Uint8Array(1 + IV_BYTES + body.byteLength)
      sealed[0] = FORM
      sealed.set(iv, 1)
      sealed.set(new Uint8Array(body), 1 + IV_BYTES)
      return sealed
    },
    async open(sealed) {
      if (sealed[0] !== FORM) return null
      const bytes = new Uint8Array(sealed)
      try {
        const plain = await subtle.decrypt(
          algorithm(bytes.slice(1, 1 + IV_BYTES)),
          key,
          bytes.slice(1 + IV_BYTES),
        )
        return JSON.parse(new TextDecoder().decode(plain)) as unknown
      } catch {
        return null
      }
    },
  }
}

/** A copy: WebCrypto's types take no views of shared memory. */
const bytesOf = (text: string): Uint8Array<ArrayBuffer> => new Uint8Array(utf8(text))
