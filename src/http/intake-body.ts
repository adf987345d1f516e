import { type IntakeCall, intakeCall, type StoredFile } from '../call/intake.ts'
import { asObject, parseJson } from '../connector/json.ts'
import { asCordboardError, CordboardError } from '../errors.ts'
import { type Ids, keepFile } from '../pipeline/audio-file.ts'
import type { Bodies } from '../pipeline/body.ts'
import type { Deps } from '../pipeline/deps.ts'
import { dropUploads } from '../pipeline/uploads.ts'
import { readMultipart } from './multipart.ts'
import { problemsIn, unfit } from './parameters.ts'

/** What stands in the body of `POST /v1/calls`: JSON, or a form whose file is kept as it comes. */

export const MOST_JSON = 5 * 1024 * 1024
/** `call`, `file`, and the names people try beside them. */
const MOST_PARTS = 8

export interface SentCall {
  call: IntakeCall
  file: StoredFile | undefined
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

const isNamed = (value: unknown) => Object.hasOwn(asObject(value) ?? {}, 'connection')

export function readCall(value: unknown): IntakeCall {
  const read = intakeCall.safeParse(value)
  if (read.success) return read.data
  const error = unfit(problemsIn(read.error, value, 'call'))
  if (!isNamed(value)) throw error
  throw new CordboardError(error.code, error.message, {
    fix: 'Name the connection in the address: ?connection=…',
  })
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
