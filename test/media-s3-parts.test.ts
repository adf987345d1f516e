import { describe, expect, it, vi } from 'vitest'
import { CordboardError } from '../src/errors.ts'
import { createS3Client, type S3Request } from '../src/media/s3-client.ts'
import { s3Settings } from '../src/media/s3-settings.ts'
import { elementsOf, escaped, leafOf, rootOf } from '../src/media/s3-xml.ts'

/** The credentials, the time and the bucket of Amazon's published examples. */
const example = {
  endpoint: 'https://s3.amazonaws.com',
  bucket: 'examplebucket',
  region: 'us-east-1',
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  pathStyle: false,
}

describe('the signature', () => {
  async function sent(request: S3Request, given: { sessionToken?: string } = {}) {
    let url = ''
    let headers: Record<string, string> = {}
    const client = createS3Client({
      ...example,
      ...given,
      now: () => Date.UTC(2013, 4, 24),
      http: async (to, asked) => {
        url = to.href
        headers = asked.headers
        return new Response()
      },
    })
    await client.ask(request)
    const [, signed, signature] =
      /SignedHeaders=([^,]*), Signature=(\w+)$/.exec(headers.authorization ?? '') ?? []
    return { url, headers, signed, signature }
  }

  // https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, "Examples: Signature calculations"
  it.each<[string, S3Request, string, string]>([
    [
      'GET bucket lifecycle',
      { method: 'GET', key: '', query: { lifecycle: '' } },
      'https://examplebucket.s3.amazonaws.com/?lifecycle=',
      'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
    ],
    [
      'GET bucket, list objects',
      { method: 'GET', key: '', query: { 'max-keys': '2', prefix: 'J' } },
      'https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J',
      '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    ],
    [
      'PUT object',
      {
        method: 'PUT',
        key: 'test$file.text',
        headers: { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' },
        body: new TextEncoder().encode('Welcome to Amazon S3.'),
      },
      'https://examplebucket.s3.amazonaws.com/test$file.text',
      '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    ],
  ])('is that of Amazon’s example: %s', async (_, request, url, signature) => {
    expect(await sent(request)).toMatchObject({ url, signature })
  })

  it('covers the session token and the mark of an upload', async () => {
    const headers = { 'x-amz-meta-cordboard-put': 'mark' }
    const { signed, headers: all } = await sent(
      { method: 'POST', key: 'a', headers },
      { sessionToken: 'token' },
    )
    expect(signed).toBe('host;x-amz-content-sha256;x-amz-date;x-amz-meta-cordboard-put;x-amz-security-token')
    expect(all['x-amz-security-token']).toBe('token')
  })
})

it('stops trying after fifteen seconds, however few tries that were', async () => {
  let clock = 0
  let tries = 0
  vi.spyOn(performance, 'now').mockImplementation(() => clock)
  const client = createS3Client({
    ...example,
    pause: async () => undefined,
    http: () => {
      tries += 1
      clock += 10_000
      return Promise.reject(new CordboardError('timeout', 'no answer'))
    },
  })
  const outcome = await client.ask({ method: 'GET', key: 'a' })
  vi.restoreAllMocks()
  expect(tries).toBe(2)
  expect(outcome).toMatchObject({
    failure: { message: 'The S3 server examplebucket.s3.amazonaws.com cannot be reached' },
  })
})

describe('settings', () => {
  const least = {
    S3_ENDPOINT: 'http://minio:9000',
    S3_BUCKET: 'cordboard',
    S3_ACCESS_KEY_ID: 'key',
    S3_SECRET_ACCESS_KEY: 'not-to-be-seen',
  }
  const from = (env: Record<string, string>) => s3Settings((name) => env[name])
  const wrongs = (env: Record<string, string>) => {
    try {
      return from(env)
    } catch (error) {
      return error
    }
  }

  it('are none without a bucket', () => {
    expect(from({ ...least, S3_BUCKET: ' ' })).toBeNull()
    expect(from({})).toBeNull()
  })

  it('need four values', () => {
    expect(from(least)).toEqual({
      endpoint: 'http://minio:9000',
      bucket: 'cordboard',
      region: 'us-east-1',
      accessKeyId: 'key',
      secretAccessKey: 'not-to-be-seen',
      prefix: '',
      pathStyle: true,
    })
  })

  it.each([
    [{ S3_PREFIX: '/a/b.c//' }, { prefix: 'a/b.c/' }],
    [
      { S3_REGION: 'eu-central-1', S3_SESSION_TOKEN: 'token' },
      { region: 'eu-central-1', sessionToken: 'token' },
    ],
    [{ S3_ENDPOINT: 'https://s3.eu-central-1.amazonaws.com' }, { pathStyle: false }],
    [{ S3_ENDPOINT: 'https://s3.eu-central-1.amazonaws.com', S3_BUCKET: 'a.b.c' }, { pathStyle: true }],
    [{ S3_ENDPOINT: 'https://s3.eu-central-1.amazonaws.com', S3_PATH_STYLE: 'true' }, { pathStyle: true }],
    [{ S3_PATH_STYLE: 'False' }, { pathStyle: false }],
  ])('%j', (given, expected) => {
    expect(from({ ...least, ...given })).toMatchObject(expected)
  })

  it('name everything that is missing', () => {
    expect(wrongs({ S3_BUCKET: 'cordboard' })).toMatchObject({
      code: 'config',
      message: expect.stringMatching(/^S3_ENDPOINT: .*; S3_ACCESS_KEY_ID: .*; S3_SECRET_ACCESS_KEY: /),
      fix: expect.stringContaining('_FILE'),
    })
  })

  it.each([
    [{ S3_ENDPOINT: 'minio:9000' }, 'S3_ENDPOINT'],
    [{ S3_ENDPOINT: 'https://user:not-to-be-seen@minio' }, 'S3_ENDPOINT'],
    [{ S3_ENDPOINT: 'https://minio?bucket=a' }, 'S3_ENDPOINT'],
    [{ S3_BUCKET: 'Cordboard' }, 'S3_BUCKET'],
    [{ S3_BUCKET: 'a/b/c' }, 'S3_BUCKET'],
    [{ S3_REGION: 'eu central' }, 'S3_REGION'],
    [{ S3_ACCESS_KEY_ID: 'not to be seen' }, 'S3_ACCESS_KEY_ID'],
    [{ S3_SESSION_TOKEN: 'not-to-be-seen\nnot-to-be-seen' }, 'S3_SESSION_TOKEN'],
    [{ S3_PREFIX: 'a/../b' }, 'S3_PREFIX'],
    [{ S3_PREFIX: 'a b' }, 'S3_PREFIX'],
    [{ S3_PATH_STYLE: 'maybe' }, 'S3_PATH_STYLE'],
    [{ S3_ENDPOINT: 'http://10.0.0.1:9000', S3_PATH_STYLE: 'false' }, 'S3_PATH_STYLE'],
  ])('are refused: %j', (given, name) => {
    const error = wrongs({ ...least, ...given })
    expect(error).toMatchObject({
      code: 'config',
      message: expect.stringMatching(new RegExp(`^${name}: [^;]*$`)),
    })
    expect(String(error)).not.toMatch(/not.to.be.seen/)
  })
})

describe('the XML of answers', () => {
  it.each([
    ['<?xml version="1.0"?>\n<Error><Code>A</Code></Error>', 'Error'],
    ['\n\n  <s3:Result xmlns:s3="x">', 'Result'],
    ['<Empty/>', 'Empty'],
    ['<!DOCTYPE html><Error>', null],
    ['', null],
    ['Error', null],
  ])('%j has the root %s', (xml, root) => {
    expect(rootOf(xml)).toBe(root)
  })

  it('gives the text of leaves, their few entities resolved and no others', () => {
    expect(leafOf('<a><ETag>&quot;1&#45;2&#x2d;3&amp;&quot;</ETag></a>', 'ETag')).toBe('"1-2-3&"')
    expect(leafOf('<a><Code x="1">&lol;</Code></a>', 'Code')).toBe('&lol;')
    expect(leafOf('<a><Code>&#x110000;</Code></a>', 'Code')).toBe('&#x110000;')
    expect(leafOf('<a><Coder>no</Coder><Code><b/></Code></a>', 'Code')).toBeNull()
    expect(leafOf('<a><Code>cut', 'Code')).toBeNull()
    expect(
      elementsOf('<r><Error><Code>A</Code></Error><Error><Code>B</Code></Error></r>', 'Error'),
    ).toHaveLength(2)
    expect(leafOf(`<a><Key>${escaped('<&"\'>')}</Key></a>`, 'Key')).toBe('<&"\'>')
  })

  it('is read in a time that grows with its length only', () => {
    for (const piece of ['<Error>', '<Error><Code>', '<Code ', '&#', '<', ' ']) {
      const xml = piece.repeat(Math.floor((1024 * 1024) / piece.length))
      const begun = performance.now()
      rootOf(xml)
      leafOf(xml, 'Code')
      elementsOf(xml, 'Error')
      expect(performance.now() - begun, piece).toBeLessThan(2_000)
    }
  })
})
