import type http from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openS3Media } from '../src/media/s3.ts'
import { createHttpFetch } from '../src/node/http-fetch.ts'
import { type Intercept, type RunningS3, startS3 } from './services/s3.ts'

/** What goes wrong between a media store and its S3 server: on the line, at the server, in the settings. */

const MB = 1024 * 1024
const fetch = createHttpFetch()

let s3: RunningS3
beforeAll(async () => {
  s3 = await startS3()
})
afterAll(() => s3.stop())
afterEach(() => s3.intercept(null))

let opened = 0
async function fresh(given: Partial<Parameters<typeof openS3Media>[0]> = {}) {
  opened += 1
  const prefix = `fault-${opened}/`
  const pauses: number[] = []
  const media = await openS3Media({
    ...s3.settings,
    prefix,
    http: fetch,
    pause: async (ms) => {
      pauses.push(ms)
    },
    ...given,
  })
  const names = async () =>
    (await s3.keys()).filter((key) => key.includes(prefix)).map((key) => key.replace(prefix, ''))
  return { media, names, pauses }
}

type Fault = (response: http.ServerResponse, request: http.IncomingMessage) => void

/** Does something else with the first `times` requests that match. Tells what was asked for, method and query. */
function instead(matches: RegExp, fault: Fault, times = Number.POSITIVE_INFINITY): string[] {
  const seen: string[] = []
  let left = times
  const intercept: Intercept = (request, response) => {
    const asked = `${request.method} ${request.url}`
    seen.push(`${request.method} ${Object.keys(queryOf(request)).join('&')}`.trim())
    if (left === 0 || !matches.test(asked)) return false
    left -= 1
    fault(response, request)
    return true
  }
  s3.intercept(intercept)
  return seen
}

function queryOf({ url = '' }: http.IncomingMessage): Record<string, string> {
  return Object.fromEntries(new URL(url, 'http://s3').searchParams)
}

const says =
  (status: number, code: string, headers: Record<string, string> = {}): Fault =>
  (response, request) => {
    request.resume()
    response.writeHead(status, { 'content-type': 'application/xml', ...headers })
    response.end(`<?xml version="1.0"?>\n<Error><Code>${code}</Code><Message>of key S3RVER</Message></Error>`)
  }
const hangsUp: Fault = (response) => response.destroy()

/** In pieces of a megabyte; a Blob's own stream may come in one. */
function stream(bytes: number): ReadableStream<Uint8Array> {
  let left = bytes
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      if (left === 0) return controller.close()
      const size = Math.min(MB, left)
      controller.enqueue(new Uint8Array(size).fill(7))
      left -= size
    },
  })
}
const text = async (found: { body: ReadableStream<Uint8Array> } | null) => new Response(found?.body).text()
const bytes = (word: string) => new TextEncoder().encode(word)

const away = { code: 'storage_unavailable', retry: 'later' }

describe('what passes is tried again', () => {
  it.each<[string, Fault]>([
    ['says 503 SlowDown', says(503, 'SlowDown')],
    ['says 500 InternalError', says(500, 'InternalError')],
    ['says 400 RequestTimeout', says(400, 'RequestTimeout')],
    [
      'is a proxy that says 502 in HTML',
      (response) => response.writeHead(502).end('<html>Bad gateway</html>'),
    ],
    ['cuts the connection', hangsUp],
    [
      'cuts the connection in its answer',
      (response) => {
        response.writeHead(503, { 'content-length': '1000' }).write('<Error><Code>')
        setImmediate(() => response.destroy())
      },
    ],
  ])('when the server %s twice', async (_, fault) => {
    const { media, names, pauses } = await fresh()
    instead(/./, fault, 2)
    await media.put('a', bytes('one'), MB)
    instead(/./, fault, 2)
    expect(await text(await media.get('a'))).toBe('one')
    instead(/uploads=/, fault, 2)
    await media.put('b', stream(9 * MB), 9 * MB)
    instead(/partNumber=2/, fault, 2)
    await media.put('c', stream(9 * MB), 9 * MB)
    instead(/^POST .*uploadId=/, fault, 2)
    await media.put('d', stream(9 * MB), 9 * MB)
    instead(/./, fault, 2)
    await media.delete(['a', 'b'])
    instead(/./, fault, 2)
    await media.delete(['c'])
    instead(/./, fault, 2)
    await media.check()
    expect(await names()).toEqual(['d'])
    expect(pauses).toHaveLength(16)
    for (const [n, ms] of pauses.entries()) {
      const base = n % 2 === 0 ? 100 : 400
      expect(ms).toBeGreaterThanOrEqual(base / 2)
      expect(ms).toBeLessThanOrEqual(base * 1.5)
    }
  })

  it('four times at most', async () => {
    const { media, pauses } = await fresh()
    const seen = instead(/./, says(503, 'SlowDown'))
    await expect(media.get('a')).rejects.toMatchObject({ ...away, why: 'It answered SlowDown (503)' })
    expect(seen).toHaveLength(4)
    expect(pauses).toHaveLength(3)
  })

  it('but what is final is not', async () => {
    const { media } = await fresh()
    const seen = instead(/./, says(403, 'AccessDenied'))
    await expect(media.put('a', bytes('one'), MB)).rejects.toMatchObject(away)
    expect(seen).toEqual(['PUT'])
  })
})

