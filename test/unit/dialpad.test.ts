import { createHmac } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { connector } from '../../connectors/dialpad/connector.ts'
import { endedEvents } from '../../connectors/dialpad/map.ts'
import { createSandbox } from '../../connectors/dialpad/sandbox.ts'
import { callObject, config } from '../../connectors/dialpad/schema.ts'
import { call as callSchema, type Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { foldEvents, progressOf } from '../../src/call/merge.ts'
import { createContext } from '../../src/connector/context.ts'
import type { HttpFetch } from '../../src/connector/platform.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { signRaw } from '../../src/connector/sign.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { asCordboardError } from '../../src/errors.ts'
import { fetchFrom } from '../kit/in-process.ts'
import { testSigner } from '../kit/signer.ts'
import { sample as sampleCall } from './stand-in.ts'

const NOW = Date.parse('2026-03-04T11:30:00.000Z')
const FOLDER = new URL('../../connectors/dialpad/fixtures/', import.meta.url)
const SETTINGS = JSON.parse(readFileSync(new URL('connection.json', FOLDER), 'utf8')).config
const HOOK = 'https://hooks.example.com/hooks/pbx'
const { webhook, recording: fetchRecording, calls: listCalls, subscribe } = connector.telephony ?? {}
const silent = () => undefined

function account(keys: Record<string, unknown> = {}) {
  let seed = 7
  const random = () => {
    seed = (seed * 16807) % 2147483647
    return seed / 2147483647
  }
  const vendor = createSandbox({
    now: () => NOW,
    random,
    later: silent,
    baseUrl: 'https://dialpad.com',
    signer: testSigner,
    account: SETTINGS,
    deliver: async () => ({ status: 200 }),
    transcriptOf: () => null,
  })
  const sent: { method: string; url: string; authorization: string; body: string }[] = []
  const direct = fetchFrom(vendor.app)
  const http: HttpFetch = (url, request) => {
    const { authorization = '' } = request.headers
    sent.push({ method: request.method, url: url.href, authorization, body: String(request.body ?? '') })
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
    tokens: createMemoryTokens({ now: () => NOW }),
    now: () => NOW,
    random,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    signal: new AbortController().signal,
  })
  return { vendor, sent, ctx: { ...ctx, config: parsed } }
}
type Account = ReturnType<typeof account>

const sample = (changes: Partial<SampleCall> = {}): SampleCall =>
  sampleCall({ agent: { extension: '101', name: 'Alice Martin' }, ...changes })

function received(token: string, keys: Record<string, unknown> = {}) {
  const request = inboundRequest({
    method: 'POST',
    url: HOOK,
    path: '',
    headers: [],
    body: new TextEncoder().encode(token),
    receivedAt: new Date(NOW).toISOString(),
  })
  const parsed = config.parse({ ...SETTINGS, ...keys })
  return webhook?.receive(request, { connection: 'pbx', config: parsed, region: 'FR' })
}

function read(token: string, keys: Record<string, unknown> = {}): CallEvent[] {
  const answer = received(token, keys)
  return answer && 'events' in answer ? answer.events : []
}

async function played({ vendor }: Account, call: SampleCall): Promise<CallEvent[]> {
  const verification = webhook?.verify(config.parse(SETTINGS))
  if (!verification) throw new Error('no webhook')
  const events: CallEvent[] = []
  for (const { body } of vendor.place?.(call) ?? []) {
    const raw = { method: 'POST', url: HOOK, path: '', headers: [], receivedAt: '' }
    const unsigned = { ...raw, body: new TextEncoder().encode(body) }
    const signed = await signRaw(unsigned, verification, { now: NOW, signer: testSigner })
    events.push(...read(new TextDecoder().decode(signed.body)))
  }
  return events
}

const told = (...names: string[]): CallEvent[] =>
  names.flatMap((name) =>
    read(JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), 'utf8')).request.body),
  )
const fold = (events: CallEvent[]) => foldEvents(events, { id: 'call_1', connection: 'pbx' })
const failure = (work: Promise<unknown> | undefined) => work?.then(() => null, asCordboardError)

async function listed({ ctx }: Account, since = NOW - 3_600_000) {
  const events: CallEvent[] = []
  for await (const page of listCalls?.(new Date(since).toISOString(), ctx) ?? []) events.push(...page)
  return events
}

describe('the token', () => {
  it('of every fixture is the documented one, computed without the connector', () => {
    let checked = 0
    for (const file of readdirSync(FOLDER).filter((name) => /^(vector|inbound|queue)-/.test(name))) {
      const { config: keys, request } = JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8'))
      const [head, claims, mac] = request.body.split('.')
      const key = keys?.webhookSecret ?? SETTINGS.webhookSecret
      expect(mac, file).toBe(createHmac('sha256', key).update(`${head}.${claims}`).digest('base64url'))
      checked++
    }
    expect(checked).toBe(17)
  })
})

