import { describe, expect, it } from 'vitest'
import { toListedEvents, toMomentEvents, wasAnswered } from '../../connectors/genesys-cloud/map.ts'
import { config, conversations, type SeenMoment } from '../../connectors/genesys-cloud/schema.ts'
import { foldEvents } from '../../src/call/merge.ts'
import { SETTINGS } from './genesys-cloud-account.ts'

/** What each field of an event, and of a conversation in the analytics, becomes. */

const QUEUE = 'c677a7a5-0000-4000-8000-000000000001'
const OTHER = 'c677a7a5-0000-4000-8000-00000000000f'
const CODE = 'd0000000-0000-4000-8000-000000000001'
const parsed = config.parse({ ...SETTINGS, wrapUpCodes: { [CODE]: 'Sold' } })
const ctx = { config: parsed, region: 'FR' }
const AT = '2026-03-04T10:31:00.000Z'
const moment = (name: string, changes: Partial<SeenMoment> = {}) =>
  toMomentEvents({ name, conversationId: 'c', sessionId: 's', at: AT, direction: undefined, ...changes }, ctx)

describe('an event', () => {
  it('tells no more than it says', () => {
    const base = { key: 'c:s:customer.start', callId: 'c', phase: 'ringing', at: AT }
    expect(moment('customer.start')).toEqual([{ ...base, facts: { startedAt: AT } }])
    expect(moment('customer.end')[1]?.facts).toEqual({ endedAt: AT })
    expect(moment('user.start')[0]?.facts).toEqual({ legs: [{ key: 's', startedAt: AT }] })
    expect(moment('acd.end')[0]?.facts).toEqual({})
    expect([
      ...moment('voicemail.end'),
      ...moment('voicemail.end', { voicemailMs: 0 }),
      ...moment('acw'),
    ]).toEqual([])
    expect(moment('flow.end')).toEqual([])
  })

  it.each([
    ['INBOUND', 'customer.start', undefined, { phone: null, phoneRaw: '' }],
    ['INBOUND', 'customer.end', undefined, undefined],
    ['OUTBOUND', 'customer.start', undefined, undefined],
    [
      'INBOUND',
      'customer.start',
      'tel:+33639980142',
      { phone: '+33639980142', phoneRaw: 'tel:+33639980142' },
    ],
  ])('%s %s from %s', (direction, name, ani, from) => {
    const events = moment(name, { direction, ani })
    expect(events.at(-1)?.facts.from).toEqual(from)
    expect(Object.hasOwn(events.at(-1)?.facts ?? {}, 'from')).toBe(from !== undefined)
    expect(events.at(-1)?.facts.direction).toBe(direction.toLowerCase())
  })

  it('a direction that is neither is none', () => {
    expect(moment('customer.start', { direction: 'INTERNAL' })[0]?.facts).not.toHaveProperty('direction')
  })

  it('agents are known by their id, groups by the queues that are named', () => {
    const agent = (changes: Partial<SeenMoment>) =>
      moment('user.end', { interactingMs: 5000, ...changes })[0]?.facts.agent
    expect(agent({ userId: 'u', queueId: QUEUE })).toEqual({ id: 'u', group: 'Support' })
    expect(agent({ userId: 'u', queueId: OTHER })).toEqual({ id: 'u' })
    expect(agent({ userId: 'u' })).toEqual({ id: 'u' })
    expect(agent({ queueId: QUEUE })).toBeUndefined()
    expect(moment('acd.end', { queueId: QUEUE })[0]?.facts).toEqual({ agent: { group: 'Support' } })
    expect(moment('acd.end', { queueId: OTHER })[0]?.facts).toEqual({})
  })

  it('a queue says that the caller gave up; the voicemail, that something was left', () => {
    const outcome = (acdOutcome: string) => moment('acd.end', { acdOutcome })[0]?.facts.result
    expect([outcome('ABANDON'), outcome('Abandoned'), outcome('ANSWERED')]).toEqual([
      'abandoned',
      'abandoned',
      undefined,
    ])
    expect(moment('voicemail.end', { voicemailMs: 900 })[0]?.facts).toEqual({ result: 'voicemail' })
  })

  it('wrap-up codes are named where they can be', () => {
    expect(moment('acw', { wrapupCode: CODE })[0]).toMatchObject({
      phase: 'amended',
      facts: { outcome: 'Sold' },
    })
    expect(moment('acw', { wrapupCode: 'x' })[0]?.facts).toEqual({ meta: { wrapUpCode: 'x' } })
    expect(moment('acw', { wrapupCode: 'constructor' })[0]?.facts).toEqual({
      meta: { wrapUpCode: 'constructor' },
    })
  })
})

