import { describe, expect, it } from 'vitest'
import type { CallEvent } from '../../src/call/facts.ts'
import { progressOf } from '../../src/call/merge.ts'
import { CUSTOMER, MOBILE, OWN, open } from './plivo-account.ts'
import { fold, NOW } from './telephony-account.ts'

/** Callbacks and rows of the lists, field by field: what the sample calls of the stand-in do not show. */

const say = (fields: Record<string, string>, keys = {}): CallEvent[] =>
  open(keys).read({
    says: 'callback',
    method: 'POST',
    path: '/hangup',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(fields).toString(),
  })
const IN = { CallUUID: 'a', Direction: 'inbound', From: CUSTOMER, To: OWN }
const OUT = { CallUUID: 'a', Direction: 'outbound', From: OWN, To: CUSTOMER }
const TIMES = { StartTime: '2026-03-04 11:20:00', AnswerTime: '2026-03-04 11:20:10' }

describe('a callback', () => {
  it('that rings begins the call, by its session where no start is named', () => {
    const ringing = { ...IN, CallStatus: 'ringing' }
    const [event] = say({ ...ringing, SessionStart: '2026-03-04 11:20:00.238707' })
    expect(event).toMatchObject({ phase: 'ringing', at: '2026-03-04T11:20:00.000Z', key: 'a:ringing' })
    expect(event?.facts.startedAt).toBe('2026-03-04T11:20:00.000Z')
    const both = say({ ...ringing, SessionStart: '2026-03-04 11:19:00.2', StartTime: '2026-03-04 11:20:00' })
    expect(both[0]?.facts.startedAt).toBe('2026-03-04T11:20:00.000Z')
    expect(say(ringing)[0]).not.toHaveProperty('at')
  })
  it('that is in progress was taken, by an agent only where the leg is what counts', () => {
    const taken = { ...IN, ...TIMES, CallStatus: 'in-progress' }
    expect(say(taken)[0]).toMatchObject({ phase: 'answered', at: '2026-03-04T11:20:10.000Z' })
    expect(fold(say(taken)).answeredAt).toBe('2026-03-04T11:20:10.000Z')
    expect(fold(say(taken, { answeredBy: 'dial' })).answeredAt).toBeUndefined()
    const out = { ...OUT, ...TIMES, CallStatus: 'in-progress' }
    expect(fold(say(out, { answeredBy: 'dial' })).answeredAt).toBe('2026-03-04T11:20:10.000Z')
  })
  it('has its length only where somebody answered', () => {
    const of = (CallStatus: string) => say({ ...IN, CallStatus, Duration: '9' })[0]?.facts.talkMs
    expect([of('completed'), of('no-answer'), of('busy')]).toEqual([9000, undefined, undefined])
    expect(say({ ...IN, CallStatus: 'completed', Duration: '-1' })[0]?.facts.talkMs).toBeUndefined()
  })
  it('says why it ended, and by whom', () => {
    const ended = { ...IN, CallStatus: 'completed' }
    const reason = (more: Record<string, string>) => fold(say({ ...ended, ...more })).disconnectReason
    expect(reason({ HangupCause: 'NORMAL_CLEARING', HangupSource: 'Caller' })).toBe(
      'NORMAL_CLEARING, by Caller',
    )
    expect(reason({ HangupCauseName: 'Normal Hangup' })).toBe('Normal Hangup')
    expect(reason({})).toBe('completed')
  })
  it.each([
    ['USER_BUSY', 'busy'],
    ['NO_ANSWER', 'no_answer'],
    ['CALL_REJECTED', 'rejected'],
    ['UNALLOCATED_NUMBER', 'failed'],
    ['NETWORK_OUT_OF_ORDER', 'failed'],
    ['toString', 'failed'],
  ])('that failed for %s is %s', (HangupCause, result) => {
    expect(fold(say({ ...OUT, CallStatus: 'failed', HangupCause })).result).toBe(result)
  })
  it('from a SIP endpoint is outbound, from an own phone as well, and to nobody it is nothing yet', () => {
    const of = (From: string, To = '') => fold(say({ ...IN, From, To, CallStatus: 'ringing' }))
    expect(of('sip:alice@phone.plivo.com', CUSTOMER)).toMatchObject({
      direction: 'outbound',
      agent: { id: 'alice' },
      customer: { phone: `+${CUSTOMER}` },
    })
    expect(of(MOBILE, CUSTOMER).direction).toBe('outbound')
    expect(of('sip:alice@phone.plivo.com').direction).toBeUndefined()
    expect(of('101', OWN)).toMatchObject({ direction: 'internal' })
    expect(fold(say({ ...IN, Direction: 'sideways', CallStatus: 'ringing' })).direction).toBeUndefined()
  })
  it('of a number that was sent here says from where', () => {
    expect(fold(say({ ...IN, CallStatus: 'ringing', ForwardedFrom: '33199001299' })).meta).toEqual({
      forwardedFrom: '33199001299',
    })
  })
  it('that rings an agent’s own phone first shows neither it nor our number as the customer', () => {
    const first = say({ ...OUT, ...TIMES, To: MOBILE, CallStatus: 'completed' }, { answeredBy: 'dial' })
    const { from, dialed, customer, answeredAt, result } = fold(first)
    expect([from, dialed, customer, answeredAt, result]).toEqual(Array(5).fill(undefined))
    expect(progressOf(first).ended).toBe(true)
  })
})

