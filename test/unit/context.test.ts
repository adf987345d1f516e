import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Connection } from '../../src/config/model.ts'
import { createMemoryBudgets } from '../../src/connector/budgets.ts'
import { allowsPrivate, type ContextOptions, createContext } from '../../src/connector/context.ts'
import { type Budget, defineConnector } from '../../src/connector/contract.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { CordboardError } from '../../src/errors.ts'
import { createHttpFetch } from '../../src/node/http-fetch.ts'

const seen: { method: string; url: string; headers: NodeJS.Dict<string | string[]>; body: string }[] = []
const server = createServer((request, response) => {
  let body = ''
  request.on('data', (chunk: Buffer) => {
    body += chunk.toString()
  })
  request.on('end', () => {
    seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body })
    if (request.url === '/moved') response.writeHead(302, { location: '/' })
    response.end(request.url === '/big' ? Buffer.alloc(8 * 1024 * 1024 + 1) : 'ok')
  })
})
let base = ''
beforeAll(async () => {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => server.close())

function connection(given: Partial<Connection> = {}, budgets: Record<string, Budget> = {}): Connection {
  const connector = defineConnector({
    id: 'example',
    name: 'Example',
    docs: 'https://example.com/docs',
    config: z.object({}),
    check: () => Promise.resolve({ says: 'fine' }),
    budgets: () => budgets,
  })
  return {
    id: 'example-paris',
    connector,
    settings: { account: 'A1' },
    region: 'FR',
    allowPrivate: [new URL(base).host],
    concurrency: 1,
    recordingWaitMs: undefined,
    secrets: [],
    ...given,
  }
}

const silent = { debug() {}, info() {}, warn() {}, error() {} }

function context(given: Partial<ContextOptions> = {}) {
  const now = given.now ?? (() => 1000)
  return createContext({
    connection: connection(),
    publicUrl: 'https://calls.example.com',
    http: createHttpFetch(),
    budgets: createMemoryBudgets({ now }),
    tokens: createMemoryTokens({ now }),
    now,
    random: () => 0.5,
    log: silent,
    signal: new AbortController().signal,
    ...given,
  })
}

it('tells a connector who and where it is', () => {
  const ctx = context()
  expect([ctx.connection, ctx.region, ctx.config]).toEqual(['example-paris', 'FR', { account: 'A1' }])
  expect(ctx.hookUrl).toBe('https://calls.example.com/hooks/example-paris')
  expect(context({ publicUrl: undefined }).hookUrl).toBeUndefined()
})

describe('ctx.fetch', () => {
  it('sends what it is told, under our name', async () => {
    const response = await context().fetch(`${base}/x?y=1`, {
      method: 'post',
      headers: { 'X-Key': 'k' },
      body: new URLSearchParams({ a: 'б' }),
    })
    expect(await response.text()).toBe('ok')
    const last = seen.at(-1)
    expect(last).toMatchObject({ method: 'POST', url: '/x?y=1', body: 'a=%D0%B1' })
    expect(last?.headers).toMatchObject({
      'user-agent': 'cordboard',
      'x-key': 'k',
      'content-type': 'application/x-www-form-urlencoded;charset=UTF-8',
      'content-length': '8',
    })
    await context().fetch(new URL(base), { headers: { 'User-Agent': 'own' } })
    expect(seen.at(-1)?.headers['user-agent']).toBe('own')
  })

  it('follows no redirect and takes no more than 8 MB unless asked to', async () => {
    const ctx = context()
    expect((await ctx.fetch(`${base}/moved`)).status).toBe(302)
    expect((await ctx.fetch(`${base}/moved`, { redirects: 1 })).status).toBe(200)
    await expect((await ctx.fetch(`${base}/big`)).bytes()).rejects.toMatchObject({ code: 'too_large' })
    const big = await ctx.fetch(`${base}/big`, { maxBytes: 9_000_000 })
    expect((await big.bytes()).byteLength).toBe(8 * 1024 * 1024 + 1)
  })

  it('gives every request half a minute by default', async () => {
    let timeoutMs = 0
    const ctx = context({
      http: (_, request) => {
        timeoutMs = request.timeoutMs
        return Promise.resolve(new Response())
      },
    })
    await ctx.fetch(base)
    expect(timeoutMs).toBe(30_000)
  })

  it.each([
    ['plain http at a host that is not listed', 'http://api.example.com/', /not https/],
    ['a listed host at another port', 'http://127.0.0.1:1/', /not https/],
    ['credentials in the URL', 'https://user:secret-canary@api.example.com/', /credentials/],
    ['a user name in the URL', 'https://secret-canary@api.example.com/', /credentials/],
    ['a file', 'file:///etc/passwd', /file:/],
    ['a data URL', 'data:text/plain,x', /data:/],
    ['ftp', 'ftp://api.example.com/', /ftp:/],
    ['a script', 'javascript:alert(1)', /javascript:/],
  ])('refuses %s, with a fix', async (_, url, message) => {
    const error = await context()
      .fetch(url)
      .catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(CordboardError)
    expect(error).toMatchObject({ code: 'blocked_address', message: expect.stringMatching(message) })
    expect((error as CordboardError).fix).not.toBe('')
    expect(JSON.stringify([error, (error as CordboardError).message])).not.toContain('secret-canary')
  })

  it('refuses what is no absolute URL', async () => {
    await expect(context().fetch('/path')).rejects.toMatchObject({ code: 'config' })
    await expect(context().fetch('http://')).rejects.toMatchObject({ code: 'config' })
  })

  it('lets no header break the line, and never repeats its value', async () => {
    const count = seen.length
    const ctx = context()
    const breaking = fc
      .tuple(
        fc.string(),
        fc.constantFrom('\r', '\n', '\0', '\r\n', '\u0100', '\u007f', '\u{1f4a9}'),
        fc.string(),
      )
      .map((parts) => parts.join(''))
    await fc.assert(
      fc.asyncProperty(breaking, async (value) => {
        const sent = ctx.fetch(base, { headers: { authorization: `canary${value}` } })
        await expect(sent).rejects.toMatchObject({
          code: 'config',
          message: expect.not.stringContaining('canary'),
        })
      }),
      { numRuns: 500 },
    )
    for (const name of ['', 'a b', 'a:b', 'a\r\nb', 'é']) {
      await expect(ctx.fetch(base, { headers: { [name]: '1' } })).rejects.toMatchObject({ code: 'config' })
    }
    expect(seen).toHaveLength(count)
  })

  it('sends nothing once the lease has run out, not even after waiting for the budget', async () => {
    const count = seen.length
    let now = 1000
    const lease = { until: () => 1500 }
    await context({ now: () => now, lease }).fetch(base)
    expect(seen).toHaveLength(count + 1)

    const ctx = context({
      now: () => now,
      lease,
      connection: connection({}, { default: { limit: 1, windowMs: 1000, window: 'rolling' } }),
      wait: (ms) => {
        now += ms
        return Promise.resolve()
      },
    })
    await ctx.fetch(base)
    await expect(ctx.fetch(base)).rejects.toMatchObject({ code: 'lease_lost', retry: 'later' })
    await expect(ctx.fetch(base)).rejects.toMatchObject({ code: 'lease_lost' })
    expect(seen).toHaveLength(count + 2)
  })

  it('gives up with the reason it was told to', async () => {
    const abort = new AbortController()
    const ctx = context({ signal: abort.signal })
    abort.abort(new CordboardError('lease_lost', 'taken over'))
    await expect(ctx.fetch(base)).rejects.toMatchObject({ code: 'lease_lost', message: 'taken over' })
    await expect(context({ signal: AbortSignal.abort() }).fetch(base)).rejects.toMatchObject({
      code: 'timeout',
    })
  })
})

describe('ctx.token', () => {
  const gone = () => Promise.reject(new CordboardError('internal', 'sent with the step’s own fetch'))

  it('is got with a fetch that is not cut off with the step that asked for it', async () => {
    const step = new AbortController()
    let sent: AbortSignal | undefined
    const answer = Promise.withResolvers<Response>()
    const tokens = createMemoryTokens({ now: () => 1000 })
    const http: ContextOptions['http'] = (_, request) => {
      sent = request.signal
      return answer.promise
    }
    const fetchNew: Parameters<ReturnType<typeof context>['token']>[1] = async (_, fetch) => ({
      token: await (await fetch(base)).text(),
    })
    const first = context({ tokens, signal: step.signal, http, lease: { until: () => 1001 } })
    const asking = first.token('access', fetchNew)
    await expect.poll(() => sent).toBeDefined()
    step.abort()
    answer.resolve(new Response('the-token'))
    // Who asked has no more time; the refresh goes on, and the next one has its token.
    await expect(asking).rejects.toMatchObject({ code: 'timeout' })
    expect(sent?.aborted).toBe(false)
    expect(await context({ tokens, http: gone }).token('access', fetchNew)).toBe('the-token')
  })

  it('sends nothing when the time of its refresh is over', async () => {
    let now = 1000
    const count = seen.length
    const ctx = context({ now: () => now, tokens: createMemoryTokens({ now: () => now }) })
    const late = ctx.token('access', async (_, fetch) => {
      now += 35_000
      return { token: await (await fetch(base)).text() }
    })
    await expect(late).rejects.toMatchObject({ code: 'lease_lost' })
    expect(seen).toHaveLength(count)
  })
})

describe('the budget', () => {
  const limited = (budget: Budget, waits: number[] = []) => {
    let now = 60_000
    const ctx = context({
      now: () => now,
      connection: connection({}, { default: budget, search: { ...budget, limit: 1 } }),
      wait: (ms) => {
        waits.push(ms)
        now += ms
        return Promise.resolve()
      },
    })
    return ctx
  }

  it('is waited for up to two seconds', async () => {
    const waits: number[] = []
    const ctx = limited({ limit: 2, windowMs: 1500, window: 'rolling' }, waits)
    for (let i = 0; i < 5; i += 1) await ctx.fetch(base)
    expect(waits).toEqual([1500, 1500])
  })

  it('else says when to come again, and sends nothing', async () => {
    const count = seen.length
    const waits: number[] = []
    const ctx = limited({ limit: 1, windowMs: 10_000, window: 'rolling' }, waits)
    await ctx.fetch(base)
    await expect(ctx.fetch(base)).rejects.toMatchObject({
      code: 'rate_limited',
      retry: { afterMs: 10_000 },
    })
    expect(waits).toEqual([])
    expect(seen).toHaveLength(count + 1)
  })

  it('is counted per bucket; a bucket without one is free', async () => {
    const ctx = limited({ limit: 1, windowMs: 10_000, window: 'fixed' })
    await ctx.fetch(base)
    await ctx.fetch(base, { bucket: 'search' })
    await expect(ctx.fetch(base, { bucket: 'search' })).rejects.toMatchObject({ code: 'rate_limited' })
    for (const bucket of ['audio', 'toString', '__proto__']) await ctx.fetch(base, { bucket })
  })

  it('is not waited for by one who is told to stop', async () => {
    const abort = new AbortController()
    const ctx = context({
      signal: abort.signal,
      connection: connection({}, { default: { limit: 1, windowMs: 1900, window: 'rolling' } }),
    })
    await ctx.fetch(base)
    const waiting = ctx.fetch(base)
    abort.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'timeout' })
  })
})

