import { describe, expect, it } from 'vitest'
import { toLegEvent } from '../../connectors/freeswitch/map.ts'
import { cdr, config } from '../../connectors/freeswitch/schema.ts'

/** What each field of a leg's CDR becomes: a caller's leg that somebody answered, with other fields. */

const ROOT = '3f1c2a54-7b0e-4f0e-9d43-0c5d0e7f9a11'
const CALLED = 'a0d7b8f2-0c64-4f7c-8f2f-53b07f6f3c2e'
const SETTINGS = { credentials: 'cdr:folder-of-legs-0001', dialPrefix: '9', recordingsPath: '/var/rec' }

interface Changes {
  variables?: Record<string, string | undefined>
  profile?: Record<string, unknown>
  times?: Record<string, string>
  applications?: { app_name: string; app_data?: string }[]
}

function legOf(
  { variables, profile, times, applications }: Changes = {},
  keys: Record<string, unknown> = {},
) {
  const record = {
    variables: {
      uuid: ROOT,
      start_epoch: '1772623353',
      answer_epoch: '1772623355',
      end_epoch: '1772623425',
      hangup_cause: 'NORMAL_CLEARING',
      ...variables,
    },
    callflow: [
      {
        caller_profile: {
          caller_id_number: '+33639980142',
          destination_number: '33199001234',
          chan_name: 'sofia/external/+33639980142@sbc',
          ...profile,
        },
        times: { bridged_time: '1772623361000000', ...times },
      },
    ],
    ...(applications ? { app_log: { applications } } : {}),
  }
  const read = cdr.parse(JSON.parse(JSON.stringify(record)))
  return toLegEvent(read, { config: config.parse({ ...SETTINGS, ...keys }), region: 'FR' })
}
const UNANSWERED = { variables: { answer_epoch: '0' }, times: { bridged_time: '0' } }
const unanswered = ({ variables, ...more }: Changes = {}) =>
  legOf({ ...UNANSWERED, ...more, variables: { ...UNANSWERED.variables, ...variables } })
const OUT = { chan_name: 'sofia/internal/101@pbx', username: '101', caller_id_number: '101' }
const called = (variables: Changes['variables'] = {}, profile: Changes['profile'] = {}) =>
  legOf({
    variables: { uuid: CALLED, ...variables },
    profile: {
      chan_name: 'sofia/internal/101@pbx',
      destination_number: '101',
      originator: { originator_caller_profiles: [{ uuid: ROOT }] },
      ...profile,
    },
  })

describe('the times of a leg', () => {
  it.each([
    ['in seconds', {}, ['2026-03-04T11:22:33.000Z', '2026-03-04T11:23:45.000Z']],
    [
      'in microseconds, which are more exact',
      { start_uepoch: '1772623353120345', end_uepoch: '1772623425100456' },
      ['2026-03-04T11:22:33.120Z', '2026-03-04T11:23:45.100Z'],
    ],
    [
      'of the end and the length alone',
      { start_epoch: undefined, duration: '72' },
      ['2026-03-04T11:22:33.000Z', '2026-03-04T11:23:45.000Z'],
    ],
    [
      'of the start and the length alone',
      { end_epoch: '0', duration: '72' },
      ['2026-03-04T11:22:33.000Z', '2026-03-04T11:23:45.000Z'],
    ],
    [
      'of the start alone',
      { end_epoch: undefined },
      ['2026-03-04T11:22:33.000Z', '2026-03-04T11:22:33.000Z'],
    ],
    [
      'of the end alone',
      { start_epoch: undefined },
      ['2026-03-04T11:23:45.000Z', '2026-03-04T11:23:45.000Z'],
    ],
  ])('are those %s', (_, variables, [startedAt, endedAt]) => {
    const event = legOf({ variables })
    expect(event).toMatchObject({ at: endedAt, facts: { startedAt, endedAt } })
  })

  it('the answer is the joining, by the oldest time or the variable; never of a leg that was not answered', () => {
    const answeredAt = (changes: Changes) => legOf(changes).facts.answeredAt
    expect(answeredAt({})).toBe('2026-03-04T11:22:41.000Z')
    expect(answeredAt({ times: { bridged_time: '0' }, variables: { bridge_epoch: '1772623362' } })).toBe(
      '2026-03-04T11:22:42.000Z',
    )
    expect(answeredAt({ variables: { answer_epoch: '0' } })).toBeUndefined()
    expect(called({ answer_uepoch: '1772623361020111' }).facts.legs?.[0]?.answeredAt).toBe(
      '2026-03-04T11:22:41.020Z',
    )
  })

  it('holding counts where it is told', () => {
    expect(legOf({ variables: { hold_accum_seconds: '7' } }).facts.holdMs).toBe(7000)
    expect(legOf().facts).not.toHaveProperty('holdMs')
  })
})