describe('a leg of <Dial>', () => {
  const DIAL = { DialALegUUID: 'a', DialBLegUUID: 'b', DialBLegFrom: OWN }
  it.each(['answer', 'connected'])('that is at %s names its agent, and no customer', (DialAction) => {
    const [event] = say({ ...DIAL, DialBLegTo: 'sip:alice@phone.plivo.com', DialAction })
    expect(event).toMatchObject({
      key: `b:dial-${DialAction}`,
      callId: 'a',
      alsoKnownAs: ['b'],
      phase: 'answered',
    })
    expect(event?.facts).toMatchObject({ result: 'answered', agent: { id: 'alice' } })
    expect(event?.facts.dialed).toBeUndefined()
  })
  it('to an agent’s own phone is no call to a customer', () => {
    const [event] = say({ ...DIAL, DialBLegTo: MOBILE, DialAction: 'connected' })
    expect([event?.facts.direction, event?.facts.dialed]).toEqual([undefined, undefined])
    const [outside] = say({ ...DIAL, DialBLegTo: CUSTOMER, DialAction: 'connected' })
    expect(outside?.facts).toMatchObject({ direction: 'outbound', dialed: { phone: `+${CUSTOMER}` } })
  })
  it.each([
    ['60', 'USER_BUSY', 60_000, undefined],
    ['0', 'USER_BUSY', undefined, 'busy'],
    ['0', 'NORMAL_CLEARING', undefined, undefined],
    ['0', 'ORIGINATOR_CANCEL', undefined, undefined],
  ])('that hung up after %s s with %s talked %s and says %s', (DialBLegDuration, cause, talkMs, result) => {
    const [event] = say({ ...DIAL, DialAction: 'hangup', DialBLegDuration, DialBLegHangupCause: cause })
    expect([event?.phase, event?.facts.talkMs, event?.facts.result]).toEqual(['ringing', talkMs, result])
    expect(event?.facts.agent).toBeUndefined()
  })
})

describe('a recording', () => {
  const URL_OF = 'https://media.plivo.com/r/5d2c.mp3'
  const saved = (fields: Record<string, string>, keys = {}) =>
    say({ CallUUID: 'a', RecordingID: 'r', RecordUrl: URL_OF, ...fields }, keys)[0]
  it.each([
    [{ RecordingDurationMs: '127040', RecordingDuration: '127' }, 127_040],
    [{ RecordingStartMs: '1766998800123.00000', RecordingEndMs: '1766998927163' }, 127_040],
    [{ RecordingDuration: '127' }, undefined],
  ])('with %o is %s ms long', (fields, durationMs) => {
    const event = saved(fields)
    expect(event).toMatchObject({ key: 'recording:r', phase: 'recorded' })
    expect(event?.facts.recordings?.[0]).toMatchObject({
      key: 'r',
      state: 'ready',
      format: 'mp3',
      url: URL_OF,
    })
    expect(event?.facts.recordings?.[0]?.durationMs).toBe(durationMs)
  })
  it.each(['RecordingDuration', 'RecordingDurationMs'])('whose %s is -1 has only begun', (field) => {
    const event = saved({ [field]: '-1' })
    expect(event).toMatchObject({ key: 'recording:r:pending', phase: 'answered' })
    expect(event?.facts.recordings).toEqual([{ key: 'r', state: 'pending', format: 'mp3' }])
  })
  it('has the tracks that the operator named', () => {
    const tracks = { left: 'agent', right: 'customer' }
    expect(saved({}, { tracks })?.facts.recordings?.[0]).toMatchObject({ channels: 2, tracks })
  })
})

describe('a row of the list', () => {
  const ROW = {
    call_uuid: 'a',
    call_direction: 'inbound',
    from_number: CUSTOMER,
    to_number: OWN,
    initiation_time: '2026-03-04 10:00:00+00:00',
    answer_time: '2026-03-04 10:00:10+00:00',
    end_time: '2026-03-04 10:02:00+00:00',
    call_duration: 110,
  }
  async function listed(changes: object): Promise<CallEvent[]> {
    const http = async (url: URL) =>
      Response.json({ objects: url.pathname.includes('/Call/') ? [{ ...ROW, ...changes }] : [] })
    return open({}, http).listed(NOW - 86_400_000)
  }
  it('was answered when it says when', async () => {
    expect(fold(await listed({ hangup_cause_name: 'Busy Line' }))).toMatchObject({
      result: 'answered',
      talkMs: 110_000,
      totalMs: 120_000,
    })
  })
  it.each([
    ['Busy Line', 'busy'],
    ['No Answer', 'no_answer'],
    ['Rejected', 'rejected'],
    ['Invalid Destination Address', 'failed'],
    ['Destination Out Of Service', 'failed'],
    ['Endpoint Not Registered', 'failed'],
    ['Destination Country Barred', 'failed'],
    ['Destination Number Barred', 'failed'],
    ['NORMAL_CLEARING', undefined],
    ['Sideways', undefined],
  ])('that nobody answered ended for %s as %s', async (hangup_cause_name, result) => {
    const events = await listed({ answer_time: null, hangup_cause_name })
    expect(fold(events).result).toBe(result)
    expect(progressOf(events).ended).toBe(true)
  })
  it('of a dialled leg does not end the call', async () => {
    const leg = { parent_call_uuid: 'z', to_number: 'sip:alice@phone.plivo.com', from_number: OWN }
    const events = await listed(leg)
    expect(progressOf(events).ended).toBe(false)
    expect(events.map(({ key }) => key)).toEqual(['a:dial-connected', 'a:dial-hangup'])
    expect(fold(events)).toMatchObject({
      agent: { id: 'alice' },
      talkMs: 110_000,
      legs: [{ startedAt: '2026-03-04T10:00:00.000Z', answeredAt: '2026-03-04T10:00:10.000Z' }],
    })
    const unanswered = await listed({ ...leg, answer_time: null })
    expect(unanswered.map(({ key }) => key)).toEqual(['a:dial-hangup'])
  })
})
