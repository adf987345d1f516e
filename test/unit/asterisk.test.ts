import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { recordingAddress } from '../../connectors/asterisk/client.ts'
import { connector } from '../../connectors/asterisk/connector.ts'
import { createSandbox } from '../../connectors/asterisk/sandbox.ts'
import { config } from '../../connectors/asterisk/schema.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { foldEvents, progressOf } from '../../src/call/merge.ts'
import { createContext } from '../../src/connector/context.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { asCordboardError } from '../../src/errors.ts'
import { fetchFrom } from '../kit/in-process.ts'
import { testSigner } from '../kit/signer.ts'
import { FOLDER, fetchRecording, NOW, read, SETTINGS } from './asterisk-records.ts'

const silent = () => undefined
const fold = (events: CallEvent[]) => foldEvents(events, { id: 'call_1', connection: 'pbx' })
const eventsOf = (fixture: string) =>
  read(
    (
      JSON.parse(readFileSync(new URL(`fixtures/${fixture}.json`, FOLDER), 'utf8')) as {
        request: { body: string }
      }
    ).request.body,
  )

describe('the records of one call', () => {
  it('who rang in vain, before or after, does not make an answered call a missed one', () => {
    const transfer = fold(eventsOf('in-transfer'))
    expect(transfer).toMatchObject({
      direction: 'inbound',
      result: 'answered',
      disconnectReason: 'ANSWERED',
      agent: { id: 'bob', name: 'Bob Keller' },
      customer: { phone: '+33639980142' },
    })
    expect(transfer.legs.map(({ result }) => result)).toEqual(['answered', 'answered', 'no_answer'])
    expect(transfer.recordings).toHaveLength(1)
  })

  it('of a queue’s call the talk begins when the agent took it, not when the queue did', () => {
    const events = [...eventsOf('in-queue'), ...eventsOf('in-queue-recorded')]
    expect(fold(events)).toMatchObject({
      result: 'answered',
      answeredAt: '2026-03-04T11:23:30.250Z',
      talkMs: 59_750,
      agent: { extension: '101', name: 'Alice Martin', group: '600' },
      customer: { phone: '+33639980142', name: 'Jean Dupont' },
      recordings: [{ state: 'ready', bytes: 960_044 }],
    })
  })

  it('a call that ended in the voicemail was no answered one', () => {
    expect(fold(eventsOf('in-missed-then-voicemail'))).toMatchObject({ result: 'voicemail' })
  })

  it('who left the menu gave up; behind a menu an extension that nobody took makes a missed call', () => {
    expect(fold(eventsOf('in-left-in-the-menu'))).toMatchObject({ result: 'abandoned' })
    expect(fold(eventsOf('in-menu-then-nobody'))).toMatchObject({
      result: 'no_answer',
      customer: { phone: '+33639980142', name: 'Zoé "x" Y' },
    })
  })

  it('a recording is waited for until the script has seen it closed, and not at all when it is empty', () => {
    const [announced, closed] = [eventsOf('in-answered'), eventsOf('in-recorded')]
    expect(progressOf(announced).recording).toBe('pending')
    expect(progressOf([...announced, ...closed]).recording).toBe('ready')
    const row = '"uniqueid":"1772623700.160","start":"1772623700","end":"1772623710"'
    const named = `{"rows":[{${row},"disposition":"ANSWERED","recordingfile":"20260304-122820-1772623700.160.wav"}]}`
    expect(progressOf([...read(named), ...eventsOf('in-recorded-empty')]).recording).toBe('none')
  })

  it.each([
    ['PJSIP/provider-00000041', 'inbound'],
    ['PJSIP/provider-paris-00000041', 'internal'],
    ['DAHDI/i1/0639980142-2', 'inbound'],
    ['PJSIP/101-00000041', 'internal'],
    ['Local/101@from-internal-00000041;1', 'internal'],
  ])('a call of %s is %s', (channel, direction) => {
    const row = {
      uniqueid: '1.1',
      start: '1772623700',
      channel,
      dstchannel: 'PJSIP/102-00000001',
      dst: '102',
    }
    const [event] = read(JSON.stringify({ rows: [row] }))
    expect(event?.facts.direction).toBe(direction)
  })

  it('a trunk that nobody named shows itself where FreePBX wrote the called or the shown number', () => {
    const row = {
      uniqueid: '1.1',
      start: '1772623700',
      channel: 'PJSIP/other-00000041',
      dstchannel: 'PJSIP/101-1',
    }
    const [inbound] = read(JSON.stringify({ rows: [{ ...row, did: '33199001234', dst: '101' }] }))
    expect(inbound?.facts).toMatchObject({ direction: 'inbound', dialed: { phone: '+33199001234' } })
    const out = {
      channel: 'PJSIP/101-1',
      dstchannel: 'PJSIP/other-00000041',
      dst: '3300',
      outbound_cnum: '33199001234',
    }
    const [outbound] = read(JSON.stringify({ rows: [{ ...row, ...out }] }))
    expect(outbound?.facts).toMatchObject({ direction: 'outbound', from: { phone: '+33199001234' } })
  })

  it.each([
    ['Local/101@from-queue-0000001a;1', { extension: '101' }],
    ['Local/FMPR-101@from-internal-0000001a;1', { extension: '101' }],
    ['Local/sales@queues-0000001a;1', undefined],
    ['PJSIP/alice-00000042', { id: 'alice' }],
    ['PJSIP/provider-00000042', undefined],
  ])('of %s the agent is %j', (dstchannel, agent) => {
    const row = { uniqueid: '1.1', start: '1772623700', disposition: 'ANSWERED', channel: 'PJSIP/provider-1' }
    expect(fold(read(JSON.stringify({ rows: [{ ...row, dstchannel }] }))).agent).toEqual(agent)
  })

  it('a prefix is taken off numbers of the outside only', () => {
    const row = { uniqueid: '1.1', start: '1772623700', channel: 'PJSIP/101-1', dstchannel: 'PJSIP/102-1' }
    const dialed = (dst: string) =>
      read(JSON.stringify({ rows: [{ ...row, dst }] }), { dialPrefix: '9' })[0]?.facts.dialed?.phoneRaw
    expect([dialed('9101'), dialed('90639980142')]).toEqual(['9101', '0639980142'])
  })

  it('local times of a zone that nobody named cannot be read, and it says what to set', () => {
    const body = '{"rows":[{"uniqueid":"1.1","calldate":"2026-03-04 12:00:00"}]}'
    expect(() => read(body, { timeZone: undefined })).toThrow(/zone not known/)
    expect(read(body, { timeZone: 'America/New_York' })[0]?.facts.startedAt).toBe('2026-03-04T17:00:00.000Z')
  })

  it.each([
    ['1792888200.1', '2026-10-25T00:30:00.000Z'],
    ['1792891800.1', '2026-10-25T01:30:00.000Z'],
    ['pbx1-1792891800.1', '2026-10-25T01:30:00.000Z'],
    // A later record of a channel that was there before the clocks went back: the first time fits.
    ['1792887000.1', '2026-10-25T00:30:00.000Z'],
  ])('an hour that comes twice is the one that the channel %s can have been in', (uniqueid, startedAt) => {
    const rows = [{ uniqueid, calldate: '2026-10-25 02:30:00' }]
    expect(read(JSON.stringify({ tz: 'Europe/Paris', rows }))[0]?.facts.startedAt).toBe(startedAt)
  })

  it('at any other time the channel’s id decides nothing', () => {
    const rows = [{ uniqueid: '1792891800.1', calldate: '2026-10-24 02:30:00' }]
    expect(read(JSON.stringify({ tz: 'Europe/Paris', rows }))[0]?.facts.startedAt).toBe(
      '2026-10-24T00:30:00.000Z',
    )
  })
})

