import { describe, expect, it } from 'vitest'
import {
  type LegState,
  RECORDING_STATES,
  resultOf,
  toLegEvent,
  toListedEvents,
  toRecordingEvent,
  toSummaryEvents,
} from '../../connectors/mango-office/map.ts'
import {
  config,
  legNotice,
  recordingNotice,
  statisticsPage,
  summary,
} from '../../connectors/mango-office/schema.ts'

/** What each field of a notification, and of the extended statistics, becomes. */

const ctx = { config: config.parse({ apiKey: 'key', apiSalt: 'salt' }), region: 'RU' }
const AT = 1772623353

describe('a result code', () => {
  // The vendor's "List of result codes"; one that is not listed is read as its class or subclass.
  it.each([
    [1000, 'no_answer'],
    [1100, 'no_answer'],
    [1111, 'no_answer'],
    [1120, 'no_answer'],
    [1121, 'busy'],
    [1122, 'rejected'],
    [1123, 'rejected'],
    [1124, 'rejected'],
    [1130, 'failed'],
    [1131, 'failed'],
    [1133, 'failed'],
    [1140, 'failed'],
    [1150, 'failed'],
    [1151, 'rejected'],
    [1152, 'rejected'],
    [1160, 'no_answer'],
    [1163, 'no_answer'],
    [1164, 'no_answer'],
    [1170, 'no_answer'],
    [1171, 'failed'],
    [1180, 'no_answer'],
    [1183, 'no_answer'],
    [1190, 'no_answer'],
    [1192, 'no_answer'],
    [1193, 'busy'],
    [1300, 'no_answer'],
    [1311, 'no_answer'],
    [1312, 'busy'],
    [1900, 'no_answer'],
    [2240, 'failed'],
    [3200, 'failed'],
    [4200, 'failed'],
    [4502, 'rejected'],
    [5003, 'failed'],
    [9000, undefined],
    [undefined, undefined],
  ])('%s of a call without a conversation is %s', (code, result) => {
    expect(resultOf(code, 'inbound')).toBe(result)
    expect(resultOf(code, 'outbound')).toBe(result)
  })

  it('1110 is the caller who hangs up', () => {
    expect((['inbound', 'outbound', 'internal'] as const).map((way) => resultOf(1110, way))).toEqual([
      'abandoned',
      'no_answer',
      'no_answer',
    ])
  })
})

const told = (changes: Record<string, unknown> = {}) =>
  toSummaryEvents(
    summary.parse({
      entry_id: 'E',
      call_direction: 1,
      from: { number: '79161234567' },
      to: { extension: '101', number: 'sip:a@b' },
      line_number: '74951234567',
      create_time: AT,
      talk_time: 0,
      end_time: AT + 72,
      ...changes,
    }),
    ctx,
  )

describe('a summary', () => {
  it('of an inbound call that nobody answered has neither an agent nor what is not told', () => {
    expect(told({ line_number: '' })).toEqual([
      {
        key: 'E:summary',
        callId: 'E',
        phase: 'ended',
        at: '2026-03-04T11:23:45.000Z',
        facts: {
          direction: 'inbound',
          startedAt: '2026-03-04T11:22:33.000Z',
          endedAt: '2026-03-04T11:23:45.000Z',
          from: { phone: '+79161234567', phoneRaw: '79161234567' },
        },
      },
    ])
    expect(told({ disconnect_reason: 1121 })[0]?.facts).toMatchObject({
      result: 'busy',
      disconnectReason: '1121',
    })
  })

  it.each([
    ['outbound', { from: { extension: '101', number: 'sip:a@b' } }, '74951234567', '79167654321', '101'],
    [
      'outbound',
      { from: { number: '74957654321' }, line_number: '' },
      '74957654321',
      '79167654321',
      undefined,
    ],
    [
      'internal',
      { call_direction: 0, from: { extension: '101' }, to: { extension: '102' } },
      '101',
      '102',
      undefined,
    ],
    [
      'internal',
      { call_direction: 0, from: { number: '79160000001' }, to: { number: '79160000002' } },
      '79160000001',
      '79160000002',
      undefined,
    ],
    [
      'internal',
      { from: { extension: '101' }, to: { extension: '102', number: '79160000002' } },
      '101',
      '102',
      undefined,
    ],
  ])('%s, %j', (direction, changes, from, dialed, extension) => {
    const answered = { call_direction: 2, to: { number: '79167654321' }, talk_time: AT + 8, ...changes }
    const [answer, ended] = told(answered)
    expect(ended?.facts).toMatchObject({ direction, from: { phoneRaw: from }, dialed: { phoneRaw: dialed } })
    expect(answer?.facts).toEqual({
      answeredAt: '2026-03-04T11:22:41.000Z',
      ...(extension ? { agent: { extension } } : {}),
    })
    // Of what nobody answered it is known only who called out.
    const [missed] = told({ ...answered, talk_time: 0 })
    expect(missed?.facts.agent).toEqual(extension ? { extension } : undefined)
  })
})