const time = (seconds: number) =>
  new Date(Date.parse('2026-03-04T10:30:00.000Z') + seconds * 1000).toISOString()
const part = (segmentType: string, from: number, to: number, more: object = {}) => ({
  segmentType,
  segmentStart: time(from),
  segmentEnd: time(to),
  ...more,
})
const customer = (from: number, to: number, more: object = {}, of: object = {}) => ({
  purpose: 'customer',
  ...of,
  sessions: [
    {
      sessionId: 'cs',
      mediaType: 'voice',
      direction: 'inbound',
      ani: 'tel:+33639980142',
      dnis: 'tel:+33199001234',
      segments: [part('interact', from, to, { disconnectType: 'peer' })],
      ...more,
    },
  ],
})
const agent = (id: string, segments: object[], more: object = {}) => ({
  purpose: 'agent',
  userId: id,
  ...more,
  sessions: [{ sessionId: `s-${id}`, mediaType: 'voice', segments }],
})
function listed(participants: object[], { recordings = 0, ...changes }: Record<string, unknown> = {}) {
  const conversation = {
    conversationId: 'c',
    conversationStart: time(0),
    conversationEnd: time(100),
    originatingDirection: 'inbound',
    participants,
    ...changes,
  }
  const [read] = conversations.parse({ conversations: [conversation] }).conversations ?? []
  if (!read) throw new Error('the answer has no conversation')
  const events = toListedEvents(read, Number(recordings), ctx)
  const call = events.length > 0 ? foldEvents(events, { id: 'call_1', connection: 'pbx' }) : null
  return { events, call, last: events.at(-1)?.facts, isAnswered: wasAnswered(read) }
}

