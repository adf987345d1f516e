import { createHmac } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { connector } from '../../connectors/zoom-phone/connector.ts'
import { resultOf } from '../../connectors/zoom-phone/map.ts'
import { createSandbox } from '../../connectors/zoom-phone/sandbox.ts'
import { config } from '../../connectors/zoom-phone/schema.ts'
import { type Call, call as callSchema, type Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { foldEvents, progressOf } from '../../src/call/merge.ts'
import { createContext } from '../../src/connector/context.ts'
import type { HttpFetch } from '../../src/connector/platform.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { signRaw } from '../../src/connector/sign.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { verifyRequest } from '../../src/connector/verify.ts'
import { asCordboardError } from '../../src/errors.ts'
import { fetchFrom } from '../kit/in-process.ts'
import { testSigner } from '../kit/signer.ts'
import { sample as sampleCall } from './stand-in.ts'

const NOW = Date.parse('2026-03-04T11:30:00.000Z')
const FOLDER = new URL('../../connectors/zoom-phone/fixtures/', import.meta.url)
const SETTINGS = JSON.parse(readFileSync(new URL('connection.json', FOLDER), 'utf8')).config
const { webhook, recording: fetchRecording, calls: listCalls } = connector.telephony ?? {}
const silent = () => undefined

function account(keys: Record<string, unknown> = {}) {
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
    baseUrl: 'https://api.zoom.us',
    signer: testSigner,
    account: SETTINGS,
    deliver: async () => ({ status: 200 }),
    transcriptOf: () => null,
  })
  const sent: { host: string; path: string; query: string; authorization: string }[] = []
  const direct = fetchFrom(vendor.app)
  const http: HttpFetch = (url, request) => {
    const { authorization = '' } = request.headers
    sent.push({ host: url.host, path: url.pathname, query: url.search, authorization })
    return direct(url, request)
  }
  const parsed = config.parse({ ...SETTINGS, ...keys })
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
    http,
    budgets: { take: () => 0 },
    tokens: createMemoryTokens({ now: () => clock.now }),
    now: () => clock.now,
    random,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    signal: new AbortController().signal,
  })
  return { vendor, sent, clock, ctx: { ...ctx, config: parsed } }
}
type Account = ReturnType<typeof account>

const sample = (changes: Partial<SampleCall> = {}): SampleCall =>
  sampleCall({ agent: { extension: '101', name: 'Alice Martin' }, ...changes })

const rawOf = (body: string) => ({
  method: 'POST',
  url: 'https://hooks.example.com/hooks/pbx',
  path: '',
  headers: [['content-type', 'application/json']] as [string, string][],
  body: new TextEncoder().encode(body),
  receivedAt: new Date(NOW).toISOString(),
})

function received(body: string, keys: Record<string, unknown> = {}) {
  const ctx = { connection: 'pbx', config: config.parse({ ...SETTINGS, ...keys }), region: 'FR' }
  return webhook?.receive(inboundRequest(rawOf(body)), ctx)
}

function read(body: string, keys: Record<string, unknown> = {}): CallEvent[] {
  const answer = received(body, keys)
  return answer && 'events' in answer ? answer.events : []
}
const played = ({ vendor }: Account, call: SampleCall) =>
  (vendor.place?.(call) ?? []).flatMap(({ body }) => read(body))
