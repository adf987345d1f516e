import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { authorization, md5 } from '../../connectors/zadarma/client.ts'
import { connector } from '../../connectors/zadarma/connector.ts'
import { resultOf, toListedEvents } from '../../connectors/zadarma/map.ts'
import { createSandbox } from '../../connectors/zadarma/sandbox.ts'
import { config, statistics } from '../../connectors/zadarma/schema.ts'
import { call as callSchema, type Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { foldEvents, progressOf } from '../../src/call/merge.ts'
import { toInstant, toWallClock } from '../../src/call/zone.ts'
import { createContext } from '../../src/connector/context.ts'
import type { HttpFetch } from '../../src/connector/platform.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { asCordboardError } from '../../src/errors.ts'
import { fetchFrom } from '../kit/in-process.ts'
import { testSigner } from '../kit/signer.ts'

const NOW = Date.parse('2026-03-04T11:30:00.000Z')
const SETTINGS = { key: 'a1b2c3d4e5f6a7b8c9d0', secret: '0f1e2d3c4b5a69788796', timeZone: 'Europe/Paris' }
const { webhook, recording: fetchRecording, recordingUrl, calls: listCalls } = connector.telephony ?? {}
const silent = () => undefined

function account(keys: Record<string, unknown> = {}, http?: HttpFetch) {
  const settings = { ...SETTINGS, ...keys }
  const clock = { now: NOW }
  let seed = 7
  const random = () => {
    seed = (seed * 16807) % 2147483647
    return seed / 2147483647
  }
  const vendor = createSandbox({
    now: () => clock.now,
    random,
    later: silent,
    baseUrl: 'https://api.zadarma.com',
    signer: testSigner,
    account: { ...SETTINGS, timeZone: 'Europe/Paris' },
    deliver: async () => ({ status: 200 }),
    transcriptOf: () => null,
  })
  const sent: { url: string; authorization: string | undefined }[] = []
  const direct = http ?? fetchFrom(vendor.app)
  const parsed = config.parse(settings)
  const ctx = createContext({
    connection: {
      id: 'pbx',
      connector,
      settings: parsed,
      region: 'FR',
      allowPrivate: [],
      concurrency: 1,
      recordingWaitMs: undefined,
      secrets: [],
    },
    publicUrl: undefined,
    http: (url, request) => {
      sent.push({ url: url.href, authorization: request.headers.authorization })
      return direct(url, request)
    },
    budgets: { take: () => 0 },
    tokens: createMemoryTokens({ now: () => NOW }),
    now: () => clock.now,
    random,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    signal: new AbortController().signal,
  })
  return { vendor, sent, clock, ctx: { ...ctx, config: parsed } }
}

const sample = (changes: Partial<SampleCall> = {}): SampleCall => ({
  id: 'one',
  direction: 'inbound',
  customerPhone: '+33639980142',
  ownPhone: '+33199001234',
  agent: { extension: '101', name: 'Alice' },
  result: 'answered',
  startedAt: NOW - 600_000,
  ringMs: 8000,
  talkMs: 60_000,
  audio: { bytes: new Uint8Array([1, 2, 3]), format: 'mp3', durationMs: 60_000 },
  ...changes,
})

function read(body: string): CallEvent[] {
  const request = inboundRequest({
    method: 'POST',
    url: 'https://hooks.example.com/hooks/pbx',
    path: '',
    headers: [['content-type', 'application/x-www-form-urlencoded']],
    body: new TextEncoder().encode(body),
    receivedAt: new Date(NOW - 592_000).toISOString(),
  })
  const received = webhook?.receive(request, {
    connection: 'pbx',
    config: config.parse(SETTINGS),
    region: 'FR',
  })
  return received && 'events' in received ? received.events : []
}

const played = (vendor: ReturnType<typeof account>['vendor'], call: SampleCall) =>
  (vendor.place?.(call) ?? []).flatMap(({ body }) => read(body))
const fold = (events: CallEvent[]) => foldEvents(events, { id: 'call_1', connection: 'pbx' })

const aCall = callSchema.parse({
  id: 'call_1',
  source: { connection: 'pbx', callId: 'in_1' },
  startedAt: new Date(NOW - 600_000).toISOString(),
  totalMs: 60_000,
})
const kept = (key: string): Recording => ({ key, format: 'mp3', state: 'ready' })

describe('the account’s clock', () => {
  it.each([
    ['2026-07-01 12:00:00', 'Europe/Paris', '2026-07-01T10:00:00.000Z', 'summer'],
    ['2026-03-29 01:59:59', 'Europe/Paris', '2026-03-29T00:59:59.000Z', 'the last second of winter'],
    ['2026-03-29 02:30:00', 'Europe/Paris', '2026-03-29T01:30:00.000Z', 'an hour that was skipped'],
    ['2026-03-29 03:00:00', 'Europe/Paris', '2026-03-29T01:00:00.000Z', 'the first second of summer'],
    ['2026-10-25 02:30:00', 'Europe/Paris', '2026-10-25T00:30:00.000Z', 'an hour that comes twice'],
    ['2026-10-25 03:00:00', 'Europe/Paris', '2026-10-25T02:00:00.000Z', 'the first second of winter'],
    ['2026-03-08 02:15:00', 'America/New_York', '2026-03-08T07:15:00.000Z', 'west of Greenwich, skipped'],
    ['2025-11-02 01:30:00', 'America/New_York', '2025-11-02T05:30:00.000Z', 'west of Greenwich, twice'],
    ['2026-04-05 01:45:00', 'Australia/Lord_Howe', '2026-04-04T14:45:00.000Z', 'a change of half an hour'],
    ['2026-01-01 00:00:00', 'Asia/Kolkata', '2025-12-31T18:30:00.000Z', 'half hours'],
    ['2026-01-01 00:00:00', 'UTC', '2026-01-01T00:00:00.000Z', 'midnight is 00, not 24'],
  ])('%s in %s is %s: %s', (wall, zone, instant) => {
    expect(toInstant(wall, zone)).toBe(instant)
  })
  it('is read back as it was written, all through a year', () => {
    const from = Date.parse('2026-01-01T00:00:00.000Z')
    for (let ms = from; ms < from + 365 * 86_400_000; ms += 5 * 900_000) {
      const wall = toWallClock(ms, 'Europe/Paris')
      expect(toWallClock(Date.parse(toInstant(wall, 'Europe/Paris')), 'Europe/Paris')).toBe(wall)
    }
  })
})

describe('the API’s signature', () => {
  it('has the MD5 of RFC 1321', () => {
    for (let length = 0; length < 200; length++) {
      const bytes = new Uint8Array(length).map((_, i) => (i * 37) & 255)
      expect(Buffer.from(md5(bytes)).toString('hex')).toBe(createHash('md5').update(bytes).digest('hex'))
    }
  })
  it.each([
    [
      'd78f2a12cc1fc5effe71',
      '/v1/info/balance/',
      '',
      'YWUxNGEzODcyZjNiM2YyMDkyZjA3NmE2M2VmZTliZDZkZDdkZjQ0MA==',
    ],
    [
      '0f1e2d3c4b5a69788796',
      '/v1/pbx/record/request/',
      'call_id=1772623353.75283&lifetime=1800',
      'ODIwYjdiOTZlZjgwMDk4Y2M4MjU4YTM0NjA2NDM4MTVkYWU1ODE3Mg==',
    ],
  ])('fits the vector of %s', async (secret, path, query, expected) => {
    const signed = await authorization(path, query, { config: config.parse({ ...SETTINGS, secret }) })
    expect(signed).toBe(`${SETTINGS.key}:${expected}`)
  })
  it('is asked of whoever calls, and a wrong one is refused', async () => {
    const { vendor } = account()
    expect((await vendor.app.request('/v1/info/timezone/')).status).toBe(401)
    const wrong = account({ secret: 'another' })
    const failure = await Promise.resolve(connector.check(wrong.ctx)).catch(asCordboardError)
    expect(failure).toMatchObject({ code: 'auth' })
  })
})

describe('a call', () => {
  it('inbound has its recording announced, then ready', () => {
    const { vendor } = account()
    const events = played(vendor, sample())
    expect(events.map((event) => event.phase)).toEqual([
      'ringing',
      'ringing',
      'answered',
      'ended',
      'recorded',
    ])
    expect(progressOf(events.slice(0, 4))).toEqual({ ended: true, recording: 'pending' })
    expect(progressOf(events)).toEqual({ ended: true, recording: 'ready' })
    expect(fold(events)).toMatchObject({
      direction: 'inbound',
      result: 'answered',
      startedAt: new Date(NOW - 600_000).toISOString(),
      answeredAt: new Date(NOW - 592_000).toISOString(),
      talkMs: 60_000,
      customer: { phone: '+33639980142', phoneRaw: '33639980142' },
      dialed: { phone: '+33199001234' },
      agent: { extension: '101' },
    })
    expect(fold(events).endedAt).toBeUndefined()
  })
  it('whose recording is announced before its end is the same call', () => {
    const { vendor } = account()
    const events = played(vendor, sample())
    const [record] = events.slice(-1)
    expect(progressOf(record ? [record] : []).ended).toBe(false)
    expect(fold(events.toReversed())).toEqual(fold(events))
  })
  it('outbound that nobody answered waits for no recording', () => {
    const { vendor } = account()
    const { audio: _, ...missed } = sample({ direction: 'outbound', result: 'no_answer' })
    const events = played(vendor, missed)
    expect(progressOf(events)).toEqual({ ended: true, recording: 'none' })
    expect(fold(events)).toMatchObject({
      direction: 'outbound',
      result: 'no_answer',
      customer: { phone: '+33639980142' },
      agent: { extension: '101' },
    })
  })
  it('takes the first of two equal fields, as the signature does', () => {
    const form = 'event=NOTIFY_START&pbx_call_id=in_1&call_start=2026-03-04+11:22:33&called_did=33199001234'
    const [event] = read(`${form}&caller_id=33639980142&caller_id=33639980199`)
    expect(event?.facts.from?.phone).toBe('+33639980142')
    expect(read(`${form}&caller_id=&caller_id=33639980199`)[0]?.facts.from?.phone).toBeNull()
  })
  it.each([
    ['NOTIFY_OUT_END', 'caller_id=101&destination=102&internal=101'],
    ['NOTIFY_END', 'caller_id=102&called_did=101&internal=101'],
  ])('between extensions (%s) is internal, and has no customer', (event, parties) => {
    const form = `event=${event}&pbx_call_id=out_9&call_start=2026-03-04+11:22:33&${parties}`
    const call = fold(read(`${form}&duration=20&disposition=answered&is_recorded=0`))
    expect(call).toMatchObject({ direction: 'internal', result: 'answered', agent: { extension: '101' } })
    expect(call.customer).toBeUndefined()
  })
  it('to an emergency number, or from nobody who is named, is no internal one', () => {
    const form = 'pbx_call_id=out_9&call_start=2026-03-04+11:22:33'
    expect(read(`event=NOTIFY_OUT_START&${form}&destination=112&internal=101`)[0]?.facts.direction).toBe(
      'outbound',
    )
    expect(read(`event=NOTIFY_START&${form}&called_did=33199001234`)[0]?.facts.direction).toBe('inbound')
  })
  it.each([
    ['answered', 'inbound', 'answered'],
    ['Busy', 'inbound', 'busy'],
    ['cancel', 'inbound', 'abandoned'],
    ['cancel', 'outbound', 'no_answer'],
    ['no answer', 'inbound', 'no_answer'],
    ['failed', 'outbound', 'failed'],
    ['call failed', 'outbound', 'failed'],
    ['unallocated number', 'outbound', 'failed'],
    ['no money', 'outbound', 'failed'],
    ['no limit', 'outbound', 'failed'],
    ['no day limit', 'outbound', 'failed'],
    ['line limit', 'outbound', 'failed'],
    ['no money, no limit', 'outbound', 'failed'],
    ['constructor', 'outbound', undefined],
  ] as const)('that ended as “%s” (%s) is %s', (said, direction, result) => {
    expect(resultOf(said, direction)).toBe(result)
  })
})

describe('a recording', () => {
  it('is fetched by a link, without our key', async () => {
    const { vendor, ctx, sent } = account()
    const recording = fold(played(vendor, sample())).recordings[0] ?? kept('none')
    const response = await fetchRecording?.(recording, aCall, ctx)
    expect(new Uint8Array((await response?.arrayBuffer()) ?? new ArrayBuffer(0))).toEqual(
      new Uint8Array([1, 2, 3]),
    )
    expect(sent.map((request) => request.authorization?.slice(0, 21))).toEqual([
      `${SETTINGS.key}:`,
      undefined,
    ])
    expect(sent[0]?.url).toContain('lifetime=1800')
  })
  it('has a link that ends with its life', async () => {
    const { vendor, ctx, clock } = account({ linkLifetimeMs: 180_000 })
    const recording = fold(played(vendor, sample())).recordings[0] ?? kept('none')
    const link = (await recordingUrl?.(recording, aCall, ctx)) ?? ''
    expect((await vendor.app.request(link)).status).toBe(200)
    clock.now += 181_000
    expect((await vendor.app.request(link)).status).toBe(404)
  })
  it.each([
    [540_000, 'later'],
    [3_600_000, 'never'],
  ])('that is not there %i ms later is tried %s', async (age, retry) => {
    const { ctx, clock } = account()
    clock.now = NOW - 540_000 + age
    const failure = await fetchRecording?.(kept('1.2'), aCall, ctx).catch(asCordboardError)
    expect(failure).toMatchObject({
      code: 'not_found',
      retry,
      vendorSaid: expect.stringContaining('Record not found'),
    })
  })
  it('that the vendor refuses with HTTP 200 is not there either', async () => {
    const refuse: HttpFetch = async () => Response.json({ status: 'error', message: 'No record' })
    const failure = await fetchRecording?.(kept('1.2'), aCall, account({}, refuse).ctx).catch(
      asCordboardError,
    )
    expect(failure).toMatchObject({ code: 'not_found', vendorSaid: 'No record' })
  })
  it.each([
    ['https://evil.example/a.mp3', 'blocked_address'],
    ['http://files.zadarma.com/a.mp3', 'blocked_address'],
    ['https://zadarma.com.evil.example/a.mp3', 'blocked_address'],
    ['https://evilzadarma.com/a.mp3', 'blocked_address'],
    ['https://files.zadarma.com/a.mp3', undefined],
    ['https://api.novofon.example/a.mp3', undefined],
  ])('whose link is %s gives %s', async (link, code) => {
    const answer: HttpFetch = async () => Response.json({ status: 'success', link })
    const baseUrl = link.includes('novofon') ? 'https://api.novofon.example' : 'https://api.zadarma.com'
    const given = await recordingUrl?.(kept('1.2'), aCall, account({ baseUrl }, answer).ctx).catch(
      asCordboardError,
    )
    expect(typeof given === 'string' ? undefined : given?.code).toBe(code)
  })
})

describe('the statistics', () => {
  async function listed(ctx: ReturnType<typeof account>['ctx'], since = NOW - 86_400_000 * 2) {
    const events: CallEvent[] = []
    for await (const page of listCalls?.(new Date(since).toISOString(), ctx) ?? []) events.push(...page)
    return events
  }
  it('tell the same with the same keys as the webhooks', async () => {
    const { vendor, ctx, sent } = account()
    const told = [
      ...played(vendor, sample()),
      ...played(vendor, sample({ id: 'two', direction: 'outbound' })),
    ]
    const events = await listed(ctx)
    const keys = new Set(told.map((event) => event.key))
    expect(events).toHaveLength(4)
    expect(events.map((event) => event.key).filter((key) => !keys.has(key))).toEqual([])
    expect(sent).toHaveLength(2)
    const inbound = events.filter((event) => event.callId.startsWith('in_'))
    expect(progressOf(inbound)).toEqual({ ended: true, recording: 'ready' })
    expect(fold(inbound)).toMatchObject({
      direction: 'inbound',
      customer: { phone: '+33639980142' },
      agent: { extension: '101' },
    })
  })
  it('are read to the end, and leave what ended just now alone', async () => {
    const { vendor, ctx, sent } = account()
    for (let i = 0; i < 1001; i++) vendor.place?.(sample({ id: `call-${i}` }))
    vendor.place?.(sample({ id: 'fresh', startedAt: NOW - 70_000 }))
    const events = await listed(ctx, NOW - 3_600_000)
    expect(events).toHaveLength(2002)
    expect(sent).toHaveLength(2)
  })
  it('keep the last digit of an id that is a JSON number', async () => {
    const body =
      '{"status":"success","stats":[{"call_id":1772619753.75280,"sip":101,"callstart":"2026-03-04 11:22:33",' +
      '"clid":33639980142,"destination":101,"disposition":"answered","seconds":30,"is_recorded":true,' +
      '"pbx_call_id":"in_1"}]}'
    const { ctx } = account({}, async () => new Response(body))
    const events = await listed(ctx, NOW - 3_600_000)
    expect(events.map((event) => event.key)).toEqual([
      'in_1:NOTIFY_END',
      'in_1:NOTIFY_RECORD:1772619753.75280',
    ])
  })
  it('name who talked last, in whatever order they come', () => {
    const row = {
      pbx_call_id: 'in_1',
      clid: '33639980142',
      seconds: 20,
      disposition: 'answered',
      is_recorded: true,
    }
    const first = { ...row, call_id: '1.1', callstart: '2026-03-04 11:22:33', destination: '101' }
    const second = { ...row, call_id: '1.2', callstart: '2026-03-04 11:23:00', destination: '102' }
    for (const stats of [
      [first, second],
      [second, first],
    ]) {
      const events = toListedEvents(statistics.parse({ stats }).stats, {
        config: config.parse(SETTINGS),
        region: 'FR',
      })
      expect(fold(events).agent).toEqual({ extension: '102' })
    }
  })
  it('of a call between extensions have no customer', () => {
    const row = { pbx_call_id: 'out_1', call_id: '1.1', sip: '101', clid: '101', destination: '102' }
    const rest = {
      callstart: '2026-03-04 11:22:33',
      disposition: 'answered',
      seconds: 20,
      is_recorded: false,
    }
    const { stats } = statistics.parse({ stats: [{ ...row, ...rest }] })
    const call = fold(toListedEvents(stats, { config: config.parse(SETTINGS), region: 'FR' }))
    expect(call).toMatchObject({ direction: 'internal', agent: { extension: '101' } })
    expect(call.customer).toBeUndefined()
  })
  it('lose no call in the hour that comes twice', async () => {
    const { vendor, ctx, clock } = account()
    // 02:55 for the first time until 02:10 for the second.
    const [since, until] = ['2026-10-25T00:55:00.000Z', '2026-10-25T01:10:00.000Z']
    clock.now = Date.parse(until) + 3_600_000
    for (const at of ['2026-10-25T00:58:00.000Z', '2026-10-25T01:05:00.000Z'])
      vendor.place?.(sample({ id: at, startedAt: Date.parse(at) }))
    const events: CallEvent[] = []
    for await (const page of listCalls?.(since, ctx, until) ?? []) events.push(...page)
    expect(new Set(events.map((event) => event.callId)).size).toBe(2)
  })
  it('of a transferred call are one call', () => {
    const row = { pbx_call_id: 'in_1', callstart: '2026-03-04 11:22:33', clid: '33639980142', seconds: '20' }
    const { stats } = statistics.parse({
      stats: [
        {
          ...row,
          call_id: '1.2',
          callstart: '2026-03-04 11:23:00',
          destination: '102',
          disposition: 'answered',
          is_recorded: 'true',
        },
        { ...row, call_id: '1.1', destination: '101', disposition: 'no answer', is_recorded: false },
      ],
    })
    const events = toListedEvents(stats, { config: config.parse(SETTINGS), region: 'FR' })
    expect(events).toHaveLength(2)
    expect(fold(events)).toMatchObject({
      result: 'answered',
      startedAt: '2026-03-04T10:22:33.000Z',
      agent: { extension: '102' },
      recordings: [{ key: '1.2' }],
    })
    expect(fold(events).totalMs).toBeUndefined()
  })
})

describe('the check', () => {
  it('warns when the zone is not the account’s', async () => {
    const right = await connector.check(account().ctx)
    expect(right).toEqual({ says: 'key accepted, account on UTC+1' })
    const wrong = await connector.check(account({ timeZone: 'Europe/Kyiv' }).ctx)
    expect(wrong.warnings?.[0]?.what).toContain('Europe/Kyiv')
  })
  it('budgets stay within the documented hundred a minute', () => {
    const budgets = connector.budgets?.(config.parse(SETTINGS)) ?? {}
    const limits = Object.values(budgets).map((budget) => [budget.limit, budget.windowMs, budget.window])
    expect(limits).toEqual([
      [97, 60_000, 'rolling'],
      [3, 60_000, 'rolling'],
    ])
  })
})

describe('the configuration', () => {
  it.each([
    ['timeZone', 'Mars/Phobos'],
    ['timeZone', ''],
    ['secret', ''],
    ['linkLifetimeMs', 1000],
  ])('refuses %s %j', (key, value) => {
    expect(config.safeParse({ ...SETTINGS, [key]: value }).success).toBe(false)
  })
})

describe('the handshake', () => {
  const shake = async (method: string, query: string, body = '') =>
    webhook?.handshake?.(
      inboundRequest({
        method,
        url: `https://hooks.example.com/hooks/pbx${query}`,
        path: '',
        headers: [['content-type', 'application/x-www-form-urlencoded']],
        body: new TextEncoder().encode(body),
        receivedAt: '',
      }),
      { connection: 'pbx', config: config.parse(SETTINGS), region: 'FR' },
      testSigner,
    )
  it('echoes a plain token and nothing else', async () => {
    expect((await shake('GET', '?zd_echo=abc_-1'))?.body).toBe('abc_-1')
    expect((await shake('POST', '', 'zd_echo=abc'))?.body).toBe('abc')
    expect(await shake('GET', `?zd_echo=${'a'.repeat(129)}`)).toBeNull()
    expect(await shake('GET', '?zd_echo=a%0Db')).toBeNull()
    expect(await shake('GET', '?zd_echo=')).toBeNull()
    expect(await shake('POST', '', 'event=NOTIFY_START&zd_echo=abc')).toBeNull()
    expect(await shake('POST', '', `zd_echo=abc&pad=${'x'.repeat(2000)}`)).toBeNull()
  })
})
