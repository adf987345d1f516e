import { randomBytes } from 'node:crypto'
import type http from 'node:http'
import https from 'node:https'
import type net from 'node:net'
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
  selfSigned,
  serve,
  source,
} from './live-server.ts'

afterEach(closeServers)

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
    const fetch = createHttpFetch({ lookup, ca: [cert] })
    for (let i = 0; i < 3; i += 1) {
      const response = await ask(named(base), { method: 'POST', body: 'x' }, fetch)
      expect(((await response.json()) as Echo).body).toBe('x')
    }
    expect(accepted()).toBe(1)
  })

  it('any other is refused', async () => {
    const { base } = await secure(echo)
    const fetch = createHttpFetch({ lookup })
    const unknown = await errorOf(ask(named(base), {}, fetch))
    expect(unknown).toMatchObject({
      code: 'vendor_down',
      message: expect.stringMatching(/SELF_SIGNED|UNABLE_TO_VERIFY/),
    })
    const trusting = createHttpFetch({ lookup, ca: [cert] })
    const other = await errorOf(ask(base, {}, trusting))
    expect(other).toMatchObject({ code: 'vendor_down', message: expect.stringMatching(/ALTNAME/) })
  })

  it.each(['http', 'https'])('by %s bodies arrive as they were, over kept connections', async (scheme) => {
    const bytes = randomBytes(3 * MB)
    const handler: http.RequestListener = (request, response) => {
      if (request.url === '/sized') response.setHeader('content-length', bytes.length)
      // Odd pieces, so that several stand in one packet and some cross two.
      for (let at = 0, size = 1; at < bytes.length; at += size, size = (size * 7) % 40_009) {
        response.write(bytes.subarray(at, at + size))
      }
      response.end()
    }
    const { base, accepted } = scheme === 'http' ? await serve(handler) : await secure(handler)
    const fetch = createHttpFetch({ lookup, ca: [cert] })
    for (const path of ['/sized', '/chunked', '/sized', '/chunked']) {
      const response = await ask(named(base) + path, { maxBytes: 4 * MB }, fetch)
      expect(Buffer.compare(Buffer.from(await response.bytes()), bytes)).toBe(0)
    }
    expect(accepted()).toBe(1)
  })

  it('an early answer arrives as well', async () => {
    const { base } = await secure((request, response) => {
      response.writeHead(401, { connection: 'close' }).end('no', () => request.socket.destroy())
    })
    const fetch = createHttpFetch({ lookup, ca: [cert] })
    for (let i = 0; i < 10; i += 1) {
      const response = await ask(named(base), { method: 'POST', body: endless().body }, fetch)
      expect([response.status, await response.text()]).toEqual([401, 'no'])
    }
  })

  it('a redirect to plain http is refused, even to a listed host', async () => {
    const plain = await serve(echo)
    const { base } = await secure((_, response) => {
      response.writeHead(302, { location: `${plain.base}/` }).end()
    })
    const fetch = createHttpFetch({ lookup, ca: [cert] })
    const error = await errorOf(ask(named(base), { redirects: 1 }, fetch))
    expect(error).toMatchObject({ code: 'blocked_address', why: expect.stringMatching(/https to http/) })
    expect(plain.accepted()).toBe(0)
  })
})
