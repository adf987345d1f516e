import { describe, expect, test } from 'vitest'
import { connector } from '../../connectors/pipedrive/connector.ts'
import { toEvent } from '../../connectors/pipedrive/map.ts'
import { readPlacedId } from '../../src/connector/placed-id.ts'
import { CUSTOMER, commonCall, SAMPLE_ANALYSIS, sampleCall } from '../kit/connector/samples.ts'
import { failureOf, HOOK_URL, openWorld, type World } from '../kit/connector/world.ts'
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
  post,
  ready,
  recordOf,
  type Settings,
  subject,
  telephony,
  tell,
} from './pipedrive-world.ts'

describe('calls that Pipedrive tells of', () => {
  async function told() {
    const world = await open()
    world.sandbox.place?.(sampleCall())
    const [activity] = books(world, 'activity')
    return { world, id: readPlacedId(activity?.id ?? '').id }
  }

  test('the numbers say which way a call went, and the person who it was', async () => {
    const { world, id } = await told()
    const [event] = (await telephony.lookUp?.([id, 'no-number'], ctxOf(world))) ?? []
    const [person] = books(world, 'person')
    expect(event).toMatchObject({
      callId: id,
      phase: 'ended',
      facts: {
        direction: 'inbound',
        result: 'answered',
        talkMs: 60_000,
        customer: { phone: CUSTOMER, name: 'Jean Dupont', crm: { acme: person?.id } },
        agent: { id: '9001' },
      },
    })
  })

  test('without its call log a call has neither direction nor result, and is still somebody’s', async () => {
    const { world, id } = await told()
    world.sandbox.fail({ fault: { kind: 'status', status: 403 }, path: '/v1/callLogs' })
    const [event] = (await telephony.lookUp?.([id], ctxOf(world))) ?? []
    expect(event?.facts).toMatchObject({
      startedAt: '2026-03-04T11:20:00.000Z',
      customer: { phone: CUSTOMER },
    })
    expect(event?.facts).not.toHaveProperty('direction')
    expect(event?.facts).not.toHaveProperty('result')
  })

  test('what was written from here, is not done or is gone does not come back as a call', async () => {
    const { world, part, write } = await ready()
    const ours = await write(fresh(part('call')))
    const open = await write(fresh(part('task-1')))
    expect(await telephony.lookUp?.([ours.id, open.id, '999999'], ctxOf(world))).toEqual([])
    const off = await openWorld({ ...subject, settings: { ...subject.settings, calls: false } })
    expect(await telephony.lookUp?.(['1'], ctxOf(off))).toEqual([])
    expect(off.requests()).toBe(0)
  })

  test('the list brings what was changed in that time, whatever page it is on, and none of ours', async () => {
    const { world, part, write } = await ready()
    await write(fresh(part('call')))
    for (let i = 0; i < 130; i++)
      await post(world, '/api/v2/activities', { type: 'call', subject: `Call ${i}`, done: true })
    const listed = async (it: World, until?: string) => {
      const since = new Date(world.now() - 3_600_000).toISOString()
      const keys: string[] = []
      for await (const page of telephony.calls?.(since, ctxOf(it), until) ?? [])
        keys.push(...page.map(({ key }) => key))
      return keys
    }
    const keys = await listed(world)
    expect(new Set(keys).size).toBe(130)
    expect(keys[0]).toMatch(/^activity:\d+:2026-03-04T11:22:33Z$/)
    expect(await listed(world, new Date(world.now() - 60_000).toISOString())).toEqual([])
    const off = await open({ calls: false })
    expect(await listed(off)).toEqual([])
    expect(off.requests()).toBe(0)
  })

  test('a call log of ours makes an activity that is not taken for somebody else’s call', async () => {
    const { world, part, write } = await ready({ log: 'callLog' })
    await write(fresh(part('call')))
    const beside = { id: readPlacedId(books(world, 'activity')[0]?.id ?? '').id }
    await tell(world, 'PATCH', `/api/v2/activities/${beside?.id}`, { note: 'a person changed it' })
    expect(await telephony.lookUp?.([beside?.id ?? ''], ctxOf(world))).toEqual([])
  })

  test('an activity with a date and no time has no beginning', () => {
    const bare = { id: '1', due_date: '2026-03-04', duration: '01:30' }
    const { facts } = toEvent({ ...subjectless, ...bare }, undefined, undefined, mapContext())
    expect(facts).toEqual({ talkMs: 5_400_000, customer: {}, recordingExpected: false })
  })
  const subjectless = {
    subject: null,
    type: 'call',
    done: true,
    is_deleted: false,
    owner_id: null,
    person_id: null,
    org_id: null,
    deal_id: null,
    lead_id: null,
    due_time: null,
    update_time: null,
    note: null,
  }

  test('to Pipedrive’s own record the analysis is added, once, when there is no other place for it', async () => {
    const { world, id } = await told()
    await tell(world, 'PATCH', `/api/v2/activities/${id}`, { note: '<p>asked for a quote</p>' })
    const record = recordOf({}, SAMPLE_ANALYSIS, { logged: { id }, target: null })
    const [part] = planned(record)
    for (const _ of [1, 2]) await crm.write(fresh(part ?? expect.fail(), id), record, {}, ctxOf(world))
    const note = String(books(world, 'activity')[0]?.fields.note)
    expect(note.startsWith('<p>asked for a quote</p><p><strong>Cordboard</strong></p>')).toBe(true)
    expect(note.match(/Cordboard ref wbk_1-call/g)?.length).toBe(1)
    expect(books(world, 'activity').length).toBe(1)
    const onPerson = planned({ ...record, target: { type: 'person', id: '1' } })
    expect(onPerson.map(({ key, fields }) => [key, Object.keys(fields).length > 0])[0]).toEqual([
      'call',
      false,
    ])
    expect(onPerson.map(({ key }) => key)).toContain('note')
  })
})

