import { describe, expect, it } from 'vitest'
import { resultOf } from '../../connectors/zadarma/map.ts'
import { config } from '../../connectors/zadarma/schema.ts'
import { progressOf } from '../../src/call/merge.ts'
import { toInstant, toWallClock } from '../../src/call/zone.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import { testSigner } from '../kit/signer.ts'
import { account, fold, NOW, played, read, SETTINGS, sample, webhook } from './zadarma-account.ts'

describe('the account’s clock', () => {
  it.each([
    ['2026-07-01 12:00:00', 'Europe/Paris', '2026-07-01T10:00:00.000Z', 'summer'],
    ['2026-03-29 01:59:59', 'Europe/Paris', '2026-03-29T00:59:59.000Z', 'the last second of winter'],
    ['2026-03-29 02:30:00', 'Europe/Paris', '2026-03-29T01:30:00.000Z', 'an hour that was skipped'],
    ['2026-03-29 03:00:00', 'Europe/Paris', '2026-03-29T01:00:00.000Z', 'the first second of summer'],
    ['2026-10-25 02:30:00', 'Europe/Paris', '2026-10-25T00:30:00.000Z', 'an hour that comes twice'],
    ['2026-10-25 03:00:00', 'Europe/Paris', '2026-10-25T02:00:00.000Z', 'the first second of winter'],
    ['2026-03-08 02:15:00', 'America/New_York', '2026-03-08T07:15:00.000Z', 'west of Greenwich, skipped'],
    ['2025-11-02 01:30:00', 'America/New_York', '2025-11-02T05:30:00.000Z', 'west of Greenwich, twice'],
    ['2026-04-05 01:45:00', 'Australia/Lord_Howe', '2026-04-04T14:45:00.000Z', 'a change of half an hour'],
    ['2026-01-01 00:00:00', 'Asia/Kolkata', '2025-12-31T18:30:00.000Z', 'half hours'],
    ['2026-01-01 00:00:00', 'UTC', '2026-01-01T00:00:00.000Z', 'midnight is 00, not 24'],
  ])('%s in %s is %s: %s', (wall, zone, instant) => {
    expect(toInstant(wall, zone)).toBe(instant)
  })
  it('is read back as it was written, all through a year', () => {
    const from = Date.parse('2026-01-01T00:00:00.000Z')
    for (let ms = from; ms < from + 365 * 86_400_000; ms += 5 * 900_000) {
      const wall = toWallClock(ms, 'Europe/Paris')
      expect(toWallClock(Date.parse(toInstant(wall, 'Europe/Paris')), 'Europe/Paris')).toBe(wall)
    }
  })
})

