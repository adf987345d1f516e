import type { ClientRequest } from 'node:http'
import type { Payload } from '../connector/payload.ts'
import { CordboardError } from '../errors.ts'

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
