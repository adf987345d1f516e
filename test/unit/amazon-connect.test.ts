import { createHash, createHmac } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { connector } from '../../connectors/amazon-connect/connector.ts'
import { MOMENTS } from '../../connectors/amazon-connect/map.ts'
import { checkSignature } from '../../connectors/amazon-connect/sandbox/signature.ts'
import { createSandbox } from '../../connectors/amazon-connect/sandbox.ts'
import { config } from '../../connectors/amazon-connect/schema.ts'
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
import { arnOf, expectComplete, expectDelivery, matches, setUpOf, type Template } from './set-up.ts'

const NOW = Date.parse('2026-03-04T11:30:00.000Z')
const INSTANCE = 'arn:aws:connect:eu-west-2:111122223333:instance/1d908e11-3d5f-4cfb-b34d-1e7e0f216898'
const SETTINGS = {
  instanceArn: INSTANCE,
  token: 'cnct_0123456789',
  accessKeyId: 'AKIDCORDBOARD0000001',
  secretAccessKey: 'invented-secret-of-the-iam-user-0001',
}
const FOLDER = new URL('../../connectors/amazon-connect/', import.meta.url)
const { webhook, recording: fetchRecording, recordingUrl, calls: listCalls } = connector.telephony ?? {}
const silent = () => undefined

interface Sent {
  url: URL
  method: string
  authorization: string | undefined
}