describe('a call', () => {
  it('inbound has its recording announced, then ready', () => {
    const { vendor } = account()
    const events = played(vendor, sample())
    expect(events.map((event) => event.phase)).toEqual([
      'ringing',
      'ringing',
      'answered',
      'ended',
      'recorded',
    ])
    expect(progressOf(events.slice(0, 4))).toEqual({ ended: true, recording: 'pending' })
    expect(progressOf(events)).toEqual({ ended: true, recording: 'ready' })
    expect(fold(events)).toMatchObject({
      direction: 'inbound',
      result: 'answered',
      startedAt: new Date(NOW - 600_000).toISOString(),
      answeredAt: new Date(NOW - 592_000).toISOString(),
      talkMs: 60_000,
      customer: { phone: '+33639980142', phoneRaw: '33639980142' },
      dialed: { phone: '+33199001234' },
      agent: { extension: '101' },
    })
    expect(fold(events).endedAt).toBeUndefined()
  })
  it('whose recording is announced before its end is the same call', () => {
    const { vendor } = account()
    const events = played(vendor, sample())
    const [record] = events.slice(-1)
    expect(progressOf(record ? [record] : []).ended).toBe(false)
    expect(fold(events.toReversed())).toEqual(fold(events))
  })
  it('outbound that nobody answered waits for no recording', () => {
    const { vendor } = account()
    const { audio: _, ...missed } = sample({ direction: 'outbound', result: 'no_answer' })
    const events = played(vendor, missed)
    expect(progressOf(events)).toEqual({ ended: true, recording: 'none' })
    expect(fold(events)).toMatchObject({
      direction: 'outbound',
      result: 'no_answer',
      customer: { phone: '+33639980142' },
      agent: { extension: '101' },
    })
  })
  it('takes the first of two equal fields, as the signature does', () => {
    const form = 'event=NOTIFY_START&pbx_call_id=in_1&call_start=2026-03-04+11:22:33&called_did=33199001234'
    const [event] = read(`${form}&caller_id=33639980142&caller_id=33639980199`)
    expect(event?.facts.from?.phone).toBe('+33639980142')
    expect(read(`${form}&caller_id=&caller_id=33639980199`)[0]?.facts.from?.phone).toBeNull()
  })
  it.each([
    ['NOTIFY_OUT_END', 'caller_id=101&destination=102&internal=101'],
    ['NOTIFY_END', 'caller_id=102&called_did=101&internal=101'],
  ])('between extensions (%s) is internal, and has no customer', (event, parties) => {
    const form = `event=${event}&pbx_call_id=out_9&call_start=2026-03-04+11:22:33&${parties}`
    const call = fold(read(`${form}&duration=20&disposition=answered&is_recorded=0`))
    expect(call).toMatchObject({ direction: 'internal', result: 'answered', agent: { extension: '101' } })
    expect(call.customer).toBeUndefined()
  })
  it('to an emergency number, or from nobody who is named, is no internal one', () => {
    const form = 'pbx_call_id=out_9&call_start=2026-03-04+11:22:33'
    expect(read(`event=NOTIFY_OUT_START&${form}&destination=112&internal=101`)[0]?.facts.direction).toBe(
      'outbound',
    )
    expect(read(`event=NOTIFY_START&${form}&called_did=33199001234`)[0]?.facts.direction).toBe('inbound')
  })
  it.each([
    ['answered', 'inbound', 'answered'],
    ['Busy', 'inbound', 'busy'],
    ['cancel', 'inbound', 'abandoned'],
    ['cancel', 'outbound', 'no_answer'],
    ['no answer', 'inbound', 'no_answer'],
    ['failed', 'outbound', 'failed'],
    ['call failed', 'outbound', 'failed'],
    ['unallocated number', 'outbound', 'failed'],
    ['no money', 'outbound', 'failed'],
    ['no limit', 'outbound', 'failed'],
    ['no day limit', 'outbound', 'failed'],
    ['line limit', 'outbound', 'failed'],
    ['no money, no limit', 'outbound', 'failed'],
    ['constructor', 'outbound', undefined],
  ] as const)('that ended as “%s” (%s) is %s', (said, direction, result) => {
    expect(resultOf(said, direction)).toBe(result)
  })
})

describe('the configuration', () => {
  it.each([
    ['timeZone', 'Mars/Phobos'],
    ['timeZone', ''],
    ['secret', ''],
    ['linkLifetimeMs', 1000],
  ])('refuses %s %j', (key, value) => {
    expect(config.safeParse({ ...SETTINGS, [key]: value }).success).toBe(false)
  })
})

describe('the handshake', () => {
  const shake = async (method: string, query: string, body = '') =>
    webhook?.handshake?.(
      inboundRequest({
        method,
        url: `https://hooks.example.com/hooks/pbx${query}`,
        path: '',
        headers: [['content-type', 'application/x-www-form-urlencoded']],
        body: new TextEncoder().encode(body),
        receivedAt: '',
      }),
      { connection: 'pbx', config: config.parse(SETTINGS), region: 'FR' },
      testSigner,
    )
  it('echoes a plain token and nothing else', async () => {
    expect((await shake('GET', '?zd_echo=abc_-1'))?.body).toBe('abc_-1')
    expect((await shake('POST', '', 'zd_echo=abc'))?.body).toBe('abc')
    expect(await shake('GET', `?zd_echo=${'a'.repeat(129)}`)).toBeNull()
    expect(await shake('GET', '?zd_echo=a%0Db')).toBeNull()
    expect(await shake('GET', '?zd_echo=')).toBeNull()
    expect(await shake('POST', '', 'event=NOTIFY_START&zd_echo=abc')).toBeNull()
    expect(await shake('POST', '', `zd_echo=abc&pad=${'x'.repeat(2000)}`)).toBeNull()
  })
})
