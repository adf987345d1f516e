import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { config } from '../../connectors/vonage/schema.ts'
import type { Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { progressOf } from '../../src/call/merge.ts'
import { asCordboardError } from '../../src/errors.ts'
import { ENDS, endedAt, fold, NOW, sample, sampleOf } from './telephony-account.ts'
import { baseUrl, CUSTOMER, MOBILE, OWN, open, PEM, SETTINGS } from './vonage-account.ts'

const webhook = (body: object) => ({
  says: 'event',
  method: 'POST',
  path: '',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
})
const time = (s: number) => new Date(NOW + s * 1000).toISOString()
/** One event of a leg, `at` seconds into the call. */
function say(leg: string, status: string, at: number, fields: object, keys = {}): CallEvent[] {
  const event = { uuid: leg, conversation_uuid: 'CON-1', status, timestamp: time(at), ...fields }
  return open(keys).read(webhook(event))
}
const INBOUND = { direction: 'inbound', from: CUSTOMER, to: OWN }
const AGENT = { direction: 'outbound', from: OWN, to: 'alice' }
const OUTBOUND = { direction: 'outbound', from: OWN, to: CUSTOMER }
const span = (from: number, to: number) => ({
  start_time: time(from),
  end_time: time(to),
  duration: String(to - from),
})
const byLeg = { answeredBy: 'leg' }

describe('a call', () => {
  it.each(ENDS)('of the stand-in, $direction, ends $result', (end) => {
    for (const keys of [{}, { ownNumbers: [] }]) {
      const events = open(keys).played(sampleOf(end))
      const call = fold(events)
      expect(call).toMatchObject({ ...end, customer: { phone: `+${CUSTOMER}` } })
      expect(call.totalMs).toBe(end.result === 'answered' ? 68_000 : 8000)
      expect(progressOf(events)).toEqual({
        ended: true,
        recording: end.result === 'answered' ? 'ready' : 'none',
      })
      if (end.result === 'answered')
        expect(call).toMatchObject({ talkMs: 60_000, agent: { extension: '101' } })
    }
  })

  it('is not ended by the end of an agent’s leg', () => {
    const events = [
      ...say('a', 'started', 0, INBOUND),
      ...say('b', 'timeout', 20, AGENT),
      ...say('c', 'busy', 21, { ...AGENT, to: MOBILE }),
      ...say('d', 'completed', 50, { ...AGENT, to: 'sip:101@sip.example.com', ...span(30, 50) }),
    ]
    expect(progressOf(events).ended).toBe(false)
  })

  it.each([
    ['timeout', {}, 'no_answer'],
    ['busy', {}, 'busy'],
    ['unanswered', { detail: 'declined' }, 'rejected'],
    ['failed', {}, 'failed'],
    ['cancelled', {}, 'abandoned'],
  ])('whose agent’s leg ends %s %j is %s, unless another one answers', (status, more, result) => {
    const events = [
      ...say('a', 'answered', 1, INBOUND),
      ...say('b', status, 20, { ...AGENT, ...more }),
      ...say('a', 'completed', 30, { ...INBOUND, ...span(1, 30) }),
    ]
    expect(fold(events)).toMatchObject({ direction: 'inbound', result })
    expect(fold(events).answeredAt).toBeUndefined()
    const other = say('c', 'completed', 29, { ...AGENT, to: 'bob', ...span(22, 29) })
    expect(fold([...events, ...other])).toMatchObject({
      result: 'answered',
      talkMs: 7000,
      agent: { id: 'bob' },
    })
  })

  it('counts from when its leg was taken where that is how it is', () => {
    const events = [
      ...say('a', 'started', 0, INBOUND, byLeg),
      ...say('a', 'answered', 4, INBOUND, byLeg),
      ...say('a', 'completed', 24, { ...INBOUND, ...span(4, 24) }, byLeg),
    ]
    expect(fold(events)).toMatchObject({ result: 'answered', ringMs: 4000, talkMs: 20_000 })
    const untaken = say('a', 'completed', 9, { ...INBOUND, ...span(9, 9) }, byLeg)
    expect(fold(untaken).result).toBe('abandoned')
  })

  it('that calls the agent first is answered when the customer answers, and ends as he does', () => {
    const agent = [
      ...say('b', 'answered', 5, AGENT),
      ...say('b', 'completed', 40, { ...AGENT, ...span(5, 40) }),
    ]
    const answered = [...agent, ...say('o', 'started', 6, OUTBOUND), ...say('o', 'answered', 15, OUTBOUND)]
    const completed = say('o', 'completed', 40, { ...OUTBOUND, ...span(15, 40) })
    expect(fold([...answered, ...completed])).toMatchObject({
      direction: 'outbound',
      result: 'answered',
      talkMs: 25_000,
      customer: { phone: `+${CUSTOMER}` },
      agent: { id: 'alice' },
    })
    expect(fold([...agent, ...say('o', 'busy', 12, OUTBOUND)]).result).toBe('busy')
  })

  it('that is passed on outside keeps its caller as the customer', () => {
    const outside = { direction: 'outbound', from: OWN, to: '442079460123' }
    const events = [
      ...say('a', 'started', 0, INBOUND),
      ...say('x', 'started', 9, outside),
      ...say('x', 'answered', 12, outside),
      ...say('a', 'completed', 30, { ...INBOUND, ...span(1, 30) }),
      ...say('x', 'completed', 31, { ...outside, ...span(12, 31) }),
    ]
    expect(fold(events)).toMatchObject({ direction: 'inbound', customer: { phone: `+${CUSTOMER}` } })
  })

  it.each([
    [{ from_user: 'bob', to: CUSTOMER }, 'outbound', { id: 'bob' }],
    [{ from: 'sip:101@sip.example.com', to: CUSTOMER }, 'outbound', { extension: '101' }],
    [{ from: MOBILE, to: CUSTOMER }, 'outbound', undefined],
    [{ from_user: 'bob', to: 'alice' }, 'internal', { id: 'bob' }],
    [{ from: 'anonymous', to: OWN }, 'inbound', undefined],
  ])('%j that comes in is %s', (ends, direction, agent) => {
    const call = fold(say('s', 'completed', 40, { direction: 'inbound', ...ends, ...span(3, 40) }))
    expect(call.direction).toBe(direction)
    expect(call.agent).toEqual(agent)
    expect(call.customer?.phone ?? null).toBe(direction === 'outbound' ? `+${CUSTOMER}` : null)
  })

  it('that a machine answered is voicemail', () => {
    const events = [
      ...say('o', 'answered', 5, OUTBOUND),
      ...open().read(
        webhook({
          call_uuid: 'o',
          conversation_uuid: 'CON-1',
          status: 'machine',
          timestamp: time(8),
          from: OWN,
          to: CUSTOMER,
        }),
      ),
      ...say('o', 'completed', 20, { ...OUTBOUND, ...span(5, 20) }),
    ]
    expect(fold(events).result).toBe('voicemail')
  })

  it('goes on in the conversation that its leg is moved to', () => {
    const moved = {
      uuid: 'a',
      conversation_uuid_from: 'CON-1',
      conversation_uuid_to: 'CON-2',
      timestamp: time(9),
    }
    const [event] = open().read(webhook(moved))
    expect(event).toMatchObject({ callId: 'CON-1', alsoKnownAs: ['CON-2'] })
    expect(progressOf(event ? [event] : []).ended).toBe(false)
  })

  it('shows why it ended', () => {
    const more = { detail: 'invalid_number', disconnected_by: 'platform', sip_code: 404 }
    const { disconnectReason } = fold(say('o', 'failed', 9, { ...OUTBOUND, ...more }))
    expect(disconnectReason).toBe('failed: invalid_number, by platform, SIP 404')
  })
})

describe('a webhook', () => {
  it.each([
    [299_000, true],
    [301_000, false],
    [-300_000, true],
    [-302_000, false],
  ])('that is checked %i ms after it was signed: %s', async (ms, ok) => {
    const event = webhook({ uuid: 'a', conversation_uuid: 'CON-1', status: 'started', ...INBOUND })
    expect(await open().verified(event, { checkedAfterMs: ms })).toMatchObject({ ok })
  })
  it('is bound to its body', async () => {
    const event = webhook({ uuid: 'a', conversation_uuid: 'CON-1', status: 'busy', ...OUTBOUND })
    const change = (raw: { body: Uint8Array }) => ({
      ...raw,
      body: new TextEncoder().encode(new TextDecoder().decode(raw.body).replace('busy', 'completed')),
    })
    expect(await open().verified(event, { change: change as never })).toMatchObject({ ok: false })
  })
})

describe('a recording', () => {
  const played = (account: ReturnType<typeof open>): Recording => {
    const [recording] = fold(account.played(sample())).recordings
    if (!recording) throw new Error('the stand-in’s answered call has no recording')
    return recording
  }

  it('is fetched with a token of the application', async () => {
    const account = open()
    const response = await account.fetchRecording(played(account), endedAt(NOW))
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(new Uint8Array([1, 2, 3]))
    const [, claims = ''] = account.sent[0]?.authorization?.split('.') ?? []
    const now = Math.floor(NOW / 1000)
    expect(JSON.parse(atob(claims.replaceAll('-', '+').replaceAll('_', '/')))).toEqual({
      application_id: SETTINGS.applicationId,
      iat: now,
      exp: now + 300,
      jti: expect.stringMatching(/^[\da-f]{32}$/),
    })
  })

  it('is refused to the key of another application', async () => {
    const account = open()
    const recording = played(account)
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    const stranger = open({ privateKey: other.export({ format: 'pem', type: 'pkcs8' }).toString() })
    expect(await stranger.fetchRecording(recording, endedAt(NOW)).catch(asCordboardError)).toMatchObject({
      code: 'auth',
    })
  })

  it.each([
    ['https://api.nexmo.com/v1/files/x', true],
    ['https://api-us-3.nexmo.com/v1/files/x', true],
    ['https://api-eu.vonage.com/v1/files/x', true],
    ['http://api-eu.vonage.com/v1/files/x', false],
    ['https://api-eu.vonage.com:8443/v1/files/x', false],
    ['https://vonage.com.evil.example/v1/files/x', false],
    ['https://evilvonage.com/v1/files/x', false],
    ['https://evil.example/v1/files/x?.vonage.com', false],
    [undefined, false],
  ])('at %s is fetched: %s', async (url, isFetched) => {
    const http = async () => new Response('audio')
    const account = open({}, http)
    const outcome = await account
      .fetchRecording({ key: 'r', state: 'ready', ...(url ? { url } : {}) }, endedAt(NOW))
      .then(
        () => 'fetched',
        (error) => asCordboardError(error).code,
      )
    expect(outcome).toBe(isFetched ? 'fetched' : 'blocked_address')
    expect(account.sent).toHaveLength(isFetched ? 1 : 0)
  })

  it.each([
    [60_000, 'later'],
    [901_000, 'never'],
  ])('that is not there %i ms after the end is tried %s', async (age, retry) => {
    const recording = { key: 'r', state: 'ready' as const, url: `${baseUrl}/v1/files/unknown` }
    const failure = await open()
      .fetchRecording(recording, endedAt(NOW - age))
      .catch(asCordboardError)
    expect(failure).toMatchObject({ code: 'not_found', retry })
  })

  it('is gone after thirty days', async () => {
    const account = open()
    const recording = played(account)
    account.clock.now += 31 * 86_400_000
    const failure = await account.fetchRecording(recording, endedAt(NOW)).catch(asCordboardError)
    expect(failure).toMatchObject({ code: 'not_found', retry: 'never' })
  })
})

describe('the list', () => {
  it('tells the same with the same keys as the webhooks', async () => {
    for (const end of ENDS) {
      const account = open()
      const told = account.played(sampleOf(end))
      const listed = await account.listed()
      const keys = new Set(told.map(({ key }) => key))
      expect(listed.map(({ key }) => key).filter((key) => !keys.has(key))).toEqual([])
      expect(fold(listed)).toMatchObject({ ...end, customer: { phone: `+${CUSTOMER}` } })
      expect(fold(listed).talkMs).toBe(fold(told).talkMs)
      expect(progressOf(listed).ended).toBe(true)
    }
  })

  it('reads ends of every kind, and times without a zone as UTC', async () => {
    const row = (uuid: string, to: object, more: object = {}) => ({
      uuid,
      conversation_uuid: 'CON-1',
      status: 'completed',
      direction: 'outbound',
      from: { type: 'phone', number: OWN },
      to,
      start_time: '2026-03-04 11:00:00',
      end_time: '2026-03-04 11:01:00',
      duration: '60',
      ...more,
    })
    const calls = [
      row('a', { type: 'app', user: 'alice' }),
      row('b', { type: 'sip', uri: 'sip:102@sip.example.com' }),
      row('c', { type: 'vbc', extension: '103' }),
      row('d', { type: 'phone', number: CUSTOMER }, { status: 'busy', start_time: null, duration: '0' }),
      row('e', { type: 'phone', number: CUSTOMER }, { status: 'ringing', start_time: null, end_time: null }),
    ]
    const http = async () => Response.json({ _embedded: { calls } })
    const account = open({}, http)
    const events = await account.listed()
    expect(events.map(({ key }) => key)).toEqual([
      'a:completed',
      'b:completed',
      'c:completed',
      'd:busy',
      'd:busy:unless-answered',
    ])
    const call = fold(events)
    expect(call).toMatchObject({ result: 'busy', endedAt: '2026-03-04T11:01:00.000Z' })
    expect(call.legs.map(({ agent }) => agent)).toEqual([
      { id: 'alice' },
      { extension: '102' },
      { extension: '103' },
      undefined,
    ])
  })

  it('is read page by page, from the moment asked for', async () => {
    const account = open()
    for (let i = 0; i < 120; i++) account.vendor.place?.(sample({ id: `${i}`, startedAt: NOW - 600_000 + i }))
    account.vendor.place?.(sample({ id: 'old', startedAt: NOW - 200_000_000 }))
    const events = await account.listed()
    expect(new Set(events.map(({ key }) => key)).size).toBe(120 * 3)
    expect(account.sent).toHaveLength(3)
  })
})

describe('the check', () => {
  it('counts the calls of the application', async () => {
    const account = open()
    account.vendor.place?.(sample())
    expect(await account.check()).toEqual({ says: 'application …89ab reads its calls (2 calls so far)' })
  })
  it('waits when too much is asked', async () => {
    const account = open()
    for (let i = 0; i < 300; i++) await account.check()
    expect(await account.check().catch(asCordboardError)).toMatchObject({ code: 'rate_limited' })
  })
  it('says that a key cannot be read, and not the key', async () => {
    const wrong = btoa(`0${'x'.repeat(700)}`)
    const failure = await open({ privateKey: wrong }).check().catch(asCordboardError)
    expect(failure).toMatchObject({ code: 'config' })
    expect(JSON.stringify([failure, String((failure as Error).cause)])).not.toContain(wrong.slice(0, 40))
  })
})

describe('the private key', () => {
  const body = PEM.replaceAll(/-----[^-]+-----|\s/g, '')
  it.each([
    ['as the file', PEM, true],
    ['on one line', body, true],
    ['with its lines escaped', PEM.trim().replaceAll('\n', '\\n'), true],
    ['of the old form', PEM.replaceAll('PRIVATE', 'RSA PRIVATE'), false],
    ['cut short', body.slice(0, 300), false],
    ['that is public', privateKeyAsPublic(), false],
    ['that is none', 'secret', false],
    ['that is empty', '', false],
  ])('%s', (_, text, isTaken) => {
    expect(config.safeParse({ ...SETTINGS, privateKey: text }).success).toBe(isTaken)
  })
  function privateKeyAsPublic(): string {
    return PEM.replaceAll('PRIVATE', 'PUBLIC')
  }
})
