import { describe, expect, it } from 'vitest'
import { connector } from '../../connectors/ringover/connector.ts'
import type { Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { foldEvents, progressOf } from '../../src/call/merge.ts'
import type { ConnectorContext } from '../../src/connector/contract.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { loadSubject, rawOf } from '../kit/connector/fixtures.ts'
import { readFolder } from '../kit/connector/folder.ts'
import { commonCall, rawWebhook, sampleCall } from '../kit/connector/samples.ts'
import { failureOf, openWorld, START, type World } from '../kit/connector/world.ts'

type Context = ConnectorContext<never>

const subject = loadSubject(connector, readFolder(new URL('../../connectors/ringover/', import.meta.url)))
const { webhook, recording: fetchRecording, recordingUrl, calls: listCalls } = connector.telephony ?? {}
const { audio: _, ...silentCall } = sampleCall()

const openChanged = (change: (url: URL, headers: Record<string, string>) => Response) =>
  openWorld(subject, { through: () => async (url, request) => change(url, request.headers) })

const context = (world: World) => world.context() as Context
const mapContext = { connection: 'acme', config: connector.config.parse(subject.settings), region: 'FR' }

function told(world: World, call: SampleCall): CallEvent[] {
  return (world.sandbox.place?.(call) ?? []).flatMap((one) => {
    const received = webhook?.receive(inboundRequest(rawWebhook(one, START)), mapContext)
    return received && 'events' in received ? received.events : []
  })
}

/** The events of fixtures, by their names. */
const saying = (...names: string[]): CallEvent[] =>
  names.flatMap((name) => {
    const fixture = subject.fixtures.find(({ file }) => file === `${name}.json`)
    if (!fixture) throw new Error(`no fixture ${name}`)
    const received = webhook?.receive(inboundRequest(rawOf(fixture)), mapContext)
    return received && 'events' in received ? received.events : []
  })

async function listed(world: World, since = new Date(START - 3_600_000).toISOString()): Promise<CallEvent[]> {
  const events: CallEvent[] = []
  for await (const page of listCalls?.(since, context(world)) ?? []) events.push(...page)
  return events
}

const fold = (events: CallEvent[]) => foldEvents(events, { id: 'call_1', connection: 'acme' })

describe('Ringover: calls', () => {
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
    expect(call.source.callId).toMatch(/^1\d{19}$/)
  })

  it('a group where one took the call and another’s phone rang in vain is answered', () => {
    const names = ['in-ringing', 'in-ringing-other', 'in-answered', 'in-missed-by-other', 'in-hangup']
    const call = fold(saying(...names))
    expect(call).toMatchObject({
      result: 'answered',
      talkMs: 64_080,
      agent: { id: '990011', group: 'Sales' },
    })
    expect(call.disconnectReason).toBe('ANSWERED')
    expect(call.legs.map(({ key, result }) => [key, result])).toEqual([
      ['8812345', 'answered'],
      ['8812346', 'no_answer'],
    ])
    expect(fold(saying(...names.slice(0, 4))).result).toBe('answered')
  })

  it('a call that rang in vain everywhere is missed, and belongs to its queue', () => {
    const events = saying('in-missed-by-two', 'in-missed-by-two-other')
    expect(fold(events)).toMatchObject({ result: 'no_answer', agent: { group: 'Sales' } })
    expect(progressOf(events)).toEqual({ ended: true, recording: 'none' })
  })

  it('a missed call that goes to voicemail is voicemail', () => {
    expect(fold(saying('in-voicemail', 'in-voicemail-available'))).toMatchObject({
      result: 'voicemail',
      recordings: [{ key: 'voicemail:8812403', state: 'ready', durationMs: 12_000 }],
    })
  })

  it('after a transfer the second agent has the call, which lasts from the first to the last', () => {
    expect(fold(saying('in-transferred-second', 'in-transferred-first'))).toMatchObject({
      agent: { id: '990012' },
      startedAt: '2026-03-04T11:22:33.120Z',
      endedAt: '2026-03-04T11:23:45.100Z',
    })
  })

  it('an internal call has no customer', () => {
    const call = fold(saying('internal-hangup'))
    expect(call.direction).toBe('internal')
    expect(call.customer).toBeUndefined()
  })

  it('the list says a call as its webhooks did: nothing comes twice', async () => {
    for (const direction of ['inbound', 'outbound'] as const) {
      const world = await openWorld(subject)
      const byWebhook = told(world, { ...sampleCall(), direction })
      const keys = new Set(byWebhook.map(({ key }) => key))
      const byList = await listed(world)
      expect(byList.map(({ phase }) => phase)).toEqual(['ended', 'recorded'])
      expect(byList.filter(({ key }) => !keys.has(key))).toEqual([])
      expect(fold(byList)).toMatchObject({ direction, result: 'answered', talkMs: 60_000 })
      expect(fold([...byWebhook, ...byList]).recordings).toHaveLength(1)
    }
  })

  it('the list is read in spans of 14 days and pages of 1,000', async () => {
    const asked: string[] = []
    const world = await openChanged((url) => {
      const { start_date, end_date, limit_offset } = Object.fromEntries(url.searchParams)
      asked.push(`${start_date?.slice(0, 10)} ${end_date?.slice(0, 10)} ${limit_offset}`)
      const row = { call_id: String(asked.length), end_time: START / 1000 }
      return asked.length === 1
        ? Response.json({ call_list: Array(1000).fill(row) })
        : asked.length === 2
          ? Response.json({ call_list: [row] })
          : new Response(null, { status: 204 })
    })
    expect(await listed(world, '2026-02-11T11:22:33.000Z')).toHaveLength(1001)
    expect(asked).toEqual([
      '2026-02-11 2026-02-25 0',
      '2026-02-11 2026-02-25 1000',
      '2026-02-25 2026-03-04 0',
    ])
  })

  it('a row that goes on is left to its webhooks, a voicemail’s row brings it', async () => {
    const row = { call_id: '1', channel_id: '2', direction: 'in', is_answered: false }
    const voicemail = { ...row, end_time: START / 1000, voicemail: 'https://cdn.ringover.com/messages/1.mp3' }
    const world = await openChanged(() => Response.json({ call_list: [row, voicemail] }))
    expect(fold(await listed(world))).toMatchObject({
      result: 'voicemail',
      recordings: [{ key: 'voicemail:2', state: 'ready' }],
    })
  })

  it('a row that nobody answered has no answer, whatever time stands in it', async () => {
    const row = { call_id: '1', channel_id: '2', direction: 'in', is_answered: false, last_state: 'MISSED' }
    const times = { start_time: START / 1000 - 30, answered_time: START / 1000 - 20, end_time: START / 1000 }
    const world = await openChanged(() => Response.json({ call_list: [{ ...row, ...times }] }))
    const call = fold(await listed(world))
    expect(call).toMatchObject({ result: 'no_answer', totalMs: 30_000, disconnectReason: 'MISSED' })
    expect([call.answeredAt, call.legs[0]?.answeredAt]).toEqual([undefined, undefined])
  })
})

