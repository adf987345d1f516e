import { fillingReader } from '../connector/relay.ts'
import { CordboardError } from '../errors.ts'

/**
 * A request body that workerd sends by itself: what is written to one side of its own streams goes out without being
 * collected on the way, and with a Content-Length where the length is known (any other stream is sent chunked).
 */
declare const IdentityTransformStream: new () => TransformStream<Uint8Array, Uint8Array>
declare const FixedLengthStream: new (length: number) => TransformStream<Uint8Array, Uint8Array>

export interface Upload {
  body: ReadableStream<Uint8Array>
  /** `sent`: all of it was taken. `stopped`: by `stop`, by the source's failure, or because nobody takes more. */
  done: Promise<'sent' | 'stopped'>
  /**
   * Lets the source go and leaves the request as it is: half of it. To end it is the caller's part, by the signal of the
   * fetch: where the length is unknown, workerd takes an abort of the stream for its good end.
   */
  stop(): void
}

export interface Progress {
  moved(): void
  /** What the source itself did wrong; the request has to be aborted then. */
  broke(error: unknown): void
}

/** As much as one read may bring. With 64 KB there are four times as many, and what they leave behind adds up. */
const ROOM_BYTES = 256 * 1024

export function upload(
  source: ReadableStream<Uint8Array>,
  length: number | null,
  { moved, broke }: Progress,
): Upload {
  const { readable, writable } =
    length === null ? new IdentityTransformStream() : new FixedLengthStream(length)
  const writer = writable.getWriter()
  // Every failure shows in a write or in the request.
  writer.closed.catch(() => undefined)
  const { read, cancel } = openSource(source)
  const { promise: done, resolve } = Promise.withResolvers<'sent' | 'stopped'>()
  let stopped = false

  const stop = () => {
    if (stopped) return
    stopped = true
    // The source may be another vendor's connection: it must not stay open for a reader that is gone.
    cancel(new CordboardError('vendor_down', 'The upload was given up')).catch(() => undefined)
    resolve('stopped')
  }
  const take = (work: Promise<void>) => work.catch(stop)

  async function run(): Promise<void> {
    let came = 0
    let last = new Uint8Array(0)
    const keepsWord = (isRight: boolean) => {
      if (isRight) return
      throw new CordboardError('vendor_down', 'The body to be sent has not its announced length', {
        why: `${came} bytes came, ${length} were announced`,
      })
    }
    for (let chunk = await read(); chunk; chunk = await read()) {
      if (stopped) return
      if (chunk.byteLength === 0) continue
      came += chunk.byteLength
      keepsWord(length === null || came <= length)
      // The byte that completes the request waits for the source's end: a body that goes on must not look whole.
      const completes = came === length
      if (completes) last = chunk.slice(-1)
      await take(writer.write(completes ? chunk.subarray(0, -1) : chunk))
      if (stopped) return
      moved()
    }
    if (stopped) return
    keepsWord(length === null || came === length)
    if (last.byteLength > 0) await take(writer.write(last))
    await take(writer.close())
    resolve('sent')
  }
  run().catch((error: unknown) => {
    if (!stopped) broke(error)
    stop()
  })
  return { body: readable, done, stop }
}

/** Its chunks are good until the next is read: a source that fills our buffer gets the same one again. */
function openSource(source: ReadableStream<Uint8Array>) {
  const filling = fillingReader(source)
  if (!filling) {
    const reader = source.getReader()
    return {
      async read(): Promise<Uint8Array | null> {
        const { done, value } = await reader.read()
        return done ? null : value
      },
      cancel: (reason: unknown) => reader.cancel(reason),
    }
  }
  let buffer = new ArrayBuffer(ROOM_BYTES)
  return {
    async read(): Promise<Uint8Array | null> {
      const { done, value } = await filling.read(new Uint8Array(buffer))
      if (done) return null
      buffer = value.buffer
      return value
    },
    cancel: (reason: unknown) => filling.cancel(reason),
  }
}
