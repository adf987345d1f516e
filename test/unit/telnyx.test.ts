import { describe, expect, it } from 'vitest'
import { config } from '../../connectors/telnyx/schema.ts'
import type { Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { progressOf } from '../../src/call/merge.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { STAND_IN_PUBLIC_KEY } from '../../src/connector/stand-in-key.ts'
import { asCordboardError } from '../../src/errors.ts'
import { ENDS, endedAt, fold, NOW, sample, sampleOf } from './telephony-account.ts'
import { baseUrl, CUSTOMER, MOBILE, OWN, open, SETTINGS } from './telnyx-account.ts'

let told = 0
/** One webhook of a leg, `at` seconds into the call. */
function say(
  name: string,
  leg: string,
  at: number,
  fields: Record<string, unknown> = {},
  keys = {},
): CallEvent[] {
  const time = (s: number) => new Date(NOW + s * 1000).toISOString()
  told += 1
  const payload = { call_leg_id: leg, call_session_id: 'session', start_time: time(0), ...fields }
  const data = { event_type: name, id: `event-${told}`, occurred_at: time(at), payload }
  const headers = { 'content-type': 'application/json' }
  return open(keys).read({ says: name, method: 'POST', path: '', headers, body: JSON.stringify({ data }) })
}
const INBOUND = { from: CUSTOMER, to: OWN }
const AGENT = { from: OWN, to: 'sip:alice@sip.telnyx.com' }
const CLEAR = { hangup_cause: 'normal_clearing', hangup_source: 'caller' }

describe('a call', () => {
  it.each(ENDS)('of the stand-in, $direction, ends $result', (end) => {
    for (const keys of [{}, { ownNumbers: [], agentPhones: [] }]) {
      const events = open(keys).played(sampleOf(end))
      const call = fold(events)
      expect(call).toMatchObject({ ...end, customer: { phone: CUSTOMER } })
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
      ...say('call.initiated', 'a', 0, { ...INBOUND, direction: 'incoming' }),
      ...say('call.hangup', 'b', 9, { ...AGENT, hangup_cause: 'timeout' }),
      ...say('call.hangup', 'c', 9, { from: CUSTOMER, to: MOBILE, hangup_cause: 'user_busy' }),
    ]
    expect(progressOf(events).ended).toBe(false)
  })

  it.each([
    ['user_busy', 'busy'],
    ['timeout', 'no_answer'],
    ['call_rejected', 'rejected'],
    ['originator_cancel', 'abandoned'],
  ])('that the application took and whose agent’s leg ended with %s is %s', (cause, result) => {
    const events = [
      ...say('call.hangup', 'b', 15, { ...AGENT, hangup_cause: cause }),
      ...say('call.hangup', 'a', 20, { ...INBOUND, ...CLEAR }),
    ]
    expect(fold(events).result).toBe(result)
    const next = say('call.bridged', 'c', 17, { from: OWN, to: 'sip:bob@sip.telnyx.com' })
    expect(fold([...events, ...next]).result).toBe('answered')
  })

  it('that only the application took is abandoned, until an agent is put through', () => {
    const taken = [
      ...say('call.answered', 'a', 1, INBOUND),
      ...say('call.hangup', 'b', 20, { ...AGENT, hangup_cause: 'originator_cancel' }),
      ...say('call.hangup', 'a', 20, { ...INBOUND, ...CLEAR }),
    ]
    expect(fold(taken)).toMatchObject({ direction: 'inbound', result: 'abandoned' })
    expect(fold(taken).answeredAt).toBeUndefined()
    expect(progressOf(taken)).toEqual({ ended: true, recording: 'none' })
    const bridged = [...taken, ...say('call.bridged', 'a', 12, INBOUND)]
    expect(fold(bridged)).toMatchObject({ result: 'answered', talkMs: 8000, ringMs: 12_000 })
  })

  it('is answered with its leg where that is how it is', () => {
    const leg = { answeredBy: 'leg' }
    const events = [
      ...say('call.answered', 'a', 4, INBOUND, leg),
      ...say('call.hangup', 'a', 24, { ...INBOUND, ...CLEAR }, leg),
    ]
    expect(fold(events)).toMatchObject({ result: 'answered', ringMs: 4000, talkMs: 20_000 })
  })

  it('is answered by the agent’s leg only when a caller waits', () => {
    const shown = say('call.answered', 'b', 5, { from: CUSTOMER, to: MOBILE })
    expect(shown[0]?.facts).toMatchObject({ result: 'answered' })
    // Click to call: the agent is called first, from our own number.
    const first = say('call.answered', 'b', 5, { from: OWN, to: MOBILE })
    expect(first[0]?.facts.answeredAt).toBeUndefined()
    const events = [...first, ...say('call.answered', 'o', 15, { from: OWN, to: CUSTOMER })]
    expect(fold(events)).toMatchObject({
      direction: 'outbound',
      ringMs: 15_000,
      customer: { phone: CUSTOMER },
    })
  })

  it('that is passed on outside keeps its caller as the customer', () => {
    const events = [
      ...say('call.initiated', 'a', 0, { ...INBOUND, direction: 'incoming' }),
      ...say('call.initiated', 'x', 9, { from: OWN, to: '+442079460123', direction: 'outgoing' }),
      ...say('call.answered', 'x', 12, { from: OWN, to: '+442079460123' }),
      ...say('call.hangup', 'a', 30, { ...INBOUND, ...CLEAR }),
      ...say('call.hangup', 'x', 31, { from: OWN, to: '+442079460123', ...CLEAR }),
    ]
    expect(fold(events)).toMatchObject({ direction: 'inbound', customer: { phone: CUSTOMER } })
  })

  it('between agents, or between our own numbers, is internal and has no customer', () => {
    for (const ends of [
      { from: 'sip:101@sip.telnyx.com', to: MOBILE },
      { from: OWN, to: OWN },
    ]) {
      const call = fold(say('call.answered', 'i', 2, ends))
      expect(call.direction).toBe('internal')
      expect(call.customer).toBeUndefined()
    }
  })

  it('from a softphone is outbound, and names the agent', () => {
    const events = say('call.hangup', 's', 40, { from: 'sip:101@sip.telnyx.com', to: CUSTOMER, ...CLEAR })
    expect(fold(events)).toMatchObject({
      direction: 'outbound',
      result: 'answered',
      agent: { extension: '101' },
      customer: { phone: CUSTOMER },
    })
  })

  it.each([
    ['user_busy', 'busy', 'busy'],
    ['no_answer', 'no_answer', 'no_answer'],
    ['timeout', 'no_answer', 'no_answer'],
    ['originator_cancel', 'no_answer', 'abandoned'],
    ['call_rejected', 'rejected', 'rejected'],
    ['not_found', 'failed', 'failed'],
    ['time_limit', 'answered', 'abandoned'],
    ['unspecified', undefined, undefined],
    ['toString', undefined, undefined],
  ])('with the cause %s ends %s outbound, %s inbound', (cause, outbound, inbound) => {
    const hangup = (ends: object) => fold(say('call.hangup', 'l', 9, { ...ends, hangup_cause: cause })).result
    expect(hangup({ from: OWN, to: CUSTOMER })).toBe(outbound)
    expect(hangup(INBOUND)).toBe(inbound)
  })

  it('that a machine answered is voicemail, unless an agent is put through', () => {
    const ends = { from: OWN, to: CUSTOMER }
    const events = [
      ...say('call.answered', 'o', 5, ends),
      ...say('call.machine.premium.detection.ended', 'o', 8, { ...ends, result: 'machine' }),
      ...say('call.hangup', 'o', 20, { ...ends, ...CLEAR }),
    ]
    expect(fold(events).result).toBe('voicemail')
    expect(fold([...events, ...say('call.bridged', 'o', 10, ends)]).result).toBe('answered')
  })

  it('keeps its queue beside its agent', () => {
    const events = [
      ...say('call.enqueued', 'a', 1, { queue: 'support' }),
      ...say('call.bridged', 'b', 12, AGENT),
    ]
    expect(fold(events).agent).toEqual({ id: 'alice', group: 'support' })
  })
})

describe('a webhook', () => {
  it.each([
    [300_000, true],
    [301_000, false],
    [-300_000, true],
    [-301_000, false],
  ])('that is checked %i ms after it was signed: %s', async (ms, ok) => {
    const account = open()
    const [first] = account.vendor.place?.(sample()) ?? []
    if (!first) throw new Error('the stand-in plays nothing')
    expect(await account.verified(first, { checkedAfterMs: ms })).toMatchObject({ ok })
  })
})

describe('a recording', () => {
  const played = (account: ReturnType<typeof open>, changes: Partial<SampleCall> = {}): Recording => {
    const [recording] = fold(account.played(sample(changes))).recordings
    if (!recording) throw new Error('the stand-in’s answered call has no recording')
    return recording
  }

  it('is looked up with the API key and fetched without it', async () => {
    const account = open()
    const response = await account.fetchRecording(played(account), endedAt(NOW))
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(new Uint8Array([1, 2, 3]))
    const [lookUp, fetched] = account.sent
    expect(lookUp?.url.href).toMatch(/\/v2\/recordings\?filter%5Bcall_leg_id%5D=/)
    expect(lookUp?.authorization).toBe('Bearer KEY-sandbox')
    expect(fetched?.url.href).toMatch(/\/storage\//)
    expect(fetched?.authorization).toBeUndefined()
  })

  it('is had hours later, when the link of its webhook is long dead', async () => {
    const account = open()
    const recording = played(account)
    account.clock.now += 7_200_000
    const response = await account.fetchRecording(recording, endedAt(NOW))
    expect(response.status).toBe(200)
  })

  it('whose link ended on the way is gone', async () => {
    const account = open()
    const recording = played(account)
    const link = `${baseUrl}/storage/${account.vendor.book().find(({ kind }) => kind === 'recording')?.id}.mp3`
    const late = await account.vendor.app.request(`${link}?X-Amz-Date=${NOW - 600_000}`)
    expect(late.status).toBe(403)
    account.vendor.fail({ fault: { kind: 'status', status: 403 }, path: '/storage/' })
    const failure = await account.fetchRecording(recording, endedAt(NOW)).catch(asCordboardError)
    expect(failure).toMatchObject({ code: 'gone' })
  })

  it('of a conference is asked for by its id', async () => {
    const account = open()
    played(account)
    const id = account.vendor.book().find(({ kind }) => kind === 'recording')?.id ?? ''
    const response = await account.fetchRecording({ key: id, format: 'mp3', state: 'ready' }, endedAt(NOW))
    expect(response.status).toBe(200)
    expect(account.sent[1]?.url.href).toBe(`${baseUrl}/v2/recordings/${id}`)
  })

  it.each([
    [60_000, 'later'],
    [901_000, 'never'],
  ])('that is not listed %i ms after the end is tried %s', async (age, retry) => {
    const account = open()
    for (const key of ['leg-1:2026-03-04T11:20:13Z', 'leg-1', '../keys']) {
      const recording = { key, state: 'ready' as const }
      const failure = await account.fetchRecording(recording, endedAt(NOW - age)).catch(asCordboardError)
      expect(failure).toMatchObject({ code: 'not_found', retry })
    }
  })

  it('is not taken in another format than was said', async () => {
    const account = open()
    const recording = { ...played(account), format: 'wav' as const }
    const failure = await account.fetchRecording(recording, endedAt(NOW)).catch(asCordboardError)
    expect(failure).toMatchObject({ code: 'not_found', retry: 'never' })
  })

  it('of one leg is told from the next by the second in which it began', async () => {
    const saved = (second: string) =>
      say('call.recording.saved', 'a', 90, { recording_started_at: `2026-03-04T11:20:${second}Z` })[0]?.key
    expect(saved('13.148619')).toBe(saved('13.9'))
    expect(saved('13.9')).not.toBe(saved('14.0'))
  })

  it.each([
    [1000, 'ok'],
    [-2000, 'ok'],
    [3000, 'not_found'],
  ])('whose list says %i ms more of its start than its webhook is %s', async (off, end) => {
    const account = open()
    const recording = played(account)
    const [, leg, start = ''] = /^(.*?):(\d.*)$/.exec(recording.key) ?? []
    const key = `${leg}:${new Date(Date.parse(start) - off).toISOString().slice(0, 19)}Z`
    const got = await account.fetchRecording({ ...recording, key }, endedAt(NOW)).catch(asCordboardError)
    expect(got instanceof Response ? 'ok' : got.code).toBe(end)
  })

  it('whose link is no https is not fetched', async () => {
    const row = {
      id: 'r',
      call_leg_id: 'leg-1',
      download_urls: { mp3: 'http://storage.example.net/x.mp3' },
    }
    const http = async () => Response.json({ data: [row], meta: { total_pages: 1 } })
    const account = open({}, http)
    const failure = await account
      .fetchRecording({ key: 'leg-1', format: 'mp3', state: 'ready' }, endedAt(NOW))
      .catch(asCordboardError)
    expect(failure).toMatchObject({ code: 'blocked_address' })
    expect(account.sent).toHaveLength(1)
  })
})

describe('the list', () => {
  it('tells recordings with the keys of the webhooks', async () => {
    const account = open()
    const told = account.played(sample()).filter(({ phase }) => phase === 'recorded')
    const listed = await account.listed()
    expect(listed.map(({ key }) => key)).toEqual(told.map(({ key }) => key))
  })

  it('tells of a call whose webhooks were lost that it is over, and the hangup corrects it', async () => {
    const account = open()
    const told = account.played(sample({ startedAt: NOW - 7_200_000 }))
    const listed = await account.listed()
    expect(progressOf(listed)).toEqual({ ended: true, recording: 'ready' })
    expect(fold(listed)).toMatchObject({ direction: 'inbound', customer: { phone: CUSTOMER } })
    expect(fold([...listed, ...told])).toEqual(fold([...told, ...listed]))
    expect(fold([...listed, ...told])).toMatchObject({ totalMs: 68_000, talkMs: 60_000, result: 'answered' })
    expect(fold([...listed, ...told]).recordings).toHaveLength(1)
  })

  it('is read page by page, from the moment asked for', async () => {
    const account = open()
    for (let i = 0; i < 300; i++) account.vendor.place?.(sample({ id: `${i}`, startedAt: NOW - 600_000 + i }))
    account.vendor.place?.(sample({ id: 'old', startedAt: NOW - 200_000_000 }))
    const events = await account.listed()
    expect(new Set(events.map(({ key }) => key)).size).toBe(300)
    expect(account.sent).toHaveLength(2)
  })
})

describe('the check', () => {
  it('counts recordings, and asks for ownNumbers', async () => {
    expect(await open().check()).toEqual({ says: 'the API key reads recordings (0 so far)' })
    const { warnings } = await open({ ownNumbers: [] }).check()
    expect(warnings?.[0]?.what).toMatch(/ownNumbers is empty/)
  })

  it('is refused with another key', async () => {
    const failure = await open({ apiKey: 'other' }).check().catch(asCordboardError)
    expect(failure).toMatchObject({ code: 'auth' })
  })

  it('waits until the limit is lifted', async () => {
    const account = open()
    account.clock.now = Math.ceil(NOW / 60_000) * 60_000 + 20_000
    for (let i = 0; i < 600; i++) await account.check()
    const failure = await account.check().catch(asCordboardError)
    expect(failure).toMatchObject({ code: 'rate_limited', retry: { afterMs: 40_000 } })
  })
})

it('a public key is one of 32 bytes', () => {
  const isTaken = (publicKey: unknown) => config.safeParse({ ...SETTINGS, publicKey }).success
  expect(isTaken([STAND_IN_PUBLIC_KEY, '00'.repeat(32)])).toBe(true)
  for (const wrong of ['', 'AAAA', `${STAND_IN_PUBLIC_KEY}=`, [], [''], undefined])
    expect(isTaken(wrong)).toBe(false)
})
