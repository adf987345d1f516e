import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Hash } from '../../src/connector/platform.ts'
import { createWebSigner } from '../../src/connector/web-signer.ts'
import { createSigner } from '../../src/node/signer.ts'
import { isWorkerd } from '../kit/signer.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const utf8 = (text: string) => new TextEncoder().encode(text)
/** Both runtimes sign with it, where workerd takes no key object beside options. */
const pem = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' })

// RFC 2202 and RFC 4231 test case 2; the digests of "abc" from FIPS 180 and RFC 1321.
const HMACS: [Hash, string][] = [
  ['md5', '750c783e6ab0b503eaa86e310a5db738'],
  ['sha1', 'effcdf6ae5eb2fa2d27416d5f184df9c259a7c79'],
  ['sha256', '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'],
  [
    'sha512',
    '164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737',
  ],
]
const DIGESTS: [Hash, string][] = [
  ['md5', '900150983cd24fb0d6963f7d28e17f72'],
  ['sha1', 'a9993e364706816aba3e25717850c26c9cd0d89d'],
  ['sha256', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  [
    'sha512',
    'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
  ],
]

const ON_NODE = ['node:crypto', createSigner] as const
const ANYWHERE = ['WebCrypto', createWebSigner] as const

for (const [name, create] of isWorkerd ? [ANYWHERE] : [ON_NODE, ANYWHERE]) {
  describe(`the signer over ${name}`, () => {
    const signer = create()
    const missing = (hash: Hash) => hash === 'md5' && name === 'WebCrypto'

    it.each(HMACS)('computes HMAC-%s, with text and bytes alike', async (hash, expected) => {
      const compute = async (key: string | Uint8Array, data: string | Uint8Array) =>
        hex(await signer.hmac(hash, key, data))
      if (missing(hash)) {
        await expect(compute('Jefe', 'x')).rejects.toMatchObject({ code: 'config' })
        return
      }
      expect(await compute('Jefe', 'what do ya want for nothing?')).toBe(expected)
      expect(await compute(utf8('Jefe'), utf8('what do ya want for nothing?'))).toBe(expected)
    })

    it.each(DIGESTS)('computes %s', async (hash, expected) => {
      const compute = async (data: string | Uint8Array) => hex(await signer.digest(hash, data))
      if (missing(hash)) {
        await expect(compute('abc')).rejects.toMatchObject({ code: 'config' })
        return
      }
      expect(await compute('abc')).toBe(expected)
      expect(await compute(utf8('abc'))).toBe(expected)
    })

    it('computes the digest of what comes in pieces', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }),
          fc.constantFrom('sha256', 'sha512'),
          async (pieces, hash) => {
            const hasher = signer.hasher(hash)
            for (const piece of pieces) hasher.add(piece)
            expect(hex(hasher.digest())).toBe(hex(await signer.digest(hash, Buffer.concat(pieces))))
          },
        ),
      )
    })

    it('keeps keys apart, also when text and bytes look alike and when many come by', async () => {
      const first = hex(await signer.hmac('sha256', 'é', 'x'))
      expect(hex(await signer.hmac('sha256', new Uint8Array([0xe9]), 'x'))).not.toBe(first)
      for (let i = 0; i < 3000; i += 1) await signer.hmac('sha256', `key ${i}`, 'x')
      expect(hex(await signer.hmac('sha256', 'é', 'x'))).toBe(first)
    })

    it('does not confuse a buffer with the memory around it', async () => {
      const whole = utf8('..Jefe..')
      expect(hex(await signer.hmac('sha256', whole.subarray(2, 6), 'what do ya want for nothing?'))).toBe(
        '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
      )
    })

    it('says equal exactly for equal bytes', () => {
      const bytes = fc.uint8Array({ maxLength: 40 })
      fc.assert(
        fc.property(bytes, bytes, (a, b) => {
          expect(signer.equal(a, Uint8Array.from(a))).toBe(true)
          expect(signer.equal(a, b)).toBe(hex(a) === hex(b))
        }),
      )
      expect(signer.equal(utf8('abc'), utf8('abcd'))).toBe(false)
      expect(signer.equal(utf8('abc\0'), utf8('abc'))).toBe(false)
      expect(signer.equal(utf8('abc'), utf8('abc\0'))).toBe(false)
    })

    const data = utf8('the signed text')
    const other = utf8('another text')

    it('verifies ed25519 with a raw public key', async () => {
      // RFC 8032 §7.1 test 3.
      const key = Buffer.from('fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025', 'hex')
      const signature = Buffer.from(
        '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
        'hex',
      )
      expect(await signer.verify('ed25519', key, signature, Buffer.from('af82', 'hex'))).toBe(true)
      expect(await signer.verify('ed25519', key, signature, other)).toBe(false)
      expect(await signer.verify('ed25519', key, new Uint8Array(3), data)).toBe(false)
    })

    it('verifies RS256 and ES256 with PEM and with DER', async () => {
      const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
      const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      for (const [algorithm, pair] of [
        ['RS256', rsa],
        ['ES256', ec],
      ] as const) {
        const signature = sign('sha256', data, { key: pem(pair.privateKey), dsaEncoding: 'ieee-p1363' })
        const text = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString()
        const der = pair.publicKey.export({ type: 'spki', format: 'der' })
        expect(await signer.verify(algorithm, text, signature, data)).toBe(true)
        expect(await signer.verify(algorithm, der, signature, data)).toBe(true)
        expect(await signer.verify(algorithm, text, signature, other)).toBe(false)
        expect(await signer.verify(algorithm, text, new Uint8Array(0), data)).toBe(false)
      }
      const rsaPem = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString()
      await expect(signer.verify('ES256', rsaPem, new Uint8Array(64), data)).rejects.toMatchObject({
        code: 'config',
      })
    })

    it('calls an unreadable public key a configuration error, every time', async () => {
      for (const algorithm of ['ed25519', 'RS256', 'ES256', 'ed25519'] as const) {
        const verified = signer.verify(algorithm, utf8('no key'), new Uint8Array(64), data)
        await expect(verified).rejects.toMatchObject({ code: 'config' })
      }
    })
  })
}