describe('an object', () => {
  it.each<[string, Fault]>([
    [
      'whose connection is cut',
      (response) => {
        response.writeHead(200, { 'content-length': '1000' }).write('half of it')
        setTimeout(() => response.destroy(), 20)
      },
    ],
    [
      'that ends early, in good order',
      (response) => {
        response.writeHead(206, { 'content-range': 'bytes 0-999/1000' }).end('half of it')
      },
    ],
  ])('%s is an error, and no short object', async (_, fault) => {
    const { media } = await fresh()
    instead(/./, fault)
    const found = await media.get('a', { start: 0 })
    expect(found?.bytes).toBe(1_000)
    await expect(text(found)).rejects.toMatchObject({
      ...away,
      message: expect.stringContaining('broke off'),
    })
  })

  it.each<[string, Fault]>([
    ['has no length', (response) => response.writeHead(200, { 'transfer-encoding': 'chunked' }).end('one')],
    [
      'is the whole instead of the part',
      (response) => response.writeHead(200, { 'content-length': '3' }).end('one'),
    ],
    ['is another part', (response) => response.writeHead(206, { 'content-range': 'bytes 0-2/9' }).end('one')],
  ])('that %s is refused', async (_, fault) => {
    const { media } = await fresh()
    instead(/./, fault)
    await expect(media.get('a', { start: 5 })).rejects.toMatchObject(away)
  })

  it('is missing only when the server says that of this very key', async () => {
    const { media } = await fresh()
    instead(/./, (response) => response.writeHead(404).end('<html>no such page</html>'))
    await expect(media.get('a')).rejects.toMatchObject(away)
    instead(/./, says(404, 'NoSuchBucket'))
    await expect(media.get('a')).rejects.toMatchObject(away)
    instead(/./, says(404, 'NoSuchKey'))
    expect(await media.get('a')).toBeNull()
  })

  it('that was not deleted is told, also inside an answer that sounds well', async () => {
    const { media } = await fresh()
    const result =
      (inside: string): Fault =>
      (response, request) => {
        request.resume()
        response.end(`<?xml version="1.0"?><DeleteResult xmlns="s3">${inside}</DeleteResult>`)
      }
    const kept = (code: string) => `<Error><Key>a</Key><Code>${code}</Code><Message>no</Message></Error>`
    instead(/./, result(kept('NoSuchKey') + kept('AccessDenied') + kept('InternalError')))
    await expect(media.delete(['a', 'b', 'c'])).rejects.toMatchObject({
      ...away,
      why: '2 of 3 are kept: AccessDenied',
    })
    instead(/./, result(kept('NoSuchKey')))
    await media.delete(['a', 'b'])
    instead(/./, (response) => response.end('<html>fine</html>'))
    await expect(media.delete(['a', 'b'])).rejects.toMatchObject(away)
  })
})

