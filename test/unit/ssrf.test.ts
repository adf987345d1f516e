import http from 'node:http'
import type { AddressInfo, LookupFunction } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { HttpRequest } from '../../src/connector/platform.ts'
import { isPublicAddress } from '../../src/node/address-guard.ts'
import { createHttpFetch } from '../../src/node/http-fetch.ts'

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

// ── The vectors ─────────────────────────────────────────────────────────────────────────────────────────────────────

const V4 = [
  '127.0.0.1',
  '10.1.2.3',
  '172.16.254.1',
  '192.168.0.10',
  '169.254.169.254',
  '100.64.0.1',
  '0.0.0.0',
]

/** Every spelling of an IPv4 address that a URL parser, a resolver or a kernel may understand. */
function spellings(address: string): string[] {
  const bytes = address.split('.').map(Number)
  const [a = 0, b = 0, c = 0, d = 0] = bytes
  const number = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0
  const hex = number.toString(16).padStart(8, '0')
  const groups = `${hex.slice(0, 4)}:${hex.slice(4)}`
  return [
    address,
    `${address}.`,
    `${number}`,
    `0x${hex}`,
    `0X${hex.toUpperCase()}`,
    `0${number.toString(8)}`,
    bytes.map((byte) => `0${byte.toString(8)}`).join('.'),
    bytes.map((byte) => `0x${byte.toString(16)}`).join('.'),
    bytes.map((byte) => byte.toString().padStart(4, '0')).every((byte) => Number.parseInt(byte, 8) >= 0)
      ? `0x${a.toString(16)}.0${b.toString(8)}.${c}.${d}`
      : address,
    `${a}.${((b << 16) | (c << 8) | d) >>> 0}`,
    `${a}.${b}.${(c << 8) | d}`,
    address.replaceAll('.', '%2e'),
    address.replaceAll(/\d/g, (digit) => String.fromCharCode(0xff10 + Number(digit))),
    address.replaceAll('.', '。'),
    `[::ffff:${address}]`,
    `[::ffff:${groups}]`,
    `[0:0:0:0:0:FFFF:${groups}]`,
    `[::${address}]`,
    `[::ffff:0:${address}]`,
    `[64:ff9b::${address}]`,
    `[64:ff9b:1::${address}]`,
    `[2002:${groups}::1]`,
    `[2001:0:${groups}::1]`,
  ]
}

const EDGES = [
  ...['0.0.0.1', '0.255.255.255', '10.0.0.0', '10.255.255.255', '100.64.0.0', '100.127.255.255'],
  ...[
    '100.100.100.200',
    '127.255.255.255',
    '127.1',
    '127.0.1',
    '169.254.0.0',
    '169.254.255.255',
    '172.16.0.0',
  ],
  ...['172.31.255.255', '192.0.0.1', '192.0.0.170', '192.0.2.0', '192.0.2.255', '192.88.99.1', '192.168.0.0'],
  ...['192.168.255.255', '198.18.0.0', '198.19.255.255', '198.51.100.7', '203.0.113.255', '224.0.0.1'],
  ...[
    '239.255.255.255',
    '240.0.0.1',
    '255.255.255.254',
    '255.255.255.255',
    '168.63.129.16',
    '0',
    '0x0',
    '00',
  ],
]

const V6 = [
  ...['::', '::1', '0:0:0:0:0:0:0:1', '0000::0001', '::ffff:0:0', 'fc00::', 'fdff:ffff::1', 'fd00:ec2::254'],
  ...[
    'fd20:ce::254',
    'fe80::1',
    'febf::1',
    'fec0::1',
    'ff01::1',
    'ff02::1',
    'ff0e::1',
    '100::1',
    '100:0:0:1::1',
  ],
  ...[
    '2001::1',
    '2001:2::1',
    '2001:10::1',
    '2001:20::1',
    '2001:1ff::1',
    '2001:db8::1',
    '2001:0DB8::1',
    '2002::1',
  ],
  ...['2002:c0a8:1::1', '3fff::1', '3fff:fff::1', '4000::1', '5f00::1', '8000::1', '64:ff9b::8.8.8.8'],
]

const NAMES = [
  ...['localhost', 'LOCALHOST', 'LocalHost.', 'localhost.', 'a.localhost', 'localhost.localdomain'],
  ...[
    'ip6-localhost',
    'loc%61lhost',
    'ｌocalhost',
    'metadata.google.internal',
    'instance-data',
    'rebind.example',
  ],
  ...['127.0.0.1.nip.example', 'kubernetes.default.svc', 'pbx.local', 'xn--bcher-kva.example', 'a_b.example'],
]

const HOSTS = [...V4.flatMap(spellings), ...EDGES, ...V6.map((address) => `[${address}]`), ...NAMES]

const ODD = [
  ...['file:///etc/passwd', 'ftp://127.0.0.1/', 'gopher://127.0.0.1:6379/_FLUSHALL', 'data:text/plain,x'],
  ...['dict://127.0.0.1/', 'ldap://127.0.0.1/', 'jar:http://127.0.0.1!/', 'javascript:1', 'ws://127.0.0.1/'],
  ...[
    'unix:/var/run/docker.sock:/info',
    'http+unix://%2fvar%2frun%2fdocker.sock/',
    'blob:http://127.0.0.1/x',
  ],
  ...['about:blank', 'tftp://127.0.0.1/', 'mailto:a@b', 'http2://127.0.0.1/'],
]

const TRICKS = [
  'http://public.example@127.0.0.1:PORT/',
  'http://public.example:80@127.0.0.1:PORT/',
  'http://user:pass@localhost:PORT/',
  'http://127.0.0.1:PORT#@public.example/',
  'http://127.0.0.1:PORT?@public.example/',
  'http://127.0.0.1:PORT\\@public.example/',
  'http:\\\\127.0.0.1:PORT\\',
  'http:/127.0.0.1:PORT/',
  'http:127.0.0.1:PORT',
  'HTTP://127.0.0.1:PORT/',
  ' http://127.0.0.1:PORT/ ',
  'ht\ntp://127.0.\t0.1:PORT/',
  'http://127.0.0.1:00PORT/',
  'http://[::1]:PORT/',
  'http://unix:/var/run/docker.sock:/info',
  'http://%31%32%37.0.0.1:PORT/',
  'http://127.0.0.1\u200b:PORT/',
  'http://①②⑦.0.0.1:PORT/',
]

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