it.each([
  ['https://pbx.local/', ['pbx.local'], true],
  ['https://pbx.local:8443/', ['pbx.local'], true],
  ['https://pbx.local:8443/', ['pbx.local:8443'], true],
  ['https://pbx.local/', ['pbx.local:443'], true],
  ['http://pbx.local/', ['pbx.local:80'], true],
  ['http://pbx.local/', ['pbx.local:443'], false],
  ['https://pbx.local:8444/', ['pbx.local:8443'], false],
  ['https://PBX.local/', ['pbx.LOCAL'], true],
  ['https://a.pbx.local/', ['pbx.local'], false],
  ['https://pbx.local.example.com/', ['pbx.local'], false],
  ['https://pbx.local./', ['pbx.local'], false],
  ['http://10.0.0.5/', ['10.0.0.5'], true],
  ['http://10.0.0.5/', ['10.0.0.0/8'], false],
  ['http://0x0a000005/', ['10.0.0.5'], true],
  ['http://10.0.0.50/', ['10.0.0.5'], false],
  ['http://[::1]:80/', ['::1'], true],
  ['http://[::1]:81/', ['[::1]:81'], true],
  ['http://[::1]:82/', ['[::1]:81'], false],
  ['http://[fd00::1]/', ['[FD00:0::1]'], true],
  ['http://[::ffff:127.0.0.1]/', ['127.0.0.1'], false],
  ['https://pbx.local/', [''], false],
  ['https://pbx.local/', ['*', '.', ':443', 'https://pbx.local', 'pbx.local/x', 'u@pbx.local'], false],
  ['https://пбх.example/', ['пбх.example'], true],
  ['https://pbx.local/', [], false],
])('%s with %j allowed: %s', (url, list, expected) => {
  expect(allowsPrivate(new URL(url), list)).toBe(expected)
})