describe('webhooks', () => {
  test('are made once, over version 2, with the newest password; without one none is made', async () => {
    const world = await open({ webhookPassword: ['newest-password-0002', 'older-password-0001'] })
    for (const _ of [1, 2]) await telephony.subscribe?.(HOOK_URL, ctxOf(world))
    const made = books(world, 'webhook').map(({ fields }) => fields)
    expect(made.map(({ event_action, event_object }) => `${event_action}.${event_object}`)).toEqual([
      '*.activity',
      'delete.person',
      'delete.organization',
      'delete.deal',
      'delete.lead',
    ])
    for (const one of made)
      expect(one).toMatchObject({
        version: '2.0',
        http_auth_user: 'cordboard',
        http_auth_password: 'newest-password-0002',
      })
    const bare = await openWorld({ ...subject, settings: { apiToken: 'stand-in-api-token-0001' } })
    expect(await failureOf(telephony.subscribe?.(HOOK_URL, ctxOf(bare)) ?? Promise.resolve())).toMatchObject({
      code: 'config',
    })
  })

  test('the check tells of those that are missing', async () => {
    const world = await open()
    const warned = async () => ((await connector.check(ctxOf(world))).warnings ?? []).map(({ what }) => what)
    expect(await warned()).toEqual([
      'There is no webhook for *.activity, delete.person, delete.organization, delete.deal, delete.lead',
    ])
    await telephony.subscribe?.(HOOK_URL, ctxOf(world))
    expect(await warned()).toEqual([])
  })
})

describe('credentials and limits', () => {
  const settings = { apiToken: undefined, oauth: OAUTH, oauthUrl: 'https://oauth.example.com' }

  test('either a token or an app, never both or none', () => {
    const parses = (keys: Settings) => connector.config.safeParse(keys).success
    expect(parses({ apiToken: 'x' })).toBe(true)
    expect(parses({ oauth: OAUTH })).toBe(true)
    expect(parses({ apiToken: 'x', oauth: OAUTH })).toBe(false)
    expect(parses({})).toBe(false)
  })

  test('an app’s token is got with its refresh token, which changes, and replaced when it has ended', async () => {
    const world = await open(settings)
    const ctx = ctxOf(world)
    expect((await connector.check(ctx)).says).toBe('company stand-in')
    await world.advance(3_700_000)
    expect((await connector.check(ctx)).says).toBe('company stand-in')
    await world.advance(40_000)
    // Ended before its time.
    world.sandbox.fail({ fault: { kind: 'status', status: 401 }, path: '/v1/users/me' })
    expect((await connector.check(ctx)).says).toBe('company stand-in')
    world.sandbox.fail({ fault: { kind: 'status', status: 401 }, path: '/v1/users/me', times: 2 })
    expect(await failureOf(connector.check(ctx))).toMatchObject({ code: 'auth' })
  })

  test('an upload whose token has ended comes once more', async () => {
    const { world, part, write } = await ready({ ...settings, note: { file: true } })
    await connector.check(ctxOf(world))
    await world.advance(40_000)
    world.sandbox.fail({ fault: { kind: 'status', status: 401 }, path: '/v1/files' })
    const { id } = await write(fresh(part('transcript')))
    expect(books(world, 'file')).toMatchObject([
      { id, fields: { text: expect.stringContaining('My invoice is wrong.') } },
    ])
  })

  test('its requests go to the host that the token names', async () => {
    const seen: string[] = []
    const world = await openWorld(
      { ...subject, settings: { ...subject.settings, ...settings } },
      {
        through: (http) => (url, request) => {
          seen.push(url.origin)
          return http(url, request)
        },
      },
    )
    const ctx = ctxOf(world)
    await connector.check({ ...ctx, config: { ...ctx.config, baseUrl: undefined } })
    expect(seen).toEqual(['https://oauth.example.com', BASE, BASE])
  })

  test('a refresh token that is dead is `auth`', async () => {
    const ctx = ctxOf(await open(settings))
    const dead = {
      ...ctx,
      config: { ...ctx.config, oauth: { ...OAUTH, refreshToken: 'not-used-for-60-days' } },
    }
    expect(await failureOf(connector.check(dead))).toMatchObject({ code: 'auth' })
  })

  const limits: [string, object][] = [
    ['2', { code: 'rate_limited', retry: { afterMs: 2000 } }],
    ['36000', { code: 'quota' }],
  ]
  test.each(limits)('429 with a window that ends in %s s', async (reset, expected) => {
    const world = await open()
    const ctx = ctxOf(world)
    const headers = { 'x-ratelimit-reset': reset, 'x-ratelimit-remaining': '0' }
    const full: Context = {
      ...ctx,
      fetch: async () => new Response('{"success":false}', { status: 429, headers }),
    }
    expect(await failureOf(connector.check(full))).toMatchObject(expected)
  })

  test('too many searches are waited for as long as Pipedrive says', async () => {
    const ctx = ctxOf(await open())
    await crm.match(commonCall(), ctx, [])
    expect(await failureOf(crm.match(commonCall(), ctx, []))).toMatchObject({
      code: 'rate_limited',
      retry: { afterMs: 2000 },
    })
  })
})
