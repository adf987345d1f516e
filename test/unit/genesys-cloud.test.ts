import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { isMoment } from '../../connectors/genesys-cloud/map.ts'
import { config } from '../../connectors/genesys-cloud/schema.ts'
import { progressOf } from '../../src/call/merge.ts'
import {
  account,
  fold,
  missed,
  NOW,
  played,
  read,
  SETTINGS,
  sample,
  webhook,
} from './genesys-cloud-account.ts'
import { expectComplete, expectDelivery, matches, setUpOf, type Template } from './set-up.ts'

const FOLDER = new URL('../../connectors/genesys-cloud/', import.meta.url)
const fixture = (name: string): string =>
  JSON.parse(readFileSync(new URL(`fixtures/${name}.json`, FOLDER), 'utf8')).request.body
const told = (...names: string[]) => names.flatMap((name) => read(fixture(name)))

describe('the set-up of the README', () => {
  const setUp = setUpOf('genesys-cloud')
  const made = setUp.resources

  it('names only what it makes, and is told every parameter', () => {
    expectComplete(setUp)
  })

  it('keeps what is not delivered in a queue that the rule may write to', () => {
    expectDelivery(setUp)
  })

  it('sends the token in the header that is verified', () => {
    const { AuthorizationType: kind, AuthParameters: auth } = made.Connection.Properties
    const { ApiKeyName: name, ApiKeyValue: value } = auth.ApiKeyAuthParameters
    const verification = webhook?.verify(config.parse(SETTINGS))
    if (verification?.scheme !== 'token' || !('header' in verification.place)) throw new Error('no token')
    expect(kind).toBe('API_KEY')
    expect(name.toLowerCase()).toBe(verification.place.header)
    expect(value).toEqual({ 'Fn::Sub': `${verification.place.prefix}\${Token}` })
  })

  it('its rule, on the bus of the source, matches exactly the events that say something', () => {
    const { EventBusName: bus, EventPattern: pattern } = made.Rule.Properties
    expect(bus).toEqual({ Ref: 'Bus' })
    expect(made.Bus.Properties).toEqual({
      Name: { Ref: 'EventSource' },
      EventSourceName: { Ref: 'EventSource' },
    })
    expect(pattern.source).toEqual([{ Ref: 'EventSource' }])
    const topics: string[] = pattern['detail-type']
    expect(topics.every((topic) => isMoment(topic.replace('v2.detail.events.conversation.{id}.', '')))).toBe(
      true,
    )
    const source = `aws.partner/genesys.com/cloud/${SETTINGS.organizationId}/my-suffix`
    let matched = 0
    for (const file of readdirSync(new URL('fixtures/', FOLDER)).filter(
      (name) => name !== 'connection.json',
    )) {
      const body = fixture(file.replace('.json', ''))
      const isMatch = matches({ ...pattern, source: [source] }, JSON.parse(body))
      if (file.startsWith('ignored-') && !/without-code|empty/.test(file)) expect(isMatch, file).toBe(false)
      // What an agent's session began with is told too, and only those who ask for it get it.
      else expect(isMatch, file).toBe(true)
      matched += isMatch ? 1 : 0
    }
    expect(matched).toBeGreaterThan(20)
  })

  it('asks for the topics that the rule lets through', () => {
    const readme = readFileSync(new URL('README.md', FOLDER), 'utf8')
    const asked = /```text\n(.*?)```/s.exec(readme)?.[1]?.match(/\S+/g) ?? []
    const topics: Template = made.Rule.Properties.EventPattern['detail-type']
    expect(asked.toSorted()).toEqual(topics.toSorted())
  })
})

