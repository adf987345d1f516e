import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { CordboardError } from '../../src/errors.ts'
import { routeTable } from '../../src/http/route-table.ts'
import { callRow, deliveryRow, id, openWorld, SECRET, TOKENS, type World } from './http-world.ts'

interface Problem {
  type: string
  title: string
  status: number
  detail: string
  code: string
  fix: string
  id?: string
  errors?: { parameter: string; expected: string; seen: string }[]
}

/** Every refusal is a problem document with all its members. */
async function problemOf(response: Response, status: number): Promise<Problem> {
  expect(response.status).toBe(status)
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  const problem = (await response.json()) as Problem
  expect(problem).toMatchObject({
    type: `urn:cordboard:error:${problem.code}`,
    title: expect.stringMatching(/./),
    status,
    detail: expect.stringMatching(/./),
    fix: expect.stringMatching(/./),
  })
  return problem
}

describe('hostile and mistaken requests', () => {
  let world: World
  beforeAll(async () => {
    world = await openWorld()
    await world.calls(callRow({ customer_phone: '+447700900123' }))
    await world.deliveries(deliveryRow())
  })
  afterAll(async () => {
    await world[Symbol.asyncDispose]()
  })

  const parameters: [path: string, parameter: string, expected: RegExp, seen: string][] = [
    ['/v1/calls?limit=0', 'limit', /whole number from 1 to 200/, '"0"'],
    ['/v1/calls?limit=201', 'limit', /from 1 to 200/, '"201"'],
    ['/v1/calls?limit=99999999999999999999', 'limit', /from 1 to 200/, '"99999999999999999999"'],
    ['/v1/calls?limit=-1', 'limit', /from 1 to 200/, '"-1"'],
    ['/v1/calls?limit=1e2', 'limit', /from 1 to 200/, '"1e2"'],
    ['/v1/calls?limit=', 'limit', /from 1 to 200/, '""'],
    ['/v1/calls?limit=1&limit=2', 'limit', /expected string, received array/, '"1"'],
    ['/v1/calls?state=sleeping', 'state', /expected one of "open"\|/, '"sleeping"'],
    ['/v1/calls?direction=sideways', 'direction', /"inbound"/, '"sideways"'],
    ['/v1/calls?result=fine', 'result', /"answered"/, '"fine"'],
    ['/v1/calls?from=yesterday', 'from', /a day .* or an instant/, '"yesterday"'],
    ['/v1/calls?from=2026-13-45', 'from', /a day/, '"2026-13-45"'],
    ['/v1/calls?to=2026-10-01T10:00', 'to', /an instant/, '"2026-10-01T10:00"'],
    ['/v1/calls?phone=1', 'phone', /expected one of q, connection, state/, 'phone'],
    ['/v1/calls?__proto__=1', '__proto__', /expected one of/, '__proto__'],
    ['/v1/calls?cursor=%00', 'cursor', /`next` of the page before/, '"\\u0000"'],
    [`/v1/calls?q=${'9'.repeat(600)}`, 'q', /512/, `"${'9'.repeat(76)}…"`],
    ['/v1/deliveries?cursor=call_1', 'cursor', /`next` of the page before/, '"call_1"'],
    ['/v1/issues?state=done', 'state', /"open"/, '"done"'],
    ['/v1/audit?limit=NaN', 'limit', /from 1 to 200/, '"NaN"'],
    [`/v1/calls/${id('dlv')}`, 'id', /the id of a call: call_…/, '"dlv_'],
    ['/v1/calls/call_%27%20or%201=1--', 'id', /the id of a call/, '"call_\' or 1=1--"'],
    ['/v1/calls/..%2f..%2fetc%2fpasswd', 'id', /the id of a call/, '"../../etc/passwd"'],
    ['/v1/deliveries/%E0%A4%A', 'id', /the id of a delivery/, '"%E0%A4%A"'],
  ]
  for (const [path, parameter, expected, seen] of parameters) {
    it(`names what is wrong with ${path.slice(0, 60)}`, async () => {
      const problem = await problemOf(await world.send(path), 400)
      expect(problem.errors).toMatchObject([{ parameter, expected: expect.stringMatching(expected) }])
      expect(problem.errors?.[0]?.seen.startsWith(seen)).toBe(true)
      expect(problem.detail).toContain(parameter)
    })
  }

  it('refuses cursors that only look like ours', async () => {
    for (const cursor of [
      'AAAA',
      btoa("0 x' or 1=1").replaceAll('=', ''),
      btoa('1e9 call_1').replaceAll('=', ''),
      '_-_-',
    ]) {
      await problemOf(await world.send(`/v1/calls?cursor=${cursor}`), 400)
    }
  })

  const injections = [
    "' or '1'='1",
    "'; drop table calls; --",
    '" union select token from settings --',
    '%',
    '_',
    '%7700900%',
    '\u0000',
    '{"$ne":null}',
    '\ud800',
    '١٢٣٤٥٦٧٨٩٠',
  ]
  for (const text of injections) {
    it(`takes ${JSON.stringify(text)} as text`, async () => {
      for (const path of [
        '/v1/calls?q=',
        '/v1/calls?connection=',
        '/v1/deliveries?connection=',
        '/v1/issues?connection=',
      ]) {
        const response = await world.send(`${path}${encodeURIComponent(text.toWellFormed())}`)
        expect(response.status).toBe(200)
        expect(await response.json()).toEqual({ items: [], next: null })
      }
      expect((await world.get<{ items: unknown[] }>('/v1/calls')).body.items).toHaveLength(1)
    })
  }

  const rerun = (body: BodyInit, headers: Record<string, string> = { 'content-type': 'application/json' }) =>
    world.send(`/v1/calls/${id('call')}/rerun`, { method: 'POST', body, headers })

  const bodies: [string, string, number, RegExp][] = [
    ['no JSON', '{from:', 400, /^Body: expected JSON/],
    ['nothing', '', 400, /^Body: expected JSON/],
    ['null', 'null', 400, /expected object/],
    ['a list', '[]', 400, /expected object/],
    ['no member', '{}', 400, /"from"/],
    ['a wrong member', '{"from":"merge"}', 400, /"submit"\|"match"\|"write", seen "merge"/],
    ['an object in its place', '{"from":{"from":"match"}}', 400, /"from"/],
    ['one more member', '{"from":"match","force":true}', 400, /"force": expected one of from/],
    ['a prototype', '{"from":"match","__proto__":{"x":1}}', 400, /__proto__/],
    ['very deep', `${'['.repeat(30_000)}${']'.repeat(30_000)}`, 400, /expected/],
  ]
  for (const [what, body, status, says] of bodies) {
    it(`refuses a body that is ${what}`, async () => {
      expect((await problemOf(await rerun(body), status)).detail).toMatch(says)
    })
  }

  it('refuses a body of another type', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'garbage;;;']) {
      const problem = await problemOf(await rerun('{"from":"match"}', { 'content-type': type }), 400)
      expect(problem.detail).toContain('expected application/json')
    }
  })

  it('refuses ten megabytes without reading them, announced or not', async () => {
    const big = new Uint8Array(10 * 1024 * 1024)
    const announced = await rerun(big, {
      'content-type': 'application/json',
      'content-length': String(big.length),
    })
    expect((await problemOf(announced, 413)).code).toBe('too_large')
    let sent = 0
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 16_384
        controller.enqueue(new Uint8Array(16_384))
      },
    })
    const init: RequestInit & { duplex: 'half' } = { method: 'POST', body: endless, duplex: 'half' }
    await problemOf(
      await world.send(`/v1/calls/${id('call')}/rerun`, {
        ...init,
        headers: { 'content-type': 'application/json' },
      }),
      413,
    )
    expect(sent).toBeLessThan(512 * 1024)
  })

  it('is untouched by header garbage', async () => {
    const headers = {
      host: 'evil.example.com',
      'x-forwarded-host': 'evil.example.com',
      'x-http-method-override': 'DELETE',
      'content-length': 'abc',
      accept: '../../etc',
      cookie: 'a'.repeat(8000),
      origin: 'https://evil.example.com',
    }
    const response = await world.send('/v1/connections', { headers })
    expect(response.status).toBe(200)
    expect(response.headers.get('access-control-allow-origin')).toBeNull()
    expect(await response.text()).not.toContain('evil.example.com')
    expect(await (await world.send('/docs', { headers })).text()).not.toContain('evil.example.com')
  })

  it('says which methods a path takes', async () => {
    const cases: [string, string, string][] = [
      ['DELETE', '/v1/calls', 'GET, HEAD, POST'],
      ['OPTIONS', '/v1/calls', 'GET, HEAD, POST'],
      ['GET', `/v1/calls/${id('call')}/rerun`, 'POST'],
      ['PUT', `/v1/issues/${id('iss')}`, 'POST'],
      ['POST', '/healthz', 'GET, HEAD'],
      ['PATCH', '/docs', 'GET, HEAD'],
    ]
    for (const [method, path, allow] of cases) {
      const response = await world.send(path, { method })
      expect([path, response.headers.get('allow')]).toEqual([path, allow])
      expect((await problemOf(response, 405)).detail).toContain(`seen "${method}"`)
    }
  })

  it('answers unknown paths as problems', async () => {
    for (const path of [
      '/',
      '/nothing',
      '/v2/calls',
      '/v1/calls/',
      '//hooks/support',
      '/hooks',
      '/%68ooks/support',
    ]) {
      await problemOf(await world.send(path), 404)
    }
    expect((await problemOf(await world.send(`/${'x'.repeat(5000)}`), 404)).detail.length).toBeLessThan(200)
  })

  it('sets the security headers on every answer, errors too', async () => {
    for (const path of [
      '/v1/calls',
      '/v1/calls?limit=0',
      '/v1/nothing',
      '/docs',
      '/nothing',
      '/metrics',
      '/healthz',
    ]) {
      const { headers } = await world.send(path)
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('content-security-policy')).toContain("default-src 'none'")
      expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
      expect(headers.get('referrer-policy')).toBe('no-referrer')
      if (path.startsWith('/v1')) expect(headers.get('cache-control')).toBe('no-store')
    }
    expect((await world.send('/v1/calls', { as: null })).headers.get('x-content-type-options')).toBe(
      'nosniff',
    )
  })

  it('gives hooks to the receiver and to nothing else', async () => {
    for (const path of ['/hooks/support', '/hooks/support/status?x=1', '/hooks/nobody']) {
      const response = await world.send(path, { as: null, method: 'POST', body: '{}' })
      expect(response.headers.get('x-content-type-options')).toBeNull()
      expect([401, 404]).toContain(response.status)
    }
  })
})

