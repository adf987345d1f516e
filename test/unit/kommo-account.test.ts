import { describe, expect, test } from 'vitest'
import { connector } from '../../connectors/kommo/connector.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import { rawOf } from '../kit/connector/fixtures.ts'
import { CUSTOMER, playSampleCall, SAMPLE_ANALYSIS } from '../kit/connector/samples.ts'
import { failureOf, HOOK_URL, type World } from '../kit/connector/world.ts'
import {
  BASE,
  books,
  type Context,
  crm,
  ctxOf,
  fresh,
  mapContext,
  OAUTH,
  open,
  planned,
  ready,
  recordOf,
  type Settings,
  subject,
  telephony,
  tell,
} from './kommo-world.ts'

describe('calls that Kommo tells of', () => {
  test('Kommo’s own note of a call is left as it is; what is added stands on its record', async () => {
    const world = await open()
    const id = world.sandbox.addContact?.({ name: 'Jean', phone: CUSTOMER }) ?? ''
    const logged = { id: `contacts/${id}/88001` }
    const record = recordOf({}, SAMPLE_ANALYSIS, { logged, target: null })
    const parts = planned(record)
    expect(parts[0]).toEqual({ key: 'call', kind: 'call', fields: {} })
    for (const part of parts)
      await crm.write(fresh(part, part.key === 'call' ? logged.id : null), record, {}, ctxOf(world))
    expect(books(world, 'call')).toEqual([])
    expect(books(world, 'note')).toMatchObject([{ fields: { on: `contacts/${id}` } }])
    expect(books(world, 'task').length).toBe(2)
  })

  test('a recording is fetched from where it is kept, without our token', async () => {
    const world = await open()
    const { call } = await playSampleCall(world)
    const sent: Record<string, string>[] = []
    const ctx = ctxOf(world)
    const spied: Context = {
      ...ctx,
      fetch: (url, init) => {
        sent.push(init?.headers ?? {})
        return ctx.fetch(url, init)
      },
    }
    await telephony.recording?.(call.recordings[0] ?? expect.fail('no recording'), call, spied)
    expect(sent).toEqual([{}])
    const link = (url: string) => telephony.recordingUrl?.({ key: 'r', url, state: 'ready' }, call, ctx)
    expect(await link('https://media.example.com/a.mp3')).toBe('https://media.example.com/a.mp3')
    expect(await link('http://10.0.0.7/a.mp3')).toBeNull()
    const known = { ...ctx, config: { ...ctx.config, recordingHosts: ['media.example.com'] } }
    const at = (url: string) =>
      failureOf(telephony.recording?.({ key: 'r', url, state: 'ready' }, call, known) ?? Promise.resolve())
    expect(await at('https://elsewhere.example.com/a.mp3')).toMatchObject({ code: 'forbidden' })
    expect(await at('https://media.example.com/records/kit-call-1.mp3')).toBeNull()
  })

  const receive = (body: [string, string][]) => {
    const fixture = subject.fixtures.find(({ file }) => file === 'call-in.json') ?? expect.fail('no fixture')
    const form = new URLSearchParams([...body, ['account[id]', '31000001']]).toString()
    const request = inboundRequest({ ...rawOf(fixture), body: new TextEncoder().encode(form) })
    return telephony.webhook?.receive(request, mapContext())
  }

  async function listed(world: World, until?: string): Promise<string[]> {
    const since = new Date(world.now() - 3_600_000).toISOString()
    const ids: string[] = []
    for await (const page of telephony.calls?.(since, ctxOf(world), until) ?? [])
      ids.push(...page.map(({ callId }) => callId))
    return ids
  }

  test('the list brings the same call by the same key, whatever page it is on, and none of ours', async () => {
    const { world, id, part, write } = await ready()
    await write(fresh(part('call')))
    const body = Array.from({ length: 300 }, (_, i) => ({
      note_type: 'call_out',
      params: { uniq: `other-${i}`, duration: 5, source: 'other', phone: CUSTOMER },
    }))
    await tell(world, 'POST', `/api/v4/contacts/${id}/notes`, body)
    const { events } = await playSampleCall(world)
    const ids = await listed(world)
    expect(ids.length).toBe(301)
    expect(ids).toContain(events[0]?.callId)
    expect(await listed(world, new Date(world.now() - 60_000).toISOString())).toEqual([])
    const off = await open({ calls: false })
    expect(await listed(off)).toEqual([])
    expect(off.requests()).toBe(0)
  })

  test('one delivery may tell of several things', () => {
    const note = (i: number, id: string): [string, string][] => [
      [`contacts[note][${i}][note][id]`, id],
      [`contacts[note][${i}][note][element_id]`, '4401'],
      [`contacts[note][${i}][note][note_type]`, '11'],
      [`contacts[note][${i}][note][text]`, '{}'],
    ]
    expect(receive([...note(0, '1'), ...note(1, '2'), ['leads[delete][0][id]', '5501']])).toMatchObject({
      events: [{ key: 'note:1' }, { key: 'note:2' }],
      changes: [{ change: 'deleted', type: 'lead', id: '5501' }],
    })
  })

  test('a link that is none is no recording, and a time in an unknown zone no time', () => {
    const [event] =
      (
        receive([
          ['contacts[note][0][id]', '1'],
          ['contacts[note][0][element_id]', '4401'],
          ['contacts[note][0][note_type]', '10'],
          ['contacts[note][0][text]', '{"LINK":"javascript:alert(1)","DURATION":5}'],
          ['contacts[note][0][date_create]', '2026-03-04 11:22:33'],
        ]) as { events: { facts: object }[] }
      ).events ?? []
    expect(event?.facts).toEqual({
      direction: 'inbound',
      result: 'answered',
      talkMs: 5000,
      customer: { crm: { acme: '4401' } },
      recordingExpected: false,
    })
  })
})

