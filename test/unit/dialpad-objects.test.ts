import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { connector } from '../../connectors/dialpad/connector.ts'
import { createSandbox } from '../../connectors/dialpad/sandbox.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { progressOf } from '../../src/call/merge.ts'
import { fold, NOW, openAccount } from './telephony-account.ts'

/** Call objects, field by field: what the sample calls of the stand-in do not show. */

const file = new URL('../../connectors/dialpad/fixtures/connection.json', import.meta.url)
const account = JSON.parse(readFileSync(file, 'utf8')).config
const baseUrl = 'https://dialpad.com'
const time = (at: number) => new Date(NOW + at * 1000).toISOString()

const ALICE = { id: 5171365938069504, type: 'user', name: 'Alice Martin', email: 'alice.martin@example.com' }
const CENTER = { id: 58, type: 'call_center', name: 'Support FR', phone: '+33199001200' }
const CALL = {
  call_id: 7,
  direction: 'inbound',
  date_started: NOW,
  date_ended: NOW + 137_000,
  event_timestamp: NOW + 138_000,
  external_number: '+33639980142',
  internal_number: '+33199001234',
  target: ALICE as object,
  is_internal: false,
}
const TAKEN = { date_connected: NOW + 10_000, duration: 127_000.4, was_recorded: true }

function say(state: string, changes: object = {}, keys = {}): CallEvent[] {
  const claims = Buffer.from(JSON.stringify({ ...CALL, state, ...changes })).toString('base64url')
  return openAccount({ connector, createSandbox, account, keys, baseUrl }).read({
    says: state,
    method: 'POST',
    path: '',
    headers: {},
    body: `e30.${claims}.e30`,
  })
}

describe('a hangup', () => {
  it('has its lengths: the talk without its holds, else what was connected', () => {
    const held = { ...TAKEN, talk_time: 120_000.2, hold_time: 7000.4, total_duration: 137_000 }
    expect(say('hangup', held)[0]?.facts).toMatchObject({
      answeredAt: time(10),
      talkMs: 120_000,
      holdMs: 7000,
      totalMs: 137_000,
    })
    expect(say('hangup', TAKEN)[0]?.facts).toMatchObject({ talkMs: 127_000 })
    const untaken = say('hangup', { talk_time: 5, hold_time: 5, duration: 5 })[0]?.facts
    expect([untaken?.talkMs, untaken?.holdMs, untaken?.answeredAt]).toEqual([undefined, undefined, undefined])
  })
  it('without an end is timed by its event', () => {
    const [event] = say('hangup', { date_ended: null })
    expect(event?.at).toBe(time(138))
    expect(event?.facts.endedAt).toBeUndefined()
  })
  it.each([
    [{ ...TAKEN }, 'answered', { id: '5171365938069504' }],
    [{}, 'no_answer', undefined],
    [{ voicemail_link: 'https://dialpad.com/r/1' }, 'voicemail', undefined],
    [{ voicemail_share_link: 'https://dialpad.com/s/1' }, 'voicemail', undefined],
    [{ voicemail_recording_id: 1 }, 'voicemail', undefined],
    [{ ...TAKEN, voicemail_link: 'https://dialpad.com/r/1' }, 'answered', { id: '5171365938069504' }],
    [{ ...TAKEN, target: CENTER }, undefined, { group: 'Support FR' }],
    [{ ...TAKEN, target: CENTER, operator_call_id: 9 }, 'answered', { group: 'Support FR' }],
  ])('of an inbound call with %o is %s', (changes, result, agent) => {
    const call = fold(say('hangup', changes))
    expect(call.result).toBe(result)
    expect(call.agent).toEqual(agent && expect.objectContaining(agent))
  })
  it('of an outbound call names who called, taken or not', () => {
    const out = { direction: 'outbound' }
    for (const changes of [out, { ...out, ...TAKEN }]) {
      expect(fold(say('hangup', changes))).toMatchObject({
        direction: 'outbound',
        from: { phone: '+33199001234' },
        customer: { phone: '+33639980142' },
        agent: { id: '5171365938069504', name: 'Alice Martin', email: 'alice.martin@example.com' },
        legs: [{ from: '+33199001234', to: '+33639980142' }],
      })
    }
  })
  it('waits for a recording where one was made, and for none where it is known that none was', () => {
    const none = { ...TAKEN, was_recorded: false }
    expect(progressOf(say('hangup', TAKEN)).recording).toBe('pending')
    expect(progressOf(say('hangup', none)).recording).toBe('none')
    // One object of several, or that of a call center, does not speak for the others.
    expect(progressOf(say('hangup', { ...none, master_call_id: 9 })).recording).toBe('unknown')
    expect(progressOf(say('hangup', { ...none, target: CENTER, operator_call_id: 9 })).recording).toBe(
      'unknown',
    )
  })
  it('of a part that was not connected ends nothing, a voicemail does', () => {
    const part = { entry_point_call_id: 3 }
    expect(progressOf(say('hangup', part)).ended).toBe(false)
    expect(progressOf(say('missed', part)).ended).toBe(false)
    expect(progressOf(say('voicemail', part)).ended).toBe(true)
    expect(progressOf(say('hangup', { ...part, ...TAKEN })).ended).toBe(true)
    expect(progressOf(say('hangup', { entry_point_call_id: 7 })).ended).toBe(true)
  })
  it('brings labels, and who the contact is unless the name is a number', () => {
    const call = fold(say('hangup', { labels: ['vip'], contact: { name: 'Jean Dupont', email: '' } }))
    expect(call.tags).toEqual(['vip'])
    expect(call.customer).toEqual({ phone: '+33639980142', phoneRaw: '+33639980142', name: 'Jean Dupont' })
    const unnamed = fold(say('hangup', { contact: { name: '(633) 998-0142', email: 'j@example.com' } }))
    expect([unnamed.customer?.name, unnamed.customer?.email]).toEqual([undefined, 'j@example.com'])
  })
  it('between colleagues names neither customer nor agent', () => {
    const events = say('hangup', { ...TAKEN, is_internal: true, contact: { name: 'Bob Durand' } })
    expect(fold(events)).toMatchObject({ direction: 'internal', result: 'answered' })
    expect([fold(events).customer, fold(events).agent]).toEqual([undefined, undefined])
    // A colleague who is asked in the middle of a customer's call does not make it internal.
    const asked = [...say('hangup', TAKEN), ...say('hangup', { ...TAKEN, call_id: 8, is_internal: true })]
    expect(fold(asked).direction).toBe('inbound')
  })
  it('of which nobody says the direction names no parties; a hidden number is a customer', () => {
    const { direction, from } = fold(say('hangup', { direction: null }))
    expect([direction, from]).toEqual([undefined, undefined])
    expect(fold(say('hangup', { external_number: '' })).customer).toMatchObject({ phone: null })
  })
})

