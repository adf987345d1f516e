import { env } from 'cloudflare:workers'
import { expect, it } from 'vitest'
import { openR2Media, type R2Bucket } from '../../src/media/r2.ts'
import { mediaKit } from '../kit/media.ts'

type Listed = R2Bucket & { list(): Promise<{ objects: { key: string }[] }> }
const bucket = (env as unknown as { MEDIA: Listed }).MEDIA
const MB = 1024 * 1024

/** R2 does not list what is unfinished: the uploads that were begun and neither completed nor aborted. */
function watched(given: R2Bucket, fault?: 'part' | 'complete') {
  const unfinished = new Set<string>()
  let largest = 0
  const seen: R2Bucket = {
    put: (key, body) => given.put(key, body),
    get: (key, options) => given.get(key, options),
    head: (key) => given.head(key),
    delete: (keys) => given.delete(keys),
    async createMultipartUpload(key) {
      const upload = await given.createMultipartUpload(key)
      const name = `${key}, unfinished`
      unfinished.add(name)
      return {
        async uploadPart(number, body) {
          largest = Math.max(largest, body.byteLength)
          if (fault === 'part' && number === 2) throw new Error('uploadPart: Unspecified error (10001)')
          return upload.uploadPart(number, body)
        },
        async complete(parts) {
          if (fault === 'complete') throw new Error('completeMultipartUpload: Unspecified error (10001)')
          await upload.complete(parts)
          unfinished.delete(name)
        },
        async abort() {
          await upload.abort()
          unfinished.delete(name)
        },
      }
    },
  }
  return {
    media: openR2Media({ bucket: seen }),
    largest: () => largest,
    names: async () => [...(await bucket.list()).objects.map(({ key }) => key), ...unfinished],
    async drop() {
      const { objects } = await bucket.list()
      await bucket.delete(objects.map(({ key }) => key))
    },
  }
}

mediaKit('R2', async () => watched(bucket))

function stream(bytes: number, failAt = Number.POSITIVE_INFINITY): ReadableStream<Uint8Array> {
  let at = 0
  return new ReadableStream({
    pull(controller) {
      if (at >= failAt) throw new Error('the sender hung up')
      if (at === bytes) return controller.close()
      const size = Math.min(MB, bytes - at)
      at += size
      controller.enqueue(new Uint8Array(size))
    },
  })
}

it('holds one part of a long body at a time, and takes it all back when the body breaks off or is too long', async () => {
  const { media, names, largest, drop } = watched(bucket)
  await media.put('kept', new Uint8Array(1), 1)
  await expect(media.put('kept', stream(20 * MB, 12 * MB), 20 * MB)).rejects.toThrow('the sender hung up')
  await expect(media.put('kept', stream(20 * MB), 12 * MB)).rejects.toMatchObject({ code: 'too_large' })
  expect(largest()).toBe(5 * MB)
  expect(await names()).toEqual(['kept'])
  expect((await media.get('kept'))?.bytes).toBe(1)
  await drop()
})

it.each(['part', 'complete'] as const)('leaves nothing when R2 refuses a %s', async (fault) => {
  const { media, names } = watched(bucket, fault)
  await expect(media.put('a', stream(11 * MB), 20 * MB)).rejects.toMatchObject({
    code: 'storage_unavailable',
    retry: 'later',
    why: 'R2 answered with its error 10001',
  })
  expect(await names()).toEqual([])
})
