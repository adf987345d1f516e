import { describe, expect, it } from 'vitest'
import { isCallType, toJournalEvent, toLoggedEvent } from '../../connectors/3cx/map.ts'
import { callLog, config, journal } from '../../connectors/3cx/schema.ts'

/** What each field of the journal, and of the rows of the call log, becomes. */

const NOW = Date.parse('2026-03-04T11:22:33.000Z')
const SETTINGS = {
  apiKey: 'k-3cx-8d1f0a',
  baseUrl: 'https://pbx.example.com:5001',
  clientId: '900',
  clientSecret: 'secret-of-the-client',
}
const ctx = { config: config.parse(SETTINGS), region: 'FR' }

function told(changes: Record<string, unknown> = {}, context = ctx) {
  const read = journal.parse({
    call_type: 'Inbound',
    number: '+33639980142',
    agent: '101',
    start_ms: String(NOW),
    established_ms: String(NOW + 8000),
    end_ms: String(NOW + 72_000),
    duration: '00:01:04',
    recording_url: 'https://pbx.example.com/x',
    ...changes,
  })
  if (!isCallType(read.call_type)) throw new Error('no type of call')
  return toJournalEvent(read, read.call_type, context)
}

describe('the journal', () => {
  it.each([
    ['Inbound', 'inbound', 'answered', '2026-03-04T11:22:41.000Z', 64_000, 1],
    ['Outbound', 'outbound', 'answered', '2026-03-04T11:22:41.000Z', 64_000, 1],
    // A queue may have answered, and a length may be told, of calls that no one took.
    ['Missed', 'inbound', 'no_answer', undefined, undefined, undefined],
    ['Notanswered', 'outbound', 'no_answer', undefined, undefined, undefined],
  ])('%s is %s, %s', (call_type, direction, result, answeredAt, talkMs, recordings) => {
    const { facts } = told({ call_type })
    expect(facts).toMatchObject({ direction, result })
    expect([facts.answeredAt, facts.talkMs, facts.recordings?.length]).toEqual([
      answeredAt,
      talkMs,
      recordings,
    ])
    const [outside, own] = direction === 'inbound' ? [facts.from, facts.dialed] : [facts.dialed, facts.from]
    expect([outside?.phone, own]).toEqual(['+33639980142', undefined])
    expect(facts.agent).toEqual(call_type === 'Missed' ? undefined : { extension: '101' })
  })

  it('what is not told is not made up', () => {
    const none = {
      number: undefined,
      agent: undefined,
      established_ms: '0',
      end_ms: undefined,
      duration: undefined,
      recording_url: '',
    }
    const { callId, at, facts } = told(none)
    expect(facts).toEqual({
      direction: 'inbound',
      result: 'answered',
      startedAt: '2026-03-04T11:22:33.000Z',
      endedAt: '2026-03-04T11:22:33.000Z',
      from: { phone: null, phoneRaw: '' },
    })
    expect([at, callId]).toEqual([facts.endedAt, told({ ...none, agent: '', number: '' }).callId])
    expect(told(none).alsoKnownAs).toBeUndefined()
  })

  it('a name, an e-mail address, a queue and the contact’s id are told where they are', () => {
    const { facts } = told({
      name: 'Zoé Durand',
      agent_first: 'Alice',
      agent_last: 'Martin',
      agent_email: 'alice@example.com',
      queue: '800',
      entity_id: 'E-1',
    })
    expect(facts).toMatchObject({
      customer: { name: 'Zoé Durand' },
      agent: { extension: '101', name: 'Alice Martin', email: 'alice@example.com', group: '800' },
      meta: { entityId: 'E-1' },
    })
    expect(told({ name: '+33639980142' }).facts).not.toHaveProperty('customer')
    expect(told({ agent_last: 'Martin' }).facts.agent).toEqual({ extension: '101', name: 'Martin' })
    expect(told({ call_type: 'Missed', queue: '800' }).facts.agent).toEqual({ group: '800' })
  })

  it('an extension of more than 64 characters is an id', () => {
    expect(told({ agent: '1'.repeat(64) }).facts.agent).toEqual({ extension: '1'.repeat(64) })
    expect(told({ agent: '1'.repeat(65) }).facts.agent).toEqual({ id: '1'.repeat(65) })
  })

  it('who is on which track is said where it is configured', () => {
    const tracks = { left: 'customer', right: 'agent' } as const
    const context = { ...ctx, config: config.parse({ ...SETTINGS, tracks, recordingFormat: 'mp3' }) }
    const recording = { key: 'recording-1', format: 'mp3', state: 'ready', channels: 2, tracks }
    expect(told({}, context).facts.recordings).toEqual([recording])
    expect(told().facts.recordings).toEqual([{ key: 'recording-1', format: 'wav', state: 'ready' }])
  })

  it.each([
    ['+33639980142', '0639980142', true],
    ['0639980142', '33639980142', true],
    ['1234567', '1234567', true],
    ['123456', '123456', false],
    ['+33639980142', '+33639980143', false],
  ])('%s and %s have ids in common: %s', (one, other, isSame) => {
    const [a, b] = [one, other].map((number, n) => new Set(told({ number, agent: String(n) }).alsoKnownAs))
    expect(a?.isDisjointFrom(b ?? new Set())).toBe(!isSame)
  })
})

