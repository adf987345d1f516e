import { generateKeyPairSync, sign } from 'node:crypto'
import http from 'node:http'
import https from 'node:https'
import net, { type AddressInfo } from 'node:net'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { HttpFetch, HttpRequest } from '../../src/connector/platform.ts'
import { CordboardError } from '../../src/errors.ts'
import { createHttpFetch } from '../../src/node/http-fetch.ts'

const MB = 1024 * 1024

// ── Servers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

interface Live {
  base: string
  /** Connections since the start, and those open now. */
  accepted: () => number
  open: () => number
}

async function listening(server: net.Server, scheme: string): Promise<Live> {
  const sockets = new Set<net.Socket>()
  let accepted = 0
  server.on('connection', (socket: net.Socket) => {
    accepted += 1
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  closing.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  )
  const base = `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { base, accepted: () => accepted, open: () => sockets.size }
}

const serve = (handler: http.RequestListener) => listening(http.createServer(handler), 'http')

const collected = async (request: http.IncomingMessage) => {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** Answers what it was asked, as JSON. */
const echo: http.RequestListener = (request, response) => {
  const { method, url, headers } = request
  collected(request).then(
    (body) => response.end(JSON.stringify({ method, url, headers, body: body.toString() })),
    () => response.destroy(),
  )
}
interface Echo {
  method: string
  url: string
  headers: Record<string, string>
  body: string
}

let fetch: HttpFetch
beforeEach(() => {
  fetch = createHttpFetch()
})

const ask = (url: string, given: Partial<HttpRequest> = {}) =>
  fetch(new URL(url), {
    method: 'GET',
    headers: {},
    signal: new AbortController().signal,
    timeoutMs: 5000,
    maxBytes: MB,
    redirects: 0,
    allowPrivate: ['127.0.0.1', 'vendor.test'],
    ...given,
  })

const errorOf = async (work: Promise<unknown>): Promise<CordboardError> => {
  const thrown = await work.then(
    () => new Error('it did not fail'),
    (error: unknown) => error,
  )
  if (thrown instanceof CordboardError) return thrown
  throw thrown
}

/** A source whose chunks and whose end the test sees. */
function source(next: (n: number) => Uint8Array | null | Promise<Uint8Array>) {
  const state = { pulled: 0, cancelled: false }
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const chunk = await next(state.pulled)
        state.pulled += 1
        if (chunk === null) controller.close()
        else controller.enqueue(chunk)
      },
      cancel() {
        state.cancelled = true
      },
    },
    { highWaterMark: 0 },
  )
  return { body, state }
}
const endless = () => source(() => new Uint8Array(65_536))

const until = async (condition: () => boolean) => {
  for (let turn = 0; turn < 2000 && !condition(); turn += 1) {
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  expect(condition()).toBe(true)
}

// ── What it does ────────────────────────────────────────────────────────────────────────────────────────────────────

describe('an exchange', () => {
  it('gives status, headers and body as they came, whatever the status', async () => {
    const { base } = await serve((_, response) => {
      response.writeHead(418, { 'x-a': 'b', 'set-cookie': ['a=1', 'b=2'], 'retry-after': '7' }).end('short')
    })
    const response = await ask(base)
    expect([response.status, response.headers.get('x-a'), await response.text()]).toEqual([418, 'b', 'short'])
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
    expect(response.headers.get('retry-after')).toBe('7')
  })

  it.each([
    ['GET', undefined, ''],
    ['POST', 'text', 'text'],
    ['PUT', new TextEncoder().encode('bytes'), 'bytes'],
    ['PATCH', new URLSearchParams({ a: 'b c' }), 'a=b+c'],
    ['DELETE', undefined, ''],
    ['POST', undefined, ''],
    ['POST', '', ''],
    ['POST', 'x'.repeat(300_000), 'x'.repeat(300_000)],
  ])('sends %s with its body and length', async (method, body, expected) => {
    const { base } = await serve(echo)
    const seen = (await (
      await ask(`${base}/p?q=1`, { method, ...(body === undefined ? {} : { body }) })
    ).json()) as Echo
    expect([seen.method, seen.url, seen.body]).toEqual([method, '/p?q=1', expected])
    if (body !== undefined) expect(seen.headers['content-length']).toBe(String(expected.length))
    expect(seen.headers['transfer-encoding']).toBeUndefined()
  })

  it('sends a form with its boundary and its length', async () => {
    const { base } = await serve(echo)
    const body = new FormData()
    body.set('a', 'b')
    const seen = (await (await ask(base, { method: 'POST', body })).json()) as Echo
    expect(seen.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/)
    expect(Number(seen.headers['content-length'])).toBe(seen.body.length)
  })

  it('sends a stream with the length it was given, or chunked without one', async () => {
    const { base } = await serve(echo)
    const twice = () => source((n) => (n < 2 ? new TextEncoder().encode('ab') : null)).body
    const sized = await ask(base, { method: 'PUT', headers: { 'Content-Length': '4' }, body: twice() })
    const chunked = await ask(base, { method: 'PUT', body: twice() })
    const [one, two] = [(await sized.json()) as Echo, (await chunked.json()) as Echo]
    expect([one.body, one.headers['content-length'], one.headers['transfer-encoding']]).toEqual([
      'abab',
      '4',
      undefined,
    ])
    expect([two.body, two.headers['content-length'], two.headers['transfer-encoding']]).toEqual([
      'abab',
      undefined,
      'chunked',
    ])
  })

  it('takes answers without a body', async () => {
    const { base } = await serve((request, response) => {
      if (request.method !== 'HEAD') response.statusCode = 204
      else response.setHeader('content-length', 5 * MB)
      response.end()
    })
    expect([(await ask(base)).status, (await ask(base)).body]).toEqual([204, null])
    const head = await ask(base, { method: 'HEAD' })
    expect([head.status, head.body, head.headers.get('content-length')]).toEqual([200, null, String(5 * MB)])
  })

  it('uses one connection for requests that follow each other, read or not', async () => {
    const { base, accepted } = await serve(echo)
    for (let i = 0; i < 10; i += 1) await (await ask(base, { method: 'POST', body: 'x' })).text()
    expect(accepted()).toBe(1)
    for (let i = 0; i < 10; i += 1) await ask(base)
    expect(accepted()).toBeLessThan(5)
  })

  it('refuses to send a body with GET', async () => {
    expect(await errorOf(ask('http://127.0.0.1:9/', { body: 'x' }))).toMatchObject({ code: 'config' })
  })
})

describe('what goes wrong', () => {
  it('is vendor_down when nobody listens, hangs up or speaks something else', async () => {
    const { base: gone } = await serve(echo)
    for (const close of closing.splice(0)) await close()
    expect(await errorOf(ask(gone))).toMatchObject({ code: 'vendor_down', message: /ECONNREFUSED/ })

    const { base: rude } = await listening(
      net.createServer((socket) => socket.destroy()),
      'http',
    )
    expect(await errorOf(ask(rude))).toMatchObject({ code: 'vendor_down' })
    const { base: odd } = await listening(
      net.createServer((socket) => socket.end('SSH-2.0\r\n\r\n')),
      'http',
    )
    expect(await errorOf(ask(odd))).toMatchObject({ code: 'vendor_down' })
    const { base: strange } = await listening(
      net.createServer((socket) => socket.end('HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n')),
      'http',
    )
    expect(await errorOf(ask(strange))).toMatchObject({ code: 'vendor_down', message: /999/ })
  })

  it('is vendor_down when the name does not resolve', async () => {
    fetch = createHttpFetch({
      lookup: (_, __, callback) =>
        callback(Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' }), '', 0),
    })
    expect(await errorOf(ask('http://nowhere.example/'))).toMatchObject({
      code: 'vendor_down',
      message: 'No connection to nowhere.example: ENOTFOUND',
    })
  })

  it('names the host and nothing of the path, the query or the headers', async () => {
    const { base } = await serve((_, response) => {
      response.write('x')
      setImmediate(() => response.destroy())
    })
    const url = `${base}/canary/path?token=canary#canary`
    const headers = { authorization: 'Bearer canary' }
    const failures = [
      await errorOf(ask(url, { headers }).then((response) => response.text())),
      await errorOf(ask(url.replace('127.0.0.1', 'localhost'), { headers })),
      await errorOf(ask(url, { headers, maxBytes: 0 }).then((response) => response.text())),
      await errorOf(ask('http://127.0.0.1:1/canary?canary', { headers })),
    ]
    expect(failures.map((error) => error.code)).toEqual([
      'vendor_down',
      'blocked_address',
      'too_large',
      'vendor_down',
    ])
    const { inspect } = await import('node:util')
    for (const error of failures) {
      expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('canary')
    }
  })
})

