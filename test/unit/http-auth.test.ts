import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CordboardError } from '../../src/errors.ts'
import { parseTokens, ROLES, type Role } from '../../src/http/auth.ts'
import { createSigner } from '../../src/node/signer.ts'
import { id, openWorld, TOKENS, type World } from './http-world.ts'

describe('the list of tokens', () => {
  it('is read as roles and tokens, divided by commas or lines', () => {
    expect(parseTokens('admin:0123456789abcdef,\n viewer:fedcba9876543210==')).toEqual([
      { role: 'admin', token: '0123456789abcdef' },
      { role: 'viewer', token: 'fedcba9876543210==' },
    ])
  })

  const wrong: [string, string][] = [
    ['', 'it names no token'],
    ['  ,\n', 'it names no token'],
    ['0123456789abcdef', 'entry 1 has no colon'],
    ['root:0123456789abcdef', 'entry 1 names no role'],
    ['__proto__:0123456789abcdef', 'entry 1 names no role'],
    ['viewer:short', 'expected at least 16 characters, seen 5'],
    ['viewer:0123456789 abcdef', 'characters that no header may carry'],
    ['viewer:0123456789abcdef,admin:0123456789abcdef', 'entry 2 repeats an earlier token'],
  ]
  for (const [text, says] of wrong) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      expect(() => parseTokens(text)).toThrow(CordboardError)
      expect(() => parseTokens(text)).toThrow(says)
    })
  }

  it('lists every problem at once and repeats no token', () => {
    const attempt = () => parseTokens('root:secret-secret-secret,viewer:short-one')
    expect(attempt).toThrow(/entry 1.*entry 2/)
    expect(attempt).not.toThrow(/secret-secret|short-one/)
  })
})

/** Who may do what needs a role. */
const MAY: Record<Role, Role[]> = {
  viewer: ['viewer', 'operator', 'admin'],
  ingest: ['ingest', 'operator', 'admin'],
  operator: ['operator', 'admin'],
  admin: ['admin'],
}

/** Every operation, the role it needs (null: none), and what an allowed caller with an empty store gets. */
const MATRIX: [method: string, path: string, needs: Role | null, allowed: number, body?: unknown][] = [
  ['GET', '/v1/calls', 'viewer', 200],
  ['GET', `/v1/calls/${id('call')}`, 'viewer', 404],
  ['GET', `/v1/calls/${id('call')}/flow`, 'viewer', 404],
  // Without a connection that takes them.
  ['POST', '/v1/calls', 'ingest', 400, { result: 'busy' }],
  ['POST', '/v1/vcons', 'ingest', 400, {}],
  ['POST', '/v1/batches', 'ingest', 400, {}],
  ['GET', '/v1/batches', 'ingest', 200],
  ['GET', `/v1/batches/${id('imp')}`, 'ingest', 404],
  ['GET', `/v1/batches/${id('imp')}/rows`, 'ingest', 404],
  ['PUT', `/v1/batches/${id('imp')}/csv`, 'ingest', 404, {}],
  ['PUT', `/v1/batches/${id('imp')}/zip`, 'ingest', 404, {}],
  ['POST', `/v1/batches/${id('imp')}/start`, 'ingest', 404],
  ['POST', `/v1/batches/${id('imp')}/stop`, 'operator', 404],
  ['POST', `/v1/calls/${id('call')}/rerun`, 'operator', 404, { from: 'match' }],
  [
    'POST',
    `/v1/calls/${id('call')}/record`,
    'operator',
    404,
    { connection: 'crm', type: 'contact', id: '51' },
  ],
  ['GET', '/v1/deliveries', 'viewer', 200],
  ['GET', `/v1/deliveries/${id('dlv')}`, 'operator', 404],
  ['POST', `/v1/deliveries/${id('dlv')}/replay`, 'operator', 404],
  ['POST', '/v1/deliveries/replay', 'operator', 200, { state: 'unreadable', dryRun: true }],
  ['GET', '/v1/replays', 'viewer', 200],
  ['POST', `/v1/replays/${id('rpl')}/stop`, 'operator', 404],
  ['GET', '/v1/connections', 'viewer', 200],
  ['POST', `/v1/connections/${id('bfl')}/backfill`, 'operator', 404, { since: '2026-10-01' }],
  ['GET', `/v1/backfills/${id('bfl')}`, 'viewer', 404],
  ['POST', `/v1/backfills/${id('bfl')}/stop`, 'operator', 404],
  ['GET', '/v1/issues', 'viewer', 200],
  ['POST', `/v1/issues/${id('iss')}`, 'operator', 404, { state: 'ignored' }],
  ['GET', '/v1/audit', 'admin', 200],
  ['GET', '/metrics', 'viewer', 200],
  ['GET', '/healthz', null, 200],
  ['GET', '/readyz', null, 200],
  ['GET', '/openapi.json', null, 200],
  ['GET', '/docs', null, 200],
]

