import { describe, expect, test } from 'vitest'
import { connector } from '../../connectors/bitrix24/connector.ts'
import { toCallEvent } from '../../connectors/bitrix24/map.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { readPlacedId } from '../../src/connector/placed-id.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import { CUSTOMER, commonCall, rawWebhook, sampleCall } from '../kit/connector/samples.ts'
import { failureOf } from '../kit/connector/world.ts'
import {
  books,
  crm,
  ctxOf,
  fresh,
  mapContext,
  open,
  ready,
  type Settings,
  said,
  subject,
} from './bitrix24-world.ts'

const telephony = connector.telephony ?? expect.fail('Bitrix24 is a phone system')
const BY_WEBHOOK = {
  clientId: undefined,
  clientSecret: undefined,
  refreshToken: undefined,
  webhook: '1/abcdef0123456789',
}

describe('by an incoming webhook', () => {
  test('a call is a comment, and the check says so', async () => {
    const { world, record, parts, part } = await ready(BY_WEBHOOK)
    expect(parts.map(({ key }) => key)).toEqual(['call', 'note', 'task-1', 'task-2'])
    const { id } = await crm.write(fresh(part('call')), record, {}, ctxOf(world))
    await crm.write(fresh(part('call'), id), record, {}, ctxOf(world))
    expect(said(world, 'comment')).toMatchObject([
      { ENTITY_TYPE: 'contact', COMMENT: expect.stringMatching(/^Inbound call, answered: Wrong invoice\n/) },
    ])
    expect(await crm.find?.(fresh(part('call')), record, {}, ctxOf(world))).toBe(id)
    expect(books(world, 'call')).toEqual([])
    const { says, warnings = [] } = await connector.check(ctxOf(world))
    expect(says).toBe('incoming webhook on bitrix24.example.com')
    expect(warnings.map(({ what }) => what)).toContainEqual(expect.stringContaining('may not register calls'))
  })

  test('the whole URL may be given, and a wrong code is `auth`', async () => {
    const url = 'https://bitrix24.example.com/rest/1/abcdef0123456789/'
    await connector.check(ctxOf(await open({ ...BY_WEBHOOK, webhook: url })))
    const world = await open(BY_WEBHOOK)
    const ctx = ctxOf(world)
    const other = { ...ctx, config: { ...ctx.config, webhook: '1/otherother' } }
    expect(await failureOf(connector.check(other))).toMatchObject({ code: 'auth' })
  })

  test('one way in is given, and not both', () => {
    const parse = (settings: Settings) =>
      connector.config.safeParse({ ...subject.settings, ...settings }).success
    expect(parse({})).toBe(true)
    expect(parse(BY_WEBHOOK)).toBe(true)
    expect(parse({ webhook: '1/abcdef0123456789' })).toBe(false)
    expect(parse({ refreshToken: undefined })).toBe(false)
    expect(parse({ ...BY_WEBHOOK, webhook: 'abcdef' })).toBe(false)
  })

  test('it cannot subscribe to events', async () => {
    const failure = await failureOf(
      Promise.resolve(telephony.subscribe?.('https://x.example.com', ctxOf(await open(BY_WEBHOOK)))),
    )
    expect(failure).toMatchObject({ code: 'rejected' })
  })
})

