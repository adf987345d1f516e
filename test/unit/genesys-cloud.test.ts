import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { connector } from '../../connectors/genesys-cloud/connector.ts'
import { isMoment } from '../../connectors/genesys-cloud/map.ts'
import { createSandbox } from '../../connectors/genesys-cloud/sandbox.ts'
import { config } from '../../connectors/genesys-cloud/schema.ts'
import { call as callSchema, type Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { foldEvents, progressOf } from '../../src/call/merge.ts'
import { createContext } from '../../src/connector/context.ts'
import type { HttpFetch } from '../../src/connector/platform.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { asCordboardError } from '../../src/errors.ts'
import { fetchFrom } from '../kit/in-process.ts'
import { testSigner } from '../kit/signer.ts'
import { expectComplete, expectDelivery, matches, setUpOf, type Template } from './set-up.ts'

const NOW = Date.parse('2026-03-04T11:30:00.000Z')
const QUEUE = 'c677a7a5-0000-4000-8000-000000000001'
const SETTINGS = {
  organizationId: '32aa07aa-db1b-4987-abd0-9483601ec29d',
  token: 'gc_shared_0123456789',
  domain: 'mypurecloud.ie',
  clientId: '5ab1c2d3-0000-4000-8000-000000000001',
  clientSecret: 'invented-client-secret-0001',
  queues: { [QUEUE]: 'Support', 'c677a7a5-1d56-4ce3-a890-79fc53f7fe3f': 'Support' },
}
const FOLDER = new URL('../../connectors/genesys-cloud/', import.meta.url)
const { webhook, recording: fetchRecording, calls: listCalls } = connector.telephony ?? {}
const silent = () => undefined

interface Sent {
  url: URL
  authorization: string | undefined
  body: unknown
}
type Answer = (url: URL, nth: number) => Response | undefined

/** `given` is what the connection is configured with, the stand-in's account always the one above. */
function account(given: Record<string, unknown> = {}, answer?: Answer) {
  let seed = 7
  const random = () => {
    seed = (seed * 16807) % 2147483647
    return seed / 2147483647
  }
  const clock = { now: NOW }
  const vendor = createSandbox({
    now: () => clock.now,
    random,
    later: silent,
    baseUrl: 'https://genesys.example.com',
    signer: testSigner,
    account: SETTINGS,
    deliver: async () => ({ status: 200 }),
    transcriptOf: () => null,
  })
  const sent: Sent[] = []
  const direct = fetchFrom(vendor.app)
  const http: HttpFetch = async (url, request) => {
    sent.push({ url, authorization: request.headers.authorization, body: request.body })
    return answer?.(url, sent.length) ?? direct(url, request)
  }
  const settings = config.parse({ ...SETTINGS, ...given })
  const ctx = createContext({
    connection: {
      id: 'genesys',
      connector,
      settings,
      region: 'FR',
      allowPrivate: [],
      concurrency: 1,
      recordingWaitMs: undefined,
      secrets: [],
    },
    publicUrl: undefined,
    http,
    budgets: { take: () => 0 },
    tokens: createMemoryTokens({ now: () => clock.now }),
    now: () => clock.now,
    random,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    signal: new AbortController().signal,
  })
  return { vendor, sent, clock, ctx: { ...ctx, config: settings } }
}

const sample = (changes: Partial<SampleCall> = {}): SampleCall => ({
  id: 'one',
  direction: 'inbound',
  customerPhone: '+33639980142',
  ownPhone: '+33199001234',
  agent: { extension: '101', name: 'Alice Martin' },
  result: 'answered',
  startedAt: NOW - 3_600_000,
  ringMs: 8000,
  talkMs: 60_000,
  audio: { bytes: new Uint8Array([1, 2, 3]), format: 'wav', durationMs: 60_000 },
  ...changes,
})
const missed = (changes: Partial<SampleCall> = {}): SampleCall => {
  const { audio: _, ...rest } = sample({ result: 'no_answer', ...changes })
  return rest
}

function read(body: string, keys: Record<string, unknown> = {}): CallEvent[] {
  const request = inboundRequest({
    method: 'POST',
    url: 'https://hooks.example.com/hooks/genesys',
    path: '',
    headers: [['content-type', 'application/json']],
    body: new TextEncoder().encode(body),
    receivedAt: new Date(NOW).toISOString(),
  })
  const settings = config.parse({ ...SETTINGS, ...keys })
  const received = webhook?.receive(request, { connection: 'genesys', config: settings, region: 'FR' })
  return received && 'events' in received ? received.events : []
}

const fold = (events: CallEvent[]) => foldEvents(events, { id: 'call_1', connection: 'genesys' })
const fixture = (name: string): string =>
  JSON.parse(readFileSync(new URL(`fixtures/${name}.json`, FOLDER), 'utf8')).request.body
const told = (...names: string[]) => names.flatMap((name) => read(fixture(name)))
const played = (vendor: ReturnType<typeof account>['vendor'], call: SampleCall) =>
  (vendor.place?.(call) ?? []).flatMap(({ body }) => read(body))

async function listed(ctx: ReturnType<typeof account>['ctx'], since = NOW - 86_400_000 * 2) {
  const events: CallEvent[] = []
  for await (const page of listCalls?.(new Date(since).toISOString(), ctx) ?? []) events.push(...page)
  return events
}

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

describe('a recording', () => {
  const aCall = (endedAt = NOW - 60_000) =>
    callSchema.parse({
      id: 'call_1',
      source: { connection: 'genesys', callId: 'c-1' },
      endedAt: new Date(endedAt).toISOString(),
    })
  const kept = (key = 'c-1'): Recording => ({ key, format: 'wav', state: 'ready' })
  const audio = (id: string, more: object = {}) => ({
    id,
    media: 'audio',
    startTime: '2026-03-04T11:00:00.000Z',
    fileState: 'AVAILABLE',
    mediaUris: { '0': { mediaUri: `https://storage.example.com/${id}` } },
    ...more,
  })
  const listing =
    (...all: object[]): Answer =>
    ({ pathname, host }) => {
      if (host === 'storage.example.com') return new Response(pathname)
      return pathname.endsWith('/recordings') ? Response.json(all) : undefined
    }
  const fetched = async (ctx: ReturnType<typeof account>['ctx'], key?: string, call = aCall()) =>
    fetchRecording?.(kept(key), call, ctx).then((response) => response.text(), asCordboardError)

  it('is asked for at the domain’s API, its file without our token', async () => {
    const { ctx, sent } = account({ recordingFormat: 'mp3' }, listing(audio('a')))
    expect(await fetched(ctx)).toBe('/a')
    const [login, list, media] = sent
    expect(login?.url.href).toBe('https://login.mypurecloud.ie/oauth/token')
    expect(login?.authorization).toBe(`Basic ${btoa(`${SETTINGS.clientId}:${SETTINGS.clientSecret}`)}`)
    expect(list?.url.href).toBe(
      'https://api.mypurecloud.ie/api/v2/conversations/c-1/recordings?formatId=MP3&maxWaitMs=5000',
    )
    expect(list?.authorization).toMatch(/^Bearer /)
    expect(media?.authorization).toBeUndefined()
  })
  it('that is being transcoded is asked for again after the time that is named', async () => {
    const { vendor, ctx, clock } = account()
    const call = fold(played(vendor, sample({ startedAt: NOW - 68_000 })))
    const first = await fetchRecording?.(call.recordings[0] as Recording, call, ctx).catch(asCordboardError)
    expect(first).toMatchObject({ code: 'not_found', retry: { afterMs: 1500 } })
    clock.now += 1500
    const audio = await fetchRecording?.(call.recordings[0] as Recording, call, ctx)
    expect(new Uint8Array((await audio?.arrayBuffer()) ?? [])).toEqual(new Uint8Array([1, 2, 3]))
  })
  it.each([
    [{ estimatedTranscodeTimeMs: 90_000 }, 90_000],
    [[{ estimatedTranscodeTimeMs: 3 }, { estimatedTranscodeTimeMs: 4000 }], 4000],
    [{ estimatedTranscodeTimeMs: 9e8 }, 600_000],
    [{}, 15_000],
    ['nothing known', 15_000],
  ])('of which a 202 says %j waits', async (body, afterMs) => {
    const { ctx } = account({}, ({ pathname }) =>
      pathname.endsWith('/recordings') ? Response.json(body, { status: 202 }) : undefined,
    )
    expect(await fetched(ctx)).toMatchObject({ code: 'not_found', retry: { afterMs } })
  })
  it('is the first by its start, further ones by their number; chats and screens do not count', async () => {
    const { ctx } = account(
      {},
      listing(
        audio('later', { startTime: '2026-03-04T11:05:00.000Z' }),
        audio('chat', { media: 'chat', startTime: '2026-03-04T10:00:00.000Z' }),
        audio('first'),
      ),
    )
    expect(await fetched(ctx)).toBe('/first')
    expect(await fetched(ctx, 'c-1#2')).toBe('/later')
    expect(await fetched(ctx, 'c-1#3')).toMatchObject({ code: 'not_found' })
  })
  it.each([
    [{ fileState: 'ARCHIVED' }, 'not_found', 'never'],
    [{ fileState: 'DELETED' }, 'gone', 'never'],
    [{ mediaUris: null }, 'not_found', 'later'],
    [
      {
        mediaUris: {
          '0': { mediaUri: 'https://x.example.com/0' },
          '1': { mediaUri: 'https://x.example.com/1' },
        },
      },
      'rejected',
      'never',
    ],
    [{ mediaUris: { '0': { mediaUri: 'http://storage.example.com/a' } } }, 'blocked_address', 'never'],
  ])('with %j is %s', async (more, code, retry) => {
    const { ctx, sent } = account({}, listing(audio('a', more)))
    expect(await fetched(ctx)).toMatchObject({ code, retry })
    expect(sent).toHaveLength(2)
  })
  it('of both sides in one file is taken before those of one side', async () => {
    const uri = (id: string) => ({ mediaUri: `https://storage.example.com/${id}` })
    const { ctx } = account(
      {},
      listing(audio('a', { mediaUris: { '0': uri('l'), '1': uri('r'), S: uri('both') } })),
    )
    expect(await fetched(ctx)).toBe('/both')
  })
  it.each([
    [60_000, 'later'],
    [7_200_000, 'never'],
  ])('that is not there %i ms after the end is tried %s', async (age, retry) => {
    const { ctx } = account({}, listing())
    expect(await fetched(ctx, 'c-1', aCall(NOW - age))).toMatchObject({ code: 'not_found', retry })
  })
  it.each(['../organizations/me', 'c-1#', 'c-1#x', 'a/b', ''])(
    'under the key “%s” is asked of nobody',
    async (key) => {
      const { ctx, sent } = account()
      expect(await fetched(ctx, key)).toMatchObject({ code: 'invalid_payload' })
      expect(sent).toEqual([])
    },
  )
  it('whose storage refuses the link is gone', async () => {
    const { ctx } = account({}, ({ host, pathname }) => {
      if (host === 'storage.example.com') return new Response('AccessDenied', { status: 403 })
      return pathname.endsWith('/recordings') ? Response.json([audio('a')]) : undefined
    })
    expect(await fetched(ctx)).toMatchObject({ code: 'gone' })
  })
})

describe('the token', () => {
  it('is got once, and again when it was refused', async () => {
    const { ctx, sent, clock } = account()
    await connector.check(ctx)
    await connector.check(ctx)
    const logins = () => sent.filter(({ url }) => url.pathname === '/oauth/token').length
    expect(logins()).toBe(1)
    clock.now += 86_400_000
    await connector.check(ctx)
    expect(logins()).toBe(2)
  })
  it('that the API refuses is replaced once, then it is `auth`', async () => {
    let isRefused = true
    const { ctx, sent, clock } = account({}, ({ pathname }) =>
      isRefused && pathname !== '/oauth/token' ? new Response('', { status: 401 }) : undefined,
    )
    isRefused = false
    await connector.check(ctx)
    clock.now += 60_000
    isRefused = true
    expect(await connector.check(ctx).catch(asCordboardError)).toMatchObject({ code: 'auth' })
    expect(sent.map(({ url }) => url.pathname).slice(2)).toEqual([
      '/api/v2/organizations/me',
      '/oauth/token',
      '/api/v2/organizations/me',
    ])
  })
  it('is not got with another secret: `auth`', async () => {
    const { ctx } = account({ clientSecret: 'another' })
    expect(await connector.check(ctx).catch(asCordboardError)).toMatchObject({ code: 'auth' })
  })
  it('of another organization is told by the check', async () => {
    const { ctx } = account({ organizationId: '32aa07aa-db1b-4987-abd0-000000000000' })
    expect((await connector.check(ctx)).warnings).toHaveLength(1)
    expect((await connector.check(account().ctx)).warnings).toBeUndefined()
  })
})

describe('the analytics', () => {
  it('tell what the events told, under the same keys, and the names beside it', async () => {
    const { vendor, ctx } = account()
    const plans = [sample(), missed({ id: 'two', direction: 'outbound' }), missed({ id: 'three' })]
    const events = plans.flatMap((plan) => played(vendor, plan))
    const again = await listed(ctx)
    const extra = again.filter(({ key }) => key.endsWith(':listed'))
    expect(extra).toHaveLength(3)
    const byKey = (all: CallEvent[]) =>
      new Map(all.filter((event) => !extra.includes(event)).map((event) => [event.key, comparable(event)]))
    expect(byKey(again)).toEqual(byKey(events))
    expect(fold(again.slice(0, 8))).toMatchObject({ agent: { name: 'Alice Martin', group: 'Support' } })
    expect(fold(again.slice(0, 8)).legs[0]?.agent?.name).toBe('Alice Martin')
  })
  /** Words of the vendor are UPPERCASE in events and lowercase here. */
  const comparable = ({ facts, ...event }: CallEvent) => {
    const { disconnectReason, ...rest } = facts
    return { ...event, facts: { ...rest, disconnectReason: disconnectReason?.toLowerCase() } }
  }
  it('know that a line was busy', async () => {
    const { vendor, ctx } = account()
    const events = played(vendor, missed({ direction: 'outbound', result: 'busy' }))
    expect(fold(events).result).toBe('no_answer')
    expect(fold([...events, ...(await listed(ctx))]).result).toBe('busy')
  })
  it('come in pages of a day; what ended just now is left to its events', { timeout: 30_000 }, async () => {
    const { vendor, ctx, sent } = account({ recorded: false })
    for (let n = 0; n < 130; n++) vendor.place?.(sample({ id: `call ${n}`, startedAt: NOW - 7_200_000 + n }))
    vendor.place?.(sample({ id: 'just now', startedAt: NOW - 660_000 }))
    expect((await listed(ctx)).filter(({ key }) => key.endsWith(':listed'))).toHaveLength(130)
    const queries = sent.filter(({ url }) => url.pathname.endsWith('/query'))
    expect(queries.map(({ body }) => JSON.parse(String(body)).paging.pageNumber)).toEqual([1, 1, 2])
    expect(JSON.parse(String(queries[1]?.body))).toMatchObject({
      interval: '2026-03-03T11:30:00.000Z/2026-03-04T11:20:00.000Z',
      segmentFilters: [{ type: 'and', predicates: [{ dimension: 'mediaType', value: 'voice' }] }],
    })
  })
  it('name further recordings of a conversation', async () => {
    const info = (id: string, media = 'audio') => ({ id, media })
    const { vendor, ctx } = account({}, ({ pathname }) =>
      pathname.endsWith('/recordingmetadata')
        ? Response.json([info('a'), info('b'), info('s', 'screen')])
        : undefined,
    )
    const events = played(vendor, sample())
    const keys = fold([...events, ...(await listed(ctx))]).recordings.map(({ key }) => key)
    expect(keys).toEqual([events[0]?.callId, `${events[0]?.callId}#2`])
  })
  it('beyond 300 requests a minute are refused until the next one', { timeout: 30_000 }, async () => {
    const { vendor, ctx } = account()
    for (let n = 0; n < 310; n++) vendor.place?.(sample({ id: `call ${n}`, startedAt: NOW - 7_200_000 + n }))
    expect(await listed(ctx).catch(asCordboardError)).toMatchObject({
      code: 'rate_limited',
      retry: { afterMs: 60_000 },
    })
    expect(connector.budgets?.(ctx.config)).toMatchObject({ default: { limit: 300, windowMs: 60_000 } })
  })
  it('leave the wrap-up and third parties out of the call, and agents among themselves altogether', async () => {
    const at = (second: number) => `2026-03-04T09:00:${String(second).padStart(2, '0')}.000Z`
    const session = (sessionId: string, segments: object[], more = {}) => ({
      sessions: [
        {
          sessionId,
          mediaType: 'voice',
          direction: 'inbound',
          ani: 'tel:+33639980142',
          dnis: 'tel:+33199001234',
          segments,
          ...more,
        },
      ],
    })
    const part = (segmentType: string, from: number, to: number, more = {}) => ({
      segmentType,
      segmentStart: at(from),
      segmentEnd: at(to),
      ...more,
    })
    const conversation = (conversationId: string, participants: object[]) => ({
      conversationId,
      conversationStart: at(0),
      conversationEnd: at(59),
      originatingDirection: 'inbound',
      participants,
    })
    const agent = {
      purpose: 'agent',
      userId: 'u-1',
      participantName: 'Alice Martin',
      ...session('s-2', [
        part('alert', 2, 5),
        part('interact', 5, 20),
        part('hold', 20, 25),
        part('wrapup', 25, 55, { wrapUpCode: 'w-1' }),
      ]),
    }
    const answer = {
      conversations: [
        conversation('c-1', [
          // Whose phone was busy did not talk: the call was answered by another one.
          {
            purpose: 'agent',
            userId: 'u-2',
            ...session('s-5', [part('alert', 1, 2, { sipResponseCodes: [486] })]),
          },
          agent,
          {
            purpose: 'external',
            ...session('s-3', [part('interact', 10, 15)], {
              direction: 'outbound',
              dnis: 'tel:+447700900123',
            }),
          },
          {
            purpose: 'customer',
            ...session('s-1', [part('interact', 0, 25, { disconnectType: 'endpoint' })]),
          },
          { purpose: 'customer', sessions: [{ sessionId: 's-4', mediaType: 'chat' }] },
        ]),
        conversation('c-2', [agent]),
      ],
    }
    const { ctx } = account({ recorded: false }, ({ pathname }) =>
      pathname.endsWith('/query') ? Response.json(answer) : undefined,
    )
    const events = await listed(ctx, NOW - 86_000_000)
    expect(new Set(events.map(({ callId }) => callId))).toEqual(new Set(['c-1']))
    expect(fold(events)).toMatchObject({
      direction: 'inbound',
      result: 'answered',
      agent: { id: 'u-1', name: 'Alice Martin' },
      customer: { phone: '+33639980142' },
      answeredAt: at(5),
      endedAt: at(25),
      holdMs: 5000,
      talkMs: 15_000,
      meta: { wrapUpCode: 'w-1' },
    })
  })
})
