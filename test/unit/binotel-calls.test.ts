import { describe, expect, it } from 'vitest'
import { toCompletedEvent, toLiveEvent, whyNoCall } from '../../connectors/binotel/map.ts'
import { callDetails, config, liveCall } from '../../connectors/binotel/schema.ts'

/** What each field of a completed call, and of what is told while it goes on, becomes. */

const SETTINGS = { hookToken: 'a'.repeat(48), key: 'key', secret: 'secret' }
const ctx = { config: config.parse(SETTINGS), region: 'UA' }
const parsed = (changes: Record<string, unknown> = {}) =>
  callDetails.parse({
    companyID: '62770',
    generalCallID: '4683310794',
    startTime: '1772623353',
    callType: '0',
    internalNumber: '904',
    externalNumber: '0671234567',
    waitsec: '8',
    billsec: '64',
    disposition: 'ANSWER',
    recordingStatus: 'uploaded',
    ...changes,
  })
const told = (changes?: Record<string, unknown>, context = ctx) =>
  toCompletedEvent(parsed(changes), context).facts
const [START, ANSWER, END] = [
  '2026-03-04T11:22:33.000Z',
  '2026-03-04T11:22:41.000Z',
  '2026-03-04T11:23:45.000Z',
]
const tried = (internalNumber: string, disposition: string, more: object = {}) => ({
  internalNumber,
  disposition,
  ...more,
})

