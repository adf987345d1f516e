import { describe, expect, it } from 'vitest'
import { connector } from '../../connectors/genesys-cloud/connector.ts'
import { call as callSchema, type Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { asCordboardError } from '../../src/errors.ts'
import {
  type Answer,
  account,
  fetchRecording,
  fold,
  listCalls,
  missed,
  NOW,
  played,
  SETTINGS,
  sample,
} from './genesys-cloud-account.ts'

async function listed(ctx: ReturnType<typeof account>['ctx'], since = NOW - 86_400_000 * 2) {
  const events: CallEvent[] = []
  for await (const page of listCalls?.(new Date(since).toISOString(), ctx) ?? []) events.push(...page)
  return events
}

describe('a recording', () => {
  const aCall = (endedAt = NOW - 60_000) =>
    callSchema.parse({
      id: 'call_1',
      source: { connection: 'pbx', callId: 'c-1' },
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
