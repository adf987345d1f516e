import { describe, expect, it } from 'vitest'
import { connector } from '../../connectors/twilio/connector.ts'
import { config } from '../../connectors/twilio/schema.ts'
import { call as callSchema, type Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { asCordboardError } from '../../src/errors.ts'
import {
  account,
  fetchRecording,
  fold,
  listCalls,
  NOW,
  played,
  read,
  SETTINGS,
  sample,
  silent,
  TOKEN,
} from './twilio-account.ts'

async function listed(ctx: ReturnType<typeof account>['ctx'], since = NOW - 3_600_000) {
  const events: CallEvent[] = []
  for await (const page of listCalls?.(new Date(since).toISOString(), ctx) ?? []) events.push(...page)
  return events
}

describe('a recording', () => {
  const aCall = (endedAt: number) =>
    callSchema.parse({
      id: 'call_1',
      source: { connection: 'pbx', callId: 'CA1' },
      endedAt: new Date(endedAt).toISOString(),
    })
  const kept = (changes: Partial<Recording> = {}): Recording => ({
    key: 'RE1',
    format: 'mp3',
    state: 'ready',
    ...changes,
  })
  const accounts = 'https://api.twilio.com/2010-04-01/Accounts'

  it.each([
    ['of our host', `${accounts}/AC9/Recordings/RE1`, `${accounts}/AC9/Recordings/RE1.mp3`],
    [
      'of our host, with an extension',
      `${accounts}/AC9/Recordings/RE1.wav`,
      `${accounts}/AC9/Recordings/RE1.mp3`,
    ],
    ['of another host', 'https://evil.example/RE1', `${accounts}/${SETTINGS.accountSid}/Recordings/RE1.mp3`],
    [
      'of another scheme',
      'http://api.twilio.com/RE1',
      `${accounts}/${SETTINGS.accountSid}/Recordings/RE1.mp3`,
    ],
    [
      'that tricks',
      'https://api.twilio.com@evil.example/RE1',
      `${accounts}/${SETTINGS.accountSid}/Recordings/RE1.mp3`,
    ],
  ])('with a URL %s is asked of Twilio only', async (_, url, expected) => {
    const { ctx, sent } = account()
    await fetchRecording?.(kept({ url, channels: 2 }), aCall(NOW), ctx).catch(silent)
    expect(sent).toMatchObject([
      {
        url: new URL(`${expected}?RequestedChannels=2`),
        authorization: `Basic ${btoa(`${SETTINGS.accountSid}:${TOKEN}`)}`,
        redirects: 3,
      },
    ])
  })
  it.each([
    [60_000, 'later'],
    [7_200_000, 'never'],
  ])('that is not there %i ms after the end is tried %s', async (age, retry) => {
    const { ctx } = account()
    const failure = await fetchRecording?.(kept(), aCall(NOW - age), ctx).catch(asCordboardError)
    expect(failure).toMatchObject({ code: 'not_found', retry })
  })
  it('of two channels says who is on which only when that is known', () => {
    const of = (source: string, query: string, keys = {}) =>
      read(
        {
          CallSid: 'CA1',
          RecordingSid: 'RE1',
          RecordingStatus: 'completed',
          RecordingChannels: '2',
          RecordingSource: source,
        },
        query,
        keys,
      )[0]?.facts.recordings?.[0]?.tracks
    expect(of('DialVerb', '')).toBeUndefined()
    expect(of('DialVerb', '?direction=inbound')).toEqual({ left: 'customer', right: 'agent' })
    expect(of('DialVerb', '?direction=outbound')).toBeUndefined()
    expect(of('Conference', '?direction=inbound')).toBeUndefined()
    expect(of('Conference', '', { tracks: { left: 'agent', right: 'customer' } })).toEqual({
      left: 'agent',
      right: 'customer',
    })
  })
})

describe('the lists', () => {
  it('tell the same with the same keys as the webhooks', async () => {
    const { vendor, ctx } = account()
    const told = played(vendor, sample())
    const events = await listed(ctx)
    const keys = new Set(told.map((event) => event.key))
    expect(events.map((event) => event.key).filter((key) => !keys.has(key))).toEqual([])
    expect(fold(events)).toMatchObject({
      direction: 'inbound',
      result: 'answered',
      customer: { phone: '+33639980142' },
      agent: { id: 'alice' },
      startedAt: new Date(NOW - 600_000).toISOString(),
      recordings: [{ state: 'ready' }],
    })
  })
  it('are read page by page, from the moment asked for', async () => {
    const { vendor, ctx, sent } = account()
    for (let i = 0; i < 300; i++) vendor.place?.(sample({ id: `call-${i}`, startedAt: NOW - 600_000 + i }))
    vendor.place?.(sample({ id: 'old', startedAt: NOW - 7_200_000 }))
    const events = await listed(ctx)
    expect(new Set(events.map((event) => event.key)).size).toBe(900)
    expect(sent).toHaveLength(3)
  })
})

describe('a page of the lists', () => {
  const row = {
    sid: 'RE1',
    call_sid: 'CA1',
    status: 'completed',
    channels: 1,
    duration: '9',
    error_code: null,
  }
  const answering = (recordings: unknown[], next_page_uri: string | null = null) => {
    const { ctx } = account()
    const asked: URL[] = []
    const fetch = async (url: string | URL) => {
      asked.push(new URL(url))
      if (String(url).includes('/Calls.json')) return Response.json({ calls: [], next_page_uri: null })
      return Response.json({ recordings, next_page_uri: asked.length > 2 ? null : next_page_uri })
    }
    return { asked, ctx: { ...ctx, fetch } }
  }
  it('is read although a recording on it names no call, or has no channel', async () => {
    const rows = [{ ...row, sid: 'RE2', call_sid: null }, { ...row, sid: 'RE3', channels: 0 }, row]
    const events = await listed(answering(rows).ctx)
    expect(events.map((event) => event.key)).toEqual(['RE3:completed', 'RE1:completed'])
  })
  it('may lead to the next one by a long address', async () => {
    const { asked, ctx } = answering([row], `/2010-04-01/next?PageToken=${'P'.repeat(300)}`)
    await listed(ctx)
    expect(asked).toHaveLength(3)
  })
})

describe('the end of what is listed', () => {
  it('leaves out calls that begin there, not the legs and recordings of those before', async () => {
    const { vendor, ctx } = account()
    const edge = NOW - 600_000
    vendor.place?.(sample({ id: 'before', startedAt: edge - 5000, direction: 'outbound' }))
    vendor.place?.(sample({ id: 'after', startedAt: edge + 1000, customerPhone: '+447700900123' }))
    const events: CallEvent[] = []
    const until = new Date(edge).toISOString()
    for await (const page of listCalls?.(new Date(NOW - 3_600_000).toISOString(), ctx, until) ?? [])
      events.push(...page)
    const roots = events.filter((event) => event.phase === 'ended')
    expect(roots).toHaveLength(1)
    const its = events.filter((event) => event.callId === roots[0]?.callId)
    expect(fold(its)).toMatchObject({ agent: { id: 'alice' }, recordings: [{ state: 'ready' }] })
  })
})

describe('the check', () => {
  it('reads the account with the token, the recordings with an API key', async () => {
    const token = account()
    expect(await connector.check(token.ctx)).toEqual({ says: 'account …0001 is active (Full)' })
    const key = account({ apiKeySid: `SK${'0'.repeat(32)}`, apiKeySecret: 'key-secret' })
    expect(await connector.check(key.ctx)).toEqual({ says: 'account …0001: the API key reads recordings' })
    expect(key.sent[0]?.authorization).toBe(`Basic ${btoa(`SK${'0'.repeat(32)}:key-secret`)}`)
  })
  it('is refused with another token', async () => {
    const { vendor } = account()
    const { ctx } = account({ authToken: 'f'.repeat(32) })
    const wrong = {
      ...ctx,
      fetch: async (url: string | URL, init: object = {}) => vendor.app.request(String(url), init),
    }
    expect(await Promise.resolve(connector.check(wrong)).catch(asCordboardError)).toMatchObject({
      code: 'auth',
    })
  })
})

describe('the configuration', () => {
  it('wants both halves of an API key', () => {
    expect(config.safeParse({ ...SETTINGS, apiKeySid: `SK${'0'.repeat(32)}` }).success).toBe(false)
    expect(config.safeParse({ ...SETTINGS, accountSid: 'AC1' }).success).toBe(false)
  })
})
