import { createHash, createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { connector } from '../../connectors/amazon-connect/connector.ts'
import { checkSignature } from '../../connectors/amazon-connect/sandbox/signature.ts'
import { call as callSchema, type Recording } from '../../src/call/call.ts'
import { asCordboardError } from '../../src/errors.ts'
import { testSigner } from '../kit/signer.ts'
import {
  account,
  fetchRecording,
  fold,
  INSTANCE,
  listed,
  NOW,
  played,
  recordingUrl,
  SETTINGS,
  sample,
} from './amazon-connect-account.ts'

describe('a recording', () => {
  const KEY = 'amazon-connect-0a1b2c3d4e5f/connect/acme/CallRecordings/2026/03/04/1_20260304T10:30_UTC.wav'
  const kept = (key = KEY): Recording => ({ key, format: 'wav', state: 'ready' })
  const aCall = (endedAt = NOW) =>
    callSchema.parse({
      id: 'call_1',
      source: { connection: 'pbx', callId: '1' },
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
  /** What the list says of a call with an agent who called others in, or transferred it. */
  const listedWith = async (
    next: object[] | undefined,
    ...others: { Id: string; InitiationMethod: string }[]
  ) => {
    const time = NOW / 1000 - 7200
    const told = {
      Id: 'a',
      Channel: 'VOICE',
      InitiationMethod: 'INBOUND',
      DisconnectReason: 'AGENT_DISCONNECT',
      DisconnectTimestamp: time,
      LastUpdateTimestamp: time,
      AgentInfo: { Id: 'left', ConnectedToAgentTimestamp: time - 60 },
      ...(next ? { NextContacts: next } : {}),
    }
    // Those that were called in end first, and stand on an earlier page.
    const pages = [others.map((one) => ({ ...one, PreviousContactId: 'a' })), [{ Id: 'a' }]]
    let page = 0
    const { ctx } = account({}, ({ pathname }) => {
      if (pathname === '/search-contacts') {
        const Contacts = pages[page++] ?? []
        return Response.json({ Contacts, ...(page === 1 ? { NextToken: 'second' } : {}) })
      }
      return pathname.endsWith('/a') ? Response.json({ Contact: told }) : undefined
    })
    return listed(ctx, NOW - 7_200_000)
  }
  const quick = (QuickConnectType: string, ContactId = 'b') => ({
    Type: 'QUICK_CONNECT',
    NextContactMetadata: { QuickConnectContactData: { ContactId, QuickConnectType } },
  })
  const third = { Id: 'b', InitiationMethod: 'EXTERNAL_OUTBOUND' }
  it.each([
    ['a third party by quick connect', [quick('PHONE_NUMBER')], [third], true],
    ['a third party by its number', undefined, [third], true],
    ['a third party that is told without a word about it', [{}], [third], true],
    ['a third party whose type is not told', [quick('FLOW')], [third], true],
    ['a third party that is kept no more', [quick('PHONE_NUMBER')], [], true],
    ['a transfer', [quick('USER')], [{ Id: 'b', InitiationMethod: 'TRANSFER' }], false],
    ['a transfer that is going on', [quick('QUEUE')], [], false],
    ['a transfer of which nothing more is told', [{}], [], false],
    ['a third party, and then a transfer', [quick('PHONE_NUMBER'), {}], [third], false],
    ['a third party by its number, and then a transfer', [{}, {}], [third], false],
    [
      'a transfer that only names the previous one',
      undefined,
      [{ Id: 'b', InitiationMethod: 'TRANSFER' }],
      false,
    ],
  ])('knows whether a contact was the last one: %s', async (_, next, others, isOver) => {
    const events = await listedWith(next, ...others)
    expect(events.some(({ phase }) => phase === 'ended')).toBe(isOver)
    const own = events.find(({ key }) => key.startsWith('a:contact:'))
    // By its record alone it goes on; so that one tells no end, and another event does.
    expect(own?.phase).toBe('answered')
    const at = new Date(NOW - 7_200_000).toISOString()
    if (isOver)
      expect(events.at(-1)).toEqual({
        key: 'a:last',
        callId: 'a',
        phase: 'ended',
        at,
        facts: { endedAt: at },
      })
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
