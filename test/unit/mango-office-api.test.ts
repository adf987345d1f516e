import { describe, expect, it } from 'vitest'
import { connector } from '../../connectors/mango-office/connector.ts'
import { toListedEvents } from '../../connectors/mango-office/map.ts'
import { config, statisticsPage } from '../../connectors/mango-office/schema.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { progressOf } from '../../src/call/merge.ts'
import type { HttpFetch } from '../../src/connector/platform.ts'
import { asCordboardError } from '../../src/errors.ts'
import {
  aCall,
  account,
  fold,
  kept,
  mapContext,
  NOW,
  played,
  SETTINGS,
  sample,
} from './mango-office-world.ts'

const { recording: fetchRecording, calls: listCalls } = connector.telephony ?? {}

describe('a recording', () => {
  it('is asked for by a signed form, and fetched with nothing of it', async () => {
    const { vendor, ctx, sent } = account()
    const recording = fold(played(vendor, sample())).recordings[0] ?? kept('none')
    const response = await fetchRecording?.(recording, aCall, ctx)
    expect([...new Uint8Array((await response?.arrayBuffer()) ?? new ArrayBuffer(0))]).toEqual([1, 2, 3])
    expect(sent.map(({ method, body }) => [method, [...body.keys()]])).toEqual([
      ['POST', ['vpbx_api_key', 'sign', 'json']],
      ['GET', []],
    ])
    expect(JSON.parse(sent[0]?.body.get('json') ?? '')).toEqual({
      recording_id: recording.key,
      action: 'download',
    })
    // Good for one access: the next attempt asks anew.
    expect((await vendor.app.request(sent[1]?.url ?? '')).status).toBe(404)
    expect((await fetchRecording?.(recording, aCall, ctx))?.ok).toBe(true)
  })
  it.each([
    [0, 'later'],
    [3_600_000, 'never'],
  ])('that is not there %i ms later is tried %s', async (more, retry) => {
    const { ctx, clock } = account()
    clock.now += more
    const failure = await fetchRecording?.(kept('nobody’s'), aCall, ctx).catch(asCordboardError)
    expect(failure).toMatchObject({
      code: 'not_found',
      retry,
      vendorSaid: expect.stringContaining('3320'),
    })
  })
  it.each([
    ['https://files.mango-office.ru/abc', undefined],
    ['https://app.mango-office.ru/files/abc', undefined],
    ['/files/abc', undefined],
    ['https://evil.example/a.mp3', 'blocked_address'],
    ['http://files.mango-office.ru/a.mp3', 'blocked_address'],
    ['https://mango-office.ru.evil.example/a', 'blocked_address'],
    ['https://evilmango-office.ru/a', 'blocked_address'],
  ])('whose link is %s gives %s', async (location, code) => {
    const answer: HttpFetch = async (_url, { method }) =>
      method === 'POST' ? new Response(null, { status: 302, headers: { location } }) : new Response('audio')
    const given = await fetchRecording?.(kept('R'), aCall, account({}, answer).ctx).catch(asCordboardError)
    expect(given instanceof Response ? undefined : given?.code).toBe(code)
  })
  it.each([401, 403, 404])('whose fresh link answers %i is gone', async (status) => {
    const answer: HttpFetch = async (_url, { method }) =>
      method === 'POST'
        ? new Response(null, { status: 302, headers: { location: '/files/abc' } })
        : new Response('no', { status })
    const failure = await fetchRecording?.(kept('R'), aCall, account({}, answer).ctx).catch(asCordboardError)
    expect(failure).toMatchObject({ code: 'gone' })
  })
  it.each([
    [200, { result: 3102 }, 'auth'],
    [401, { result: 3105 }, 'auth'],
    [401, { message: 'Unauthorized' }, 'auth'],
    [200, { result: '2240' }, 'quota'],
    [500, { code: 3320 }, 'not_found'],
    [400, { code: 3103, message: 'x' }, 'rejected'],
    [200, { result: 4290 }, 'rate_limited'],
    [503, { result: 5008 }, 'vendor_down'],
    [
      429,
      { name: 'Service Unavailable', message: 'Rate limit exceeded.', code: 0, status: 429 },
      'rate_limited',
    ],
    [200, { result: 1000 }, 'rejected'],
    [200, {}, 'invalid_payload'],
  ])('that is answered with %i %j is %s', async (status, body, code) => {
    const answer: HttpFetch = async () => Response.json(body, { status })
    const failure = await fetchRecording?.(kept('R'), aCall, account({}, answer).ctx).catch(asCordboardError)
    expect(failure).toMatchObject({ code })
  })
})

