import { describe, expect, it } from 'vitest'
import { AFTER_EVENTS, CALL_EVENTS, toListedEvents } from '../../connectors/ringover/map.ts'
import { afterEvent, callEvent, callPage, config } from '../../connectors/ringover/schema.ts'

/** What each field of an event, and of a row of the list, becomes. */

const SETTINGS = { webhookKey: 'key', apiKey: 'api' }
const ctx = { config: config.parse(SETTINGS), region: 'FR' }
const CALL = {
  call_id: '13399767559614784019',
  channel_id: '88',
  direction: 'inbound',
  from_number: '14155550100',
  to_number: '33180000000',
}
const [START, ANSWER, END] = [
  '2026-03-04T11:22:33.120Z',
  '2026-03-04T11:22:41.020Z',
  '2026-03-04T11:23:45.100Z',
]
const TIMES = { start_time: 1772623353.12, answered_time: 1772623361.02, hangup_time: 1772623425.1 }

const told = (event: string, changes: Record<string, unknown> = {}) =>
  CALL_EVENTS[event]?.(callEvent.parse({ data: { ...CALL, ...changes } }).data, ctx) ?? []
const afterwards = (event: string, changes: Record<string, unknown>, at?: string, context = ctx) =>
  AFTER_EVENTS[event]?.(afterEvent.parse({ data: { call_id: '1', ...changes } }).data, at, context) ?? []

describe('the times of an event', () => {
  it.each([
    ['ringing', TIMES, START],
    ['ringing', {}, undefined],
    ['answered', TIMES, ANSWER],
    ['answered', {}, undefined],
    ['hangup', TIMES, END],
    ['hangup', {}, undefined],
  ])('%s with %j happened at %s', (name, changes, at) => {
    const [event] = told(name, changes)
    expect(event?.at).toBe(at)
    expect(Object.hasOwn(event ?? {}, 'at')).toBe(at !== undefined)
  })

  it('are told of the call and of its leg, where they are known', () => {
    const [ended] = told('hangup', TIMES)
    const all = { startedAt: START, answeredAt: ANSWER, endedAt: END }
    expect(ended?.facts).toMatchObject({ ...all, legs: [{ key: '88', ...all, result: 'answered' }] })
    const [bare] = told('hangup')
    for (const of of [bare?.facts, bare?.facts.legs?.[0]])
      expect(Object.keys(of ?? {}).filter((key) => key.endsWith('At'))).toEqual([])
    expect(told('answered')[0]?.facts).not.toHaveProperty('answeredAt')
    // Whoever left a message was answered by a machine.
    expect(told('voicemail', TIMES)[0]?.facts).not.toHaveProperty('answeredAt')
  })
})

describe('how a call ended', () => {
  it.each([
    ['hangup', { answered_time: 1772623361 }, 'answered'],
    ['hangup', { status: 'Answered' }, 'answered'],
    ['hangup', { status: 'NOT ANSWERED' }, 'no_answer'],
    ['hangup', {}, 'no_answer'],
    ['hangup', { status: 'BUSY' }, 'busy'],
    ['hangup', { reason: 'user_busy' }, 'busy'],
    ['hangup', { reason: 'busybody' }, 'no_answer'],
    ['voicemail', { answered_time: 1772623361 }, 'voicemail'],
  ])('%s %j is %s', (name, changes, result) => {
    expect(told(name, changes)[0]?.facts.result).toBe(result)
  })

  it('missed is told where an answer overrides it, by each phone that rang', () => {
    const [verdict, end] = told('missed', { reason: 'BUSY' })
    expect(verdict).toMatchObject({ phase: 'ringing', facts: { result: 'busy', legs: [{ result: 'busy' }] } })
    expect(end).toMatchObject({ phase: 'ended', facts: { disconnectReason: 'BUSY' } })
    expect(end?.facts).not.toHaveProperty('result')
  })

  it('the reason counts before the status', () => {
    const reason = (changes: object) => told('hangup', { ...changes })[0]?.facts.disconnectReason
    expect([reason({ reason: 'A', status: 'B' }), reason({ status: 'B' }), reason({})]).toEqual([
      'A',
      'B',
      undefined,
    ])
  })
})

