import { createHmac } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { connector } from '../../connectors/twilio/connector.ts'
import { createSandbox } from '../../connectors/twilio/sandbox.ts'
import { config } from '../../connectors/twilio/schema.ts'
import { call as callSchema, type Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { foldEvents, progressOf } from '../../src/call/merge.ts'
import { createContext } from '../../src/connector/context.ts'
import type { HttpFetch } from '../../src/connector/platform.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { verifyRequest } from '../../src/connector/verify.ts'
import { asCordboardError } from '../../src/errors.ts'
import { fetchFrom } from '../kit/in-process.ts'
import { testSigner } from '../kit/signer.ts'

const TOKEN = '0123456789abcdef0123456789abcdef'
const NOW = Date.parse('2026-03-04T11:30:00.000Z')
const SETTINGS = {
  accountSid: 'AC00000000000000000000000000000001',
  authToken: TOKEN,
  ownNumbers: ['+33199001234'],
}
const { webhook, recording: fetchRecording, calls: listCalls } = connector.telephony ?? {}
const silent = () => undefined

function account(keys: Record<string, unknown> = {}, now = NOW) {
  const settings = { ...SETTINGS, ...keys }
  let seed = 7
  const random = () => {
    seed = (seed * 16807) % 2147483647
    return seed / 2147483647
  }
  const vendor = createSandbox({
    now: () => now,
    random,
    later: silent,
    baseUrl: 'https://api.twilio.com',
    signer: testSigner,
    account: settings,
    deliver: async () => ({ status: 200 }),
    transcriptOf: () => null,
  })
  const sent: { url: string; authorization: string | undefined; redirects: number }[] = []
  const direct = fetchFrom(vendor.app)
  const http: HttpFetch = (url, request) => {
    sent.push({ url: url.href, authorization: request.headers.authorization, redirects: request.redirects })
    return direct(url, request)
  }
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
    http,
    budgets: { take: () => 0 },
    tokens: createMemoryTokens({ now: () => NOW }),
    now: () => now,
    random,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    signal: new AbortController().signal,
  })
  return { vendor, sent, ctx: { ...ctx, config: parsed } }
}

const sample = (changes: Partial<SampleCall> = {}): SampleCall => ({
  id: 'one',
  direction: 'inbound',
  customerPhone: '+33639980142',
  ownPhone: '+33199001234',
  agent: { extension: '101', name: 'alice' },
  result: 'answered',
  startedAt: NOW - 600_000,
  ringMs: 8000,
  talkMs: 60_000,
  audio: { bytes: new Uint8Array([1, 2, 3]), format: 'mp3', durationMs: 60_000 },
  ...changes,
})

function read(fields: Record<string, string>, query = '', keys: Record<string, unknown> = {}): CallEvent[] {
  const request = inboundRequest({
    method: 'POST',
    url: `https://hooks.example.com/hooks/pbx/status${query}`,
    path: '/status',
    headers: [['content-type', 'application/x-www-form-urlencoded']],
    body: new TextEncoder().encode(new URLSearchParams(fields).toString()),
    receivedAt: new Date(NOW).toISOString(),
  })
  const ctx = { connection: 'pbx', config: config.parse({ ...SETTINGS, ...keys }), region: 'FR' }
  const received = webhook?.receive(request, ctx)
  return received && 'events' in received ? received.events : []
}

const played = (vendor: ReturnType<typeof account>['vendor'], call: SampleCall) =>
  (vendor.place?.(call) ?? []).flatMap(({ body }) => read(Object.fromEntries(new URLSearchParams(body))))

const fold = (events: CallEvent[]) => foldEvents(events, { id: 'call_1', connection: 'pbx' })

async function listed(ctx: ReturnType<typeof account>['ctx'], since = NOW - 3_600_000) {
  const events: CallEvent[] = []
  for await (const page of listCalls?.(new Date(since).toISOString(), ctx) ?? []) events.push(...page)
  return events
}

