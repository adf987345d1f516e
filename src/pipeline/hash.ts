import type { Signer } from '../connector/platform.ts'

/** Hash of a value for "is it still the same?": keys in order, so that equal content gives equal hashes. */
export async function hashOf(signer: Signer, value: unknown): Promise<string> {
  return toHex(await signer.digest('sha256', stable(value)))
}

/** Whether two values have the same content, in whatever order their keys stand. */
export const isSame = (a: unknown, b: unknown): boolean => stable(a) === stable(b)

/** Bytes as lower-case hex. */
export function toHex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}

/** JSON with sorted keys; undefined fields are left out, as JSON does. */
function stable(value: unknown): string {
  return (
    JSON.stringify(value, (_key, field: unknown) =>
      field !== null && typeof field === 'object' && !Array.isArray(field)
        ? Object.fromEntries(Object.entries(field).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
        : field,
    ) ?? 'null'
  )
}
