import { describe, expect, test } from 'vitest'
import { connector } from '../../connectors/hubspot/connector.ts'
import { toEvents } from '../../connectors/hubspot/map/source.ts'
import { type CallEvent, callEvent } from '../../src/call/facts.ts'
import { CUSTOMER, commonCall, sampleAudio, sampleCall } from '../kit/connector/samples.ts'
import { failureOf, type World } from '../kit/connector/world.ts'
import {
  ask,
  crm,
  ctxOf,
  fresh,
  mapContext,
  open,
  partOf,
  post,
  recordOf,
  type Settings,
  spied,
  telephony,
} from './hubspot-world.ts'

const CALL_TO_CONTACT = 194
const LOGGED = {
  hs_timestamp: '2026-03-04T11:00:00.000Z',
  hs_call_direction: 'INBOUND',
  hs_call_status: 'COMPLETED',
  hs_call_duration: '61500',
  hs_call_from_number: '06 39 98 01 42',
  hs_call_to_number: '+33199001234',
}
const lookUp = (world: World, ids: readonly string[]) => telephony.lookUp?.(ids, ctxOf(world)) ?? []

async function eventOf(properties: Record<string, string>, settings: Settings = {}): Promise<CallEvent> {
  const world = await open(settings)
  const id = await post(world, 'calls', { ...LOGGED, ...properties })
  const [event] = await lookUp(world, [id])
  return callEvent.parse(event ?? expect.fail('no event'))
}