describe('a completed call', () => {
  it('is told whole, and what is not told is not made up', () => {
    expect(toCompletedEvent(parsed(), ctx)).toEqual({
      key: '4683310794:completed',
      callId: '4683310794',
      phase: 'ended',
      at: END,
      facts: {
        direction: 'inbound',
        result: 'answered',
        startedAt: START,
        answeredAt: ANSWER,
        endedAt: END,
        ringMs: 8000,
        talkMs: 64_000,
        totalMs: 72_000,
        from: { phone: '+380671234567', phoneRaw: '0671234567' },
        agent: { extension: '904' },
        disconnectReason: 'ANSWER',
        recordingExpected: true,
        recordings: [{ key: '4683310794', format: 'mp3', state: 'ready' }],
      },
    })
    const bare = told({ internalNumber: '', externalNumber: '', disposition: 'OTHER', recordingStatus: '' })
    expect(Object.keys(bare).toSorted()).toEqual([
      'direction',
      'disconnectReason',
      'endedAt',
      'from',
      'ringMs',
      'startedAt',
      'totalMs',
    ])
    expect(bare.from).toEqual({ phone: null, phoneRaw: '' })
  })

  it('one that was answered and not talked on has no moment of the answer', () => {
    expect(told({ billsec: '0' })).not.toHaveProperty('answeredAt')
    expect(told({ billsec: '1' }).answeredAt).toBe(ANSWER)
    expect(told({ disposition: 'NOANSWER' })).not.toHaveProperty('answeredAt')
  })

  it('of one that was handed on the lengths alone are told, its legs, and who answered last', () => {
    const historyData = [
      tried('901', 'NOANSWER'),
      tried('902', 'ANSWER'),
      tried('903', 'ANSWER', { employeeData: { name: 'Ira', email: 'i@example.com' } }),
      tried('904', 'BUSY'),
    ]
    const facts = told({ historyData })
    for (const key of ['answeredAt', 'endedAt']) expect(facts).not.toHaveProperty(key)
    expect(facts).toMatchObject({
      startedAt: START,
      totalMs: 72_000,
      agent: { extension: '903', name: 'Ira', email: 'i@example.com' },
    })
    expect(facts.legs?.map(({ key, to, result }) => [key, to, result])).toEqual([
      ['1', '901', 'no_answer'],
      ['2', '902', 'answered'],
      ['3', '903', 'answered'],
      ['4', '904', 'busy'],
    ])
    expect(told({ historyData: [tried('902', 'ANSWER')] })).toMatchObject({
      answeredAt: ANSWER,
      endedAt: END,
    })
    // What an attempt leaves out, the whole may say of the same person, and of no other.
    const employeeData = { name: 'Ira' }
    expect(told({ employeeData, historyData: [tried('904', 'ANSWER')] }).agent).toEqual({
      extension: '904',
      name: 'Ira',
    })
    expect(told({ employeeData, historyData: [tried('905', 'ANSWER')] }).agent).toEqual({ extension: '905' })
    expect(told({ historyData: [{}] }).legs).toEqual([{ key: '1' }])
    expect(told({ historyData: [tried('901', 'NOANSWER')] }).agent).toEqual({ extension: '904' })
  })

  it('bodies of 2018 list whom an inbound call tried as dstNumbers', () => {
    const dstNumbers = [
      { dstNumber: '801 > 901', disposition: 'NOANSWER', employeeName: 'Оператор1' },
      {
        dstNumber: '801 > 902',
        disposition: 'ANSWER',
        employeeName: 'Оператор2',
        employeeEmail: 'o2@example.com',
      },
      { dstNumber: '903', disposition: 'BUSY' },
    ]
    const facts = told({ dstNumbers, employeeName: 'Оператор1' })
    const agent = { extension: '902', name: 'Оператор2', email: 'o2@example.com', group: '801' }
    expect(facts.agent).toEqual(agent)
    expect(facts.legs).toEqual([
      {
        key: '1',
        to: '901',
        result: 'no_answer',
        agent: { extension: '901', name: 'Оператор1', group: '801' },
      },
      { key: '2', to: '902', result: 'answered', agent },
      { key: '3', to: '903', result: 'busy', agent: { extension: '903' } },
    ])
    // It was handed on: nobody knows how its lengths add up.
    expect(facts).not.toHaveProperty('answeredAt')
    expect(told({ dstNumbers, historyData: [tried('905', 'ANSWER')] }).agent).toEqual({ extension: '905' })
    // Of an outbound call they are who was called, and no agent of ours.
    const out = told({ callType: '1', dstNumbers: [{ dstNumber: '0671234567', disposition: 'ANSWER' }] })
    expect(out.agent).toEqual({ extension: '904' })
    expect(out).not.toHaveProperty('legs')
  })

  it.each([
    ['0', '0671234567', 'inbound', '0671234567', '0443334455'],
    ['1', '0671234567', 'outbound', '0443334455', '0671234567'],
    ['0', '905', 'internal', '905', '904'],
    ['1', '905', 'internal', '904', '905'],
  ])('of the type %s with %s is %s', (callType, externalNumber, direction, from, dialed) => {
    const facts = told({
      callType,
      externalNumber,
      pbxNumberData: { number: '0443334455', name: 'Головний' },
    })
    expect([facts.direction, facts.from?.phoneRaw, facts.dialed?.phoneRaw]).toEqual([direction, from, dialed])
    expect(facts.agent).toEqual(direction === 'internal' ? undefined : { extension: '904' })
    expect(facts.meta).toEqual({ line: 'Головний' })
  })

  it('the line of 2018, or none', () => {
    expect(told({ didNumber: '0443334455', didName: 'Old' })).toMatchObject({
      dialed: { phone: '+380443334455' },
      meta: { line: 'Old' },
    })
    expect(told({ pbxNumberData: [] })).not.toHaveProperty('dialed')
    expect(told({ callType: '1' })).not.toHaveProperty('from')
  })

  it.each([
    [{ employeeData: { name: 'Ira', email: 'i@example.com' } }, { name: 'Ira', email: 'i@example.com' }],
    [
      { employeeName: 'Old', employeeEmail: 'old@example.com' },
      { name: 'Old', email: 'old@example.com' },
    ],
    [{ internalAdditionalData: '801 > ' }, { group: '801' }],
    [{ internalAdditionalData: '>' }, {}],
  ])('the agent with %j', (changes, agent) => {
    expect(told(changes).agent).toEqual({ extension: '904', ...agent })
    expect(told({ ...changes, disposition: 'NOANSWER' })).not.toHaveProperty('agent')
    expect(told({ ...changes, disposition: 'NOANSWER', callType: '1' }).agent).toEqual({
      extension: '904',
      ...agent,
    })
  })

  it.each([
    [{ customerDataFromOutside: { id: '7' } }, { id: '7' }],
    [
      { customerDataFromOutside: { id: '7', name: 'A' }, customerData: { id: '9', name: 'B' } },
      { id: '7', name: 'A' },
    ],
    [{ customerData: { id: '9', name: 'B' } }, { name: 'B' }],
    [{ customerData: { id: '9' } }, undefined],
    [{ customerDataFromOutside: { id: '7' }, externalNumber: '905' }, undefined],
  ])('the customer with %j is %j', (changes, customer) => {
    expect(told(changes).customer).toEqual(customer)
  })

  it('what brought the caller is kept', () => {
    expect(
      told({ callTrackingData: { utm_source: 'google', utm_medium: '' }, whoHungUp: 'client' }).meta,
    ).toEqual({
      utm_source: 'google',
      whoHungUp: 'client',
    })
  })
})