describe('a stream in parts', () => {
  it('is taken back when a part cannot be sent', async () => {
    const { media, names } = await fresh()
    await media.put('a', bytes('old'), MB)
    const seen = instead(/partNumber=2/, says(503, 'SlowDown'))
    let cancelled = false
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(MB)),
      cancel() {
        cancelled = true
      },
    })
    await expect(media.put('a', endless, 500 * MB)).rejects.toMatchObject(away)
    expect(cancelled).toBe(true)
    expect(seen.length).toBeLessThan(12)
    expect(seen.at(-1)).toBe('DELETE uploadId')
    expect(await names()).toEqual(['a'])
    expect(await text(await media.get('a'))).toBe('old')
  })

  it('is taken back when it turns out too large, and when its source fails', async () => {
    const { media, names } = await fresh()
    await expect(media.put('a', stream(30 * MB), 25 * MB)).rejects.toMatchObject({ code: 'too_large' })
    let given = 0
    const failing = new ReadableStream<Uint8Array>({
      pull(controller) {
        given += 1
        if (given > 20) throw new Error('the sender hung up')
        controller.enqueue(new Uint8Array(MB))
      },
    })
    await expect(media.put('a', failing, 50 * MB)).rejects.toThrow('the sender hung up')
    expect(await names()).toEqual([])
  })

  it('keeps its own error when it cannot even be taken back', async () => {
    const { media, names } = await fresh()
    instead(/^DELETE/, says(503, 'SlowDown'))
    await expect(media.put('a', stream(30 * MB), 25 * MB)).rejects.toMatchObject({ code: 'too_large' })
    expect(await names()).toEqual(['unfinished:a'])
    expect(await media.get('a')).toBeNull()
  })

  it('is not complete because the answer has status 200', async () => {
    const { media, names } = await fresh()
    for (const fault of [says(200, 'InternalError'), says(200, 'AccessDenied')]) {
      instead(/^POST .*uploadId=/, fault)
      await expect(media.put('a', stream(9 * MB), 9 * MB)).rejects.toMatchObject(away)
    }
    instead(/^POST .*uploadId=/, (response, request) => {
      request.resume()
      response.end(' \n')
    })
    await expect(media.put('a', stream(9 * MB), 9 * MB)).rejects.toMatchObject(away)
    expect(await names()).toEqual([])
    instead(/^POST .*uploadId=/, says(200, 'InternalError'), 1)
    await media.put('a', stream(9 * MB), 9 * MB)
    expect(await names()).toEqual(['a'])
  })

  it('is complete although the answer that said so was lost', async () => {
    const { media, names } = await fresh()
    const seen: string[] = []
    let lost = false
    s3.intercept((request, response) => {
      const { method } = request
      const query = Object.keys(queryOf(request)).join('&')
      seen.push(`${method} ${query}`.trim())
      // The server does its work, and nobody ever hears of it.
      if (method === 'POST' && query === 'uploadId' && !lost) {
        lost = true
        Object.assign(response, {
          writeHead: () => response,
          write: () => true,
          end: () => response.destroy(),
        })
      }
      return false
    })
    await media.put('a', stream(9 * MB), 9 * MB)
    expect(seen.slice(3)).toEqual(['POST uploadId', 'POST uploadId', 'HEAD'])
    expect(await names()).toEqual(['a'])
  })

  it('is not complete because another object has its key', async () => {
    const { media, names } = await fresh()
    await media.put('a', stream(9 * MB), 9 * MB)
    instead(/^POST .*uploadId=/, says(404, 'NoSuchUpload'))
    await expect(media.put('a', stream(9 * MB), 9 * MB)).rejects.toMatchObject(away)
    expect(await names()).toEqual(['a'])
  })

  it.each<[string, RegExp, string]>([
    [
      'no UploadId',
      /uploads=/,
      '<InitiateMultipartUploadResult><UploadId></UploadId></InitiateMultipartUploadResult>',
    ],
    ['no ETag', /partNumber=1/, ''],
  ])('is refused when an answer has %s', async (why, matches, answer) => {
    const { media, names } = await fresh()
    instead(matches, (response, request) => {
      request.resume()
      response.end(answer)
    })
    await expect(media.put('a', stream(9 * MB), 9 * MB)).rejects.toMatchObject({
      ...away,
      why: expect.stringContaining(why),
    })
    expect(await names()).toEqual([])
  })
})