/** `given` is what the connection is configured with, the stand-in's account always the one above. */
function account(given: Record<string, unknown> = {}, answer?: (url: URL) => Response | undefined) {
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
    baseUrl: 'https://aws.example.com',
    signer: testSigner,
    account: SETTINGS,
    deliver: async () => ({ status: 200 }),
    transcriptOf: () => null,
  })
  const sent: Sent[] = []
  const direct = fetchFrom(vendor.app)
  const http: HttpFetch = async (url, request) => {
    sent.push({ url, method: request.method, authorization: request.headers.authorization })
    return answer?.(url) ?? direct(url, request)
  }
  const settings = config.parse({ ...SETTINGS, baseUrl: 'https://aws.example.com', ...given })
  const ctx = createContext({
    connection: {
      id: 'connect',
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
    tokens: createMemoryTokens({ now: () => NOW }),
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

function read(body: string): CallEvent[] {
  const request = inboundRequest({
    method: 'POST',
    url: 'https://hooks.example.com/hooks/connect',
    path: '',
    headers: [['content-type', 'application/json']],
    body: new TextEncoder().encode(body),
    receivedAt: new Date(NOW).toISOString(),
  })
  const received = webhook?.receive(request, {
    connection: 'connect',
    config: config.parse(SETTINGS),
    region: 'FR',
  })
  return received && 'events' in received ? received.events : []
}

const fold = (events: CallEvent[]) => foldEvents(events, { id: 'call_1', connection: 'connect' })
const fixture = (name: string) =>
  JSON.parse(readFileSync(new URL(`fixtures/${name}.json`, FOLDER), 'utf8')).request.body as string
const told = (...names: string[]) => names.flatMap((name) => read(fixture(name)))
const played = (vendor: ReturnType<typeof account>['vendor'], call: SampleCall) =>
  (vendor.place?.(call) ?? []).flatMap(({ body }) => read(body))

async function listed(ctx: ReturnType<typeof account>['ctx'], since = NOW - 86_400_000 * 2) {
  const events: CallEvent[] = []
  for await (const page of listCalls?.(new Date(since).toISOString(), ctx) ?? []) events.push(...page)
  return events
}

describe('the set-up of the README', () => {
  const setUp = setUpOf('amazon-connect')
  const made = setUp.resources

  it('names only what it makes, and is told every parameter', () => {
    expectComplete(setUp)
  })

  it('sends the key in the header that is verified', () => {
    const { AuthorizationType: kind, AuthParameters: auth } = made.Connection.Properties
    const { ApiKeyName: header, ApiKeyValue: value } = auth.ApiKeyAuthParameters
    expect(kind).toBe('API_KEY')
    expect(webhook?.verify(config.parse(SETTINGS))).toMatchObject({ scheme: 'token', place: { header } })
    expect(value).toEqual({ Ref: 'Token' })
  })

  it('its rule matches exactly the contact events that say something', () => {
    const pattern = made.Rule.Properties.EventPattern
    expect(pattern.detail.eventType.toSorted()).toEqual(Object.keys(MOMENTS).toSorted())
    let matched = 0
    for (const file of readdirSync(new URL('fixtures/', FOLDER))) {
      if (!/event|completed|lens/.test(file)) continue
      const event = JSON.parse(fixture(file.replace('.json', '')))
      if (!('detail-type' in event)) continue
      const isMatch = matches(pattern, event)
      if (read(JSON.stringify(event)).length > 0) expect(isMatch, file).toBe(true)
      if (/completed|lens/.test(file)) expect(isMatch, file).toBe(false)
      matched += isMatch ? 1 : 0
    }
    expect(matched).toBeGreaterThan(4)
  })

  it('what is not delivered is kept in a queue that both rule and pipe may write to', () => {
    expectDelivery(setUp)
    const pipe = made.Pipe.Properties
    expect(pipe).toMatchObject({
      RoleArn: arnOf('Sender'),
      Source: arnOf('ContactRecords'),
      Target: arnOf('Destination'),
    })
    expect(pipe.SourceParameters.KinesisStreamParameters).toMatchObject({
      BatchSize: 1,
      DeadLetterConfig: { Arn: arnOf('Undelivered') },
    })
    const { AssumeRolePolicyDocument: trust, Policies: policies } = made.Sender.Properties
    expect(trust.Statement[0].Principal.Service).toContain('pipes.amazonaws.com')
    const statements: Template[] = policies[0].PolicyDocument.Statement
    const allowed = statements.flatMap((one) => [one.Action].flat().map((action) => [action, one.Resource]))
    expect(allowed).toContainEqual(['sqs:SendMessage', arnOf('Undelivered')])
    expect(allowed).toContainEqual(['kinesis:GetRecords', arnOf('ContactRecords')])
  })

  it('what its pipe sends is read, whether the pipe decodes the record or not', () => {
    const template = made.Pipe.Properties.TargetParameters.InputTemplate as string
    const record = JSON.parse(fixture('record-bare'))
    const base64 = JSON.stringify(Buffer.from(JSON.stringify(record)).toString('base64'))
    const bodies = [JSON.stringify(record), base64].map((data) => template.replace('<$.data>', data))
    expect(bodies.map(read)).toEqual([told('record-bare'), told('record-bare')])
    expect(read(bodies[0] ?? '')).toHaveLength(1)
  })

  it('its user may do what is asked for, and nothing else', async () => {
    const { vendor, ctx, sent } = account()
    const call = fold(played(vendor, sample()))
    await connector.check(ctx)
    await listed(ctx)
    await fetchRecording?.(call.recordings[0] as Recording, call, ctx)
    const actions = new Map([
      [/^\/search-contacts$/, 'connect:SearchContacts'],
      [/^\/contacts\//, 'connect:DescribeContact'],
      [/^\/users\//, 'connect:DescribeUser'],
      [/^\/queues\//, 'connect:DescribeQueue'],
      [/^\/amazon-connect-/, 's3:GetObject'],
    ])
    const used = sent.map(({ url }) => [...actions].find(([path]) => path.test(url.pathname))?.[1])
    const statements: Template[] = made.Reader.Properties.Policies[0].PolicyDocument.Statement
    const granted = statements.flatMap((one) => one.Action)
    // Behind s3:GetObject: whether a file is there at all, and the key that it is encrypted with.
    expect([...new Set(used), 's3:ListBucket', 'kms:Decrypt'].toSorted()).toEqual(granted.toSorted())
  })
})

describe('a call', () => {
  it.each([
    ['inbound', 'answered', 'answered'],
    ['inbound', 'no_answer', 'no_answer'],
    ['outbound', 'answered', 'answered'],
    ['outbound', 'no_answer', 'no_answer'],
    ['outbound', 'busy', 'busy'],
  ] as const)('%s, %s, comes to its right end', (direction, result, expected) => {
    const { vendor } = account()
    const { audio, ...rest } = sample({ direction, result })
    const events = played(vendor, result === 'answered' ? { ...rest, ...(audio ? { audio } : {}) } : rest)
    const call = fold(events)
    expect(call).toMatchObject({
      direction,
      result: expected,
      customer: { phone: '+33639980142' },
      startedAt: new Date(NOW - 3_600_000).toISOString(),
    })
    expect(progressOf(events)).toEqual({ ended: true, recording: result === 'answered' ? 'ready' : 'none' })
    if (result === 'answered') expect(call).toMatchObject({ talkMs: 60_000, agent: { name: 'alice.martin' } })
    else expect(call.answeredAt).toBeUndefined()
  })

  it('is not ended by its contact events: it may have been transferred', () => {
    const moments = told('event-initiated', 'event-queued', 'event-agent-other-case', 'event-disconnected')
    expect(progressOf(moments).ended).toBe(false)
    expect(fold(moments)).toMatchObject({ answeredAt: '2025-12-29T09:00:10.000Z', direction: 'inbound' })
    expect(progressOf([...moments, ...told('record-inbound')])).toEqual({ ended: true, recording: 'ready' })
  })

  it('waits for a recording that has no status yet', () => {
    const first = told('record-inbound-before-recording')
    expect(progressOf(first)).toEqual({ ended: true, recording: 'pending' })
    expect(progressOf([...told('record-inbound'), ...first]).recording).toBe('ready')
  })

  it('that was transferred goes on until the last contact, and both agents are on it', () => {
    const first = told('record-transfer-first')
    expect(progressOf(first).ended).toBe(false)
    const events = [...told('record-transfer-second'), ...first]
    expect(progressOf(events).ended).toBe(true)
    const call = fold(events)
    expect(call).toMatchObject({
      direction: 'inbound',
      customer: { phone: '+33639980142' },
      agent: { name: 'hugo.petit', group: 'Second line' },
      disconnectReason: 'CUSTOMER_DISCONNECT',
      totalMs: 360_000,
      talkMs: 350_000,
    })
    expect(call.holdMs).toBeUndefined()
    expect(call.legs.map(({ agent }) => agent?.name)).toEqual(['alice.martin', 'hugo.petit'])
    expect(call.recordings).toHaveLength(2)
  })

  it('whose customer gives up in the second queue was answered all the same', () => {
    const call = fold(told('record-then-queue-second', 'record-then-queue-first'))
    expect(call).toMatchObject({ result: 'answered', agent: { name: 'alice.martin', group: 'Support FR' } })
  })

  it('with a callback is inbound, and ends with it', () => {
    const call = fold(told('record-callback-asked', 'record-callback-done'))
    expect(call).toMatchObject({
      direction: 'inbound',
      result: 'answered',
      answeredAt: '2025-12-29T09:20:12.000Z',
      endedAt: '2025-12-29T09:22:12.000Z',
    })
  })

  it('with a third party has it as a leg; the customer stays who called', () => {
    const events = told('record-third-party', 'record-inbound')
    expect(fold(events)).toMatchObject({
      customer: { phone: '+33639980142' },
      endedAt: '2025-12-29T09:02:17.000Z',
    })
    expect(fold(events).legs.map(({ to }) => to)).toContain('+447700900123')
    expect(progressOf(told('record-third-party')).ended).toBe(false)
  })
})

describe('a recording', () => {
  const KEY = 'amazon-connect-0a1b2c3d4e5f/connect/acme/CallRecordings/2026/03/04/1_20260304T10:30_UTC.wav'
  const kept = (key = KEY): Recording => ({ key, format: 'wav', state: 'ready' })
  const aCall = (endedAt = NOW) =>
    callSchema.parse({
      id: 'call_1',
      source: { connection: 'connect', callId: '1' },
      endedAt: new Date(endedAt).toISOString(),
    })

  it.each([
    ['the bucket’s host', {}, KEY, 'https://amazon-connect-0a1b2c3d4e5f.s3.eu-west-2.amazonaws.com/connect/'],
    [
      'the region of the bucket',
      { bucketRegion: 'eu-west-1' },
      KEY,
      'https://amazon-connect-0a1b2c3d4e5f.s3.eu-west-1.amazonaws.com/',
    ],
    [
      'the path, when the bucket’s name has a dot',
      {},
      `a.b/${KEY}`,
      'https://s3.eu-west-2.amazonaws.com/a.b/amazon-',
    ],
    [
      'China’s domain',
      { instanceArn: INSTANCE.replace('aws', 'aws-cn').replace('eu-west-2', 'cn-north-1') },
      KEY,
      'https://amazon-connect-0a1b2c3d4e5f.s3.cn-north-1.amazonaws.com.cn/',
    ],
  ])('is asked of %s', async (_, keys, key, expected) => {
    const { ctx, sent } = account({ baseUrl: undefined, ...keys }, () => new Response('audio'))
    await fetchRecording?.(kept(key), aCall(), ctx)
    expect(sent[0]?.url.href).toContain(expected)
    expect(sent[0]?.url.href).toMatch(/_20260304T10%3A30_UTC\.wav$/)
    expect(sent[0]?.authorization).toMatch(/^AWS4-HMAC-SHA256 Credential=AKIDCORDBOARD0000001\//)
  })
  it.each([
    'no-slash',
    '/key',
    'Bucket/key',
    'evil.example.com:443/key',
    'a@b/key',
    'bucket/',
    'bucket/../../other',
  ])('at %s is asked of nobody', async (key) => {
    const { ctx, sent } = account({ baseUrl: undefined })
    expect(await fetchRecording?.(kept(key), aCall(), ctx).catch(asCordboardError)).toMatchObject({
      code: 'invalid_payload',
    })
    expect(sent).toEqual([])
  })
  it.each([
    [60_000, 'later'],
    [7_200_000, 'never'],
  ])('that is not there %i ms after the end is tried %s', async (age, retry) => {
    const { ctx } = account()
    const failure = await fetchRecording?.(kept(), aCall(NOW - age), ctx).catch(asCordboardError)
    expect(failure).toMatchObject({ code: 'not_found', retry })
  })
  it.each([
    ['SignatureDoesNotMatch', 403, 'auth'],
    ['InvalidAccessKeyId', 403, 'auth'],
    ['AccessDenied', 403, 'forbidden'],
    ['SlowDown', 503, 'vendor_down'],
  ])('refused with %s is %s %s', async (said, status, code) => {
    const { ctx } = account({}, () => new Response(`<Error><Code>${said}</Code></Error>`, { status }))
    expect(await fetchRecording?.(kept(), aCall(), ctx).catch(asCordboardError)).toMatchObject({ code })
  })
  it('has a link that S3 takes without credentials, until it expires', async () => {
    const { vendor, ctx, clock } = account()
    const call = fold(played(vendor, sample()))
    const link = (await recordingUrl?.(call.recordings[0] as Recording, call, ctx)) ?? ''
    expect(new URL(link).searchParams.get('X-Amz-Expires')).toBe('3600')
    const ask = async (url: string) => (await vendor.app.fetch(new Request(url))).status
    expect(await ask(link)).toBe(200)
    expect(await ask(link.replace('Expires=3600', 'Expires=7200'))).toBe(403)
    expect(await ask(link.replace('.wav', '.mp3'))).toBe(403)
    clock.now += 3_601_000
    expect(await ask(link)).toBe(403)
  })
})

describe('the list of contacts', () => {
  it('tells what the records tell, under the same keys', async () => {
    const { vendor, ctx } = account()
    const events = [
      ...played(vendor, sample()),
      ...played(vendor, sample({ id: 'two', direction: 'outbound', result: 'no_answer' })),
      ...played(vendor, sample({ id: 'three', result: 'no_answer' })),
    ]
    const again = await listed(ctx)
    const records = events.filter(({ key }) => /:(?:contact|unanswered):/.test(key))
    expect(records).toHaveLength(5)
    expect(again.map(({ key }) => key).toSorted()).toEqual(records.map(({ key }) => key).toSorted())
    const byKey = new Map(records.map((event) => [event.key, event]))
    for (const event of again) {
      // The API does not know how long the agent talked.
      const { talkMs: _, holdMs: __, ...facts } = byKey.get(event.key)?.facts ?? {}
      expect(event.facts).toEqual(facts)
    }
  })
  it('comes in pages, and what ended just now is left to its record', { timeout: 30_000 }, async () => {
    const { vendor, ctx, sent } = account()
    for (let n = 0; n < 130; n++) vendor.place?.(sample({ id: `call ${n}`, startedAt: NOW - 7_200_000 + n }))
    vendor.place?.(sample({ id: 'just now', startedAt: NOW - 120_000 }))
    expect((await listed(ctx)).length).toBe(130)
    expect(sent.filter(({ url }) => url.pathname === '/search-contacts')).toHaveLength(3)
    // One agent and one queue, asked for once each.
    expect(sent.filter(({ url }) => /users|queues/.test(url.pathname))).toHaveLength(2)
  })
  it('of a server that gives the same page for ever is an error', async () => {
    const page = { Contacts: [], NextToken: 'again' }
    const { ctx } = account({}, () => Response.json(page))
    expect(await listed(ctx).catch(asCordboardError)).toMatchObject({ code: 'invalid_payload' })
  })
  it('knows a contact that another one follows', async () => {
    const contact = (Id: string, more: object) => ({
      Contact: {
        Id,
        Channel: 'VOICE',
        InitiationMethod: 'INBOUND',
        LastUpdateTimestamp: NOW / 1000 - 3600,
        ...more,
      },
    })
    const { ctx } = account({}, ({ pathname }) => {
      if (pathname === '/search-contacts')
        return Response.json({ Contacts: [{ Id: 'a' }, { Id: 'b', PreviousContactId: 'a' }, { Id: 'gone' }] })
      if (pathname.endsWith('/a')) return Response.json(contact('a', {}))
      if (pathname.endsWith('/b'))
        return Response.json(
          contact('b', { InitialContactId: 'a', PreviousContactId: 'a', AgentInfo: { Id: 'left' } }),
        )
      return undefined
    })
    const events = await listed(ctx, NOW - 3_600_000)
    expect(events.filter(({ phase }) => phase === 'ended').map(({ alsoKnownAs }) => alsoKnownAs)).toEqual([
      ['b'],
    ])
  })
  it.each([
    ['UnrecognizedClientException', 403, 'auth'],
    ['AccessDeniedException', 403, 'forbidden'],
    ['ThrottlingException', 400, 'rate_limited'],
    ['TooManyRequestsException', 429, 'rate_limited'],
    ['InvalidParameterException', 400, 'rejected'],
  ])('refused with %s (%i) is %s', async (type, status, code) => {
    const refusal = () =>
      Response.json({ message: 'no' }, { status, headers: { 'x-amzn-errortype': `${type}:` } })
    const { ctx } = account({}, refusal)
    expect(await connector.check(ctx).catch(asCordboardError)).toMatchObject({ code })
  })
  it('with another secret is refused as `auth`', async () => {
    const { ctx } = account({ secretAccessKey: 'another' })
    expect(await connector.check(ctx).catch(asCordboardError)).toMatchObject({ code: 'auth' })
  })
})

describe('the stand-in’s check of Signature Version 4', () => {
  // https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html and sigv4-query-string-auth.html
  const example = {
    accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  }
  const tools = { signer: testSigner, now: Date.parse('2013-05-24T00:00:00Z') }
  const scope = 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request'
  const nothing = new Uint8Array()

  it('takes the vendor’s example of a header', async () => {
    const headers = {
      range: 'bytes=0-9',
      'x-amz-content-sha256': createHash('sha256').update('').digest('hex'),
      'x-amz-date': '20130524T000000Z',
      authorization: `AWS4-HMAC-SHA256 Credential=${scope},SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41`,
    }
    const request = (more: object) =>
      new Request('https://examplebucket.s3.amazonaws.com/test.txt', { headers: { ...headers, ...more } })
    expect(await checkSignature(request({}), nothing, example, tools)).toBe('ok')
    expect(await checkSignature(request({ range: 'bytes=0-8' }), nothing, example, tools)).toBe('wrong')
    const late = { ...tools, now: tools.now + 901_000 }
    expect(await checkSignature(request({}), nothing, example, late)).toBe('expired')
    expect(await checkSignature(request({}), nothing, { ...example, accessKeyId: 'other' }, tools)).toBe(
      'unknown_key',
    )
  })
  it('takes the vendor’s example of a presigned URL', async () => {
    const query = `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${encodeURIComponent(scope)}&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404`
    const request = new Request(`https://examplebucket.s3.amazonaws.com/test.txt?${query}`)
    expect(await checkSignature(request, nothing, example, tools)).toBe('ok')
    expect(await checkSignature(request, nothing, example, { ...tools, now: tools.now + 86_401_000 })).toBe(
      'expired',
    )
    expect(await checkSignature(new Request('https://x.example.com/'), nothing, example, tools)).toBe(
      'missing',
    )
  })
  it('takes a body only with its hash', async () => {
    const { ctx, sent } = account()
    await connector.check(ctx)
    const signature = sent[0]?.authorization ?? ''
    const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()
    expect(signature).toMatch(/SignedHeaders=host;x-amz-date, Signature=/)
    // The key of the day, so that the check above is not the only one that knows how it is made.
    const day = hmac(`AWS4${SETTINGS.secretAccessKey}`, '20260304')
    const key = hmac(hmac(hmac(day, 'eu-west-2'), 'connect'), 'aws4_request')
    const body = JSON.stringify({
      InstanceId: '1d908e11-3d5f-4cfb-b34d-1e7e0f216898',
      TimeRange: { Type: 'DISCONNECT_TIMESTAMP', StartTime: NOW / 1000 - 3600, EndTime: NOW / 1000 },
      SearchCriteria: { Channels: ['VOICE'] },
      Sort: { FieldName: 'DISCONNECT_TIMESTAMP', Order: 'ASCENDING' },
      MaxResults: 1,
    })
    const hash = (text: string) => createHash('sha256').update(text).digest('hex')
    const canonical = `POST\n/search-contacts\n\nhost:aws.example.com\nx-amz-date:20260304T113000Z\n\nhost;x-amz-date\n${hash(body)}`
    const text = `AWS4-HMAC-SHA256\n20260304T113000Z\n20260304/eu-west-2/connect/aws4_request\n${hash(canonical)}`
    expect(signature).toContain(`Signature=${hmac(key, text).toString('hex')}`)
  })
})
