import { describe, expect, it } from 'vitest'
import { CALL_EVENTS, toListedEvents } from '../../connectors/justcall/map.ts'
import { config, justCall } from '../../connectors/justcall/schema.ts'

/** What each field of a call becomes, in webhooks and in the list. */

const ctx = { config: config.parse({ apiKey: 'key', apiSecret: 'secret' }), region: 'FR' }
const SAID = { requestId: 'r-1', at: '2026-03-04T11:25:00.000Z' }

function parsed({ call_info, ...changes }: Record<string, unknown> = {}) {
  return justCall.parse({
    id: 7,
    contact_number: '14155550100',
    call_date: '2026-03-04',
    call_time: '11:22:33',
    call_info: { direction: 'Incoming', type: 'Answered', ...(call_info as object) },
    ...changes,
  })
}
const told = (changes?: Record<string, unknown>, type = 'call.completed') =>
  CALL_EVENTS[type]?.(parsed(changes), SAID, ctx) ?? []
const ended = (changes?: Record<string, unknown>) => told(changes)[0]?.facts ?? {}

describe('a finished call', () => {
  it('what is not told is not made up', () => {
    expect(told({ contact_number: null })).toEqual([
      {
        key: '7:ended',
        callId: '7',
        phase: 'ended',
        facts: {
          startedAt: '2026-03-04T11:22:33.000Z',
          direction: 'inbound',
          result: 'answered',
          from: { phone: null, phoneRaw: '' },
        },
      },
    ])
    expect(Object.keys(ended({ call_info: { direction: '', type: '' } }))).toEqual(['startedAt'])
  })

  it.each([
    ['Answered', 'answered'],
    ['MISSED', 'no_answer'],
    ['Unanswered', 'no_answer'],
    ['Voicemail', 'voicemail'],
    ['Busy', 'busy'],
    ['constructor', undefined],
    ['Blocked', undefined],
    [undefined, undefined],
  ])('of the type %s is %s', (type, result) => {
    expect(ended({ call_info: { type } }).result).toBe(result)
  })

  it('one that goes on has no end, in webhooks or in the list', () => {
    const call_info = { type: 'In Progress', disposition: 'Interested' }
    expect(told({ call_info }).map(({ phase }) => phase)).toEqual(['amended'])
    expect(toListedEvents(parsed({ call_info }), ctx)).toEqual([])
  })

  it.each([
    [{ contact_name: 'Olena' }, { name: 'Olena' }],
    [{ contact_email: 'olena@example.com' }, { email: 'olena@example.com' }],
    [
      { contact_name: 'Olena', contact_email: 'o@example.com' },
      { name: 'Olena', email: 'o@example.com' },
    ],
    [{}, undefined],
  ])('its customer with %j', (changes, customer) => {
    expect(ended(changes).customer).toEqual(customer)
  })

  it('numbers are international without a plus, whatever the region; short ones are not', () => {
    expect(ended().from).toEqual({ phone: '+14155550100', phoneRaw: '14155550100' })
    expect(ended({ contact_number: '101' }).from).toEqual({ phone: null, phoneRaw: '101' })
    const out = ended({ justcall_number: '33199001234', call_info: { direction: 'Outgoing' } })
    expect([out.from?.phone, out.dialed?.phone]).toEqual(['+33199001234', '+14155550100'])
  })

  it.each([
    [{ agent_id: 4321 }, { id: '4321' }],
    [
      { agent_id: 4321, agent_name: 'Ivan' },
      { id: '4321', name: 'Ivan' },
    ],
    [
      { agent_id: 4321, agent_email: 'i@example.com' },
      { id: '4321', email: 'i@example.com' },
    ],
    [{ agent_id: 0, agent_name: 'Nobody' }, undefined],
    [{ agent_name: 'Nobody' }, undefined],
  ])('its agent with %j', (changes, agent) => {
    expect(ended(changes).agent).toEqual(agent)
    // Of a missed call it is nobody's; who called out did so.
    expect(ended({ ...changes, call_info: { type: 'Missed' } })).not.toHaveProperty('agent')
    expect(ended({ ...changes, call_info: { type: 'Unanswered', direction: 'Outgoing' } }).agent).toEqual(
      agent,
    )
  })

  it('its lengths, each where it is told', () => {
    const of = (call_duration: object) => ended({ call_duration })
    expect(
      of({ total_duration: 64, ring_time: 8, queue_wait_time: 20, hold_time: 4, conversation_time: 60 }),
    ).toMatchObject({
      ringMs: 8000,
      holdMs: 4000,
      talkMs: 60_000,
      totalMs: 92_000,
    })
    expect(of({ total_duration: 64 })).toMatchObject({ totalMs: 64_000 })
    const [none, part] = [of({}), of({ ring_time: 8 })]
    for (const key of ['ringMs', 'holdMs', 'talkMs', 'totalMs']) expect(none).not.toHaveProperty(key)
    expect([part.ringMs, part.totalMs]).toEqual([8000, undefined])
  })

  it('its reason is why it was missed, or its status', () => {
    const reason = (missed_call_reason: string, status: string) =>
      ended({ call_info: { missed_call_reason, status } }).disconnectReason
    expect([reason('no agent', 'x'), reason('', 'hangup'), reason('', '')]).toEqual([
      'no agent',
      'hangup',
      undefined,
    ])
  })

  it('its line and what was written on it', () => {
    expect(ended({ justcall_line_name: 'Sales' }).meta).toEqual({ line: 'Sales' })
    const call_info = { disposition: 'Interested', notes: 'n'.repeat(1200), rating: 4 }
    expect(
      told({ call_info, tags: ['vip', { name: 'late' }, { id: 1 }, null, '', 7, { name: '' }] })[1],
    ).toEqual({
      key: '7:written:r-1',
      callId: '7',
      phase: 'amended',
      at: SAID.at,
      facts: { outcome: 'Interested', meta: { notes: 'n'.repeat(1000), rating: '4' }, tags: ['vip', 'late'] },
    })
    expect(told({ call_info: { rating: 4 } })[1]?.facts).toEqual({ meta: { rating: '4' } })
    expect(told({ tags: [null, ''] })).toHaveLength(1)
  })

  it('what the list shows written has a key for each state, and no time', () => {
    const keys = [
      {},
      { disposition: 'Interested' },
      { disposition: 'Interested', notes: 'a' },
      { disposition: 'Interested', notes: 'ab' },
      { notes: 'a' },
      { rating: 4 },
      { rating: 5 },
    ].flatMap((call_info) => {
      const [, written] = toListedEvents(parsed({ call_info }), ctx)
      if (written) expect(written).not.toHaveProperty('at')
      return written?.key ?? []
    })
    expect(keys).toEqual([
      '7:written:list:Interested::0:0',
      '7:written:list:Interested::1:0',
      '7:written:list:Interested::2:0',
      '7:written:list:::1:0',
      '7:written:list::4:0:0',
      '7:written:list::5:0:0',
    ])
  })
})
