import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { connector } from '../../connectors/3cx/connector.ts'
import { recordingsOf, toLoggedEvent } from '../../connectors/3cx/map.ts'
import { createSandbox } from '../../connectors/3cx/sandbox.ts'
import { callLog, config, journal } from '../../connectors/3cx/schema.ts'
import { connectorInfo, loadConnector, loadSandbox } from '../../connectors/index.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { foldEvents, progressOf } from '../../src/call/merge.ts'
import { loadConfig } from '../../src/config/load.ts'
import { createContext } from '../../src/connector/context.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { parseXml, type XmlElement } from '../../src/connector/xml.ts'
import { asCordboardError } from '../../src/errors.ts'
import { fetchFrom } from '../kit/in-process.ts'
import { testSigner } from '../kit/signer.ts'

const NOW = Date.parse('2026-03-04T11:30:00.000Z')
const SETTINGS = {
  apiKey: 'k-3cx-5b2e9c71d0f4',
  baseUrl: 'https://pbx.example.com',
  clientId: '900',
  clientSecret: 'xapi-client-secret-0001',
}
const silent = () => undefined
const { webhook, recording: fetchRecording, calls: listCalls } = connector.telephony ?? {}

function read(body: string, keys: Record<string, unknown> = {}): CallEvent[] {
  const request = inboundRequest({
    method: 'POST',
    url: 'https://hooks.example.com/hooks/pbx',
    path: '',
    headers: [['content-type', 'application/json']],
    body: new TextEncoder().encode(body),
    receivedAt: new Date(NOW).toISOString(),
  })
  const context = { connection: 'pbx', config: config.parse({ ...SETTINGS, ...keys }), region: 'FR' }
  const received = webhook?.receive(request, context)
  return received && 'events' in received ? received.events : []
}
const fold = (events: CallEvent[]) => foldEvents(events, { id: 'call_1', connection: 'pbx' })
const idsOf = ({ callId, alsoKnownAs = [] }: CallEvent) => new Set([callId, ...alsoKnownAs])

function pbx(keys: Record<string, unknown> = {}) {
  const clock = { now: NOW }
  const sent: string[] = []
  const vendor = createSandbox({
    now: () => clock.now,
    random: () => 0.5,
    later: silent,
    baseUrl: 'https://pbx.example.com',
    signer: testSigner,
    account: SETTINGS,
    deliver: async () => ({ status: 200 }),
    transcriptOf: () => null,
  })
  const direct = fetchFrom(vendor.app)
  const parsed = config.parse({ ...SETTINGS, ...keys })
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
      sent.push(decodeURIComponent(`${url.pathname}${url.search}`).replaceAll('+', ' '))
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
  audio: { bytes: new Uint8Array([1, 2, 3]), format: 'wav', durationMs: 60_000 },
  ...changes,
})
const played = (vendor: ReturnType<typeof pbx>['vendor'], call: SampleCall) =>
  (vendor.place?.(call) ?? []).flatMap(({ body }) => read(body))

async function listed(ctx: ReturnType<typeof pbx>['ctx'], since = NOW - 3_600_000): Promise<CallEvent[]> {
  const all: CallEvent[] = []
  for await (const page of listCalls?.(new Date(since).toISOString(), ctx) ?? []) all.push(...page)
  return all
}

describe('an id that begins with a digit', () => {
  it('is one like others: in the registry and in a configuration', async () => {
    expect(connectorInfo['3cx'].name).toBe('3CX')
    expect((await loadConnector('3cx')).id).toBe('3cx')
    expect(await loadSandbox('3cx')).toBe(createSandbox)
    const loaded = await loadConfig(
      { connections: { phone: { use: '3cx', apiKey: { $secret: 'KEY' } } }, flows: [] },
      {
        connectors: { ids: ['3cx'], load: loadConnector },
        resolveSecret: () => 'a-secret-of-the-environment',
      },
    )
    expect('problems' in loaded ? loaded.problems : []).toEqual([])
  })
})

describe('the journal of a call', () => {
  it('without an API client says that no recording comes', () => {
    const keys = { baseUrl: undefined, clientId: undefined, clientSecret: undefined }
    const events = (pbx().vendor.place?.(sample()) ?? []).flatMap(({ body }) => read(body, keys))
    expect(progressOf(events)).toEqual({ ended: true, recording: 'none' })
    for (const one of ['baseUrl', 'clientId', 'clientSecret'])
      expect(config.safeParse({ ...SETTINGS, [one]: undefined }).success).toBe(false)
  })

  it.each([
    [sample(), { direction: 'inbound', result: 'answered', talkMs: 60_000, ringMs: 8000 }],
    [sample({ direction: 'outbound' }), { direction: 'outbound', result: 'answered', talkMs: 60_000 }],
    [sample({ result: 'no_answer' }), { direction: 'inbound', result: 'no_answer' }],
    [sample({ direction: 'outbound', result: 'busy' }), { direction: 'outbound', result: 'no_answer' }],
  ])('tells the call (%#)', (call, wanted) => {
    const events = played(pbx().vendor, call)
    expect(fold(events)).toMatchObject({ ...wanted, customer: { phone: '+33639980142' } })
    expect(progressOf(events)).toEqual({
      ended: true,
      recording: call.result === 'answered' ? 'ready' : 'none',
    })
  })
})

