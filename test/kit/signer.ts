import { createHash, createHmac, createPublicKey, verify } from 'node:crypto'
import type { Signer } from '../../src/connector/platform.ts'

/** Plain cryptography for tests: no caches, so that a mistake of the server's signer cannot hide in both. */
export const testSigner: Signer = {
  hmac: (hash, key, data) => createHmac(hash, key).update(data).digest(),
  digest: (hash, data) => createHash(hash).update(data).digest(),
  equal: (a, b) => a.length === b.length && a.every((byte, index) => byte === b[index]),
  async verify(algorithm, publicKey, signature, data) {
    if (algorithm !== 'ed25519') {
      const key = createPublicKey(String(publicKey))
      const options = algorithm === 'ES256' ? { key, dsaEncoding: 'ieee-p1363' as const } : key
      return verify('sha256', data, options, signature)
    }
    const x = Buffer.from(publicKey as Uint8Array).toString('base64url')
    return verify(
      null,
      data,
      createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }),
      signature,
    )
  },
}
