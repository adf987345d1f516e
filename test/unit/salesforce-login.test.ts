import { generateKeyPairSync } from 'node:crypto'
import http from 'node:http'
import type { AddressInfo, LookupFunction } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { salesforce } from '../../connectors/salesforce/client.ts'
import { config } from '../../connectors/salesforce/schema.ts'
import type { HttpFetch, HttpRequest } from '../../src/connector/platform.ts'
import { createHttpFetch } from '../../src/node/http-fetch.ts'
import { failureOf, type World } from '../kit/connector/world.ts'
import { ctxOf, open, SETTINGS, type Settings } from './salesforce-world.ts'

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const PEM = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
const { clientSecret: _, ...PUBLIC } = SETTINGS
const TOKEN = '/services/oauth2/token'

/** What goes over the wire, and who may answer it instead. */
function wire(instead: (url: URL, request: HttpRequest) => Response | Promise<Response> | null = () => null) {
  const sent: { host: string; path: string; form: URLSearchParams; bearer: string }[] = []
  const through =
    (direct: HttpFetch): HttpFetch =>
    async (url, request) => {
      const form = new URLSearchParams(String(request.body ?? ''))
      const bearer = request.headers.authorization ?? ''
      sent.push({ host: url.host, path: url.pathname, form, bearer })
      return (await instead(url, request)) ?? direct(url, request)
    }
  const of = (path: string) => sent.filter((one) => one.path === path)
  return { sent, through, of }
}

const anything = (world: World) => salesforce(ctxOf(world)).describe('Lead')
const refused = () =>
  Response.json([{ message: 'Session expired or invalid', errorCode: 'INVALID_SESSION_ID' }], { status: 401 })

describe('logging in', () => {
  test('by client credentials', async () => {
    const { through, of } = wire()
    const world = await open({}, { through })
    await anything(world)
    expect(Object.fromEntries(of(TOKEN)[0]?.form ?? [])).toEqual({
      grant_type: 'client_credentials',
      client_id: SETTINGS.clientId,
      client_secret: SETTINGS.clientSecret,
    })
  })

  test('by a JWT that lives two minutes, with nothing secret in it', async () => {
    const { through, of } = wire()
    const world = await open(
      { ...PUBLIC, clientSecret: undefined, privateKey: PEM, username: 'integration@example.com' },
      { through },
    )
    await anything(world)
    const [, claims = ''] = of(TOKEN)[0]?.form.get('assertion')?.split('.') ?? []
    expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toEqual({
      iss: SETTINGS.clientId,
      sub: 'integration@example.com',
      aud: 'https://login.salesforce.com',
      exp: Math.floor(world.now() / 1000) + 120,
    })
  })

  const wrong: [string, Settings][] = [
    ['another user', { username: 'integration@example.com' }],
    ['another audience', { audience: 'https://test.salesforce.com' }],
    ['another key', {}],
  ]
  test.each(wrong)('a JWT with %s is refused, once, as wrong credentials', async (what, other) => {
    const { through, sent } = wire()
    const settings = { clientSecret: undefined, privateKey: PEM, username: 'somebody@example.com' }
    const world = await open(settings, { through })
    const another = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    const key = { privateKey: another.export({ format: 'pem', type: 'pkcs8' }).toString() }
    const ctx = ctxOf(world)
    const keys = { ...ctx.config, ...other, ...(what === 'another key' ? key : {}) }
    const failure = await failureOf(
      salesforce({ ...ctx, config: { ...ctx.config, ...keys } }).describe('Lead'),
    )
    // The context's own fetch is one of the right account: only the answer to the assertion counts.
    expect(failure).toMatchObject({ code: 'auth', retry: 'never' })
    expect(sent.map(({ path }) => path)).toEqual([TOKEN])
    expect(JSON.stringify(failure)).not.toContain('PRIVATE KEY')
  })

  test('a key that cannot be read is said without a word of it', async () => {
    const broken = Buffer.concat([Buffer.from([0x30]), Buffer.alloc(800, 7)]).toString('base64')
    const world = await open()
    const ctx = ctxOf(world)
    const asked = salesforce({
      ...ctx,
      config: { ...ctx.config, privateKey: broken, username: 'a@example.com' },
    })
    const failure = await failureOf(asked.describe('Lead'))
    expect(failure).toMatchObject({ code: 'config', message: 'Salesforce: the private key cannot be read' })
    expect(String(failure?.fix)).not.toContain(broken.slice(0, 20))
  })

  const settings: [string, Settings, boolean][] = [
    ['nothing to log in with', { clientSecret: undefined }, false],
    ['a key without a user', { privateKey: PEM }, false],
    ['a user without a key', { username: 'a@example.com' }, false],
    ['a refresh token alone', { clientSecret: undefined, refreshToken: '5Aep861' }, true],
    ['no key at all', { privateKey: 'MIIB', username: 'a@example.com' }, false],
    ['the address of Lightning', { baseUrl: 'https://acme.lightning.force.com' }, false],
    ['a version without its zero', { apiVersion: '67' }, false],
  ]
  test.each(settings)('%s: taken as settings: %s', (_what, given, isTaken) => {
    expect(config.safeParse({ ...SETTINGS, ...given }).success).toBe(isTaken)
  })
})