describe('a call that somebody else logged', () => {
  test('is told with its times, its numbers, whom it was with and who handled it', async () => {
    const people = [{ id: '501', email: 'alice.martin@example.com', firstName: 'Alice', lastName: 'Martin' }]
    const world = await open({ people })
    const contact = await post(world, 'contacts', {
      firstname: 'Jean',
      lastname: 'Dupont',
      email: 'jean@example.com',
      phone: CUSTOMER,
    })
    const link = 'https://media.example.com/calls/a.mp3?sig=1'
    const id = await post(
      world,
      'calls',
      {
        ...LOGGED,
        hs_call_recording_url: link,
        hubspot_owner_id: '501',
        hs_call_disposition: 'f240bbac-87c9-4f6e-bf70-924b57d47db7',
      },
      [{ id: contact, typeId: CALL_TO_CONTACT }],
    )
    const at = new Date(world.now()).toISOString()
    expect(await lookUp(world, [id])).toEqual([
      {
        key: `${id}:${at}`,
        callId: id,
        phase: 'ended',
        at,
        facts: {
          medium: 'voice',
          direction: 'inbound',
          result: 'answered',
          outcome: 'Connected',
          startedAt: '2026-03-04T11:00:00.000Z',
          talkMs: 61_500,
          from: { phone: CUSTOMER, phoneRaw: '06 39 98 01 42' },
          dialed: { phone: '+33199001234', phoneRaw: '+33199001234' },
          customer: {
            phone: CUSTOMER,
            phoneRaw: '06 39 98 01 42',
            name: 'Jean Dupont',
            email: 'jean@example.com',
            crm: { acme: contact },
          },
          agent: { id: '501', name: 'Alice Martin', email: 'alice.martin@example.com' },
          recordingExpected: true,
        },
      },
      {
        key: expect.stringMatching(new RegExp(`^${id}:recording:[0-9a-f]+$`)),
        callId: id,
        phase: 'recorded',
        at,
        facts: { recordings: [{ key: id, url: link, format: 'mp3', state: 'ready' }] },
      },
    ])
  })

  const endings: [Record<string, string>, Record<string, unknown>][] = [
    [{ hs_call_status: 'COMPLETED' }, { result: 'answered', talkMs: 61_500 }],
    [
      { hs_call_disposition: '73a0d17f-1163-4015-bdd5-ec830791da20' },
      { result: 'no_answer', outcome: 'No answer', totalMs: 61_500, recordingExpected: false },
    ],
    [
      { hs_call_disposition: 'b2cf5968-551e-4856-9783-52b3da59a7d0' },
      { result: 'voicemail', talkMs: 61_500 },
    ],
    [{ hs_call_disposition: 'an-outcome-of-the-account' }, { result: 'answered' }],
    [{ hs_call_status: 'NO_ANSWER' }, { result: 'no_answer', recordingExpected: false }],
    [{ hs_call_status: 'BUSY' }, { result: 'busy' }],
    [{ hs_call_status: 'FAILED' }, { result: 'failed' }],
    [{ hs_call_status: 'CANCELED' }, { result: 'abandoned' }],
    [{ hs_call_status: 'missed' }, { result: 'no_answer' }],
    [{ hs_call_status: 'MISSED', hs_call_has_voicemail: 'true' }, { result: 'voicemail' }],
    [{ hs_call_status: '' }, { talkMs: 61_500 }],
  ]
  test.each(endings)('%j ends as %j', async (properties, facts) => {
    const event = await eventOf(properties)
    expect(event).toMatchObject({ phase: 'ended', facts })
    if (!('result' in facts)) expect(event.facts).not.toHaveProperty('result')
  })

  test.each([
    ['RINGING', 'ringing'],
    ['CALLING_CRM_USER', 'ringing'],
    ['IN_PROGRESS', 'answered'],
    ['HOLD', 'answered'],
  ])('%s goes on', async (hs_call_status, phase) => {
    const event = await eventOf({ hs_call_status })
    expect(event.phase).toBe(phase)
    const names = ['result', 'talkMs', 'totalMs', 'recordingExpected']
    for (const name of names) expect(event.facts).not.toHaveProperty(name)
    const world = await open()
    const early = { ...LOGGED, hs_call_status, hs_call_recording_url: 'https://media.example.com/a.mp3' }
    expect((await lookUp(world, [await post(world, 'calls', early)])).length).toBe(1)
  })

  test('of an outbound one the customer is the number that was called', async () => {
    const { facts } = await eventOf({
      hs_call_direction: 'OUTBOUND',
      hs_call_from_number: '101',
      hs_call_to_number: CUSTOMER,
    })
    expect(facts).toMatchObject({
      direction: 'outbound',
      customer: { phone: CUSTOMER },
      from: { phone: null, phoneRaw: '101' },
    })
  })

  test('without numbers and without a direction nobody is made up', async () => {
    const { facts } = await eventOf({
      hs_call_direction: '',
      hs_call_from_number: '',
      hs_call_to_number: '',
      hs_call_duration: '',
    })
    for (const name of ['customer', 'from', 'dialed', 'direction', 'talkMs', 'agent', 'recordings'])
      expect(facts).not.toHaveProperty(name)
  })

  test.each([
    'http://media.example.com/a.mp3',
    'file:///a.mp3',
    'no link',
    'https://u:p@media.example.com/a',
  ])('%s is no recording', async (hs_call_recording_url) => {
    const world = await open()
    const events = await lookUp(world, [await post(world, 'calls', { ...LOGGED, hs_call_recording_url })])
    expect(events.map(({ phase }) => phase)).toEqual(['ended'])
  })

  test('of several contacts it is the other party that HubSpot names, else the one with the number, else the oldest', async () => {
    const world = await open()
    const add = (phone: string) => post(world, 'contacts', { firstname: 'x', phone })
    const [oldest, withIt, named] = [
      await add('+33199000001'),
      await add(CUSTOMER),
      await add('+33199000002'),
    ]
    const on = [named, withIt, oldest].map((id) => ({ id, typeId: CALL_TO_CONTACT }))
    const customerOf = async (properties: Record<string, string>) => {
      const [event] = await lookUp(world, [await post(world, 'calls', { ...LOGGED, ...properties }, on)])
      return event?.facts.customer?.crm?.acme
    }
    expect(await customerOf({ hs_call_callee_object_id: named })).toBe(named)
    expect(await customerOf({})).toBe(withIt)
    expect(await customerOf({ hs_call_from_number: '+33199000009' })).toBe(oldest)
  })

  test('what is too long for a call of ours is cut, and what is no time is none', () => {
    const properties = {
      ...LOGGED,
      hs_timestamp: '99999999999999999999',
      hs_lastmodifieddate: 'yesterday',
      hs_call_from_number: '9'.repeat(900),
      hs_call_duration: '1e99',
    }
    const contact = {
      id: '8',
      properties: { firstname: 'n'.repeat(900), email: `${'e'.repeat(900)}@example.com` },
    }
    const owner = { id: '9', email: contact.properties.email, firstName: 'n'.repeat(900) }
    const [event = expect.fail('no event')] = toEvents(
      { id: '7', properties },
      { contacts: [contact], owner },
      mapContext(),
    )
    expect(callEvent.parse(event)).toEqual(event)
    expect(event.facts.from?.phoneRaw.length).toBe(256)
    expect(event.facts).not.toHaveProperty('startedAt')
    expect(event.facts).not.toHaveProperty('talkMs')
    expect(event).not.toHaveProperty('at')
  })
})

