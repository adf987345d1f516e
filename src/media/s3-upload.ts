import { CordboardError } from '../errors.ts'
import type { Outcome, S3Client } from './s3-client.ts'
import { unavailable } from './s3-failure.ts'
import { escaped, leafOf, rootOf } from './s3-xml.ts'

/**
 * A stream of unknown length becomes one PUT where it is short, else a multipart upload: S3 shows nothing of it before
 * its completion, and takes it all back when it is aborted. A process that dies in between leaves invisible parts; a
 * rule of the bucket (AbortIncompleteMultipartUpload) removes these.
 */

/** S3 takes parts from 5 MB on, at most 10,000 of them. */
const PART_BYTES = 8 * 1024 * 1024
const MOST_PARTS = 10_000
/** Most bodies are far shorter than a part. */
const FIRST_BYTES = 512 * 1024
/** Parts under way at once; one more is being filled. */
const AT_ONCE = 2
/** To put the parts together takes S3 its time. */
const COMPLETE_MS = 120_000
/** Tells our object from another one of the same key. */
const MARK = 'x-amz-meta-cordboard-put'

export const CONTENT = { 'content-type': 'application/octet-stream' }

export async function putStream(
  client: S3Client,
  key: string,
  body: ReadableStream<Uint8Array>,
  maxBytes: number,
): Promise<{ bytes: number }> {
  const upload = createUpload(client, key)
  const most = Math.min(maxBytes, PART_BYTES * MOST_PARTS)
  let part = new Uint8Array(FIRST_BYTES)
  let filled = 0
  let bytes = 0
  try {
    // Leaving the loop early cancels the stream.
    for await (const chunk of body) {
      bytes += chunk.byteLength
      if (bytes > most) throw new CordboardError('too_large', `The body is larger than ${most} bytes`)
      for (let at = 0; at < chunk.byteLength; ) {
        if (filled === PART_BYTES) {
          await upload.add(part)
          part = upload.spare() ?? new Uint8Array(PART_BYTES)
          filled = 0
        }
        const size = Math.min(PART_BYTES - filled, chunk.byteLength - at)
        part = roomFor(filled + size, part)
        part.set(chunk.subarray(at, at + size), filled)
        filled += size
        at += size
      }
    }
    const last = part.subarray(0, filled)
    if (upload.begun()) {
      await upload.add(last)
      await upload.complete()
    } else {
      orThrow(await client.ask({ method: 'PUT', key, headers: CONTENT, body: last }))
    }
    return { bytes }
  } catch (error) {
    await upload.abort()
    throw error
  }
}

function roomFor(bytes: number, part: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (bytes <= part.byteLength) return part
  const size = Math.min(PART_BYTES, Math.max(bytes, part.byteLength * 2))
  return new Uint8Array(part.buffer.transfer(size))
}

function createUpload(client: S3Client, key: string) {
  const stop = new AbortController()
  const mark = crypto.randomUUID()
  const tags: string[] = []
  const running = new Set<Promise<void>>()
  /** Sent parts' memory, used again: left to the collector it would pile up. */
  const spare: Uint8Array<ArrayBuffer>[] = []
  let uploadId: string | null = null
  let failed: unknown

  async function begin(): Promise<string> {
    const headers = { ...CONTENT, [MARK]: mark }
    const { xml } = orThrow(await client.ask({ method: 'POST', key, query: { uploads: '' }, headers }))
    const id = leafOf(xml, 'UploadId')
    if (id === null || id === '') throw odd('The answer to the begin of an upload has no UploadId')
    return id
  }

  async function send(id: string, number: number, body: Uint8Array<ArrayBuffer>): Promise<void> {
    const query = { partNumber: String(number), uploadId: id }
    const { headers } = orThrow(await client.ask({ method: 'PUT', key, query, body, signal: stop.signal }))
    const tag = headers.get('etag')
    if (tag === null) throw odd('The answer to a part of an upload has no ETag')
    tags[number - 1] = tag
    if (body.byteLength === PART_BYTES) spare.push(body)
  }

  /** Whether the object that is there now was made by this very upload. */
  async function isThere(): Promise<boolean> {
    const outcome = await client.ask({ method: 'HEAD', key })
    return 'value' in outcome && outcome.value.headers.get(MARK) === mark
  }

  return {
    begun: () => uploadId !== null,
    spare: () => spare.pop(),

    /** Resolves when the part is under way. Its memory belongs to the upload until `spare` gives it back. */
    async add(body: Uint8Array<ArrayBuffer>): Promise<void> {
      uploadId ??= await begin()
      if (running.size >= AT_ONCE) await Promise.race(running)
      if (failed !== undefined) throw failed
      const number = tags.push('')
      const sending: Promise<void> = send(uploadId, number, body)
        .catch((error: unknown) => {
          failed ??= error
        })
        .finally(() => running.delete(sending))
      running.add(sending)
    },

    async complete(): Promise<void> {
      await Promise.all(running)
      if (failed !== undefined) throw failed
      const parts = tags.map(
        (tag, n) => `<Part><PartNumber>${n + 1}</PartNumber><ETag>${escaped(tag)}</ETag></Part>`,
      )
      const xml = `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${parts.join('')}</CompleteMultipartUpload>`
      const outcome = await client.ask({
        method: 'POST',
        key,
        query: { uploadId: uploadId ?? '' },
        headers: { 'content-type': 'application/xml' },
        body: new TextEncoder().encode(xml),
        silenceMs: COMPLETE_MS,
      })
      if ('value' in outcome) {
        if (rootOf(outcome.value.xml) === 'CompleteMultipartUploadResult') return
        throw odd('The answer to the end of an upload does not say that it is complete')
      }
      // A try whose answer was lost may have completed it; the next one then finds no such upload.
      const { again, code } = outcome.failure
      if ((again || code === 'NoSuchUpload') && (await isThere())) return
      throw unavailable(outcome.failure)
    },

    /** What S3 does not take back now, the bucket's rule does; the caller's own error is the one to be told. */
    async abort(): Promise<void> {
      if (uploadId === null) return
      stop.abort()
      // A part that arrives after the abort would stay.
      await Promise.all(running)
      await client.ask({ method: 'DELETE', key, query: { uploadId } }).catch(() => undefined)
    },
  }

  function odd(why: string): CordboardError {
    const { host } = client.place
    return new CordboardError('storage_unavailable', `The S3 server ${host} answers unexpectedly`, { why })
  }
}

export function orThrow<T>(outcome: Outcome<T>): T {
  if ('failure' in outcome) throw unavailable(outcome.failure)
  return outcome.value
}
