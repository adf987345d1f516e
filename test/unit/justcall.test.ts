import { describe, expect, it } from 'vitest'
import { connector } from '../../connectors/justcall/connector.ts'
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

const subject = loadSubject(connector, readFolder(new URL('../../connectors/justcall/', import.meta.url)))
const { webhook, recording: fetchRecording, calls: listCalls } = connector.telephony ?? {}
const { audio: _, ...silentCall } = sampleCall()

const openChanged = (change: (url: URL, headers: Record<string, string>) => Response) =>
  openWorld(subject, { through: () => async (url, request) => change(url, request.headers) })

const context = (world: World) => world.context() as Context

function told(world: World, call: SampleCall): CallEvent[] {
  const ctx = { connection: 'acme', config: world.config as never, region: 'FR' }
  return (world.sandbox.place?.(call) ?? []).flatMap((one) => {
    const received = webhook?.receive(inboundRequest(rawWebhook(one, START)), ctx)
    return received && 'events' in received ? received.events : []
  })
}

async function listed(world: World, since = new Date(START - 3_600_000).toISOString()): Promise<CallEvent[]> {
  const events: CallEvent[] = []
  for await (const page of listCalls?.(since, context(world)) ?? []) events.push(...page)
  return events
}

const fold = (events: CallEvent[]) => foldEvents(events, { id: 'call_1', connection: 'acme' })

/** A row of the list as the stand-in shows it, with other words. */
async function row(info: Record<string, unknown>, more: Record<string, unknown> = {}) {
  const world = await openWorld(subject)
  world.sandbox.place?.(silentCall)
  const [kept] = world.sandbox.book()
  return {
    ...kept?.fields,
    ...more,
    call_info: { ...(kept?.fields.call_info as object), ...info },
  }
}

describe('JustCall: calls', () => {
  it.each([
    ['answered', 'inbound', 'answered', '101'],
    ['no_answer', 'inbound', 'no_answer', undefined],
    ['busy', 'inbound', 'busy', undefined],
    ['answered', 'outbound', 'answered', '101'],
    ['no_answer', 'outbound', 'no_answer', '101'],
    ['busy', 'outbound', 'busy', '101'],
  ] as const)('a sample call %s %s ends as %s', async (result, direction, end, agent) => {
    const world = await openWorld(subject)
    const events = told(world, { ...silentCall, result, direction })
    const call = fold(events)
    expect(call).toMatchObject({ direction, result: end, customer: { phone: silentCall.customerPhone } })
    expect(call.agent?.id).toBe(agent)
    expect(progressOf(events).ended).toBe(true)
  })

  it('the recording comes with the update', async () => {
    const world = await openWorld(subject)
    const events = told(world, sampleCall())
    expect(progressOf(events)).toEqual({ ended: true, recording: 'ready' })
    expect(fold(events)).toMatchObject({ ringMs: 8000, talkMs: 60_000, totalMs: 68_000 })
  })

  it('an update alone ends a call whose end got lost', async () => {
    const world = await openWorld(subject)
    const [update] = told(world, sampleCall()).slice(-2)
    expect(update).toMatchObject({ phase: 'ended' })
  })

  it('the list says a call as its webhooks did: nothing comes twice', async () => {
    const world = await openWorld(subject)
    const keys = new Set(told(world, sampleCall()).map(({ key }) => key))
    const byList = await listed(world)
    expect(byList.map(({ phase }) => phase)).toEqual(['ended', 'recorded'])
    expect(byList.filter(({ key }) => !keys.has(key))).toEqual([])
  })

  it('what was written on a listed call is said once, and again when it changes', async () => {
    const written = async (disposition: string) => {
      const data = [await row({ disposition })]
      const world = await openChanged(() => Response.json({ data }))
      return (await listed(world)).find(({ phase }) => phase === 'amended')
    }
    const first = await written('Interested')
    expect(first?.facts).toEqual({ outcome: 'Interested' })
    expect((await written('Interested'))?.key).toBe(first?.key)
    expect((await written('Sold'))?.key).not.toBe(first?.key)
  })

  it('pages are read to the first that is not full, and what began earlier is left out', async () => {
    const asked: string[] = []
    const [old, fresh] = [
      await row({}, { call_date: '2026-03-03', call_time: '9:00:00' }),
      await row({}, { call_time: '11:00:00' }),
    ]
    const world = await openChanged((url) => {
      asked.push(`${url.searchParams.get('from_datetime')} ${url.searchParams.get('page')}`)
      return Response.json({ data: asked.length === 1 ? Array(100).fill(old) : [old, fresh] })
    })
    const events = await listed(world, '2026-03-04T10:00:00.000Z')
    expect(asked).toEqual(['2026-03-03 22:00:00 0', '2026-03-03 22:00:00 1'])
    expect(events.map(({ facts }) => facts.startedAt)).toEqual(['2026-03-04T11:00:00.000Z'])
  })

  it('a call of the list that goes on is left to its webhooks', async () => {
    const data = [await row({ type: 'In Progress' })]
    expect(await listed(await openChanged(() => Response.json({ data })))).toEqual([])
  })
})