describe('the signature', () => {
  it('of every fixture is the documented one, computed without the connector', () => {
    const folder = new URL('../../connectors/twilio/fixtures/', import.meta.url)
    let checked = 0
    for (const file of readdirSync(folder).filter((name) => /^(vector|inbound)-/.test(name))) {
      const { config: keys, hookUrl, request } = JSON.parse(readFileSync(new URL(file, folder), 'utf8'))
      let text = `${hookUrl}${request.path}${request.query ? `?${request.query}` : ''}`
      if (request.headers['content-type'].includes('form')) {
        const form = new URLSearchParams(request.body)
        for (const name of [...new Set(form.keys())].sort()) {
          for (const value of [...new Set(form.getAll(name))].sort()) text += name + value
        }
      }
      const expected = createHmac('sha1', keys?.authToken ?? TOKEN)
        .update(text)
        .digest('base64')
      expect(request.headers['x-twilio-signature'], file).toBe(expected)
      checked++
    }
    expect(checked).toBe(11)
  })

  const called = "https://hooks.example.com/hooks/pbx?b=it's&a=1+2&b=x"
  it.each([
    ['as called', called],
    ['with the port', called.replace('.com', '.com:443')],
    ['normalised', called.replace("'", '%27')],
    ['normalised, with the port', called.replace("'", '%27').replace('.com', '.com:443')],
    ['as querystring writes it', "https://hooks.example.com/hooks/pbx?b=it's&b=x&a=1%202"],
    ['as querystring writes it, with the port', "https://hooks.example.com:443/hooks/pbx?b=it's&b=x&a=1%202"],
  ])('fits a URL %s', async (_, signed) => {
    expect(await verified(called, signed)).toMatchObject({ ok: true })
  })
  it('fits a URL without the port that it was called with', async () => {
    const url = 'https://hooks.example.com:8443/hooks/pbx'
    expect(await verified(url, 'https://hooks.example.com/hooks/pbx')).toMatchObject({ ok: true })
  })
  it.each([
    ['another path', 'https://hooks.example.com/hooks/pbx2'],
    ['another host', 'https://hooks.example.org/hooks/pbx'],
    ['another scheme', 'http://hooks.example.com/hooks/pbx'],
    ['another port', 'https://hooks.example.com:8443/hooks/pbx'],
  ])('does not fit %s', async (_, signed) => {
    expect(await verified('https://hooks.example.com/hooks/pbx', signed)).toMatchObject({ ok: false })
  })
  it('covers a second bodySHA256 too', async () => {
    const right = testSigner.digest('sha256', '{}') as Uint8Array
    const hex = Buffer.from(right).toString('hex')
    const url = `https://hooks.example.com/hooks/pbx?bodySHA256=${hex}`
    expect(await verified(url, url, '{}', 'application/json')).toMatchObject({ ok: true })
    const both = `${url}&bodySHA256=${hex.replace(/^./, (first) => (first === '0' ? '1' : '0'))}`
    expect(await verified(both, both, '{}', 'application/json')).toMatchObject({ ok: false })
  })
  it('of a GET covers no body', async () => {
    const url = 'https://hooks.example.com/hooks/pbx'
    expect(await verified(url, url, '', '', 'GET')).toMatchObject({ ok: true })
    const form = 'application/x-www-form-urlencoded'
    expect(await verified(url, url, 'CallStatus=completed', form, 'GET')).toMatchObject({ ok: false })
  })

  async function verified(url: string, signed: string, body = '', type = '', method = 'POST') {
    const signature = createHmac('sha1', TOKEN).update(signed).digest('base64')
    const headers: [string, string][] = [['x-twilio-signature', signature]]
    if (type) headers.push(['content-type', type])
    const raw = { method, url, path: '', headers, body: new TextEncoder().encode(body), receivedAt: '' }
    const verification = webhook?.verify(config.parse(SETTINGS))
    if (!verification) throw new Error('no webhook')
    return verifyRequest(inboundRequest(raw), verification, { now: NOW, signer: testSigner })
  }
})

