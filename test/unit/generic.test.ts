import { describe, expect, it } from 'vitest'
import { toEvents } from '../../connectors/generic/map.ts'
import { foldEvents } from '../../src/call/merge.ts'
import { asCordboardError } from '../../src/errors.ts'

const event = (changes: object = {}) => ({ key: 'k', callId: 'c', phase: 'ended', facts: {}, ...changes })
const told = (body: unknown) => {
  const received = toEvents(body, 'FR')
  return 'events' in received ? received.events : []
}
const refused = (body: unknown) => {
  try {
    return told(body)
  } catch (error) {
    return asCordboardError(error)
  }
}

describe('a body in our own format', () => {
  it('is one event, a list, or what stands under data', () => {
    const body = { type: 'call.event' }
    for (const one of [
      event(),
      { ...body, events: [event()] },
      { ...body, data: event() },
      { ...body, data: [event()] },
    ])
      expect(told(one)).toEqual([event()])
    expect(told({ ...body, events: [event()], data: event({ key: 'other' }) })).toEqual([event()])
  })

  it('without either says so, and names the field that is wrong without its value', () => {
    expect(refused({ type: 'call.event' })).toMatchObject({
      code: 'invalid_payload',
      why: 'neither events nor data is there',
    })
    const wrong = refused({ type: 'call.event', events: [event({ facts: { talkMs: '+33639980142' } })] })
    expect(wrong).toMatchObject({
      code: 'invalid_payload',
      why: expect.stringMatching(/^events\.0\.facts\.talkMs: /),
    })
    expect(JSON.stringify(wrong)).not.toContain('639980142')
    expect(refused(null)).toMatchObject({ why: expect.stringMatching(/^the body: /) })
  })

  it('orders what happened within one second, however finely it is told', () => {
    const first = event({ key: 'b', at: '2026-03-04T12:22:33Z', facts: { outcome: 'first' } })
    const second = event({ key: 'a', at: '2026-03-04T12:22:33.500Z', facts: { outcome: 'second' } })
    const base = { id: 'call_1', connection: 'pbx' }
    expect(foldEvents(told({ type: 'call.event', events: [second, first] }), base).outcome).toBe('second')
  })

  it('a customer has a number where one is told', () => {
    const customer = (said: object) => told(event({ facts: { customer: said } }))[0]?.facts.customer
    expect(customer({ name: 'Jean' })).toEqual({ name: 'Jean' })
    expect(customer({ phone: '06 39 98 01 42' })).toEqual({
      phone: '+33639980142',
      phoneRaw: '06 39 98 01 42',
    })
    expect(customer({ phoneRaw: '06 39 98 01 42' })).toMatchObject({ phone: '+33639980142' })
    expect(customer({ phone: null, name: 'Jean' })).toEqual({ phone: null, name: 'Jean' })
  })
})
