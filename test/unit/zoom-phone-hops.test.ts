import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { connector } from '../../connectors/zoom-phone/connector.ts'
import { createSandbox } from '../../connectors/zoom-phone/sandbox.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { progressOf } from '../../src/call/merge.ts'
import { fold, openAccount } from './telephony-account.ts'

/** Hops and parties, word by word: what the sample calls of the stand-in do not show. */

const FOLDER = new URL('../../connectors/zoom-phone/fixtures/', import.meta.url)
const account = JSON.parse(readFileSync(new URL('connection.json', FOLDER), 'utf8')).config
const baseUrl = 'https://api.zoom.us'

function say(event: string, object: object): CallEvent[] {
  return openAccount({ connector, createSandbox, account, baseUrl }).read({
    says: event,
    method: 'POST',
    path: '',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ event, event_ts: 1, payload: { account_id: 'a', object } }),
  })
}
const BEGAN = '2026-03-04T11:20:00.000Z'
const TAKEN = '2026-03-04T11:20:10.000Z'
const ENDED = '2026-03-04T11:22:17.000Z'
const IN = { direction: 'inbound', caller_did_number: '+33639980142', callee_did_number: '+33199001234' }
const OUT = {
  direction: 'outbound',
  caller_ext_id: 'e123',
  caller_name: 'Alice Martin',
  caller_did_number: '+33199001234',
  callee_did_number: '+33639980142',
}
const hop = (changes: object): CallEvent[] =>
  say('phone.callee_call_element_completed', {
    call_elements: [{ call_element_id: 'h1', call_id: '7239106517459834881', end_time: ENDED, ...changes }],
  })

describe('a hop', () => {
  it.each([
    ['answered', 'answered', 'answered'],
    ['accepted', 'answered', 'answered'],
    ['picked_up', 'answered', 'answered'],
    ['connected', 'answered', 'answered'],
    ['succeeded', 'answered', 'answered'],
    ['voicemail', 'voicemail', 'voicemail'],
    ['no_answer', 'no_answer', 'no_answer'],
    ['ring_timeout', 'no_answer', 'no_answer'],
    ['rejected', 'rejected', 'rejected'],
    ['busy', 'busy', 'busy'],
    ['call_failed', 'failed', 'failed'],
    ['unconnected', 'failed', 'failed'],
    ['service_unavailable', 'failed', 'failed'],
    ['system_blocked', 'failed', 'failed'],
    ['abandoned', 'abandoned', 'no_answer'],
    ['canceled', 'abandoned', 'no_answer'],
    ['hang_up', 'abandoned', 'no_answer'],
  ])('that ended %s is %s inbound, %s outbound', (result, inbound, outbound) => {
    expect(fold(hop({ ...IN, result })).result).toBe(inbound)
    expect(fold(hop({ ...OUT, result })).result).toBe(outbound)
    const reason = inbound === 'answered' ? undefined : result
    expect(fold(hop({ ...IN, result })).disconnectReason).toBe(reason)
  })
  it('without a result, or with one that nobody knows, leaves it open and ends the call', () => {
    for (const changes of [{}, { result: 'sideways' }]) {
      const events = hop({ ...IN, ...changes })
      expect(fold(events).result).toBeUndefined()
      expect(progressOf(events).ended).toBe(true)
    }
    expect(fold(hop(IN)).disconnectReason).toBeUndefined()
  })
  it.each([
    { event: 'overflow', result: 'no_answer' },
    { result: 'overflowed' },
    { result: 'no_answer', result_reason: 'answered_by_other' },
    { event: 'warm_transfer', connect_type: 'internal' },
  ])('that is handed on as %o ends nothing and names nobody', (changes) => {
    const events = hop({ ...IN, ...changes })
    expect(events).toHaveLength(1)
    expect(progressOf(events).ended).toBe(false)
    const { direction, result, legs } = fold(events)
    expect([direction, result]).toEqual([undefined, undefined])
    expect(legs).toHaveLength(1)
    if ('result_reason' in changes) expect(legs[0]).not.toHaveProperty('result')
  })
  it.each(['call_queue', 'auto_receptionist'])(
    'that a %s answered is no answer, and has no times of one',
    (type) => {
      const times = { answer_time: TAKEN, talk_time: 20, hold_time: 3, recording_id: 'r1' }
      const call = fold(
        hop({ ...IN, ...times, result: 'answered', callee_ext_type: type, callee_name: 'Support' }),
      )
      expect([call.result, call.answeredAt, call.talkMs, call.holdMs]).toEqual(Array(4).fill(undefined))
      expect(call.recordings).toEqual([])
      expect(call.agent).toEqual(type === 'call_queue' ? { group: 'Support' } : undefined)
      expect(call.legs[0]).not.toHaveProperty('agent')
    },
  )
  it('that a customer’s menu took is answered all the same when we called', () => {
    const menu = { callee_ext_type: 'auto_receptionist', answer_time: TAKEN, result: 'answered' }
    const call = fold(hop({ ...OUT, ...menu }))
    expect(call).toMatchObject({ result: 'answered', answeredAt: TAKEN, agent: { id: 'e123' } })
    expect(call.legs[0]?.agent).toEqual({ id: 'e123', name: 'Alice Martin' })
  })
  it.each([
    [{ callee_ext_id: 'e1' }, { id: 'e1' }],
    [{ callee_ext_number: 1009 }, { extension: '1009' }],
    [{ callee_email: 'alice@example.com' }, { email: 'alice@example.com' }],
    [{ callee_name: 'Alice Martin' }, undefined],
  ])('whose callee is known by %o has that agent', (callee, agent) => {
    expect(fold(hop({ ...IN, ...callee, result: 'answered' })).agent).toEqual(agent)
  })
  it('names its customer on the customer’s side', () => {
    const names = { caller_name: 'Alice Martin', callee_name: 'Jean Dupont' }
    expect(fold(hop({ ...OUT, ...names })).customer?.name).toBe('Jean Dupont')
    expect(fold(hop({ ...IN, ...names })).customer?.name).toBe('Alice Martin')
    expect(fold(hop({ ...IN, caller_name: '+33 6 39 98 01 42' })).customer?.name).toBeUndefined()
  })
  it('of which nobody says the direction names no parties', () => {
    const { direction, from, dialed } = fold(hop({ ...IN, direction: null }))
    expect([direction, from, dialed]).toEqual([undefined, undefined, undefined])
  })
})

