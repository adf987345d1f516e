import { connector } from '../../connectors/mango-office/connector.ts'
import { createSandbox } from '../../connectors/mango-office/sandbox.ts'
import { config } from '../../connectors/mango-office/schema.ts'
import { call as callSchema, type Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { foldEvents } from '../../src/call/merge.ts'
import { createMemoryBudgets } from '../../src/connector/budgets.ts'
import { createContext } from '../../src/connector/context.ts'
import type { HttpFetch } from '../../src/connector/platform.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { fetchFrom } from '../kit/in-process.ts'
import { testSigner } from '../kit/signer.ts'

/** One connection of Mango Office and a stand-in of it, on a clock that only the test moves. */

export const NOW = Date.parse('2026-03-04T12:00:00.000Z')
export const SETTINGS = {
  apiKey: 'b5c1a8e2f4d64b7c9e0f1a2b3c4d5e6f',
  apiSalt: '9f8e7d6c5b4a39281706f5e4d3c2b1a0',
}
const { webhook } = connector.telephony ?? {}
const silent = () => undefined

export function account(keys: Record<string, unknown> = {}, http?: HttpFetch) {
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
    baseUrl: 'https://app.mango-office.ru',
    signer: testSigner,
    account: SETTINGS,
    deliver: async () => ({ status: 200 }),
    transcriptOf: () => null,
  })
  const sent: { method: string; url: string; body: URLSearchParams }[] = []
  const direct = http ?? fetchFrom(vendor.app)
  const parsed = config.parse({ ...SETTINGS, ...keys })
  const ctx = createContext({
    connection: {
      id: 'pbx',
      connector,
      settings: parsed,
      region: 'RU',
      allowPrivate: [],
      concurrency: 1,
      recordingWaitMs: undefined,
      secrets: [],
    },
    publicUrl: undefined,
    http: (url, request) => {
      sent.push({
        method: request.method,
        url: url.href,
        body: request.body instanceof URLSearchParams ? request.body : new URLSearchParams(),
      })
      return direct(url, request)
    },
    budgets: createMemoryBudgets({ now: () => clock.now }),
    // The time that a budget makes us wait passes at once.
    wait: async (ms) => {
      clock.now += ms
    },
    tokens: createMemoryTokens({ now: () => clock.now }),
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
  customerPhone: '+79000000000',
  ownPhone: '+74950000000',
  agent: { extension: '101', name: 'Алина' },
  result: 'answered',
  startedAt: NOW - 3_600_000,
  ringMs: 8000,
  talkMs: 60_000,
  audio: { bytes: new Uint8Array([1, 2, 3]), format: 'mp3', durationMs: 60_000 },
  ...changes,
})

export const requestOf = (path: string, body: string, method = 'POST') =>
  inboundRequest({
    method,
    url: `https://hooks.example.com/hooks/pbx${path}`,
    path,
    headers: [['content-type', 'application/x-www-form-urlencoded']],
    body: new TextEncoder().encode(body),
    receivedAt: new Date(NOW).toISOString(),
  })
export const mapContext = { connection: 'pbx', config: config.parse(SETTINGS), region: 'RU' }

export function read(path: string, body: string): CallEvent[] {
  const received = webhook?.receive(requestOf(path, body), mapContext)
  return received && 'events' in received ? received.events : []
}
export const played = (vendor: ReturnType<typeof account>['vendor'], call: SampleCall) =>
  (vendor.place?.(call) ?? []).flatMap(({ path, body }) => read(path, body))
export const fold = (events: CallEvent[]) => foldEvents(events, { id: 'call_1', connection: 'pbx' })

export const aCall = callSchema.parse({
  id: 'call_1',
  source: { connection: 'pbx', callId: 'NTAw' },
  startedAt: new Date(NOW - 600_000).toISOString(),
  endedAt: new Date(NOW - 540_000).toISOString(),
})
export const kept = (key: string): Recording => ({ key, format: 'mp3', state: 'ready' })