describe('a call', () => {
  it.each(['inbound', 'outbound'] as const)('%s is told whole', async (direction) => {
    const events = await played(account(), sample({ direction }))
    expect(fold(events)).toMatchObject({
      direction,
      result: 'answered',
      talkMs: 60_000,
      totalMs: 68_000,
      customer: { phone: '+33639980142' },
      agent: { id: '8000000000000000101', name: 'Alice Martin' },
      recordings: [{ state: 'ready', durationMs: 60_000 }],
    })
    expect(progressOf(events)).toEqual({ ended: true, recording: 'ready' })
    expect(fold(events).source.callId).toMatch(/^8\d{18}$/)
  })
  it('that was recorded waits for the recording', async () => {
    const events = await played(account(), sample())
    expect(progressOf(events.slice(0, -1))).toEqual({ ended: true, recording: 'pending' })
  })
  it.each(['no_answer', 'busy'] as const)('%s waits for none, and is not answered', async (result) => {
    const { audio: _, ...missed } = sample({ result })
    const events = await played(account(), missed)
    expect(fold(events)).toMatchObject({ result: 'no_answer', customer: { phone: '+33639980142' } })
    expect(progressOf(events)).toEqual({ ended: true, recording: 'none' })
  })
  it('of a call center is one call, whoever rang, took it or was asked', () => {
    const events = told(
      'queue-waiting',
      'queue-agent-missed',
      'queue-agent-connected',
      'queue-agent-hangup',
      'queue-hangup',
      'consultation-hangup',
    )
    const call = fold(events)
    expect(call).toMatchObject({
      direction: 'inbound',
      result: 'answered',
      answeredAt: '2026-03-04T11:20:10.000Z',
      dialed: { phone: '+33199001200' },
      customer: { phone: '+33639980142', name: 'Jean Dupont', email: 'jean.dupont@example.com' },
      agent: { name: 'Alice Martin', group: 'Support FR' },
    })
    expect(call.legs).toHaveLength(4)
    const joined = events.filter(({ callId, alsoKnownAs = [] }) =>
      [callId, ...alsoKnownAs].includes('8012345678901230000'),
    )
    expect(joined).toHaveLength(events.length)
  })
  it('is not ended by an agent who did not take it', () => {
    expect(progressOf(told('queue-waiting', 'queue-agent-missed')).ended).toBe(false)
    expect(fold(told('queue-agent-missed')).result).toBeUndefined()
  })
  it('that only a call center itself took has no result', () => {
    expect(fold(told('queue-given-up')).result).toBeUndefined()
    expect(fold(told('queue-given-up')).answeredAt).toBeUndefined()
  })
  it('with a voicemail stays one after its hangup', () => {
    const before = told('inbound-voicemail', 'inbound-voicemail-hangup')
    expect(fold(before)).toMatchObject({ result: 'voicemail', endedAt: '2026-03-04T11:20:50.000Z' })
    expect(progressOf(before)).toEqual({ ended: true, recording: 'unknown' })
    const events = [...before, ...told('inbound-voicemail-uploaded')]
    expect(fold(events).recordings).toMatchObject([{ key: '5572425564274777', durationMs: 18_000 }])
  })
  /** A call object nobody took, in a state, with what else it says. */
  const untaken = (state: string, more: Record<string, unknown> = {}): CallEvent[] => {
    const call = {
      call_id: 7,
      state,
      direction: 'inbound',
      external_number: '+33639980142',
      target: { type: 'user' },
    }
    const claims = { ...call, date_started: NOW - 60_000, date_ended: NOW - 20_000, ...more }
    return read(`e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.e30`)
  }
  const message = { id: '55', recording_type: 'voicemail', duration: 18_000, url: 'https://dialpad.com/r/55' }
  it('whose hangup already has the voicemail is one, whichever is heard first', () => {
    const brings = { recording_details: [message] }
    expect(fold(untaken('hangup', brings)).result).toBe('voicemail')
    const bare = { ...message, recording_type: null }
    const first = untaken('hangup', { recording_details: [bare] })
    const later = untaken('voicemail_uploaded', brings)
    // Of two events with one key the first is kept.
    const kept = [...first, ...later.filter(({ key }) => !first.some((event) => event.key === key))]
    expect(fold(kept)).toMatchObject({ result: 'voicemail', recordings: [{ key: '55' }] })
    expect(fold(untaken('voicemail_uploaded')).result).toBe('voicemail')
  })
  it('that was blocked stays so after its hangup', () => {
    const events = [...untaken('blocked'), ...untaken('hangup')]
    expect(fold(events).result).toBe('rejected')
    expect(progressOf(events)).toEqual({ ended: true, recording: 'none' })
  })
  it('has tracks where the operator named them, a voicemail has none', () => {
    const tracks = { left: 'agent', right: 'customer' }
    const of = (name: string) =>
      read(JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), 'utf8')).request.body, { tracks })
    expect(fold(of('inbound-admin-recording')).recordings).toMatchObject([{ tracks }])
    expect(fold(of('inbound-voicemail-uploaded')).recordings[0]).not.toHaveProperty('tracks')
  })
  it('in a state that nobody knows says nothing', () => {
    const claims = Buffer.from('{"call_id":7,"state":"constructor"}').toString('base64url')
    expect(received(`e30.${claims}.e30`)).toEqual({ ignored: 'the state constructor is not read' })
  })
  it('between colleagues is internal and has no customer', () => {
    const call = fold(told('internal-hangup'))
    expect(call.direction).toBe('internal')
    expect(call.customer).toBeUndefined()
  })
})

