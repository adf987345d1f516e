import { describe, expect, inject, it } from 'vitest'
import { type MultipartFile, multipart } from '../../src/connector/multipart.ts'
import type { HttpRequest } from '../../src/connector/platform.ts'
import { CordboardError } from '../../src/errors.ts'
import { type Connections, createConnections } from '../../src/worker/connections.ts'
import { createWorkerFetch } from '../../src/worker/http-fetch.ts'
import { HOSTS, ODD, TRICKS } from '../unit/private-addresses.ts'
import type { Seen } from './loopback.ts'

const { near, far } = inject('loopback')
const MB = 1024 * 1024

const ask = (url: string, given: Partial<HttpRequest> = {}, connections: Connections = createConnections()) =>
  createWorkerFetch({ connections })(new URL(url), {
    method: 'GET',
    headers: {},
    signal: new AbortController().signal,
    timeoutMs: 5000,
    maxBytes: 8 * MB,
    redirects: 0,
    allowPrivate: ['127.0.0.1'],
    ...given,
  })

interface Echo {
  method: string
  url: string
  headers: Record<string, string>
  body: string
}
const echoed = async (response: Promise<Response>) => (await (await response).json()) as Echo

async function errorOf(work: Promise<unknown>): Promise<CordboardError> {
  const thrown = await work.then(
    () => new Error('it did not fail'),
    (error: unknown) => error,
  )
  if (thrown instanceof CordboardError) return thrown
  throw thrown
}

