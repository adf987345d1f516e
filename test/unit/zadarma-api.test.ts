import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { authorization, md5 } from '../../connectors/zadarma/client.ts'
import { connector } from '../../connectors/zadarma/connector.ts'
import { toListedEvents } from '../../connectors/zadarma/map.ts'
import { config, statistics } from '../../connectors/zadarma/schema.ts'
import { call as callSchema, type Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { progressOf } from '../../src/call/merge.ts'
import { asCordboardError } from '../../src/errors.ts'
import {
  account,
  fetchRecording,
  fold,
  listCalls,
  NOW,
  played,
  recordingUrl,
  SETTINGS,
  sample,
} from './zadarma-account.ts'

const aCall = callSchema.parse({
  id: 'call_1',
  source: { connection: 'pbx', callId: 'in_1' },
  startedAt: new Date(NOW - 600_000).toISOString(),
  totalMs: 60_000,
})
const kept = (key: string): Recording => ({ key, format: 'mp3', state: 'ready' })

describe('the API’s signature', () => {
  it('has the MD5 of RFC 1321', () => {
    for (let length = 0; length < 200; length++) {
      const bytes = new Uint8Array(length).map((_, i) => (i * 37) & 255)
      expect(Buffer.from(md5(bytes)).toString('hex')).toBe(createHash('md5').update(bytes).digest('hex'))
    }
  })
  it.each([
    [
      'd78f2a12cc1fc5effe71',
      '/v1/info/balance/',
      '',
      'YWUxNGEzODcyZjNiM2YyMDkyZjA3NmE2M2VmZTliZDZkZDdkZjQ0MA==',
    ],
    [
      '0f1e2d3c4b5a69788796',
      '/v1/pbx/record/request/',
      'call_id=1772623353.75283&lifetime=1800',
      'ODIwYjdiOTZlZjgwMDk4Y2M4MjU4YTM0NjA2NDM4MTVkYWU1ODE3Mg==',
    ],
  ])('fits the vector of %s', async (secret, path, query, expected) => {
    const signed = await authorization(path, query, { config: config.parse({ ...SETTINGS, secret }) })
    expect(signed).toBe(`${SETTINGS.key}:${expected}`)
  })
  it('is asked of whoever calls, and a wrong one is refused', async () => {
    const { vendor } = account()
    expect((await vendor.app.request('/v1/info/timezone/')).status).toBe(401)
    const wrong = account({ secret: 'another' })
    const failure = await Promise.resolve(connector.check(wrong.ctx)).catch(asCordboardError)
    expect(failure).toMatchObject({ code: 'auth' })
  })
})

describe('a recording', () => {
  it('is fetched by a link, without our key', async () => {
    const { vendor, ctx, sent } = account()
    const recording = fold(played(vendor, sample())).recordings[0] ?? kept('none')
    const response = await fetchRecording?.(recording, aCall, ctx)
    expect(new Uint8Array((await response?.arrayBuffer()) ?? new ArrayBuffer(0))).toEqual(
      new Uint8Array([1, 2, 3]),
    )
    expect(sent.map((request) => request.authorization?.slice(0, 21))).toEqual([
      `${SETTINGS.key}:`,
      undefined,
    ])
    expect(sent[0]?.url.href).toContain('lifetime=1800')
  })
  it('has a link that ends with its life', async () => {
    const { vendor, ctx, clock } = account({ linkLifetimeMs: 180_000 })
    const recording = fold(played(vendor, sample())).recordings[0] ?? kept('none')
    const link = (await recordingUrl?.(recording, aCall, ctx)) ?? ''
    expect((await vendor.app.request(link)).status).toBe(200)
    clock.now += 181_000
    expect((await vendor.app.request(link)).status).toBe(404)
  })
  it.each([
    [540_000, 'later'],
    [3_600_000, 'never'],
  ])('that is not there %i ms later is tried %s', async (age, retry) => {
    const { ctx, clock } = account()
    clock.now = NOW - 540_000 + age
    const failure = await fetchRecording?.(kept('1.2'), aCall, ctx).catch(asCordboardError)
    expect(failure).toMatchObject({
      code: 'not_found',
      retry,
      vendorSaid: expect.stringContaining('Record not found'),
    })
  })
  it('that the vendor refuses with HTTP 200 is not there either', async () => {
    const refuse = async () => Response.json({ status: 'error', message: 'No record' })
    const failure = await fetchRecording?.(kept('1.2'), aCall, account({}, refuse).ctx).catch(
      asCordboardError,
    )
    expect(failure).toMatchObject({ code: 'not_found', vendorSaid: 'No record' })
  })
  it.each([
    ['https://evil.example/a.mp3', 'blocked_address'],
    ['http://files.zadarma.com/a.mp3', 'blocked_address'],
    ['https://zadarma.com.evil.example/a.mp3', 'blocked_address'],
    ['https://evilzadarma.com/a.mp3', 'blocked_address'],
    ['https://files.zadarma.com/a.mp3', undefined],
    ['https://api.novofon.example/a.mp3', undefined],
  ])('whose link is %s gives %s', async (link, code) => {
    const answer = async () => Response.json({ status: 'success', link })
    const baseUrl = link.includes('novofon') ? 'https://api.novofon.example' : 'https://api.zadarma.com'
    const given = await recordingUrl?.(kept('1.2'), aCall, account({ baseUrl }, answer).ctx).catch(
      asCordboardError,
    )
    expect(typeof given === 'string' ? undefined : given?.code).toBe(code)
  })
})

describe('the statistics', () => {
  async function listed(ctx: ReturnType<typeof account>['ctx'], since = NOW - 86_400_000 * 2) {
    const events: CallEvent[] = []
    for await (const page of listCalls?.(new Date(since).toISOString(), ctx) ?? []) events.push(...page)
    return events
  }
  it('tell the same with the same keys as the webhooks', async () => {
    const { vendor, ctx, sent } = account()
    const told = [
      ...played(vendor, sample()),
      ...played(vendor, sample({ id: 'two', direction: 'outbound' })),
    ]
    const events = await listed(ctx)
    const keys = new Set(told.map((event) => event.key))
    expect(events).toHaveLength(4)
    expect(events.map((event) => event.key).filter((key) => !keys.has(key))).toEqual([])
    expect(sent).toHaveLength(2)
    const inbound = events.filter((event) => event.callId.startsWith('in_'))
    expect(progressOf(inbound)).toEqual({ ended: true, recording: 'ready' })
    expect(fold(inbound)).toMatchObject({
      direction: 'inbound',
      customer: { phone: '+33639980142' },
      agent: { extension: '101' },
    })
  })
  it('are read to the end, and leave what ended just now alone', async () => {
    const { vendor, ctx, sent } = account()
    for (let i = 0; i < 1001; i++) vendor.place?.(sample({ id: `call-${i}` }))
    vendor.place?.(sample({ id: 'fresh', startedAt: NOW - 70_000 }))
    const events = await listed(ctx, NOW - 3_600_000)
    expect(events).toHaveLength(2002)
    expect(sent).toHaveLength(2)
  })
  it('keep the last digit of an id that is a JSON number', async () => {
    const body =
      '{"status":"success","stats":[{"call_id":1772619753.75280,"sip":101,"callstart":"2026-03-04 11:22:33",' +
      '"clid":33639980142,"destination":101,"disposition":"answered","seconds":30,"is_recorded":true,' +
      '"pbx_call_id":"in_1"}]}'
    const { ctx } = account({}, async () => new Response(body))
    const events = await listed(ctx, NOW - 3_600_000)
    expect(events.map((event) => event.key)).toEqual([
      'in_1:NOTIFY_END',
      'in_1:NOTIFY_RECORD:1772619753.75280',
    ])
  })
  it('name who talked last, in whatever order they come', () => {
    const row = {
      pbx_call_id: 'in_1',
      clid: '33639980142',
      seconds: 20,
      disposition: 'answered',
      is_recorded: true,
    }
    const first = { ...row, call_id: '1.1', callstart: '2026-03-04 11:22:33', destination: '101' }
    const second = { ...row, call_id: '1.2', callstart: '2026-03-04 11:23:00', destination: '102' }
    for (const stats of [
      [first, second],
      [second, first],
    ]) {
      const events = toListedEvents(statistics.parse({ stats }).stats, {
        config: config.parse(SETTINGS),
        region: 'FR',
      })
      expect(fold(events).agent).toEqual({ extension: '102' })
    }
  })
  it('of a call between extensions have no customer', () => {
    const row = { pbx_call_id: 'out_1', call_id: '1.1', sip: '101', clid: '101', destination: '102' }
    const rest = {
      callstart: '2026-03-04 11:22:33',
      disposition: 'answered',
      seconds: 20,
      is_recorded: false,
    }
    const { stats } = statistics.parse({ stats: [{ ...row, ...rest }] })
    const call = fold(toListedEvents(stats, { config: config.parse(SETTINGS), region: 'FR' }))
    expect(call).toMatchObject({ direction: 'internal', agent: { extension: '101' } })
    expect(call.customer).toBeUndefined()
  })
  it('lose no call in the hour that comes twice', async () => {
    const { vendor, ctx, clock } = account()
    // 02:55 for the first time until 02:10 for the second.
    const [since, until] = ['2026-10-25T00:55:00.000Z', '2026-10-25T01:10:00.000Z']
    clock.now = Date.parse(until) + 3_600_000
    for (const at of ['2026-10-25T00:58:00.000Z', '2026-10-25T01:05:00.000Z'])
      vendor.place?.(sample({ id: at, startedAt: Date.parse(at) }))
    const events: CallEvent[] = []
    for await (const page of listCalls?.(since, ctx, until) ?? []) events.push(...page)
    expect(new Set(events.map((event) => event.callId)).size).toBe(2)
  })
  it('of a transferred call are one call', () => {
    const row = { pbx_call_id: 'in_1', callstart: '2026-03-04 11:22:33', clid: '33639980142', seconds: '20' }
    const { stats } = statistics.parse({
      stats: [
        {
          ...row,
          call_id: '1.2',
          callstart: '2026-03-04 11:23:00',
          destination: '102',
          disposition: 'answered',
          is_recorded: 'true',
        },
        { ...row, call_id: '1.1', destination: '101', disposition: 'no answer', is_recorded: false },
      ],
    })
    const events = toListedEvents(stats, { config: config.parse(SETTINGS), region: 'FR' })
    expect(events).toHaveLength(2)
    expect(fold(events)).toMatchObject({
      result: 'answered',
      startedAt: '2026-03-04T10:22:33.000Z',
      agent: { extension: '102' },
      recordings: [{ key: '1.2' }],
    })
    expect(fold(events).totalMs).toBeUndefined()
  })
})

describe('the check', () => {
  it('warns when the zone is not the account’s', async () => {
    const right = await connector.check(account().ctx)
    expect(right).toEqual({ says: 'key accepted, account on UTC+1' })
    const wrong = await connector.check(account({ timeZone: 'Europe/Kyiv' }).ctx)
    expect(wrong.warnings?.[0]?.what).toContain('Europe/Kyiv')
  })
  it('budgets stay within the documented hundred a minute', () => {
    const budgets = connector.budgets?.(config.parse(SETTINGS)) ?? {}
    const limits = Object.values(budgets).map((budget) => [budget.limit, budget.windowMs, budget.window])
    expect(limits).toEqual([
      [97, 60_000, 'rolling'],
      [3, 60_000, 'rolling'],
    ])
  })
})