describe('how a call ended that nobody answered', () => {
  it.each([
    ['USER_BUSY', 'busy', 'busy', 'busy'],
    ['CALL_REJECTED', 'rejected', 'rejected', 'rejected'],
    ['NO_ANSWER', 'no_answer', 'no_answer', 'no_answer'],
    ['NO_USER_RESPONSE', 'no_answer', 'no_answer', 'no_answer'],
    ['ALLOTTED_TIMEOUT', 'no_answer', 'no_answer', 'no_answer'],
    ['NORMAL_CLEARING', 'no_answer', 'no_answer', 'no_answer'],
    ['ORIGINATOR_CANCEL', 'abandoned', 'no_answer', 'no_answer'],
    ['LOSE_RACE', 'no_answer', 'no_answer', 'no_answer'],
    ['UNALLOCATED_NUMBER', 'failed', 'failed', 'no_answer'],
    ['constructor', 'failed', 'failed', 'no_answer'],
    [undefined, 'failed', 'failed', 'no_answer'],
  ])('%s: inbound %s, outbound %s, of a called leg %s', (hangup_cause, inbound, outbound, leg) => {
    const variables = { hangup_cause }
    expect(unanswered({ variables }).facts).toMatchObject({ direction: 'inbound', result: inbound })
    expect(
      unanswered({ variables, profile: { ...OUT, destination_number: '0639980142' } }).facts,
    ).toMatchObject({ direction: 'outbound', result: outbound })
    expect(called({ ...variables, answer_epoch: '0' }).facts.legs?.[0]?.result).toBe(leg)
    expect(unanswered({ variables }).facts.disconnectReason).toBe(hangup_cause)
  })

  it('the cause comes with its number', () => {
    const { facts } = legOf({ variables: { hangup_cause_q850: '16' } })
    expect(facts.disconnectReason).toBe('NORMAL_CLEARING, Q.850 16')
  })

  it('answered and joined to nobody: by the voicemail, a menu, or what an agent called', () => {
    const left = (changes: Changes) => legOf({ times: { bridged_time: '0' }, ...changes }).facts.result
    expect(left({})).toBe('abandoned')
    expect(left({ applications: [{ app_name: 'answer' }, { app_name: 'voicemail' }] })).toBe('voicemail')
    expect(left({ applications: [{ app_name: 'voicemail' }, { app_name: 'hangup' }] })).toBe('abandoned')
    expect(left({ profile: { ...OUT, destination_number: '0639980142' } })).toBe('answered')
  })
})

describe('which call a leg belongs to', () => {
  it.each([
    ['the originator', {}, { originator: { originator_caller_profiles: [{ uuid: ROOT }] } }, ROOT],
    ['the variable', { originating_leg_uuid: ROOT }, {}, ROOT],
    ['the queue’s caller', { cc_side: 'agent', cc_member_session_uuid: ROOT }, {}, ROOT],
    ['nobody, of the queue’s caller itself', { cc_side: 'member', cc_member_session_uuid: ROOT }, {}, CALLED],
    ['nobody', {}, {}, CALLED],
  ])('by %s', (_, variables, profile, callId) => {
    const event = legOf({ variables: { uuid: CALLED, ...variables }, profile })
    expect(event.callId).toBe(callId)
    expect(event.alsoKnownAs).toEqual(callId === ROOT ? [CALLED] : undefined)
    // Who called whom is told by the leg that began it.
    expect(event.facts.direction).toBe(callId === ROOT ? undefined : 'inbound')
  })

  it('the first one is also known by all that it was joined to, twenty at most', () => {
    const originatee_caller_profiles = [{ uuid: 'leg-1' }, { uuid: ROOT }, {}]
    const variables = { bridge_uuid: 'bridge', signal_bond: 'bond' }
    const known = legOf({ variables, profile: { originatee: { originatee_caller_profiles } } }).alsoKnownAs
    expect(known).toEqual(['bridge', 'bond', 'leg-1'])
    const many = Array.from({ length: 30 }, (__, n) => ({ uuid: `leg-${n}` }))
    const event = legOf({ profile: { originatee: { originatee_caller_profiles: many } } })
    expect(event.alsoKnownAs).toHaveLength(20)
    // Legs that post themselves say no more of others.
    expect(called(variables).alsoKnownAs).toEqual([CALLED])
  })

  it('one that was called stands where it was answered, or only rang', () => {
    expect([called().phase, called({ answer_epoch: '0' }).phase, legOf().phase]).toEqual([
      'answered',
      'ringing',
      'ended',
    ])
  })
})