describe('time', () => {
  it('runs out for a server that says nothing', async () => {
    const { base, open } = await serve(() => undefined)
    expect(await errorOf(ask(base, { timeoutMs: 50 }))).toMatchObject({ code: 'timeout', retry: 'later' })
    await until(() => open() === 0)
  })

  it('runs out for a server that never finishes the TLS greeting', async () => {
    const { base, open } = await listening(
      net.createServer((socket) => socket.resume()),
      'https',
    )
    expect(await errorOf(ask(base, { timeoutMs: 50 }))).toMatchObject({ code: 'timeout' })
    await until(() => open() === 0)
  })

  it('runs out for a name server that never answers', async () => {
    fetch = createHttpFetch({ lookup: () => undefined })
    expect(await errorOf(ask('http://vendor.test/', { timeoutMs: 50 }))).toMatchObject({ code: 'timeout' })
  })

  it('runs out between two chunks of the body', async () => {
    const { base, open } = await serve((_, response) => {
      response.write('first')
    })
    const response = await ask(base, { timeoutMs: 50 })
    expect(await errorOf(response.text())).toMatchObject({ code: 'timeout' })
    await until(() => open() === 0)
  })

  it('does not run out for a body or an upload that keeps moving', async () => {
    const drip = (send: (n: number) => void, end: () => void) => {
      let n = 0
      const timer = setInterval(() => {
        n += 1
        send(n)
        if (n < 8) return
        clearInterval(timer)
        end()
      }, 25)
    }
    const { base } = await serve((request, response) => {
      if (request.method === 'GET')
        return drip(
          (n) => response.write(String(n)),
          () => response.end(),
        )
      echo(request, response)
    })
    expect(await (await ask(base, { timeoutMs: 120 })).text()).toBe('12345678')

    const body = new ReadableStream<Uint8Array>({
      start: (controller) =>
        drip(
          (n) => controller.enqueue(new TextEncoder().encode(String(n))),
          () => controller.close(),
        ),
    })
    const slow = await ask(base, { method: 'POST', timeoutMs: 120, body })
    expect(((await slow.json()) as Echo).body).toBe('12345678')
  })

  it('runs out for an upload that the vendor does not take', async () => {
    const held: http.IncomingMessage[] = []
    const { base, open } = await serve((request) => held.push(request))
    const { body, state } = endless()
    expect(await errorOf(ask(base, { method: 'POST', timeoutMs: 80, body }))).toMatchObject({
      code: 'timeout',
    })
    expect(state.cancelled).toBe(true)
    for (const request of held) request.on('error', () => undefined).resume()
    await until(() => open() === 0)
  })

  it('does not run out while it is us who do not read', async () => {
    const { base } = await serve((_, response) => response.end(Buffer.alloc(4 * MB)))
    const response = await ask(base, { timeoutMs: 40, maxBytes: 8 * MB })
    await new Promise((resolve) => setTimeout(resolve, 120))
    expect((await response.bytes()).byteLength).toBe(4 * MB)
  })
})