describe('where a recording lies', () => {
  const at = (file: string, keys: Record<string, unknown> = {}) =>
    recordingAddress(file, config.parse({ ...SETTINGS, baseUrl: 'https://pbx.example.com/rec/', ...keys }))

  it.each([
    ['20260304-122233-1772623353.128.wav', '/rec/2026/03/04/20260304-122233-1772623353.128.wav'],
    [
      'in-+33-1-99-20260304-132233-pbx1-1772623353.128.WAV',
      '/rec/2026/03/04/in-%2B33-1-99-20260304-132233-pbx1-1772623353.128.WAV',
    ],
    ['1772623353.128.mp3', '/rec/1772623353.128.mp3'],
    [
      'out-20250101-101010-20260304-122233-1.2.wav',
      '/rec/2026/03/04/out-20250101-101010-20260304-122233-1.2.wav',
    ],
    ['a?b#c.wav', '/rec/a%3Fb%23c.wav'],
  ])('%s is fetched from %s', (file, path) => {
    expect(at(file)).toBe(`https://pbx.example.com${path}`)
  })

  it('ARI names it without its extension, folders and all', () => {
    expect(at('20260304-122233-1.2.wav', { recordings: 'ari' })).toBe(
      'https://pbx.example.com/rec/recordings/stored/2026%2F03%2F04%2F20260304-122233-1.2/file',
    )
  })
})

