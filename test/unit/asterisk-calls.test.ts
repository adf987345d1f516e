import { describe, expect, it } from 'vitest'
import type { CallEvent } from '../../src/call/facts.ts'
import { foldEvents } from '../../src/call/merge.ts'
import { read } from './asterisk-records.ts'

/** What each column of a record becomes: one of an inbound call that an agent answered, with other columns. */

const ID = '1772623353.128'
const ROW = {
  uniqueid: ID,
  linkedid: ID,
  sequence: '311',
  start: '1772623353.000000',
  answer: '1772623361.000000',
  end: '1772623425.000000',
  src: '0639980142',
  dst: '101',
  channel: 'PJSIP/provider-00000041',
  dstchannel: 'PJSIP/101-00000042',
  disposition: 'ANSWERED',
}
const OUT = { channel: 'PJSIP/101-00000041', src: '101', dst: '0639980142', dstchannel: 'PJSIP/provider-1' }
const MEMBER = { uniqueid: '1772623354.129', sequence: '312', channel: 'Local/101@from-queue-00000001;2' }

const events = (changes: Record<string, unknown>, keys: Record<string, unknown> = {}): CallEvent[] =>
  read(JSON.stringify({ rows: [{ ...ROW, ...changes }] }), keys)
const facts = (changes: Record<string, unknown>, keys: Record<string, unknown> = {}) =>
  events(changes, keys)[0]?.facts ?? {}
const call = (...rows: Record<string, unknown>[]) =>
  foldEvents(
    rows.flatMap((row) => events(row)),
    { id: 'call_1', connection: 'pbx' },
  )

describe('how a record says that its call ended', () => {
  it.each([
    ['NO ANSWER', 'no_answer', 'no_answer'],
    ['no answer ', 'no_answer', 'no_answer'],
    ['BUSY', 'busy', 'busy'],
    ['FAILED', 'failed', 'failed'],
    ['CONGESTION', 'failed', 'failed'],
    ['CANCEL', 'abandoned', 'no_answer'],
    ['constructor', undefined, undefined],
    ['CONSTRUCTOR', undefined, undefined],
    [undefined, undefined, undefined],
  ])('%s: inbound %s, outbound %s', (disposition, inbound, outbound) => {
    const never = { disposition, answer: '0.000000' }
    expect(facts(never).result).toBe(inbound)
    expect(facts({ ...never, ...OUT }).result).toBe(outbound)
    expect(facts(never).disconnectReason).toBe(disposition)
    expect(facts(never).legs?.[0]?.result).toBe(disposition === 'CANCEL' ? undefined : inbound)
    expect(facts(never).legs?.[0]).not.toHaveProperty('answeredAt')
    expect(events(never)).toHaveLength(1)
  })

  it('what a machine answered: the voicemail, a menu, what an agent called', () => {
    const alone = { dstchannel: undefined }
    expect(call({ ...alone, lastapp: 'VoiceMail' }).result).toBe('voicemail')
    expect(call(alone).result).toBe('abandoned')
    expect(call({ ...OUT, ...alone }).result).toBe('answered')
    // Records of other channels say nothing of how the call ended for who began it.
    expect(events({ ...alone, ...MEMBER }).map(({ facts: { result } }) => result)).toEqual([undefined])
    expect(call({ ...OUT, ...alone, dst: '*97' }).result).toBe('answered')
  })

  it('a call between extensions is one without a second channel, too', () => {
    const inside = { channel: 'PJSIP/101-1', dst: '102', dstchannel: undefined }
    expect(call(inside)).toMatchObject({ direction: 'internal', result: 'answered', talkMs: 64_000 })
  })

  it('the reason is that of the first channel’s record', () => {
    expect(events({}).at(-1)?.facts).toMatchObject({ result: 'answered', disconnectReason: 'ANSWERED' })
    expect(events(MEMBER).at(-1)?.facts).not.toHaveProperty('disconnectReason')
  })
})