describe('size', () => {
  it('is bounded, announced or not, to the byte', async () => {
    const { base } = await serve((request, response) => {
      if (request.url === '/announced') response.setHeader('content-length', 1001)
      response.write(Buffer.alloc(500))
      response.end(Buffer.alloc(request.url === '/fits' ? 500 : 501))
    })
    expect((await (await ask(`${base}/fits`, { maxBytes: 1000 })).bytes()).byteLength).toBe(1000)
    for (const path of ['/announced', '/chunked']) {
      const response = await ask(base + path, { maxBytes: 1000 })
      expect(response.status).toBe(200)
      expect(await errorOf(response.bytes())).toMatchObject({ code: 'too_large', retry: 'never' })
    }
  })

  it('an answer too large closes its connection', async () => {
    const { base, open } = await serve((_, response) => {
      const more = () => {
        while (response.write(Buffer.alloc(65_536)));
        response.once('drain', more)
      }
      more()
    })
    expect(await errorOf((await ask(base, { maxBytes: MB })).bytes())).toMatchObject({ code: 'too_large' })
    await until(() => open() === 0)
  })

  it('is read as fast as we read, no faster', async () => {
    let written = 0
    const { base, open } = await serve((_, response) => {
      const more = () => {
        do written += 65_536
        while (response.write(Buffer.alloc(65_536)) && written < 512 * MB)
        response.once('drain', more)
      }
      more()
    })
    const response = await ask(base, { maxBytes: 1024 * MB })
    const reader = response.body?.getReader()
    await reader?.read()
    let before = -1
    // The kernel's buffers fill up and then nothing moves.
    for (let still = 0; still < 20; before = written) {
      await new Promise((resolve) => setTimeout(resolve, 2))
      still = written === before ? still + 1 : 0
    }
    expect(written).toBeLessThan(32 * MB)
    await reader?.cancel()
    await until(() => open() === 0)
  })

  it.each([
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
  ])('counts what %s unfolds to', async (encoding, compress) => {
    const { base } = await serve((_, response) => {
      response.setHeader('content-encoding', encoding)
      response.end(compress(Buffer.from('hello '.repeat(1000))))
    })
    const response = await ask(base)
    expect(await response.text()).toBe('hello '.repeat(1000))
    expect([response.headers.get('content-encoding'), response.headers.get('content-length')]).toEqual([
      null,
      null,
    ])
    expect(await errorOf((await ask(base, { maxBytes: 5999 })).text())).toMatchObject({ code: 'too_large' })
  })

  it('stops a bomb of 10 MB that would become 10 GB, at once and without swelling', async () => {
    const member = gzipSync(Buffer.alloc(64 * MB))
    const { base } = await serve((_, response) => {
      response.setHeader('content-encoding', 'gzip')
      response.end(Buffer.concat(Array.from({ length: 160 }, () => member)))
    })
    const response = await ask(base, { maxBytes: 8 * MB })
    const before = process.memoryUsage().arrayBuffers
    let peak = before
    const reader = response.body?.getReader()
    const drain = async () => {
      for (;;) {
        const chunk = await reader?.read()
        peak = Math.max(peak, process.memoryUsage().arrayBuffers)
        if (!chunk || chunk.done) return
      }
    }
    expect(await errorOf(drain())).toMatchObject({ code: 'too_large' })
    expect(peak - before).toBeLessThan(64 * MB)
  })

  it('a body that is cut off, or is no gzip, is an error and not a short body', async () => {
    const { base } = await serve((request, response) => {
      if (request.url === '/gzip') response.setHeader('content-encoding', 'gzip')
      else if (request.url === '/length') response.setHeader('content-length', 1000)
      response.write('only this')
      setImmediate(() => (request.url === '/gzip' ? response.end() : response.destroy()))
    })
    for (const path of ['/length', '/chunked', '/gzip']) {
      const failed = ask(base + path).then((response) => response.text())
      expect(await errorOf(failed)).toMatchObject({ code: 'vendor_down', message: /broke off/ })
    }
  })
})

