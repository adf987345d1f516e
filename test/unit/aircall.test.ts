import { describe, expect, it } from 'vitest'
import { connector } from '../../connectors/aircall/connector.ts'
import type { Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { foldEvents, progressOf } from '../../src/call/merge.ts'
import type { ConnectorContext } from '../../src/connector/contract.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { loadSubject } from '../kit/connector/fixtures.ts'
import { readFolder } from '../kit/connector/folder.ts'
import { commonCall, rawWebhook, sampleCall } from '../kit/connector/samples.ts'
import { failureOf, openWorld, START, type World } from '../kit/connector/world.ts'

type Context = ConnectorContext<never>

const subject = loadSubject(connector, readFolder(new URL('../../connectors/aircall/', import.meta.url)))
const { webhook, recording: fetchRecording, calls: listCalls } = connector.telephony ?? {}

/** The stand-in with its answers changed, or answered without it. */
const openChanged = (change: (url: URL, response: Response) => Response | Promise<Response>) =>
  openWorld(subject, { through: (http) => async (url, request) => change(url, await http(url, request)) })

const context = (world: World) => world.context() as Context

async function listed(world: World, since = new Date(START - 3_600_000).toISOString()): Promise<CallEvent[]> {
  const events: CallEvent[] = []
  for await (const page of listCalls?.(since, context(world)) ?? []) events.push(...page)
  return events
}

function told(world: World, call: SampleCall): CallEvent[] {
  const ctx = { connection: 'acme', config: world.config as never, region: 'FR' }
  return (world.sandbox.place?.(call) ?? []).flatMap((one) => {
    const received = webhook?.receive(inboundRequest(rawWebhook(one, START)), ctx)
    return received && 'events' in received ? received.events : []
  })
}

const fold = (events: CallEvent[]) => foldEvents(events, { id: 'call_1', connection: 'acme' })
const { audio: _, ...silentCall } = sampleCall()

describe('Aircall: calls', () => {
  it.each([
    ['answered', 'inbound', 'answered', '101'],
    ['no_answer', 'inbound', 'no_answer', undefined],
    ['busy', 'inbound', 'busy', undefined],
    ['answered', 'outbound', 'answered', '101'],
    ['no_answer', 'outbound', 'no_answer', '101'],
    ['busy', 'outbound', 'busy', '101'],
  ] as const)('a sample call %s %s ends as %s', async (result, direction, end, agent) => {
    const world = await openWorld(subject)
    const call = fold(told(world, { ...silentCall, result, direction }))
    expect(call).toMatchObject({ direction, result: end, customer: { phone: silentCall.customerPhone } })
    expect(call.agent?.id).toBe(agent)
    expect(call.endedAt).toBeDefined()
  })

  it('an answered call waits for its assets, a caller who gave up leaves none', async () => {
    const world = await openWorld(subject)
    const events = told(world, sampleCall())
    expect(progressOf(events)).toEqual({ ended: true, recording: 'ready' })
    expect(progressOf(events.filter(({ phase }) => phase !== 'recorded')).recording).toBe('unknown')
  })

  it('the list says a call as its webhooks did: nothing comes twice', async () => {
    const world = await openWorld(subject)
    const byWebhook = told(world, sampleCall())
    const byList = await listed(world)
    expect(byList.map(({ key }) => key)).toEqual([
      expect.stringMatching(/:ended$/),
      expect.stringMatching(/:recording$/),
    ])
    const keys = new Set(byWebhook.map(({ key }) => key))
    expect(byList.filter(({ key }) => !keys.has(key))).toEqual([])
    expect(fold(byList)).toMatchObject({ result: 'answered', ringMs: 8000, talkMs: 60_000 })
  })

  it('a list of several pages is read to its end, from the moment that was asked for', async () => {
    const world = await openWorld(subject)
    for (let n = 0; n < 120; n++) {
      world.sandbox.place?.({ ...silentCall, id: `call-${n}`, startedAt: START - (200 - n) * 60_000 })
    }
    const events = await listed(world, new Date(START - 190 * 60_000).toISOString())
    expect(new Set(events.map(({ key }) => key)).size).toBe(110)
    expect(events).toHaveLength(110)
    expect(world.requests()).toBe(3)
  })

  it('after 10,000 calls a new window begins at the last one', async () => {
    const asked: URLSearchParams[] = []
    const world = await openChanged((url) => {
      asked.push(url.searchParams)
      const from = Number(url.searchParams.get('from'))
      const row = { id: asked.length, status: 'done', direction: 'inbound', started_at: from + 60 }
      const next_page_link = asked.length < 201 ? 'https://api.aircall.io/v1/calls?page=2' : null
      return Response.json({ calls: [row], meta: { next_page_link } })
    })
    expect(await listed(world)).toHaveLength(201)
    const start = START / 1000 - 3600
    expect(asked.slice(199).map((query) => [query.get('from'), query.get('page')])).toEqual([
      [`${start}`, '200'],
      [`${start + 60}`, '1'],
    ])
  })

  it('a call that goes on is left to its webhooks', async () => {
    const world = await openChanged(() =>
      Response.json({ calls: [{ id: 1, status: 'answered', direction: 'inbound' }], meta: {} }),
    )
    expect(await listed(world)).toEqual([])
  })
})

describe('Aircall: recordings', () => {
  const recording: Recording = { key: 'recording:812345000', format: 'mp3', state: 'ready' }

  it('a link that has ended is not used again: each time a new one is asked for', async () => {
    const world = await openWorld(subject)
    told(world, sampleCall())
    await world.advance(7_200_000)
    const response = await fetchRecording?.(recording, commonCall(), context(world))
    expect(response?.status).toBe(200)
    await response?.body?.cancel()
  })

  it('the credentials go to the API and not to storage', async () => {
    const seen: [string, boolean][] = []
    const world = await openWorld(subject, {
      through: (http) => (url, request) => {
        seen.push([url.pathname.split('/')[1] ?? '', 'authorization' in request.headers])
        return http(url, request)
      },
    })
    told(world, sampleCall())
    await (await fetchRecording?.(recording, commonCall(), context(world)))?.body?.cancel()
    expect(seen).toEqual([
      ['v1', true],
      ['storage', false],
    ])
  })

  it.each([
    ['no link', null, 200],
    ['a link that storage refuses', 'https://aircall.example.com/storage/x.mp3', 403],
  ])('%s soon after the call is "not there yet", later it is gone', async (_name, link, status) => {
    const world = await openChanged((url) =>
      url.pathname.startsWith('/v1/')
        ? Response.json({ call: { id: 1, recording: link } })
        : new Response('', { status }),
    )
    const failure = () =>
      failureOf(Promise.resolve(fetchRecording?.(recording, commonCall(), context(world))))
    expect(await failure()).toMatchObject({ code: 'not_found', retry: 'later' })
    await world.advance(7_200_000)
    expect(await failure()).toMatchObject({ code: 'not_found', retry: 'never' })
  })

  it('a refusal by storage is about the link, not about our key', async () => {
    const world = await openChanged((url) =>
      url.pathname.startsWith('/v1/')
        ? Response.json({ call: { id: 1, recording: 'https://storage.example.com/1.mp3' } })
        : new Response('', { status: 401 }),
    )
    expect(
      await failureOf(Promise.resolve(fetchRecording?.(recording, commonCall(), context(world)))),
    ).toMatchObject({ code: 'gone' })
  })

  it('a link without https is not followed', async () => {
    const world = await openChanged(() =>
      Response.json({ call: { id: 1, recording: 'http://storage.example.com/1.mp3' } }),
    )
    expect(
      await failureOf(Promise.resolve(fetchRecording?.(recording, commonCall(), context(world)))),
    ).toMatchObject({ code: 'blocked_address' })
    expect(world.requests()).toBe(1)
  })

  it('a voicemail is fetched by its own link', async () => {
    const world = await openChanged((url) =>
      url.pathname.startsWith('/v1/')
        ? Response.json({ call: { id: 1, voicemail: 'https://storage.example.com/vm.mp3' } })
        : new Response(url.pathname, { status: 200 }),
    )
    const voicemail: Recording = { key: 'voicemail:1', state: 'ready' }
    const response = await fetchRecording?.(voicemail, commonCall(), context(world))
    expect(await response?.text()).toBe('/vm.mp3')
  })
})

describe('Aircall: the check', () => {
  const mine = {
    url: 'https://hooks.example.com/hooks/acme',
    active: true,
    token: '45XXYYZZa08',
    events: ['call.ended', 'call.comm_assets_generated'],
  }
  const warned = async (webhooks: unknown[]) => {
    const world = await openChanged(() => Response.json({ webhooks, meta: { next_page_link: null } }))
    const { warnings = [] } = await connector.check(context(world))
    return warnings.map(({ what }) => what)
  }

  it.each([
    ['none leads here', [{ ...mine, url: 'https://hooks.example.com/hooks/acmeother' }], 'No webhook'],
    ['it is switched off', [{ ...mine, active: false }], 'not active'],
    ['its token is another', [{ ...mine, token: 'another' }], 'token is not in webhookToken'],
    ['an event is missing', [{ ...mine, events: ['call.ended'] }], 'call.comm_assets_generated'],
  ])('warns when %s', async (_name, webhooks, words) => {
    expect(await warned(webhooks)).toEqual([expect.stringContaining(words)])
  })

  it('has nothing to say of a webhook as it should be', async () => {
    expect(await warned([mine])).toEqual([])
  })

  it('a key that is refused with 403 is `auth`, and the limit’s own header says when to come back', async () => {
    const refused = await openChanged(() => new Response('', { status: 403 }))
    expect(await failureOf(connector.check(context(refused)))).toMatchObject({ code: 'auth' })
    const reset = { 'x-aircallapi-reset': String(START / 1000 + 42) }
    const busy = await openChanged(() => new Response('', { status: 429, headers: reset }))
    expect(await failureOf(connector.check(context(busy)))).toMatchObject({
      code: 'rate_limited',
      retry: { afterMs: 42_000 },
    })
  })
})

describe('Aircall: the webhook is looked after', () => {
  const url = 'https://hooks.example.com/hooks/acme'
  const mine = {
    webhook_id: 'w-1',
    url,
    active: true,
    token: String(subject.settings.webhookToken),
    events: ['call.ended', 'call.comm_assets_generated', 'contact.created'],
  }
  async function tended(...webhooks: unknown[]) {
    const put: { path: string; body: unknown }[] = []
    const world = await openWorld(subject, {
      through:
        () =>
        async (address, { method, body }) => {
          if (method === 'GET') return Response.json({ webhooks, meta: { next_page_link: null } })
          put.push({ path: `${method} ${address.pathname}`, body: JSON.parse(String(body)) })
          return Response.json({ webhook: { active: true } })
        },
    })
    const failure = await failureOf(Promise.resolve(connector.telephony?.subscribe?.(url, context(world))))
    return { put, code: failure?.code }
  }

  it('one that is as it should be is left alone, whatever else the operator has it send', async () => {
    expect(await tended(mine)).toEqual({ put: [], code: undefined })
    expect(await tended({ ...mine, url: `${url}/secret`, events: undefined })).toEqual({
      put: [],
      code: undefined,
    })
  })

  it.each([
    ['that Aircall switched off', { ...mine, active: false }],
    ['that lacks an event', { ...mine, events: ['call.ended', 'contact.created'] }],
  ])('one %s is put right, and keeps its events', async (_, one) => {
    const { put } = await tended({ ...mine, webhook_id: 'w-0', url: `${url}other` }, one)
    expect(put).toEqual([{ path: 'PUT /v1/webhooks/w-1', body: { active: true, events: expect.anything() } }])
    const [{ body } = { body: {} }] = put
    expect(body).toMatchObject({
      events: expect.arrayContaining(['contact.created', 'call.ended', 'call.comm_assets_generated']),
    })
  })

  it.each([
    ['none leads here', { ...mine, url: `${url}other`, active: false }],
    ['its token is not ours', { ...mine, token: 'another', active: false }],
    ['it has no id', { ...mine, webhook_id: null, active: false }],
  ])('a person is asked when %s', async (_, one) => {
    expect(await tended(one)).toEqual({ put: [], code: 'config' })
  })
})
