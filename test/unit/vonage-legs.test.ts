import { describe, expect, it } from 'vitest'
import type { CallEvent } from '../../src/call/facts.ts'
import { progressOf } from '../../src/call/merge.ts'
import { fold, NOW } from './telephony-account.ts'
import { baseUrl, CUSTOMER, MOBILE, OWN, open } from './vonage-account.ts'

/** Legs, status by status and field by field: what the sample calls of the stand-in do not show. */

const time = (second: number) => new Date(NOW + second * 1000).toISOString()

const read = (event: object, keys = {}): CallEvent[] =>
  open(keys).read({
    says: 'event',
    method: 'POST',
    path: '',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ conversation_uuid: 'CON-1', ...event }),
  })
const say = (leg: string, status: string, at: number, fields: object, keys = {}): CallEvent[] =>
  read({ uuid: leg, status, timestamp: time(at), ...fields }, keys)
const INBOUND = { direction: 'inbound', from: CUSTOMER, to: OWN }
const OUTBOUND = { direction: 'outbound', from: OWN, to: CUSTOMER }
const AGENT = { direction: 'outbound', from: OWN, to: 'alice' }
const SPAN = { start_time: time(10), end_time: time(40), duration: '30' }

describe('a leg', () => {
  it.each([
    ['started', 'ringing', undefined],
    ['ringing', 'ringing', undefined],
    ['answered', 'answered', 'answered'],
    ['busy', 'ended', 'busy'],
    ['cancelled', 'ended', 'no_answer'],
    ['unanswered', 'ended', 'no_answer'],
    ['timeout', 'ended', 'no_answer'],
    ['rejected', 'ended', 'failed'],
    ['failed', 'ended', 'failed'],
  ])('out to a customer that is %s is %s, and the call %s', (status, phase, result) => {
    const events = say('o', status, 9, OUTBOUND)
    expect(events[0]?.phase).toBe(phase)
    expect(fold(events)).toMatchObject({ direction: 'outbound', customer: { phone: `+${CUSTOMER}` } })
    expect(fold(events).result).toBe(result)
    expect(progressOf(events).ended).toBe(phase === 'ended')
    expect(fold(events).startedAt).toBe(status === 'started' ? time(9) : undefined)
    expect(fold(events).endedAt).toBe(phase === 'ended' ? time(9) : undefined)
  })
  it.each([
    ['busy', 'busy'],
    ['unanswered', 'no_answer'],
    ['timeout', 'no_answer'],
    ['failed', 'failed'],
    ['rejected', 'failed'],
    ['cancelled', 'abandoned'],
  ])('to an agent that ended %s leaves the call %s once its caller has left', (status, result) => {
    const missed = say('b', status, 9, AGENT)
    expect(progressOf(missed).ended).toBe(false)
    const events = [...missed, ...say('a', 'completed', 40, { ...INBOUND, ...SPAN })]
    expect(fold(events)).toMatchObject({ direction: 'inbound', result })
    expect(fold(events).answeredAt).toBeUndefined()
  })
  it('that was declined was rejected, of an agent as of a customer', () => {
    expect(fold(say('o', 'unanswered', 9, { ...OUTBOUND, detail: 'declined' })).result).toBe('rejected')
    expect(fold(say('o', 'busy', 9, { ...OUTBOUND, detail: 'declined' })).result).toBe('busy')
    const agent = say('b', 'unanswered', 9, { ...AGENT, detail: 'declined' })
    expect(agent[0]?.facts.result).toBe('rejected')
  })
  it('to an agent that was taken tells who talked, how long, and no moment', () => {
    for (const [to, agent] of [
      ['alice', { id: 'alice' }],
      ['sip:101@sip.example.com', { extension: '101' }],
      ['app:bob', { id: 'bob' }],
      ['wss://bot.example.com', undefined],
      [MOBILE, undefined],
    ] as const) {
      const [event] = say('b', 'completed', 40, { ...AGENT, ...SPAN, to })
      expect(event).toMatchObject({ phase: 'answered', facts: { result: 'answered', talkMs: 30_000 } })
      expect(event?.facts.agent).toEqual(agent)
      expect(event?.facts.legs?.[0]?.agent).toEqual(agent)
      expect(event?.facts.answeredAt).toBeUndefined()
      expect(event?.facts.endedAt).toBeUndefined()
    }
    const [answered] = say('b', 'answered', 9, AGENT)
    expect(answered?.facts).toMatchObject({ result: 'answered', agent: { id: 'alice' } })
    expect(answered?.facts.talkMs).toBeUndefined()
    expect(say('b', 'started', 5, AGENT)[0]?.facts.result).toBeUndefined()
  })
  it('that comes in was taken by the application, or by who counts as having taken it', () => {
    const leg = { answeredBy: 'leg' }
    const completed = { ...INBOUND, ...SPAN }
    expect(fold(say('a', 'answered', 9, INBOUND))).not.toHaveProperty('answeredAt')
    expect(fold(say('a', 'answered', 9, INBOUND, leg))).toMatchObject({
      answeredAt: time(9),
      result: 'answered',
    })
    expect(fold(say('a', 'completed', 41, completed))).toMatchObject({
      result: 'abandoned',
      endedAt: time(40),
    })
    expect(fold(say('a', 'completed', 41, completed, leg))).toMatchObject({
      result: 'answered',
      answeredAt: time(10),
      talkMs: 30_000,
    })
    // Taken for no time at all is not taken.
    expect(fold(say('a', 'completed', 41, { ...completed, duration: '0' }, leg)).result).toBe('abandoned')
  })
  it('that nobody can tell the ends of ends its call and says no more', () => {
    const events = say('x', 'completed', 41, { direction: 'sideways', from: CUSTOMER, to: OWN, ...SPAN })
    const { direction, result, answeredAt, endedAt, from } = fold(events)
    expect([direction, result, answeredAt, from]).toEqual(Array(4).fill(undefined))
    expect(endedAt).toBe(time(40))
    expect(fold(say('x', 'answered', 9, { direction: 'outbound', from: OWN })).result).toBeUndefined()
  })
  it('says of its end what was said', () => {
    const reason = (fields: object) =>
      fold(say('o', 'failed', 9, { ...OUTBOUND, ...fields })).disconnectReason
    expect(reason({})).toBe('failed')
    expect(reason({ detail: 'restricted' })).toBe('failed: restricted')
    expect(reason({ disconnected_by: 'user' })).toBe('failed, by user')
    expect(reason({ sip_code: '486' })).toBe('failed, SIP 486')
  })
  it('keeps its own times', () => {
    const leg = (status: string, fields: object) =>
      say('o', status, 41, { ...OUTBOUND, ...fields })[0]?.facts.legs?.[0]
    const ends = { key: 'o', from: OWN, to: CUSTOMER }
    expect(leg('started', {})).toEqual({ ...ends, startedAt: time(41) })
    expect(leg('answered', {})).toEqual({ ...ends, answeredAt: time(41) })
    expect(leg('completed', SPAN)).toEqual({
      ...ends,
      answeredAt: time(10),
      endedAt: time(40),
      result: 'answered',
    })
    expect(leg('completed', { ...SPAN, duration: '0' })).not.toHaveProperty('answeredAt')
  })
})

