import type { ClientRequest } from 'node:http'
import type { HttpRequest } from '../connector/platform.ts'
import { CordboardError } from '../errors.ts'

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

export interface Upload {
  /** `sent`: all of it was handed over. `stopped`: by `stop`, or because the connection takes no more. */
  done: Promise<'sent' | 'stopped'>
  stop(): void
}

/**
 * Writes a body into a request, one chunk at a time: the next is read when the last one has left for the kernel.
 * Rejects only with what the source itself did wrong. A refused write is no news: the request reports it, or the vendor
 * has already answered.
 */
export function upload(
  payload: Payload,
  length: number | null,
  request: ClientRequest,
  onProgress: () => void,
): Upload {
  const reader = ('stream' in payload ? payload.stream : streamOf(payload.bytes)).getReader()
  let stopped = false
  let wake: (() => void) | undefined

  const write = (chunk: Uint8Array) =>
    new Promise<void>((resolve) => {
      wake = resolve
      request.write(chunk, (error) => {
        if (error) stopped = true
        resolve()
      })
    })

  async function run(): Promise<'sent' | 'stopped'> {
    let sent = 0
    while (!stopped) {
      const { done, value } = await reader.read()
      if (stopped) break
      if (!done) sent += value.byteLength
      if (length !== null && (done ? sent !== length : sent > length)) {
        throw new CordboardError('vendor_down', 'The body to be sent has not its announced length', {
          why: `${sent} bytes came, ${length} were announced`,
        })
      }
      if (done) return 'sent'
      await write(value)
      onProgress()
    }
    return 'stopped'
  }

  const stop = () => {
    stopped = true
    wake?.()
    // The source may be another vendor's connection: it must not stay open for a reader that is gone.
    reader.cancel().catch(() => undefined)
  }
  const done = run().then(
    (end) => {
      if (end === 'stopped') stop()
      return end
    },
    (error: unknown) => {
      stop()
      throw error
    },
  )
  return { done, stop }
}

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      if (bytes.byteLength > 0) controller.enqueue(bytes)
      controller.close()
    },
  })
}
