import type { Encoding } from './verification.ts'

/** Bytes as text and back, for signatures, keys and basic auth. Web standards only; both runtimes have no shared better. */

const encoder = new TextEncoder()

export const utf8 = (text: string): Uint8Array => encoder.encode(text)

export function encodeHex(bytes: Uint8Array): string {
  let out = ''
  for (const byte of bytes) out += (byte < 16 ? '0' : '') + byte.toString(16)
  return out
}

/** Null when the text is no hex. Capitals are taken. */
export function decodeHex(text: string): Uint8Array | null {
  if (text.length % 2 !== 0 || !/^[\da-f]*$/i.test(text)) return null
  const bytes = new Uint8Array(text.length / 2)
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16)
  return bytes
}

export function encodeBase64(bytes: Uint8Array): string {
  // In pieces: a spread of many bytes overflows the stack.
  let binary = ''
  for (let i = 0; i < bytes.length; i += 8192) binary += String.fromCharCode(...bytes.subarray(i, i + 8192))
  return btoa(binary)
}

/** Null when the text is no base64. Padding may be missing; white space and the URL alphabet are refused. */
export function decodeBase64(text: string): Uint8Array | null {
  if (!/^[A-Za-z\d+/]*={0,2}$/.test(text) || text.replace(/=+$/, '').length % 4 === 1) return null
  const binary = atob(text.replace(/=+$/, ''))
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i)
  return bytes
}

export function encodeBase64Url(bytes: Uint8Array): string {
  return encodeBase64(bytes).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}

export function decodeBase64Url(text: string): Uint8Array | null {
  if (!/^[\w-]*={0,2}$/.test(text)) return null
  return decodeBase64(text.replaceAll('-', '+').replaceAll('_', '/'))
}

export function encodeAs(encoding: Encoding, bytes: Uint8Array): string {
  if (encoding === 'hex') return encodeHex(bytes)
  if (encoding === 'base64') return encodeBase64(bytes)
  if (encoding === 'base64url') return encodeBase64Url(bytes)
  return btoa(encodeHex(bytes))
}

/** Null when the text is not written in this encoding. */
export function decodeAs(encoding: Encoding, text: string): Uint8Array | null {
  if (encoding === 'hex') return decodeHex(text)
  if (encoding === 'base64') return decodeBase64(text)
  if (encoding === 'base64url') return decodeBase64Url(text)
  const hex = decodeBase64(text)
  return hex && decodeHex(String.fromCharCode(...hex.subarray(0, 1024)))
}