describe('journal and log', () => {
  it.each([
    sample(),
    sample({ direction: 'outbound' }),
    sample({ result: 'no_answer' }),
    sample({ direction: 'outbound', result: 'busy' }),
  ])('tell of one call, not of two (%#)', async (call) => {
    const { vendor, ctx } = pbx()
    const told = played(vendor, call)
    const [logged, ...more] = await listed(ctx)
    expect(more).toEqual([])
    if (!logged || !told[0]) throw new Error('nothing came')
    expect(idsOf(logged).isDisjointFrom(idsOf(told[0]))).toBe(false)
    const [once, both] = [fold(told), fold([logged, ...told])]
    expect(both).toEqual(fold([...told, logged, ...told]))
    for (const key of ['direction', 'result', 'customer', 'agent', 'recordings', 'ringMs'] as const)
      if (once[key] !== undefined && key !== 'ringMs')
        expect(both[key], key).toMatchObject(once[key] as object)
    expect(await listed(ctx)).toEqual([logged])
  })

  const rows = (startMs: number, more: Record<string, unknown> = {}) =>
    callLog.parse({
      value: [
        {
          CdrId: 'cdr-1',
          MainCallHistoryId: 'history-1',
          StartTime: new Date(startMs).toISOString(),
          Direction: 'Inbound',
          Answered: true,
          SourceCallerId: '0639980142',
          DestinationDn: '101',
          RingingDuration: 'PT8S',
          TalkingDuration: 'PT1M4.08S',
          ...more,
        },
      ],
    }).value
  const context = { config: config.parse(SETTINGS), region: 'FR' }
  const loggedAt = (startMs: number, more?: Record<string, unknown>) =>
    toLoggedEvent(rows(startMs, more), context)
  const toldAt = (startMs: number, more: Record<string, unknown> = {}) =>
    read(
      JSON.stringify({ call_type: 'Inbound', number: '+33639980142', start_ms: String(startMs), ...more }),
    )[0]

  it('any two starts less than five seconds apart are near, any ten seconds apart are not', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1e12, max: 2e12 }),
        fc.integer({ min: -4999, max: 4999 }),
        (at, apart) => {
          const [logged, told] = [loggedAt(at), toldAt(at + apart)]
          if (!logged || !told) throw new Error('nothing came')
          expect(idsOf(logged).isDisjointFrom(idsOf(told))).toBe(false)
        },
      ),
    )
    fc.assert(
      fc.property(fc.integer({ min: 1e12, max: 2e12 }), fc.integer({ min: 10_000 }), (at, apart) => {
        const [logged, told] = [loggedAt(at), toldAt(at + apart)]
        if (!logged || !told) throw new Error('nothing came')
        expect(idsOf(logged).isDisjointFrom(idsOf(told))).toBe(true)
      }),
    )
  })

  it.each([
    ['another number', { number: '+33639980143' }],
    ['another type', { call_type: 'Missed' }],
    ['no number', { number: '' }],
  ])('%s is another call', (_, more) => {
    const [logged, told] = [loggedAt(NOW), toldAt(NOW, more)]
    if (!logged || !told) throw new Error('nothing came')
    expect(idsOf(logged).isDisjointFrom(idsOf(told))).toBe(true)
  })

  it('a queue’s answer is not an agent’s; calls between extensions are passed over', () => {
    const queue = { CallType: 'Queue', DestinationDn: '800', Direction: 'Inbound Queue' }
    expect(loggedAt(NOW, queue)?.facts).toMatchObject({ result: 'no_answer', agent: { group: '800' } })
    expect(loggedAt(NOW, { Direction: 'Internal' })).toBeNull()
    const both = [
      ...rows(NOW, { ...queue, CdrId: 'cdr-0' }),
      ...rows(NOW + 20_000, { DstRecId: 7, SrcRecId: 7 }),
    ]
    expect(toLoggedEvent(both, context)?.facts).toMatchObject({
      result: 'answered',
      answeredAt: '2026-03-04T11:30:28.000Z',
      endedAt: '2026-03-04T11:31:32.080Z',
      agent: { extension: '101', group: '800' },
      recordings: [{ key: 'recording-1' }],
    })
  })
})

