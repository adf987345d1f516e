import { CordboardError } from '../errors.ts'
import type { Media } from './port.ts'
import { presignedPut } from './presign.ts'
import type { S3Settings } from './s3-settings.ts'

/**
 * Media as objects of one R2 bucket, named by their ids. R2 itself sees to it that nobody reads half of an object. It
 * takes a stream only with its length, which bodies do not tell: what is short is put in one go, what is longer goes up
 * part by part and shows only when it is complete. Parts that a cut-off Worker leaves behind are removed by R2 after a week.
 */

/** What this needs of a bucket binding. */
export interface R2Bucket {
  put(key: string, body: Uint8Array): Promise<unknown>
  get(key: string, options: { range?: R2Range }): Promise<R2Found | null>
  head(key: string): Promise<{ size: number } | null>
  delete(keys: string[]): Promise<void>
  createMultipartUpload(key: string): Promise<R2Upload>
}

interface R2Range {
  offset: number
  length?: number
}

interface R2Found {
  size: number
  body: ReadableStream<Uint8Array>
}

interface R2Upload {
  uploadPart(number: number, body: Uint8Array): Promise<R2Part>
  complete(parts: R2Part[]): Promise<unknown>
  abort(): Promise<void>
}

interface R2Part {
  partNumber: number
  etag: string
}

const ID = /^[a-z0-9_-]{1,64}$/i
/** The smallest that R2 takes, all but the last must have the same; at most 10,000 of them. */
const PART_BYTES = 5 * 1024 * 1024
const MOST_BYTES = PART_BYTES * 10_000
/** Most bodies are far shorter than a part. */
const FIRST_BYTES = 256 * 1024
/** R2's own limit. */
const DELETED_AT_ONCE = 1_000

/** `s3`: the same bucket by its S3 address, with a key of R2's; only by that others can be let upload to it. */
export function openR2Media({ bucket, s3 = null }: { bucket: R2Bucket; s3?: S3Settings | null }): Media {
  return {
    ...(s3 ? { uploadUrl: (id, lifeMs) => presignedPut(s3, checkedId(id), lifeMs) } : {}),

    async put(id, body, maxBytes) {
      const key = checkedId(id)
      if (!(body instanceof Uint8Array)) return putStream(bucket, key, body, maxBytes)
      const bytes = body.byteLength
      if (bytes > maxBytes) throw tooLarge(maxBytes)
      await inR2(() => bucket.put(key, body))
      return { bytes }
    },

    async get(id, range) {
      const key = checkedId(id)
      if (range === undefined) {
        const found = await inR2(() => bucket.get(key, {}))
        return found && { body: found.body, bytes: found.size }
      }
      // R2 refuses a range beyond the end, and an empty one.
      const about = await inR2(() => bucket.head(key))
      if (about === null) return null
      const { start } = range
      const length = Math.min(range.end ?? about.size, about.size - 1) + 1 - start
      if (length <= 0) return { body: nothing(), bytes: 0 }
      const found = await inR2(() => bucket.get(key, { range: { offset: start, length } }))
      return found && { body: found.body, bytes: length }
    },

    async delete(ids) {
      const keys = [...new Set(ids)].map(checkedId)
      for (let at = 0; at < keys.length; at += DELETED_AT_ONCE) {
        await inR2(() => bucket.delete(keys.slice(at, at + DELETED_AT_ONCE)))
      }
    },

    async check() {
      // No id has a dot.
      const key = `.check.${crypto.randomUUID()}`
      await inR2(() => bucket.put(key, new Uint8Array(1)))
      await inR2(() => bucket.delete([key]))
    },
  }
}

async function putStream(
  bucket: R2Bucket,
  key: string,
  body: ReadableStream<Uint8Array>,
  maxBytes: number,
): Promise<{ bytes: number }> {
  const most = Math.min(maxBytes, MOST_BYTES)
  const parts: R2Part[] = []
  let upload: R2Upload | undefined
  let part = new Uint8Array(FIRST_BYTES)
  let filled = 0
  let bytes = 0
  const sendPart = async () => {
    const begun = upload ?? (await inR2(() => bucket.createMultipartUpload(key)))
    upload = begun
    parts.push(await inR2(() => begun.uploadPart(parts.length + 1, part.subarray(0, filled))))
    filled = 0
  }
  try {
    // Leaving the loop early cancels the stream.
    for await (const chunk of body) {
      bytes += chunk.byteLength
      if (bytes > most) throw tooLarge(most)
      for (let at = 0; at < chunk.byteLength; ) {
        if (filled === PART_BYTES) await sendPart()
        const size = Math.min(PART_BYTES - filled, chunk.byteLength - at)
        part = roomFor(filled + size, part)
        part.set(chunk.subarray(at, at + size), filled)
        filled += size
        at += size
      }
    }
    const begun = upload
    if (begun) {
      await sendPart()
      await inR2(() => begun.complete(parts))
    } else {
      await inR2(() => bucket.put(key, part.subarray(0, filled)))
    }
    return { bytes }
  } catch (error) {
    // The first error is the one to be told; what R2 does not take back now, it removes later.
    await upload?.abort().catch(() => undefined)
    throw error
  }
}

function roomFor(bytes: number, part: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (bytes <= part.byteLength) return part
  const size = Math.min(PART_BYTES, Math.max(bytes, part.byteLength * 2))
  return new Uint8Array(part.buffer.transfer(size))
}

/** Ids come from requests too: what could name another place is no id. */
function checkedId(id: string): string {
  if (!ID.test(id)) throw new CordboardError('bad_request', 'This is no id of a stored file')
  return id
}

const tooLarge = (bytes: number) => new CordboardError('too_large', `The body is larger than ${bytes} bytes`)

function nothing(): ReadableStream<Uint8Array> {
  return new ReadableStream({ start: (controller) => controller.close() })
}

/** R2's failures in our words, with its number where it gives one; those of the body's source stay as they are. */
async function inR2<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    const number = cause instanceof Error ? /\((\d{1,6})\)$/.exec(cause.message)?.[1] : undefined
    throw new CordboardError('storage_unavailable', 'The R2 bucket does not carry out a request', {
      cause,
      ...(number === undefined ? {} : { why: `R2 answered with its error ${number}` }),
    })
  }
}