describe('who is who', () => {
  const inside = { chan_name: 'sofia/internal/101@pbx', username: '101', caller_id_number: '101' }
  it.each([
    ['a public number', { ...inside, destination_number: '0639980142' }, {}, 'outbound', '0639980142'],
    [
      'a public number behind the prefix',
      { ...inside, destination_number: '90639980142' },
      {},
      'outbound',
      '0639980142',
    ],
    [
      'an extension that begins as the prefix',
      { ...inside, destination_number: '9101' },
      {},
      'internal',
      '9101',
    ],
    ['an extension of seven digits', { ...inside, destination_number: '9123456' }, {}, 'internal', '9123456'],
    [
      'what led to a profile of the outside',
      { ...inside, destination_number: '33' },
      { bridge_channel: 'sofia/external/x@sbc' },
      'outbound',
      '33',
    ],
    [
      'what called a leg of the outside',
      {
        ...inside,
        destination_number: '33',
        originatee: { originatee_caller_profiles: [{ uuid: CALLED, chan_name: 'sofia/external/x@sbc' }] },
      },
      {},
      'outbound',
      '33',
    ],
    ['an extension', { ...inside, destination_number: '102' }, {}, 'internal', '102'],
  ])('%s', (_, profile, variables, direction, dialed) => {
    const { facts } = legOf({ profile, variables })
    expect(facts).toMatchObject({ direction, dialed: { phoneRaw: dialed }, agent: { extension: '101' } })
  })

  it('the channel’s name may stand in the variables only', () => {
    const profile = { chan_name: undefined }
    expect(legOf({ profile, variables: { channel_name: 'sofia/external/x@sbc' } }).facts.direction).toBe(
      'inbound',
    )
    expect(legOf({ profile: { ...profile, destination_number: '102' } }).facts.direction).toBe('internal')
  })

  it('a prefix is only cut where one is configured', () => {
    const profile = { ...inside, destination_number: '90639980142' }
    expect(legOf({ profile }, { dialPrefix: undefined }).facts.dialed?.phoneRaw).toBe('90639980142')
  })

  it.each([
    ['Jean', { name: 'Jean' }],
    ['+33639980142', undefined],
    ['anonymous', undefined],
    [undefined, undefined],
  ])('a caller who calls themselves %s', (caller_id_name, customer) => {
    expect(legOf({ profile: { caller_id_name } }).facts.customer).toEqual(customer)
  })

  it('of a withheld number there is a caller all the same', () => {
    const { facts } = legOf({ profile: { caller_id_number: undefined } })
    expect(facts.from).toEqual({ phone: null, phoneRaw: '' })
  })

  it('an agent who calls out is named by the leg, and is no customer', () => {
    const profile = { ...inside, destination_number: '0639980142', caller_id_name: 'Alice' }
    expect(legOf({ profile }).facts).toMatchObject({ agent: { extension: '101', name: 'Alice' } })
    expect(legOf({ profile }).facts).not.toHaveProperty('customer')
    const unnamed = { ...profile, username: undefined, caller_id_name: '101' }
    expect(legOf({ profile: unnamed }).facts.agent).toEqual({ extension: '101' })
    expect(
      legOf({ profile: { ...profile, username: 'alice@pbx', caller_id_number: '102' } }).facts.agent,
    ).toEqual({
      id: 'alice',
      name: 'Alice',
    })
  })

  it('the agent of a queue is told where the caller was joined to one', () => {
    const variables = { cc_agent: '102@pbx.example.com', cc_queue: 'sales@default' }
    expect(legOf({ variables }).facts.agent).toEqual({ extension: '102', group: 'sales@default' })
    expect(unanswered({ variables }).facts.agent).toEqual({ group: 'sales@default' })
    expect(legOf().facts).not.toHaveProperty('agent')
  })

  it.each([
    ['the number that was called', {}, {}, { extension: '101' }],
    ['its user', { dialed_user: 'alice' }, {}, { id: 'alice' }],
    ['the agent of the queue', { cc_agent: '102@pbx' }, {}, { extension: '102' }],
    ['with a name', {}, { callee_id_name: 'Alice' }, { extension: '101', name: 'Alice' }],
    ['whose name is the number', {}, { callee_id_name: '101' }, { extension: '101' }],
    ['whose name nobody knows', {}, { callee_id_name: 'Outbound Call' }, { extension: '101' }],
    ['without a number', {}, { destination_number: undefined, callee_id_name: 'Alice' }, undefined],
    ['outside', {}, { chan_name: 'sofia/external/33@sbc' }, undefined],
  ])('the agent of a leg that was called: %s', (_, variables, profile, agent) => {
    const { facts } = called(variables, profile)
    expect(facts.agent).toEqual(agent)
    expect(facts.legs?.[0]?.agent).toEqual(agent)
    // Who rang in vain is on the leg alone.
    const { facts: rang } = called({ ...variables, answer_epoch: '0' }, profile)
    expect(rang).not.toHaveProperty('agent')
    expect(rang.legs?.[0]?.agent).toEqual(agent)
    expect(rang.legs?.[0]).not.toHaveProperty('answeredAt')
  })
})