describe('tokens and refusals', () => {
  test('a token that has ended is renewed once, with the refresh token of the last time', async () => {
    const world = await open()
    await connector.check(ctxOf(world))
    await world.advance(3_500_000)
    await connector.check(ctxOf(world))
    await world.advance(3_700_000)
    await connector.check(ctxOf(world))
    // The first refresh token is used up: a process that knows no other is told so.
    const body = { error: 'expired_token', error_description: 'The access token provided has expired' }
    const before = world.requests()
    world.sandbox.fail({ fault: { kind: 'status', status: 401, body }, times: 1, path: '/rest/' })
    await world.advance(60_000)
    await connector.check(ctxOf(world))
    expect(world.requests() - before).toBe(3)
  })

  const refusals: [number, unknown, Record<string, unknown>][] = [
    [401, { error: 'insufficient_scope' }, { code: 'forbidden' }],
    [401, { error: 'user_access_error' }, { code: 'forbidden' }],
    [401, { error: 'OVERLOAD_LIMIT' }, { code: 'quota' }],
    [403, { error: 'ACCESS_DENIED' }, { code: 'forbidden' }],
    [403, { error: 'WRONG_AUTH_TYPE' }, { code: 'forbidden' }],
    [404, { error: 'ERROR_METHOD_NOT_FOUND' }, { code: 'forbidden' }],
    [503, { error: 'QUERY_LIMIT_EXCEEDED' }, { code: 'rate_limited', retry: { afterMs: 2000 } }],
    [429, { error: 'OPERATION_TIME_LIMIT' }, { code: 'rate_limited', retry: { afterMs: 60_000 } }],
    [400, { error: 'ERROR_CORE', error_description: 'Unknown TYPE' }, { code: 'rejected' }],
    [400, { error: '', error_description: 'Not found' }, { code: 'not_found' }],
    [200, { error: 'ACCESS_DENIED' }, { code: 'forbidden' }],
    [200, { result: 'nothing known' }, { code: 'vendor_down' }],
    [500, { error: 'INTERNAL_SERVER_ERROR' }, { code: 'vendor_down' }],
  ]
  test.each(refusals)('%i %o', async (status, body, expected) => {
    const world = await open()
    await connector.check(ctxOf(world))
    const before = world.requests()
    world.sandbox.fail({ fault: { kind: 'status', status, body }, path: 'findbycomm' })
    expect(await failureOf(crm.match(commonCall(), ctxOf(world), []))).toMatchObject(expected)
    // A new token would have no more rights.
    expect(world.requests() - before).toBe(1)
  })

  test('a method without time left is open again when Bitrix24 says', async () => {
    const world = await open()
    const time = { operating_reset_at: Math.floor(world.now() / 1000) + 90 }
    const body = { error: 'OPERATION_TIME_LIMIT', time }
    world.sandbox.fail({ fault: { kind: 'status', status: 429, body }, path: 'scope' })
    expect(await failureOf(connector.check(ctxOf(world)))).toMatchObject({ retry: { afterMs: 90_000 } })
  })

  test('an application that was removed, or is not paid for', async () => {
    for (const [error, code] of [
      ['invalid_grant', 'auth'],
      ['PAYMENT_REQUIRED', 'quota'],
    ]) {
      const world = await open()
      world.sandbox.fail({ fault: { kind: 'status', status: 400, body: { error } }, path: '/oauth/' })
      expect(await failureOf(connector.check(ctxOf(world)))).toMatchObject({ code })
    }
  })

  test('more than the bucket holds is refused, and told as a limit', async () => {
    const world = await open()
    const failures = await Promise.all(
      Array.from({ length: 60 }, () => failureOf(connector.check(ctxOf(world)))),
    )
    expect(failures.filter((failure) => failure?.code === 'rate_limited')).toHaveLength(10)
  })
})

describe('what Bitrix24 tells of', () => {
  const form = (fields: Record<string, string>) => ({
    says: 'event',
    method: 'POST',
    path: '',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(fields).toString(),
  })
  const receive = (fields: Record<string, string>, settings: Settings = {}) =>
    telephony.webhook?.receive(inboundRequest(rawWebhook(form(fields), 0)), mapContext(settings))

  test.each(['contact', 'company', 'lead', 'deal'])('a %s that was deleted is a change', (type) => {
    const event = `ONCRM${type.toUpperCase()}DELETE`
    const changes = [{ change: 'deleted', type, id: '89' }]
    expect(receive({ event, 'data[FIELDS][ID]': '89' }, { calls: false })).toEqual({ events: [], changes })
  })

  const ended = {
    event: 'ONVOXIMPLANTCALLEND',
    'data[CALL_ID]': 'externalCall.7b0c7de811455ef32b18dc5917e4306a.1773239327',
    'data[CALL_TYPE]': '1',
    'data[PHONE_NUMBER]': CUSTOMER,
    'data[PORTAL_NUMBER]': 'REST_APP:',
    'data[CALL_START_DATE]': '2026-03-11T17:28:46+02:00',
  }

  test('a call that an application registered is looked up, and dropped when it is ours', async () => {
    expect(receive(ended)).toEqual({ events: [], lookUp: [ended['data[CALL_ID]']] })
    expect(receive(ended, { calls: false })).toMatchObject({ ignored: expect.any(String) })
    const { world, record, part } = await ready()
    const ours = await crm.write(fresh(part('call')), record, {}, ctxOf(world))
    const other = await crm.write(
      { ...fresh(part('call')), idempotencyKey: 'pbx-1' },
      record,
      {},
      ctxOf(world),
    )
    const [own = '', others = ''] = [ours, other].map(({ id }) => readPlacedId(id).id)
    const found = await telephony.lookUp?.([own, others, 'externalCall.gone.1'], ctxOf(world))
    expect(found).toMatchObject([
      {
        callId: others,
        phase: 'ended',
        facts: {
          direction: 'inbound',
          result: 'answered',
          customer: { crm: { acme: `contact:${record.target?.id}` } },
        },
      },
    ])
    const off = { ...ctxOf(world), config: { ...ctxOf(world).config, calls: false } }
    expect(await telephony.lookUp?.([others], off)).toEqual([])
  })

  test('an entity of the id 0 is none', () => {
    const row = {
      CALL_ID: '1.2',
      CALL_TYPE: '2',
      CALL_START_DATE: '2026-03-11T15:28:46.000Z',
      CRM_ENTITY_TYPE: 'CONTACT',
    }
    const facts = (id: string) => toCallEvent({ ...row, CRM_ENTITY_ID: id }, 'list', mapContext())?.facts
    expect(facts('0')).not.toHaveProperty('customer')
    expect(facts('275')).toMatchObject({ customer: { crm: { acme: 'contact:275' } } })
  })

  test('without a token of the application nothing is taken', () => {
    const { config } = mapContext({ applicationToken: undefined })
    expect(telephony.webhook?.verify(config)).toMatchObject({ scheme: 'token', secrets: [] })
  })

  test('the list comes in pages of fifty, without ours', async () => {
    const world = await open()
    for (let nth = 0; nth < 120; nth++) world.sandbox.place?.(sampleCall())
    const list = async (since: string, until?: string) => {
      const pages: CallEvent[][] = []
      for await (const page of telephony.calls?.(since, ctxOf(world), until) ?? []) pages.push(page)
      return pages.map((page) => page.length)
    }
    const day = new Date(world.now() - 86_400_000).toISOString()
    expect(await list(day)).toEqual([50, 50, 20])
    expect(await list(day, day)).toEqual([0])
  })

  test('a recording that is not there yet is asked for again; later it is not', async () => {
    const world = await open()
    const { audio: _, ...silent } = sampleCall()
    const [webhook = expect.fail()] = world.sandbox.place?.(silent) ?? []
    const read = telephony.webhook?.receive(inboundRequest(rawWebhook(webhook, world.now())), mapContext())
    const [event = expect.fail()] = read && 'events' in read ? read.events : []
    const [recording = expect.fail()] = event.facts.recordings ?? []
    const ask = () => failureOf(Promise.resolve(telephony.recording?.(recording, commonCall(), ctxOf(world))))
    expect(await ask()).toMatchObject({ code: 'not_found', retry: 'later' })
    await world.advance(3_600_000)
    expect(await ask()).toMatchObject({ code: 'not_found', retry: 'never' })
    const since = new Date(world.now() - 86_400_000).toISOString()
    for await (const page of telephony.calls?.(since, ctxOf(world)) ?? [])
      expect(page).toMatchObject([{ facts: { recordingExpected: false } }])
  })

  test('without calls nothing is listed, and deletions are subscribed to alone', async () => {
    const world = await open({ calls: false })
    world.sandbox.place?.(sampleCall())
    for await (const page of telephony.calls?.('2026-01-01T00:00:00Z', ctxOf(world)) ?? [])
      expect(page).toEqual([])
    expect(world.requests()).toBe(0)
    await telephony.subscribe?.('https://hooks.example.com/hooks/acme', ctxOf(world))
    expect(books(world, 'handler').map(({ id }) => id)).toEqual([
      'ONCRMCONTACTDELETE',
      'ONCRMCOMPANYDELETE',
      'ONCRMLEADDELETE',
      'ONCRMDEALDELETE',
    ])
  })
})

