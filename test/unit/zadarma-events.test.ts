import { describe, expect, it } from 'vitest'
import { toListedEvents } from '../../connectors/zadarma/map.ts'
import { config, statistics } from '../../connectors/zadarma/schema.ts'
import { progressOf } from '../../src/call/merge.ts'
import { fold, NOW, read, SETTINGS } from './zadarma-account.ts'

/** What each notification says, field by field. */

const say = (event: string, fields: Record<string, string> = {}) => {
  const call = { event, pbx_call_id: 'in_1', call_start: '2026-03-04 11:22:33', caller_id: '33639980142' }
  return read(new URLSearchParams({ ...call, ...fields }).toString())
}
const STARTED = '2026-03-04T10:22:33.000Z'
const RECEIVED = new Date(NOW - 592_000).toISOString()
const DID = { called_did: '33199001234' }
const OUT = { pbx_call_id: 'out_1', caller_id: '33199001234', destination: '33639980142', internal: '101' }

describe('a notification', () => {
  it.each(['NOTIFY_START', 'NOTIFY_INTERNAL', 'NOTIFY_IVR'])('%s rings', (name) => {
    const [event] = say(name, { ...DID, internal: '101' })
    expect(event).toMatchObject({ phase: 'ringing', at: STARTED, facts: { startedAt: STARTED } })
    expect(event?.facts).toMatchObject({ direction: 'inbound', dialed: { phone: '+33199001234' } })
    const isAgents = name === 'NOTIFY_INTERNAL'
    expect(event?.key).toBe(`in_1:${name}${isAgents ? ':101' : ''}`)
    expect(event?.facts.legs).toEqual(
      isAgents ? [{ key: '101', agent: { extension: '101' }, to: '101' }] : undefined,
    )
    expect(event?.facts.agent).toBeUndefined()
  })
  it.each([
    [{ internal: '101', destination: '33199001234' }, '101'],
    [{ last_internal: '102', destination: '33199001234' }, '102'],
    [{ destination: '103' }, '103'],
    [{ destination: '33199001234' }, undefined],
  ])('NOTIFY_ANSWER with %o names %s, at the moment it came', (fields, extension) => {
    const [event] = say('NOTIFY_ANSWER', fields)
    expect(event).toMatchObject({ phase: 'answered', at: RECEIVED, facts: { answeredAt: RECEIVED } })
    expect(event?.facts.agent).toEqual(extension && { extension })
    expect(event?.facts.legs?.[0]?.key).toBe(extension)
    expect(event?.key).toBe(`in_1:NOTIFY_ANSWER${extension ? `:${extension}` : ''}`)
    // Who answered an inbound call is not the number that was dialled.
    expect(event?.facts.dialed).toBeUndefined()
  })
  it('NOTIFY_ANSWER of a call out has its customer, and no agent where none is named', () => {
    const { internal: _, ...rest } = OUT
    const [event] = say('NOTIFY_ANSWER', { ...rest, destination: '33639980142' })
    expect(event?.facts).toMatchObject({ direction: 'outbound', dialed: { phone: '+33639980142' } })
    expect(event?.facts.agent).toBeUndefined()
    expect(
      say('NOTIFY_ANSWER', { pbx_call_id: 'x_1', destination: '101' })[0]?.facts.direction,
    ).toBeUndefined()
  })
  it('NOTIFY_OUT_END is outbound whatever its id says', () => {
    const [event] = say('NOTIFY_OUT_END', {
      ...OUT,
      pbx_call_id: 'x_1',
      disposition: 'cancel',
      duration: '9',
    })
    expect(event?.facts).toMatchObject({
      direction: 'outbound',
      result: 'no_answer',
      totalMs: 9000,
      agent: { extension: '101' },
      disconnectReason: 'cancel',
    })
    expect(event?.facts.talkMs).toBeUndefined()
  })
  it('NOTIFY_END names an agent only of an answered call', () => {
    const end = { ...DID, last_internal: '101', status_code: '17' }
    expect(fold(say('NOTIFY_END', { ...end, disposition: 'answered' })).agent).toEqual({ extension: '101' })
    const busy = fold(say('NOTIFY_END', { ...end, disposition: 'busy' }))
    expect(busy).toMatchObject({ result: 'busy', disconnectReason: 'busy, Q.931 17' })
    expect(busy.agent).toBeUndefined()
    const bare = fold(say('NOTIFY_END', end))
    expect([bare.result, bare.disconnectReason, bare.totalMs]).toEqual([undefined, undefined, undefined])
  })
  it.each([
    [{ is_recorded: '1', call_id_with_rec: '1.2' }, 'pending', 1],
    [{ is_recorded: '1' }, 'pending', 0],
    [{ is_recorded: '0', call_id_with_rec: '1.2' }, 'none', 0],
    [{}, 'unknown', 0],
  ])('NOTIFY_END with %o has its recording %s', (fields, recording, count) => {
    const events = say('NOTIFY_END', { ...DID, disposition: 'answered', ...fields })
    expect(progressOf(events)).toEqual({ ended: true, recording })
    expect(fold(events).recordings).toHaveLength(count)
  })
})

describe('the rows of a call', () => {
  const listed = (changes: object, keys = {}) => {
    const row = { pbx_call_id: 'in_1', call_id: '1.1', callstart: '2026-03-04 11:22:33', clid: '33639980142' }
    const rest = { destination: '101', disposition: 'answered', seconds: 20, is_recorded: false }
    const { stats } = statistics.parse({ stats: [{ ...row, ...rest, ...changes }] })
    return toListedEvents(stats, { config: config.parse({ ...SETTINGS, ...keys }), region: 'FR' })
  }
  it('tell an inbound call without the number that was dialled', () => {
    const call = fold(listed({}))
    expect(call).toMatchObject({
      direction: 'inbound',
      startedAt: STARTED,
      talkMs: 20_000,
      disconnectReason: 'answered',
      agent: { extension: '101' },
    })
    expect(call.dialed).toBeUndefined()
    expect(progressOf(listed({}))).toEqual({ ended: true, recording: 'none' })
  })
  it('name no agent who did not answer, but the one who called', () => {
    expect(fold(listed({ disposition: 'no answer' })).agent).toBeUndefined()
    const out = { pbx_call_id: 'out_1', sip: '101', clid: '33199001234', destination: '33639980142' }
    const call = fold(listed({ ...out, disposition: 'call failed' }))
    expect(call).toMatchObject({ direction: 'outbound', result: 'failed', agent: { extension: '101' } })
    expect(call.customer?.phone).toBe('+33639980142')
    expect(listed(out)[0]?.key).toBe('out_1:NOTIFY_OUT_END')
    expect(fold(listed({ disposition: 'sideways' })).result).toBeUndefined()
  })
  it('have the tracks that the operator named', () => {
    const tracks = { left: 'agent', right: 'customer' }
    const [, record] = listed({ is_recorded: true }, { tracks })
    expect(record?.facts.recordings).toEqual([{ key: '1.1', format: 'mp3', state: 'ready', tracks }])
  })
  it('of no call tell nothing', () => {
    expect(toListedEvents([], { config: config.parse(SETTINGS), region: 'FR' })).toEqual([])
  })
})
