import { encodeHex } from '../connector/encoding.ts'

/**
 * Hash of a part of the configuration as it is written: the order of keys does not matter, functions count by their
 * text, connectors by their id, and the values in `hidden` (secrets) not at all.
 */
export async function contentHash(value: unknown, hidden: ReadonlySet<string> = new Set()): Promise<string> {
  const text = JSON.stringify(canonical(value, hidden)) ?? 'null'
  return encodeHex(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))))
}

function canonical(value: unknown, hidden: ReadonlySet<string>): unknown {
  if (typeof value === 'function') return String(value)
  if (typeof value === 'string') return hidden.has(value) ? '' : value
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((item) => canonical(item, hidden))
  if ('check' in value && typeof value.check === 'function' && 'config' in value && 'id' in value)
    return value.id
  const entries = Object.entries(value).map(([key, item]) => [key, canonical(item, hidden)] as const)
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}