describe('the recordings of a leg', () => {
  const said = (app_data: string, app_name = 'record_session') => ({ app_name, app_data })
  const keysOf = (changes: Changes) => legOf(changes).facts.recordings?.map(({ key }) => key)

  it('are what the variable and the application log name, without options', () => {
    const applications = [
      said('/var/rec/a.wav +60'),
      said('/var/rec/b/c.mp3'),
      said('/var/rec/d.wav', 'playback'),
    ]
    expect(keysOf({ applications })).toEqual(['a.wav', 'b/c.mp3'])
    const variables = { cordboard_recording: '/var/rec/a.wav' }
    expect(keysOf({ applications, variables })).toEqual(['a.wav', 'b/c.mp3'])
    expect(keysOf({ variables })).toEqual(['a.wav'])
    expect(keysOf({})).toBeUndefined()
  })

  it('are there only where it was answered and joined', () => {
    const applications = [said('/var/rec/a.wav')]
    expect(keysOf({ applications, times: { bridged_time: '0' } })).toBeUndefined()
    expect(keysOf({ applications, variables: { answer_epoch: '0' } })).toBeUndefined()
  })

  it.each([
    ['wav', 'wav'],
    ['WAV', 'wav'],
    ['mp3', 'mp3'],
    ['ogg', 'ogg'],
    ['flac', 'flac'],
    ['au', 'au'],
    ['aiff', 'aiff'],
    ['gsm', undefined],
    ['constructor', undefined],
  ])('a file that ends in .%s is %s', (ending, format) => {
    const [recording] = legOf({ applications: [said(`/var/rec/a.${ending}`)] }).facts.recordings ?? []
    expect(recording?.format).toBe(format)
  })

  it('their length is told of one alone; of 0 ms there is none', () => {
    const of = (record_ms: string, ...files: string[]) =>
      legOf({ applications: files.map((file) => said(file)), variables: { record_ms } }).facts.recordings
    expect(of('64010', '/var/rec/a.wav')).toEqual([
      { key: 'a.wav', format: 'wav', state: 'ready', durationMs: 64_010 },
    ])
    expect(of('0', '/var/rec/a.wav')).toEqual([{ key: 'a.wav', format: 'wav', state: 'absent' }])
    expect(of('64010', '/var/rec/a.wav', '/var/rec/b.wav')?.map(({ durationMs }) => durationMs)).toEqual([
      undefined,
      undefined,
    ])
  })

  it('a path may have 512 characters below the folder, and a leg a hundred recordings', () => {
    const long = (size: number) => `${`${'a'.repeat(200)}/`.repeat(2)}${'b'.repeat(size - 406)}.wav`
    expect(keysOf({ applications: [said(`/var/rec/${long(512)}`)] })).toEqual([long(512)])
    expect(keysOf({ applications: [said(`/var/rec/${long(513)}`)] })).toBeUndefined()
    const many = Array.from({ length: 120 }, (_, n) => said(`/var/rec/${n}.wav`))
    expect(keysOf({ applications: many })).toHaveLength(100)
  })
})
