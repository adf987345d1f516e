import { audioFormat, HEAD_BYTES } from '../call/audio-format.ts'
import { newId } from '../call/ids.ts'
import type { StoredFile } from '../call/intake.ts'
import { wavLengthMs } from '../call/wav.ts'
import { asCordboardError, CordboardError } from '../errors.ts'
import type { Deps } from './deps.ts'
import { keepUpload } from './uploads.ts'

/** Recordings that are handed in, alone or in an archive. */

/** Bytes of one recording that is handed in, at most. */
export const MOST_FILE = 1024 * 1024 * 1024

/** The ids that a call and its delivery will have, so that uploads can name them beforehand. */
export interface Ids {
  deliveryId: string
  promise: string
  connection: string
}

/** Both from one instant, so that they sort together. */
export function newIds({ now, random }: Deps, connection: string): Ids {
  const at = now()
  return { deliveryId: newId('dlv', at, random), promise: newId('call', at, random), connection }
}

/** Audio, by its first bytes; anything else is refused before it is stored. */
export async function keepFile(
  deps: Deps,
  body: ReadableStream<Uint8Array>,
  { deliveryId, promise, connection }: Ids,
): Promise<StoredFile> {
  const reader = body.getReader()
  const pieces: Uint8Array[] = []
  let bytes = 0
  while (bytes < HEAD_BYTES) {
    const { done, value } = await reader.read()
    if (done) break
    pieces.push(value)
    bytes += value.length
  }
  const head = joined(pieces, bytes)
  const kind = audioFormat(head)
  if (!kind) {
    await reader.cancel().catch(() => undefined)
    throw new CordboardError(
      'bad_request',
      `File: expected audio, seen ${bytes === 0 ? 'nothing' : 'something else'}`,
      { fix: 'Send mp3, wav, ogg, flac, m4a, mp4, webm, aiff or au' },
    )
  }
  const whole = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const first = pieces.shift()
        if (first) return controller.enqueue(first)
        const { done, value } = await reader.read()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
  const of = { connection, delivery_id: deliveryId, call_id: promise }
  const kept = await keepUpload(deps, of, whole, MOST_FILE).catch((thrown: unknown) => {
    const error = asCordboardError(thrown)
    throw error.code === 'too_large' ? tooLargeFile() : error
  })
  const durationMs = kind.format === 'wav' ? wavLengthMs(head, kept.bytes) : undefined
  return { ...kept, ...kind, ...(durationMs === undefined ? {} : { durationMs }) }
}

const tooLargeFile = () =>
  new CordboardError('too_large', `File: expected at most ${MOST_FILE / 1024 / 1024} MB, seen more`, {
    fix: 'Send less, or the recording by its URL',
  })

function joined(pieces: readonly Uint8Array[], bytes: number): Uint8Array {
  const all = new Uint8Array(bytes)
  let at = 0
  for (const piece of pieces) {
    all.set(piece, at)
    at += piece.length
  }
  return all
}
