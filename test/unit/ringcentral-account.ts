import { readFileSync } from 'node:fs'
import { connector } from '../../connectors/ringcentral/connector.ts'
import { createSandbox } from '../../connectors/ringcentral/sandbox.ts'
import { config } from '../../connectors/ringcentral/schema.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { foldEvents } from '../../src/call/merge.ts'
import { createContext } from '../../src/connector/context.ts'
import type { HttpFetch } from '../../src/connector/platform.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { fetchFrom } from '../kit/in-process.ts'
import { testSigner } from '../kit/signer.ts'

/** One account for the tests of the connector of RingCentral. */

export const NOW = Date.parse('2026-03-04T11:30:00.000Z')
export const FOLDER = new URL('../../connectors/ringcentral/fixtures/', import.meta.url)
export const SETTINGS = JSON.parse(readFileSync(new URL('connection.json', FOLDER), 'utf8')).config
export const HOOK = 'https://hooks.example.com/hooks/pbx'
export const { webhook, recording: fetchRecording, calls: listCalls, subscribe } = connector.telephony ?? {}
const silent = () => undefined

export function account(keys: Record<string, unknown> = {}) {
  const clock = { now: NOW }
  let seed = 7
  const random = () => {
    seed = (seed * 16807) % 2147483647
    return seed / 2147483647
  }
  const delivered: { url: string; headers: Record<string, string> }[] = []
  const vendor = createSandbox({
    now: () => clock.now,
    random,
    later: silent,
    baseUrl: 'https://platform.ringcentral.com',
    signer: testSigner,
    account: SETTINGS,
    deliver: async (request) => {
      delivered.push(request)
      return { status: 200 }
    },
    transcriptOf: () => null,
  })
  const sent: { method: string; host: string; path: string; query: string; body: string }[] = []
  const direct = fetchFrom(vendor.app)
  const http: HttpFetch = (url, request) => {
    const body = String(request.body ?? '')
    sent.push({ method: request.method, host: url.host, path: url.pathname, query: url.search, body })
    return direct(url, request)
  }
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
    publicUrl: 'https://hooks.example.com',
    http,
    budgets: { take: () => 0 },
    tokens: createMemoryTokens({ now: () => clock.now }),
    now: () => clock.now,
    random,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    signal: new AbortController().signal,
  })
  return { vendor, sent, clock, delivered, ctx: { ...ctx, config: parsed } }
}
export type Account = ReturnType<typeof account>

export const sample = (changes: Partial<SampleCall> = {}): SampleCall => ({
  id: 'one',
  direction: 'inbound',
  customerPhone: '+33639980142',
  ownPhone: '+33199001234',
  agent: { extension: '101', name: 'Alice Martin' },
  result: 'answered',
  startedAt: NOW - 600_000,
  ringMs: 8000,
  talkMs: 60_000,
  audio: { bytes: new Uint8Array([1, 2, 3]), format: 'mp3', durationMs: 60_000 },
  ...changes,
})

export function read(body: string, keys: Record<string, unknown> = {}): CallEvent[] {
  const request = inboundRequest({
    method: 'POST',
    url: HOOK,
    path: '',
    headers: [['content-type', 'application/json']],
    body: new TextEncoder().encode(body),
    receivedAt: new Date(NOW).toISOString(),
  })
  const ctx = { connection: 'pbx', config: config.parse({ ...SETTINGS, ...keys }), region: 'FR' }
  const received = webhook?.receive(request, ctx)
  return received && 'events' in received ? received.events : []
}

export const played = ({ vendor }: Account, call: SampleCall) =>
  (vendor.place?.(call) ?? []).flatMap(({ body }) => read(body))
export const fold = (events: CallEvent[]) => foldEvents(events, { id: 'call_1', connection: 'pbx' })
