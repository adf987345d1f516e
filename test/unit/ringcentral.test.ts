import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { config } from '../../connectors/ringcentral/schema.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { progressOf } from '../../src/call/merge.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import { testSigner } from '../kit/signer.ts'
import {
  account,
  FOLDER,
  fold,
  HOOK,
  played,
  read,
  SETTINGS,
  sample,
  webhook,
} from './ringcentral-account.ts'

const bodyOf = (name: string): string =>
  JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), 'utf8')).request.body
const told = (...names: string[]): CallEvent[] => names.flatMap((name) => read(bodyOf(name)))

describe('a session', () => {
  it.each(['inbound', 'outbound'] as const)('%s is told whole', (direction) => {
    const events = played(account(), sample({ direction }))
    expect(fold(events)).toMatchObject({
      direction,
      result: 'answered',
      talkMs: 60_000,
      totalMs: 68_000,
      customer: { phone: '+33639980142' },
      agent: { id: '6226442101', name: 'Alice Martin' },
      recordings: [{ state: 'ready' }],
    })
    expect(progressOf(events)).toEqual({ ended: true, recording: 'ready' })
    expect(progressOf(events.slice(0, -3)).recording).toBe('pending')
  })
  it.each([
    ['no_answer', 'inbound'],
    ['busy', 'inbound'],
    ['no_answer', 'outbound'],
    ['busy', 'outbound'],
  ] as const)('%s %s waits for no recording', (result, direction) => {
    const { audio: _, ...missed } = sample({ result, direction })
    const events = played(account(), missed)
    expect(fold(events)).toMatchObject({ direction, result, customer: { phone: '+33639980142' } })
    expect(progressOf(events)).toEqual({ ended: true, recording: 'none' })
  })
  const QUEUE = [
    'queue-setup',
    'queue-answered',
    'queue-agent-refused',
    'queue-agent-answered',
    'queue-left',
    'queue-consultation',
    'queue-gone',
  ]
  it('of a queue goes on until its last party has left, in whatever session', () => {
    const before = told(...QUEUE)
    expect(progressOf(before).ended).toBe(false)
    expect(fold(before)).toMatchObject({ direction: 'inbound', customer: { phone: '+33639980142' } })
    const events = [...before, ...told('queue-disconnected')]
    expect(progressOf(events).ended).toBe(true)
    expect(fold(events)).toMatchObject({
      direction: 'inbound',
      result: 'answered',
      startedAt: '2026-03-04T11:20:00.340Z',
      answeredAt: '2026-03-04T11:20:12.340Z',
      endedAt: '2026-03-04T11:22:17.340Z',
      customer: { phone: '+33639980142', name: 'Jean Dupont' },
      agent: { name: 'Alice Martin', group: 'Support FR' },
    })
    expect(before.flatMap(({ alsoKnownAs = [] }) => alsoKnownAs)).toEqual([
      's-b7abd24ca6774373a8120a3390d3cbe8',
    ])
  })
  it('of a queue that is not listed has the queue for its agent', () => {
    const events = read(bodyOf('queue-answered'), { callQueues: [] })
    expect(fold(events)).toMatchObject({ result: 'answered', agent: { name: 'Support FR' } })
    expect(fold(read(bodyOf('queue-answered'), { callQueues: ['62264425999'] })).result).toBeUndefined()
  })
  it('that only a queue answered is not answered', () => {
    const left = JSON.parse(bodyOf('queue-left'))
    delete left.body.parties[0].status.reason
    const events = [...told('queue-setup', 'queue-answered'), ...read(JSON.stringify(left))]
    expect(progressOf(events)).toEqual({ ended: true, recording: 'none' })
    expect(fold(events).result).toBe('no_answer')
  })
  it('that went to voicemail stays so', () => {
    const events = told('voicemail-setup', 'voicemail-begun', 'voicemail-over')
    expect(fold(events).result).toBe('voicemail')
    expect(progressOf(events).ended).toBe(true)
  })
  it('that the customer gave up is abandoned; one that hides the number has a customer all the same', () => {
    expect(fold(told('missed-cancelled')).result).toBe('abandoned')
    expect(fold(told('missed-setup', 'missed-disconnected'))).toMatchObject({
      result: 'no_answer',
      customer: { phone: null },
    })
  })
  it('between extensions is internal and has no customer', () => {
    const call = fold(told('internal-setup', 'internal-disconnected'))
    expect(call.direction).toBe('internal')
    expect(call.customer).toBeUndefined()
    const direct = JSON.parse(bodyOf('inbound-setup'))
    direct.body.parties[0].from = { phoneNumber: '+33199001235', extensionId: '62264425017' }
    expect(fold(read(JSON.stringify(direct))).direction).toBe('internal')
  })
  it.each([
    ['BlindTransfer', false],
    ['CallFlip', false],
    ['CallFinished', true],
    ['constructor', true],
  ])('is ended by a party that left for %s: %s', (reason, ended) => {
    const left = JSON.parse(bodyOf('inbound-disconnected'))
    left.body.parties[0].status.reason = reason
    const events = [...told('inbound-setup', 'inbound-answered'), ...read(JSON.stringify(left))]
    expect(progressOf(events).ended).toBe(ended)
    expect(fold(events).result).toBe('answered')
    const alone = fold(read(JSON.stringify(left)))
    expect(alone.result).toBe(ended ? 'no_answer' : undefined)
  })

  /** The one party of a fixture, changed. */
  function changed(name: string, party: Record<string, unknown>, status: Record<string, unknown> = {}) {
    const notice = JSON.parse(bodyOf(name))
    const [first] = notice.body.parties
    Object.assign(first, party)
    Object.assign(first.status, status)
    return read(JSON.stringify(notice))
  }
  it.each([
    ['Rejected', false],
    ['TargetBusy', false],
    ['InternalError', true],
  ])('of a queue whose agent left for %s ends: %s', (reason, ended) => {
    const events = changed('inbound-disconnected', { queueCall: true }, { reason })
    expect(progressOf(events).ended).toBe(ended)
    expect(fold(events).result).toBe(ended ? 'failed' : undefined)
  })
  it('that was held and taken up again was answered when it was first', () => {
    const resumed = JSON.parse(bodyOf('inbound-answered'))
    Object.assign(resumed.body, { sequence: 8, eventTime: '2026-03-04T11:21:30.340Z' })
    const events = [...told('inbound-answered'), ...read(JSON.stringify(resumed))]
    for (const all of [events, events.toReversed()]) {
      const { answeredAt, legs } = fold(all)
      expect([answeredAt, legs[0]?.answeredAt]).toEqual([events[0]?.at, events[0]?.at])
    }
  })
  it.each(['VoiceMail', 'VoiceMailScreening'])('that is at %s is a voicemail when it ends', (code) => {
    const events = [...changed('inbound-answered', {}, { code }), ...told('inbound-disconnected')]
    expect(fold(events).result).toBe('voicemail')
  })
  it('names its customer only where the name is no number', () => {
    const named = (name: string) =>
      fold(changed('inbound-setup', { from: { phoneNumber: '+33639980142', name } })).customer?.name
    expect(named('Jean Dupont')).toBe('Jean Dupont')
    expect(named('+33 6 39-98 (0142).')).toBeUndefined()
  })
  it.each([
    ['Answered', undefined, 'pending'],
    ['Gone', undefined, 'ready'],
    ['Gone', true, 'pending'],
    ['Disconnected', false, 'ready'],
    ['Disconnected', true, 'pending'],
  ])('%s with a recording whose active is %s has it %s', (code, active, state) => {
    const recordings = [{ id: '9001', ...(active === undefined ? {} : { active }) }]
    const events = changed('inbound-answered', { recordings }, { code })
    expect(fold(events).recordings).toMatchObject([{ key: '9001', state }])
  })
})

