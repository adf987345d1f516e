import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { connector } from '../../connectors/ringcentral/connector.ts'
import { isFinished, resultOf, toRecordEvents } from '../../connectors/ringcentral/map.ts'
import { createSandbox } from '../../connectors/ringcentral/sandbox.ts'
import { config, record } from '../../connectors/ringcentral/schema.ts'
import { call as callSchema, type Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { foldEvents, progressOf } from '../../src/call/merge.ts'
import { createContext } from '../../src/connector/context.ts'
import type { HttpFetch } from '../../src/connector/platform.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { asCordboardError } from '../../src/errors.ts'
import { fetchFrom } from '../kit/in-process.ts'
import { testSigner } from '../kit/signer.ts'

const NOW = Date.parse('2026-03-04T11:30:00.000Z')
const FOLDER = new URL('../../connectors/ringcentral/fixtures/', import.meta.url)
const SETTINGS = JSON.parse(readFileSync(new URL('connection.json', FOLDER), 'utf8')).config
const HOOK = 'https://hooks.example.com/hooks/pbx'
const { webhook, recording: fetchRecording, calls: listCalls, subscribe } = connector.telephony ?? {}
const silent = () => undefined

function account(keys: Record<string, unknown> = {}) {
  const clock = { now: NOW }
  let seed = 7
  const random = () => {
    seed = (seed * 16807) % 2147483647
    return seed / 2147483647
  }
  const delivered: { url: string; headers: Record<string, string> }[] = []
  const vendor = createSandbox({
    now: () => clock.now,
    random,
    later: silent,
    baseUrl: 'https://platform.ringcentral.com',
    signer: testSigner,
    account: SETTINGS,
    deliver: async (request) => {
      delivered.push(request)
      return { status: 200 }
    },
    transcriptOf: () => null,
  })
  const sent: { method: string; host: string; path: string; query: string; body: string }[] = []
  const direct = fetchFrom(vendor.app)
  const http: HttpFetch = (url, request) => {
    const body = String(request.body ?? '')
    sent.push({ method: request.method, host: url.host, path: url.pathname, query: url.search, body })
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
    publicUrl: 'https://hooks.example.com',
    http,
    budgets: { take: () => 0 },
    tokens: createMemoryTokens({ now: () => clock.now }),
    now: () => clock.now,
    random,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    signal: new AbortController().signal,
  })
  return { vendor, sent, clock, delivered, ctx: { ...ctx, config: parsed } }
}
type Account = ReturnType<typeof account>

const sample = (changes: Partial<SampleCall> = {}): SampleCall => ({
  id: 'one',
  direction: 'inbound',
  customerPhone: '+33639980142',
  ownPhone: '+33199001234',
  agent: { extension: '101', name: 'Alice Martin' },
  result: 'answered',
  startedAt: NOW - 600_000,
  ringMs: 8000,
  talkMs: 60_000,
  audio: { bytes: new Uint8Array([1, 2, 3]), format: 'mp3', durationMs: 60_000 },
  ...changes,
})

function read(body: string, keys: Record<string, unknown> = {}): CallEvent[] {
  const request = inboundRequest({
    method: 'POST',
    url: HOOK,
    path: '',
    headers: [['content-type', 'application/json']],
    body: new TextEncoder().encode(body),
    receivedAt: new Date(NOW).toISOString(),
  })
  const ctx = { connection: 'pbx', config: config.parse({ ...SETTINGS, ...keys }), region: 'FR' }
  const received = webhook?.receive(request, ctx)
  return received && 'events' in received ? received.events : []
}

const played = ({ vendor }: Account, call: SampleCall) =>
  (vendor.place?.(call) ?? []).flatMap(({ body }) => read(body))
const bodyOf = (name: string): string =>
  JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), 'utf8')).request.body
const told = (...names: string[]): CallEvent[] => names.flatMap((name) => read(bodyOf(name)))
const fold = (events: CallEvent[]) => foldEvents(events, { id: 'call_1', connection: 'pbx' })
const failure = (work: Promise<unknown> | undefined) => work?.then(() => null, asCordboardError)

