import { encodeBase64, utf8 } from '../connector/encoding.ts'
import { maskHeaders, maskSecrets } from '../connector/mask.ts'
import type { Media } from '../media/port.ts'
import type { DeliveryRow } from '../store/schema.ts'

/** The stored bytes of a delivery as an operator may see them: nothing is interpreted, and every secret is covered. */

/** More of a body than this is not shown; the replay reads all of it. */
const SHOWN_BYTES = 1024 * 1024

export interface ShownBody {
  encoding: 'text' | 'base64'
  content: string
  /** True when there is more than is shown. */
  truncated: boolean
}

export function shownHeaders(
  row: Pick<DeliveryRow, 'headers'>,
  secrets: readonly string[],
): [string, string][] {
  const headers = JSON.parse(new TextDecoder().decode(row.headers)) as [string, string][]
  return maskHeaders(headers, secrets)
}

/** Null when the body is no longer in the media store. */
export async function shownBody(
  row: Pick<DeliveryRow, 'body' | 'media_id'>,
  media: Media,
  secrets: readonly string[],
): Promise<ShownBody | null> {
  const bytes = row.body ?? (row.media_id === null ? null : await firstBytes(media, row.media_id))
  if (!bytes) return null
  const truncated = bytes.byteLength > SHOWN_BYTES
  const part = bytes.subarray(0, SHOWN_BYTES)
  const text = asText(part, truncated)
  if (text !== null)
    return {
      encoding: 'text',
      content: withoutCutSecret(maskSecrets(text, secrets), secrets, truncated),
      truncated,
    }
  // Bytes that are no text may hold a secret all the same: as Latin-1 every byte is one character and comes back whole.
  const spelled = secrets.map((secret) => latin1(utf8(secret)))
  const masked = withoutCutSecret(maskSecrets(latin1(part), [...secrets, ...spelled]), spelled, truncated)
  return { encoding: 'base64', content: encodeBase64(fromLatin1(masked)), truncated }
}

/** One byte more than is shown, so that it is known whether there is more. */
async function firstBytes(media: Media, id: string): Promise<Uint8Array | null> {
  const found = await media.get(id, { start: 0, end: SHOWN_BYTES })
  return found && new Uint8Array(await new Response(found.body).arrayBuffer())
}

function asText(bytes: Uint8Array, truncated: boolean): string | null {
  try {
    // `stream` leaves out a character that the cut divided instead of refusing it.
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes, {
      stream: truncated,
    })
    return text.includes('\0') ? null : text
  } catch {
    return null
  }
}

/** A secret across the cut was not recognised: as much as the longest spelling could cover is left out. */
function withoutCutSecret(text: string, secrets: readonly string[], truncated: boolean): string {
  if (!truncated) return text
  // Percent-encoding is the longest spelling there is: nine characters for a character of three bytes.
  return text.slice(0, Math.max(0, text.length - 9 * Math.max(0, ...secrets.map((secret) => secret.length))))
}

function latin1(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192))
  return text
}

/** The mask's own character does not exist in Latin-1: an asterisk stands for it. */
function fromLatin1(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => {
    const code = char.charCodeAt(0)
    return code > 255 ? 42 : code
  })
}