describe('an event of a party', () => {
  const caller = { phone_number: '+33639980142', name: 'Jean Dupont' }
  const callee = {
    extension_id: 'e123',
    extension_type: 'user',
    name: 'Alice Martin',
    phone_number: '+33199001234',
  }
  const live = (name: string, changes: object = {}): CallEvent[] =>
    say(name, { call_id: '7239106517459834881', caller, callee, ringing_start_time: BEGAN, ...changes })
  const ended = { answer_start_time: TAKEN, call_end_time: ENDED }

  it('that rings tells who calls whom, and no answer', () => {
    const [event] = live('phone.callee_ringing', ended)
    expect(event).toMatchObject({ phase: 'ringing', at: BEGAN, facts: { customer: { name: 'Jean Dupont' } } })
    expect(event?.facts.answeredAt).toBeUndefined()
    expect(event?.facts.endedAt).toBeUndefined()
    const [outbound] = live('phone.caller_ringing', { caller: callee, callee: caller })
    expect(outbound?.facts).toMatchObject({ direction: 'outbound', customer: { name: 'Jean Dupont' } })
  })
  it('that answers names the agent', () => {
    const [event] = live('phone.callee_answered', ended)
    expect(event).toMatchObject({ phase: 'answered', at: TAKEN })
    expect(event?.facts).toMatchObject({ answeredAt: TAKEN, agent: { id: 'e123', name: 'Alice Martin' } })
    expect(event?.facts.endedAt).toBeUndefined()
  })
  it.each(['phone.callee_ended', 'phone.callee_missed', 'phone.callee_rejected'])(
    '%s does not end the call, and says when that party left',
    (name) => {
      const events = live(name, { call_end_time: ENDED })
      expect(progressOf(events).ended).toBe(false)
      expect(events[0]).toMatchObject({ at: ENDED, facts: { endedAt: ENDED } })
      expect(events[0]?.facts.answeredAt).toBeUndefined()
      expect(live(name)[0]?.facts.endedAt).toBeUndefined()
    },
  )
  it('without its own side names no agent', () => {
    const [event] = live('phone.callee_answered', { ...ended, callee: null })
    expect(event?.facts.answeredAt).toBe(TAKEN)
    expect(event?.facts.agent).toBeUndefined()
  })
})

it('a recording is as long as its event says', () => {
  const row = { id: 'r1', call_id: '7239106517459834881', duration: 127 }
  const [event] = say('phone.recording_completed', { recordings: [row] })
  expect(event?.facts.recordings).toMatchObject([{ key: 'r1', durationMs: 127_000 }])
})