async function listed({ ctx }: Account, since = NOW - 3_600_000) {
  const events: CallEvent[] = []
  for await (const page of listCalls?.(new Date(since).toISOString(), ctx) ?? []) events.push(...page)
  return events
}

describe('a session', () => {
  it.each(['inbound', 'outbound'] as const)('%s is told whole', (direction) => {
    const events = played(account(), sample({ direction }))
    expect(fold(events)).toMatchObject({
      direction,
      result: 'answered',
      talkMs: 60_000,
      totalMs: 68_000,
      customer: { phone: '+33639980142' },
      agent: { id: '6226442101', name: 'Alice Martin' },
      recordings: [{ state: 'ready' }],
    })
    expect(progressOf(events)).toEqual({ ended: true, recording: 'ready' })
    expect(progressOf(events.slice(0, -3)).recording).toBe('pending')
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
  const QUEUE = [
    'queue-setup',
    'queue-answered',
    'queue-agent-refused',
    'queue-agent-answered',
    'queue-left',
    'queue-consultation',
    'queue-gone',
  ]
  it('of a queue goes on until its last party has left, in whatever session', () => {
    const before = told(...QUEUE)
    expect(progressOf(before).ended).toBe(false)
    expect(fold(before)).toMatchObject({ direction: 'inbound', customer: { phone: '+33639980142' } })
    const events = [...before, ...told('queue-disconnected')]
    expect(progressOf(events).ended).toBe(true)
    expect(fold(events)).toMatchObject({
      direction: 'inbound',
      result: 'answered',
      startedAt: '2026-03-04T11:20:00.340Z',
      answeredAt: '2026-03-04T11:20:12.340Z',
      endedAt: '2026-03-04T11:22:17.340Z',
      customer: { phone: '+33639980142', name: 'Jean Dupont' },
      agent: { name: 'Alice Martin', group: 'Support FR' },
    })
    expect(before.flatMap(({ alsoKnownAs = [] }) => alsoKnownAs)).toEqual([
      's-b7abd24ca6774373a8120a3390d3cbe8',
    ])
  })
  it('of a queue that is not listed has the queue for its agent', () => {
    const events = read(bodyOf('queue-answered'), { callQueues: [] })
    expect(fold(events)).toMatchObject({ result: 'answered', agent: { name: 'Support FR' } })
    expect(fold(read(bodyOf('queue-answered'), { callQueues: ['62264425999'] })).result).toBeUndefined()
  })
  it('that only a queue answered is not answered', () => {
    const left = JSON.parse(bodyOf('queue-left'))
    delete left.body.parties[0].status.reason
    const events = [...told('queue-setup', 'queue-answered'), ...read(JSON.stringify(left))]
    expect(progressOf(events)).toEqual({ ended: true, recording: 'none' })
    expect(fold(events).result).toBe('no_answer')
  })
  it('that went to voicemail stays so', () => {
    const events = told('voicemail-setup', 'voicemail-begun', 'voicemail-over')
    expect(fold(events).result).toBe('voicemail')
    expect(progressOf(events).ended).toBe(true)
  })
  it('that the customer gave up is abandoned; one that hides the number has a customer all the same', () => {
    expect(fold(told('missed-cancelled')).result).toBe('abandoned')
    expect(fold(told('missed-setup', 'missed-disconnected'))).toMatchObject({
      result: 'no_answer',
      customer: { phone: null },
    })
  })
  it('between extensions is internal and has no customer', () => {
    const call = fold(told('internal-setup', 'internal-disconnected'))
    expect(call.direction).toBe('internal')
    expect(call.customer).toBeUndefined()
    const direct = JSON.parse(bodyOf('inbound-setup'))
    direct.body.parties[0].from = { phoneNumber: '+33199001235', extensionId: '62264425017' }
    expect(fold(read(JSON.stringify(direct))).direction).toBe('internal')
  })
  it.each([
    ['BlindTransfer', false],
    ['CallFlip', false],
    ['CallFinished', true],
    ['constructor', true],
  ])('is ended by a party that left for %s: %s', (reason, ended) => {
    const left = JSON.parse(bodyOf('inbound-disconnected'))
    left.body.parties[0].status.reason = reason
    const events = [...told('inbound-setup', 'inbound-answered'), ...read(JSON.stringify(left))]
    expect(progressOf(events).ended).toBe(ended)
    expect(fold(events).result).toBe('answered')
    const alone = fold(read(JSON.stringify(left)))
    expect(alone.result).toBe(ended ? 'no_answer' : undefined)
  })

  /** The one party of a fixture, changed. */
  function changed(name: string, party: Record<string, unknown>, status: Record<string, unknown> = {}) {
    const notice = JSON.parse(bodyOf(name))
    const [first] = notice.body.parties
    Object.assign(first, party)
    Object.assign(first.status, status)
    return read(JSON.stringify(notice))
  }
  it.each([
    ['Rejected', false],
    ['TargetBusy', false],
    ['InternalError', true],
  ])('of a queue whose agent left for %s ends: %s', (reason, ended) => {
    const events = changed('inbound-disconnected', { queueCall: true }, { reason })
    expect(progressOf(events).ended).toBe(ended)
    expect(fold(events).result).toBe(ended ? 'failed' : undefined)
  })
  it.each(['VoiceMail', 'VoiceMailScreening'])('that is at %s is a voicemail when it ends', (code) => {
    const events = [...changed('inbound-answered', {}, { code }), ...told('inbound-disconnected')]
    expect(fold(events).result).toBe('voicemail')
  })
  it('names its customer only where the name is no number', () => {
    const named = (name: string) =>
      fold(changed('inbound-setup', { from: { phoneNumber: '+33639980142', name } })).customer?.name
    expect(named('Jean Dupont')).toBe('Jean Dupont')
    expect(named('+33 6 39-98 (0142).')).toBeUndefined()
  })
  it.each([
    ['Answered', undefined, 'pending'],
    ['Gone', undefined, 'ready'],
    ['Gone', true, 'pending'],
    ['Disconnected', false, 'ready'],
    ['Disconnected', true, 'pending'],
  ])('%s with a recording whose active is %s has it %s', (code, active, state) => {
    const recordings = [{ id: '9001', ...(active === undefined ? {} : { active }) }]
    const events = changed('inbound-answered', { recordings }, { code })
    expect(fold(events).recordings).toMatchObject([{ key: '9001', state }])
  })
})

describe('the question for the address', () => {
  const asked = (headers: [string, string][], body = '') => {
    const raw = {
      method: 'POST',
      url: HOOK,
      path: '',
      headers,
      body: new TextEncoder().encode(body),
      receivedAt: '',
    }
    const ctx = { connection: 'pbx', config: config.parse(SETTINGS), region: 'FR' }
    return webhook?.handshake?.(inboundRequest(raw), ctx, testSigner)
  }
  it('gets its token back, in less than 1,024 bytes', () => {
    const reply = asked([['Validation-Token', '0f1e2d3c-aaaa']])
    expect(reply).toMatchObject({ status: 200, headers: { 'validation-token': '0f1e2d3c-aaaa' } })
    expect(JSON.stringify(reply).length).toBeLessThan(300)
  })
  it.each([
    ['no header', [], ''],
    ['markup', [['validation-token', '<b>']], ''],
    ['a long text', [['validation-token', 'x'.repeat(129)]], ''],
    ['a notification', [['validation-token', 'abc']], '{"event":"/restapi/v1.0/x"}'],
    ['what cannot be read', [['validation-token', 'abc']], '{"event":'],
  ] as [string, [string, string][], string][])('is not one with %s', (_, headers, body) => {
    expect(asked(headers, body)).toBeNull()
  })
})

describe('the call log', () => {
  it('tells each call, with its recordings under the keys of the webhooks, page by page', async () => {
    const world = account()
    const events: CallEvent[] = []
    for (let nth = 0; nth < 253; nth++) events.push(...played(world, sample({ id: `c${nth}` })))
    const again = await listed(world)
    const recorded = (all: CallEvent[]) =>
      all.filter(({ phase }) => phase === 'recorded').map(({ key }) => key)
    expect(recorded(again).sort()).toEqual(recorded(events).sort())
    expect(again.filter(({ phase }) => phase === 'ended')).toHaveLength(253)
    expect(world.sent.filter(({ path }) => path.endsWith('/call-log'))).toHaveLength(2)
    expect((await listed(world)).map(({ key }) => key)).toEqual(again.map(({ key }) => key))
  })
  it('says the same of a call as its session', async () => {
    for (const changes of [{}, { direction: 'outbound' }, { result: 'busy' }] as Partial<SampleCall>[]) {
      const world = account()
      const call = sample(changes)
      if (call.result !== 'answered') delete call.audio
      const { direction, result, customer, startedAt, endedAt } = fold(played(world, call))
      expect(fold(await listed(world))).toMatchObject({ direction, result, customer, startedAt, endedAt })
    }
  })
  it('has no call before half a minute, and is asked for those that began earlier', async () => {
    const world = account()
    played(world, sample({ startedAt: NOW - 69_000 }))
    expect(await listed(world)).toEqual([])
    world.clock.now += 30_000
    expect(await listed(world)).toHaveLength(2)
    expect(decodeURIComponent(world.sent.at(-1)?.query ?? '')).toContain('dateFrom=2026-03-04T06:30:00.000Z')
  })
  it.each([
    ['Accepted', 'inbound', 'answered'],
    ['Call connected', 'outbound', 'answered'],
    ['Missed', 'inbound', 'no_answer'],
    ['Hang Up', 'inbound', 'abandoned'],
    ['Hang Up', 'outbound', 'no_answer'],
    ['Declined', 'inbound', 'rejected'],
    ['Voicemail', 'inbound', 'voicemail'],
    ['Busy', 'outbound', 'busy'],
    ['No Answer', 'outbound', 'no_answer'],
    ['Rejected', 'inbound', 'rejected'],
    ['Blocked', 'inbound', 'rejected'],
    ['Abandoned', 'inbound', 'abandoned'],
    ['Wrong Number', 'outbound', 'failed'],
    ['constructor', 'inbound', 'failed'],
    ['Unknown', 'inbound', undefined],
  ] as const)('%s %s is %s', (said, direction, result) => {
    expect(resultOf(said, direction)).toBe(result)
  })
  it('leaves out faxes and calls under way, and reads those of extensions', () => {
    const row = {
      id: 'r',
      telephonySessionId: 's-1',
      startTime: '2026-03-04T11:20:00.594Z',
      durationMs: 137_060,
    }
    const parsed = (more: object) => record.parse({ ...row, type: 'Voice', result: 'Accepted', ...more })
    expect([{}, { type: 'Fax' }, { result: 'In Progress' }].map((more) => isFinished(parsed(more)))).toEqual([
      true,
      false,
      false,
    ])
    const internal = parsed({
      direction: 'Outbound',
      from: { extensionNumber: '101' },
      to: { extensionNumber: '102' },
    })
    const ctx = { config: config.parse(SETTINGS), region: 'FR' }
    expect(fold(toRecordEvents(internal, ctx))).toMatchObject({ direction: 'internal', totalMs: 137_060 })
    const legs = [
      { master: true, result: 'Accepted', duration: 137, extension: { id: 1 }, recording: { id: '5' } },
      { result: 'Missed', duration: 200, extension: { id: 2 } },
      { result: 'Accepted', duration: 127, extension: { id: 62264425016 }, recording: { id: 6 } },
    ]
    const queued = fold(
      toRecordEvents(parsed({ direction: 'Inbound', from: { phoneNumber: '+33639980142' }, legs }), ctx),
    )
    expect(queued).toMatchObject({ talkMs: 127_000, agent: { id: '62264425016' } })
    expect(queued.recordings.map(({ key }) => key)).toEqual(['5', '6'])
  })
})

describe('a recording', () => {
  const heard = (world: Account, change: Partial<Recording> = {}) => {
    const call = callSchema.parse(JSON.parse(JSON.stringify(fold(played(world, sample())))))
    const [recording] = call.recordings
    if (!recording) throw new Error('no recording')
    return fetchRecording?.({ ...recording, ...change }, call, world.ctx)
  }
  it('is fetched by its id from the media host', async () => {
    const world = account()
    const response = await heard(world)
    expect(new Uint8Array((await response?.arrayBuffer()) ?? [])).toEqual(new Uint8Array([1, 2, 3]))
    const last = world.sent.at(-1)
    expect(last?.host).toBe('media.ringcentral.com')
    expect(last?.path).toMatch(/^\/restapi\/v1\.0\/account\/~\/recording\/\d+\/content$/)
  })
  it.each([
    [
      'https://media.ringcentral.com:443/restapi/v1.0/account/1/recording/9/content',
      '/account/1/recording/9/',
    ],
    ['https://media.ringcentral.com.example.com/restapi/v1.0/account/1/recording/9/content', '/account/~/'],
    ['https://evilringcentral.com/restapi/v1.0/account/1/recording/9/content', '/account/~/'],
    ['http://media.ringcentral.com/restapi/v1.0/account/1/recording/9/content', '/account/~/'],
  ])('at %s is asked for at %s', async (url, path) => {
    const world = account()
    await failure(heard(world, { url }))
    expect(world.sent.at(-1)?.host).toBe('media.ringcentral.com')
    expect(world.sent.at(-1)?.path).toContain(path)
  })
  it('that is not there is waited for within the hour, and given up after it', async () => {
    const world = account()
    expect(await failure(heard(world, { key: '1' }))).toMatchObject({ code: 'not_found', retry: 'later' })
    world.clock.now += 3_600_000
    expect(await failure(heard(world, { key: '1' }))).toMatchObject({ code: 'not_found', retry: 'never' })
  })
})

describe('the subscription', () => {
  const made = (world: Account) => world.vendor.book().filter(({ kind }) => kind === 'subscription')
  it('is made once, for twenty years, with the token', async () => {
    const world = account()
    await subscribe?.(HOOK, world.ctx)
    await subscribe?.(HOOK, world.ctx)
    expect(made(world)).toMatchObject([
      { fields: { status: 'Active', deliveryMode: { address: HOOK }, expiresIn: 630_720_000 } },
    ])
    const wish = JSON.parse(
      world.sent.find(({ method, path }) => method === 'POST' && path.endsWith('/subscription'))?.body ?? '',
    )
    expect(wish.deliveryMode.verificationToken).toBe(SETTINGS.verificationToken)
    expect(wish.eventFilters).toEqual(['/restapi/v1.0/account/~/telephony/sessions'])
    expect(world.delivered[0]?.headers['validation-token']).toMatch(/^[\da-f]{32}$/)
  })
  it('that is blacklisted is a warning, and is replaced', async () => {
    const world = account()
    expect((await connector.check(world.ctx)).warnings?.[0]?.what).toContain('no subscription')
    await subscribe?.(HOOK, world.ctx)
    expect((await connector.check(world.ctx)).warnings).toBeUndefined()
    const [first] = made(world)
    if (!first) throw new Error('no subscription')
    first.fields.status = 'Blacklisted'
    const { warnings } = await connector.check(world.ctx)
    expect(warnings?.[0]?.what).toContain('Blacklisted')
    await subscribe?.(HOOK, world.ctx)
    expect(made(world)).toHaveLength(1)
    expect(made(world)[0]?.id).not.toBe(first.id)
  })
})

describe('the token', () => {
  it('is asked for once, and anew when it has ended', async () => {
    const world = account()
    await connector.check(world.ctx)
    await connector.check(world.ctx)
    const asked = () => world.sent.filter(({ path }) => path === '/restapi/oauth/token')
    expect(asked()).toHaveLength(1)
    expect(asked()[0]?.body).toContain('grant-type%3Ajwt-bearer')
    world.clock.now += 60_000
    world.vendor.fail({ fault: { kind: 'status', status: 401 }, path: '/extension/' })
    await connector.check(world.ctx)
    expect(asked()).toHaveLength(2)
  })
  it.each([{ jwt: 'another-jwt' }, { clientSecret: 'another-secret' }])(
    '%j does not get is `auth`',
    async (keys) => {
      expect(await failure(connector.check(account(keys).ctx))).toMatchObject({ code: 'auth' })
    },
  )
})
