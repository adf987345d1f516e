import { channelsOf, HEADER_BYTES } from '../call/audio-header.ts'
import type { Recording } from '../call/call.ts'
import type { Accepts, AudioSource } from '../connector/contract.ts'
import { CordboardError } from '../errors.ts'

type Opened = Awaited<ReturnType<AudioSource['open']>>

/**
 * What shows only when a recording is opened: its size, and its tracks where the phone system does not tell them. Throws
 * `rejected` before anything of it was sent on; else answers the same stream, of which the beginning was looked at.
 */
export async function checkOpened(
  opened: Opened,
  { channels }: Recording,
  { maxBytes, stereoOnly }: NonNullable<Accepts['audio']>,
): Promise<Opened> {
  const { bytes } = opened
  if (bytes !== null && maxBytes !== undefined && bytes > maxBytes) {
    await opened.body.cancel()
    throw new CordboardError('rejected', `The recording has ${bytes} bytes, ${maxBytes} are accepted`)
  }
  if (!stereoOnly || channels !== undefined) return opened
  const { head, body } = await peek(opened.body)
  if (channelsOf(head) !== 1) return { ...opened, body }
  await body.cancel()
  throw new CordboardError('rejected', 'The recording has one track, two are needed', {
    fix: 'Record both parties on tracks of their own in the phone system, or use another analysis connection',
  })
}

/** The first bytes, and a stream that begins with them. */
async function peek(
  body: ReadableStream<Uint8Array>,
): Promise<{ head: Uint8Array; body: ReadableStream<Uint8Array> }> {
  const reader = body.getReader()
  const chunks: Uint8Array[] = []
  let size = 0
  let isOver = false
  while (!isOver && size < HEADER_BYTES) {
    const { done, value } = await reader.read()
    isOver = done
    if (value) chunks.push(value)
    size += value?.byteLength ?? 0
  }
  const head = new Uint8Array(Math.min(size, HEADER_BYTES))
  let at = 0
  for (const chunk of chunks) {
    const part = chunk.subarray(0, head.length - at)
    head.set(part, at)
    at += part.length
  }
  const rest = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } =
          chunks.length > 0 ? { done: false, value: chunks.shift() } : await reader.read()
        if (done || !value) controller.close()
        else controller.enqueue(value)
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
  return { head, body: rest }
}
