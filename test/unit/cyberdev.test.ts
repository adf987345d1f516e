import fc from 'fast-check'
import { expect, test } from 'vitest'
import { connector } from '../../connectors/cyberdev/connector.ts'
import {
  at,
  carries,
  codeOf,
  metadataCsv,
  toAnalysis,
  toMetadata,
  toTranscription,
  transcriptionsCsv,
} from '../../connectors/cyberdev/map.ts'
import { createSandbox } from '../../connectors/cyberdev/sandbox.ts'
import { type Config, config } from '../../connectors/cyberdev/schema.ts'
import { analysis as analysisSchema } from '../../src/call/analysis.ts'
import { type Call, call } from '../../src/call/call.ts'
import { createContext } from '../../src/connector/context.ts'
import type { ConnectorContext, OperationContext, SubmitRequest } from '../../src/connector/contract.ts'
import { fetchFrom } from '../kit/in-process.ts'
import { testSigner } from '../kit/signer.ts'

const settings = { baseUrl: 'https://cyberdev.example.com', token: 'token', segmentType: 'sales' }
const parsed = (keys: object = {}): Config => config.parse({ ...settings, ...keys })
const aCall = (keys: object = {}): Call =>
  call.parse({
    id: 'call_1',
    source: { connection: 'pbx', callId: '1' },
    direction: 'inbound',
    startedAt: '2026-11-20T08:59:30.250Z',
    talkMs: 61_500,
    segment: 'helpdesk',
    customer: { phone: '+37400000000', phoneRaw: '+37400000000' },
    agent: { extension: '101', name: 'Smith, "Jo"', group: 'East' },
    disconnectReason: 'completed',
    ...keys,
  })
const request = (keys: object = {}, tracks: object = { left: 'agent' }): SubmitRequest => ({
  submissionId: 'sub_1',
  name: 'sub_a',
  call: aCall(keys),
  audio: {
    recording: { key: 'r', state: 'ready', tracks },
    fileName: 'sub_a.mp3',
    format: 'mp3',
    open: () => Promise.reject(new Error('not here')),
    url: async () => null,
  },
})
const said = (
  text: string,
  party: 'agent' | 'customer' | 'other' = 'agent',
  keys: object = {},
): SubmitRequest => ({
  submissionId: 'sub_1',
  name: 'sub_a',
  call: aCall(keys),
  text: { turns: [{ party, text }] },
})

test('a recording is a row with the columns in their order', () => {
  const row = toMetadata(request(), parsed({ segments: { helpdesk: 'support' } }))
  expect(metadataCsv([row])).toBe(
    'audio_file_name,client_phone_number,operator_name,start_time,segment_type,right_channel,left_channel,' +
      'partner_call_id,direction,operator_group_name,disconnect_reason\r\n' +
      'sub_a.mp3,+37400000000,"Smith, ""Jo""",2026-11-20T08:59:30,support,client,operator,sub_a,inbound,East,completed\r\n',
  )
})

test('a transcript is a row with operator and group as the connection says', () => {
  const operators = { '101': { id: 'OP-567', name: 'Jo', group: 'Sales Team' } }
  const row = toTranscription(said('Hi <client> \n there'), parsed({ operators, groupColumn: 'group_name' }))
  expect(transcriptionsCsv([row])).toBe(
    'client_phone_number,operator_name,duration,anonymized_text,start_time,segment_type,partner_call_id,operator_id,' +
      'direction,group_name,operator_group_name,disconnect_reason\r\n' +
      '+37400000000,Jo,62,<operator> Hi client there,2026-11-20T08:59:30,sales,sub_a,OP-567,inbound,Sales Team,,completed\r\n',
  )
})

test('tags and tracks of the connection serve where nobody else says', () => {
  const tags = parsed({ agentTag: 'оператор', customerTag: 'клиент' })
  expect(toTranscription(said('да', 'customer'), tags).anonymized_text).toBe('<клиент> да')
  const own = parsed({ tracks: { left: 'customer', right: 'agent' } })
  expect(toMetadata(request({}, { left: 'both' }), own)).toMatchObject({ left_channel: 'client' })
  expect(toMetadata(request({}, { right: 'customer' }), own)).toMatchObject({ left_channel: 'operator' })
})

test.each([
  ['who is on which track', () => toMetadata(request({}, {}), parsed())],
  ['number', () => toMetadata(request({ customer: { phone: null, phoneRaw: 'x' } }), parsed())],
  ['agent', () => toMetadata(request({ agent: undefined }), parsed())],
  ['time', () => toMetadata(request({ startedAt: undefined }), parsed())],
  ['who said', () => toTranscription(said('hm', 'other'), parsed())],
  ['empty', () => toTranscription(said(' <> '), parsed())],
  ['length', () => toTranscription(said('x', 'agent', { talkMs: undefined }), parsed())],
])('what the vendor would refuse is refused before: %s', (why, make) => {
  expect(make).toThrow(expect.objectContaining({ code: 'rejected', message: expect.stringContaining(why) }))
})

