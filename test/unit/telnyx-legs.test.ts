import { describe, expect, it } from 'vitest'
import type { CallEvent } from '../../src/call/facts.ts'
import { progressOf } from '../../src/call/merge.ts'
import { fold, NOW } from './telephony-account.ts'
import { CUSTOMER, MOBILE, OWN, open } from './telnyx-account.ts'

/** Whose leg is whose, and what rows of the list say: what the sample calls of the stand-in do not show. */

const time = (second: number) => new Date(NOW + second * 1000).toISOString()

let told = 0
function say(name: string, leg: string, at: number, fields: object = {}, keys = {}): CallEvent[] {
  told += 1
  const payload = { call_leg_id: leg, call_session_id: 'session', ...fields }
  const data = { event_type: name, id: `event-${told}`, occurred_at: time(at), payload }
  return open(keys).read({
    says: name,
    method: 'POST',
    path: '',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ data }),
  })
}
const INBOUND = { from: CUSTOMER, to: OWN }
const OUTBOUND = { from: OWN, to: CUSTOMER }
const AGENT = { from: OWN, to: 'sip:alice@sip.telnyx.com' }

describe('a leg', () => {
  it('to an extension is an agent’s; from us to nobody it is nothing yet', () => {
    expect(fold(say('call.hangup', 'a', 9, { from: CUSTOMER, to: '101' })).endedAt).toBeUndefined()
    expect(fold(say('call.initiated', 'a', 0, { from: OWN })).direction).toBeUndefined()
    expect(
      fold(say('call.initiated', 'a', 0, { from: 'sip:alice@sip.telnyx.com' })).direction,
    ).toBeUndefined()
  })
  it('begins when it was initiated, where it does not say when', () => {
    expect(fold(say('call.initiated', 'a', 3, INBOUND)).startedAt).toBe(time(3))
    expect(fold(say('call.answered', 'a', 5, INBOUND)).startedAt).toBeUndefined()
  })
  it('brings its tags, its caller’s name unless that is a number, and no name of whom we call', () => {
    const named = { caller_id_name: 'Jean Dupont', tags: ['support'] }
    expect(fold(say('call.initiated', 'a', 0, { ...INBOUND, ...named }))).toMatchObject({
      customer: { name: 'Jean Dupont' },
      tags: ['support'],
    })
    const numbered = say('call.initiated', 'a', 0, { ...INBOUND, caller_id_name: CUSTOMER })
    expect(fold(numbered).customer?.name).toBeUndefined()
    expect(fold(say('call.initiated', 'a', 0, { ...OUTBOUND, ...named })).customer?.name).toBeUndefined()
  })
  it('says no more of its end than it knows', () => {
    const bare = fold(say('call.hangup', 'a', 9, INBOUND))
    expect([bare.disconnectReason, bare.result]).toEqual([undefined, undefined])
    const whole = { ...INBOUND, hangup_cause: 'user_busy', hangup_source: 'callee', sip_hangup_cause: 486 }
    expect(fold(say('call.hangup', 'a', 9, whole)).disconnectReason).toBe('user_busy, by the callee, SIP 486')
    const unknown = { ...whole, hangup_source: 'unknown', sip_hangup_cause: 'unspecified' }
    expect(fold(say('call.hangup', 'a', 9, unknown)).disconnectReason).toBe('user_busy')
  })
  it('of an agent who let it ring on takes nothing from another who answered before', () => {
    const events = [
      ...say('call.bridged', 'b', 5, { from: OWN, to: 'sip:bob@sip.telnyx.com' }),
      ...say('call.hangup', 'c', 20, { ...AGENT, hangup_cause: 'timeout' }),
    ]
    for (const all of [events, events.toReversed()]) {
      expect(fold(all)).toMatchObject({ result: 'answered', agent: { id: 'bob' } })
    }
  })
  it('of an agent is an answer only when it shows a caller’s number, whatever counts for the caller’s own leg', () => {
    const answered = (from: string, keys = {}) =>
      say('call.answered', 'b', 5, { from, to: 'sip:alice@sip.telnyx.com' }, keys)[0]?.facts
    expect(answered(CUSTOMER)).toMatchObject({ result: 'answered', agent: { id: 'alice' } })
    expect(answered('anonymous')?.result).toBeUndefined()
    expect(answered(OWN, { answeredBy: 'leg' })?.result).toBeUndefined()
    expect(answered(OWN)?.agent).toEqual({ id: 'alice' })
  })
  it('that is bridged names its agent only where the agent stands at its end', () => {
    const outbound = say('call.bridged', 'a', 5, { from: OWN, to: 'sip:+33639980142@carrier.example.net' })
    expect(outbound[0]?.facts).toMatchObject({ result: 'answered', answeredAt: time(5) })
    expect(outbound[0]?.facts.agent).toBeUndefined()
  })
  it('between agents names both: who calls is the agent of the call', () => {
    const [event] = say('call.answered', 'i', 2, {
      from: 'sip:101@sip.telnyx.com',
      to: 'sip:bob@sip.telnyx.com',
    })
    expect(event?.facts).toMatchObject({ direction: 'internal', agent: { extension: '101' } })
    expect(event?.facts.legs).toMatchObject([{ agent: { id: 'bob' } }])
  })
})

