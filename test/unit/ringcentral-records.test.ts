import { describe, expect, it } from 'vitest'
import { isFinished, toRecordEvents } from '../../connectors/ringcentral/map.ts'
import { config, record } from '../../connectors/ringcentral/schema.ts'
import { progressOf } from '../../src/call/merge.ts'
import { fold, read, SETTINGS } from './ringcentral-account.ts'

/** Records of the call log and parties of a session, field by field. */

const STARTED = '2026-03-04T11:20:00.594Z'
/** The sample of the vendor's guide, in numbers of fiction. */
const RECORD = {
  id: 'VgLcd1KWffJVzUA',
  sessionId: '425008160016',
  telephonySessionId: 's-a6abd24ca6774373a8120a3390d3cbe8',
  startTime: STARTED,
  duration: 137,
  durationMs: 137_060,
  type: 'Voice',
  direction: 'Inbound',
  result: 'Accepted',
  from: { phoneNumber: '+33639980142', name: 'Jean Dupont' },
  to: { phoneNumber: '+33199001200', name: 'Support FR' },
  recording: { id: '1662272004', contentUri: 'https://media.ringcentral.com/r/1662272004/content' },
  legs: [
    { master: true, startTime: STARTED, duration: 137, result: 'Accepted', extension: { id: 62264425015 } },
    {
      startTime: '2026-03-04T11:20:10.000Z',
      duration: 127,
      result: 'Accepted',
      extension: { id: 62264425016 },
    },
  ] as object[],
}
const told = (changes: object = {}, keys: object = {}) =>
  toRecordEvents(record.parse({ ...RECORD, ...changes }), {
    config: config.parse({ ...SETTINGS, ...keys }),
    region: 'FR',
  })
const OUT = { direction: 'Outbound', from: { ...RECORD.to, extensionId: '62264425016' }, to: RECORD.from }

describe('a record of the call log', () => {
  it('tells its call whole', () => {
    const events = told()
    expect(events.map(({ key }) => key)).toEqual([
      's-a6abd24ca6774373a8120a3390d3cbe8:record:VgLcd1KWffJVzUA',
      's-a6abd24ca6774373a8120a3390d3cbe8:recording:1662272004:ready',
    ])
    expect(events[0]).toMatchObject({ phase: 'ended', at: '2026-03-04T11:22:17.654Z' })
    expect(fold(events)).toMatchObject({
      direction: 'inbound',
      result: 'answered',
      startedAt: STARTED,
      endedAt: '2026-03-04T11:22:17.654Z',
      totalMs: 137_060,
      talkMs: 127_000,
      customer: { phone: '+33639980142', name: 'Jean Dupont' },
      dialed: { phone: '+33199001200' },
      agent: { id: '62264425016' },
      recordings: [{ state: 'ready', url: RECORD.recording.contentUri }],
    })
    expect(progressOf(events)).toEqual({ ended: true, recording: 'ready' })
    expect(progressOf(events.slice(0, 1)).recording).toBe('pending')
  })
  it.each([
    ['Accepted', 'answered', 'answered'],
    ['Call connected', 'answered', 'answered'],
    ['Missed', 'no_answer', 'no_answer'],
    ['No Answer', 'no_answer', 'no_answer'],
    ['Voicemail', 'voicemail', 'voicemail'],
    ['Busy', 'busy', 'busy'],
    ['Rejected', 'rejected', 'rejected'],
    ['Declined', 'rejected', 'rejected'],
    ['Blocked', 'rejected', 'rejected'],
    ['Abandoned', 'abandoned', 'no_answer'],
    ['Hang Up', 'abandoned', 'no_answer'],
    ['Wrong Number', 'failed', 'failed'],
    ['Unknown', undefined, undefined],
    [null, undefined, undefined],
  ])('that says %s is %s inbound, %s outbound', (result, inbound, outbound) => {
    expect(fold(told({ result })).result).toBe(inbound)
    expect(fold(told({ ...OUT, result })).result).toBe(outbound)
    const [event] = told({ result })
    expect(event?.facts.recordingExpected).toBe(inbound === 'answered' ? true : undefined)
    expect(event?.facts.talkMs).toBe(inbound === 'answered' ? 127_000 : undefined)
  })
  it('without a recording expects none', () => {
    expect(told({ recording: null })[0]?.facts.recordingExpected).toBeUndefined()
  })
  it('has the recordings of its legs, each once, with the link that is there', () => {
    const { recording } = RECORD
    const legs = [{ recording: { id: '1662272004' } }, { recording: { id: 9 } }]
    const tracks = { left: 'agent', right: 'customer' }
    expect(fold(told({ legs }, { tracks })).recordings).toEqual([
      { key: '1662272004', format: 'mp3', state: 'ready', url: recording.contentUri, tracks },
      { key: '9', format: 'mp3', state: 'ready', tracks },
    ])
  })
  it('has its length in milliseconds, else in seconds, else not at all', () => {
    expect(fold(told({ durationMs: null })).totalMs).toBe(137_000)
    const bare = told({ durationMs: null, duration: null, reason: 'Stopped' })
    expect(bare[0]).not.toHaveProperty('at')
    const { endedAt, totalMs, disconnectReason } = fold(bare)
    expect([endedAt, totalMs, disconnectReason]).toEqual([undefined, undefined, 'Stopped'])
  })
  it('has talked as long as its longest leg, and the last of them names the agent', () => {
    const [master, first] = RECORD.legs
    const later = { ...first, startTime: '2026-03-04T11:22:00.000Z', duration: 17, extension: { id: 7 } }
    const untaken = { ...later, duration: 300, result: 'Missed', extension: { id: 8 } }
    const trunk = { ...later, startTime: '2026-03-04T11:22:10.000Z', duration: 200, extension: null }
    const call = fold(told({ legs: [later, untaken, trunk, first, master] }))
    expect([call.talkMs, call.agent?.id]).toEqual([127_000, '7'])
    const alone = fold(told({ legs: null, extension: { id: 5 } }))
    expect([alone.talkMs, alone.agent?.id]).toEqual([137_060, '5'])
    const nobody = told({ legs: null, durationMs: null, duration: null })[0]?.facts
    expect([nobody?.talkMs, nobody?.agent]).toEqual([undefined, undefined])
  })
  it('between extensions is internal, with one of them it is not', () => {
    const inside = { extensionNumber: '102', name: 'Bob Durand' }
    const call = fold(told({ from: inside, to: { extensionId: 62264425016 } }))
    expect(call.direction).toBe('internal')
    expect([call.customer, call.agent]).toEqual([undefined, undefined])
    expect(fold(told(OUT))).toMatchObject({ direction: 'outbound', customer: { name: 'Jean Dupont' } })
    expect(fold(told({ to: inside })).direction).toBe('inbound')
    expect(fold(told({ direction: null })).direction).toBeUndefined()
  })
  it.each([
    [{ telephonySessionId: null }, '425008160016'],
    [{ telephonySessionId: null, sessionId: null }, 'VgLcd1KWffJVzUA'],
  ])('with %o is known as %s', (changes, callId) => {
    expect(told(changes)[0]?.callId).toBe(callId)
  })
  it.each([
    [{}, true],
    [{ type: null }, true],
    [{ type: 'Fax' }, false],
    [{ result: 'In Progress' }, false],
  ])('with %o is a finished call: %s', (changes, is) => {
    expect(isFinished(record.parse({ ...RECORD, ...changes }))).toBe(is)
  })
})