describe('roles', () => {
  let world: World
  beforeAll(async () => {
    world = await openWorld()
  })
  afterAll(async () => {
    await world[Symbol.asyncDispose]()
  })

  const request = (method: string, path: string, as: Role | null, body?: unknown) =>
    world.send(path, {
      as,
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })

  for (const [method, path, needed, allowed, body] of MATRIX) {
    for (const as of [null, ...ROLES]) {
      const mayPass = needed === null || (as !== null && MAY[needed].includes(as))
      const expected = mayPass ? allowed : as === null ? 401 : 403
      it(`${method} ${path.replaceAll(/_\w{26}/g, '_…')} as ${as ?? 'nobody'} answers ${expected}`, async () => {
        const response = await request(method, path, as, body)
        expect(response.status).toBe(expected)
        if (expected === 403) {
          const problem = (await response.json()) as Record<string, string>
          expect(problem.code).toBe('role_missing')
          expect(problem.detail).toContain(`the role ${needed}`)
        }
      })
    }
  }

  it('are written for every operation of the API, and no other is open', async () => {
    const { body } = await world.get<{
      paths: Record<string, Record<string, { security?: unknown; 'x-cordboard-role'?: string }>>
    }>('/openapi.json')
    const operations = Object.entries(body.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        name: `${method.toUpperCase()} ${path.replaceAll(/\{\w+\}/g, '…')}`,
        role: operation['x-cordboard-role'] ?? null,
        isSecured: operation.security !== undefined,
      })),
    )
    const table = new Map(
      MATRIX.map(([method, path, needed]) => [`${method} ${path.replaceAll(/[a-z]+_\w{26}/g, '…')}`, needed]),
    )
    for (const { name, role, isSecured } of operations.filter(({ name }) => !name.includes('/hooks/'))) {
      expect([name, role, isSecured]).toEqual([name, table.get(name), role !== null])
    }
    expect(operations.length).toBe(MATRIX.length - 2 + 1)
  })

  const refused: [string, Record<string, string>][] = [
    ['no header', {}],
    ['another scheme', { authorization: `Basic ${btoa(`admin:${TOKENS.admin}`)}` }],
    ['an empty token', { authorization: 'Bearer ' }],
    ['a prefix of a token', { authorization: `Bearer ${TOKENS.admin.slice(0, -1)}` }],
    ['a token and more', { authorization: `Bearer ${TOKENS.admin}x` }],
    ['two tokens', { authorization: `Bearer ${TOKENS.admin} ${TOKENS.viewer}` }],
    ['a very long token', { authorization: `Bearer ${'x'.repeat(16_000)}` }],
    ['control characters as Latin-1', { authorization: 'Bearer \u00ff\u0080' }],
  ]
  for (const [what, headers] of refused) {
    it(`refuses ${what} with a challenge`, async () => {
      const response = await world.send('/v1/calls', { as: null, headers })
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toMatch(/^Bearer realm="cordboard"/)
      expect(response.headers.get('content-type')).toBe('application/problem+json')
      expect(await response.json()).toMatchObject({ code: 'unauthorized', status: 401 })
    })
  }

  it('takes the scheme in any case', async () => {
    const headers = { authorization: `bearer ${TOKENS.viewer}` }
    expect((await world.send('/v1/calls', { as: null, headers })).status).toBe(200)
  })

  it('asks for a token before it says whether a path under /v1 exists', async () => {
    expect((await world.send('/v1/nothing', { as: null })).status).toBe(401)
    expect((await world.send('/v1/nothing', { as: 'viewer' })).status).toBe(404)
    expect((await world.send('/v1', { as: null })).status).toBe(401)
  })

  it('compares with every token, also when an earlier one fits', async () => {
    const signer = createSigner()
    let compared = 0
    await using counted = await openWorld({
      signer: {
        ...signer,
        equal: (a, b) => {
          compared += 1
          return signer.equal(a, b)
        },
      },
    })
    await counted.send('/v1/calls', { as: 'viewer' })
    expect(compared).toBe(ROLES.length)
  })

  it('lets nobody in when there are no tokens', async () => {
    await using closed = await openWorld({ tokens: [] })
    expect((await closed.send('/v1/calls', { as: 'admin' })).status).toBe(401)
  })
})