describe('fields of the operator’s own', () => {
  test('they are described with the records that have them', async () => {
    const world = await open()
    const described = (await crm.fields?.(ctxOf(world))) ?? []
    expect(described).toMatchObject([
      { name: 'UF_CRM_SCORE', label: 'Score (contact, company, lead)', type: 'number' },
      { name: 'UF_CRM_MOOD', type: 'choice', readOnly: expect.any(String) },
    ])
  })

  test('what is missing is made on every type, once; a name that cannot be is for a person', async () => {
    const world = await open()
    const wanted = [
      { name: 'UF_CRM_SCORE', label: 'Score', type: 'number' as const },
      { name: 'UF_CRM_URGENT', label: 'Urgent', type: 'boolean' as const },
      { name: 'UF_CRM_A_NAME_TOO_LONG', label: 'Long', type: 'text' as const },
    ]
    const states = async () => (await crm.setUp?.(wanted, ctxOf(world)))?.map(({ state }) => state)
    expect(await states()).toEqual(Array.from({ length: 3 }, () => ['was there', 'made', 'by hand']).flat())
    expect(await states()).toEqual(
      Array.from({ length: 3 }, () => ['was there', 'was there', 'by hand']).flat(),
    )
    world.sandbox.fail({
      fault: { kind: 'status', status: 403, body: { error: 'ACCESS_DENIED' } },
      path: 'userfield',
      times: 3,
    })
    const more = [{ name: 'UF_CRM_MORE', label: 'More', type: 'text' as const }]
    expect((await crm.setUp?.(more, ctxOf(world)))?.map(({ state }) => state)).toEqual([
      'by hand',
      'by hand',
      'by hand',
    ])
  })
})

test('the check says what is missing', async () => {
  const world = await open({ owners: {}, applicationToken: undefined })
  world.sandbox.fail({ fault: { kind: 'status', status: 200, body: { result: ['crm'] } }, path: 'scope' })
  const { warnings = [] } = await connector.check({ ...ctxOf(world), region: undefined })
  expect(warnings.map(({ what }) => what)).toEqual([
    'Calls cannot be read or registered',
    expect.stringContaining('Users cannot be found'),
    expect.stringContaining('whose agent is no user'),
    expect.stringContaining('Events are refused'),
    expect.stringContaining('without a country code'),
  ])
})
