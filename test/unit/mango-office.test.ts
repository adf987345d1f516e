import { describe, expect, it } from 'vitest'
import { signatureOf } from '../../connectors/mango-office/client.ts'
import { connector } from '../../connectors/mango-office/connector.ts'
import { resultOf } from '../../connectors/mango-office/map.ts'
import { config } from '../../connectors/mango-office/schema.ts'
import { progressOf } from '../../src/call/merge.ts'
import { verifyRequest } from '../../src/connector/verify.ts'
import { testSigner } from '../kit/signer.ts'
import {
  account,
  fold,
  mapContext,
  NOW,
  played,
  read,
  requestOf,
  SETTINGS,
  sample,
} from './mango-office-world.ts'

const { webhook } = connector.telephony ?? {}

describe('the signature', () => {
  it.each([
    [
      '{"recording_id":"MToxMDAwNjA4NToxMjM0NTY3ODkwOjE=","action":"download"}',
      'aeacdf4da36e94de953b9edf8d64321f5ee781d69dac73d4916c17e4fe396f09',
    ],
    ['{"x":"Привет"}', '468b0631822df2d03cf400eda8090aa34c2bda7e45b56af572e23e8692c41952'],
  ])('of %s fits the vector', async (json, sign) => {
    expect(await signatureOf(json, config.parse(SETTINGS))).toBe(sign)
  })
  it('covers every byte of json and of sign', async () => {
    const json = '{"entry_id":"NTAw","recording_id":"MTox","timestamp":1772623430}'
    const sign = await signatureOf(json, config.parse(SETTINGS))
    const body = new URLSearchParams({ json, sign, vpbx_api_key: SETTINGS.apiKey }).toString()
    const verification = webhook?.verify(config.parse(SETTINGS))
    if (!verification) throw new Error('no webhook')
    const verify = (changed: string) =>
      verifyRequest(requestOf('/events/record/added', changed), verification, {
        now: NOW,
        signer: testSigner,
      })
    expect(await verify(body)).toMatchObject({ ok: true })
    const accepted: string[] = []
    for (let at = 0; at < body.indexOf('&vpbx_api_key'); at++) {
      const changed = body.slice(0, at) + String.fromCharCode(body.charCodeAt(at) ^ 1) + body.slice(at + 1)
      if ((await verify(changed)).ok) accepted.push(changed.slice(0, at + 1))
    }
    expect(accepted).toEqual([])
  })
})

describe('how a call without a conversation ended', () => {
  it.each([
    [1110, 'inbound', 'abandoned'],
    [1110, 'outbound', 'no_answer'],
    [1119, 'inbound', 'abandoned'],
    [1111, 'inbound', 'no_answer'],
    [1120, 'outbound', 'no_answer'],
    [1121, 'outbound', 'busy'],
    [1122, 'outbound', 'rejected'],
    [1124, 'inbound', 'rejected'],
    [1125, 'outbound', 'no_answer'],
    [1131, 'outbound', 'failed'],
    [1151, 'inbound', 'rejected'],
    [1164, 'inbound', 'no_answer'],
    [1170, 'inbound', 'no_answer'],
    [1192, 'inbound', 'no_answer'],
    [1193, 'inbound', 'busy'],
    [1313, 'outbound', 'no_answer'],
    [2240, 'outbound', 'failed'],
    [3200, 'outbound', 'failed'],
    [4290, 'outbound', 'failed'],
    [4502, 'inbound', 'rejected'],
    [5003, 'inbound', 'failed'],
    [1090, 'inbound', 'no_answer'],
    [7000, 'inbound', undefined],
    [undefined, 'inbound', undefined],
  ] as const)('%s, %s is %s', (code, direction, result) => {
    expect(resultOf(code, direction)).toBe(result)
  })
})

