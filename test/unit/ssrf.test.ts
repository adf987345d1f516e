import http from 'node:http'
import type { AddressInfo, LookupFunction } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { HttpRequest } from '../../src/connector/platform.ts'
import { isPublicAddress } from '../../src/node/address-guard.ts'
import { createHttpFetch } from '../../src/node/http-fetch.ts'
import { HOSTS, ODD, TRICKS } from './private-addresses.ts'

/**
 * Nobody makes us talk to a private network. Every vector goes through the same fetch that connectors use; traps on both
 * loopback addresses count what got through: it must stay 0.
 */

let caught = 0
const redirects = new Map<string, string>()
const traps = ['127.0.0.1', '::1'].map((host) => ({
  host,
  server: http
    .createServer((_, response) => response.end('internal'))
    .on('connection', () => {
      caught += 1
    }),
}))
/** A listed on-premise host, the only one that may be reached. */
const friend = http.createServer((request, response) => {
  const location = redirects.get(request.url ?? '')
  // As servers send it: UTF-8 bytes as they are.
  if (location !== undefined) {
    response.writeHead(302, { location: Buffer.from(location).toString('latin1') })
  }
  response.end('friend')
})
const listen = (server: http.Server, host: string, port = 0) =>
  new Promise<number>((resolve, reject) => {
    server.once('error', reject).listen(port, host, () => resolve((server.address() as AddressInfo).port))
  })
let trapPort = 0
let friendPort = 0
beforeAll(async () => {
  friendPort = await listen(friend, '127.0.0.1')
  for (const { server, host } of traps) {
    // Both on one port. A machine without IPv6 has nothing to trap there.
    const port = await listen(server, host, trapPort).catch(() => 0)
    trapPort ||= port
  }
})
afterAll(() => {
  for (const { server } of [...traps, { server: friend }]) {
    server.closeAllConnections()
    server.close()
  }
})

/** A resolver that answers from a table, in turns where there are several answers. */
function resolver(table: Record<string, string[][]>): { lookup: LookupFunction; asked: string[] } {
  const asked: string[] = []
  const lookup: LookupFunction = (name, options, callback) => {
    const turns = table[name.replace(/\.$/, '')] ?? [['127.0.0.1']]
    const turn = turns[Math.min(asked.filter((one) => one === name).length, turns.length - 1)] ?? []
    asked.push(name)
    const all = turn.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
    if (options.all) callback(null, all)
    else callback(null, all[0]?.address ?? '', all[0]?.family)
  }
  return { lookup, asked }
}

const request = (given: Partial<HttpRequest> = {}): HttpRequest => ({
  method: 'GET',
  headers: { authorization: 'Bearer canary' },
  signal: new AbortController().signal,
  timeoutMs: 2000,
  maxBytes: 1000,
  redirects: 5,
  allowPrivate: [],
  ...given,
})

describe('a private address is never reached', () => {
  const { lookup } = resolver({ 'rebind.example': [['10.0.0.1']], 'pbx.local': [['fd00::5']] })
  const fetch = createHttpFetch({ lookup })

  async function refused(spelled: string): Promise<void> {
    const url = URL.parse(spelled)
    // What is no URL for the standard is none for us: there is only one parser.
    if (!url) return
    await expect(fetch(url, request()), spelled).rejects.toMatchObject({ code: 'blocked_address' })
  }

  it(`in any of ${HOSTS.length} spellings, by http and by https`, async () => {
    expect(new Set(HOSTS).size).toBeGreaterThanOrEqual(200)
    for (const host of HOSTS) {
      await refused(`http://${host}:${trapPort}/`)
      await refused(`https://${host}:${trapPort}/`)
      await refused(`https://${host}/latest/meta-data/`)
    }
    expect(caught).toBe(0)
  })

  it.each(ODD)('by %s', refused)

  it.each(TRICKS)('by %j', async (trick) => {
    await refused(trick.replaceAll('PORT', String(trapPort)))
    expect(caught).toBe(0)
  })

  it('on any port', async () => {
    for (const port of [1, 22, 25, 80, 443, 2375, 5432, 6379, 8080, 65_535]) {
      await refused(`http://127.0.0.1:${port}/`)
    }
  })

  it('by any number a URL parser takes for IPv4 loopback', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0x7f000000, max: 0x7fffffff }), fc.nat(3), async (number, form) => {
        const spelled = [String(number), `0x${number.toString(16)}`, `0${number.toString(8)}`, `${number}.`]
        await refused(`http://${spelled[form]}:${trapPort}/`)
      }),
      { numRuns: 300 },
    )
    expect(caught).toBe(0)
  })

  it('while its URL is kept out of the message', async () => {
    const url = new URL(`http://127.0.0.1:${trapPort}/canary?token=canary`)
    await expect(fetch(url, request())).rejects.toMatchObject({
      message: expect.not.stringContaining('canary'),
      fix: expect.stringContaining('allowPrivate'),
    })
  })
})

it.each([
  ...['1.1.1.1', '8.8.8.8', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '126.255.255.255'],
  ...[
    '128.0.0.1',
    '169.253.255.255',
    '169.255.0.0',
    '172.15.255.255',
    '172.32.0.0',
    '192.0.1.1',
    '192.0.3.0',
  ],
  ...['192.167.255.255', '192.169.0.0', '198.17.255.255', '198.20.0.0', '203.0.112.255', '223.255.255.255'],
  ...['2606:4700:4700::1111', '2001:4860:4860::8888', '2a00:1450:4001:81b::200e', '2003::1', '2001:200::1'],
])('%s is public', (address) => {
  expect(isPublicAddress(address)).toBe(true)
})

