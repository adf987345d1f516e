import { CordboardError, type ErrorCode, type Retry } from '../errors.ts'

/**
 * Turns an HTTP status into an error of the table; a 2xx comes back as it is. Redirects that were not followed are
 * failures too. The vendor's words are quoted, bounded and stripped of what looks like a phone number or an address.
 */
export async function failOn(response: Response, options: FailOnOptions): Promise<Response> {
  if (response.ok) return response
  const said = await readBounded(response, 4096)
  const code = options.codeOf?.(response.status, said) ?? codeOfStatus(response.status)
  const after = retryAfterMs(response.headers.get('retry-after'), options.now)
  const retry: Retry | undefined =
    after !== null && (code === 'rate_limited' || code === 'vendor_down') ? { afterMs: after } : undefined
  throw new CordboardError(code, `${options.what}: HTTP ${response.status}`, {
    vendorSaid: scrub(said),
    ...(retry === undefined ? {} : { retry }),
  })
}

export interface FailOnOptions {
  /** What was asked, for people: "Twilio: fetch the recording". */
  what: string
  now: () => number
  /** Where the vendor's use of a status differs from the usual, or its body says more. */
  codeOf?: (status: number, body: string) => ErrorCode | undefined
}

function codeOfStatus(status: number): ErrorCode {
  if (status === 401) return 'auth'
  if (status === 402) return 'quota'
  if (status === 403) return 'forbidden'
  if (status === 404) return 'not_found'
  if (status === 408) return 'timeout'
  if (status === 409) return 'duplicate'
  if (status === 410) return 'gone'
  if (status === 423 || status === 425) return 'vendor_down'
  if (status === 429) return 'rate_limited'
  if (status >= 500) return 'vendor_down'
  return 'rejected'
}

/** `Retry-After` as a delay: seconds or an HTTP date; at most a day; null when absent or unreadable. */
export function retryAfterMs(value: string | null, now: () => number): number | null {
  if (value === null) return null
  const seconds = /^\d{1,9}$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - now()
  if (!Number.isFinite(seconds)) return null
  return Math.min(Math.max(0, seconds), 86_400_000)
}

/** Up to `limit` bytes of a body as text; the rest is cancelled. */
export async function readBounded(response: Response, limit: number): Promise<string> {
  if (!response.body) return ''
  const reader = response.body.getReader()
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    while (size < limit) {
      const { done, value } = await reader.read()
      if (done) break
      chunks.push(value)
      size += value.byteLength
    }
  } catch {
    // The status already says that it failed; a body that breaks off adds nothing.
  }
  await reader.cancel().catch(() => undefined)
  const bytes = new Uint8Array(Math.min(size, limit))
  let at = 0
  for (const chunk of chunks) {
    const part = chunk.subarray(0, bytes.length - at)
    bytes.set(part, at)
    at += part.length
  }
  return new TextDecoder().decode(bytes)
}

/** A vendor's words without phone numbers, e-mail addresses and tokens: fit for a timeline and a log. */
export function scrub(text: string): string {
  return text
    .replaceAll(/[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,4}/g, '<email>')
    .replaceAll(/\b(?:Bearer|Basic)\s+[\w.~+/=-]{8,}/gi, '<credentials>')
    .replaceAll(/\+?\d[\d ().-]{6,20}\d/g, '<number>')
    .slice(0, 500)
}
