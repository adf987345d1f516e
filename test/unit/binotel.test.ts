import { describe, expect, it } from 'vitest'
import { connector } from '../../connectors/binotel/connector.ts'
import { resultOf } from '../../connectors/binotel/map.ts'
import { createSandbox } from '../../connectors/binotel/sandbox.ts'
import { config } from '../../connectors/binotel/schema.ts'
import { call as callSchema, type Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { foldEvents, progressOf } from '../../src/call/merge.ts'
import { createMemoryBudgets } from '../../src/connector/budgets.ts'
import { createContext } from '../../src/connector/context.ts'
import type { HttpFetch } from '../../src/connector/platform.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { asCordboardError } from '../../src/errors.ts'
import { fetchFrom } from '../kit/in-process.ts'
import { testSigner } from '../kit/signer.ts'
import { sample as sampleCall } from './stand-in.ts'

const NOW = Date.parse('2026-03-04T12:00:00.000Z')
const TOKEN = 'X8lYOxgk2lKMWvymSRP5BU_eP1UrP6s46JUrLtFweqg'
const SETTINGS = { hookToken: TOKEN, key: 'a1b2c3-d4e5f60', secret: 'f0e1d2-c3b4a59-687960' }
const { webhook, recording: fetchRecording, recordingUrl, calls: listCalls } = connector.telephony ?? {}
const silent = () => undefined

function account(keys: Record<string, unknown> = {}, http?: HttpFetch) {
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
    baseUrl: 'https://api.binotel.com',
    signer: testSigner,
    account: SETTINGS,
    deliver: async () => ({ status: 200 }),
    transcriptOf: () => null,
  })
  const sent: { url: string; body: string; headers: Record<string, string> }[] = []
  const direct = http ?? fetchFrom(vendor.app)
  const parsed = config.parse({ ...SETTINGS, ...keys })
  const ctx = createContext({
    connection: {
      id: 'pbx',
      connector,
      settings: parsed,
      region: 'UA',
      allowPrivate: [],
      concurrency: 1,
      recordingWaitMs: undefined,
      secrets: [],
    },
    publicUrl: undefined,
    http: (url, request) => {
      sent.push({ url: url.href, body: String(request.body ?? ''), headers: request.headers })
      return direct(url, request)
    },
    budgets: createMemoryBudgets({ now: () => clock.now }),
    tokens: createMemoryTokens({ now: () => clock.now }),
    now: () => clock.now,
    random,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    signal: new AbortController().signal,
  })
  return { vendor, sent, clock, ctx: { ...ctx, config: parsed } }
}

const sample = (changes: Partial<SampleCall> = {}): SampleCall =>
  sampleCall({
    customerPhone: '+380600000000',
    ownPhone: '+380400000000',
    agent: { extension: '904', name: 'Олена' },
    startedAt: NOW - 600_000,
    ...changes,
  })

const mapContext = { connection: 'pbx', config: config.parse(SETTINGS), region: 'UA' }
const requestOf = (body: string, method = 'POST', type = 'application/x-www-form-urlencoded') =>
  inboundRequest({
    method,
    url: `https://hooks.example.com/hooks/pbx/${TOKEN}`,
    path: `/${TOKEN}`,
    headers: [['content-type', type]],
    body: new TextEncoder().encode(body),
    receivedAt: new Date(NOW).toISOString(),
  })

function read(body: string): CallEvent[] {
  const received = webhook?.receive(requestOf(body), mapContext)
  return received && 'events' in received ? received.events : []
}
const played = (vendor: ReturnType<typeof account>['vendor'], call: SampleCall) =>
  (vendor.place?.(call) ?? []).flatMap(({ body }) => read(body))
const fold = (events: CallEvent[]) => foldEvents(events, { id: 'call_1', connection: 'pbx' })

const endedAgo = (ms: number) =>
  callSchema.parse({
    id: 'call_1',
    source: { connection: 'pbx', callId: '1' },
    endedAt: new Date(NOW - ms).toISOString(),
  })