describe('which calls are looked up', () => {
  test('those that Cordboard wrote are none, by any of its marks', async () => {
    for (const settings of [{}, { externalIdProperty: 'cordboard_key' }]) {
      const world = await open(settings)
      const record = recordOf({})
      const call = partOf(crm.plan(record, mapContext(settings)), 'call')
      const { id } = await crm.write(fresh(call), record, {}, ctxOf(world))
      expect(await lookUp(world, [id])).toEqual([])
    }
    const world = await open()
    const mark = async (properties: Record<string, string>) =>
      (await lookUp(world, [await post(world, 'calls', { ...LOGGED, ...properties })])).length
    expect(await mark({ hs_call_external_id: 'wbk_01KJT0QZ5M0000000000000KIT-call' })).toBe(0)
    expect(await mark({ hs_call_body: '<p>x</p><p>Cordboard ref wbk_1-call</p>' })).toBe(0)
    expect(await mark({ hs_call_external_id: 'a-dialler-7', hs_call_body: 'x' })).toBe(1)
    const keyed = await open({ externalIdProperty: 'cordboard_key' })
    const ours = await post(keyed, 'calls', { ...LOGGED, cordboard_key: 'wbk_1-call' })
    expect(await lookUp(keyed, [ours])).toEqual([])
  })

  test('what is gone meanwhile is left out, ids are asked for once and in hundreds', async () => {
    const world = await open()
    const id = await post(world, 'calls', LOGGED)
    const { ctx, asked } = spied(world)
    const unknown = Array.from({ length: 120 }, (_, n) => String(500 + n))
    expect(
      (await telephony.lookUp?.([id, id, ...unknown, '../x'], ctx))?.map(({ callId }) => callId),
    ).toEqual([id])
    expect(asked.filter((one) => one.endsWith('/calls/batch/read')).length).toBe(2)
  })

  test('a link that comes later is a thing of its own, said once', async () => {
    const world = await open()
    const id = await post(world, 'calls', LOGGED)
    const change = (properties: Record<string, string>) =>
      ask(world, 'PATCH', `/crm/objects/2026-03/calls/${id}`, { properties })
    const recorded = async () => (await lookUp(world, [id])).filter(({ phase }) => phase === 'recorded')
    expect(await recorded()).toEqual([])
    await change({ hs_call_recording_url: 'https://media.example.com/a.mp3' })
    const [first] = await recorded()
    await world.advance(1000)
    await change({ hs_call_title: 'x' })
    expect((await recorded()).map(({ key }) => key)).toEqual([first?.key])
    await change({ hs_call_recording_url: 'https://media.example.com/b.mp3' })
    expect((await recorded())[0]?.key).not.toBe(first?.key)
  })

  test('the same state is said with the same key, another one with another', async () => {
    const world = await open()
    const id = await post(world, 'calls', LOGGED)
    const keyOf = async () => (await lookUp(world, [id]))[0]?.key
    const before = await keyOf()
    await world.advance(5000)
    expect(await keyOf()).toBe(before)
    await ask(world, 'PATCH', `/crm/objects/2026-03/calls/${id}`, { properties: { hs_call_status: 'BUSY' } })
    expect(await keyOf()).not.toBe(before)
  })

  test('without the scope for owners calls have no agent, and the rest of them', async () => {
    const world = await open({ scopes: ['crm.objects.contacts.read', 'crm.objects.contacts.write'] })
    const id = await post(world, 'calls', { ...LOGGED, hubspot_owner_id: '501' })
    const [event] = await lookUp(world, [id])
    expect(event?.facts).toMatchObject({ direction: 'inbound' })
    expect(event?.facts).not.toHaveProperty('agent')
  })

  test('where the operator does not take calls, none is asked for', async () => {
    const world = await open({ calls: false })
    const { ctx, asked } = spied(world)
    expect(await telephony.lookUp?.(['1'], ctx)).toEqual([])
    for await (const page of telephony.calls?.('2026-03-01T00:00:00.000Z', ctx) ?? [])
      expect.fail(`a page of ${page.length}`)
    expect(asked).toEqual([])
  })
})