describe('the list', () => {
  it('tells what the last webhooks told, under the same keys, page by page', async () => {
    const world = account()
    const events: CallEvent[] = []
    for (let nth = 0; nth < 53; nth++) {
      events.push(...(await played(world, sample({ id: `c${nth}`, startedAt: NOW - 600_000 - nth }))))
    }
    const again = await listed(world)
    const finished = events.filter(({ phase }) => phase === 'ended' || phase === 'recorded')
    expect(again.map(({ key }) => key).sort()).toEqual(finished.map(({ key }) => key).sort())
    const [first] = finished
    expect(again.find(({ key }) => key === first?.key)).toEqual(first)
    expect(world.sent).toHaveLength(2)
  })
  it('has one key for the end of a call, whatever state its row is in', () => {
    const ctx = { config: config.parse(SETTINGS), region: 'FR' }
    const keys = ['hangup', 'postcall', null, 'missed'].map((state) => {
      const row = callObject.parse({ call_id: 7, state, date_started: NOW, date_ended: NOW + 1000 })
      return endedEvents(row, ctx).map(({ key }) => key)
    })
    expect(keys).toEqual([['7:hangup'], ['7:hangup'], ['7:hangup'], ['7:missed']])
  })
  it('has the calls that began before and may have ended since', async () => {
    const world = account()
    await played(world, sample({ startedAt: NOW - 3 * 3_600_000 }))
    expect(await listed(world)).toHaveLength(2)
    expect(world.sent[0]?.url).toContain(`started_after=${NOW - 5 * 3_600_000}`)
  })
  it('that leads in a circle is given up', async () => {
    const world = account()
    const body = { items: [], cursor: 'same' }
    world.vendor.fail({ fault: { kind: 'status', status: 200, body }, times: 9 })
    expect(await failure(listed(world))).toMatchObject({ code: 'invalid_payload' })
  })
})

describe('a recording', () => {
  const heard = async (world: Account, url?: string) => {
    const call = callSchema.parse(JSON.parse(JSON.stringify(fold(await played(world, sample())))))
    const [recording] = call.recordings
    if (!recording) throw new Error('no recording')
    const change: Partial<Recording> = url === undefined ? {} : { url }
    return fetchRecording?.({ ...recording, ...change }, call, world.ctx)
  }
  it('is asked for with the key', async () => {
    const response = await heard(account())
    expect(new Uint8Array((await response?.arrayBuffer()) ?? [])).toEqual(new Uint8Array([1, 2, 3]))
  })
  it('that leads to the login page is forbidden', async () => {
    const world = account({ apiKey: 'a-key-without-the-scope' })
    expect(await failure(heard(world))).toMatchObject({ code: 'forbidden' })
    expect(world.sent.at(-1)?.url).toContain('/blob/adminrecording/')
  })
  it.each(['https://dialpad.com.example.com/r/1', 'http://dialpad.com/r/1', 'https://evildialpad.com/r/1'])(
    'at %s is not asked for',
    async (url) => {
      const world = account()
      expect(await failure(heard(world, url))).toMatchObject({ code: 'blocked_address' })
      expect(world.sent).toEqual([])
    },
  )
})

describe('the subscription', () => {
  it('is made with the secret and the exact id, once', async () => {
    const world = account()
    await subscribe?.(HOOK, world.ctx)
    await subscribe?.(HOOK, world.ctx)
    const { book } = world.vendor
    const [made] = book().filter(({ kind }) => kind === 'webhook')
    expect(made?.fields).toMatchObject({ hook_url: HOOK, secret: SETTINGS.webhookSecret })
    const [subscribed, ...others] = book().filter(({ kind }) => kind === 'subscription')
    expect(others).toEqual([])
    expect(subscribed?.fields).toMatchObject({ webhook: `#${made?.id}`, enabled: true })
    expect(subscribed?.fields.call_states).toContain('hangup')
  })
  it('whose webhook has another secret gets ours', async () => {
    const world = account()
    await subscribe?.(HOOK, world.ctx)
    const other = {
      ...world.ctx,
      config: config.parse({ ...SETTINGS, webhookSecret: ['new-secret-01', 'old'] }),
    }
    await subscribe?.(HOOK, other)
    const webhooks = world.vendor.book().filter(({ kind }) => kind === 'webhook')
    expect(webhooks).toMatchObject([{ fields: { secret: 'new-secret-01' } }])
    expect(world.vendor.book().filter(({ kind }) => kind === 'subscription')).toHaveLength(1)
  })
})

it('a key that may not list calls is a warning', async () => {
  const world = account()
  world.vendor.fail({ fault: { kind: 'status', status: 403 }, path: '/api/v2/call' })
  const { warnings } = await connector.check(world.ctx)
  expect(warnings).toHaveLength(1)
  expect(warnings?.[0]?.fix).toContain('calls:list')
})