describe('a party', () => {
  const PARTY = {
    id: 'p-1',
    extensionId: '62264425016',
    direction: 'Inbound',
    from: { phoneNumber: '+33639980142' },
    to: {
      phoneNumber: '+33199001234',
      extensionId: '62264425016',
      extensionNumber: '101',
      name: 'Alice Martin',
    },
  }
  const say = (status: object, changes: object = {}, keys = {}) => {
    const body = { telephonySessionId: 's-1', sequence: 3, eventTime: STARTED }
    const parties = [{ ...PARTY, status, ...changes }]
    const event = '/restapi/v1.0/account/809646016/telephony/sessions'
    return read(JSON.stringify({ event, body: { ...body, parties } }), keys)
  }
  it.each([
    ['Rejected', 'rejected'],
    ['TargetBusy', 'busy'],
    ['InternalError', 'failed'],
    ['InvalidNumber', 'failed'],
    ['InternationalDisabled', 'failed'],
    ['DestinationBlocked', 'failed'],
    ['NotEnoughFunds', 'failed'],
    ['NoSuchUser', 'failed'],
    ['Cancelled', 'abandoned'],
    ['NoAnswer', 'no_answer'],
  ])('that left for %s without an answer makes the call %s', (reason, result) => {
    expect(fold(say({ code: 'Disconnected', reason })).result).toBe(result)
  })
  it('of a call out that was cancelled is no caller who gave up', () => {
    const out = { direction: 'Outbound', from: PARTY.to, to: PARTY.from }
    expect(fold(say({ code: 'Disconnected', reason: 'Cancelled' }, out)).result).toBe('no_answer')
  })
  it('of a queue that simply hung up ends the call', () => {
    expect(progressOf(say({ code: 'Disconnected' }, { queueCall: true })).ended).toBe(true)
  })
  it('that answered is the agent, with the number and id that are known', () => {
    const agent = { id: '62264425016', name: 'Alice Martin', extension: '101' }
    expect(fold(say({ code: 'Answered' })).agent).toEqual(agent)
    const bare = say({ code: 'Answered' }, { to: { phoneNumber: '+33199001234' } })
    expect(fold(bare).agent).toEqual({ id: '62264425016' })
    const unknown = say({ code: 'Answered' }, { to: { phoneNumber: '+33199001234' }, extensionId: null })
    expect(fold(unknown).agent).toBeUndefined()
    const other = { ...PARTY.to, extensionId: '7' }
    expect(fold(say({ code: 'Answered' }, { to: other })).agent?.id).toBe('7')
  })
  it('whose direction nobody knows names no parties', () => {
    const { direction, from } = fold(say({ code: 'Setup' }, { direction: 'Sideways' }))
    expect([direction, from]).toEqual([undefined, undefined])
  })
  it('that is gone within its own session joins nothing', () => {
    const [event] = say({ code: 'Gone', peerId: { telephonySessionId: 's-1' } })
    expect(event).not.toHaveProperty('alsoKnownAs')
    expect(say({ code: 'Gone', peerId: { telephonySessionId: 's-2' } })[0]?.alsoKnownAs).toEqual(['s-2'])
  })
})