describe('a conversation in the analytics', () => {
  const talk = [
    part('alert', 10, 16),
    part('interact', 16, 60, { queueId: QUEUE }),
    part('hold', 60, 70),
    part('interact', 70, 90),
    part('wrapup', 90, 99, { wrapUpCode: CODE }),
  ]

  it('is the call that its events told, with names', () => {
    const { call, events, isAnswered } = listed([
      customer(0, 90),
      agent('u', talk, { participantName: 'Alice' }),
    ])
    expect(isAnswered).toBe(true)
    expect(events.map(({ key }) => key)).toEqual([
      'c:cs:customer.start',
      'c:cs:customer.end:unanswered',
      'c:cs:customer.end',
      'c:s-u:user.start',
      'c:s-u:user.end',
      'c:s-u:acw',
      'c:listed',
    ])
    expect(call).toMatchObject({
      direction: 'inbound',
      result: 'answered',
      outcome: 'Sold',
      startedAt: time(0),
      answeredAt: time(16),
      endedAt: time(90),
      holdMs: 10_000,
      talkMs: 64_000,
      customer: { phone: '+33639980142' },
      dialed: { phone: '+33199001234' },
      agent: { id: 'u', name: 'Alice', group: 'Support' },
      disconnectReason: 'peer',
      legs: [{ key: 's-u', agent: { id: 'u', name: 'Alice', group: 'Support' } }],
      recordings: [{ key: 'c' }],
    })
    expect(events.at(-1)?.at).toBe(time(100))
  })

  it('the direction is that of the whole, where it is told', () => {
    const outbound = { originatingDirection: 'OUTBOUND' }
    expect(listed([customer(0, 9)], outbound).call?.direction).toBe('outbound')
    expect(listed([customer(0, 9)], { originatingDirection: null }).last).not.toHaveProperty('direction')
  })

  it('of several agents the last who talked; who only rang is on a leg', () => {
    const first = agent('a', [part('interact', 10, 20)], { participantName: 'A' })
    const second = agent('b', [part('interact', 20, 90)])
    const rang = agent('z', [part('alert', 5, 95)])
    for (const participants of [
      [customer(0, 95), first, second, rang],
      [rang, second, first, customer(0, 95)],
    ]) {
      const { call } = listed(participants)
      expect(call?.agent).toEqual({ id: 'b' })
      expect(call?.answeredAt).toBe(time(10))
      expect(call?.legs.map(({ key, result }) => [key, result])).toEqual([
        ['s-z', 'no_answer'],
        ['s-a', 'answered'],
        ['s-b', 'answered'],
      ])
    }
  })

  it('nobody answered: busy by its code, given up in the queue, or a voicemail', () => {
    const rang = (codes?: number[]) => agent('u', [part('alert', 5, 9, { sipResponseCodes: codes })])
    expect(listed([customer(0, 9), rang()])).toMatchObject({
      isAnswered: false,
      call: { result: 'no_answer' },
    })
    expect(listed([customer(0, 9), rang()]).call).not.toHaveProperty('agent')
    expect(listed([customer(0, 9), rang([180, 486])]).call?.result).toBe('busy')
    expect(listed([customer(0, 9), rang([180])]).call?.result).toBe('no_answer')
    // One agent was busy, another one took it.
    expect(listed([customer(0, 90), rang([486]), agent('b', talk)]).call?.result).toBe('answered')
    const queue = (...metrics: string[]) => ({
      purpose: 'acd',
      sessions: [
        {
          sessionId: 'q',
          mediaType: 'voice',
          metrics: metrics.map((name) => ({ name })),
          segments: [part('interact', 1, 9, { queueId: QUEUE })],
        },
      ],
    })
    expect(listed([customer(0, 9), queue('tAcd', 'tAbandon')]).call).toMatchObject({
      result: 'abandoned',
      agent: { group: 'Support' },
    })
    expect(listed([customer(0, 9), queue('tAcd')]).call?.result).toBe('no_answer')
    const voicemail = {
      purpose: 'voicemail',
      sessions: [{ sessionId: 'v', mediaType: 'voice', segments: [part('interact', 2, 9)] }],
    }
    expect(listed([customer(0, 9), voicemail]).call?.result).toBe('voicemail')
    const menu = {
      purpose: 'ivr',
      sessions: [{ sessionId: 'i', mediaType: 'voice', segments: [part('ivr', 2, 9)] }],
    }
    expect(listed([customer(0, 9), menu]).call?.result).toBe('no_answer')
  })

  it('its customer is the first one from outside, by voice; without one it is no call', () => {
    const third = {
      ...customer(50, 60, { sessionId: 'third', ani: 'tel:+447700900123' }),
      purpose: 'external',
    }
    expect(listed([third, customer(0, 90)]).call?.customer?.phone).toBe('+33639980142')
    expect(listed([third]).call?.customer?.phone).toBe('+447700900123')
    expect(listed([customer(0, 90, { mediaType: 'VOICE' })]).events).not.toEqual([])
    for (const none of [
      [],
      [agent('u', talk)],
      [customer(0, 90, { mediaType: 'chat' })],
      [customer(0, 90, { segments: [] })],
      [customer(0, 9, { segments: null })],
    ])
      expect(listed(none).events).toEqual([])
    // A user without an id, or with another purpose, is no agent of ours.
    expect(listed([customer(0, 90), { ...agent('u', talk), userId: null }]).call?.result).toBe('no_answer')
    expect(listed([customer(0, 90), { ...agent('u', talk), purpose: 'user' }]).call?.result).toBe('answered')
    expect(listed([customer(0, 90), { ...agent('u', talk), purpose: 'monitor' }]).call?.result).toBe(
      'no_answer',
    )
  })

  it('was answered when an agent began to talk, and not when what is missing would have it', () => {
    const parked = [
      part('alert', 10, 16),
      part('interact', 16, 60),
      part('parked', 60, 65),
      part('interact', 65, 90),
    ]
    const { call } = listed([customer(0, 90), agent('a', parked), agent('b', [part('interact', 70, 90)])])
    expect(call).toMatchObject({ answeredAt: time(16), endedAt: time(90) })
    expect(listed([customer(0, 90), agent('u', [part('alert', 10, 16)])]).last).not.toHaveProperty(
      'answeredAt',
    )
  })

  it('the contact of the outside is kept', () => {
    expect(listed([customer(0, 9, {}, { externalContactId: 'x-1' })]).call?.meta).toEqual({
      externalContactId: 'x-1',
    })
  })

  it('a segment that has no end counts from its beginning, and for nothing', () => {
    const open = { segmentType: 'interact', segmentStart: time(20) }
    const { call } = listed([customer(0, 90), agent('u', [part('interact', 10, 15), open])])
    expect(call).toMatchObject({ result: 'answered', answeredAt: time(10), legs: [{ endedAt: time(20) }] })
  })

  it('further recordings are numbered', () => {
    const keys = (recordings: number) =>
      listed([customer(0, 90), agent('u', talk)], { recordings }).call?.recordings.map(({ key }) => key)
    expect([keys(0), keys(1), keys(3)]).toEqual([['c'], ['c'], ['c', 'c#2', 'c#3']])
    expect(listed([customer(0, 90)], { recordings: 1 }).last).not.toHaveProperty('recordings')
  })

  it('one whose end is not told has no time for what was listed', () => {
    expect(listed([customer(0, 9)], { conversationEnd: null }).events.at(-1)).not.toHaveProperty('at')
  })
})
