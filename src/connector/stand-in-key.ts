import { decodeHex } from './encoding.ts'

/**
 * The Ed25519 pair of the stand-ins. Of a vendor that signs with its private key nobody else can sign, so a stand-in, the
 * demo and `cordboard send` sign with this one: the account that they play has `STAND_IN_PUBLIC_KEY` as the vendor's key.
 * Its seed is the bytes 0 to 31, for all to see; it proves nothing, and belongs into no real connection.
 */
export const STAND_IN_PUBLIC_KEY = 'A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg='

const SEED = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'
/** PKCS #8 around a seed of 32 bytes (RFC 8410 §7): the only form in which WebCrypto takes one. */
const PKCS8_HEAD = '302e020100300506032b657004220420'

/** The 64 bytes of the signature. */
export async function signAsStandIn(data: Uint8Array): Promise<Uint8Array> {
  const pkcs8 = new Uint8Array(decodeHex(PKCS8_HEAD + SEED) ?? [])
  const key = await crypto.subtle.importKey('pkcs8', pkcs8, { name: 'Ed25519' }, false, ['sign'])
  return new Uint8Array(await crypto.subtle.sign({ name: 'Ed25519' }, key, new Uint8Array(data)))
}