describe('names', () => {
  it('that rebind after the check gain nothing: the checked address is the connected one', async () => {
    // The first question is never answered, so that the test sends nothing to a public address: what counts is that
    // a connection asks exactly once, with the very lookup whose answer it checks, and that the next one checks again.
    const { lookup, asked } = resolver({ 'rebind.example': [['127.0.0.1']] })
    const gaveUp = new AbortController()
    let questions = 0
    const fetch = createHttpFetch({
      lookup: (name, options, callback) => {
        questions += 1
        if (questions === 1) gaveUp.abort()
        else lookup(name, options, callback)
      },
    })
    const url = new URL(`http://rebind.example:${trapPort}/`)
    await expect(fetch(url, request({ signal: gaveUp.signal }))).rejects.toMatchObject({ code: 'timeout' })
    expect(questions, 'one question per connection').toBe(1)
    await expect(fetch(url, request())).rejects.toMatchObject({ code: 'blocked_address' })
    expect([questions, asked]).toEqual([2, ['rebind.example']])
    expect(caught).toBe(0)
  })

  it.each([
    [['8.8.8.8', '127.0.0.1']],
    [['127.0.0.1', '8.8.8.8']],
    [['2606:4700::1', '::1']],
    [['8.8.8.8', '::ffff:127.0.0.1']],
    [['8.8.8.8', 'fe80::1%eth0']],
    [['8.8.8.8', 'no address']],
    [[]],
  ])('that resolve to %j are refused whole', async (addresses) => {
    const fetch = createHttpFetch({ lookup: resolver({ 'mixed.example': [addresses] }).lookup })
    const url = new URL(`http://mixed.example:${trapPort}/`)
    await expect(fetch(url, request())).rejects.toMatchObject({ code: 'blocked_address' })
    expect(caught).toBe(0)
  })
})

describe('redirects', () => {
  const fetch = createHttpFetch({ lookup: resolver({ 'friend.local': [['127.0.0.1']] }).lookup })
  const allowed = () => request({ allowPrivate: [`127.0.0.1:${friendPort}`, `friend.local:${friendPort}`] })
  const go = (path: string) => fetch(new URL(`http://127.0.0.1:${friendPort}${path}`), allowed())

  it('are followed among listed hosts', async () => {
    redirects.set('/a', '/b')
    redirects.set('/b', `http://friend.local:${friendPort}/end`)
    expect(await (await go('/a')).text()).toBe('friend')
  })

  it('lead nowhere else, at no hop', async () => {
    const targets = [
      ...HOSTS.slice(0, 60).map((host) => `http://${host}:${trapPort}/`),
      ...HOSTS.slice(0, 60).map((host) => `https://${host}:${trapPort}/`),
      ...TRICKS.map((trick) => trick.replaceAll('PORT', String(trapPort)).replaceAll(/[\n\t]/g, '')),
      ...ODD,
      `//127.0.0.1:${trapPort}/`,
      `\\\\127.0.0.1:${trapPort}/`,
      'http://[',
    ]
    redirects.set('/1', '/2')
    redirects.set('/2', '/3')
    for (const target of targets) {
      redirects.set('/3', target)
      const end = go('/1').then((response) => response.text())
      // Some of the tricks are relative paths to the standard: those stay with the friend.
      await expect(
        end.catch((error: { code: string }) => error.code),
        target,
      ).resolves.toMatch(/^(blocked_address|friend)$/)
    }
    expect(caught).toBe(0)
  })
})

describe('the allowance', () => {
  const table = { 'pbx.local': [['127.0.0.1']], 'other.local': [['127.0.0.1']] }
  const fetch = createHttpFetch({ lookup: resolver(table).lookup })

  it('works for the listed host and port and nothing else', async () => {
    const allowPrivate = [`127.0.0.1:${friendPort}`, `pbx.local:${friendPort}`]
    const open = async (url: string) =>
      fetch(new URL(url), request({ allowPrivate })).then(
        (response) => response.status,
        (error: { code: string }) => error.code,
      )
    expect(await open(`http://127.0.0.1:${friendPort}/`)).toBe(200)
    expect(await open(`http://2130706433:${friendPort}/`)).toBe(200)
    expect(await open(`http://pbx.local:${friendPort}/`)).toBe(200)
    for (const url of [
      `http://127.0.0.1:${trapPort}/`,
      `http://pbx.local:${trapPort}/`,
      `http://pbx.local.:${friendPort}/`,
      `http://other.local:${friendPort}/`,
      `http://localhost:${friendPort}/`,
      `http://127.0.0.2:${friendPort}/`,
      `http://[::ffff:127.0.0.1]:${friendPort}/`,
      `https://127.0.0.1/`,
    ]) {
      expect(await open(url), url).toBe('blocked_address')
    }
    expect(caught).toBe(0)
  })

  it('of one connection opens nothing for another, not even over a kept socket', async () => {
    const url = new URL(`http://127.0.0.1:${friendPort}/`)
    const allowPrivate = [`127.0.0.1:${friendPort}`]
    for (let i = 0; i < 5; i += 1) {
      await (await fetch(url, request({ allowPrivate }))).text()
      await expect(fetch(url, request())).rejects.toMatchObject({ code: 'blocked_address' })
    }
  })
})
