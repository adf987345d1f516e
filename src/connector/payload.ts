import type { HttpRequest } from './platform.ts'

/** A request body made ready. Bytes can be sent again after a redirect, a stream cannot. */
export type Payload =
  | { bytes: Uint8Array; contentType: string | null }
  | { stream: ReadableStream<Uint8Array> }

/** Strings and forms become bytes: their length is then known, and vendors that refuse chunked uploads take them. */
export async function toPayload(body: HttpRequest['body']): Promise<Payload | null> {
  if (body === undefined) return null
  if (body instanceof ReadableStream) return { stream: body }
  if (body instanceof Uint8Array) return { bytes: body, contentType: null }
  const encoded = new Response(body)
  return {
    // Not bytes(): the HTTP server's own Response class, which replaces the global one, does not have it.
    bytes: new Uint8Array(await encoded.arrayBuffer()),
    contentType: encoded.headers.get('content-type'),
  }
}

/** The headers of a request with this body; a length that the caller gave for a stream is honoured. */
export function framingHeaders(
  given: Record<string, string>,
  payload: Payload | null,
): { headers: Record<string, string>; length: number | null } {
  const headers: Record<string, string> = { 'user-agent': 'cordboard' }
  for (const [name, value] of Object.entries(given)) headers[name.toLowerCase()] = value
  if (payload && 'bytes' in payload) {
    headers['content-length'] = String(payload.bytes.byteLength)
    if (payload.contentType !== null) headers['content-type'] ??= payload.contentType
  }
  const length = headers['content-length']
  return { headers, length: payload && length !== undefined ? Number(length) : null }
}
