import { connector } from '../../connectors/zadarma/connector.ts'
import { createSandbox } from '../../connectors/zadarma/sandbox.ts'
import { config } from '../../connectors/zadarma/schema.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { foldEvents } from '../../src/call/merge.ts'
import { createContext } from '../../src/connector/context.ts'
import type { HttpFetch } from '../../src/connector/platform.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { fetchFrom } from '../kit/in-process.ts'
import { testSigner } from '../kit/signer.ts'

/** One account for the tests of the connector of Zadarma. */

export const NOW = Date.parse('2026-03-04T11:30:00.000Z')
export const SETTINGS = {
  key: 'a1b2c3d4e5f6a7b8c9d0',
  secret: '0f1e2d3c4b5a69788796',
  timeZone: 'Europe/Paris',
}
export const {
  webhook,
  recording: fetchRecording,
  recordingUrl,
  calls: listCalls,
} = connector.telephony ?? {}
const silent = () => undefined

export function account(keys: Record<string, unknown> = {}, http?: HttpFetch) {
  const settings = { ...SETTINGS, ...keys }
  const clock = { now: NOW }
  let seed = 7
  const random = () => {
    seed = (seed * 16807) % 2147483647
    return seed / 2147483647
  }
  const vendor = createSandbox({
    now: () => clock.now,
    random,
    later: silent,
    baseUrl: 'https://api.zadarma.com',
    signer: testSigner,
    account: { ...SETTINGS, timeZone: 'Europe/Paris' },
    deliver: async () => ({ status: 200 }),
    transcriptOf: () => null,
  })
  const sent: { url: string; authorization: string | undefined }[] = []
  const direct = http ?? fetchFrom(vendor.app)
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
      sent.push({ url: url.href, authorization: request.headers.authorization })
      return direct(url, request)
    },
    budgets: { take: () => 0 },
    tokens: createMemoryTokens({ now: () => NOW }),
    now: () => clock.now,
    random,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    signal: new AbortController().signal,
  })
  return { vendor, sent, clock, ctx: { ...ctx, config: parsed } }
}

export const sample = (changes: Partial<SampleCall> = {}): SampleCall => ({
  id: 'one',
  direction: 'inbound',
  customerPhone: '+33639980142',
  ownPhone: '+33199001234',
  agent: { extension: '101', name: 'Alice' },
  result: 'answered',
  startedAt: NOW - 600_000,
  ringMs: 8000,
  talkMs: 60_000,
  audio: { bytes: new Uint8Array([1, 2, 3]), format: 'mp3', durationMs: 60_000 },
  ...changes,
})

export function read(body: string): CallEvent[] {
  const request = inboundRequest({
    method: 'POST',
    url: 'https://hooks.example.com/hooks/pbx',
    path: '',
    headers: [['content-type', 'application/x-www-form-urlencoded']],
    body: new TextEncoder().encode(body),
    receivedAt: new Date(NOW - 592_000).toISOString(),
  })
  const received = webhook?.receive(request, {
    connection: 'pbx',
    config: config.parse(SETTINGS),
    region: 'FR',
  })
  return received && 'events' in received ? received.events : []
}

export const played = (vendor: ReturnType<typeof account>['vendor'], call: SampleCall) =>
  (vendor.place?.(call) ?? []).flatMap(({ body }) => read(body))
export const fold = (events: CallEvent[]) => foldEvents(events, { id: 'call_1', connection: 'pbx' })