describe('a call', () => {
  it('inbound: the agent’s leg belongs to it, and its answer times the talk', () => {
    const { vendor } = account()
    const events = played(vendor, sample())
    expect(fold(events)).toMatchObject({
      direction: 'inbound',
      result: 'answered',
      startedAt: new Date(NOW - 600_000).toISOString(),
      talkMs: 60_000,
      totalMs: 68_000,
      customer: { phone: '+33639980142' },
      agent: { id: 'alice' },
      recordings: [{ state: 'ready', channels: 2 }],
    })
    expect(fold(events).legs).toHaveLength(2)
    expect(new Set(events.map((event) => event.callId)).size).toBe(1)
    expect(progressOf(events)).toEqual({ ended: true, recording: 'ready' })
  })
  it('inbound is not ended by the end of a leg', () => {
    const { vendor } = account()
    const legs = played(vendor, sample()).filter((event) => event.alsoKnownAs)
    expect(legs).toHaveLength(4)
    expect(progressOf(legs).ended).toBe(false)
  })
  it('missed waits for no recording', () => {
    const { vendor } = account()
    const { audio: _, ...missed } = sample({ result: 'no_answer', id: 'missed' })
    const events = played(vendor, missed)
    expect(fold(events)).toMatchObject({ direction: 'inbound', result: 'no_answer' })
    expect(progressOf(events)).toEqual({ ended: true, recording: 'none' })
  })
  it('outbound: the customer is who was called', () => {
    const { vendor } = account()
    const events = played(vendor, sample({ direction: 'outbound', id: 'out' }))
    expect(fold(events)).toMatchObject({
      direction: 'outbound',
      customer: { phone: '+33639980142' },
      agent: { id: 'alice' },
      talkMs: 60_000,
    })
  })

  const root = { CallSid: 'CA1', CallStatus: 'completed', Direction: 'outbound-api', From: '+33199001234' }
  const child = { CallSid: 'CA2', ParentCallSid: 'CA1', CallStatus: 'completed', Direction: 'outbound-dial' }
  it('that calls the agent first has the customer on the child leg', () => {
    const events = [
      ...read({ ...root, To: 'sip:101@acme.sip.twilio.com' }),
      ...read({ ...child, From: '+33199001234', To: '+447700900123' }),
    ]
    expect(fold(events)).toMatchObject({
      direction: 'outbound',
      customer: { phone: '+447700900123' },
      agent: { extension: '101' },
    })
  })
  it('that is forwarded keeps its caller as the customer', () => {
    const events = [
      ...read({ ...root, Direction: 'inbound', From: '+33639980142', To: '+33199001234' }),
      ...read({ ...child, From: '+33199001234', To: '+447700900123' }),
    ]
    expect(fold(events)).toMatchObject({ direction: 'inbound', customer: { phone: '+33639980142' } })
  })
  it('from a softphone to a softphone is internal and has no customer', () => {
    const call = fold(read({ ...root, Direction: 'inbound', From: 'client:alice', To: 'client:bob' }))
    expect(call.direction).toBe('internal')
    expect(call.customer).toBeUndefined()
  })
  it.each([
    ['trunking-originating', 'inbound'],
    ['trunking-terminating', 'outbound'],
  ])('%s is %s', (said, direction) => {
    expect(read({ ...root, Direction: said, To: '+447700900123' })[0]?.facts.direction).toBe(direction)
  })
  it.each([
    ['that calls the agent first', { ...root, To: 'sip:101@acme.sip.twilio.com' }],
    ['of a softphone', { ...root, Direction: 'inbound', From: 'client:alice' }],
  ])('%s is answered when the customer answers, not when the agent’s own leg does', (_, own) => {
    const at = (minute: number) => ({ Timestamp: `Wed, 04 Mar 2026 11:${minute}:00 +0000` })
    const far = { ...child, From: '+33199001234', To: '+447700900123' }
    const legs = [
      ...read({ ...own, CallStatus: 'initiated', ...at(10) }),
      ...read({ ...own, CallStatus: 'in-progress', ...at(11) }),
      ...read({ ...own, ...at(20) }),
    ]
    const missed = [...legs, ...read({ ...far, CallStatus: 'no-answer', ...at(19) })]
    expect(fold(missed)).toMatchObject({ direction: 'outbound', result: 'no_answer' })
    expect(fold(missed).answeredAt).toBeUndefined()
    expect(progressOf(missed)).toEqual({ ended: true, recording: 'none' })
    const taken = [
      ...legs,
      ...read({ ...far, CallStatus: 'in-progress', ...at(12) }),
      ...read({ ...far, ...at(19) }),
    ]
    expect(fold(taken)).toMatchObject({ result: 'answered', answeredAt: '2026-03-04T11:12:00.000Z' })
    expect(fold(read({ ...own, CallStatus: 'no-answer', ...at(20) })).result).toBe('no_answer')
  })
  it('in a conference is held together by the call that the signed URL names', () => {
    const events = [
      ...read({ ...root, Direction: 'inbound', From: '+33639980142', To: '+33199001234' }),
      ...read({ ...root, CallSid: 'CA3', From: '+33199001234', To: 'client:alice' }, '?call=CA1'),
      ...read({ ConferenceSid: 'CF1', RecordingSid: 'RE1', RecordingStatus: 'completed' }, '?call=CA1'),
    ]
    expect(new Set(events.map((event) => event.callId))).toEqual(new Set(['CA1']))
    expect(events[1]?.alsoKnownAs).toEqual(['CA3'])
    expect(fold(events)).toMatchObject({
      direction: 'inbound',
      customer: { phone: '+33639980142' },
      agent: { id: 'alice' },
      recordings: [{ key: 'RE1' }],
    })
    expect(read({ ConferenceSid: 'CF1', RecordingSid: 'RE1', RecordingStatus: 'completed' })).toEqual([])
    expect(read({ ...root, To: '+447700900123' }, '?call=../x')[0]?.callId).toBe('CA1')
  })
  it('that left a message is a voicemail where the signed URL says so', () => {
    const events = read({ ...root, Direction: 'inbound', From: '+33639980142', To: '+33199001234' })
    const left = { CallSid: 'CA1', RecordingSid: 'RE1', RecordingSource: 'RecordVerb' }
    const message = read({ ...left, RecordingStatus: 'completed' }, '?result=voicemail')
    expect(fold([...events, ...message]).result).toBe('voicemail')
    const nothing = read({ ...left, RecordingStatus: 'absent' }, '?result=voicemail')
    expect(fold([...events, ...nothing]).result).toBe('answered')
    const other = read({ ...left, RecordingStatus: 'completed' }, '?result=busy')
    expect(fold([...events, ...other]).result).toBe('answered')
  })
  it('takes what the operator wrote on the signed URL', () => {
    const [event] = read({ ...root, To: '+447700900123' }, '?segment=sales&reference=A-1&queue=vip&x=y')
    expect(event?.facts).toMatchObject({ segment: 'sales', reference: 'A-1', agent: { group: 'vip' } })
  })
})