describe('check says what to repair', () => {
  const all = (error: unknown) =>
    JSON.stringify([error, error instanceof Error ? [error.message, error.stack] : ''])
  const failed = async (given: Parameters<typeof fresh>[0]) => {
    const { media } = await fresh(given)
    const error: unknown = await media.check().then(
      () => 'it did not fail',
      (thrown: unknown) => thrown,
    )
    for (const secret of ['S3RVER', 'aSecretNobodyKnows', 'aTokenNobodyKnows', 'prefix-of']) {
      expect(all(error)).not.toContain(secret)
    }
    return error
  }

  it.each([
    [
      'bucket',
      { bucket: 'another-bucket' },
      'The bucket another-bucket does not exist at 127.0.0.1',
      'S3_BUCKET',
    ],
    ['access key', { accessKeyId: 'AKIAUNKNOWN' }, 'does not accept the credentials', 'S3_ACCESS_KEY_ID'],
    [
      'secret',
      { secretAccessKey: 'aSecretNobodyKnows' },
      'does not accept the credentials',
      'S3_SECRET_ACCESS_KEY',
    ],
    [
      'clock, slow',
      { now: () => Date.now() - 20 * 60_000 },
      'disagree about the time: it is 20 minutes later there',
      'NTP',
    ],
    [
      'clock, fast',
      { now: () => Date.now() + 20 * 60_000 },
      'disagree about the time: it is 20 minutes earlier there',
      'NTP',
    ],
  ])('the %s', async (_, given, message, fix) => {
    const error = await failed(given)
    expect(error).toMatchObject({
      code: 'config',
      message: expect.stringContaining(message),
      fix: expect.stringContaining(fix),
    })
  })

  it.each<[string, Fault, string, string]>([
    ['permission', says(403, 'AccessDenied'), 'lack a permission', 's3:PutObject'],
    ['temporary credentials', says(400, 'ExpiredToken'), 'no longer accepts', 'S3_SESSION_TOKEN'],
    [
      'region',
      says(301, 'PermanentRedirect', { 'x-amz-bucket-region': 'eu-west-3' }),
      'as region us-east-1',
      'S3_REGION (eu-west-3)',
    ],
    [
      'endpoint',
      says(307, 'TemporaryRedirect', { location: 'http://elsewhere.test/' }),
      'as region us-east-1',
      'S3_ENDPOINT',
    ],
  ])('the %s', async (_, fault, message, fix) => {
    instead(/./, fault)
    const error = await failed({ sessionToken: 'aTokenNobodyKnows' })
    expect(error).toMatchObject({
      code: 'config',
      message: expect.stringContaining(message),
      fix: expect.stringContaining(fix),
    })
  })

  it('nothing, where it only has to be waited for', async () => {
    instead(/./, says(503, 'ServiceUnavailable'))
    expect(await failed({})).toMatchObject(away)
    const gone = await startS3()
    await gone.stop()
    const { endpoint } = gone.settings
    const error = await failed({ endpoint })
    expect(error).toMatchObject({
      ...away,
      message: `The S3 server ${new URL(endpoint).host} cannot be reached`,
    })
  })

  it('and other requests have the same words, but go on later', async () => {
    const { media } = await fresh({ secretAccessKey: 'aSecretNobodyKnows' })
    const error = { ...away, message: expect.stringContaining('does not accept the credentials') }
    await expect(media.put('a', bytes('one'), MB)).rejects.toMatchObject(error)
    await expect(media.get('a')).rejects.toMatchObject(error)
    await expect(media.delete(['a'])).rejects.toMatchObject(error)
    await expect(media.delete(['a', 'b'])).rejects.toMatchObject(error)
  })
})

it('sends nothing without a signature, and the server would not take it', async () => {
  const { media } = await fresh()
  const seen: (string | undefined)[] = []
  s3.intercept(({ headers }) => {
    seen.push(headers.authorization)
    delete headers.authorization
    return false
  })
  await expect(media.put('a', bytes('one'), MB)).rejects.toMatchObject(away)
  expect(seen).toEqual([
    expect.stringMatching(
      /^AWS4-HMAC-SHA256 Credential=S3RVER\/\d{8}\/us-east-1\/s3\/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=[\da-f]{64}$/,
    ),
  ])
})