describe('the times of a record', () => {
  const row = { start: undefined, answer: undefined, end: undefined, calldate: '2026-03-04 12:22:33' }
  it('of the table: start, length, and what was billed', () => {
    expect(facts({ ...row, duration: '72', billsec: '64' })).toMatchObject({
      startedAt: '2026-03-04T11:22:33.000Z',
      answeredAt: '2026-03-04T11:22:41.000Z',
      endedAt: '2026-03-04T11:23:45.000Z',
      talkMs: 64_000,
    })
    const none = facts(row)
    expect(none).toMatchObject({ endedAt: '2026-03-04T11:22:33.000Z', talkMs: 0 })
    expect(none).not.toHaveProperty('answeredAt')
  })

  it('of a queue the talk has no beginning: it answered before an agent did', () => {
    const queue = facts({ lastapp: 'Queue', lastdata: '600,t,,,60' })
    expect(queue).not.toHaveProperty('answeredAt')
    expect(queue.legs?.[0]).not.toHaveProperty('answeredAt')
    expect(call({ lastapp: 'Queue', lastdata: '600,t,,,60' }).agent).toEqual({
      extension: '101',
      group: '600',
    })
    expect(facts({ lastapp: 'Queue', lastdata: '' })).not.toHaveProperty('agent')
    expect(facts({ lastapp: 'Queue' })).not.toHaveProperty('agent')
  })
})

describe('who is who', () => {
  it.each([
    [{ src: undefined, cnum: '0199' }, '0199'],
    [{ src: undefined }, ''],
    [{ cnum: '0199' }, '0639980142'],
  ])('the caller of %j is %s', (changes, phoneRaw) => {
    expect(facts(changes).from?.phoneRaw).toBe(phoneRaw)
    expect(facts(changes)).not.toHaveProperty('dialed')
  })

  it.each([
    [{ cnam: 'Jean' }, { name: 'Jean' }],
    [{ clid: '"Jean" <0639980142>' }, { name: 'Jean' }],
    [{ cnam: '0639980142' }, undefined],
    [{ clid: '0639980142' }, undefined],
    [{}, undefined],
  ])('a customer with %j is %j', (changes, customer) => {
    expect(facts(changes).customer).toEqual(customer)
  })

  it('an outbound call is from the number that was shown, or its extension', () => {
    expect(facts(OUT).from?.phoneRaw).toBe('101')
    expect(facts({ ...OUT, outbound_cnum: '0199001234' }).from?.phone).toBe('+33199001234')
    expect(facts({ ...OUT, src: undefined })).not.toHaveProperty('from')
  })

  it.each([
    ['a trunk', { ...OUT }, 'outbound'],
    ['nobody, with a public number', { ...OUT, dstchannel: undefined }, 'outbound'],
    ['nobody, with an extension', { ...OUT, dst: '102', dstchannel: undefined }, 'internal'],
    ['a colleague, with a public number', { ...OUT, dstchannel: 'PJSIP/102-1' }, 'internal'],
    ['a trunk whose name is a number', { ...OUT, dstchannel: 'PJSIP/200-1' }, 'outbound'],
  ])('what an agent dialled that led to %s is %s', (_, changes, direction) => {
    expect(facts(changes, { trunks: ['provider', '200'] }).direction).toBe(direction)
  })

  it('a prefix has to leave seven digits', () => {
    const dialed = (dst: string, keys = {}) => facts({ ...OUT, dst }, keys).dialed?.phoneRaw
    expect(dialed('91234567', { dialPrefix: '9' })).toBe('1234567')
    expect(dialed('9123456', { dialPrefix: '9' })).toBe('9123456')
    expect(dialed('91234567')).toBe('91234567')
  })

  it.each([
    ['the one who was reached', { dst_cnam: 'Alice' }, { extension: '101', name: 'Alice' }],
    ['who dialled', { ...OUT, cnam: 'Alice', dst_cnam: 'Jean' }, { extension: '101', name: 'Alice' }],
    [
      'who was there, of a part that led outside',
      { ...MEMBER, dstchannel: 'PJSIP/provider-1', dst_cnam: 'X' },
      { extension: '101' },
    ],
    [
      'nobody, of what went from outside to outside',
      { dstchannel: 'PJSIP/provider-2', dst_cnam: 'X' },
      undefined,
    ],
    [
      'nobody, of a group that rings by a name',
      { dstchannel: 'Local/sales@queues-1;1', dst_cnam: 'X' },
      undefined,
    ],
    ['nobody, of a trunk whose name is a number', { dstchannel: 'PJSIP/200-1' }, undefined],
  ])('the agent is %s', (_, changes, agent) => {
    const told = events({ linkedid: ID, ...changes }, { trunks: ['provider', '200'] })
    expect(told.at(-1)?.facts.agent).toEqual(agent)
    expect(told[0]?.facts.legs?.[0]?.agent).toEqual(agent)
  })
})