describe('a call', () => {
  it('inbound is told whole, whatever comes first', () => {
    const { vendor } = account()
    const events = played(vendor, sample())
    expect(events.map((event) => event.phase)).toEqual([
      'ringing',
      'answered',
      'answered',
      'answered',
      'recorded',
      'answered',
      'ended',
      'recorded',
    ])
    expect(progressOf(events.slice(0, 5))).toEqual({ ended: false, recording: 'pending' })
    expect(progressOf(events)).toEqual({ ended: true, recording: 'ready' })
    expect(fold(events)).toMatchObject({
      direction: 'inbound',
      result: 'answered',
      ringMs: 8000,
      talkMs: 60_000,
      totalMs: 68_000,
      customer: { phone: '+79000000000' },
      dialed: { phone: '+74950000000' },
      agent: { extension: '101' },
      legs: [{ agent: { extension: '101' } }],
    })
    expect(fold(events.toReversed())).toEqual(fold(events))
  })
  it('needs no more than its summary and its recording', () => {
    const { vendor } = account()
    const events = (vendor.place?.(sample({ direction: 'outbound' })) ?? [])
      .filter(({ path }) => path === '/events/summary' || path === '/events/record/added')
      .flatMap(({ path, body }) => read(path, body))
    expect(progressOf(events)).toEqual({ ended: true, recording: 'ready' })
    expect(fold(events)).toMatchObject({
      direction: 'outbound',
      result: 'answered',
      talkMs: 60_000,
      from: { phone: '+74950000000' },
      customer: { phone: '+79000000000' },
      agent: { extension: '101' },
    })
  })
  it.each([
    ['inbound', 'no_answer'],
    ['inbound', 'busy'],
    ['outbound', 'no_answer'],
    ['outbound', 'busy'],
  ] as const)('%s, %s waits for no recording', (direction, result) => {
    const { vendor } = account()
    const { audio: _, ...missed } = sample({ direction, result })
    const events = played(vendor, missed)
    expect(progressOf(events)).toEqual({ ended: true, recording: 'none' })
    expect(fold(events)).toMatchObject({ direction, result, customer: { phone: '+79000000000' } })
    expect(fold(events).answeredAt).toBeUndefined()
    expect(fold(events).agent).toEqual(direction === 'outbound' ? { extension: '101' } : undefined)
  })
  it('that was handed on belongs to whom the customer was connected to last', () => {
    const leg = (call: string, seq: number, at: number, from: object, to: object) =>
      read(
        '/events/call',
        new URLSearchParams({
          json: JSON.stringify({
            entry_id: 'E',
            call_id: call,
            seq,
            timestamp: at,
            call_state: 'Connected',
            location: 'abonent',
            from,
            to,
          }),
        }).toString(),
      )
    const customer = { number: '79000000000' }
    const summaryTo = (extension: string) =>
      read(
        '/events/summary',
        new URLSearchParams({
          json: JSON.stringify({
            entry_id: 'E',
            call_direction: 1,
            from: customer,
            to: { extension },
            line_number: '74950000000',
            create_time: 1000,
            talk_time: 1008,
            end_time: 1100,
            disconnect_reason: 1110,
          }),
        }).toString(),
      )
    const legs = [
      ...leg('A', 2, 1008, customer, { extension: '123' }),
      ...leg('B', 2, 1030, { extension: '123' }, { extension: '321' }),
      // Within the same second only the order of `seq` tells.
      ...leg('B', 9, 1040, customer, { extension: '321' }),
      ...leg('B', 10, 1040, customer, { extension: '322' }),
    ]
    for (const first of ['123', '322']) {
      expect(fold([...summaryTo(first), ...legs]).agent).toEqual({ extension: '322' })
      expect(fold([...legs.toReversed(), ...summaryTo(first)]).agent).toEqual({ extension: '322' })
    }
    expect(fold(summaryTo('123')).agent).toEqual({ extension: '123' })
  })
})

describe('the button of the cabinet', () => {
  const shake = async (path: string, body: string) =>
    webhook?.handshake?.(requestOf(path, body), mapContext, testSigner)
  it('is answered and nothing else is', async () => {
    expect(await shake('', '')).toEqual({ status: 200 })
    expect(await shake('/ping', 'json={}')).toEqual({ status: 200 })
    expect(await shake('/ping/', '')).toEqual({ status: 200 })
    expect(await shake('/events/summary', 'json={}')).toBeNull()
    expect(await shake('/events/shipping', 'json={}')).toBeNull()
    expect(await shake('/events/summary?x=/ping', 'json={}')).toBeNull()
  })
})

describe('the configuration', () => {
  it.each([
    ['timeZone', 'Mars/Phobos'],
    ['apiSalt', ''],
    ['apiKey', ''],
    ['eventClock', 'local'],
  ])('refuses %s %j', (key, value) => {
    expect(config.safeParse({ ...SETTINGS, [key]: value }).success).toBe(false)
  })
})