describe('the statistics', () => {
  async function listed(ctx: ReturnType<typeof account>['ctx'], since = NOW - 86_400_000) {
    const events: CallEvent[] = []
    for await (const page of listCalls?.(new Date(since).toISOString(), ctx) ?? []) events.push(...page)
    return events
  }
  it('tell the same calls with the same keys as the notifications', async () => {
    const { vendor, ctx } = account()
    const told = [
      ...played(vendor, sample()),
      ...played(vendor, sample({ id: 'two', direction: 'outbound' })),
      ...played(vendor, sample({ id: 'three', result: 'busy', audio: undefined as never })),
    ]
    const events = await listed(ctx)
    const keys = new Set(told.map((event) => event.key))
    expect(events.map((event) => event.key).filter((key) => !keys.has(key))).toEqual([])
    expect(events).toHaveLength(7)
    for (const id of new Set(events.map((event) => event.callId))) {
      const own = (all: CallEvent[]) => all.filter((event) => event.callId === id)
      const [byList, byNotice] = [fold(own(events)), fold(own(told))]
      expect(progressOf(own(events))).toEqual(progressOf(own(told)))
      for (const key of [
        'direction',
        'result',
        'startedAt',
        'answeredAt',
        'endedAt',
        'talkMs',
        'recordings',
      ] as const)
        expect(byList[key], key).toEqual(byNotice[key])
      expect(byList.customer).toEqual(byNotice.customer)
    }
    expect(fold(events.filter((event) => event.callId === events[0]?.callId)).agent).toEqual({
      id: '300043135',
      name: 'Алина',
    })
  })
  it('say of an answered call without recordings that none is to be waited for', async () => {
    const { vendor, ctx } = account()
    const { audio: _, ...unrecorded } = sample()
    vendor.place?.(unrecorded)
    expect(progressOf(await listed(ctx))).toEqual({ ended: true, recording: 'none' })
  })
  it('are read to the end, within the vendor’s limits, and leave what ended just now alone', async () => {
    const { vendor, ctx, sent } = account()
    for (let i = 0; i < 501; i++) vendor.place?.(sample({ id: `call-${i}`, startedAt: NOW - 3_600_000 - i }))
    vendor.place?.(sample({ id: 'fresh', startedAt: NOW - 120_000 }))
    const events = await listed(ctx)
    expect(events).toHaveLength(1503)
    const asked = sent.map(({ body }) => JSON.parse(body.get('json') ?? '{}'))
    expect(asked.filter((one) => 'offset' in one).map((one) => one.offset)).toEqual(['0', '500'])
    expect(asked[0]).toMatchObject({ start_date: '03.03.2026 15:00:00', end_date: '04.03.2026 15:00:00' })
  })
  it('are ordered a week at a time', async () => {
    const { ctx, sent } = account()
    expect(await listed(ctx, NOW - 20 * 86_400_000)).toEqual([])
    const asked = sent.map(({ body }) => JSON.parse(body.get('json') ?? '{}'))
    expect(asked.filter((one) => 'offset' in one).map((one) => [one.start_date, one.end_date])).toEqual([
      ['12.02.2026 15:00:00', '19.02.2026 14:59:59'],
      ['19.02.2026 15:00:00', '26.02.2026 14:59:59'],
      ['26.02.2026 15:00:00', '04.03.2026 15:00:00'],
    ])
  })
  it.each([
    ['cancel', 'vendor_down'],
    ['not-found', 'vendor_down'],
    ['work', 'timeout'],
  ])('whose state stays %s fail as %s', async (status, code) => {
    const answer: HttpFetch = async (url) =>
      Response.json(url.pathname.includes('request') ? { key: 'k' } : { result: 1000, status, data: [] })
    const failure = await listed(account({}, answer).ctx).catch(asCordboardError)
    expect(failure).toMatchObject({ code, retry: 'later' })
  })
  it('that are not ready may be answered with 204', async () => {
    let polls = 0
    const answer: HttpFetch = async (url) => {
      if (url.pathname.includes('request')) return Response.json({ key: 'k' })
      polls += 1
      return polls < 3
        ? new Response(null, { status: 204 })
        : Response.json({ result: 1000, status: 'complete', data: { list: [] } })
    }
    expect(await listed(account({}, answer).ctx)).toEqual([])
    expect(polls).toBe(3)
  })
  it('of a call through a group name who answered, and hold each recording once', () => {
    const leg = { call_start_time: 1000, call_end_time: 1030, talk_duration: 20, call_end_reason: 1110 }
    const { data } = statisticsPage.parse({
      status: 'complete',
      data: [
        {
          list: [
            {
              entry_id: 'E',
              context_type: 1,
              caller_id: null,
              caller_number: '79000000000',
              called_number: '74950000000',
              context_start_time: 1000,
              duration: 30,
              talk_duration: 20,
              context_calls: [
                {
                  ...leg,
                  call_type: 'group',
                  call_abonent_id: 10051192,
                  call_abonent_info: 'Двое',
                  call_answer_time: 1010,
                  recording_id: ['R1'],
                  members: [
                    {
                      ...leg,
                      call_type: 'user',
                      call_abonent_id: 1,
                      call_abonent_info: 'Не взял',
                      talk_duration: 0,
                      call_answer_time: null,
                    },
                    {
                      ...leg,
                      call_type: 'user',
                      call_abonent_id: 2,
                      call_abonent_info: 'Взял',
                      call_answer_time: 1010,
                      recording_id: ['R1', 'R2'],
                    },
                  ],
                },
              ],
            },
          ],
        },
      ],
    })
    const events = data.flatMap((row) => toListedEvents(row, mapContext))
    expect(events.map((event) => event.key)).toEqual(['E:answer', 'E:summary', 'R1:added', 'R2:added'])
    expect(fold(events)).toMatchObject({
      agent: { id: '2', name: 'Взял' },
      result: 'answered',
      answeredAt: '1970-01-01T00:16:50.000Z',
      endedAt: '1970-01-01T00:17:10.000Z',
    })
  })
})