const kept = (key: string): Recording => ({ key, format: 'mp3', state: 'ready' })

describe('a call', () => {
  it('inbound is told whole, whatever comes first', () => {
    const { vendor } = account()
    const events = played(vendor, sample())
    expect(events.map((event) => event.phase)).toEqual(['ringing', 'answered', 'ended'])
    expect(progressOf(events)).toEqual({ ended: true, recording: 'ready' })
    expect(fold(events)).toMatchObject({
      direction: 'inbound',
      result: 'answered',
      startedAt: new Date(NOW - 600_000).toISOString(),
      answeredAt: new Date(NOW - 592_000).toISOString(),
      endedAt: new Date(NOW - 532_000).toISOString(),
      talkMs: 60_000,
      customer: { phone: '+380600000000', phoneRaw: '0600000000' },
      dialed: { phone: '+380400000000' },
      agent: { extension: '904', name: 'Олена' },
    })
    expect(fold(events.toReversed())).toEqual(fold(events))
  })
  it.each([
    ['inbound', 'no_answer'],
    ['inbound', 'busy'],
    ['outbound', 'no_answer'],
    ['outbound', 'busy'],
  ] as const)('%s, %s waits for no recording', (direction, result) => {
    const { vendor } = account()
    const { audio: _, ...missed } = sample({ direction, result })
    const events = played(vendor, missed)
    expect(progressOf(events)).toEqual({ ended: true, recording: 'none' })
    expect(fold(events)).toMatchObject({ direction, result, customer: { phone: '+380600000000' } })
    expect(fold(events).answeredAt).toBeUndefined()
    expect(fold(events).agent?.extension).toBe(direction === 'outbound' ? '904' : undefined)
  })
  it.each([
    ['ANSWER', 'inbound', 'answered'],
    ['TRANSFER', 'inbound', 'answered'],
    ['VM-SUCCESS', 'inbound', 'voicemail'],
    ['VM', 'inbound', 'no_answer'],
    ['NOANSWER', 'outbound', 'no_answer'],
    ['CANCEL', 'inbound', 'abandoned'],
    ['CANCEL', 'outbound', 'no_answer'],
    ['BUSY', 'outbound', 'busy'],
    ['CONGESTION', 'outbound', 'failed'],
    ['CHANUNAVAIL', 'outbound', 'failed'],
    ['constructor', 'outbound', undefined],
  ] as const)('that ended as %s (%s) is %s', (said, direction, result) => {
    expect(resultOf(said, direction)).toBe(result)
  })
})