describe('who is who', () => {
  it.each([
    ['inbound', false, 'inbound'],
    ['IN', false, 'inbound'],
    ['outbound', false, 'outbound'],
    ['Out', false, 'outbound'],
    ['inbound', true, 'internal'],
    ['sideways', false, undefined],
    [undefined, false, undefined],
  ])('the direction %s, internal %s, is %s', (direction, is_internal, expected) => {
    const [event] = told('ringing', { direction, is_internal })
    expect(event?.facts.direction).toBe(expected)
    expect(Object.hasOwn(event?.facts ?? {}, 'direction')).toBe(expected !== undefined)
  })

  it('numbers are international without a plus, whatever the region; short ones are extensions', () => {
    const { facts } = told('ringing')[0] ?? {}
    expect([facts?.from?.phone, facts?.dialed?.phone]).toEqual(['+14155550100', '+33180000000'])
    expect(told('ringing', { from_number: 101 })[0]?.facts.from).toEqual({ phone: null, phoneRaw: '101' })
    expect(told('ringing', { is_anonymous: 1 })[0]?.facts.from).toEqual({ phone: null, phoneRaw: '' })
    const none = told('ringing', { from_number: null, to_number: '' })[0]?.facts
    expect(none).not.toHaveProperty('from')
    expect(none).not.toHaveProperty('dialed')
  })

  it.each([
    [{ user_id: 9 }, { id: '9' }],
    [{ user: { user_id: 8 } }, { id: '8' }],
    [
      { user_id: 9, user: { user_id: 8, firstname: 'Ivan', lastname: 'Bondar' } },
      { id: '9', name: 'Ivan Bondar' },
    ],
    [{ user: { lastname: 'Bondar' } }, { name: 'Bondar' }],
    [{ user: { email: 'i@example.com' } }, { email: 'i@example.com' }],
    [{ user: {} }, undefined],
    [{}, undefined],
  ])('the agent of %j is %j', (changes, agent) => {
    const [event] = told('answered', changes)
    expect(event?.facts.agent).toEqual(agent)
    expect(event?.facts.legs?.[0]?.agent).toEqual(agent)
    // Nobody talked; but who calls did so, and both ends of an internal call are ours.
    expect(told('hangup', changes)[0]?.facts.agent).toBeUndefined()
    for (const way of [{ direction: 'outbound' }, { is_internal: true }])
      expect(told('hangup', { ...changes, ...way })[0]?.facts.agent).toEqual(agent)
  })

  it.each([
    [{ ivr_data: { scenario_name: 'Sales', ivr_name: 'Main' }, ivr: { scenario: 'X' } }, 'Sales'],
    [{ ivr_data: { ivr_name: 'Main' }, ivr: { scenario: 'X' } }, 'Main'],
    [{ ivr: { scenario: 'Sales', name: 'Main' } }, 'Sales'],
    [{ ivr: { name: 'Main' } }, 'Main'],
  ])('the group of %j is %s', (changes, group) => {
    expect(told('hangup', changes)[0]?.facts.agent).toEqual({ group })
    expect(told('answered', { ...changes, user_id: 9 })[0]?.facts.agent).toEqual({ id: '9', group })
  })

  it('a leg is known by its channel, else by who it was of', () => {
    const key = (changes: object) => told('ringing', { user_id: 9, ...changes })[0]?.facts.legs?.[0]?.key
    expect([key({}), key({ channel_id: null }), key({ channel_id: null, user_id: null })]).toEqual([
      '88',
      '9',
      'call',
    ])
  })
})