describe('the check', () => {
  it('needs a true signature; two wrong ones close the door for two minutes', async () => {
    const { ctx, clock } = account()
    expect(await connector.check(ctx)).toEqual({ says: 'key and signature accepted' })
    const wrong = { ...ctx, config: config.parse({ ...SETTINGS, apiSalt: 'another' }) }
    for (let i = 0; i < 2; i++) {
      expect(await connector.check(wrong).catch(asCordboardError)).toMatchObject({ code: 'auth' })
    }
    expect(await connector.check(ctx).catch(asCordboardError)).toMatchObject({ code: 'auth' })
    clock.now += 120_000
    expect(await connector.check(ctx)).toMatchObject({ says: expect.any(String) })
  })
  it('signs with the newest salt', async () => {
    const { ctx } = account({ apiSalt: [SETTINGS.apiSalt, 'older'] })
    expect(await connector.check(ctx)).toMatchObject({ says: expect.any(String) })
  })
  it('budgets stay within the documented ten a second', () => {
    const budgets = connector.budgets?.(config.parse(SETTINGS)) ?? {}
    const limits = Object.values(budgets).map((budget) => [budget.limit, budget.windowMs, budget.window])
    expect(limits).toEqual([
      [9, 1000, 'rolling'],
      [1, 2000, 'rolling'],
    ])
  })
})