describe('an upload', () => {
  it('that the vendor refuses early ends with the vendor’s answer, every time', async () => {
    const { base, open } = await serve((request, response) => {
      response.writeHead(request.method === 'PUT' ? 413 : 401, { connection: 'close' })
      // The rudest way: answered, then closed with the upload unread, which resets the connection.
      response.end('no', () => request.socket.destroy())
    })
    for (let i = 0; i < 40; i += 1) {
      const { body, state } = endless()
      const response = await ask(base, { method: 'POST', body })
      expect([response.status, await response.text()]).toEqual([401, 'no'])
      expect(state.cancelled).toBe(true)
      const put = await ask(base, { method: 'PUT', body: new Uint8Array(16 * MB) })
      expect([put.status, await put.text()]).toEqual([413, 'no'])
    }
    await until(() => open() === 0)
  })

  it('that the vendor refuses without closing is not sent on, and its connection not used again', async () => {
    const { base, accepted, open } = await serve((_, response) => {
      response.writeHead(401).end('no')
    })
    const { body, state } = endless()
    expect(await (await ask(base, { method: 'POST', body })).text()).toBe('no')
    expect(state.cancelled).toBe(true)
    await until(() => open() === 0)
    await (await ask(base)).text()
    expect(accepted()).toBe(2)
  })

  it('that the vendor accepts early is sent to its end first', async () => {
    let received = 0
    const { base } = await serve((request, response) => {
      response.writeHead(200).write('begun ')
      request.on('data', (chunk: Buffer) => {
        received += chunk.length
      })
      request.on('end', () => response.end('done'))
    })
    const { body } = source((n) => (n < 50 ? new Uint8Array(10_000) : null))
    expect(await (await ask(base, { method: 'POST', body })).text()).toBe('begun done')
    expect(received).toBe(500_000)
  })

  it('takes from its source only what the vendor takes', async () => {
    const { base } = await serve((request) => request.pause())
    const { body, state } = endless()
    const abort = new AbortController()
    const sending = errorOf(ask(base, { method: 'POST', body, signal: abort.signal }))
    let before = -1
    for (let still = 0; still < 20; before = state.pulled) {
      await new Promise((resolve) => setTimeout(resolve, 2))
      still = state.pulled === before && before > 0 ? still + 1 : 0
    }
    expect(state.pulled * 65_536).toBeLessThan(32 * MB)
    abort.abort()
    await sending
    expect(state.cancelled).toBe(true)
  })

  it('fails with the error of its source, and the vendor sees it broken off', async () => {
    let ended: string | undefined
    const { base, open } = await serve((request) => {
      request.resume().on('end', () => {
        ended = 'whole'
      })
      request.on('error', () => {
        ended = 'broken off'
      })
    })
    const { body } = source((n) => {
      if (n < 3) return new Uint8Array(1000)
      throw new CordboardError('gone', 'the recording has expired')
    })
    expect(await errorOf(ask(base, { method: 'POST', body }))).toMatchObject({ code: 'gone' })
    await until(() => open() === 0)
    expect(ended).toBe('broken off')
  })

  it.each([
    ['short', 4],
    ['long', 2],
  ])('that is too %s for its announced length is broken off', async (_, announced) => {
    const { base, open } = await serve(echo)
    const { body } = source((n) => (n < 3 ? new Uint8Array(1) : null))
    const headers = { 'content-length': String(announced) }
    expect(await errorOf(ask(base, { method: 'POST', headers, body }))).toMatchObject({ code: 'vendor_down' })
    await until(() => open() === 0)
  })

  it('to an address that is refused lets its source go', async () => {
    const { body, state } = endless()
    const failed = errorOf(ask('http://localhost:9/', { method: 'POST', body }))
    expect(await failed).toMatchObject({ code: 'blocked_address' })
    const literal = endless()
    await errorOf(ask('http://10.0.0.1/', { method: 'POST', body: literal.body }))
    expect([state.cancelled, literal.state.cancelled]).toEqual([true, true])
  })
})

