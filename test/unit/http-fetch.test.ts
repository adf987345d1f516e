import type http from 'node:http'
import net from 'node:net'
import { inspect } from 'node:util'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import { createHttpFetch } from '../../src/node/http-fetch.ts'
import {
  ask,
  closeServers,
  type Echo,
  echo,
  endless,
  errorOf,
  listening,
  MB,
  serve,
  source,
  until,
} from './live-server.ts'

afterEach(closeServers)

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
    await closeServers()
    expect(await errorOf(ask(gone))).toMatchObject({
      code: 'vendor_down',
      message: expect.stringMatching(/ECONNREFUSED/),
    })

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
    expect(await errorOf(ask(strange))).toMatchObject({
      code: 'vendor_down',
      message: expect.stringMatching(/999/),
    })
  })

  it('is vendor_down when the name does not resolve', async () => {
    const fetch = createHttpFetch({
      lookup: (_, __, callback) =>
        callback(Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' }), '', 0),
    })
    expect(await errorOf(ask('http://nowhere.example/', {}, fetch))).toMatchObject({
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
    const fetch = createHttpFetch({ lookup: () => undefined })
    expect(await errorOf(ask('http://vendor.test/', { timeoutMs: 50 }, fetch))).toMatchObject({
      code: 'timeout',
    })
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
      expect(await errorOf(failed)).toMatchObject({
        code: 'vendor_down',
        message: expect.stringMatching(/broke off/),
      })
    }
  })
})