describe('a failure of our own', () => {
  let world: World
  beforeEach(async () => {
    world = await openWorld()
  })
  afterEach(async () => {
    await world[Symbol.asyncDispose]()
  })

  const failing = async (error: Error) => {
    const { db } = world.store
    const broken = db.withPlugin({
      transformQuery: () => {
        throw error
      },
      transformResult: async ({ result }) => result,
    })
    const other = await openWorld({ store: { ...world.store, db: broken } })
    try {
      const response = await other.send('/v1/calls?q=%2B447700900123')
      return { response, lines: other.lines }
    } finally {
      await other[Symbol.asyncDispose]()
    }
  }

  it('is a 500 with an id that the log has too, and nothing of the inside', async () => {
    const { response, lines } = await failing(new TypeError('cannot read +447700900123 of /srv/secret.db'))
    const problem = await problemOf(response, 500)
    expect(problem).toMatchObject({ code: 'internal', id: expect.stringMatching(/^err_\w{10,}$/) })
    expect(JSON.stringify(problem)).not.toMatch(/447700900123|secret\.db|TypeError/)
    const line = lines.find(({ level }) => level === 'error')
    expect(line?.fields).toMatchObject({
      id: problem.id,
      method: 'GET',
      route: '/v1/calls',
      error: 'TypeError',
    })
    expect(line?.fields.at).toContain('at ')
    expect(JSON.stringify(line)).not.toContain('447700900123')
  })

  it('is a 503 with Retry-After when the store is away', async () => {
    const { response } = await failing(
      new CordboardError('storage_unavailable', 'The store is away', { retry: { afterMs: 12_000 } }),
    )
    expect(response.headers.get('retry-after')).toBe('12')
    expect((await problemOf(response, 503)).code).toBe('storage_unavailable')
  })
})