describe('aborting', () => {
  it.each(['before', 'while waiting', 'while sending', 'while reading'])(
    '%s tears everything down',
    async (when) => {
      const { base, open } = await serve((request, response) => {
        if (request.method === 'GET') response.write('first')
        request.resume()
      })
      const abort = new AbortController()
      const reason = new CordboardError('lease_lost', 'taken over')
      const { body, state } = endless()
      if (when === 'before') abort.abort(reason)
      const method = when === 'while reading' ? 'GET' : 'POST'
      const exchange = ask(base, {
        method,
        signal: abort.signal,
        ...(when === 'while sending' ? { body } : {}),
      }).then((response) => response.text())
      const failed = errorOf(exchange)
      if (when === 'while sending') await until(() => state.pulled > 3)
      else if (when !== 'before') await until(() => open() === 1)
      if (when === 'while reading') await new Promise((resolve) => setTimeout(resolve, 5))
      abort.abort(reason)
      expect(await failed).toBe(reason)
      await until(() => open() === 0)
      if (when === 'while sending') expect(state.cancelled).toBe(true)
    },
  )

  it('a hundred exchanges at once leaves no socket behind', async () => {
    const { base, open } = await serve((_, response) => {
      response.write('first')
    })
    const abort = new AbortController()
    const all = Array.from({ length: 100 }, () =>
      errorOf(ask(base, { signal: abort.signal }).then((response) => response.text())),
    )
    await until(() => open() === 100)
    abort.abort()
    for (const error of await Promise.all(all)) expect(error.code).toBe('timeout')
    await until(() => open() === 0)
  })

  it('after the end does nothing, and listens no longer', async () => {
    const { base } = await serve(echo)
    const abort = new AbortController()
    let listeners = 0
    const { signal } = abort
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1
      add(...args)
    }
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1
      remove(...args)
    }
    const response = await ask(base, { signal })
    const text = await response.text()
    expect(listeners).toBe(0)
    abort.abort()
    expect(text).toContain('GET')
  })

  it('a reader that goes away closes the connection', async () => {
    const { base, open } = await serve((_, response) => {
      response.write('first')
    })
    const response = await ask(base)
    await response.body?.cancel()
    await until(() => open() === 0)
  })
})

