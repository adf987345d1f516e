import { describe, expect, test } from 'vitest'
import { connector } from '../../connectors/zoho/connector.ts'
import { isPlanned, toCallEvent } from '../../connectors/zoho/map.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { CordboardError } from '../../src/errors.ts'
import { CUSTOMER, commonCall, sampleCall } from '../kit/connector/samples.ts'
import { failureOf } from '../kit/connector/world.ts'
import {
  ALICE,
  type Context,
  crm,
  ctxOf,
  fresh,
  mapContext,
  open,
  post,
  ready,
  said,
  subject,
} from './zoho-world.ts'

const telephony = connector.telephony ?? expect.fail('Zoho tells of calls')

describe('tokens and refusals', () => {
  test('the API is asked where the token says, unless the connection says otherwise', async () => {
    const world = await open()
    const hosts: string[] = []
    const ctx = ctxOf(world)
    const fetch: Context['fetch'] = (url, init) => {
      hosts.push(new URL(url).host)
      return ctx.fetch(url, init)
    }
    const grant = { access_token: '1000.a', api_domain: 'https://www.zohoapis.eu', expires_in: 3600 }
    world.sandbox.fail({ fault: { kind: 'status', status: 200, body: grant }, path: '/oauth/' })
    const { baseUrl: _, ...config } = ctx.config
    // The stand-in does not know that token.
    await failureOf(connector.check({ ...ctx, config, fetch }))
    expect(hosts[0]).toBe('www.zohoapis.eu')
  })

  test('a token that has ended is renewed once', async () => {
    const world = await open()
    await connector.check(ctxOf(world))
    await world.advance(60_000)
    const before = world.requests()
    const body = { code: 'INVALID_TOKEN', details: {}, message: 'invalid oauth token', status: 'error' }
    world.sandbox.fail({ fault: { kind: 'status', status: 401, body }, path: '/crm/' })
    await crm.match({ ...commonCall(), customer: { phone: '+33639980199', phoneRaw: '' } }, ctxOf(world), [])
    expect(world.requests() - before).toBe(2 + 8)
  })

  const grants: [number, unknown, Record<string, unknown>][] = [
    [200, { error: 'invalid_code' }, { code: 'auth' }],
    [400, { error: 'invalid_client' }, { code: 'auth' }],
    [
      200,
      { error: 'Access Denied', error_description: 'too many requests' },
      { code: 'rate_limited', retry: { afterMs: 600_000 } },
    ],
    [200, { access_token: 'a' }, { code: 'invalid_payload' }],
    [500, {}, { code: 'vendor_down' }],
  ]
  test.each(grants)('the accounts server says %i %o', async (status, body, expected) => {
    const world = await open()
    world.sandbox.fail({ fault: { kind: 'status', status, body }, path: '/oauth/' })
    expect(await failureOf(connector.check(ctxOf(world)))).toMatchObject(expected)
  })

  const refusals: [number, string, Record<string, unknown>][] = [
    [401, 'OAUTH_SCOPE_MISMATCH', { code: 'forbidden', fix: expect.stringContaining('scopes') }],
    [403, 'NO_PERMISSION', { code: 'forbidden' }],
    [429, 'TOO_MANY_REQUESTS', { code: 'rate_limited' }],
    [400, 'LIMIT_EXCEEDED', { code: 'quota' }],
    [400, 'INVALID_DATA', { code: 'rejected' }],
    [400, 'MANDATORY_NOT_FOUND', { code: 'rejected' }],
    [500, 'INTERNAL_ERROR', { code: 'vendor_down' }],
  ]
  test.each(refusals)('%i %s', async (status, code, expected) => {
    const { world, record, part } = await ready()
    const refused = { code, details: {}, message: 'what Zoho says', status: 'error' }
    for (const body of [refused, { data: [refused] }]) {
      world.sandbox.fail({ fault: { kind: 'status', status, body }, path: '/Calls', method: 'POST' })
      expect(await failureOf(crm.write(fresh(part('call')), record, {}, ctxOf(world)))).toMatchObject(
        expected,
      )
    }
    expect(said(world, 'Calls')).toEqual([])
  })
})