describe('the call log', () => {
  it('is read to its last page, a day at a time, and a call of two days comes once', async () => {
    const { vendor, ctx, sent } = pbx()
    const midnight = NOW - 86_400_000
    for (let i = 0; i < 501; i++)
      vendor.place?.(sample({ id: `call-${i}`, startedAt: midnight + i * 60_000 }))
    vendor.place?.(sample({ id: 'just-now', startedAt: NOW - 70_000 }))
    const events = await listed(ctx, midnight - 86_400_000)
    expect(events).toHaveLength(501)
    expect(new Set(events.map(({ key }) => key)).size).toBe(501)
    expect(sent.filter((path) => path.includes('$skip=500'))).toHaveLength(1)
    expect(sent.find((path) => path.includes('GetCallLogData'))).toContain("sourceFilter=''")
    expect(sent.join()).not.toMatch(/GetCallLogData[^,]*\$(?:orderby|filter)/)
  })
})

describe('a recording', () => {
  it('is the one of that time and number, asked for with one token while it is good', async () => {
    const { vendor, ctx, sent, clock } = pbx()
    const other = { bytes: new Uint8Array([9]), format: 'wav', durationMs: 1 } as const
    vendor.place?.(sample({ id: 'other', customerPhone: '+33639980143', audio: other }))
    vendor.place?.(sample({ id: 'earlier', startedAt: NOW - 700_000, audio: other }))
    const call = fold(played(vendor, sample()))
    const ask = async () => {
      const response = await fetchRecording?.({ key: 'recording-1', state: 'ready' }, call, ctx)
      return [...new Uint8Array((await response?.arrayBuffer()) ?? new ArrayBuffer(0))]
    }
    expect(await ask()).toEqual([1, 2, 3])
    expect(await ask()).toEqual([1, 2, 3])
    expect(sent.filter((path) => path === '/connect/token')).toHaveLength(1)
    clock.now += 61_000
    expect(await ask()).toEqual([1, 2, 3])
    expect(sent.filter((path) => path === '/connect/token')).toHaveLength(2)
  })

  it('is looked for among what comes back once more: by time and number, in the order of the ids', () => {
    const call = fold(played(pbx().vendor, sample()))
    const row = (Id: number, afterMs: number, FromCallerNumber = '33639980142') => ({
      ...{ Id, StartTime: NOW - 600_000 + afterMs, FromCallerNumber },
      ...{ FromDn: undefined, ToDn: '101', ToCallerNumber: '101' },
    })
    const rows = [row(9, 40_000), row(7, 8000), row(3, -5001), row(4, 73_001), row(8, 8000, '33639980143')]
    const found = recordingsOf(call, rows, { config: config.parse(SETTINGS), region: 'FR' })
    expect(found.map(({ Id }) => Id)).toEqual([7, 9])
  })

  it('a token that somebody else’s made useless is replaced once', async () => {
    const { vendor, ctx, clock, sent } = pbx()
    const call = fold(played(vendor, sample()))
    const ask = () => fetchRecording?.({ key: 'recording-1', state: 'ready' }, call, ctx)
    await ask()
    clock.now += 31_000
    await vendor.app.request('/connect/token', {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        client_id: '900',
        client_secret: SETTINGS.clientSecret,
      }).toString(),
    })
    expect((await ask())?.status).toBe(200)
    expect(sent.filter((path) => path === '/connect/token')).toHaveLength(2)
  })

  it('of a withheld number is told by the journal alone: nothing would join it with the log', async () => {
    const { vendor, ctx } = pbx()
    vendor.place?.(sample({ id: 'withheld', customerPhone: 'anonymous' }))
    vendor.place?.(sample({ id: 'shown' }))
    expect(
      (await listed(ctx, NOW - 86_400_000)).map(
        ({ facts }) => facts.from?.phoneRaw ?? facts.dialed?.phoneRaw,
      ),
    ).toEqual([sample().customerPhone])
  })

  it('of a withheld number is that of the agent', async () => {
    const { vendor, ctx } = pbx()
    vendor.place?.(sample({ id: 'withheld', customerPhone: 'anonymous' }))
    const call = { ...fold(played(vendor, sample())), customer: { phone: null, phoneRaw: '' } }
    const recording = { key: 'recording-1', state: 'ready' } as const
    expect((await fetchRecording?.(recording, call, ctx))?.status).toBe(200)
    const nobody = { ...call, agent: {} }
    expect(await fetchRecording?.(recording, nobody, ctx).then(() => null, asCordboardError)).toMatchObject({
      code: 'not_found',
    })
  })

  it('that is missing may still come for a quarter of an hour; wrong keys are refused', async () => {
    const { vendor, ctx, clock } = pbx()
    const call = fold(played(vendor, sample()))
    const ask = async (key: string, asking = ctx) =>
      fetchRecording?.({ key, state: 'ready' }, call, asking).then(() => null, asCordboardError)
    expect(await ask('recording-2')).toMatchObject({ code: 'not_found', retry: 'later' })
    expect(await ask('17')).toMatchObject({ code: 'not_found', retry: 'never' })
    vendor.fail({
      fault: { kind: 'status', status: 400, body: 'WARNINGS.XAPI.FILE_NOT_FOUND' },
      path: 'Download',
    })
    expect(await ask('recording-1')).toMatchObject({ code: 'not_found', retry: 'later' })
    vendor.fail({ fault: { kind: 'status', status: 400 }, path: 'Download' })
    expect(await ask('recording-1')).toMatchObject({ code: 'rejected' })
    clock.now += 15 * 60_000
    expect(await ask('recording-2')).toMatchObject({ code: 'not_found', retry: 'never' })
    expect(await ask('recording-1', pbx({ clientSecret: 'another-secret' }).ctx)).toMatchObject({
      code: 'auth',
    })
    const without = pbx({ baseUrl: undefined, clientId: undefined, clientSecret: undefined }).ctx
    expect(await ask('recording-1', without)).toMatchObject({ code: 'config' })
    expect((await connector.check(without)).warnings?.[0]?.what).toMatch(/no API client/)
  })
})

