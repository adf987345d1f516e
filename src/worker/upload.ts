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
  /** Rejects only with what the source itself did wrong; a vendor that takes no more shows in the request. */
  done: Promise<void>
  stop(): unknown
}

/** As much as one read may bring. With 64 KB there are four times as many, and what they leave behind adds up. */
const ROOM_BYTES = 256 * 1024

export function upload(
  source: ReadableStream<Uint8Array>,
  length: number | null,
  onProgress: () => void,
): Upload {
  const { readable, writable } =
    length === null ? new IdentityTransformStream() : new FixedLengthStream(length)
  const writer = writable.getWriter()
  // Every failure shows in a write or in the request.
  writer.closed.catch(() => undefined)
  const { read, cancel } = openSource(source)
  let stopped = false

  const stop = (): false => {
    if (stopped) return false
    stopped = true
    const reason = new CordboardError('vendor_down', 'The upload was given up')
    // The source may be another vendor's connection: it must not stay open for a reader that is gone.
    cancel(reason).catch(() => undefined)
    writer.abort(reason).catch(() => undefined)
    return false
  }

  /** Whether the request still takes bytes. */
  const went = (work: Promise<void>) => work.then(() => true, stop)

  async function run(): Promise<void> {
    let came = 0
    let last = new Uint8Array(0)
    const keepsWord = (isRight: boolean) => {
      if (isRight) return
      throw new CordboardError('vendor_down', 'The body to be sent has not its announced length', {
        why: `${came} bytes came, ${length} were announced`,
      })
    }
    for (let chunk = await read(); chunk && !stopped; chunk = await read()) {
      if (chunk.byteLength === 0) continue
      came += chunk.byteLength
      keepsWord(length === null || came <= length)
      // The byte that completes the request waits for the source's end: a body that goes on must not look whole.
      const completes = came === length
      if (completes) last = chunk.slice(-1)
      if (!(await went(writer.write(completes ? chunk.subarray(0, -1) : chunk)))) return
      onProgress()
    }
    if (stopped) return
    keepsWord(length === null || came === length)
    if (last.byteLength > 0 && !(await went(writer.write(last)))) return
    await went(writer.close())
  }

  const done = run().catch((error: unknown) => {
    stop()
    throw error
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
