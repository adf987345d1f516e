import { createHash, createHmac, createPublicKey, verify } from 'node:crypto'
import { encodeBase64Url } from '../../src/connector/encoding.ts'
import type { Signer } from '../../src/connector/platform.ts'
import { createWebSigner } from '../../src/connector/web-signer.ts'
import { createSigner } from '../../src/node/signer.ts'

/** Plain cryptography for tests: no caches, so that a mistake of the server's signer cannot hide in both. */
export const testSigner: Signer = {
  hmac: (hash, key, data) => createHmac(hash, key).update(data).digest(),
  digest: (hash, data) => createHash(hash).update(data).digest(),
  hasher(hash) {
    const pieces: Uint8Array[] = []
    return {
      add: (bytes) => pieces.push(new Uint8Array(bytes)),
      digest: () => createHash(hash).update(Buffer.concat(pieces)).digest(),
    }
  },
  equal: (a, b) => a.length === b.length && a.every((byte, index) => byte === b[index]),
  async verify(algorithm, publicKey, signature, data) {
    if (algorithm !== 'ed25519') {
      const key = createPublicKey(String(publicKey))
      const options = algorithm === 'ES256' ? { key, dsaEncoding: 'ieee-p1363' as const } : key
      return verify('sha256', data, options, signature)
    }
    const x = encodeBase64Url(publicKey as Uint8Array)
    return verify(
      null,
      data,
      createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }),
      signature,
    )
  },
}

export const isWorkerd = navigator.userAgent === 'Cloudflare-Workers'

/** What the program itself checks with on this runtime. */
export const serverSigner: Signer = isWorkerd ? createWebSigner() : createSigner()

/** What the kits check with: where the program has nothing but WebCrypto, every vector is one for it. */
export const verifier: Signer = isWorkerd ? serverSigner : testSigner
