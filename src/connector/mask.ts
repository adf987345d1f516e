import { encodeBase64, utf8 } from './encoding.ts'

const MASK = '•••'

/** Headers that hold credentials whatever their value: a mistyped secret is one too. */
const CREDENTIALS = new Set(
  'authorization proxy-authorization cookie set-cookie x-api-key api-key x-auth-token x-access-token'.split(
    ' ',
  ),
)

/**
 * A text in which every secret is covered, however it is spelled there: as it is, in a URL or form, in JSON, in base64.
 * For whatever shows stored requests; the stored bytes keep their secrets, or no signature could be checked again.
 */
export function maskSecrets(text: string, secrets: readonly string[]): string {
  let masked = text
  for (const spelling of spellings(secrets)) masked = masked.replaceAll(spelling, MASK)
  return masked
}

/** Header values likewise; of credentials only the scheme (`Basic`, `Bearer`) stays. */
export function maskHeaders(
  headers: Iterable<readonly [string, string]>,
  secrets: readonly string[],
): [name: string, value: string][] {
  return Array.from(headers, ([name, value]): [string, string] => {
    if (!CREDENTIALS.has(name.toLowerCase())) return [name, maskSecrets(value, secrets)]
    const scheme = /^(?:Basic|Bearer|Token|Digest)(?= )/i.exec(value)?.[0]
    return [name, scheme === undefined ? MASK : `${scheme} ${MASK}`]
  })
}

/** Longest first, so that no part of a spelling is left beside a covered one. */
function spellings(secrets: readonly string[]): string[] {
  const all = new Set<string>()
  for (const secret of secrets) {
    if (secret === '') continue
    // Standard Webhooks writes the same key with and without its prefix.
    for (const value of [secret, secret.replace(/^whsec_/, '')]) {
      const encoded = wellFormed(value)
      const base64 = encodeBase64(utf8(value))
      for (const spelling of [
        value,
        encoded,
        encoded.replaceAll(/%[\dA-F]{2}/g, (code) => code.toLowerCase()),
        new URLSearchParams([['', value]]).toString().slice(1),
        JSON.stringify(value).slice(1, -1),
        JSON.stringify(value).slice(1, -1).replaceAll('/', '\\/'),
        base64,
        base64.replace(/=+$/, '').replaceAll('+', '-').replaceAll('/', '_'),
      ]) {
        if (spelling !== '') all.add(spelling)
      }
    }
  }
  return [...all].sort((a, b) => b.length - a.length)
}

/** `encodeURIComponent` throws on half a surrogate pair. */
const wellFormed = (value: string) => encodeURIComponent(value.toWellFormed())