test('what a connection says of unknown callers and agents makes such calls fit', () => {
  const keys = { customer: { phone: null, phoneRaw: '' }, agent: undefined }
  const row = toMetadata(request(keys), parsed({ withheldPhone: '0000000', operatorName: 'Front desk' }))
  expect(row).toMatchObject({ client_phone_number: '0000000', operator_name: 'Front desk' })
})

test('a call is known by our id in whichever field it stands, and only by the whole of it', () => {
  expect(carries({ a: [{ b: { c: 'sub_a' } }] }, 'sub_a')).toBe(true)
  expect(carries({ a: [{ b: 'sub_ab' }], sub_a: 1 }, 'sub_a')).toBe(false)
})

test('a path leads to own fields only', () => {
  expect([at({ a: [{ b: 1 }] }, 'a.0.b'), at({}, 'constructor.name'), at({ a: 'x' }, 'a.length')]).toEqual([
    1,
    undefined,
    undefined,
  ])
})

test('whatever stands at the paths, an analysis comes out', () => {
  const paths = parsed({
    results: {
      transcript: 't',
      sentiment: 's',
      scores: 'n',
      topics: 'l',
      notes: 'o',
      link: 'u',
      title: 'a.b',
    },
  }).results
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom('t', 's', 'n', 'l', 'o', 'u', 'a'), fc.jsonValue()), (item) => {
      const result = toAnalysis(item, paths ?? {})
      expect(analysisSchema.parse(result)).toEqual(result)
    }),
  )
  const item = {
    t: '<operator> Hi',
    s: 'Mixed',
    n: { script: 87, x: 'y' },
    l: ['a', 1],
    o: { k: true },
    u: 'https://x.test/1',
  }
  expect(toAnalysis(item, paths ?? {})).toEqual({
    transcript: { turns: [{ party: 'agent', text: 'Hi' }] },
    sentiment: 'mixed',
    scores: { script: { value: 87 } },
    topics: ['a', '1'],
    notes: { k: 'true' },
    link: 'https://x.test/1',
    raw: item,
  })
})

test.each([
  ['AUTH_INVALID_TOKEN', 'auth'],
  ['AUTH_UNAUTHORIZED', 'forbidden'],
  ['FILE_NOT_FOUND', 'gone'],
  ['EMPTY_CELL', 'rejected'],
  ['MISSING_COLUMNS', 'invalid_payload'],
  ['toString', undefined],
])('%s is %s', (code, means) => {
  expect(codeOf(code)).toBe(means)
})

/** One account with its stand-in. */
function account(keys: object = {}) {
  const own = parsed(keys)
  const { app, fail } = createSandbox({
    now: () => 0,
    random: Math.random,
    later: () => undefined,
    baseUrl: settings.baseUrl,
    signer: testSigner,
    account: { ...settings, ...keys },
    deliver: async () => ({ status: 200 }),
    transcriptOf: () => null,
  })
  const asked: string[] = []
  const http = fetchFrom(app)
  const ctx = createContext({
    connection: {
      id: 'acme',
      connector,
      settings: own,
      region: undefined,
      allowPrivate: [],
      concurrency: 1,
      recordingWaitMs: undefined,
      secrets: [],
    },
    publicUrl: undefined,
    http: (url, init) => {
      asked.push(`${init.method} ${url.pathname}${url.search}`)
      return http(url, init)
    },
    budgets: { take: () => 0 },
    tokens: { get: () => Promise.reject(new Error('it has none')) },
    now: () => 0,
    random: Math.random,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    signal: new AbortController().signal,
  }) as ConnectorContext<Config>
  return { ctx, asked, fail }
}

const page = (data: object[], total = data.length) =>
  ({ kind: 'status', status: 200, body: { status: 'success', data, total } }) as const

test('an id is looked for page by page, and no further than needed', async () => {
  const { ctx, asked, fail } = account()
  const others = Array.from({ length: 100 }, (_, i) => ({ i }))
  fail({ fault: page(others, 150) })
  fail({ fault: page([{ x: { partner: 'sub_a' } }], 150) })
  expect(await connector.analysis?.find?.(request(), ctx)).toBe('sub_a')
  expect(asked).toEqual([
    'GET /api/v1/calls?search_query=sub_a&offset=0&limit=100',
    'GET /api/v1/calls?search_query=sub_a&offset=100&limit=100',
  ])
})