function pbx(keys: Record<string, unknown> = {}) {
  const settings = {
    ...SETTINGS,
    baseUrl: 'https://pbx.example.com',
    user: 'ariuser',
    password: 'aripass',
    ...keys,
  }
  const clock = { now: NOW }
  const sent: (string | undefined)[] = []
  const vendor = createSandbox({
    now: () => clock.now,
    random: () => 0.5,
    later: silent,
    baseUrl: 'https://pbx.example.com',
    signer: testSigner,
    account: settings,
    deliver: async () => ({ status: 202 }),
    transcriptOf: () => null,
  })
  const direct = fetchFrom(vendor.app)
  const parsed = config.parse(settings)
  const ctx = createContext({
    connection: {
      id: 'pbx',
      connector,
      settings: parsed,
      region: 'FR',
      allowPrivate: [],
      concurrency: 1,
      recordingWaitMs: undefined,
      secrets: [],
    },
    publicUrl: undefined,
    http: (url, request) => {
      sent.push(request.headers.authorization)
      return direct(url, request)
    },
    budgets: { take: () => 0 },
    tokens: createMemoryTokens({ now: () => clock.now }),
    now: () => clock.now,
    random: () => 0.5,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    signal: new AbortController().signal,
  })
  return { vendor, clock, sent, ctx: { ...ctx, config: parsed } }
}

const sample = (changes: Partial<SampleCall> = {}): SampleCall => ({
  id: 'one',
  direction: 'inbound',
  customerPhone: '+33639980142',
  ownPhone: '+33199001234',
  agent: { extension: '101', name: 'Alice Martin' },
  result: 'answered',
  startedAt: NOW - 600_000,
  ringMs: 8000,
  talkMs: 60_000,
  audio: { bytes: new Uint8Array(100).fill(7), format: 'wav', durationMs: 60_000 },
  ...changes,
})

describe('the PBX’s stand-in', () => {
  it.each([
    [sample(), { direction: 'inbound', result: 'answered', talkMs: 60_000, ringMs: 8000 }],
    [sample({ direction: 'outbound' }), { direction: 'outbound', result: 'answered', talkMs: 60_000 }],
    [sample({ result: 'no_answer' }), { direction: 'inbound', result: 'no_answer' }],
    [sample({ direction: 'outbound', result: 'busy' }), { direction: 'outbound', result: 'busy' }],
  ])('plays a call (%#)', (call, wanted) => {
    const events = (pbx().vendor.place?.(call) ?? []).flatMap(({ body }) => read(body))
    expect(fold(events)).toMatchObject({ ...wanted, customer: { phone: '+33639980142' } })
    expect(progressOf(events)).toEqual({
      ended: true,
      recording: call.result === 'answered' ? 'ready' : 'none',
    })
  })

  it.each(['folder', 'ari'])('gives its recordings (%s) to who has the password', async (recordings) => {
    const { vendor, ctx, sent } = pbx({ recordings })
    const call = fold((vendor.place?.(sample()) ?? []).flatMap(({ body }) => read(body)))
    const [recording] = call.recordings
    if (!recording || !fetchRecording) throw new Error('no recording')
    const response = await fetchRecording(recording, call, ctx)
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(new Uint8Array(100).fill(7))
    expect(sent).toEqual(['Basic YXJpdXNlcjphcmlwYXNz'])
    expect((await connector.check(ctx)).says).toMatch(recordings === 'ari' ? /Asterisk 22/ : /403/)
  })

  it('a file that is missing may still come for a quarter of an hour, and then not any more', async () => {
    const { ctx, clock } = pbx()
    const call = fold(eventsOf('in-answered'))
    const missing = { key: '20260304-122233-9.9.wav', state: 'ready' as const }
    const ask = async () => fetchRecording?.(missing, call, ctx).then(() => null, asCordboardError)
    expect(await ask()).toMatchObject({ code: 'not_found', retry: 'later' })
    clock.now += 15 * 60_000
    expect(await ask()).toMatchObject({ code: 'not_found', retry: 'never' })
  })

  it('without baseUrl records are taken, and the check says what is missing', async () => {
    const { ctx } = pbx({ baseUrl: undefined })
    expect((await connector.check(ctx)).warnings?.[0]?.what).toMatch(/no baseUrl/)
  })
})