describe('what comes after a call', () => {
  const tracks = { left: 'customer', right: 'agent' } as const
  const withTracks = { ...ctx, config: config.parse({ ...SETTINGS, tracks }) }

  it('a recording and a voicemail, by channel or by call', () => {
    const link = 'https://cdn.ringover.com/1.mp3'
    expect(
      afterwards(
        'record_available',
        { record_link: link, record_duration: 64.5, channel_id: '88' },
        undefined,
        withTracks,
      ),
    ).toEqual([
      {
        key: '1:record:88',
        callId: '1',
        phase: 'recorded',
        facts: {
          recordings: [
            { key: 'record:88', format: 'mp3', url: link, durationMs: 64_500, tracks, state: 'ready' },
          ],
        },
      },
    ])
    expect(
      afterwards('voicemail_available', { voicemail_link: link }, undefined, withTracks)[0]?.facts,
    ).toEqual({
      recordings: [{ key: 'voicemail:1', format: 'mp3', url: link, state: 'ready' }],
      result: 'voicemail',
    })
    expect(
      afterwards('record_available', { record_link: link })[0]?.facts.recordings?.[0],
    ).not.toHaveProperty('tracks')
    expect(
      afterwards('record_available', { record_link: 'no address' })[0]?.facts.recordings?.[0],
    ).not.toHaveProperty('url')
    expect([...afterwards('record_available', {}), ...afterwards('voicemail_available', {})]).toEqual([])
  })

  it('tags and comments, by the time of their event', () => {
    expect(afterwards('tags_updated', { tags: ['a', 'b'] }, START)).toEqual([
      { key: `1:tags:${START}`, callId: '1', phase: 'amended', at: START, facts: { tags: ['a', 'b'] } },
    ])
    const [untimed] = afterwards('comments_updated', { comments: 'c'.repeat(1200) })
    expect(untimed).toEqual({
      key: '1:comments:',
      callId: '1',
      phase: 'amended',
      facts: { meta: { comments: 'c'.repeat(1000) } },
    })
    expect([
      ...afterwards('tags_updated', { tags: null }),
      ...afterwards('comments_updated', { comments: '' }),
    ]).toEqual([])
  })
})

describe('a row of the list', () => {
  const listed = (changes: Record<string, unknown>) => {
    const row = {
      ...CALL,
      direction: 'in',
      is_answered: true,
      start_time: START,
      answered_time: ANSWER,
      end_time: END,
      ...changes,
    }
    return toListedEvents(callPage.parse({ call_list: [row] }).call_list?.[0] ?? ({} as never), ctx)
  }

  it('tells its end under the key of the hangup', () => {
    const [ended, ...more] = listed({ incall_duration: 60.5, last_state: 'ANSWERED', user: { user_id: 9 } })
    expect(more).toEqual([])
    expect(ended).toMatchObject({
      key: told('hangup', TIMES)[0]?.key,
      at: END,
      facts: {
        direction: 'inbound',
        result: 'answered',
        answeredAt: ANSWER,
        talkMs: 60_500,
        agent: { id: '9' },
      },
    })
    expect(listed({})[0]?.facts).not.toHaveProperty('talkMs')
  })

  it.each([
    [{ is_answered: false, incall_duration: 3 }, 'no_answer', 1],
    [{ is_answered: false, last_state: 'BUSY' }, 'busy', 1],
    [{ is_answered: false, last_state: 'VOICEMAIL' }, 'voicemail', 1],
    [{ is_answered: false, voicemail: 'https://cdn.ringover.com/v.mp3' }, 'voicemail', 2],
    [{ is_answered: true, voicemail: 'https://cdn.ringover.com/v.mp3' }, 'answered', 1],
    [{ is_answered: true, last_state: 'VOICEMAIL' }, 'answered', 1],
    [{ record: 'https://cdn.ringover.com/r.mp3' }, 'answered', 2],
  ])('%j is %s', (changes, result, count) => {
    const events = listed(changes)
    expect(events).toHaveLength(count)
    expect(events[0]?.facts.result).toBe(result)
    expect(events[0]?.facts.answeredAt).toBe(result === 'answered' ? ANSWER : undefined)
    expect(events[0]?.facts).not.toHaveProperty('talkMs')
  })

  it('internal ones say so by their direction', () => {
    expect(listed({ direction: 'INTERNAL' })[0]?.facts.direction).toBe('internal')
    expect(listed({ direction: null })[0]?.facts).not.toHaveProperty('direction')
  })
})