describe('a session that has ended', () => {
  test('is opened again, and the request is sent again, once', async () => {
    const { through, sent } = wire()
    const world = await open({ tokenLifeMs: 3_600_000 }, { through })
    await anything(world)
    await world.advance(3_600_001)
    await salesforce(ctxOf(world))
      .search('FIND {"1"} IN PHONE FIELDS RETURNING Lead(Id)')
      .catch(() => undefined)
    expect(sent.slice(2).map(({ path }) => path.replace(/.*\//, ''))).toEqual(['search', 'token', 'search'])
    expect(sent[2]?.bearer).not.toBe(sent[4]?.bearer)
  })

  test('thirty who find out at once make one refresh', async () => {
    const { through, of } = wire()
    const world = await open({ tokenLifeMs: 3_600_000 }, { through })
    await anything(world)
    await world.advance(3_600_001)
    const ctx = ctxOf(world)
    const all = Array.from({ length: 30 }, () =>
      salesforce(ctx).search('FIND {"12"} IN PHONE FIELDS RETURNING Lead(Id LIMIT 1)'),
    )
    await Promise.all(all)
    expect(of(TOKEN).length).toBe(2)
  })

  test('a Salesforce that always answers 401 gets three requests, and one each from then on', async () => {
    const { through, sent } = wire((url) => (url.pathname === TOKEN ? null : refused()))
    const world = await open({}, { through })
    // A token that was good for a while.
    await world.context().token('access', async () => ({ token: 'https://salesforce.example.com 00Dold' }))
    await world.advance(60_000)
    expect(await failureOf(anything(world))).toMatchObject({ code: 'auth', retry: 'never' })
    expect(sent.map(({ path }) => path.replace(/.*\//, ''))).toEqual(['describe', 'token', 'describe'])
    // The new one is hardly used: another would be no better.
    expect(await failureOf(anything(world))).toMatchObject({ code: 'auth' })
    expect(sent.length).toBe(4)
  })

  test('thirty of them get no more than one each besides the one refresh', async () => {
    const { through, sent, of } = wire((url) => (url.pathname === TOKEN ? null : refused()))
    const world = await open({}, { through })
    const failures = await Promise.all(Array.from({ length: 30 }, () => failureOf(anything(world))))
    expect(failures.map((failure) => failure?.code)).toEqual(Array(30).fill('auth'))
    expect(of(TOKEN).length).toBe(1)
    expect(sent.length).toBe(31)
  })
})

describe('refresh tokens that change with their use', () => {
  const ROTATING = { refreshToken: '5Aep-first', rotates: true, tokenLifeMs: 3_600_000 }
  const told = (sent: ReturnType<typeof wire>) => sent.of(TOKEN).map(({ form }) => form.get('refresh_token'))

  test('each refresh uses what the last one brought', async () => {
    const sent = wire()
    const world = await open(ROTATING, { through: sent.through })
    for (let round = 0; round < 3; round++) {
      await salesforce(ctxOf(world)).user(`nobody-${round}@example.com`)
      await world.advance(3_600_001)
    }
    expect(told(sent)[0]).toBe('5Aep-first')
    expect(new Set(told(sent)).size).toBe(3)
  })

  test('the new one is kept before the token is used: a request that fails loses nothing', async () => {
    let isDown = true
    const sent = wire((url) =>
      url.pathname !== TOKEN && isDown ? new Response('down', { status: 503 }) : null,
    )
    const world = await open(ROTATING, { through: sent.through })
    expect(await failureOf(anything(world))).toMatchObject({ code: 'vendor_down' })
    isDown = false
    await world.advance(3_600_001)
    await anything(world)
    expect(told(sent).length).toBe(2)
    expect(told(sent)[1]).toMatch(/^5Aep(?!-first)/)
  })

  test('one that does not change is used again', async () => {
    const sent = wire()
    const world = await open({ ...ROTATING, rotates: false }, { through: sent.through })
    await anything(world)
    await world.advance(3_600_001)
    await salesforce(ctxOf(world)).user('nobody@example.com')
    expect(told(sent)).toEqual(['5Aep-first', '5Aep-first'])
  })

  test('one that was revoked is an error of the credentials', async () => {
    const world = await open({ ...ROTATING })
    const ctx = ctxOf(world)
    const other = { ...ctx, config: { ...ctx.config, refreshToken: '5Aep-revoked' } }
    expect(await failureOf(salesforce(other).describe('Lead'))).toMatchObject({
      code: 'auth',
      retry: 'never',
    })
  })
})

describe('where the org is', () => {
  test('an org that moved is followed, with the request that found it out', async () => {
    const { through, sent } = wire()
    const instanceUrls = ['https://first.example.com', 'https://second.example.com']
    const world = await open({ instanceUrls, tokenLifeMs: 3_600_000 }, { through })
    await anything(world)
    await world.advance(3_600_001)
    await salesforce(ctxOf(world)).user('nobody@example.com')
    expect(sent.map(({ host }) => host.split('.')[0])).toEqual([
      'salesforce',
      'first',
      'first',
      'salesforce',
      'second',
    ])
  })

  const strange = [
    'https://example.com.evil.example.net',
    'https://evilexample.com',
    'https://127.0.0.1',
    'https://[::1]',
    'https://169.254.169.254',
    'https://2130706433',
    'http://salesforce.example.com',
    'http://org.example.com',
    'https://user:pass@org.example.com',
    'https://org.example.org',
  ]
  test.each(strange)('a token for %s is sent nowhere', async (instanceUrl) => {
    const { through, sent } = wire()
    const world = await open({ instanceUrls: [instanceUrl] }, { through })
    expect(await failureOf(anything(world))).toMatchObject({
      code: 'blocked_address',
      message: 'Salesforce: the token is for a host that is not the login’s',
    })
    expect(sent.map(({ path }) => path)).toEqual([TOKEN])
  })
})

describe('a private address behind a good name', () => {
  let caught = 0
  const trap = http
    .createServer((_request, response) => response.end('internal'))
    .on('connection', () => {
      caught += 1
    })
  beforeAll(() => new Promise<void>((resolve) => trap.listen(0, '127.0.0.1', resolve)))
  afterAll(() => {
    trap.closeAllConnections()
    trap.close()
  })

  test('is refused by the guard that all connectors share, and nothing connects', async () => {
    const { port } = trap.address() as AddressInfo
    const lookup: LookupFunction = (_host, options, callback) =>
      options.all ? callback(null, [{ address: '127.0.0.1', family: 4 }]) : callback(null, '127.0.0.1', 4)
    const real = createHttpFetch({ lookup })
    const { through, sent } = wire((url, request) => (url.pathname === TOKEN ? null : real(url, request)))
    const world = await open({ instanceUrls: [`https://inside.example.com:${port}`] }, { through })
    expect(await failureOf(anything(world))).toMatchObject({ code: 'blocked_address' })
    expect(sent.length).toBe(2)
    expect(caught).toBe(0)
  })
})