describe('a recording', () => {
  it('is fetched by a link that needs no key, and gets none', async () => {
    // The storage does not count against what the API may be asked.
    const { vendor, ctx, sent } = account({ requestsPerMinute: 1 })
    const recording = fold(played(vendor, sample())).recordings[0] ?? kept('none')
    const response = await fetchRecording?.(recording, endedAgo(532_000), ctx)
    expect([...new Uint8Array((await response?.arrayBuffer()) ?? new ArrayBuffer(0))]).toEqual([1, 2, 3])
    expect(JSON.parse(sent[0]?.body ?? '')).toEqual({
      generalCallID: recording.key,
      key: SETTINGS.key,
      secret: SETTINGS.secret,
    })
    expect(sent[1]?.url).not.toContain(SETTINGS.key)
    expect([sent[1]?.body, Object.keys(sent[1]?.headers ?? {})]).toEqual(['', ['user-agent']])
  })
  it('has a link that ends after 15 minutes', async () => {
    const { vendor, ctx, clock } = account()
    const recording = fold(played(vendor, sample())).recordings[0] ?? kept('none')
    const link = (await recordingUrl?.(recording, endedAgo(532_000), ctx)) ?? ''
    expect((await vendor.app.request(link)).status).toBe(200)
    clock.now += 900_000
    expect((await vendor.app.request(link)).status).toBe(403)
  })
  it('that is still uploaded comes later', async () => {
    const { vendor, ctx, clock } = account()
    const fresh = sample({ startedAt: NOW - 70_000 })
    const recording = fold(played(vendor, fresh)).recordings[0] ?? kept('none')
    const failure = await fetchRecording?.(recording, endedAgo(2000), ctx).catch(asCordboardError)
    expect(failure).toMatchObject({ code: 'not_found', retry: { afterMs: 118_000 } })
    clock.now += 118_000
    expect((await fetchRecording?.(recording, endedAgo(2000), ctx)) instanceof Response).toBe(true)
  })
  it.each([
    [-5000, { afterMs: 120_000 }],
    [60_000, { afterMs: 60_000 }],
    [600_000, 'later'],
    [3_600_000, 'never'],
  ])('that is not there %i ms after the end is tried %j', async (age, retry) => {
    const failure = await fetchRecording?.(kept('1'), endedAgo(age), account().ctx).catch(asCordboardError)
    expect(failure).toMatchObject({ code: 'not_found', retry, vendorSaid: 'Wrong data' })
  })
  it.each([401, 403, 404])('whose fresh link answers %i is not there', async (status) => {
    const answer: HttpFetch = async (url) =>
      url.hostname === 'api.binotel.com'
        ? Response.json({ status: 'success', url: 'https://storage.example.com/1.mp3' })
        : new Response('AccessDenied', { status })
    const failure = await fetchRecording?.(kept('1'), endedAgo(600_000), account({}, answer).ctx).catch(
      asCordboardError,
    )
    expect(failure).toMatchObject({ code: 'not_found', retry: 'later' })
  })
  it.each([
    ['http://storage.example.com/1.mp3', 'blocked_address'],
    ['file:///etc/passwd', 'blocked_address'],
    ['not a link', 'invalid_payload'],
  ])('whose link is %s gives %s', async (url, code) => {
    const answer: HttpFetch = async () => Response.json({ status: 'success', url })
    const failure = await fetchRecording?.(kept('1'), endedAgo(0), account({}, answer).ctx).catch(
      asCordboardError,
    )
    expect(failure).toMatchObject({ code })
  })
  it.each([
    [{ status: 'error', code: 102, message: 'x' }, 'rejected', 'never'],
    [{ status: 'error', code: 103 }, 'rejected', 'never'],
    [{ status: 'error', code: '106' }, 'rate_limited', { afterMs: 12_000 }],
    [{ status: 'error', code: 120 }, 'forbidden', 'never'],
    [{ status: 'error', code: 121 }, 'auth', 'never'],
    [{ status: 'error', code: 150 }, 'vendor_down', 'later'],
    [{ status: 'error', code: 151 }, 'vendor_down', 'later'],
    [{ status: 'error' }, 'rejected', 'never'],
    [[], 'rejected', 'never'],
  ])('that is answered with %j is %s, tried %j', async (body, code, retry) => {
    for (const status of [200, 400]) {
      const answer: HttpFetch = async () => Response.json(body, { status })
      const failure = await fetchRecording?.(kept('1'), endedAgo(0), account({}, answer).ctx).catch(
        asCordboardError,
      )
      expect(failure).toMatchObject({ code })
      if (status === 200) expect(failure).toMatchObject({ retry })
    }
  })
  it('that is answered with a page of HTML means an outage', async () => {
    const answer: HttpFetch = async () =>
      new Response('<html>Something went wrong (exception)</html>', {
        headers: { 'content-type': 'text/html' },
      })
    const failure = await fetchRecording?.(kept('1'), endedAgo(0), account({}, answer).ctx).catch(
      asCordboardError,
    )
    expect(failure).toMatchObject({ code: 'vendor_down', retry: 'later' })
  })
})