describe('a recording', () => {
  const aCall = (endedAt: number) =>
    callSchema.parse({
      id: 'call_1',
      source: { connection: 'pbx', callId: 'CA1' },
      endedAt: new Date(endedAt).toISOString(),
    })
  const kept = (changes: Partial<Recording> = {}): Recording => ({
    key: 'RE1',
    format: 'mp3',
    state: 'ready',
    ...changes,
  })
  const accounts = 'https://api.twilio.com/2010-04-01/Accounts'

  it.each([
    ['of our host', `${accounts}/AC9/Recordings/RE1`, `${accounts}/AC9/Recordings/RE1.mp3`],
    [
      'of our host, with an extension',
      `${accounts}/AC9/Recordings/RE1.wav`,
      `${accounts}/AC9/Recordings/RE1.mp3`,
    ],
    ['of another host', 'https://evil.example/RE1', `${accounts}/${SETTINGS.accountSid}/Recordings/RE1.mp3`],
    [
      'of another scheme',
      'http://api.twilio.com/RE1',
      `${accounts}/${SETTINGS.accountSid}/Recordings/RE1.mp3`,
    ],
    [
      'that tricks',
      'https://api.twilio.com@evil.example/RE1',
      `${accounts}/${SETTINGS.accountSid}/Recordings/RE1.mp3`,
    ],
  ])('with a URL %s is asked of Twilio only', async (_, url, expected) => {
    const { ctx, sent } = account()
    await fetchRecording?.(kept({ url, channels: 2 }), aCall(NOW), ctx).catch(silent)
    expect(sent).toEqual([
      {
        url: `${expected}?RequestedChannels=2`,
        authorization: `Basic ${btoa(`${SETTINGS.accountSid}:${TOKEN}`)}`,
        redirects: 3,
      },
    ])
  })
  it.each([
    [60_000, 'later'],
    [7_200_000, 'never'],
  ])('that is not there %i ms after the end is tried %s', async (age, retry) => {
    const { ctx } = account()
    const failure = await fetchRecording?.(kept(), aCall(NOW - age), ctx).catch(asCordboardError)
    expect(failure).toMatchObject({ code: 'not_found', retry })
  })
  it('of two channels says who is on which only when that is known', () => {
    const of = (source: string, query: string, keys = {}) =>
      read(
        {
          CallSid: 'CA1',
          RecordingSid: 'RE1',
          RecordingStatus: 'completed',
          RecordingChannels: '2',
          RecordingSource: source,
        },
        query,
        keys,
      )[0]?.facts.recordings?.[0]?.tracks
    expect(of('DialVerb', '')).toBeUndefined()
    expect(of('DialVerb', '?direction=inbound')).toEqual({ left: 'customer', right: 'agent' })
    expect(of('DialVerb', '?direction=outbound')).toBeUndefined()
    expect(of('Conference', '?direction=inbound')).toBeUndefined()
    expect(of('Conference', '', { tracks: { left: 'agent', right: 'customer' } })).toEqual({
      left: 'agent',
      right: 'customer',
    })
  })
})