describe('the log at its default level', () => {
  it('holds no token, secret, number or word of a call, whatever is asked', async () => {
    await using world = await openWorld()
    const call = callRow({ customer_phone: '+447700900123', analysis: '{"summary":"canary-words"}' })
    const delivery = deliveryRow({ body: new TextEncoder().encode(SECRET) })
    await world.calls(call)
    await world.deliveries(delivery)
    const canaries = [
      ...Object.values(TOKENS),
      SECRET,
      '447700900123',
      '7700900123',
      'canary-words',
      'Camille',
    ]
    const paths = [
      '/v1/calls?q=%2B447700900123',
      `/v1/calls/${call.id}`,
      `/v1/deliveries/${delivery.id}`,
      `/v1/calls/+447700900123`,
      '/v1/calls?cursor=447700900123',
      '/v1/connections',
      '/metrics',
      '/readyz',
      '/nothing/447700900123',
    ]
    for (const path of paths) await world.send(path)
    await world.post(`/v1/calls/${call.id}/rerun`, { from: 'match' })
    await world.post(`/v1/deliveries/${delivery.id}/replay`)
    await world.send('/hooks/support', { method: 'POST', body: SECRET, headers: { 'x-hook-token': 'wrong' } })
    await world.send('/hooks/support', {
      method: 'POST',
      body: '447700900123',
      headers: { 'x-hook-token': SECRET },
    })
    await world.send('/v1/calls', { as: null, headers: { authorization: `Bearer ${TOKENS.admin}x` } })
    const written = JSON.stringify(world.lines.filter(({ level }) => level !== 'debug'))
    const audit = JSON.stringify((await world.get('/v1/audit', 'admin')).body)
    const metrics = await (await world.send('/metrics')).text()
    for (const canary of canaries) {
      expect(written).not.toContain(canary)
      expect(audit).not.toContain(canary)
      expect(metrics).not.toContain(canary)
    }
    expect(JSON.parse(audit).items).toHaveLength(2)
  })
})

describe('the table of routes', () => {
  it('knows the methods and the pattern of a path', () => {
    const table = routeTable([
      { method: 'ALL', path: '/v1/*' },
      { method: 'GET', path: '/v1/calls/:id' },
      { method: 'POST', path: '/v1/calls/:id' },
      { method: 'POST', path: '/v1/calls/:id/rerun' },
    ])
    expect(table.methods('/v1/calls/x')).toEqual(['GET', 'HEAD', 'POST'])
    expect(table.pattern('/v1/calls/x/rerun')).toBe('/v1/calls/:id/rerun')
    expect(table.methods('/v1/calls')).toEqual([])
    expect(table.pattern('/v1/calls/x/y')).toBeUndefined()
  })
})