describe('Ringover: recordings', () => {
  const told = 'https://cdn.ringover.com/records/old.mp3'
  const recording: Recording = { key: 'record:8812345', url: told, format: 'mp3', state: 'ready' }
  const row = (link: string | null, channel = '8812345') => ({
    call_id: '1',
    channel_id: channel,
    is_answered: true,
    end_time: START / 1000,
    record: link,
  })
  const fetched = async (one: Recording, list: unknown[], answer: (url: URL) => Response) => {
    const seen: [string, boolean][] = []
    const world = await openChanged((url, headers) => {
      seen.push([url.pathname, 'authorization' in headers])
      return url.pathname === '/v2/calls' ? Response.json({ call_list: list }) : answer(url)
    })
    const work = () => Promise.resolve(fetchRecording?.(one, commonCall(), context(world)))
    return { world, seen, work }
  }

  it('the link that was told is enough, it gets no key, and its type is mp3', async () => {
    const { seen, work } = await fetched(recording, [], () => new Response(new Uint8Array([1])))
    expect((await work())?.headers.get('content-type')).toBe('audio/mpeg')
    expect(seen).toEqual([['/records/old.mp3', false]])
  })

  it('where it has ended, the list says which one it is now', async () => {
    const list = [row('https://cdn.ringover.com/records/other.mp3', '7'), row(told.replace('old', 'new'))]
    const { seen, work } = await fetched(recording, list, (url) =>
      url.pathname.includes('new') ? new Response('audio') : new Response('', { status: 403 }),
    )
    expect(await (await work())?.text()).toBe('audio')
    expect(seen).toEqual([
      ['/records/old.mp3', false],
      ['/v2/calls', true],
      ['/records/new.mp3', false],
    ])
  })

  it('none that leads to it is "not there yet" soon after the call, later gone', async () => {
    for (const list of [[], [row(told)], [row(null)], [row('https://cdn.ringover.com/records/2.mp3')]]) {
      const { world, work } = await fetched(recording, list, () => new Response('', { status: 404 }))
      expect(await failureOf(work())).toMatchObject({ code: 'not_found', retry: 'later' })
      await world.advance(7_200_000)
      expect(await failureOf(work())).toMatchObject({ code: 'not_found', retry: 'never' })
    }
  })

  it('a link without https is neither followed nor handed out', async () => {
    const plain = { ...recording, url: 'http://cdn.ringover.com/1.mp3' }
    const { seen, work, world } = await fetched(plain, [], () => new Response(''))
    expect(await failureOf(work())).toMatchObject({ code: 'blocked_address' })
    const handed = Promise.resolve(recordingUrl?.(plain, commonCall(), context(world)))
    expect(await failureOf(handed)).toMatchObject({ code: 'blocked_address' })
    expect(seen).toEqual([])
  })

  it('the link can be handed to a service that takes URLs; without one the list is asked', async () => {
    const { world } = await fetched(recording, [row(told)], () => new Response(''))
    expect(await recordingUrl?.(recording, commonCall(), context(world))).toBe(told)
    const { url: _url, ...bare } = recording
    expect(await recordingUrl?.(bare, commonCall(), context(world))).toBe(told)
    expect(await recordingUrl?.({ ...bare, key: 'record:1' }, commonCall(), context(world))).toBeNull()
  })
})