describe('the recording', () => {
  it.each([
    ['uploaded', 'NOANSWER', true],
    ['uploading', 'ANSWER', true],
    ['', 'ANSWER', false],
    ['failed', 'ANSWER', false],
    [undefined, 'ANSWER', true],
    [undefined, 'VM-SUCCESS', true],
    [undefined, 'NOANSWER', false],
  ])('with the status %s of a call that ended as %s: %s', (recordingStatus, disposition, isThere) => {
    const facts = told({ recordingStatus, disposition })
    expect([facts.recordings?.length, facts.recordingExpected]).toEqual(
      isThere ? [1, true] : [undefined, false],
    )
  })

  it('of an end that is not known may still come', () => {
    expect(told({ recordingStatus: undefined, disposition: 'OTHER' })).not.toHaveProperty('recordingExpected')
  })

  it('has tracks where they are configured', () => {
    const tracks = { left: 'customer', right: 'agent' } as const
    const context = { ...ctx, config: config.parse({ ...SETTINGS, tracks }) }
    expect(told({}, context).recordings?.[0]?.tracks).toEqual(tracks)
    expect(told().recordings?.[0]).not.toHaveProperty('tracks')
  })
})

describe('what is no finished call', () => {
  const why = (changes: Record<string, unknown>, companyId?: string) =>
    whyNoCall(parsed(changes), { ...ctx, config: config.parse({ ...SETTINGS, companyId }) })
  it.each(['ONLINE', 'CALLING', 'SUCCESS', 'FAILED', 'SMS-SENT'])('%s', (disposition) => {
    expect(why({ disposition })).toContain(disposition)
  })
  it('of another company, where one is named', () => {
    expect(why({}, '62770')).toBeNull()
    expect(why({}, '1')).toMatch(/companyID/)
    expect(why({ companyID: '1' })).toBeNull()
    expect(why({ companyID: '' }, '62770')).toMatch(/companyID/)
  })
})

describe('what is told while a call goes on', () => {
  const live = (name: 'receivedTheCall' | 'answeredTheCall', changes: Record<string, unknown> = {}) =>
    toLiveEvent(
      name,
      liveCall.parse({ generalCallID: '1', callType: '0', externalNumber: '0671234567', ...changes }),
      ctx,
    )

  it('has no time, and no agent but who answered', () => {
    const from = { phone: '+380671234567', phoneRaw: '0671234567' }
    expect(live('receivedTheCall', { internalNumber: '904' })).toEqual({
      key: '1:receivedTheCall:904',
      callId: '1',
      phase: 'ringing',
      facts: { direction: 'inbound', from },
    })
    expect(live('answeredTheCall', { internalNumber: '904', pbxNumber: '0443334455' })).toMatchObject({
      key: '1:answeredTheCall:904',
      phase: 'answered',
      facts: { agent: { extension: '904' }, dialed: { phone: '+380443334455' } },
    })
    expect(live('answeredTheCall')).toEqual({
      key: '1:answeredTheCall',
      callId: '1',
      phase: 'answered',
      facts: { direction: 'inbound', from },
    })
    const inside = live('answeredTheCall', { externalNumber: '905', internalNumber: '904' })
    expect(inside.facts).toEqual({
      direction: 'internal',
      from: { phone: null, phoneRaw: '905' },
      dialed: { phone: null, phoneRaw: '904' },
    })
  })

  it('has the names of 2018', () => {
    const facts = live('receivedTheCall', {
      externalNumber: null,
      srcNumber: '0671234567',
      didNumber: '0443334455',
    }).facts
    expect(facts).toMatchObject({ from: { phone: '+380671234567' }, dialed: { phone: '+380443334455' } })
  })
})