const row = (changes: Record<string, unknown> = {}) => ({
  CdrId: 'cdr-1',
  MainCallHistoryId: 'history-1',
  StartTime: new Date(NOW).toISOString(),
  Direction: 'Inbound',
  Answered: true,
  SourceDn: '10000',
  SourceCallerId: '0639980142',
  SourceDisplayName: 'Jean',
  DestinationDn: '101',
  DestinationCallerId: '101',
  DestinationDisplayName: 'Alice Martin',
  RingingDuration: 'PT8S',
  TalkingDuration: 'PT1M4S',
  Reason: 'dst_participant_terminated',
  ...changes,
})
const OUT = {
  Direction: 'Outbound',
  SourceDn: '101',
  SourceCallerId: '101',
  SourceDisplayName: 'Alice Martin',
  DestinationDn: '10000',
  DestinationCallerId: '0639980142',
  DestinationDisplayName: 'Jean',
}
const later = (seconds: number) => ({ StartTime: new Date(NOW + seconds * 1000).toISOString() })
const logged = (rows: Record<string, unknown>[], context = ctx) =>
  toLoggedEvent(callLog.parse({ value: rows }).value, context)

describe('the call log', () => {
  it('tells an inbound call', () => {
    expect(logged([row({ SrcRecId: 7 })])).toEqual({
      key: 'log:history-1',
      callId: 'history-1',
      alsoKnownAs: told().alsoKnownAs,
      phase: 'ended',
      at: '2026-03-04T11:23:45.000Z',
      facts: {
        direction: 'inbound',
        result: 'answered',
        startedAt: '2026-03-04T11:22:33.000Z',
        answeredAt: '2026-03-04T11:22:41.000Z',
        endedAt: '2026-03-04T11:23:45.000Z',
        from: { phone: '+33639980142', phoneRaw: '0639980142' },
        agent: { extension: '101', name: 'Alice Martin' },
        disconnectReason: 'dst_participant_terminated',
        recordings: [{ key: 'recording-1', format: 'wav', state: 'ready' }],
        legs: [
          {
            key: 'cdr-1',
            agent: { extension: '101', name: 'Alice Martin' },
            from: '0639980142',
            to: '101',
            startedAt: '2026-03-04T11:22:33.000Z',
            answeredAt: '2026-03-04T11:22:41.000Z',
            endedAt: '2026-03-04T11:23:45.000Z',
            result: 'answered',
          },
        ],
      },
    })
  })

  it('tells an outbound call, by who answered last', () => {
    const event = logged([
      row({ ...OUT, Answered: false, CdrId: 'a' }),
      row({ ...OUT, ...later(5), CdrId: 'b' }),
    ])
    expect(event?.facts).toMatchObject({
      direction: 'outbound',
      result: 'answered',
      answeredAt: '2026-03-04T11:22:46.000Z',
      dialed: { phone: '+33639980142' },
      agent: { extension: '101', name: 'Alice Martin' },
      recordingExpected: false,
    })
    expect(event?.facts).not.toHaveProperty('from')
    expect(event?.alsoKnownAs).toEqual(told({ call_type: 'Outbound' }).alsoKnownAs)
    const forwarded = { ...OUT, ...later(5), CdrId: 'b', DestinationCallerId: '0199001234' }
    const talk = logged([row({ ...OUT, Answered: false, CdrId: 'a' }), row(forwarded)])
    expect(talk?.facts.dialed?.phone).toBe('+33199001234')
  })

  it('of a call that nobody answered there is no agent, except who called out', () => {
    const missed = logged([row({ Answered: false, RingingDuration: null, TalkingDuration: null })])
    expect(missed?.facts).toMatchObject({ result: 'no_answer', endedAt: '2026-03-04T11:22:33.000Z' })
    expect(missed?.facts).not.toHaveProperty('agent')
    expect(missed?.facts.legs?.[0]).not.toHaveProperty('answeredAt')
    expect(missed?.facts.legs?.[0]).toMatchObject({ result: 'no_answer', agent: { extension: '101' } })
    expect(missed?.alsoKnownAs).toEqual(told({ call_type: 'Missed' }).alsoKnownAs)
    const out = logged([row({ ...OUT, Answered: false })])
    expect(out?.facts).toMatchObject({ result: 'no_answer', agent: { extension: '101' } })
    expect(out?.alsoKnownAs).toEqual(told({ call_type: 'Notanswered' }).alsoKnownAs)
  })

  it('lengths that are missing count as nothing', () => {
    const { facts } = logged([row({ RingingDuration: null })]) ?? {}
    expect(facts).toMatchObject({
      answeredAt: '2026-03-04T11:22:33.000Z',
      endedAt: '2026-03-04T11:23:37.000Z',
    })
  })

  it('rows are taken by their start and then their id, whatever order they come in', () => {
    const rows = [
      row({ CdrId: 'b', DestinationDn: '102', Reason: 'last', DestinationDisplayName: null }),
      row({ ...later(-30), CdrId: 'z', Answered: false, CallType: 'Queue', DestinationDn: '800' }),
      row({ CdrId: 'a', Reason: 'before' }),
    ]
    const event = logged(rows)
    expect(event).toEqual(logged(rows.toReversed()))
    expect(event?.facts.legs?.map(({ key }) => key)).toEqual(['z', 'a', 'b'])
    expect(event?.facts).toMatchObject({
      agent: { extension: '102', group: '800' },
      disconnectReason: 'last',
    })
    // A queue is nobody.
    expect(event?.facts.legs?.[0]).not.toHaveProperty('agent')
    expect(event?.facts.agent).not.toHaveProperty('name')
  })

  it('a direction may stand in one of the rows; what is between extensions is passed over', () => {
    expect(logged([row({ Direction: null }), row({ ...later(1), CdrId: 'b' })])?.facts.direction).toBe(
      'inbound',
    )
    expect(logged([row({ Direction: 'Inbound Queue' })])?.facts.direction).toBe('inbound')
    expect(logged([row({ Direction: 'Internal' })])).toBeNull()
    expect(logged([row({ Direction: null })])).toBeNull()
    expect(logged([])).toBeNull()
  })

  it('a leg without callers’ numbers has the extensions', () => {
    const [leg] = logged([row({ SourceCallerId: null, DestinationCallerId: null })])?.facts.legs ?? []
    expect(leg).toMatchObject({ from: '10000', to: '101' })
    const none = { SourceCallerId: null, SourceDn: null, DestinationCallerId: null, DestinationDn: null }
    const bare = logged([row({ ...none, DestinationDisplayName: null, Reason: null })])
    expect(Object.keys(bare?.facts.legs?.[0] ?? {})).toEqual([
      'key',
      'startedAt',
      'endedAt',
      'result',
      'answeredAt',
    ])
    expect(bare?.facts).not.toHaveProperty('agent')
    expect(bare?.facts).not.toHaveProperty('disconnectReason')
  })

  it('recordings are counted once, of both sides, and not without an API client', () => {
    const rows = [row({ SrcRecId: 7, DstRecId: 8 }), row({ ...later(1), CdrId: 'b', DstRecId: 8 })]
    expect(logged(rows)?.facts.recordings?.map(({ key }) => key)).toEqual(['recording-1', 'recording-2'])
    expect(logged(rows)?.facts).not.toHaveProperty('recordingExpected')
    const context = { ...ctx, config: config.parse({ apiKey: 'k' }) }
    expect(logged(rows, context)?.facts).toMatchObject({ recordingExpected: false })
    expect(logged(rows, context)?.facts).not.toHaveProperty('recordings')
  })
})