function leg(state: LegState, changes: Record<string, unknown> = {}) {
  const read = legNotice.parse({
    entry_id: 'E',
    call_id: 'L',
    timestamp: AT,
    seq: 1,
    call_state: state,
    location: 'abonent',
    from: { number: '79161234567' },
    to: { extension: '101', number: 'sip:a@b' },
    ...changes,
  })
  return toLegEvent(state, read, ctx).facts
}

describe('a leg', () => {
  it('has what is told of it, at each of its moments', () => {
    const at = '2026-03-04T11:22:33.000Z'
    const ends = { key: 'L', agent: { extension: '101' }, from: '79161234567', to: 'sip:a@b' }
    expect(leg('Appeared')).toEqual({ startedAt: at, legs: [{ ...ends, startedAt: at }] })
    expect(leg('Connected')).toEqual({ agent: { extension: '101' }, legs: [{ ...ends, answeredAt: at }] })
    expect(leg('Disconnected')).toEqual({ legs: [{ ...ends, endedAt: at }] })
    expect(leg('Disconnected', { disconnect_reason: 1110 }).legs?.[0]).not.toHaveProperty('result')
    expect(leg('Disconnected', { disconnect_reason: 1121 }).legs?.[0]?.result).toBe('busy')
  })

  it('has extensions where there are no numbers, and nothing where there is neither', () => {
    const ends = { from: { extension: '101' }, to: { extension: '102' } }
    expect(leg('Connected', ends)).toEqual({
      legs: [{ key: 'L', from: '101', to: '102', answeredAt: expect.any(String) }],
    })
    expect(leg('Connected', { from: {}, to: {} }).legs).toEqual([
      { key: 'L', answeredAt: expect.any(String) },
    ])
  })

  it.each([
    ['abonent', { extension: '101' }],
    [undefined, { extension: '101' }],
    ['ivr', undefined],
    ['queue', undefined],
  ])('at %s has the agent %j', (location, agent) => {
    expect(leg('Connected', { location }).agent).toEqual(agent)
    // The group is told of a queue, and is nobody by itself.
    const group = leg('Connected', { location, to: { extension: '101', acd_group: '500' } })
    expect(group.legs?.[0]?.agent).toEqual({ ...agent, group: '500' })
    expect(group.agent).toEqual(agent && { ...agent, group: '500' })
  })
})

describe('a recording under way', () => {
  const notice = (changes: Record<string, unknown>) =>
    toRecordingEvent(
      recordingNotice.parse({
        entry_id: 'E',
        recording_id: 'R',
        recording_state: 'Completed',
        seq: 1,
        timestamp: AT,
        ...changes,
      }),
      ctx,
    )
  it.each([
    ['Started', {}, 'pending', 'answered'],
    ['Continued', { completion_code: 4002 }, 'pending', 'answered'],
    ['Completed', { completion_code: 1000 }, 'pending', 'recorded'],
    ['Completed', {}, 'pending', 'recorded'],
    ['Completed', { completion_code: 4002 }, 'absent', 'recorded'],
    ['Completed', { completion_code: 2240 }, 'failed', 'recorded'],
    ['Completed', { recipient: 'Mail' }, 'absent', 'recorded'],
    ['Completed', { recipient: 'CloudAndMail' }, 'pending', 'recorded'],
  ])('%s %j is %s', (recording_state, changes, state, phase) => {
    const event = notice({ recording_state, ...changes })
    expect([event.phase, event.facts.recordings?.[0]?.state]).toEqual([phase, state])
    expect(RECORDING_STATES).toContain(recording_state)
  })
})

const talk = (changes: Record<string, unknown> = {}) => ({
  call_type: 'user',
  call_abonent_id: '7',
  call_abonent_info: 'Alice Martin',
  call_answer_time: AT + 8,
  call_end_time: AT + 72,
  talk_duration: 64,
  call_end_reason: 1110,
  ...changes,
})
function listed(changes: Record<string, unknown>, ...context_calls: object[]) {
  const row = {
    entry_id: 'E',
    context_type: 1,
    caller_id: '9',
    caller_name: 'Bob',
    caller_number: '79161234567',
    called_number: '74951234567',
    context_start_time: AT,
    duration: 72,
    talk_duration: 64,
    context_calls,
    ...changes,
  }
  const [read] = statisticsPage.parse({ status: 'complete', data: [{ list: [row] }] }).data
  if (!read) throw new Error('the page has no row')
  return toListedEvents(read, ctx)
}