describe('a call under way', () => {
  it.each([
    ['calling', 'ringing'],
    ['ringing', 'ringing'],
    ['preanswer', 'ringing'],
    ['queued', 'ringing'],
    ['connected', 'answered'],
  ])('that is %s is %s, and told as often as it happens', (state, phase) => {
    const [event] = say(state, TAKEN)
    expect(event).toMatchObject({ phase, at: time(138), key: `7:${state}:${time(138)}` })
    expect(event?.facts.answeredAt).toBe(state === 'connected' ? time(10) : undefined)
    expect(say(state, { event_timestamp: null })[0]?.key).toBe(`7:${state}`)
  })
  it('that a call center connected has no agent yet, and was dialled by its number', () => {
    const [event] = say('connected', { ...TAKEN, target: CENTER, entry_point_target: CENTER })
    expect(event?.facts.answeredAt).toBeUndefined()
    expect(event?.facts.agent).toBeUndefined()
    expect(event?.facts.dialed?.phone).toBe('+33199001200')
    const [taken] = say('connected', { ...TAKEN, entry_point_target: CENTER })
    expect(taken?.facts.agent).toMatchObject({ id: '5171365938069504', group: 'Support FR' })
  })
  it('between colleagues says so only while it rings', () => {
    expect(say('ringing', { is_internal: true })[0]?.facts.direction).toBe('internal')
    expect(say('connected', { ...TAKEN, is_internal: true })[0]?.facts.direction).toBeUndefined()
  })
  it('is one with whatever call objects it names, but not with nought', () => {
    const [event] = say('ringing', { entry_point_call_id: 3, master_call_id: 7, operator_call_id: 0 })
    expect(event).toMatchObject({ callId: '7', alsoKnownAs: ['3'] })
    expect(say('ringing', { master_call_id: 3, operator_call_id: 4 })[0]?.alsoKnownAs).toEqual(['3', '4'])
    expect(say('ringing')[0]).not.toHaveProperty('alsoKnownAs')
  })
})

describe('recordings', () => {
  const url = 'https://dialpad.com/blob/adminrecording/55.mp3'
  it('are known by their id, from either field, once', () => {
    const details = [{ id: '55', recording_type: 'admincallrecording', duration: 126_000, url }]
    const both = say('recording', { admin_recording_urls: [url], recording_details: details })
    expect(both).toHaveLength(1)
    expect(both[0]?.facts.recordings).toEqual([
      { key: '55', url, format: 'mp3', state: 'ready', durationMs: 126_000 },
    ])
    const [alone] = say('admin_recording', { admin_recording_urls: [url] })
    expect(alone?.facts.recordings).toEqual([{ key: '55', url, format: 'mp3', state: 'ready' }])
  })
  it('without a link, or behind another kind of link, are none', () => {
    expect(say('recording', { recording_details: [{ id: '55' }] })).toEqual([])
    expect(say('recording', { admin_recording_urls: ['https://dialpad.com/r/55'] })).toEqual([])
  })
})