describe('calls that others log', () => {
  test('ours, and calls yet to be made, are none', async () => {
    const { world, record, part } = await ready()
    const ours = (await crm.write(fresh(part('call')), record, {}, ctxOf(world))).id
    const call = {
      Subject: 'S',
      Call_Type: 'Outbound',
      Call_Start_Time: '2026-03-04T10:00:00+01:00',
      Call_Duration: '00:00',
    }
    const later = await post(world, 'Calls', { ...call, Call_Start_Time: '2027-03-04T10:00:00+01:00' })
    const scheduled = await post(world, 'Calls', { ...call, Call_Status: 'Scheduled' })
    const dialled = await post(world, 'Calls', {
      ...call,
      Call_Duration: '02:05',
      Dialled_Number: '06 39 98 01 42',
    })
    const ids = [ours, later, scheduled, dialled, '99']
    const events = await telephony.lookUp?.(ids, ctxOf(world))
    expect(events).toMatchObject([
      {
        callId: dialled,
        phase: 'ended',
        facts: {
          direction: 'outbound',
          result: 'answered',
          talkMs: 125_000,
          startedAt: '2026-03-04T09:00:00.000Z',
          dialed: { phone: CUSTOMER, phoneRaw: '06 39 98 01 42' },
          customer: { phone: CUSTOMER },
          recordingExpected: false,
        },
      },
    ])
    const off = { ...ctxOf(world), config: { ...ctxOf(world).config, calls: false } }
    expect(await telephony.lookUp?.(ids, off)).toEqual([])
    const unique = await ready({ externalIdField: 'Cordboard_Id' })
    const { id } = await crm.write(fresh(unique.part('call')), unique.record, {}, ctxOf(unique.world))
    expect(await telephony.lookUp?.([id], ctxOf(unique.world))).toEqual([])
    // Somebody may have emptied the description.
    const bare = await post(unique.world, 'Calls', { ...call, Cordboard_Id: 'wbk_9-call' })
    expect(await telephony.lookUp?.([bare], ctxOf(unique.world))).toEqual([])
  })

  test('the customer is who it was logged on', async () => {
    const world = await open()
    world.sandbox.place?.({ ...sampleCall(), result: 'no_answer', talkMs: 0 })
    const [call] = said(world, 'Calls')
    const [contact] = said(world, 'Contacts')
    const [event] = (await telephony.lookUp?.([String(call?.id)], ctxOf(world))) ?? []
    expect(event?.facts).toMatchObject({
      direction: 'inbound',
      result: 'no_answer',
      customer: { phone: CUSTOMER, name: 'Jean Dupont', crm: { acme: `contact:${contact?.id}` } },
      agent: { id: ALICE, name: 'Alice Martin' },
    })
    const onLead = { id: '1', Call_Type: 'Inbound', What_Id: { id: '5' }, $se_module: 'Leads' }
    expect(toCallEvent(onLead, undefined, mapContext()).facts.customer).toEqual({ crm: { acme: 'lead:5' } })
    const onStrange = { id: '1', Call_Type: 'Inbound', What_Id: { id: '5' }, $se_module: 'Cases' }
    expect(toCallEvent(onStrange, undefined, mapContext()).facts.customer).toEqual({})
  })

  test('without a start a call is none', () => {
    expect(isPlanned({ id: '1' }, 0)).toBe(true)
    expect(
      isPlanned({ id: '1', Call_Start_Time: '2026-03-04T09:00:00.000Z' }, Date.parse('2026-03-04T09:00:00Z')),
    ).toBe(false)
  })

  test('the list is asked day by day, up to where it is wanted', async () => {
    const world = await open()
    const call = sampleCall()
    for (const days of [0, 1, 2])
      world.sandbox.place?.({ ...call, startedAt: call.startedAt - days * 86_400_000 })
    await world.advance(60_000)
    const list = async (sinceDays: number, untilDays: number) => {
      const at = (days: number) => new Date(world.now() - days * 86_400_000).toISOString()
      const events: CallEvent[] = []
      for await (const page of telephony.calls?.(at(sinceDays), ctxOf(world), at(untilDays)) ?? [])
        events.push(...page)
      return events.length
    }
    expect(await list(3, 0)).toBe(3)
    expect(await list(3, 1.5)).toBe(1)
    const off = { ...ctxOf(world), config: { ...ctxOf(world).config, calls: false } }
    for await (const page of telephony.calls?.('2026-01-01T00:00:00Z', off) ?? [])
      expect.fail(`listed ${page.length}`)
  })

  test('the channel lives for a week, and is not made twice', async () => {
    const world = await open()
    const url = 'https://hooks.example.com/hooks/acme'
    await telephony.subscribe?.(url, ctxOf(world))
    const expiry = () => Date.parse(String(said(world, 'channel')[0]?.channel_expiry))
    expect(said(world, 'channel')).toMatchObject([
      { notify_url: url, token: subject.settings.notificationToken },
    ])
    expect(expiry() - world.now()).toBeGreaterThan(6 * 86_400_000)
    const first = expiry()
    await world.advance(86_400_000)
    await telephony.subscribe?.(url, ctxOf(world))
    expect(expiry()).toBe(first + 86_400_000)
    expect(said(world, 'channel')).toHaveLength(1)
  })

  test('without calls deletions are subscribed to alone, without a token it is refused', async () => {
    for (const calls of [true, false]) {
      const world = await open({ calls })
      await telephony.subscribe?.('https://x.example.com', ctxOf(world))
      expect(said(world, 'channel')[0]?.events).toEqual([
        ...(calls ? ['Calls.create', 'Calls.edit'] : []),
        'Contacts.delete',
        'Leads.delete',
        'Accounts.delete',
        'Deals.delete',
      ])
    }
    for (const notificationToken of [undefined, 'x'.repeat(51)]) {
      const world = await open({ notificationToken })
      const subscribed = Promise.resolve(telephony.subscribe?.('https://x.example.com', ctxOf(world)))
      expect(await failureOf(subscribed)).toBeInstanceOf(CordboardError)
      expect(world.requests()).toBe(0)
    }
    expect(telephony.webhook?.verify(mapContext({ notificationToken: undefined }).config)).toMatchObject({
      secrets: [],
    })
  })
})