describe('a row of the statistics', () => {
  it('of an inbound call that was answered', () => {
    expect(listed({}, talk({ recording_id: ['R'] }))).toEqual([
      {
        key: 'E:answer',
        callId: 'E',
        phase: 'answered',
        at: '2026-03-04T11:22:41.000Z',
        facts: { answeredAt: '2026-03-04T11:22:41.000Z', agent: { id: '7', name: 'Alice Martin' } },
      },
      {
        key: 'E:summary',
        callId: 'E',
        phase: 'ended',
        at: '2026-03-04T11:23:45.000Z',
        facts: {
          direction: 'inbound',
          result: 'answered',
          startedAt: '2026-03-04T11:22:33.000Z',
          endedAt: '2026-03-04T11:23:45.000Z',
          totalMs: 72_000,
          talkMs: 64_000,
          from: { phone: '+79161234567', phoneRaw: '79161234567' },
          dialed: { phone: '+74951234567', phoneRaw: '74951234567' },
          disconnectReason: '1110',
          recordingExpected: true,
        },
      },
      expect.objectContaining({ key: 'R:added', phase: 'recorded' }),
    ])
  })

  it('of an outbound one: who called is the agent, and the line is not told', () => {
    const [answer, ended] = listed({ context_type: 2 }, talk({ call_type: 'number' }))
    expect(answer?.facts.agent).toEqual({ id: '9', name: 'Bob' })
    expect(ended?.facts).toMatchObject({ direction: 'outbound', dialed: { phone: '+74951234567' } })
    expect(ended?.facts).not.toHaveProperty('from')
    const [missed] = listed(
      { context_type: 2, talk_duration: 0, caller_name: null },
      talk({ talk_duration: 0, call_end_reason: 1121 }),
    )
    expect(missed?.facts).toMatchObject({ result: 'busy', agent: { id: '9' }, recordingExpected: false })
    expect(missed?.facts).not.toHaveProperty('talkMs')
    expect(missed?.facts.agent).not.toHaveProperty('name')
  })

  it('an internal one has no agent', () => {
    const [answer, ended] = listed({ context_type: 3 }, talk())
    expect(answer?.facts).toEqual({ answeredAt: '2026-03-04T11:22:41.000Z' })
    expect(ended?.facts.direction).toBe('internal')
  })

  it('the first answer counts, and the last agent who talked, whatever order the legs come in', () => {
    const first = talk({ call_answer_time: AT + 8, call_end_time: AT + 30, call_abonent_id: '7' })
    const second = talk({ call_answer_time: AT + 32, call_abonent_id: '8', call_abonent_info: null })
    const rang = talk({ call_answer_time: null, talk_duration: null, call_abonent_id: '5' })
    const group = { call_type: 'group', call_answer_time: AT + 40, talk_duration: 20, call_abonent_id: '6' }
    for (const legs of [
      [first, second, rang, group],
      [second, rang, first, group],
      [group, { call_type: 'group', members: [rang, second, first] }],
    ]) {
      const [answer] = listed({}, ...legs)
      expect(answer?.facts).toEqual({ answeredAt: '2026-03-04T11:22:41.000Z', agent: { id: '8' } })
    }
  })

  it('what is not told is not made up', () => {
    const nothing = { caller_number: null, called_number: '', duration: null, talk_duration: null }
    expect(listed(nothing)).toEqual([
      {
        key: 'E:summary',
        callId: 'E',
        phase: 'ended',
        facts: {
          direction: 'inbound',
          startedAt: '2026-03-04T11:22:33.000Z',
          from: { phone: null, phoneRaw: '' },
          recordingExpected: false,
        },
      },
    ])
    // Answered, but no leg says when: the answer is told without a time.
    const [answer] = listed({}, talk({ call_answer_time: null }))
    expect(answer).not.toHaveProperty('at')
    expect(answer?.facts).toEqual({ agent: { id: '7', name: 'Alice Martin' } })
    const [missed] = listed(
      { talk_duration: 0 },
      talk({ talk_duration: 0 }),
      talk({ talk_duration: 0, call_end_reason: null }),
    )
    expect(missed?.facts).toMatchObject({ result: 'abandoned', disconnectReason: '1110' })
    expect(missed?.facts).not.toHaveProperty('agent')
  })

  it('a recording that several legs name is told once', () => {
    const keys = listed({}, talk({ recording_id: ['R', 'S'] }), talk({ recording_id: ['S'] })).map(
      ({ key }) => key,
    )
    expect(keys).toEqual(['E:answer', 'E:summary', 'R:added', 'S:added'])
  })
})
