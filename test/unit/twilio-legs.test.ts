import { describe, expect, it } from 'vitest'
import { progressOf } from '../../src/call/merge.ts'
import { account, fold, listCalls, NOW, read } from './twilio-account.ts'

/** Whose leg is whose, status by status: what the sample calls of the stand-in do not show. */

const OWN = '+33199001234'
const CUSTOMER = '+33639980142'
const MOBILE = '+447700900123'
const at = (second: number) => new Date(NOW + second * 1000).toUTCString().replace('GMT', '+0000')
const root = { CallSid: 'CA1', Direction: 'inbound', From: CUSTOMER, To: OWN }
const child = { CallSid: 'CA2', ParentCallSid: 'CA1', Direction: 'outbound-dial', From: OWN }

describe('a status', () => {
  it.each([
    ['queued', undefined, false],
    ['initiated', undefined, false],
    ['in-progress', undefined, false],
    ['completed', 'answered', true],
    ['busy', 'busy', true],
    ['failed', 'failed', true],
    ['no-answer', 'no_answer', true],
    ['canceled', 'abandoned', true],
  ])('%s of an inbound call says %s', (CallStatus, result, ended) => {
    const events = read({ ...root, CallStatus, Timestamp: at(4) })
    expect(fold(events)).toMatchObject({ direction: 'inbound', customer: { phone: CUSTOMER } })
    expect(fold(events).result).toBe(result)
    expect(progressOf(events).ended).toBe(ended)
    const began = ['queued', 'initiated'].includes(CallStatus)
      ? new Date(NOW + 4000).toISOString()
      : undefined
    expect(fold(events).legs[0]?.startedAt).toBe(began)
  })
  it('canceled of an outbound call is no caller who gave up', () => {
    const out = { ...root, Direction: 'outbound-api', From: OWN, To: CUSTOMER, CallStatus: 'canceled' }
    expect(fold(read(out)).result).toBe('no_answer')
  })
  it('in-progress tells when an inbound call was taken, and nothing of a softphone’s call', () => {
    const taken = { ...root, CallStatus: 'in-progress', Timestamp: at(4) }
    expect(fold(read(taken)).answeredAt).toBe(new Date(NOW + 4000).toISOString())
    expect(fold(read({ ...taken, From: 'client:alice', To: CUSTOMER })).answeredAt).toBeUndefined()
  })
})