/** A source whose chunks and whose end the test sees. */
function source(next: (n: number) => Uint8Array | null | Promise<Uint8Array | null>) {
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
const times = (count: number, size: number) => source((n) => (n < count ? new Uint8Array(size) : null))
const endless = () => source(() => new Uint8Array(65_536))

/** What the server saw of the request with this tag, once that is as it is waited for. */
async function seen(tag: string, isReady = ({ end }: Seen) => end !== 'open'): Promise<Seen> {
  for (let turn = 0; turn < 300; turn += 1) {
    const found = (await (await ask(`${near}/seen?tag=${tag}`)).json()) as Seen | null
    if (found && isReady(found)) return found
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error('the server still waits')
}
const arrived = (tag: string, bytes: number) => seen(tag, (found) => found.bytes >= bytes)

const sized = (bytes: number) => ({ 'content-length': String(bytes) })

describe('an exchange on Workers', () => {
  it.each([
    ['GET', undefined, ''],
    ['POST', 'text', 'text'],
    ['PUT', new TextEncoder().encode('bytes'), 'bytes'],
    ['PATCH', new URLSearchParams({ a: 'b c' }), 'a=b+c'],
    ['DELETE', undefined, ''],
    ['POST', '', ''],
  ])('sends %s with its body and length', async (method, body, expected) => {
    const got = await echoed(ask(`${near}/echo?q=1`, { method, ...(body === undefined ? {} : { body }) }))
    expect([got.method, got.url, got.body]).toEqual([method, '/echo?q=1', expected])
    if (body !== undefined) expect(got.headers['content-length']).toBe(String(expected.length))
    expect(got.headers['user-agent']).toBe('cordboard')
  })

  it('sends a stream with the length it was given, or chunked without one', async () => {
    const one = await echoed(
      ask(`${near}/echo`, { method: 'PUT', headers: sized(4), body: times(2, 2).body }),
    )
    const two = await echoed(ask(`${near}/echo`, { method: 'PUT', body: times(2, 2).body }))
    expect([one.body.length, one.headers['content-length']]).toEqual([4, '4'])
    expect([two.body.length, two.headers['transfer-encoding']]).toEqual([4, 'chunked'])
  })

  it('gives status and headers as they came, bodies or none', async () => {
    const none = await ask(`${near}/status?status=204`)
    expect([none.status, none.body, none.headers.getSetCookie()]).toEqual([204, null, ['a=1', 'b=2']])
    expect((await ask(`${near}/status?status=418`)).status).toBe(418)
    const head = await ask(`${near}/bytes?bytes=1000&sized`, { method: 'HEAD' })
    expect([head.body, head.headers.get('content-length')]).toEqual([null, '1000'])
  })

  it('gives a body as it was, announced or not', async () => {
    for (const query of ['bytes=900000&sized', 'bytes=900000']) {
      const bytes = new Uint8Array(await (await ask(`${near}/bytes?${query}`)).arrayBuffer())
      expect(bytes.byteLength).toBe(900_000)
      expect(bytes.findIndex((byte, at) => byte !== at % 251)).toBe(-1)
    }
  })

  it('unfolds gzip, counts what it unfolds to, and says nothing of it', async () => {
    const response = await ask(`${near}/gzip`)
    const { headers } = response
    expect([headers.get('content-encoding'), headers.get('content-length')]).toEqual([null, null])
    expect(await response.text()).toBe('hello '.repeat(1000))
    const less = await ask(`${near}/gzip`, { maxBytes: 5999 })
    expect(await errorOf(less.text())).toMatchObject({ code: 'too_large' })
  })

  it('refuses to send a body with GET', async () => {
    expect(await errorOf(ask(`${near}/echo`, { body: 'x' }))).toMatchObject({ code: 'config' })
  })
})

describe('what goes wrong on Workers', () => {
  it.each([
    ['hang', { timeoutMs: 150 }, 'timeout'],
    ['first', { timeoutMs: 150 }, 'timeout'],
    ['cut', {}, 'vendor_down'],
    ['cut?sized', {}, 'vendor_down'],
    ['odd-status', {}, 'vendor_down'],
    ['bytes?bytes=1001', {}, 'too_large'],
    ['bytes?bytes=1001&sized', {}, 'too_large'],
    ['endless', {}, 'too_large'],
  ])('%s', async (path, given, code) => {
    const connections = createConnections()
    const all = Array.from({ length: 8 }, () => {
      const response = ask(`${near}/${path}`, { maxBytes: 1000, ...given }, connections)
      return errorOf(response.then((got) => got.text()))
    })
    // More than there are connections: each gives its own back.
    for (const error of await Promise.all(all)) expect(error.code).toBe(code)
  })

  it('is no time-out for a body that keeps moving', async () => {
    expect(await (await ask(`${near}/drip`, { timeoutMs: 150 })).text()).toBe('............')
  })

  it('is no connection: the host is named, and nothing of the path, the query or the headers', async () => {
    const headers = { authorization: 'Bearer canary' }
    const failures = [
      await errorOf(ask('http://127.0.0.1:1/canary?canary#canary', { headers })),
      await errorOf(ask('http://localhost/canary?canary', { headers })),
      await errorOf(ask(`${near}/cut?canary`, { headers }).then((response) => response.text())),
      await errorOf(ask(`${near}/bytes?bytes=9&canary`, { headers, maxBytes: 1 }).then((got) => got.text())),
    ]
    expect(failures.map(({ code }) => code)).toEqual([
      'vendor_down',
      'blocked_address',
      'vendor_down',
      'too_large',
    ])
    for (const { message, why, fix, stack, cause } of failures) {
      expect([message, why, fix, stack, String(cause)].join()).not.toContain('canary')
    }
    expect(failures[0]?.message).toContain('127.0.0.1:1')
  })

  it.each(['before', 'while waiting', 'while reading', 'while sending'])('is an abort %s', async (when) => {
    const abort = new AbortController()
    const reason = new CordboardError('lease_lost', 'taken over')
    const { body, state } = endless()
    if (when === 'before') abort.abort(reason)
    else setTimeout(() => abort.abort(reason), 100)
    const path = when === 'while reading' ? 'first' : 'hang'
    const sending = when === 'while sending' ? { method: 'POST', body } : {}
    const response = ask(`${near}/${path}`, { signal: abort.signal, ...sending })
    expect(await errorOf(response.then((got) => got.text()))).toBe(reason)
    if (when === 'while sending') expect(state.cancelled).toBe(true)
  })
})

describe('redirects on Workers', () => {
  const secrets = { authorization: 'Bearer canary', cookie: 'canary', 'x-api-key': 'canary', accept: 'a/b' }
  const moved = (status: number, to: string) => `${near}/moved?status=${status}&to=${encodeURIComponent(to)}`

  it('are handed over when none are asked for, or one too many comes', async () => {
    expect((await ask(moved(302, '/echo'))).status).toBe(302)
    const last = await ask(moved(302, moved(302, '/echo')), { redirects: 1 })
    expect([last.status, await last.text()]).toEqual([302, 'moved'])
  })

  it('on the same origin keep everything', async () => {
    const request = { method: 'POST', headers: secrets, body: 'again', redirects: 1 }
    const got = await echoed(ask(moved(307, '/echo?tö=ü'), request))
    expect(got).toMatchObject({
      method: 'POST',
      body: 'again',
      headers: secrets,
      url: '/echo?t%C3%B6=%C3%BC',
    })
  })

  it('to another origin lose every header that could be a secret, and take no body along', async () => {
    const got = await echoed(ask(moved(302, `${far}/echo`), { headers: secrets, redirects: 1 }))
    expect(JSON.stringify(got)).not.toContain('canary')
    expect(got.headers.accept).toBe('a/b')
    const kept = await ask(moved(307, `${far}/echo`), { method: 'POST', body: 'secret', redirects: 1 })
    expect(kept.status).toBe(307)
  })

  it('turn a POST into a GET without its body', async () => {
    const got = await echoed(ask(moved(303, '/echo'), { method: 'POST', body: 'x', redirects: 1 }))
    expect([got.method, got.body, got.headers['content-type']]).toEqual(['GET', '', undefined])
  })

  it('lead to no private address, at no hop', async () => {
    const targets = [
      ...HOSTS.map((host) => `https://${host}/`),
      ...ODD,
      'http://public.example/',
      'http://vendor.com/',
      'https://user:pass@vendor.com/',
      'http://[',
    ]
    for (const target of targets) {
      // The host that is listed is no trap.
      if (URL.parse(target)?.hostname === '127.0.0.1') continue
      const response = ask(moved(302, moved(302, target)), { redirects: 5 })
      expect((await errorOf(response)).code, target).toBe('blocked_address')
    }
  })
})

describe('a private address is never asked on Workers', () => {
  const refused = async (spelled: string, allowPrivate: string[] = []) => {
    const url = URL.parse(spelled)
    if (!url) return
    const error = await errorOf(ask(url.href, { allowPrivate, timeoutMs: 100 }))
    expect(error.code, spelled).toBe('blocked_address')
  }

  it(`in any of ${HOSTS.length} spellings and ${ODD.length + TRICKS.length} tricks`, async () => {
    const { port } = new URL(near)
    for (const host of HOSTS) {
      await refused(`http://${host}:${port}/`)
      await refused(`https://${host}/`)
    }
    for (const trick of [...ODD, ...TRICKS]) await refused(trick.replaceAll('PORT', port))
  })

  it.each([
    'pbx',
    'pbx.',
    'pbx.lan',
    'a.b.internal.',
    'x.home.arpa',
    'printer.local',
    'a..com',
    '[2a00::1]',
    '1.1.1.1',
  ])('as https://%s/', (host) => refused(`https://${host}/`))

  it('but where the operator listed this very host', async () => {
    const { port } = new URL(near)
    expect((await ask(`${near}/status?status=200`, { allowPrivate: [`127.0.0.1:${port}`] })).status).toBe(200)
    await refused(`${near}/`, ['127.0.0.1:1', 'localhost', '127.0.0.2'])
  })

  it('and names of the public internet are none', async () => {
    // Nothing is sent: the signal has ended before.
    const signal = AbortSignal.abort(new CordboardError('lease_lost', 'over'))
    for (const host of [
      'api.twilio.com',
      'xn--bcher-kva.de',
      'a_b.example-1.co.uk',
      'x.xn--p1ai',
      '1.pbx.io.',
    ]) {
      expect((await errorOf(ask(`https://${host}/`, { signal, allowPrivate: [] }))).code).toBe('lease_lost')
    }
  })
})

describe('an upload on Workers', () => {
  it.each([
    ['too short', 3],
    ['too long', 5],
    ['far too long', 50],
  ])('that is %s for its announced length never looks whole', async (what, count) => {
    const tag = `length ${what}`.replaceAll(' ', '-')
    const { body } = source(async (n) => {
      // All but the byte that would make it look whole.
      if (n === Math.min(4, count)) await arrived(tag, Math.min(3999, 1000 * n))
      return n < count ? new Uint8Array(1000) : null
    })
    const error = await errorOf(ask(`${near}/echo?tag=${tag}`, { method: 'PUT', headers: sized(4000), body }))
    expect(error).toMatchObject({ code: 'vendor_down', message: expect.stringMatching(/announced length/) })
    expect((await seen(tag)).end).toBe('cut off')
  })

  it('fails with the error of its source, and the vendor sees it broken off', async () => {
    const { body } = source(async (n) => {
      if (n < 3) return new Uint8Array(1000)
      await arrived('source', 3000)
      throw new CordboardError('gone', 'the recording has expired')
    })
    expect(await errorOf(ask(`${near}/echo?tag=source`, { method: 'POST', body }))).toMatchObject({
      code: 'gone',
    })
    expect((await seen('source')).end).toBe('cut off')
  })

  it('that the vendor refuses early ends with the vendor’s answer', async () => {
    const { body, state } = endless()
    const response = await ask(`${near}/refuse`, { method: 'POST', body })
    expect([response.status, await response.text()]).toEqual([401, 'no'])
    expect(state.cancelled).toBe(true)
  })

  it('takes from its source only what the vendor takes, and is late when that is nothing', async () => {
    const { body, state } = endless()
    const error = await errorOf(ask(`${near}/hang`, { method: 'POST', body, timeoutMs: 300 }))
    expect(error.code).toBe('timeout')
    expect(state.pulled * 65_536).toBeLessThan(32 * MB)
    expect(state.cancelled).toBe(true)
  })

  it('that keeps moving is not late', async () => {
    const { body } = source((n) => (n < 12 ? new Uint8Array(1000) : null))
    const slow = body.pipeThrough(
      new TransformStream({
        transform: (chunk, controller) =>
          new Promise((resolve) => {
            setTimeout(() => resolve(controller.enqueue(chunk)), 25)
          }),
      }),
    )
    expect(
      (await echoed(ask(`${near}/echo`, { method: 'POST', body: slow, timeoutMs: 150 }))).body.length,
    ).toBe(12_000)
  })

  it('to an address that is refused lets its source go', async () => {
    const { body, state } = endless()
    await errorOf(ask('https://10.0.0.1/', { method: 'POST', body }))
    expect(state.cancelled).toBe(true)
  })
})

describe('a recording on Workers', () => {
  const file = (body: ReadableStream<Uint8Array>, bytes: number | null): MultipartFile => ({
    name: 'file',
    fileName: 'call_1.wav',
    contentType: 'audio/wav',
    body,
    bytes,
  })
  const send = (path: string, made: MultipartFile, connections: Connections) => {
    const form = multipart({ language: 'uz' }, made, 'b-1')
    const length = form.contentLength === null ? {} : sized(form.contentLength)
    const headers = { ...length, 'content-type': form.contentType }
    return ask(near + path, { method: 'POST', headers, body: form.body, timeoutMs: 15_000 }, connections)
  }

  it.each([
    ['of known length', '&sized', 'content-length'],
    ['of unknown length', '', 'transfer-encoding'],
  ])('%s goes from one answer into the next request, byte for byte', async (_, query, framing) => {
    const connections = createConnections()
    const { body, headers } = await ask(`${near}/bytes?bytes=900000${query}`, {}, connections)
    if (!body) throw new Error('no body')
    const length = headers.get('content-length')
    const got = await echoed(send('/echo', file(body, length === null ? null : Number(length)), connections))
    expect(Object.keys(got.headers)).toContain(framing)
    const [, text, recording = ''] = got.body.split(/--b-1(?:--)?\r\n/)
    expect(text).toBe('Content-Disposition: form-data; name="language"\r\n\r\nuz\r\n')
    const start = recording.indexOf('\r\n\r\n') + 4
    const bytes = Uint8Array.from(recording.slice(start, -2), (char) => char.charCodeAt(0))
    expect(bytes.byteLength).toBe(900_000)
    expect(bytes.findIndex((byte, at) => byte !== at % 251)).toBe(-1)
  })

  it.each([
    ['shorter', 900_001],
    ['longer', 899_999],
  ])('%s than announced is refused, and the vendor sees no whole body', async (what, announced) => {
    const connections = createConnections()
    const { body } = await ask(`${near}/bytes?bytes=900000`, {}, connections)
    if (!body) throw new Error('no body')
    const error = await errorOf(send(`/echo?tag=${what}`, file(body, announced), connections))
    expect(error).toMatchObject({
      code: 'vendor_down',
      message: 'The recording has not the size that was announced',
    })
    expect((await seen(what)).end).toBe('cut off')
  })

  it('that breaks off takes the upload with it', async () => {
    const connections = createConnections()
    const { body } = await ask(`${near}/cut?sized`, {}, connections)
    if (!body) throw new Error('no body')
    const error = await errorOf(send('/echo?tag=broke', file(body, 1000), connections))
    expect(error).toMatchObject({
      code: 'vendor_down',
      message: expect.stringMatching(/The answer of .* broke off/),
    })
    expect((await seen('broke')).end).toBe('cut off')
  })

  it('twenty at once pass through six connections, though each needs two', async () => {
    let open = 0
    let most = 0
    const limit = createConnections()
    const connections: Connections = {
      async take(forStream, signal) {
        const giveBack = await limit.take(forStream, signal)
        open += 1
        most = Math.max(most, open)
        return () => {
          open -= 1
          giveBack()
        }
      },
    }
    const all = Array.from({ length: 20 }, async () => {
      const { body } = await ask(`${near}/bytes?bytes=100000&sized`, { timeoutMs: 15_000 }, connections)
      if (!body) throw new Error('no body')
      return (await echoed(send('/echo', file(body, 100_000), connections))).body.length
    })
    expect(new Set(await Promise.all(all)).size).toBe(1)
    expect(most).toBe(6)
  })
})

describe('connections', () => {
  it('are given back by a body that is cancelled, and waited for no longer than the time-out', async () => {
    const connections = createConnections(2)
    const held = await ask(`${near}/endless`, {}, connections)
    const late = ask(`${near}/echo`, { timeoutMs: 50 }, connections)
    expect(await errorOf(late)).toMatchObject({
      code: 'timeout',
      message: expect.stringMatching(/No connection became free/),
    })
    const waiting = ask(`${near}/echo`, {}, connections)
    await held.body?.cancel()
    expect((await waiting).status).toBe(200)
  })
})
