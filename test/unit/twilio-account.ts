import { connector } from '../../connectors/twilio/connector.ts'
import { createSandbox } from '../../connectors/twilio/sandbox.ts'
import { config } from '../../connectors/twilio/schema.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { foldEvents } from '../../src/call/merge.ts'
import { createContext } from '../../src/connector/context.ts'
import type { HttpFetch } from '../../src/connector/platform.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { fetchFrom } from '../kit/in-process.ts'
import { testSigner } from '../kit/signer.ts'

/** One account for the tests of the connector of Twilio. */

export const TOKEN = '0123456789abcdef0123456789abcdef'
export const NOW = Date.parse('2026-03-04T11:30:00.000Z')
export const SETTINGS = {
  accountSid: 'AC00000000000000000000000000000001',
  authToken: TOKEN,
  ownNumbers: ['+33199001234'],
}
export const { webhook, recording: fetchRecording, calls: listCalls } = connector.telephony ?? {}
export const silent = () => undefined

export function account(keys: Record<string, unknown> = {}, now = NOW) {
  const settings = { ...SETTINGS, ...keys }
  let seed = 7
  const random = () => {
    seed = (seed * 16807) % 2147483647
    return seed / 2147483647
  }
  const vendor = createSandbox({
    now: () => now,
    random,
    later: silent,
    baseUrl: 'https://api.twilio.com',
    signer: testSigner,
    account: settings,
    deliver: async () => ({ status: 200 }),
    transcriptOf: () => null,
  })
  const sent: { url: string; authorization: string | undefined; redirects: number }[] = []
  const direct = fetchFrom(vendor.app)
  const http: HttpFetch = (url, request) => {
    sent.push({ url: url.href, authorization: request.headers.authorization, redirects: request.redirects })
    return direct(url, request)
  }
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
    http,
    budgets: { take: () => 0 },
    tokens: createMemoryTokens({ now: () => NOW }),
    now: () => now,
    random,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    signal: new AbortController().signal,
  })
  return { vendor, sent, ctx: { ...ctx, config: parsed } }
}

export const sample = (changes: Partial<SampleCall> = {}): SampleCall => ({
  id: 'one',
  direction: 'inbound',
  customerPhone: '+33639980142',
  ownPhone: '+33199001234',
  agent: { extension: '101', name: 'alice' },
  result: 'answered',
  startedAt: NOW - 600_000,
  ringMs: 8000,
  talkMs: 60_000,
  audio: { bytes: new Uint8Array([1, 2, 3]), format: 'mp3', durationMs: 60_000 },
  ...changes,
})

export function read(
  fields: Record<string, string>,
  query = '',
  keys: Record<string, unknown> = {},
): CallEvent[] {
  const request = inboundRequest({
    method: 'POST',
    url: `https://hooks.example.com/hooks/pbx/status${query}`,
    path: '/status',
    headers: [['content-type', 'application/x-www-form-urlencoded']],
    body: new TextEncoder().encode(new URLSearchParams(fields).toString()),
    receivedAt: new Date(NOW).toISOString(),
  })
  const ctx = { connection: 'pbx', config: config.parse({ ...SETTINGS, ...keys }), region: 'FR' }
  const received = webhook?.receive(request, ctx)
  return received && 'events' in received ? received.events : []
}

export const played = (vendor: ReturnType<typeof account>['vendor'], call: SampleCall) =>
  (vendor.place?.(call) ?? []).flatMap(({ body }) => read(Object.fromEntries(new URLSearchParams(body))))

export const fold = (events: CallEvent[]) => foldEvents(events, { id: 'call_1', connection: 'pbx' })