describe('the list of calls', () => {
  const pages = async (world: World, since: string, until?: string) => {
    const all: CallEvent[] = []
    const { ctx, asked } = spied(world)
    for await (const page of telephony.calls?.(since, ctx, until) ?? []) all.push(...page)
    return { ids: all.map(({ callId }) => callId), asked: asked.filter((one) => one.endsWith('/search')) }
  }
  const at = (hs_timestamp: string) => ({ ...LOGGED, hs_timestamp })

  test('holds what took place in its window, and what was changed in it, page by page', async () => {
    const world = await open({ requestsPer10s: 10_000 })
    const inside: string[] = []
    for (let n = 0; n < 450; n++)
      inside.push(
        await post(world, 'calls', at(new Date(Date.parse('2026-03-02T00:00:00Z') + n).toISOString())),
      )
    const late = await post(world, 'calls', at('2026-01-01T00:00:00Z'))
    const { ids, asked } = await pages(world, '2026-03-01T00:00:00Z')
    expect(new Set(ids)).toEqual(new Set([...inside, late]))
    expect(asked.length).toBe(3)
    const early = await pages(world, '2026-03-01T00:00:00Z', '2026-03-02T00:00:00.010Z')
    expect(early.ids.length).toBe(11)
    expect((await pages(world, '2026-02-01T00:00:00Z', '2026-03-01T00:00:00Z')).ids).toEqual([])
  })

  test('a window with more than a search shows is halved until it fits', async () => {
    const world = await open()
    const ids: string[] = []
    for (const day of ['02', '03', '04']) ids.push(await post(world, 'calls', at(`2026-02-${day}T00:00:00Z`)))
    const ctx = ctxOf(world)
    let asked = 0
    const crowded: typeof ctx = {
      ...ctx,
      async fetch(url, init) {
        const response = await ctx.fetch(url, init)
        if (!String(url).endsWith('/search')) return response
        asked += 1
        const said = (await response.json()) as { total: number }
        // As if each of these stood for thousands.
        return Response.json({ ...said, total: said.total * 6000 })
      },
    }
    const seen: string[] = []
    for await (const page of telephony.calls?.('2026-02-01T00:00:00Z', crowded, '2026-02-05T00:00:00Z') ?? [])
      seen.push(...page.map(({ callId }) => callId))
    expect(seen).toEqual(ids)
    expect(asked).toBeGreaterThan(3)
    expect(asked).toBeLessThan(12)
  })
})

describe('a recording that a call links to', () => {
  const play = async (settings: Settings = {}) => {
    const world = await open(settings)
    const id = world.sandbox.place?.(sampleCall())[0]?.body ?? ''
    const events = await lookUp(world, [String(JSON.parse(id)[0].objectId)])
    const recording = events.at(-1)?.facts.recordings?.[0] ?? expect.fail('no recording')
    return { world, recording }
  }
  const bearer = { recordingAuth: 'bearer', recordingHosts: ['hubspot.example.com'] }
  const headersOf = async (settings: Settings) => {
    const { world, recording } = await play(settings)
    const ctx = ctxOf(world)
    const sent: Record<string, string>[] = []
    const fetch: typeof ctx.fetch = (url, init) => {
      sent.push({ bucket: init?.bucket ?? '', ...init?.headers })
      return ctx.fetch(url, init)
    }
    const response = await telephony.recording?.(recording, commonCall(), { ...ctx, fetch })
    expect(new Uint8Array((await response?.arrayBuffer()) ?? [])).toEqual(sampleAudio('mp3'))
    return sent
  }

  test('is fetched without a token of ours', async () => {
    expect(await headersOf({})).toEqual([{ bucket: 'recordings' }])
  })

  test('or with one, from the hosts that the operator names', async () => {
    expect(await headersOf(bearer)).toEqual([
      { bucket: 'recordings', authorization: 'Bearer stand-in-service-key-0001' },
    ])
    expect(await headersOf({ ...bearer, recordingToken: 'a-token-of-the-dialler' })).toEqual([
      { bucket: 'recordings', authorization: 'Bearer a-token-of-the-dialler' },
    ])
  })

  test('from another host it is not fetched, and where to name it is told', async () => {
    const { world, recording } = await play({ recordingHosts: ['media.example.com'] })
    const asked = world.requests()
    expect(
      await failureOf(Promise.resolve(telephony.recording?.(recording, commonCall(), ctxOf(world)))),
    ).toMatchObject({
      code: 'forbidden',
      fix: expect.stringContaining('add hubspot.example.com to recordingHosts'),
    })
    expect(world.requests()).toBe(asked)
  })

  test('a service that downloads by itself gets the link, unless a token is needed', async () => {
    const { world, recording } = await play()
    expect(await telephony.recordingUrl?.(recording, commonCall(), ctxOf(world))).toBe(recording.url)
    const closed = await play(bearer)
    expect(await telephony.recordingUrl?.(closed.recording, commonCall(), ctxOf(closed.world))).toBeNull()
  })

  test('a token without hosts that may get it is no configuration', () => {
    const parsed = connector.config.safeParse({ token: 'x', recordingAuth: 'bearer' })
    expect(parsed.error?.issues[0]).toMatchObject({ path: ['recordingHosts'] })
  })
})
