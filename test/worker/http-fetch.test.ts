import { describe, expect, it } from 'vitest'
import { CordboardError } from '../../src/errors.ts'
import { createConnections } from '../../src/worker/connections.ts'
import { HOSTS, ODD, TRICKS } from '../unit/private-addresses.ts'
import { ask, echoed, endless, errorOf, far, near, sized, source } from './loopback-client.ts'

const times = (count: number, size: number) => source((n) => (n < count ? new Uint8Array(size) : null))

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
