import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openS3Media } from '../src/media/s3.ts'
import { createHttpFetch } from '../src/node/http-fetch.ts'
import { mediaKit } from './kit/media.ts'
import { child, type Told } from './kit/media-s3-child.ts'
import { type RunningS3, startS3 } from './services/s3.ts'

const MB = 1024 * 1024

let s3: RunningS3
let opened = 0
const http = createHttpFetch()
beforeAll(async () => {
  s3 = await startS3()
})
afterAll(() => s3.stop())

/** Each with a prefix of its own in the one bucket. */
async function fresh() {
  opened += 1
  const prefix = `run-${opened}/`
  const settings = { ...s3.settings, prefix }
  const names = async () =>
    (await s3.keys()).filter((key) => key.includes(prefix)).map((key) => key.replace(prefix, ''))
  return { media: await openS3Media({ ...settings, http }), settings, names, drop: async () => undefined }
}

mediaKit('S3', fresh)

it('lets somebody without credentials put one object, for a while', async () => {
  const { media, settings } = await fresh()
  const put = async (url: string | undefined, body: string) =>
    (await fetch(url ?? '', { method: 'PUT', body: new TextEncoder().encode(body) })).status
  const found = await media.uploadUrl?.('imp_1_csv', 60_000)
  expect([await put(found?.url, 'a,b'), await put(found?.url.replace('imp_1', 'imp_2'), 'x')]).toEqual([
    200, 403,
  ])
  expect(await new Response((await media.get('imp_1_csv'))?.body).text()).toBe('a,b')
  expect(await media.get('imp_2_csv')).toBeNull()
  const old = await openS3Media({ ...settings, http, now: () => Date.now() - 120_000 })
  expect(await put((await old.uploadUrl?.('imp_1_csv', 60_000))?.url, 'late')).toBe(403)
})

it('finds its bucket in the host name where that is asked for', async () => {
  const { settings } = await fresh()
  const { port } = new URL(settings.endpoint)
  const seen: string[] = []
  // s3rver signs such requests otherwise than Amazon: the signature has its own test.
  s3.intercept(({ method, url, headers }, response) => {
    seen.push(`${method} ${headers.host} ${url}`)
    response.writeHead(200, { 'content-type': 'application/xml' })
    response.end(url?.includes('delete') ? '<DeleteResult/>' : '')
    return true
  })
  const address = { address: '127.0.0.1', family: 4 }
  const media = await openS3Media({
    ...settings,
    endpoint: `http://s3.storage.test:${port}`,
    pathStyle: false,
    http: createHttpFetch({ lookup: (_, { all }, done) => done(null, all ? [address] : '127.0.0.1', 4) }),
  })
  await media.put('a', new Uint8Array(3), 3)
  await media.delete(['a', 'b'])
  s3.intercept(null)
  const host = `${settings.bucket}.s3.storage.test:${port}`
  expect(seen).toEqual([`PUT ${host} /${settings.prefix}a`, `POST ${host} /?delete=`])
})

it('announces the length of everything it sends, and asks for nothing compressed', async () => {
  const { media } = await fresh()
  const seen: string[] = []
  s3.intercept(({ method, headers }) => {
    expect(headers['transfer-encoding']).toBeUndefined()
    expect(headers['accept-encoding']).toBe('identity')
    seen.push(`${method} ${headers['content-length']}`)
    return false
  })
  await media.put('a', new Uint8Array(0), 1)
  await media.put('b', new Blob([new Uint8Array(9 * MB)]).stream(), 9 * MB)
  await media.get('a')
  await media.delete(['a'])
  s3.intercept(null)
  const part = (bytes: number) => `PUT ${bytes}`
  expect(seen.slice(0, 2)).toEqual(['PUT 0', 'POST 0'])
  expect(seen.slice(2, 4).sort()).toEqual([part(MB), part(8 * MB)])
  expect(seen.slice(4)).toEqual([expect.stringMatching(/^POST \d{3}$/), 'GET undefined', 'DELETE undefined'])
})

it('deletes thousands, a thousand at a time', async () => {
  const { media, names } = await fresh()
  const ids = Array.from({ length: 2_500 }, (_, n) => `d_${n}`)
  for (const id of ['d_0', 'd_1000', 'd_2499', 'kept']) await media.put(id, new Uint8Array(1), 1)
  let requests = 0
  s3.intercept(() => {
    requests += 1
    return false
  })
  await media.delete([...ids, ...ids])
  s3.intercept(null)
  expect(requests).toBe(3)
  expect(await names()).toEqual(['kept'])
})

describe('a process that is killed while it puts', () => {
  it.each([
    ['a stream', 'stream', /^PUT .*partNumber=2/, ['a', 'unfinished:a']],
    ['bytes', 'bytes', /^PUT /, ['a']],
  ])('%s leaves the old object as it was, and nothing else to be seen', async (_, job, moment, left) => {
    const { media, settings, names } = await fresh()
    await media.put('a', new Uint8Array(10).fill(7), 10)
    const { process: putting } = child(job, settings)
    const gone = once(putting, 'exit')
    s3.intercept(({ method, url }) => {
      if (moment.test(`${method} ${url}`)) putting.kill('SIGKILL')
      return false
    })
    expect(await gone).toEqual([null, 'SIGKILL'])
    s3.intercept(null)
    const found = await media.get('a')
    expect(new Uint8Array(await new Response(found?.body).arrayBuffer())).toEqual(new Uint8Array(10).fill(7))
    expect(await names()).toEqual(left)
  })
})

it('needs no more memory for 300 MB than for a few parts', { timeout: 60_000 }, async () => {
  const { settings, names } = await fresh()
  const { process: passing, said } = child('large', settings)
  const [code] = await once(passing, 'exit')
  const text = await said
  expect(code, text).toBe(0)
  const { put, got, putGrowthMb, gotGrowthMb, intact }: Told = JSON.parse(text)
  expect({ put, got, intact }).toEqual({ put: 300 * MB, got: 300 * MB, intact: true })
  expect(putGrowthMb).toBeLessThan(60)
  expect(gotGrowthMb).toBeLessThan(60)
  expect(await names()).toEqual([])
})