describe('the template', () => {
  const root = parseXml(
    readFileSync(new URL('../../connectors/3cx/pbx/cordboard.xml', import.meta.url), 'utf8'),
  )
  const all = (name: string, element: XmlElement = root): XmlElement[] => [
    ...(element.name === name ? [element] : []),
    ...element.children.flatMap((child) => all(name, child)),
  ]
  const keyed = all('PostValues').flatMap(({ children }) => children)
  /** https://www.3cx.com/docs/crm-template-xml-description/ (2026-11-20): what ReportCall may use, and its parameters. */
  const VARIABLES =
    'CallType CallDirection Number Name EntityId EntityType Agent AgentFirstName AgentLastName AgentEmail QueueExtension ' +
    'Duration DateTime CallStartTimeUTCMillis CallEstablishedTimeUTCMillis CallEndTimeUTCMillis RecordingUrl'

  it('posts exactly what the connector reads, each from a variable that there is, in one pass', () => {
    expect(root.name).toBe('Crm')
    expect(keyed.map(({ attributes }) => attributes.Key)).toEqual(Object.keys(journal.shape))
    for (const { attributes, text } of keyed) {
      expect(attributes).toMatchObject({ Passes: '1', Type: 'String' })
      expect(VARIABLES.split(' ')).toContain(/^\[(\w+)\]$/.exec(text)?.[1])
    }
  })

  it('what it posts for a call verifies and is read', async () => {
    const values: Record<string, string> = {
      CallType: 'Missed',
      Number: '0639980142',
      CallStartTimeUTCMillis: '1772623353120',
      CallEndTimeUTCMillis: '1772623361020',
    }
    const body = Object.fromEntries(
      keyed.map(({ attributes, text }) => [
        attributes.Key,
        text.replace(/^\[(\w+)\]$/, (whole, name) => values[name] ?? whole),
      ]),
    )
    expect(read(JSON.stringify(body))).toMatchObject([
      { facts: { direction: 'inbound', result: 'no_answer', from: { phone: '+33639980142' } } },
    ])
    const [authentication] = all('Authentication')
    expect(authentication?.attributes.Type).toBe('Basic')
    const pair = authentication?.children[0]?.text.replace('[ApiKey]', SETTINGS.apiKey)
    const verification = webhook?.verify(config.parse(SETTINGS))
    expect(verification).toMatchObject({ scheme: 'token', secrets: [pair] })
  })

  it('uses parameters that it declares, and reports callers without a contact too', () => {
    const declared = all('Parameter').map(({ attributes }) => attributes.Name)
    const [request, ...others] = all('Request')
    expect(others).toEqual([])
    expect(request?.attributes).toMatchObject({
      SkipIf: '[ReportCallEnabled]!=True',
      Url: '[Url]',
      RequestType: 'Post',
      RequestEncoding: 'Json',
    })
    const [, key = ''] = /^\[(\w+)\]:X$/.exec(all('Authentication')[0]?.children[0]?.text ?? '') ?? []
    expect(declared).toEqual(expect.arrayContaining(['ReportCallEnabled', 'Url', key, 'MaxLength']))
    // ReportCall has none of its own.
    expect([...all('Variables'), ...all('Outputs')]).toEqual([])
  })
})