describe('a recording', () => {
  const tracks = { left: 'customer', right: 'agent' }
  const saved = (fields: object, keys = {}) =>
    say('call.recording.saved', 'a', 90, fields, keys)[0]?.facts.recordings?.[0]
  it.each([
    ['dual', 2, tracks],
    ['single', 1, undefined],
    ['other', undefined, undefined],
  ])('that is %s has %s channels', (channels, count, expected) => {
    expect(saved({ channels }, { tracks })).toEqual({
      key: 'a',
      state: 'ready',
      ...(count ? { channels: count } : {}),
      ...(expected ? { tracks: expected } : {}),
    })
    expect(saved({ channels })).not.toHaveProperty('tracks')
  })
  it('is as long as it ran, in the format that it has', () => {
    const span = { recording_started_at: time(0), recording_ended_at: time(0) }
    expect(saved(span)?.durationMs).toBe(0)
    expect(saved({ ...span, recording_ended_at: time(-1) })).not.toHaveProperty('durationMs')
    const both = { mp3: 'https://x.example.net/a.mp3', wav: 'https://x.example.net/a.wav' }
    expect(saved({ recording_urls: both })?.format).toBe('mp3')
    expect(saved({ recording_urls: { wav: both.wav } })?.format).toBe('wav')
  })
})

describe('a row of the list', () => {
  const AGO = -7200
  const row = {
    id: 'rec-1',
    call_leg_id: 'leg-1',
    call_session_id: 'session',
    recording_started_at: time(AGO),
    recording_ended_at: time(AGO + 60),
    ...INBOUND,
  }
  async function listed(changes: object): Promise<CallEvent[]> {
    const data = [{ ...row, ...changes }]
    const http = async () => Response.json({ data, meta: { total_pages: 1 } })
    return open({}, http).listed()
  }
  it('tells that its call is over, and between whom', async () => {
    const events = await listed({})
    expect(fold(events)).toMatchObject({
      direction: 'inbound',
      startedAt: time(AGO),
      endedAt: time(AGO + 60),
      customer: { phone: CUSTOMER },
      dialed: { phone: OWN },
      recordings: [{ key: `leg-1:${time(AGO).slice(0, 19)}Z` }],
    })
    expect(progressOf(events).ended).toBe(true)
  })
  it.each([
    ['of an agent’s leg', { from: OWN, to: MOBILE }, undefined],
    ['of a leg between strangers', { from: CUSTOMER, to: '+442079460123' }, undefined],
    ['of a leg of ours to the outside', OUTBOUND, 'outbound'],
  ])('%s names the parties that are known', async (_, ends, direction) => {
    const call = fold(await listed(ends))
    expect([call.direction, call.from?.phone]).toEqual([direction, direction && OWN])
    expect(call.endedAt).toBe(time(AGO + 60))
  })
  it.each([
    ['of a moment ago', { recording_ended_at: time(-60) }],
    ['without an end', { recording_ended_at: null }],
    ['of a conference', { source: 'conference' }],
    ['without a leg', { call_leg_id: null }],
  ])('%s tells of its recording alone', async (_, changes) => {
    const events = await listed(changes)
    expect(progressOf(events).ended).toBe(false)
    const isOfLeg = !('source' in changes || 'call_leg_id' in changes)
    expect(fold(events).recordings).toMatchObject([
      { key: isOfLeg ? `leg-1:${time(AGO).slice(0, 19)}Z` : 'rec-1' },
    ])
  })
  it('without a session is of no call', async () => {
    expect(await listed({ call_session_id: null })).toEqual([])
  })
})
