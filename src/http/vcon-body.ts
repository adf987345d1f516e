import { z } from '@hono/zod-openapi'
import { DIRECTIONS } from '../call/call.ts'
import type { StoredFile } from '../call/intake.ts'
import { readVcon, SHA512, VCON_JSON_TYPE, VCON_TYPE, type Vcon } from '../call/vcon.ts'
import { decodeBase64, decodeBase64Url, encodeBase64Url, utf8 } from '../connector/encoding.ts'
import { asCordboardError, CordboardError } from '../errors.ts'
import { type Ids, keepFile } from '../pipeline/audio-file.ts'
import type { Bodies } from '../pipeline/body.ts'
import type { Deps } from '../pipeline/deps.ts'
import { dropUploads } from '../pipeline/uploads.ts'
import { vconContent } from './call-vcon.ts'
import { MOST_JSON, readJsonBody, tooLarge } from './intake-body.ts'

/** The body of `POST /v1/vcons`. Recordings that stand in it are put aside; links are only followed by the pipeline. */

/** With recordings inside; what is left without them is bounded like every delivery. */
const MOST_VCON = 16 * 1024 * 1024

export const vconQuery = {
  direction: z
    .enum(DIRECTIONS)
    .optional()
    .openapi({ description: 'of the call, where the vCon does not tell who is the customer' }),
}

export const vconBody = {
  required: true,
  content: {
    [VCON_JSON_TYPE]: { schema: vconContent },
    [VCON_TYPE]: { schema: vconContent },
    'application/json': { schema: vconContent },
  },
}

export interface SentVcon {
  uuid: string
  /** As it was sent, without the recordings that stood in it. */
  vcon: unknown
  /** Those, by the place of their dialog. */
  files: Record<string, StoredFile>
}

export async function readSentVcon(
  deps: Deps,
  bodies: Bodies,
  request: Request,
  ids: Ids,
): Promise<SentVcon> {
  checkType(request.headers.get('content-type') ?? '')
  const sent = await readJsonBody(bodies, request, MOST_VCON)
  const file = asRequest(() => readVcon(sent))
  await checkHashes(deps, file)
  const files: Record<string, StoredFile> = {}
  try {
    for (const [at, dialog] of file.dialog.entries()) {
      if (!isInside(dialog)) continue
      const bytes = bytesOf(dialog)
      if (!bytes) throw unfit(`dialog.${at}`, 'a recording in base64url', 'another encoding')
      files[at] = await keepFile(deps, new Blob([new Uint8Array(bytes)]).stream(), ids)
    }
    const vcon = withoutRecordings(sent, files)
    if (utf8(JSON.stringify(vcon)).length > MOST_JSON) throw tooLarge(MOST_JSON)
    return { uuid: file.uuid.toLowerCase(), vcon, files }
  } catch (error) {
    await dropUploads(
      deps,
      Object.values(files).map(({ mediaId }) => mediaId),
    )
    throw error
  }
}

function checkType(type: string): void {
  const [name = ''] = type.toLowerCase().split(';', 1)
  if (Object.keys(vconBody.content).includes(name.trim())) return
  throw new CordboardError('bad_request', `Content-Type: expected ${VCON_JSON_TYPE}, seen another or none`, {
    fix: 'Send the vCon as JSON: not compressed, not signed, not encrypted',
  })
}

type Content = Pick<Vcon['dialog'][number], 'body' | 'encoding' | 'content_hash' | 'type'>

const isInside = ({ type, body }: Content): boolean =>
  type === 'recording' && body !== undefined && body !== ''

/** The content itself; null where it has none of the encodings of bytes or text. */
function bytesOf({ body, encoding }: Pick<Content, 'body' | 'encoding'>): Uint8Array | null {
  if (typeof body !== 'string') return null
  if (encoding === 'base64url') return decodeBase64Url(body)
  if (encoding === 'base64') return decodeBase64(body)
  return encoding === 'none' ? utf8(body) : null
}

/**
 * Of all that stands in the file and has a hash. The hash of JSON is not compared: which of its spellings is meant the draft
 * does not say. That of a link is compared when the recording passes through.
 */
async function checkHashes({ signer }: Deps, { dialog, analysis, attachments }: Vcon): Promise<void> {
  for (const [place, entries] of Object.entries({ dialog, analysis, attachments })) {
    for (const [at, entry] of entries.entries()) {
      const hashes = [entry.content_hash ?? []].flat()
      if (hashes.length === 0) continue
      const known = hashes.filter((hash) => SHA512.test(hash))
      const where = `${place}.${at}.content_hash`
      if (known.length === 0) throw unfit(where, 'sha512- and 86 characters of base64url', 'another hash')
      const bytes = bytesOf(entry)
      if (!bytes) continue
      const digest = `sha512-${encodeBase64Url(await signer.digest('sha512', bytes))}`
      if (known.some((hash) => hash !== digest)) throw unfit(where, 'the hash of its body', 'another')
    }
  }
}

function withoutRecordings(sent: unknown, files: Record<string, StoredFile>): unknown {
  const file = sent as { dialog?: Record<string, unknown>[] }
  if (!file.dialog) return file
  const dialog = file.dialog.map((entry, at) => {
    if (!files[at]) return entry
    const { body: _body, encoding: _encoding, ...rest } = entry
    return rest
  })
  return { ...file, dialog }
}

function asRequest<T>(read: () => T): T {
  try {
    return read()
  } catch (thrown) {
    const { code, message, fix } = asCordboardError(thrown)
    if (code !== 'invalid_payload') throw thrown
    throw new CordboardError('bad_request', message, { fix, cause: thrown })
  }
}

const unfit = (where: string, expected: string, seen: string) =>
  new CordboardError('bad_request', `vCon: ${where}: expected ${expected}, seen ${seen}`)