describe('fields of the operator’s own', () => {
  test('custom fields of calls are described, with what they take', async () => {
    expect(await crm.fields?.(ctxOf(await open()))).toEqual([
      { name: 'Score', label: 'Score', type: 'number', maxLength: 16 },
      { name: 'Mood', label: 'Mood', type: 'choice', maxLength: 120, choices: ['glad', 'Sad'] },
      { name: 'Sum', label: 'Sum', type: 'number', readOnly: 'it is read-only in Zoho' },
    ])
  })

  test('what is missing is for a person to make', async () => {
    const world = await open({ externalIdField: 'Cordboard_Id' })
    const wanted = [
      { name: 'Score', label: 'Score', type: 'number' as const },
      { name: 'Topic', label: 'Topic', type: 'text' as const },
    ]
    expect(await crm.setUp?.(wanted, ctxOf(world))).toEqual([
      { what: 'the field Cordboard_Id of calls', state: 'was there' },
      { what: 'the field Score of calls', state: 'was there' },
      { what: 'the field Topic of calls', state: 'by hand', fix: expect.stringContaining('Single Line') },
    ])
  })
})

test('the check says which scope or field is missing', async () => {
  const world = await open({
    externalIdField: 'Subject',
    statusField: 'Outgoing_Call_Status',
    notificationToken: undefined,
  })
  const body = { code: 'OAUTH_SCOPE_MISMATCH', details: {}, message: 'invalid oauth scope', status: 'error' }
  world.sandbox.fail({ fault: { kind: 'status', status: 401, body }, path: '/Leads' })
  world.sandbox.fail({ fault: { kind: 'status', status: 401, body }, path: '/users' })
  const fields = {
    fields: [
      { api_name: 'Subject', data_type: 'text', unique: {} },
      { api_name: 'Voice_Recording__s', data_type: 'website' },
    ],
  }
  world.sandbox.fail({ fault: { kind: 'status', status: 200, body: fields }, path: '/settings/fields' })
  const { says, warnings = [] } = await connector.check({ ...ctxOf(world), region: undefined })
  expect(says).toBe('2 fields of calls')
  expect(warnings.map(({ what }) => what)).toEqual([
    'Leads cannot be read',
    'Users cannot be read: calls go to owners.fallback',
    'The field Subject of calls is not unique',
    'Calls have no field Outgoing_Call_Status',
    'Notifications are refused: there is no notificationToken',
    'Numbers that Zoho holds without a country code are not matched',
  ])
})
