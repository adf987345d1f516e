import { describe, expect, test } from 'vitest'
import { inboundRequest } from '../../src/connector/request.ts'
import { HOOK_URL } from '../kit/connector/world.ts'
import {
  ask,
  books,
  connectorCheck,
  mapContext,
  open,
  post,
  type Settings,
  telephony,
} from './hubspot-world.ts'

const CALL_TO_CONTACT = 194
const LOGGED = { hs_timestamp: '2026-03-04T11:00:00.000Z', hs_call_status: 'COMPLETED' }

describe('what HubSpot tells of', () => {
  const receive = (list: unknown, settings: Settings = {}) => {
    const body = new TextEncoder().encode(JSON.stringify(list))
    const raw = {
      method: 'POST',
      url: HOOK_URL,
      path: '',
      headers: [],
      body,
      receivedAt: '2026-03-04T11:00:00Z',
    }
    return telephony.webhook?.receive(inboundRequest(raw), mapContext(settings))
  }
  const event = (subscriptionType: string, more: Record<string, unknown> = {}) => ({
    eventId: 1,
    subscriptionType,
    objectId: 7,
    ...more,
  })

  test('calls are named once, whatever happened to them', () => {
    const of = (type: string, objectId: number) => event(type, { objectId, objectTypeId: '0-48' })
    const list = [of('object.creation', 1), of('object.propertyChange', 1), of('object.propertyChange', 2)]
    expect(receive([...list, of('object.deletion', 3)])).toEqual({ events: [], lookUp: ['1', '2'] })
    expect(receive(list, { calls: false })).toEqual({
      ignored: expect.stringContaining('object.creation of 0-48 (1), object.propertyChange of 0-48 (2)'),
    })
    expect(receive([event('object.creation', { objectTypeId: '0-27' })])).toHaveProperty('ignored')
  })

  const changes: [string, Record<string, unknown>, unknown[]][] = [
    ['contact.deletion', {}, [{ change: 'deleted', type: 'contact', id: '7' }]],
    ['company.deletion', {}, [{ change: 'deleted', type: 'company', id: '7' }]],
    ['contact.privacyDeletion', {}, [{ change: 'erased', type: 'contact', id: '7' }]],
    ['object.deletion', { objectTypeId: '0-1' }, [{ change: 'deleted', type: 'contact', id: '7' }]],
    [
      'contact.merge',
      { primaryObjectId: 7, mergedObjectIds: [8, 9], newObjectId: 7 },
      [
        { change: 'merged', type: 'contact', id: '8', into: '7' },
        { change: 'merged', type: 'contact', id: '9', into: '7' },
      ],
    ],
    [
      'company.merge',
      { primaryObjectId: 7, mergedObjectIds: [8], newObjectId: 10 },
      [
        { change: 'merged', type: 'company', id: '8', into: '10' },
        { change: 'merged', type: 'company', id: '7', into: '10' },
      ],
    ],
  ]
  test.each(changes)('%s %j', (type, more, expected) => {
    expect(receive([event(type, more)])).toEqual({ events: [], changes: expected })
  })

  test('a privacy deletion is told twice by HubSpot and once by us, in whichever order', () => {
    const both = [event('contact.deletion'), event('contact.privacyDeletion')]
    const erased = { events: [], changes: [{ change: 'erased', type: 'contact', id: '7' }] }
    expect(receive(both)).toEqual(erased)
    expect(receive(both.toReversed())).toEqual(erased)
    expect(receive([...both, ...both])).toEqual(erased)
  })

  test.each(['deal.deletion', 'contact.restore', 'contact.associationChange', 'ticket.merge'])(
    '%s is ignored by its name',
    (type) => {
      expect(receive([event(type)])).toEqual({
        ignored: `changes in HubSpot that no call needs: ${type} (1)`,
      })
    },
  )

  test('an id that is none makes nothing, and the rest is read', () => {
    const list = [
      event('contact.deletion', { objectId: 'a/b' }),
      event('contact.deletion', { objectId: null }),
      event('contact.merge', { objectId: undefined, mergedObjectIds: [8] }),
      event('contact.deletion', { objectId: '9007199254740993' }),
    ]
    expect(receive(list)).toEqual({
      events: [],
      changes: [{ change: 'deleted', type: 'contact', id: '9007199254740993' }],
    })
  })
})

describe('the stand-in’s app', () => {
  test('tells of what others and we do, signed, and again where nobody answered', async () => {
    const world = await open()
    const id = await post(world, 'calls', LOGGED)
    const contact = await post(world, 'contacts', { firstname: 'x' })
    await ask(world, 'POST', '/crm/objects/2026-03/contacts/gdpr-delete', { objectId: contact })
    await world.advance(1000)
    const [delivered] = world.delivered
    expect(JSON.parse(delivered?.body ?? '[]')).toMatchObject([
      { subscriptionType: 'object.creation', objectTypeId: '0-48', objectId: Number(id), attemptNumber: 0 },
      { subscriptionType: 'contact.deletion', objectId: Number(contact) },
      { subscriptionType: 'contact.privacyDeletion', objectId: Number(contact) },
    ])
    expect(books(world, 'contact')).toEqual([])
  })

  test('a merged contact’s calls are those of the other', async () => {
    const world = await open()
    const [one, two] = [await post(world, 'contacts', {}), await post(world, 'contacts', {})]
    await post(world, 'calls', LOGGED, [{ id: two, typeId: CALL_TO_CONTACT }])
    await ask(world, 'POST', '/crm/objects/2026-03/contacts/merge', {
      primaryObjectId: one,
      objectIdToMerge: two,
    })
    expect(books(world, 'call')[0]?.fields.associations).toEqual([`contact/${one}`])
  })

  test('the check says that webhooks are not taken without their secret', async () => {
    const world = await open({ appSecret: undefined })
    expect((await connectorCheck(world)).join()).toContain('Set appSecret')
    expect((await connectorCheck(await open({ calls: false, appSecret: undefined }))).join()).not.toContain(
      'Set appSecret',
    )
  })
})