test('a call that is found and does not show our id is ours only where the search is trusted', async () => {
  const trusted = account({ trustSearch: true })
  trusted.fail({ fault: page([{ other: 1 }]) })
  expect(await connector.analysis?.find?.(request(), trusted.ctx)).toBe('sub_a')
  // Sent again it might be paid for twice.
  const { ctx, fail } = account()
  fail({ fault: page([{ other: 1 }]) })
  await expect(connector.analysis?.find?.(request(), ctx)).rejects.toMatchObject({
    code: 'ambiguous',
    retry: 'never',
  })
})

const OWN = 'sub_J1TEJ28B28CVVKA5'
const OTHERS = 'sub_8CVVKA5J1TEJ28B2'

test('a search that finds what is only similar says that ours is not there', async () => {
  const { ctx, fail } = account()
  fail({ fault: page([{ partner: OTHERS }]) })
  expect(await connector.analysis?.find?.({ ...request(), name: OWN }, ctx)).toBeNull()
})

test('a lost answer is sent again only where calls are known to be found by our ids', async () => {
  const asked = { ...request(), name: OWN, state: { of: OWN, askedAt: -600_000 } }
  const found = async (keys: object, ...pages: object[][]) => {
    const { ctx, fail } = account(keys)
    for (const data of pages) fail({ fault: page(data) })
    return connector.analysis?.find?.(asked, ctx)
  }
  expect(await found({}, [], [])).toBeNull()
  expect(await found({}, [], [{ a: 1 }, { b: [OTHERS] }])).toBeNull()
  expect(await found({ trustSearch: true }, [])).toBeNull()
  await expect(found({}, [], [{ a: 1 }])).rejects.toMatchObject({ code: 'ambiguous', retry: 'never' })
  await expect(found({}, [], [{ a: OWN.toLowerCase() }])).rejects.toMatchObject({ code: 'ambiguous' })
})

test('a file of many of which the answer got lost is not sent again on a guess either', async () => {
  const { ctx, asked, fail } = account()
  fail({ fault: page([]) })
  fail({ fault: page([{ a: 1 }]) })
  const many = [{ ...said('hello'), name: OWN }]
  const state = { of: 'bat_1', askedAt: -600_000 }
  const submit = connector.analysis?.batch?.submit(
    { batchId: 'bat_1', many, state },
    { ...ctx, checkpoint: async () => undefined },
  )
  await expect(submit).rejects.toMatchObject({ code: 'ambiguous' })
  expect(asked.every((request) => request.startsWith('GET '))).toBe(true)
})

test('a finished call that shows no id waits for the operator, not for the end of the day', async () => {
  const { ctx, fail } = account({ results: { summary: 'llm' } })
  fail({ fault: page([{ other: 1 }]) })
  await expect(connector.analysis?.poll?.(OWN, ctx)).rejects.toMatchObject({
    code: 'config',
    fix: expect.stringContaining('trustSearch'),
  })
})

test('what may have been sent a moment ago is not taken for absent', async () => {
  const { ctx } = account()
  const sent = { ...request(), state: { of: 'sub_a', askedAt: -5_000 } }
  await expect(connector.analysis?.find?.(sent, ctx)).rejects.toMatchObject({
    code: 'ambiguous',
    retry: { afterMs: 595_000 },
  })
  const before = { ...request(), state: { of: 'sub_a', askedAt: -600_000 } }
  expect(await connector.analysis?.find?.(before, ctx)).toBeNull()
})

test('an answer with an error in it is one, whatever its status', async () => {
  const { ctx, fail } = account()
  fail({ fault: { kind: 'status', status: 200, body: { status: 'error', code: 'AUTH_UNAUTHORIZED' } } })
  await expect(connector.check(ctx)).rejects.toMatchObject({ code: 'forbidden' })
  fail({ fault: { kind: 'status', status: 400, body: { status: 'error', code: 'AUTH_INVALID_TOKEN' } } })
  await expect(connector.check(ctx)).rejects.toMatchObject({ code: 'auth' })
})

test('the check says when nobody has named the fields of a result', async () => {
  expect((await connector.check(account().ctx)).warnings?.[0]?.fix).toContain('calls list')
  expect(await connector.check(account({ results: { summary: 'x' } }).ctx)).toEqual({
    says: 'token accepted, 0 calls',
  })
})

test('people list calls by status and text', async () => {
  const { ctx, asked } = account()
  const list = connector.operations?.calls?.list
  const input = list?.input.parse({ status: 'completed', search: 'refund', limit: '20' }) ?? {}
  const operation: OperationContext<Config> = {
    ...ctx,
    file: () => {
      throw new Error('none was given')
    },
    redact: (text) => text,
  }
  expect(await list?.run(input, operation as never)).toEqual({ data: [], total: 0 })
  expect(asked).toEqual(['GET /api/v1/calls?status=completed&search_query=refund&offset=0&limit=20'])
})