describe('a machine', () => {
  const machine = (fields: object) =>
    read({ call_uuid: 'o', status: 'machine', timestamp: time(8), ...fields })
  it('that took a call of ours is a mailbox, unless it is an agent’s', () => {
    expect(machine({ from: OWN, to: CUSTOMER })).toMatchObject([
      { key: 'o:machine', at: time(8), facts: { result: 'voicemail' } },
    ])
    expect(machine({ from: OWN, to: MOBILE })).toEqual([])
    expect(machine({ from: OWN, to: CUSTOMER, status: 'human' })).toEqual([])
    expect(machine({ ...INBOUND })).toEqual([])
  })
})

describe('a recording', () => {
  const saved = (fields: object, keys = {}) =>
    read({ recording_uuid: 'r', recording_url: `${baseUrl}/v1/files/f`, ...fields }, keys)[0]
  it('is what the record event says, in the format that was asked for', () => {
    const tracks = { left: 'customer', right: 'agent' }
    const fields = { size: '508160', start_time: time(0), end_time: time(127) }
    expect(saved(fields)).toMatchObject({ key: 'recording:r', callId: 'CON-1', phase: 'recorded' })
    expect(saved(fields)?.facts.recordings).toEqual([
      {
        key: 'r',
        url: `${baseUrl}/v1/files/f`,
        format: 'mp3',
        state: 'ready',
        bytes: 508_160,
        durationMs: 127_000,
      },
    ])
    expect(saved({}, { recordingFormat: 'ogg', tracks })?.facts.recordings).toEqual([
      { key: 'r', url: `${baseUrl}/v1/files/f`, format: 'ogg', state: 'ready', channels: 2, tracks },
    ])
    expect(saved({ start_time: time(9), end_time: time(0) })?.facts.recordings?.[0]).not.toHaveProperty(
      'durationMs',
    )
  })
})