describe('the list of calls', () => {
  async function listed(ctx: ReturnType<typeof account>['ctx'], since = NOW - 86_400_000) {
    const events: CallEvent[] = []
    for await (const page of listCalls?.(new Date(since).toISOString(), ctx) ?? []) events.push(...page)
    return events
  }
  it('tells the same calls with the same keys as the webhooks', async () => {
    const { vendor, ctx } = account()
    const { audio: _, ...missed } = sample({ id: 'three', result: 'busy' })
    const told = [
      ...played(vendor, sample()),
      ...played(vendor, sample({ id: 'two', direction: 'outbound' })),
      ...played(vendor, missed),
    ].filter((event) => event.phase === 'ended')
    vendor.place?.(sample({ id: 'fresh', startedAt: NOW - 100_000 }))
    expect(await listed(ctx)).toEqual(told)
  })
  it('is read a day at a time, and leaves out what is no finished call', async () => {
    const row = { companyID: '62770', callType: '0', waitsec: '1', billsec: '1', startTime: '1772600000' }
    const answer: HttpFetch = async (_url, { body }) => {
      const { startTime } = JSON.parse(String(body))
      return Response.json({
        status: 'success',
        callDetails:
          startTime < 1_772_500_000
            ? []
            : {
                1: { ...row, generalCallID: '1', disposition: 'ANSWER' },
                2: { ...row, generalCallID: 2, disposition: 'ONLINE' },
                3: { ...row, generalCallID: 3, disposition: 'SMS-SENDING' },
              },
      })
    }
    const { ctx, sent } = account({}, answer)
    const events = await listed(ctx, NOW - 3 * 86_400_000)
    expect(events.map((event) => event.key)).toEqual(['1:completed'])
    const periods = sent.map(({ body }) => JSON.parse(body)).map((one) => [one.startTime, one.stopTime])
    const until = NOW / 1000
    expect(periods).toEqual([
      [until - 3 * 86_400, until - 2 * 86_400 - 1],
      [until - 2 * 86_400, until - 86_400 - 1],
      [until - 86_400, until - 1],
    ])
  })
  it('asks no more than the API allows', async () => {
    const { ctx, clock } = account()
    const failure = await listed(ctx, NOW - 6 * 86_400_000).catch(asCordboardError)
    expect(failure).toMatchObject({ code: 'rate_limited', retry: { afterMs: 60_000 } })
    clock.now += 60_000
    expect(await listed(ctx)).toEqual([])
    expect(connector.budgets?.(config.parse({ ...SETTINGS, requestsPerMinute: 30 }))).toEqual({
      default: { limit: 30, windowMs: 60_000, window: 'rolling' },
    })
  })
})

describe('the check', () => {
  it('needs the right key and secret', async () => {
    const { ctx } = account()
    expect(await connector.check(ctx)).toEqual({ says: 'key and secret accepted' })
    const wrong = { ...ctx, config: config.parse({ ...SETTINGS, secret: 'another' }) }
    expect(await connector.check(wrong).catch(asCordboardError)).toMatchObject({ code: 'auth' })
  })
})

describe('the webhook', () => {
  it('answers what Binotel takes for success, to the byte', () => {
    expect(webhook?.reply).toEqual({
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: '{"status":"success"}',
    })
  })
  it('is greeted by GET without a body and by nothing else', async () => {
    const shake = async (method: string, body = '') =>
      webhook?.handshake?.(requestOf(body, method), mapContext, testSigner)
    expect(await shake('GET')).toEqual({ status: 200 })
    expect(await shake('GET', 'requestType=apiCallCompleted')).toBeNull()
    expect(await shake('POST')).toBeNull()
  })
  it.each(['[]', 'null', '"apiCallCompleted"'])('cannot read %s', async (body) => {
    const receive = async () => webhook?.receive(requestOf(body, 'POST', 'application/json'), mapContext)
    await expect(receive()).rejects.toMatchObject({ code: 'invalid_payload' })
  })
})

describe('the configuration', () => {
  it.each([
    ['hookToken', 'too-short'],
    ['hookToken', `${'a'.repeat(24)}/b`],
    ['hookToken', [TOKEN, 'too-short']],
    ['key', ''],
    ['companyId', 'x'],
    ['requestsPerMinute', 0],
  ])('refuses %s %j', (key, value) => {
    expect(config.safeParse({ ...SETTINGS, [key]: value }).success).toBe(false)
  })
})