describe('the question for the address', () => {
  const asked = (headers: [string, string][], body = '') => {
    const raw = {
      method: 'POST',
      url: HOOK,
      path: '',
      headers,
      body: new TextEncoder().encode(body),
      receivedAt: '',
    }
    const ctx = { connection: 'pbx', config: config.parse(SETTINGS), region: 'FR' }
    return webhook?.handshake?.(inboundRequest(raw), ctx, testSigner)
  }
  it('gets its token back, in less than 1,024 bytes', () => {
    const reply = asked([['Validation-Token', '0f1e2d3c-aaaa']])
    expect(reply).toMatchObject({ status: 200, headers: { 'validation-token': '0f1e2d3c-aaaa' } })
    expect(JSON.stringify(reply).length).toBeLessThan(300)
  })
  it.each([
    ['no header', [], ''],
    ['markup', [['validation-token', '<b>']], ''],
    ['a long text', [['validation-token', 'x'.repeat(129)]], ''],
    ['a notification', [['validation-token', 'abc']], '{"event":"/restapi/v1.0/x"}'],
    ['what cannot be read', [['validation-token', 'abc']], '{"event":'],
  ] as [string, [string, string][], string][])('is not one with %s', (_, headers, body) => {
    expect(asked(headers, body)).toBeNull()
  })
})