describe('redirects', () => {
  const secrets = { authorization: 'Bearer canary', cookie: 'canary', 'x-api-key': 'canary', accept: 'a/b' }
  const redirecting = (status: number, location: string) =>
    serve((request, response) => {
      if (request.url !== '/from') return echo(request, response)
      response.writeHead(status, { location }).end('moved')
    })

  it('are handed over when none are asked for, or one too many comes', async () => {
    const { base } = await serve((request, response) => {
      response.writeHead(302, { location: `${request.url}x` }).end('moved')
    })
    expect((await ask(`${base}/`)).status).toBe(302)
    const last = await ask(`${base}/`, { redirects: 3 })
    expect([last.status, last.headers.get('location'), await last.text()]).toEqual([302, '/xxxx', 'moved'])
  })

  it('on the same origin keep everything', async () => {
    const { base } = await redirecting(307, Buffer.from('/tö?b=ü').toString('latin1'))
    const response = await ask(`${base}/from`, {
      method: 'POST',
      headers: secrets,
      body: 'again',
      redirects: 1,
    })
    const seen = (await response.json()) as Echo
    expect(seen).toMatchObject({ method: 'POST', body: 'again', headers: secrets, url: '/t%C3%B6?b=%C3%BC' })
  })

  it('to another origin lose every header that could be a secret', async () => {
    const other = await serve(echo)
    const { base } = await redirecting(302, `${other.base}/`)
    const seen = (await (await ask(`${base}/from`, { headers: secrets, redirects: 1 })).json()) as Echo
    expect(JSON.stringify(seen)).not.toContain('canary')
    expect(seen.headers.accept).toBe('a/b')
  })

  it.each([
    [301, 'POST', 'GET'],
    [302, 'POST', 'GET'],
    [303, 'PUT', 'GET'],
    [303, 'HEAD', 'HEAD'],
    [308, 'DELETE', 'DELETE'],
  ])('by %i turn %s into %s', async (status, method, expected) => {
    let arrived: string | undefined
    const { base } = await serve((request, response) => {
      if (request.url === '/from') response.writeHead(status, { location: '/to' })
      else arrived = `${request.method} ${request.headers['content-length'] ?? 'empty'}`
      request.resume().on('end', () => response.end())
    })
    const body = method === 'POST' || method === 'PUT' ? { body: 'x' } : {}
    expect((await ask(`${base}/from`, { method, redirects: 1, ...body })).status).toBe(200)
    expect(arrived).toBe(`${expected} empty`)
  })

  it('that would send a stream twice, or a body to a stranger, are handed over', async () => {
    const other = await serve(echo)
    const { base } = await redirecting(307, `${other.base}/`)
    const { body } = source((n) => (n < 1 ? new Uint8Array(10) : null))
    const near = await redirecting(307, '/to')
    expect((await ask(`${near.base}/from`, { method: 'POST', redirects: 1, body })).status).toBe(307)
    expect((await ask(`${base}/from`, { method: 'POST', redirects: 1, body: 'secret' })).status).toBe(307)
    expect(other.accepted()).toBe(0)
  })

  it.each([
    ['ftp://127.0.0.1/', /leaves HTTP/],
    ['http://[', /no URL/],
    ['http://canary:canary@127.0.0.1/', /credentials/],
    ['http://public.example/', /not listed/],
    ['https://10.0.0.1/', undefined],
  ])('to %s are refused', async (location, why) => {
    const { base, open } = await redirecting(302, location)
    const error = await errorOf(ask(`${base}/from`, { redirects: 3 }))
    expect(error.code).toBe('blocked_address')
    if (why) expect(error.why).toMatch(why)
    expect(JSON.stringify(error)).not.toContain('canary')
    expect(open()).toBeLessThanOrEqual(1)
  })
})

