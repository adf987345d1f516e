import { describe, expect, it } from 'vitest'
import { config } from '../../connectors/plivo/schema.ts'
import type { Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { progressOf } from '../../src/call/merge.ts'
import type { RawRequest } from '../../src/connector/request.ts'
import { asCordboardError } from '../../src/errors.ts'
import { baseUrl, CUSTOMER, open, SETTINGS } from './plivo-account.ts'
import { ENDS, endedAt, fold, NOW, sample, sampleOf } from './telephony-account.ts'

const form = (fields: Record<string, string>, path = '/hangup') => ({
  says: 'callback',
  method: 'POST',
  path,
  headers: {
    'content-type': 'application/x-www-form-urlencoded',
    'x-plivo-signature-v3-nonce': '12345678901234567890',
  },
  body: new URLSearchParams(fields).toString(),
})
const say = (fields: Record<string, string>, keys = {}): CallEvent[] => open(keys).read(form(fields))

const INBOUND = { CallUUID: 'a', Direction: 'inbound', From: CUSTOMER, To: '33199001234' }
const HANGUP = {
  ...INBOUND,
  CallStatus: 'completed',
  HangupCause: 'NORMAL_CLEARING',
  StartTime: '2026-03-04 11:20:00',
  AnswerTime: '2026-03-04 11:20:01',
  EndTime: '2026-03-04 11:22:00',
  Duration: '119',
}
const DIAL = {
  DialALegUUID: 'a',
  DialBLegUUID: 'b',
  DialBLegFrom: '33199001234',
  DialBLegTo: 'sip:101@phone.plivo.com',
}
const byDial = { answeredBy: 'dial' }

describe('a call', () => {
  it.each(ENDS)('of the stand-in, $direction, ends $result', (end) => {
    for (const keys of [{}, byDial]) {
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

  it('is not ended by the end of a dialled leg', () => {
    const events = [
      ...say({ ...INBOUND, CallStatus: 'in-progress' }),
      ...say({ ...DIAL, DialAction: 'hangup', DialBLegDuration: '0', DialBLegHangupCause: 'USER_BUSY' }),
    ]
    expect(progressOf(events).ended).toBe(false)
  })

  it('is the one of the A leg that a callback names', () => {
    const [event] = say({ ...INBOUND, CallUUID: 'b', ALegUUID: 'a', CallStatus: 'in-progress' })
    expect(event).toMatchObject({ callId: 'a', key: 'b:in-progress' })
  })

  it('goes on when a leg hangs up that names another one as its A leg', () => {
    const ends = { Direction: 'outbound', From: '33199001234', To: 'sip:101@phone.plivo.com' }
    const leg = { ...HANGUP, ...ends, CallUUID: 'b', ALegUUID: 'a' }
    const events = [...say({ ...INBOUND, CallStatus: 'in-progress' }), ...say(leg)]
    expect(progressOf(events).ended).toBe(false)
    expect(fold(events)).toMatchObject({
      direction: 'inbound',
      result: 'answered',
      talkMs: 119_000,
      agent: { extension: '101' },
      customer: { phone: `+${CUSTOMER}` },
    })
    // Its own callback of <Dial> says the same.
    const dialled = say({ ...DIAL, DialAction: 'hangup', DialBLegDuration: '119' }).map(({ key }) => key)
    expect(say(leg).map(({ key }) => key)).toEqual(expect.arrayContaining(dialled))
    const first = { ...HANGUP, CallUUID: 'a', ALegUUID: 'a' }
    expect(progressOf(say(first)).ended).toBe(true)
  })

  it('that nobody answered is busy when the agent was', () => {
    const busy = { ...DIAL, DialAction: 'hangup', DialBLegDuration: '0', DialBLegHangupCause: 'USER_BUSY' }
    expect(fold([...say(busy, byDial), ...say(HANGUP, byDial)]).result).toBe('busy')
    const other = { ...DIAL, DialBLegUUID: 'c', DialAction: 'connected' }
    expect(fold([...say(busy, byDial), ...say(other, byDial), ...say(HANGUP, byDial)]).result).toBe(
      'answered',
    )
  })

  it('that nobody was put through to is abandoned where the dial decides', () => {
    const events = say(HANGUP, byDial)
    expect(fold(events)).toMatchObject({ result: 'abandoned', direction: 'inbound' })
    expect(fold(events).talkMs).toBeUndefined()
    expect(fold(say(HANGUP))).toMatchObject({ result: 'answered', talkMs: 119_000 })
    const answered = [
      ...events,
      ...say({ ...DIAL, DialAction: 'answer' }, byDial),
      ...say(
        { ...DIAL, DialAction: 'hangup', DialBLegDuration: '90', DialBLegHangupCause: 'NORMAL_CLEARING' },
        byDial,
      ),
    ]
    expect(fold(answered)).toMatchObject({ result: 'answered', talkMs: 90_000, agent: { extension: '101' } })
  })

  it.each([
    ['connected', '60', 'NORMAL_CLEARING', 'answered'],
    [undefined, '0', 'USER_BUSY', 'busy'],
    [undefined, '0', 'NO_ANSWER', 'no_answer'],
  ])(
    'that calls the agent first ends as the customer’s leg does: %s %s %s',
    (action, length, cause, result) => {
      const customer = { ...DIAL, DialBLegTo: CUSTOMER }
      const events = [
        ...say(
          { ...HANGUP, Direction: 'outbound', From: '33199001234', To: 'sip:101@phone.plivo.com' },
          byDial,
        ),
        ...(action ? say({ ...customer, DialAction: action }, byDial) : []),
        ...say(
          { ...customer, DialAction: 'hangup', DialBLegDuration: length, DialBLegHangupCause: cause },
          byDial,
        ),
      ]
      expect(fold(events)).toMatchObject({
        direction: 'outbound',
        result,
        customer: { phone: `+${CUSTOMER}` },
        agent: { extension: '101' },
      })
    },
  )

  it('that is forwarded to an outside phone keeps its caller as the customer', () => {
    const events = [...say({ ...DIAL, DialBLegTo: '442079460123', DialAction: 'connected' }), ...say(HANGUP)]
    expect(fold(events)).toMatchObject({ direction: 'inbound', customer: { phone: `+${CUSTOMER}` } })
  })

  it('between SIP endpoints is internal and has no customer', () => {
    const call = fold(say({ ...HANGUP, From: 'sip:101@phone.plivo.com', To: 'sip:102@phone.plivo.com' }))
    expect(call.direction).toBe('internal')
    expect(call.customer).toBeUndefined()
  })

  it.each([
    ['completed', 'inbound', undefined, 'answered'],
    ['busy', 'inbound', undefined, 'busy'],
    ['failed', 'outbound', 'UNALLOCATED_NUMBER', 'failed'],
    ['failed', 'outbound', 'CALL_REJECTED', 'rejected'],
    ['failed', 'outbound', 'NORMAL_CLEARING', 'failed'],
    ['timeout', 'outbound', undefined, 'no_answer'],
    ['no-answer', 'inbound', undefined, 'no_answer'],
    ['cancel', 'inbound', undefined, 'abandoned'],
    ['cancel', 'outbound', undefined, 'no_answer'],
  ])('with the status %s, %s, %s is %s', (status, direction, cause, result) => {
    const ends = direction === 'inbound' ? INBOUND : { ...INBOUND, From: INBOUND.To, To: INBOUND.From }
    const fields = {
      ...ends,
      Direction: direction,
      CallStatus: status,
      ...(cause ? { HangupCause: cause } : {}),
    }
    expect(fold(say(fields)).result).toBe(result)
  })

  it('has its times in the zone that the connection names', () => {
    expect(fold(say(HANGUP)).startedAt).toBe('2026-03-04T11:20:00.000Z')
    expect(fold(say(HANGUP, { timeZone: 'Asia/Kolkata' })).startedAt).toBe('2026-03-04T05:50:00.000Z')
  })

  it('takes any number with its country code for what it is, whatever the region', () => {
    for (const number of ['442079460123', '12025550142', '33639980142']) {
      expect(fold(say({ ...HANGUP, From: number })).customer).toMatchObject({
        phone: `+${number}`,
        phoneRaw: number,
      })
    }
  })
})

describe('the signature', () => {
  const spoil = (change: (raw: RawRequest, headers: Headers) => Partial<RawRequest>) => (raw: RawRequest) => {
    const headers = new Headers(raw.headers as Headers)
    return { ...raw, ...change(raw, headers), headers }
  }
  it.each([
    ['as it came', () => ({}), true],
    ['with another query', (raw: RawRequest) => ({ url: `${raw.url}?a=1` }), false],
    ['under another path', (raw: RawRequest) => ({ url: `${raw.url}/x` }), false],
    [
      'as a GET',
      (raw: RawRequest) => ({ method: 'GET', url: `${raw.url}?${new TextDecoder().decode(raw.body)}` }),
      false,
    ],
    ['with a field more', () => ({ body: new TextEncoder().encode(`${form(HANGUP).body}&x=1`) }), false],
    [
      'with the fields in another order',
      () => ({ body: new TextEncoder().encode(form(HANGUP).body.split('&').reverse().join('&')) }),
      true,
    ],
  ])('%s', async (_, change, ok) => {
    expect(await open().verified(form(HANGUP), { change: spoil(change) })).toMatchObject({ ok })
  })

  it('covers a query in any order, and the point that stands behind it', async () => {
    const account = open()
    const asked = { ...form(HANGUP), query: 'b=2&a=1&a=0' }
    const move = spoil((raw) => ({ url: raw.url.replace('b=2&a=1&a=0', 'a=0&a=1&b=2') }))
    expect(await account.verified(asked, { change: move })).toMatchObject({ ok: true })
    const empty = spoil((raw) => ({ url: raw.url.replace(/\?.*/, '') }))
    expect(await account.verified(asked, { change: empty })).toMatchObject({ ok: false })
  })

  it('of a long list is looked at so far', async () => {
    const many = spoil((_, headers) => {
      const right = headers.get('x-plivo-signature-v3') ?? ''
      headers.set('x-plivo-signature-v3', `${'AAAA,'.repeat(8)}${right}`)
      return {}
    })
    expect(await open().verified(form(HANGUP), { change: many })).toMatchObject({ ok: false })
  })
})

describe('a recording', () => {
  const BASIC = `Basic ${btoa(`${SETTINGS.authId}:${SETTINGS.authToken}`)}`
  const path = `${baseUrl}/v1/Account/${SETTINGS.authId}/Recording`
  const played = (account: ReturnType<typeof open>): Recording => {
    const [recording] = fold(account.played(sample())).recordings
    if (!recording) throw new Error('the stand-in’s answered call has no recording')
    return recording
  }

  it('is fetched by its address, with credentials', async () => {
    const account = open()
    const response = await account.fetchRecording(played(account), endedAt(NOW))
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(new Uint8Array([1, 2, 3]))
    expect(account.sent).toHaveLength(1)
    expect(account.sent[0]?.authorization).toBe(BASIC)
  })

  it('without an address is looked up first', async () => {
    const account = open()
    const { url: _, ...recording } = played(account)
    await account.fetchRecording(recording, endedAt(NOW))
    expect(account.sent.map(({ url }) => url.href)).toEqual([
      `${path}/${recording.key}/`,
      `${path}/${recording.key}.mp3`,
    ])
  })

  it.each([
    ['https://media.plivo.com/v1/Account/MA1/Recording/r.mp3', true],
    ['https://s3.amazonaws.com/recordings/r.mp3', false],
    ['https://media.plivo.com.evil.example/r.mp3', false],
    ['http://s3.amazonaws.com/recordings/r.mp3', false],
    ['http://media.plivo.com/r.mp3', true],
  ])('at %s is fetched with credentials: %s', async (url, isTheirs) => {
    const http = async () => new Response('audio')
    const account = open({}, http)
    await account.fetchRecording({ key: 'r', state: 'ready', url }, endedAt(NOW))
    expect(account.sent[0]?.authorization).toBe(isTheirs ? BASIC : undefined)
    expect(account.sent[0]?.url.href).toMatch(/^https:/)
  })

  it.each([
    [401, 'auth', 'gone'],
    [403, 'forbidden', 'gone'],
    [500, 'vendor_down', 'vendor_down'],
  ])('that is refused with %i is %s with Plivo, %s elsewhere', async (status, theirs, others) => {
    const http = async () => new Response('no', { status })
    const account = open({}, http)
    for (const [url, code] of [
      [`${path}/r.mp3`, theirs],
      ['https://s3.amazonaws.com/r.mp3', others],
    ] as const) {
      const failure = await account
        .fetchRecording({ key: 'r', state: 'ready', url }, endedAt(NOW))
        .catch(asCordboardError)
      expect(failure).toMatchObject({ code })
    }
  })

  it.each([
    [60_000, 'later'],
    [901_000, 'never'],
  ])('that is not there %i ms after the end is tried %s', async (age, retry) => {
    const account = open()
    for (const recording of [
      { key: 'unknown', state: 'ready' as const, url: `${path}/unknown.mp3` },
      { key: 'unknown', state: 'ready' as const },
      { key: '../Call', state: 'ready' as const },
    ]) {
      const failure = await account.fetchRecording(recording, endedAt(NOW - age)).catch(asCordboardError)
      expect(failure).toMatchObject({ code: 'not_found', retry })
    }
  })

  it('that has only begun is waited for, and has no address yet', () => {
    const begun = {
      CallUUID: 'a',
      RecordingID: 'r',
      RecordUrl: 'https://media.plivo.com/r.mp3',
      RecordingDuration: '-1',
    }
    const events = [...say(HANGUP), ...say(begun)]
    expect(progressOf(events).recording).toBe('pending')
    expect(fold(events).recordings[0]?.url).toBeUndefined()
    const done = say({ ...begun, RecordingDuration: '127', RecordingDurationMs: '127040' })
    expect(progressOf([...done, ...events]).recording).toBe('ready')
    expect(fold([...done, ...events]).recordings).toHaveLength(1)
  })
})

describe('the lists', () => {
  it('tell the same with the same keys as the webhooks', async () => {
    for (const end of ENDS) {
      const account = open()
      const told = account.played(sampleOf(end))
      const listed = await account.listed()
      const keys = new Set(told.map(({ key }) => key))
      expect(listed.map(({ key }) => key).filter((key) => !keys.has(key))).toEqual([])
      const call = fold(listed)
      expect(call).toMatchObject({ ...end, customer: { phone: `+${CUSTOMER}` } })
      expect(call.totalMs).toBe(fold(told).totalMs)
      expect(call.talkMs).toBe(fold(told).talkMs)
      expect(progressOf(listed)).toEqual(progressOf(told))
    }
  })

  it('give times with their offset', async () => {
    const row = {
      call_uuid: 'a',
      call_direction: 'inbound',
      from_number: CUSTOMER,
      to_number: '33199001234',
      initiation_time: '2026-03-04 16:50:00+05:30',
      answer_time: null,
      end_time: '2026-03-04 16:50:09+0530',
      hangup_cause_name: 'Something New',
    }
    const http = async (url: URL) => Response.json({ objects: url.pathname.includes('/Call/') ? [row] : [] })
    const account = open({}, http)
    const call = fold(await account.listed())
    expect(call).toMatchObject({ startedAt: '2026-03-04T11:20:00.000Z', endedAt: '2026-03-04T11:20:09.000Z' })
    expect(call.result).toBeUndefined()
  })

  it('are read page by page and in spans that the API takes, no further back than it keeps', async () => {
    const account = open()
    for (let i = 0; i < 45; i++)
      account.vendor.place?.(sample({ id: `${i}`, startedAt: NOW - 600_000 - i * 1000 }))
    const old = sample({ id: 'old', startedAt: NOW - 80 * 86_400_000 })
    account.vendor.place?.(old)
    const events = await account.listed(NOW - 400 * 86_400_000)
    // Of each call its hangup, its agent's leg (two events) and its recording.
    expect(new Set(events.map(({ key }) => key)).size).toBe(46 * 4)
    expect(account.sent[0]?.url.href).toContain(
      'end_time__gte=2025-12-05+11%3A30%3A00&end_time__lt=2026-01-02+11%3A30%3A00',
    )
    expect(account.sent.every(({ url }) => url.href.includes('limit=20'))).toBe(true)
  })

  it('wait when too much is asked', async () => {
    const account = open()
    for (let i = 0; i < 300; i++) await account.check()
    expect(await account.listed().catch(asCordboardError)).toMatchObject({ code: 'rate_limited' })
  })
})

describe('the check', () => {
  it('reads the account', async () => {
    expect(await open().check()).toEqual({ says: 'account …SAMP answers (standard)' })
  })
  it('is refused with another token', async () => {
    expect(await open({ authToken: 'other' }).check().catch(asCordboardError)).toMatchObject({ code: 'auth' })
  })
})

it('the configuration wants an Auth ID and a zone of the list', () => {
  expect(config.safeParse(SETTINGS).success).toBe(true)
  for (const wrong of [
    { authId: 'MA1' },
    { timeZone: 'Mars/Olympus' },
    { authToken: '' },
    { answeredBy: 'fate' },
  ]) {
    expect(config.safeParse({ ...SETTINGS, ...wrong }).success).toBe(false)
  }
})