describe('a call', () => {
  it.each([
    ['inbound', 'answered', 'answered'],
    ['inbound', 'no_answer', 'no_answer'],
    ['outbound', 'answered', 'answered'],
    ['outbound', 'no_answer', 'no_answer'],
    ['outbound', 'busy', 'no_answer'],
  ] as const)('%s, %s, comes to its right end', (direction, result, expected) => {
    const { vendor } = account()
    const events = played(
      vendor,
      result === 'answered' ? sample({ direction }) : missed({ direction, result }),
    )
    const call = fold(events)
    expect(call).toMatchObject({
      direction,
      result: expected,
      customer: { phone: '+33639980142' },
      startedAt: new Date(NOW - 3_600_000).toISOString(),
    })
    expect(progressOf(events)).toEqual({ ended: true, recording: result === 'answered' ? 'ready' : 'none' })
    if (result === 'answered') expect(call).toMatchObject({ talkMs: 60_000, ringMs: 8000 })
    else expect(call.answeredAt).toBeUndefined()
  })

  it('was answered before what was talked and held', () => {
    const call = fold(
      told('in-customer-end', 'in-user-end', 'in-acd-end', 'in-user-start', 'in-customer-start'),
    )
    expect(call).toMatchObject({
      answeredAt: '2025-12-29T09:00:10.949Z',
      holdMs: 7000,
      agent: { id: 'a1b2c3d4-1111-4222-8333-444455556666', group: 'Support' },
      meta: { externalContactId: '12456349-b5c7-4d8f-9eb4-f4df18bce9a9' },
    })
    expect(call.legs).toEqual([
      expect.objectContaining({ startedAt: '2025-12-29T09:00:04.000Z', endedAt: '2025-12-29T09:02:17.949Z' }),
    ])
  })

  it('does not end with its agents, and the last one is its agent', () => {
    const agents = told('transfer-second-end', 'transfer-first-end')
    expect(progressOf(agents).ended).toBe(false)
    const events = [...told('transfer-customer-end', 'transfer-customer-start'), ...agents]
    expect(progressOf(events)).toEqual({ ended: true, recording: 'ready' })
    expect(fold(events)).toMatchObject({
      result: 'answered',
      answeredAt: '2025-12-29T09:00:10.000Z',
      agent: { id: 'a1b2c3d4-1111-4222-8333-444455557777' },
    })
    expect(fold(events).recordings).toHaveLength(1)
  })

  it('that was given up in the queue is abandoned, and who was only rung is not its agent', () => {
    const call = fold(
      told('abandoned-customer-end', 'abandoned-acd-end', 'abandoned-user-end', 'abandoned-customer-start'),
    )
    expect(call).toMatchObject({ result: 'abandoned', agent: { group: 'Support' } })
    expect(call.agent?.id).toBeUndefined()
    expect(call.legs).toMatchObject([{ result: 'no_answer' }])
  })

  it('that left a message is voicemail, and keeps the caller that its end does not repeat', () => {
    const events = told('voicemail-customer-end', 'voicemail-end', 'voicemail-customer-start')
    expect(fold(events)).toMatchObject({ result: 'voicemail', from: { phoneRaw: 'sip:anonymous@localhost' } })
  })

  it('outbound has its customer from the customer’s session, not from the agent’s', () => {
    const call = fold(told('out-user-end', 'out-customer-end', 'out-customer-start'))
    expect(call).toMatchObject({
      direction: 'outbound',
      from: { phone: '+33199001234' },
      customer: { phone: '+447700900123' },
      talkMs: 51_284,
    })
  })

  it.each(['aws.partner/genesys.com/cloud/', 'aws.partner/genesys.com.test/cloud/'])(
    'comes from %s',
    (start) => {
      const event = JSON.parse(fixture('in-customer-start'))
      const from = (source: string) => read(JSON.stringify({ ...event, source })).length
      expect(from(`${start}${SETTINGS.organizationId}/x`)).toBe(1)
      expect(from(`${start}${SETTINGS.organizationId}x/x`)).toBe(0)
      expect(from(`${start}x/${SETTINGS.organizationId}/x`)).toBe(0)
      expect(from(`x${start}${SETTINGS.organizationId}/x`)).toBe(0)
    },
  )
})