describe('over TLS', () => {
  const { key, cert } = selfSigned('vendor.test')
  const secure = (handler: http.RequestListener) =>
    listening(https.createServer({ key, cert }, handler), 'https')
  const lookup: net.LookupFunction = (_, options, callback) => {
    if (options.all) callback(null, [{ address: '127.0.0.1', family: 4 }])
    else callback(null, '127.0.0.1', 4)
  }
  const named = (base: string) => base.replace('127.0.0.1', 'vendor.test')

  it('a certificate that is trusted and fits is accepted, and the connection kept', async () => {
    const { base, accepted } = await secure(echo)
    fetch = createHttpFetch({ lookup, ca: [cert] })
    for (let i = 0; i < 3; i += 1) {
      const response = await ask(named(base), { method: 'POST', body: 'x' })
      expect(((await response.json()) as Echo).body).toBe('x')
    }
    expect(accepted()).toBe(1)
  })

  it('any other is refused', async () => {
    const { base } = await secure(echo)
    fetch = createHttpFetch({ lookup })
    const unknown = await errorOf(ask(named(base)))
    expect(unknown).toMatchObject({ code: 'vendor_down', message: /SELF_SIGNED|UNABLE_TO_VERIFY/ })
    fetch = createHttpFetch({ lookup, ca: [cert] })
    const other = await errorOf(ask(base))
    expect(other).toMatchObject({ code: 'vendor_down', message: /ALTNAME/ })
  })

  it('an early answer arrives as well', async () => {
    const { base } = await secure((request, response) => {
      response.writeHead(401, { connection: 'close' }).end('no', () => request.socket.destroy())
    })
    fetch = createHttpFetch({ lookup, ca: [cert] })
    for (let i = 0; i < 10; i += 1) {
      const response = await ask(named(base), { method: 'POST', body: endless().body })
      expect([response.status, await response.text()]).toEqual([401, 'no'])
    }
  })

  it('a redirect to plain http is refused, even to a listed host', async () => {
    const plain = await serve(echo)
    const { base } = await secure((_, response) => {
      response.writeHead(302, { location: `${plain.base}/` }).end()
    })
    fetch = createHttpFetch({ lookup, ca: [cert] })
    const error = await errorOf(ask(named(base), { redirects: 1 }))
    expect(error).toMatchObject({ code: 'blocked_address', why: expect.stringMatching(/https to http/) })
    expect(plain.accepted()).toBe(0)
  })
})

/** A fresh certificate for one name: nothing that looks like a key lies in the repository. */
function selfSigned(name: string): { key: string; cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const der = (tag: number, ...parts: (Uint8Array | string)[]): Buffer => {
    const body = Buffer.concat(parts.map((part) => Buffer.from(part as Uint8Array)))
    const { length } = body
    const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
    return Buffer.concat([Buffer.from([tag, ...size]), body])
  }
  const oid = (hex: string) => der(6, Buffer.from(hex, 'hex'))
  const ecdsaWithSha256 = der(0x30, oid('2a8648ce3d040302'))
  const subject = der(0x30, der(0x31, der(0x30, oid('550403'), der(0x0c, name))))
  const extension = (id: string, value: Buffer) => der(0x30, oid(id), der(4, value))
  const body = der(
    0x30,
    der(0xa0, der(2, Buffer.from([2]))),
    der(2, Buffer.from([1])),
    ecdsaWithSha256,
    subject,
    der(0x30, der(0x17, '200101000000Z'), der(0x18, '21200101000000Z')),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(
      0xa3,
      der(
        0x30,
        extension('551d13', der(0x30, der(1, Buffer.from([255])))),
        extension('551d11', der(0x30, der(0x82, name))),
      ),
    ),
  )
  const signature = sign('sha256', body, privateKey)
  const cert = der(0x30, body, ecdsaWithSha256, der(3, Buffer.from([0]), signature)).toString('base64')
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${cert}\n-----END CERTIFICATE-----\n`,
  }
}
