import { audioFormat, HEAD_BYTES } from '../call/audio-format.ts'
import { newId } from '../call/ids.ts'
import { type IntakeCall, intakeCall, type StoredFile } from '../call/intake.ts'
import { parseJson } from '../connector/json.ts'
import { asCordboardError, CordboardError } from '../errors.ts'
import type { Bodies } from '../pipeline/body.ts'
import type { Deps } from '../pipeline/deps.ts'
import { dropUploads, keepUpload } from '../pipeline/uploads.ts'
import { readMultipart } from './multipart.ts'
import { problemsIn, unfit } from './parameters.ts'

/** What stands in the body of `POST /v1/calls`: JSON, or a form whose file is kept as it comes. */

export const MOST_JSON = 5 * 1024 * 1024
export const MOST_FILE = 1024 * 1024 * 1024
/** `call`, `file`, and the names people try beside them. */
const MOST_PARTS = 8

/** The ids that a call and its delivery will have, so that uploads can name them beforehand. */
export interface Ids {
  deliveryId: string
  promise: string
  connection: string
}

export interface SentCall {
  call: IntakeCall
  file: StoredFile | undefined
}

export function newIds({ now, random }: Deps, connection: string): Ids {
  const at = now()
  return { deliveryId: newId('dlv', at, random), promise: newId('call', at, random), connection }
}

/** JSON of a bounded size, depth and count. */
export async function readJsonBody(bodies: Bodies, request: Request, most: number): Promise<unknown> {
  const read = await bodies.read(request, most)
  if (read === null) throw tooLarge(most)
  try {
    return asRequest(() => parseJson(read.body, most))
  } finally {
    read.release()
  }
}

export const tooLarge = (most: number) =>
  new CordboardError('too_large', `Body: expected at most ${Math.floor(most / 1024 / 1024)} MB, seen more`, {
    fix: 'Send less, or the recording by its URL',
  })

/** What the parser says of a stored delivery, it says here of a request. */
function asRequest<T>(read: () => T): T {
  try {
    return read()
  } catch (thrown) {
    const error = asCordboardError(thrown)
    if (error.code !== 'invalid_payload') throw error
    throw new CordboardError('bad_request', error.message, { cause: error })
  }
}

export function readCall(value: unknown): IntakeCall {
  const read = intakeCall.safeParse(value)
  if (read.success) return read.data
  throw unfit(problemsIn(read.error, value, 'call'))
}

/** The form: `call` (JSON) and `file`, each once, in any order. When anything is wrong, the file is not kept. */
export async function readForm(deps: Deps, bodies: Bodies, request: Request, ids: Ids): Promise<SentCall> {
  let call: IntakeCall | undefined
  let file: StoredFile | undefined
  try {
    const { body, headers } = request
    if (!body) throw new CordboardError('bad_request', 'Body: expected a form, seen none')
    for await (const part of readMultipart(body, headers.get('content-type') ?? '', MOST_PARTS)) {
      if (part.name === 'file' && !file) file = await keepFile(deps, part.body, ids)
      else if (part.name === 'call' && !call && !part.isFile)
        call = readCall(await readJsonBody(bodies, asRequestBody(part.body), MOST_JSON))
      else
        throw new CordboardError(
          'bad_request',
          'Form: expected one part call and one part file, seen another',
        )
    }
    if (!file) throw new CordboardError('bad_request', 'Form: expected a part file, seen none')
    if (call?.recordingUrl)
      throw new CordboardError('bad_request', 'Call: expected a file or a recordingUrl, seen both')
    return { call: call ?? {}, file }
  } catch (error) {
    if (file) await dropUploads(deps, [file.mediaId])
    throw error
  }
}

const asRequestBody = (body: ReadableStream<Uint8Array>): Request =>
  new Request('http://localhost', { method: 'POST', body, duplex: 'half' } as RequestInit)

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
  const kind = audioFormat(joined(pieces, bytes))
  if (!kind) {
    throw new CordboardError(
      'bad_request',
      `File: expected audio, seen ${bytes === 0 ? 'nothing' : 'something else'}`,
      {
        fix: 'Send mp3, wav, ogg, flac, m4a, mp4, webm, aiff or au',
      },
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
    throw error.code === 'too_large' ? tooLarge(MOST_FILE) : error
  })
  return { ...kept, ...kind }
}

function joined(pieces: readonly Uint8Array[], bytes: number): Uint8Array {
  const all = new Uint8Array(bytes)
  let at = 0
  for (const piece of pieces) {
    all.set(piece, at)
    at += piece.length
  }
  return all
}