describe('the lists', () => {
  it('tell the same with the same keys as the webhooks', async () => {
    const { vendor, ctx } = account()
    const told = played(vendor, sample())
    const events = await listed(ctx)
    const keys = new Set(told.map((event) => event.key))
    expect(events.map((event) => event.key).filter((key) => !keys.has(key))).toEqual([])
    expect(fold(events)).toMatchObject({
      direction: 'inbound',
      result: 'answered',
      customer: { phone: '+33639980142' },
      agent: { id: 'alice' },
      startedAt: new Date(NOW - 600_000).toISOString(),
      recordings: [{ state: 'ready' }],
    })
  })
  it('are read page by page, from the moment asked for', async () => {
    const { vendor, ctx, sent } = account()
    for (let i = 0; i < 300; i++) vendor.place?.(sample({ id: `call-${i}`, startedAt: NOW - 600_000 + i }))
    vendor.place?.(sample({ id: 'old', startedAt: NOW - 7_200_000 }))
    const events = await listed(ctx)
    expect(new Set(events.map((event) => event.key)).size).toBe(900)
    expect(sent).toHaveLength(3)
  })
})

describe('a page of the lists', () => {
  const row = {
    sid: 'RE1',
    call_sid: 'CA1',
    status: 'completed',
    channels: 1,
    duration: '9',
    error_code: null,
  }
  const answering = (recordings: unknown[], next_page_uri: string | null = null) => {
    const { ctx } = account()
    const asked: URL[] = []
    const fetch = async (url: string | URL) => {
      asked.push(new URL(url))
      if (String(url).includes('/Calls.json')) return Response.json({ calls: [], next_page_uri: null })
      return Response.json({ recordings, next_page_uri: asked.length > 2 ? null : next_page_uri })
    }
    return { asked, ctx: { ...ctx, fetch } }
  }
  it('is read although a recording on it names no call, or has no channel', async () => {
    const rows = [{ ...row, sid: 'RE2', call_sid: null }, { ...row, sid: 'RE3', channels: 0 }, row]
    const events = await listed(answering(rows).ctx)
    expect(events.map((event) => event.key)).toEqual(['RE3:completed', 'RE1:completed'])
  })
  it('may lead to the next one by a long address', async () => {
    const { asked, ctx } = answering([row], `/2010-04-01/next?PageToken=${'P'.repeat(300)}`)
    await listed(ctx)
    expect(asked).toHaveLength(3)
  })
})

describe('the end of what is listed', () => {
  it('leaves out calls that begin there, not the legs and recordings of those before', async () => {
    const { vendor, ctx } = account()
    const edge = NOW - 600_000
    vendor.place?.(sample({ id: 'before', startedAt: edge - 5000, direction: 'outbound' }))
    vendor.place?.(sample({ id: 'after', startedAt: edge + 1000, customerPhone: '+447700900123' }))
    const events: CallEvent[] = []
    const until = new Date(edge).toISOString()
    for await (const page of listCalls?.(new Date(NOW - 3_600_000).toISOString(), ctx, until) ?? [])
      events.push(...page)
    const roots = events.filter((event) => event.phase === 'ended')
    expect(roots).toHaveLength(1)
    const its = events.filter((event) => event.callId === roots[0]?.callId)
    expect(fold(its)).toMatchObject({ agent: { id: 'alice' }, recordings: [{ state: 'ready' }] })
  })
})

describe('the check', () => {
  it('reads the account with the token, the recordings with an API key', async () => {
    const token = account()
    expect(await connector.check(token.ctx)).toEqual({ says: 'account …0001 is active (Full)' })
    const key = account({ apiKeySid: `SK${'0'.repeat(32)}`, apiKeySecret: 'key-secret' })
    expect(await connector.check(key.ctx)).toEqual({ says: 'account …0001: the API key reads recordings' })
    expect(key.sent[0]?.authorization).toBe(`Basic ${btoa(`SK${'0'.repeat(32)}:key-secret`)}`)
  })
  it('is refused with another token', async () => {
    const { vendor } = account()
    const { ctx } = account({ authToken: 'f'.repeat(32) })
    const wrong = {
      ...ctx,
      fetch: async (url: string | URL, init: object = {}) => vendor.app.request(String(url), init),
    }
    expect(await Promise.resolve(connector.check(wrong)).catch(asCordboardError)).toMatchObject({
      code: 'auth',
    })
  })
})

describe('the configuration', () => {
  it('wants both halves of an API key', () => {
    expect(config.safeParse({ ...SETTINGS, apiKeySid: `SK${'0'.repeat(32)}` }).success).toBe(false)
    expect(config.safeParse({ ...SETTINGS, accountSid: 'AC1' }).success).toBe(false)
  })
})