describe('a call', () => {
  it('from a softphone is outbound, between softphones internal', () => {
    const of = (To: string) => fold(read({ ...root, CallStatus: 'ringing', From: 'client:alice', To }))
    expect(of(CUSTOMER)).toMatchObject({ direction: 'outbound', agent: { id: 'alice' } })
    expect(of('client:bob').direction).toBe('internal')
    expect(of('101').direction).toBe('internal')
    expect(of('client:bob').customer).toBeUndefined()
  })
  it('by a trunk has the direction of its trunk, whoever stands at its ends', () => {
    const of = (Direction: string) => fold(read({ ...root, Direction, CallStatus: 'ringing' })).direction
    expect(of('trunking-originating')).toBe('inbound')
    expect(of('trunking-terminating')).toBe('outbound')
    expect(of('sideways')).toBeUndefined()
  })
  it('that rings an agent’s own phone first shows neither our number nor the agent as its customer', () => {
    const keys = { ownNumbers: [OWN, MOBILE] }
    const first = { ...root, Direction: 'outbound-api', From: OWN, To: MOBILE, CallStatus: 'completed' }
    const call = fold(read(first, '', keys))
    expect([call.from, call.dialed, call.customer, call.result]).toEqual(Array(4).fill(undefined))
    const both = [
      ...read(first, '', keys),
      ...read({ ...child, To: CUSTOMER, CallStatus: 'no-answer' }, '', keys),
    ]
    expect(fold(both)).toMatchObject({ customer: { phone: CUSTOMER }, result: 'no_answer' })
  })
  it('that is put through to an agent’s own phone keeps its caller, even before the parent’s end', () => {
    const keys = { ownNumbers: [OWN, MOBILE] }
    const leg = read({ ...child, To: MOBILE, CallStatus: 'in-progress', Timestamp: at(9) }, '', keys)
    expect(leg[0]?.facts.direction).toBeUndefined()
    expect(leg[0]?.facts.dialed).toBeUndefined()
    const toSip = read({ ...child, To: 'sip:101@acme.sip.twilio.com', CallStatus: 'completed' }, '', keys)
    expect(toSip[0]?.facts).toMatchObject({ agent: { extension: '101' } })
    expect(toSip[0]?.facts.dialed).toBeUndefined()
  })
  it('has talked as long as the leg that was completed', () => {
    const of = (CallStatus: string) =>
      read({ ...child, To: 'client:alice', CallStatus, CallDuration: '12' })[0]?.facts.talkMs
    expect(of('completed')).toBe(12_000)
    expect(of('no-answer')).toBeUndefined()
  })
  it('of an agent who did not answer does not name that agent', () => {
    const leg = read({ ...child, To: 'client:alice', CallStatus: 'no-answer' })
    expect(leg[0]?.facts.agent).toBeUndefined()
  })
  it('inbound has its caller’s name, and the number that sent it here', () => {
    const named = { ...root, CallStatus: 'ringing', CallerName: 'Jean Dupont', ForwardedFrom: '+33199001299' }
    expect(fold(read(named))).toMatchObject({
      customer: { name: 'Jean Dupont' },
      meta: { forwardedFrom: '+33199001299' },
    })
    const out = read({ ...named, Direction: 'outbound-api', From: OWN, To: CUSTOMER })
    expect(fold(out).customer?.name).toBeUndefined()
  })
  it('has what the callback’s URL says', () => {
    const said = '?direction=outbound&queue=sales&segment=retention&reference=A-7'
    const events = read({ ...root, CallStatus: 'ringing' }, said)
    expect(fold(events)).toMatchObject({
      direction: 'outbound',
      agent: { group: 'sales' },
      segment: 'retention',
      reference: 'A-7',
    })
    expect(fold(read({ ...root, CallStatus: 'ringing' }, '?direction=internal')).direction).toBe('inbound')
    const long = fold(read({ ...root, CallStatus: 'ringing' }, `?queue=${'q'.repeat(300)}`))
    expect(long.agent?.group).toHaveLength(128)
  })
})

describe('a recording', () => {
  it.each([
    ['in-progress', 'pending'],
    ['paused', 'pending'],
    ['stopped', 'pending'],
    ['processing', 'pending'],
    ['completed', 'ready'],
    ['absent', 'absent'],
    ['deleted', 'absent'],
    ['failed', 'failed'],
  ])('that is %s is %s', (RecordingStatus, state) => {
    const [event] = read({ CallSid: 'CA1', RecordingSid: 'RE1', RecordingStatus })
    expect(event).toMatchObject({ callId: 'CA1', facts: { recordings: [{ key: 'RE1', state }] } })
    expect(event?.phase).toBe(state === 'pending' ? 'answered' : 'recorded')
  })
})

describe('the list', () => {
  it('has the start of each call and leg', async () => {
    const row = {
      sid: 'CA1',
      status: 'completed',
      direction: 'inbound',
      from: CUSTOMER,
      to: OWN,
      duration: '68',
    }
    const calls = [{ ...row, start_time: at(-100), end_time: at(-32) }]
    const { ctx } = account()
    const fetch = async (url: string | URL) =>
      Response.json(String(url).includes('/Calls.json') ? { calls } : { recordings: [] })
    const events = []
    for await (const page of listCalls?.(new Date(NOW - 86_400_000).toISOString(), { ...ctx, fetch }) ?? [])
      events.push(...page)
    const startedAt = new Date(NOW - 100_000).toISOString()
    expect(fold(events)).toMatchObject({ startedAt, totalMs: 68_000, legs: [{ startedAt }] })
  })
})