describe('webhooks', () => {
  test('one is made, at the secret address, and one that was switched off is switched on again', async () => {
    const world = await open({ hookToken: ['newest-token-0002', 'older-token-0001'] })
    for (const _ of [1, 2]) await telephony.subscribe?.(HOOK_URL, ctxOf(world))
    const [hook, another] = books(world, 'webhook')
    expect(another).toBeUndefined()
    expect(hook?.fields).toEqual({
      destination: `${HOOK_URL}/newest-token-0002`,
      settings: [
        'note_lead',
        'note_contact',
        'note_company',
        'note_customer',
        'delete_contact',
        'delete_lead',
        'delete_company',
        'delete_customer',
      ],
      disabled: false,
    })
    expect((await connector.check(ctxOf(world))).warnings).toEqual([])
    const off = switchedOff(ctxOf(world))
    expect((await connector.check(off)).warnings).toMatchObject([
      { what: 'There is no active webhook for this connection' },
    ])
    const before = world.requests()
    await telephony.subscribe?.(HOOK_URL, off)
    expect(world.requests() - before).toBe(2)
    expect(books(world, 'webhook').length).toBe(1)
  })

  /** After a hundred bad answers Kommo switches a webhook off. */
  const switchedOff = (ctx: Context): Context => ({
    ...ctx,
    async fetch(url, init) {
      const response = await ctx.fetch(url, init)
      return new Response((await response.text()).replace('"disabled":false', '"disabled":true'), response)
    },
  })

  test('without a secret none is made; where they cannot be read, it is said', async () => {
    const bare = await open({ hookToken: undefined })
    expect(await failureOf(telephony.subscribe?.(HOOK_URL, ctxOf(bare)) ?? Promise.resolve())).toMatchObject({
      code: 'config',
    })
    const plain = await open({ isAdmin: false })
    expect((await connector.check(ctxOf(plain))).warnings).toMatchObject([
      { what: 'Webhooks cannot be read: whether calls arrive is not known' },
    ])
  })

  test('are answered with 200 at once', () => {
    expect(telephony.webhook?.reply).toEqual({ status: 200 })
  })
})

describe('credentials and limits', () => {
  const settings = { token: undefined, oauth: OAUTH }

  test('either a token or an integration, never both or none', () => {
    const parses = (keys: Settings) => connector.config.safeParse({ baseUrl: BASE, ...keys }).success
    expect(parses({ token: 'x' })).toBe(true)
    expect(parses({ oauth: OAUTH })).toBe(true)
    expect(parses({ token: 'x', oauth: OAUTH })).toBe(false)
    expect(parses({})).toBe(false)
  })

  test('each refresh token is used once, and the next one is kept', async () => {
    const world = await open(settings)
    const check = () => connector.check(ctxOf(world))
    expect((await check()).says).toBe('account stand-in')
    for (let day = 0; day < 3; day++) {
      await world.advance(86_500_000)
      expect((await check()).says).toBe('account stand-in')
    }
    // Ended before its time.
    await world.advance(40_000)
    world.sandbox.fail({ fault: { kind: 'status', status: 401 }, path: '/api/v4/account' })
    expect((await check()).says).toBe('account stand-in')
    world.sandbox.fail({ fault: { kind: 'status', status: 401 }, path: '/api/v4/account', times: 2 })
    expect(await failureOf(check())).toMatchObject({ code: 'auth' })
  })

  test('a refresh token that was used before is `auth`', async () => {
    const ctx = ctxOf(await open(settings))
    const used = { ...ctx, config: { ...ctx.config, oauth: { ...OAUTH, refreshToken: 'used-before' } } }
    expect(await failureOf(connector.check(used))).toMatchObject({ code: 'auth' })
  })

  test('the eighth request of a second is sent after it', async () => {
    const ctx = ctxOf(await open({ refusesBeyond: 7 }))
    for (let i = 0; i < 6; i++) await connector.check({ ...ctx, hookUrl: undefined })
    await connector.check({ ...ctx, hookUrl: undefined })
    expect(await failureOf(connector.check({ ...ctx, hookUrl: undefined }))).toMatchObject({
      code: 'rate_limited',
      retry: { afterMs: 1000 },
    })
    expect(connector.budgets?.(ctx.config)).toEqual({
      default: { limit: 7, windowMs: 1000, window: 'rolling' },
    })
  })

  test('a token of another account is told of', async () => {
    const { warnings } = await connector.check(ctxOf(await open({ accountId: '1', calls: false })))
    expect(warnings).toMatchObject([{ fix: 'Set accountId to "31000001"' }])
  })
})