describe('JustCall: recordings', () => {
  const recording: Recording = { key: 'recording:98765000', format: 'mp3', state: 'ready' }
  const fetched = async (link: string, answer: (authorization: string | undefined) => Response) => {
    const seen: [string, boolean][] = []
    const data = await row({ recording: link })
    const world = await openChanged((url, headers) => {
      seen.push([url.hostname, 'authorization' in headers])
      return url.pathname.startsWith('/v2.1/') ? Response.json({ data }) : answer(headers.authorization)
    })
    const work = Promise.resolve(fetchRecording?.(recording, commonCall(), context(world)))
    return { world, seen, failure: await failureOf(work), status: (await work.catch(() => null))?.status }
  }

  it('a link is fetched without credentials', async () => {
    const { seen, status } = await fetched('https://cdn.justcall.io/1.mp3', () => new Response('audio'))
    expect(status).toBe(200)
    expect(seen.slice(1)).toEqual([['cdn.justcall.io', false]])
  })

  it('where JustCall itself refuses that, with them', async () => {
    const { seen, status } = await fetched(
      'https://cdn.justcall.io/1.mp3',
      (authorization) => new Response('', { status: authorization ? 200 : 401 }),
    )
    expect(status).toBe(200)
    expect(seen.slice(1)).toEqual([
      ['cdn.justcall.io', false],
      ['cdn.justcall.io', true],
    ])
  })

  it.each(['https://justcall.io.example.com/1.mp3', 'https://notjustcall.io/1.mp3'])(
    'no other host gets them: %s',
    async (link) => {
      const { seen, failure } = await fetched(link, () => new Response('', { status: 401 }))
      expect(failure).toMatchObject({ code: 'gone' })
      expect(seen.slice(1).filter(([, hasCredentials]) => hasCredentials)).toEqual([])
    },
  )

  it('a link without https is not followed', async () => {
    const { failure, seen } = await fetched('http://cdn.justcall.io/1.mp3', () => new Response(''))
    expect(failure).toMatchObject({ code: 'blocked_address' })
    expect(seen).toHaveLength(1)
  })

  it('no link, or one that is not found, is "not there yet" soon after the call, later gone', async () => {
    for (const link of ['', 'https://cdn.justcall.io/1.mp3']) {
      const { failure, world } = await fetched(link, () => new Response('', { status: 404 }))
      expect(failure).toMatchObject({ code: 'not_found', retry: 'later' })
      await world.advance(7_200_000)
      const later = Promise.resolve(fetchRecording?.(recording, commonCall(), context(world)))
      expect(await failureOf(later)).toMatchObject({ code: 'not_found', retry: 'never' })
    }
  })
})

describe('JustCall: the check', () => {
  it('warns when the time of webhooks is not looked at', async () => {
    const open = { ...subject, settings: { ...subject.settings, maxAgeMs: false } }
    const { warnings } = await connector.check(context(await openWorld(open)))
    expect(warnings).toHaveLength(1)
    expect((await connector.check(context(await openWorld(subject)))).warnings).toBeUndefined()
  })
})