const told = (prefix: string): CallEvent[] =>
  readdirSync(FOLDER)
    .filter((name) => name.startsWith(prefix))
    .flatMap((name) => read(JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')).request.body))
const fold = (events: CallEvent[]) => foldEvents(events, { id: 'call_1', connection: 'pbx' })

async function listed({ ctx }: Account, since = NOW - 3_600_000) {
  const events: CallEvent[] = []
  for await (const page of listCalls?.(new Date(since).toISOString(), ctx) ?? []) events.push(...page)
  return events
}

describe('the signature', () => {
  it('of every fixture is the documented one, computed without the connector', () => {
    let checked = 0
    for (const file of readdirSync(FOLDER).filter((name) => /^(vector|inbound|queue)-/.test(name))) {
      const { config: keys, request } = JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8'))
      const text = `v0:${request.headers['x-zm-request-timestamp']}:${request.body}`
      const key = keys?.secretToken ?? SETTINGS.secretToken
      const expected = createHmac('sha256', key).update(text).digest('hex')
      expect(request.headers['x-zm-signature'], file).toBe(`v0=${expected}`)
      checked++
    }
    expect(checked).toBe(17)
  })
  it('covers the bytes as they came, escapes and all', async () => {
    const verification = webhook?.verify(config.parse(SETTINGS))
    if (!verification) throw new Error('no webhook')
    const tools = { now: NOW, signer: testSigner }
    const signed = await signRaw(rawOf('{"name":"Zo\\u00e9","url":"a\\/b"}'), verification, tools)
    expect(await verifyRequest(inboundRequest(signed), verification, tools)).toMatchObject({ ok: true })
    const again = { ...signed, body: new TextEncoder().encode('{"name":"Zoé","url":"a/b"}') }
    expect(await verifyRequest(inboundRequest(again), verification, tools)).toMatchObject({ ok: false })
  })
  it.each([
    [300_000, 301_000, false],
    [7_200_000, 5_100_000, true],
    [7_200_000, 7_201_000, false],
  ])('with a tolerance of %d ms and an age of %d is accepted: %s', async (toleranceMs, age, ok) => {
    const verification = webhook?.verify(config.parse({ ...SETTINGS, toleranceMs }))
    if (!verification) throw new Error('no webhook')
    const signed = await signRaw(rawOf('{}'), verification, { now: NOW - age, signer: testSigner })
    const verified = await verifyRequest(inboundRequest(signed), verification, {
      now: NOW,
      signer: testSigner,
    })
    expect(verified.ok).toBe(ok)
  })
  it.each(['v0:1:{}', '', 'a b', 'x'.repeat(129)])(
    'is given to no challenge that is %j',
    async (plainToken) => {
      const body = JSON.stringify({ event: 'endpoint.url_validation', payload: { plainToken } })
      const ctx = { connection: 'pbx', config: config.parse(SETTINGS), region: 'FR' }
      expect(await webhook?.handshake?.(inboundRequest(rawOf(body)), ctx, testSigner)).toBeNull()
      expect(await webhook?.handshake?.(inboundRequest(rawOf('{"event":')), ctx, testSigner)).toBeNull()
    },
  )
})

describe('a call', () => {
  it.each(['inbound', 'outbound'] as const)('%s is told whole, and ends with its hop', (direction) => {
    const events = played(account(), sample({ direction }))
    expect(fold(events)).toMatchObject({
      direction,
      result: 'answered',
      talkMs: 60_000,
      totalMs: 68_000,
      customer: { phone: '+33639980142' },
      agent: { id: 'ext-101', extension: '101', name: 'Alice Martin' },
      recordings: [{ state: 'ready', durationMs: 60_000 }],
    })
    expect(progressOf(events)).toEqual({ ended: true, recording: 'ready' })
    const live = events.filter(({ key }) => !/^(element|recording):/.test(key))
    expect(live).toHaveLength(3)
    expect(progressOf(live).ended).toBe(false)
  })
  it.each([
    ['no_answer', 'inbound'],
    ['busy', 'inbound'],
    ['no_answer', 'outbound'],
    ['busy', 'outbound'],
  ] as const)('%s %s waits for no recording', (result, direction) => {
    const { audio: _, ...missed } = sample({ result, direction })
    const events = played(account(), missed)
    expect(fold(events)).toMatchObject({ direction, result, customer: { phone: '+33639980142' } })
    expect(progressOf(events)).toEqual({ ended: true, recording: 'none' })
  })
  it('of a queue is the customer’s, though an agent asked a colleague and handed it on', () => {
    const events = told('queue-')
    const call = fold(events)
    expect(call).toMatchObject({
      direction: 'inbound',
      result: 'answered',
      answeredAt: '2026-03-04T11:20:10.000Z',
      endedAt: '2026-03-04T11:22:17.000Z',
      customer: { phone: '+33639980142', name: 'Jean Dupont' },
      agent: { name: 'Alice Martin' },
    })
    expect(call.legs).toHaveLength(6)
    const ids = new Set(events.flatMap(({ callId, alsoKnownAs = [] }) => [callId, ...alsoKnownAs]))
    expect([...ids].sort()).toEqual(['20260304-path-0002', '7239106517459834990', '7239106517459834991'])
  })
  it('of a queue is not ended by who handed it on or did not answer', () => {
    const passing = [...told('queue-member-did-not'), ...told('queue-handed-on')]
    expect(passing).toHaveLength(2)
    expect(progressOf(passing).ended).toBe(false)
    expect(fold(passing).result).toBeUndefined()
  })
  it('between colleagues is internal and has no customer', () => {
    const call = fold([...told('internal-'), ...told('queue-consultation')])
    expect(call.direction).toBe('internal')
    expect(call.customer).toBeUndefined()
  })
  it('with a voicemail has it as its recording', () => {
    const events = [...told('inbound-voicemail'), ...told('voicemail-')]
    expect(fold(events)).toMatchObject({
      result: 'voicemail',
      customer: { phone: '+33639980142' },
      recordings: [{ key: 'voicemail:6cd2da01bcaa47f58e3250a575c5f2bf', state: 'ready' }],
    })
  })
  it('has tracks where the operator named them, a voicemail has none', () => {
    const tracks = { left: 'agent', right: 'customer' }
    const of = (name: string) =>
      read(JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')).request.body, { tracks })
    expect(fold(of('inbound-recorded.json')).recordings).toMatchObject([{ tracks }])
    expect(fold(of('voicemail-received.json')).recordings[0]).not.toHaveProperty('tracks')
  })
  it('of which an event tells that nobody knows says nothing', () => {
    const body = '{"event":"constructor","payload":{"object":{}}}'
    expect(received(body)).toEqual({ ignored: 'constructor is no event that is read' })
  })

  it('of a pause tags the call, where its form is that of its siblings', () => {
    const paused = (object: object) =>
      JSON.stringify({ event: 'phone.recording_paused', payload: { object } })
    const [event] = read(paused({ id: 'c71b', call_id: '7239106517459834881' }))
    expect(event).toMatchObject({ key: 'recording:c71b:paused', facts: { tags: ['recording-paused'] } })
    // It says nothing of how the call stands or of its recording.
    const before = told('recording-started')
    expect(event && fold([...before, event])).toEqual({ ...fold(before), tags: ['recording-paused'] })
    expect(received(paused({ other: 1 }))).toMatchObject({ ignored: expect.any(String) })
  })
  it.each([
    ['canceled', 'inbound', 'abandoned'],
    ['hang_up', 'outbound', 'no_answer'],
    ['ring_timeout', 'inbound', 'no_answer'],
    ['system_blocked', 'inbound', 'failed'],
    ['overflowed', 'inbound', undefined],
    ['constructor', 'inbound', undefined],
  ] as const)('that ended with %s %s is %s', (said, direction, result) => {
    expect(resultOf(said, direction)).toBe(result)
  })
})

describe('the list', () => {
  it('tells what the webhooks told, under the same keys, page by page', async () => {
    const world = account()
    const events: CallEvent[] = []
    for (let nth = 0; nth < 103; nth++) events.push(...played(world, sample({ id: `c${nth}` })))
    const again = await listed(world)
    const finished = events.filter(({ key }) => /^(element|recording):/.test(key))
    expect(again.map(({ key }) => key).sort()).toEqual(finished.map(({ key }) => key).sort())
    const byKey = new Map(again.map((event) => [event.key, event]))
    const [first] = finished
    expect(byKey.get(first?.key ?? '')).toEqual(first)
    expect(world.sent.filter(({ path }) => path === '/v2/phone/call_history')).toHaveLength(2)
  })
  it('takes what ended since, a month at a time, no further back than there is', async () => {
    const world = account()
    played(world, sample({ startedAt: NOW - 3_660_000, talkMs: 90_000 }))
    expect(await listed(world)).toHaveLength(2)
    await listed(world, NOW - 400 * 86_400_000)
    const asked = world.sent.filter(({ path }) => path === '/v2/phone/call_history').slice(1)
    expect(asked).toHaveLength(7)
    expect(asked[0]?.query).toContain('from=2025-09-05T11%3A30%3A00Z')
    expect(asked.every(({ query }) => query.includes('time_type=end_time'))).toBe(true)
  })
  it('that leads in a circle is given up', async () => {
    const world = account()
    played(world, sample())
    const body = { call_history: [], next_page_token: 'same' }
    world.vendor.fail({ fault: { kind: 'status', status: 200, body }, times: 9, path: 'call_history' })
    const failure = await listed(world).then(() => null, asCordboardError)
    expect(failure).toMatchObject({ code: 'invalid_payload' })
  })
})

describe('a recording', () => {
  const heard = async (world: Account, change: Partial<Recording> = {}) => {
    const call: Call = callSchema.parse(JSON.parse(JSON.stringify(fold(played(world, sample())))))
    const [recording] = call.recordings
    if (!recording) throw new Error('no recording')
    const response = fetchRecording?.({ ...recording, ...change }, call, world.ctx)
    return response?.then(async (answer) => new Uint8Array(await answer.arrayBuffer()))
  }
  it('whose link is dead is found in the list', async () => {
    const world = account()
    const call = fold(played(world, sample()))
    world.clock.now += 86_400_001
    const [recording] = call.recordings
    if (!recording) throw new Error('no recording')
    const response = await fetchRecording?.(recording, call, world.ctx)
    expect(new Uint8Array((await response?.arrayBuffer()) ?? [])).toEqual(new Uint8Array([1, 2, 3]))
    expect(world.sent.map(({ path }) => path.replace(/download\/.*/, 'download'))).toEqual([
      '/oauth/token',
      '/v2/phone/recording/download',
      '/v2/phone/recordings',
      '/v2/phone/recording/download',
    ])
  })
  it.each(['https://zoom.us.example.com/r', 'https://evilzoom.us/r', 'http://zoom.us/r'])(
    'at %s is not asked there, but where the list says',
    async (url) => {
      const world = account()
      expect(await heard(world, { url })).toEqual(new Uint8Array([1, 2, 3]))
      expect(new Set(world.sent.map(({ host }) => host))).toEqual(new Set(['zoom.us', 'api.zoom.us']))
    },
  )
  it('that is a voicemail is looked up by its own id', async () => {
    const world = account()
    const body = { download_url: 'https://zoom.us/v2/phone/recording/download/gone' }
    world.vendor.fail({
      fault: { kind: 'status', status: 200, body },
      path: '/v2/phone/voice_mails/6cd2da01',
    })
    const failure = await heard(world, { key: 'voicemail:6cd2da01', url: undefined })?.then(
      () => null,
      asCordboardError,
    )
    expect(failure).toMatchObject({ code: 'not_found' })
    expect(world.sent.map(({ path }) => path).slice(1)).toEqual([
      '/v2/phone/voice_mails/6cd2da01',
      '/v2/phone/recording/download/gone',
    ])
  })
  it('that is in no list is not found', async () => {
    const failure = await heard(account(), { key: 'another', url: undefined })?.then(
      () => null,
      asCordboardError,
    )
    expect(failure).toMatchObject({ code: 'not_found', retry: 'never' })
  })
})

describe('the token', () => {
  it('is asked for once, of the host without api., and anew when it has ended', async () => {
    const world = account()
    await connector.check(world.ctx)
    const [first] = world.sent
    expect(first).toMatchObject({ host: 'zoom.us', path: '/oauth/token' })
    expect(world.sent.filter(({ path }) => path === '/oauth/token')).toHaveLength(1)
    // The vendor forgets it early.
    world.clock.now += 60_000
    world.vendor.fail({ fault: { kind: 'status', status: 401 }, path: '/v2/phone/call_history' })
    await connector.check(world.ctx)
    expect(world.sent.filter(({ path }) => path === '/oauth/token')).toHaveLength(2)
  })
  it('that the credentials do not get is `auth`', async () => {
    const { ctx } = account({ clientSecret: 'another-client-secret' })
    expect(await connector.check(ctx).then(() => null, asCordboardError)).toMatchObject({ code: 'auth' })
  })
  it('without a scope is a warning that names it', async () => {
    const world = account()
    const body = {
      code: 4711,
      message: 'Invalid access token, does not contain scopes:[phone:read:list_call_logs:admin].',
    }
    world.vendor.fail({ fault: { kind: 'status', status: 400, body }, path: '/v2/phone/call_history' })
    const { warnings } = await connector.check(world.ctx)
    expect(warnings).toHaveLength(1)
    expect(warnings?.[0]?.fix).toContain('phone:read:list_call_logs:admin')
  })
})
