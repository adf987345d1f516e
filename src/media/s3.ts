import { createHash } from 'node:crypto'
import { CordboardError } from '../errors.ts'
import type { Media } from './port.ts'
import { presignedPut } from './presign.ts'
import { createS3Client, type S3Options } from './s3-client.ts'
import { diagnosis, unavailable } from './s3-failure.ts'
import { wholeBody } from './s3-read.ts'
import { CONTENT, orThrow, putStream } from './s3-upload.ts'
import { elementsOf, escaped, leafOf, rootOf } from './s3-xml.ts'

export { type S3Settings, s3Settings } from './s3-settings.ts'

/**
 * Media as objects of one bucket of an S3-compatible server, named by their ids. S3 itself sees to it that nobody reads
 * half of an object, and that one it confirmed is durable. Opening talks to nobody: a server that is away shows in
 * `check`.
 */

const ID = /^[a-z0-9_-]{1,64}$/i
/** S3's own limit. */
const DELETED_AT_ONCE = 1_000

export async function openS3Media(options: S3Options): Promise<Media> {
  const client = createS3Client(options)
  const { prefix = '' } = options
  const { host } = client.place
  const keyOf = (id: string) => prefix + checkedId(id)

  async function deleteBatch(keys: readonly string[]): Promise<void> {
    const objects = keys.map((key) => `<Object><Key>${escaped(key)}</Key></Object>`)
    const xml = `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>${objects.join('')}</Delete>`
    const body = new TextEncoder().encode(xml)
    const answer = orThrow(
      await client.ask({
        method: 'POST',
        key: '',
        query: { delete: '' },
        // The one checksum that every S3-compatible server takes here.
        headers: {
          'content-type': 'application/xml',
          'content-md5': createHash('md5').update(body).digest('base64'),
        },
        body,
      }),
    )
    const codes = elementsOf(answer.xml, 'Error').map((error) => leafOf(error, 'Code') ?? 'an error')
    const kept = codes.filter((code) => code !== 'NoSuchKey')
    if (rootOf(answer.xml) === 'DeleteResult' && kept.length === 0) return
    const why =
      kept.length > 0
        ? `${kept.length} of ${keys.length} are kept: ${word(kept[0])}`
        : 'Its answer is no result'
    throw new CordboardError('storage_unavailable', `The S3 server ${host} does not delete`, { why })
  }

  return {
    async put(id, body, maxBytes) {
      const key = keyOf(id)
      if (!(body instanceof Uint8Array)) return putStream(client, key, body, maxBytes)
      const bytes = body.byteLength
      if (bytes > maxBytes) {
        throw new CordboardError('too_large', `The body is larger than ${maxBytes} bytes`)
      }
      orThrow(await client.ask({ method: 'PUT', key, headers: CONTENT, body }))
      return { bytes }
    },

    async get(id, range) {
      const key = keyOf(id)
      const start = range?.start ?? 0
      const end = range?.end
      // S3 takes an empty range for none at all; that the object exists still has to be asked.
      const empty = end !== undefined && end < start
      const headers = range === undefined ? {} : { range: `bytes=${start}-${empty ? start : (end ?? '')}` }
      const outcome = await client.open({ method: 'GET', key, headers })
      if ('failure' in outcome) {
        const { code } = outcome.failure
        if (code === 'NoSuchKey') return null
        if (code === 'InvalidRange') return { body: nothing(), bytes: 0 }
        throw unavailable(outcome.failure)
      }
      if (empty) {
        await outcome.value.body?.cancel()
        return { body: nothing(), bytes: 0 }
      }
      return wholeBody(outcome.value, host, range)
    },

    uploadUrl: (id, lifeMs) => presignedPut(options, keyOf(id), lifeMs, options.now),

    async delete(ids) {
      const keys = [...new Set(ids)].map(keyOf)
      const [only] = keys
      if (keys.length === 1 && only !== undefined) {
        const outcome = await client.ask({ method: 'DELETE', key: only })
        if ('failure' in outcome && outcome.failure.code !== 'NoSuchKey') throw unavailable(outcome.failure)
        return
      }
      for (let at = 0; at < keys.length; at += DELETED_AT_ONCE) {
        await deleteBatch(keys.slice(at, at + DELETED_AT_ONCE))
      }
    },

    async check() {
      // No id has a dot.
      const key = `${prefix}.check.${crypto.randomUUID()}`
      for (const method of ['PUT', 'DELETE'] as const) {
        const outcome = await client.ask({
          method,
          key,
          ...(method === 'PUT' ? { body: new Uint8Array(1) } : {}),
        })
        if ('failure' in outcome) throw diagnosis(outcome.failure)
      }
    },
  }
}

/** Ids come from requests too: what could name another place is no id. */
function checkedId(id: string): string {
  if (!ID.test(id)) throw new CordboardError('bad_request', 'This is no id of a stored file')
  return id
}

function nothing(): ReadableStream<Uint8Array> {
  return new ReadableStream({ start: (controller) => controller.close() })
}

/** A word of the other side, if it is one. */
function word(text: string | undefined): string {
  return text !== undefined && /^\w{1,64}$/.test(text) ? text : 'an error'
}
