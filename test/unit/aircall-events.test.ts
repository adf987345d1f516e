import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { connector } from '../../connectors/aircall/connector.ts'
import { createSandbox } from '../../connectors/aircall/sandbox.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { progressOf } from '../../src/call/merge.ts'
import { fold, NOW, openAccount } from './telephony-account.ts'

/** What each event says of a call, and what it leaves to others. */

const file = new URL('../../connectors/aircall/fixtures/connection.json', import.meta.url)
const account = JSON.parse(readFileSync(file, 'utf8')).config
const baseUrl = 'https://api.aircall.io'
const second = (at: number) => NOW / 1000 + at
const time = (at: number) => new Date(NOW + at * 1000).toISOString()

const ALICE = { id: 456, name: 'Alice Martin', email: 'alice.martin@example.com' }
const BOB = { id: 457, name: 'Bob Durand' }
const CALL = {
  id: 812345678,
  direction: 'inbound',
  status: 'done',
  started_at: second(0),
  answered_at: null as number | null,
  ended_at: second(137),
  raw_digits: '+33 6 39 98 01 42',
  number: { name: 'Support FR', digits: '+33 1 99 00 12 34' },
  user: {} as object,
}
function say(event: string, changes: object = {}, keys = {}, at = 138): CallEvent[] {
  const body = { resource: 'call', event, timestamp: second(at), token: 'x', data: { ...CALL, ...changes } }
  return openAccount({ connector, createSandbox, account, keys, baseUrl }).read({
    says: event,
    method: 'POST',
    path: '',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
}
const TAKEN = { answered_at: second(10), user: ALICE }

describe('Aircall: the end', () => {
  it.each([
    ['short_abandoned', 'abandoned'],
    ['abandoned_in_ivr', 'abandoned'],
    ['abandoned_in_classic', 'abandoned'],
    ['out_of_opening_hours', 'no_answer'],
    ['no_available_agent', 'no_answer'],
    ['agents_did_not_answer', 'no_answer'],
    ['constructor', 'no_answer'],
  ])('of an inbound call that was missed for %s is %s', (reason, result) => {
    const events = say('call.ended', {
      missed_call_reason: reason,
      hangup_cause: 'normal_clearing',
      user: ALICE,
    })
    expect(fold(events)).toMatchObject({
      result,
      disconnectReason: reason,
      customer: { phone: '+33639980142' },
    })
    // Who rang last did not talk to the customer.
    expect(fold(events).agent).toBeUndefined()
    expect(progressOf(events)).toEqual({ ended: true, recording: 'none' })
    const outbound = say('call.ended', { direction: 'outbound', missed_call_reason: reason, user: ALICE })
    expect(fold(outbound)).toMatchObject({ result: 'no_answer', agent: { id: '456' } })
  })
  it('of an answered call names who talked last, and the team', () => {
    const more = { ...TAKEN, teams: [{ id: 7, name: 'Support' }] }
    const call = fold(say('call.ended', more))
    expect(call).toMatchObject({ result: 'answered', ringMs: 10_000, talkMs: 127_000, totalMs: 137_000 })
    expect(call.agent).toEqual({ ...ALICE, id: '456', group: 'Support' })
    expect(fold(say('call.ended', { ...more, transferred_to: BOB })).agent?.id).toBe('457')
    expect(fold(say('call.ended', { teams: more.teams })).agent).toEqual({ group: 'Support' })
  })
  it('of a call with a voicemail is a voicemail, unless somebody answered', () => {
    const voicemail = 'https://storage.example.net/v.mp3'
    expect(fold(say('call.ended', { voicemail, missed_call_reason: 'short_abandoned' }))).toMatchObject({
      result: 'voicemail',
      recordings: [{ key: 'voicemail:812345678', state: 'ready' }],
    })
    const answered = fold(say('call.ended', { ...TAKEN, voicemail }))
    expect([answered.result, answered.recordings]).toEqual(['answered', []])
  })
  it.each(['busy', 'toString'])(
    'with a direction that nobody knows (%s) has no parties and no result',
    (direction) => {
      const call = fold(say('call.ended', { direction, hangup_cause: 'user_busy' }))
      expect([call.direction, call.from, call.result]).toEqual([undefined, undefined, undefined])
      expect(call.disconnectReason).toBe('user_busy')
    },
  )
  it('of a caller without a number has a customer, and the participant’s number where that is all', () => {
    for (const raw_digits of ['anonymous', null])
      expect(fold(say('call.ended', { raw_digits })).customer).toMatchObject({ phone: null })
    const participants = [
      { type: 'user', phone_number: '+33199001234' },
      { type: 'external', phone_number: '+33639980142' },
    ]
    const named = fold(say('call.ended', { raw_digits: null, participants }))
    expect(named.customer?.phone).toBe('+33639980142')
    const outbound = { direction: 'outbound', raw_digits: null }
    expect(fold(say('call.ended', outbound)).dialed).toBeUndefined()
  })
})

describe('Aircall: on the way', () => {
  it('agents who ring, decline or get the call are legs, and end nothing', () => {
    const events = [
      ...say('call.ringing_on_agent', { user: ALICE }, {}, 2),
      ...say('call.agent_declined', { user: ALICE }, {}, 5),
      ...say('call.transferred', { user: ALICE, transferred_to: BOB }, {}, 9),
    ]
    const call = fold(events)
    expect(call.legs).toEqual([
      { key: '456', agent: { ...ALICE, id: '456' }, result: 'rejected' },
      { key: '457', agent: { ...BOB, id: '457' } },
    ])
    expect([call.agent, call.result]).toEqual([undefined, undefined])
    expect(progressOf(events).ended).toBe(false)
  })
  it('the answer names the agent and tells when, which an earlier event cannot undo', () => {
    const events = [...say('call.answered', TAKEN, {}, 10), ...say('call.created', {}, {}, 0)]
    expect(fold(events)).toMatchObject({
      answeredAt: time(10),
      agent: { id: '456' },
      meta: { line: 'Support FR' },
    })
    expect(fold(events).legs).toMatchObject([{ key: '456', result: 'answered' }])
    expect(events.map(({ key }) => key)).toEqual(['812345678:answered:456', '812345678:created'])
    expect(say('call.answered', { answered_at: second(10) })[0]?.key).toBe('812345678:answered')
  })
  it('the contact names the customer', () => {
    const contact = {
      first_name: 'Jean',
      last_name: 'Dupont',
      emails: [{ value: null }, { value: 'j@example.com' }],
    }
    expect(fold(say('call.created', { contact })).customer).toMatchObject({
      name: 'Jean Dupont',
      email: 'j@example.com',
    })
    expect(fold(say('call.created', { contact: { last_name: 'Dupont' } })).customer?.name).toBe('Dupont')
  })
})

describe('Aircall: afterwards', () => {
  it('a recording has the tracks that the operator named, a voicemail none', () => {
    const tracks = { left: 'agent', right: 'customer' }
    const audio = 'https://storage.example.net/a.mp3'
    const assets = (of: object) => say('call.comm_assets_generated', of, { tracks })
    expect(fold(assets({ ...TAKEN, recording: audio })).recordings).toEqual([
      { key: 'recording:812345678', format: 'mp3', state: 'ready', tracks },
    ])
    expect(fold(assets({ voicemail: audio })).recordings[0]).not.toHaveProperty('tracks')
    expect(fold(assets({ voicemail: audio })).result).toBe('voicemail')
    expect(assets({})).toEqual([])
  })
  it('a voicemail that was left is waited for, and had when its link comes', () => {
    const left = say('call.voicemail_left')
    expect(progressOf(left).recording).toBe('pending')
    const audio = 'https://storage.example.net/v.mp3'
    const events = [...left, ...say('call.comm_assets_generated', { voicemail: audio })]
    expect(progressOf(events).recording).toBe('ready')
    expect(fold(events).recordings).toHaveLength(1)
  })
  it('tags and comments are told as often as they change', () => {
    const one = say('call.tagged', { tags: [{ id: 1, name: 'vip' }] })
    const two = say('call.tagged', {
      tags: [
        { id: 2, name: 'late' },
        { id: 1, name: 'vip' },
      ],
    })
    expect(one[0]?.key).not.toBe(two[0]?.key)
    const turned = say('call.tagged', {
      tags: [
        { id: 1, name: 'vip' },
        { id: 2, name: 'late' },
      ],
    })
    expect(turned[0]?.key).toBe(two[0]?.key)
    expect(fold([...two, ...one]).tags).toEqual(['late', 'vip'])
    expect(say('call.tagged', { tags: [] })).toEqual([])
    const comments = [{ content: 'first' }, { content: '' }, { content: 'second' }]
    const said = [
      ...say('call.commented', { comments }),
      ...say('call.commented', { comments: comments.slice(0, 1) }),
    ]
    expect(fold(said).meta.comments).toBe('first\nsecond')
    expect(say('call.commented', { comments: [] })).toEqual([])
  })
})