describe('what a record is known by', () => {
  it('its channel, its call and its number in the row; a leg by channel and number', () => {
    expect(events({})[0]).toMatchObject({ key: `${ID}:${ID}:311`, callId: ID })
    expect(events({ sequence: undefined, linkedid: undefined })[0]?.key).toBe(`${ID}:${ID}:`)
    expect(facts({ sequence: undefined }).legs?.[0]?.key).toBe(`${ID}:`)
    expect(events({})[0]).not.toHaveProperty('alsoKnownAs')
    expect(events(MEMBER)[0]).toMatchObject({ callId: ID, alsoKnownAs: [MEMBER.uniqueid] })
  })

  it('a leg has what was said of it', () => {
    expect(facts({}).legs).toEqual([
      {
        key: `${ID}:311`,
        from: '0639980142',
        to: '101',
        startedAt: '2026-03-04T11:22:33.000Z',
        answeredAt: '2026-03-04T11:22:41.000Z',
        endedAt: '2026-03-04T11:23:45.000Z',
        result: 'answered',
        agent: { extension: '101' },
      },
    ])
    const bare = facts({ src: undefined, dst: undefined }).legs?.[0] ?? {}
    expect(Object.keys(bare)).not.toContain('from')
    expect(Object.keys(bare)).not.toContain('to')
  })

  it('a recording that was closed belongs to the call of its channel', () => {
    const closed = (recording: object) => read(JSON.stringify({ recordings: [recording] }))[0]
    const file = { recordingfile: '1.wav', bytes: 45 }
    expect(closed({ uniqueid: ID, ...file })).toEqual({
      key: `${ID}:recorded:1.wav`,
      callId: ID,
      phase: 'recorded',
      facts: { recordings: [{ key: '1.wav', state: 'ready', format: 'wav', bytes: 45 }] },
    })
    expect(closed({ uniqueid: MEMBER.uniqueid, linkedid: ID, ...file })).toMatchObject({
      key: `${ID}:recorded:1.wav`,
      callId: ID,
      alsoKnownAs: [MEMBER.uniqueid],
    })
    expect(closed({ uniqueid: ID, linkedid: ID, ...file, bytes: 44 })?.facts.recordings?.[0]?.state).toBe(
      'absent',
    )
  })
})

describe('the recording that a record names', () => {
  it.each([
    ['wav', 'wav'],
    ['WAV', 'wav'],
    ['mp3', 'mp3'],
    ['ogg', 'ogg'],
    ['flac', 'flac'],
    ['gsm', undefined],
    ['constructor', undefined],
  ])('ends in .%s: %s', (ending, format) => {
    const [recording] = facts({ recordingfile: `1.${ending}` }).recordings ?? []
    expect(recording).toEqual({ key: `1.${ending}`, state: 'pending', ...(format ? { format } : {}) })
  })

  it('is not there where nobody answered', () => {
    expect(facts({ recordingfile: '1.wav', disposition: 'NO ANSWER' })).not.toHaveProperty('recordings')
  })
})
