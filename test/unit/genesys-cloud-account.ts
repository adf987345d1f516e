import { connector } from '../../connectors/genesys-cloud/connector.ts'
import { createSandbox } from '../../connectors/genesys-cloud/sandbox.ts'
import { config } from '../../connectors/genesys-cloud/schema.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { foldEvents } from '../../src/call/merge.ts'
import { createContext } from '../../src/connector/context.ts'
import type { HttpFetch } from '../../src/connector/platform.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { fetchFrom } from '../kit/in-process.ts'
import { testSigner } from '../kit/signer.ts'

/** One organization for the tests of the connector of Genesys Cloud. */

export const NOW = Date.parse('2026-03-04T11:30:00.000Z')
const QUEUE = 'c677a7a5-0000-4000-8000-000000000001'
export const SETTINGS = {
  organizationId: '32aa07aa-db1b-4987-abd0-9483601ec29d',
  token: 'gc_shared_0123456789',
  domain: 'mypurecloud.ie',
  clientId: '5ab1c2d3-0000-4000-8000-000000000001',
  clientSecret: 'invented-client-secret-0001',
  queues: { [QUEUE]: 'Support', 'c677a7a5-1d56-4ce3-a890-79fc53f7fe3f': 'Support' },
}
export const { webhook, recording: fetchRecording, calls: listCalls } = connector.telephony ?? {}
const silent = () => undefined

interface Sent {
  url: URL
  authorization: string | undefined
  body: unknown
}
export type Answer = (url: URL, nth: number) => Response | undefined

/** `given` is what the connection is configured with, the stand-in's account always the one above. */
export function account(given: Record<string, unknown> = {}, answer?: Answer) {
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
    baseUrl: 'https://genesys.example.com',
    signer: testSigner,
    account: SETTINGS,
    deliver: async () => ({ status: 200 }),
    transcriptOf: () => null,
  })
  const sent: Sent[] = []
  const direct = fetchFrom(vendor.app)
  const http: HttpFetch = async (url, request) => {
    sent.push({ url, authorization: request.headers.authorization, body: request.body })
    return answer?.(url, sent.length) ?? direct(url, request)
  }
  const settings = config.parse({ ...SETTINGS, ...given })
  const ctx = createContext({
    connection: {
      id: 'genesys',
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
    tokens: createMemoryTokens({ now: () => clock.now }),
    now: () => clock.now,
    random,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    signal: new AbortController().signal,
  })
  return { vendor, sent, clock, ctx: { ...ctx, config: settings } }
}

export const sample = (changes: Partial<SampleCall> = {}): SampleCall => ({
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
export const missed = (changes: Partial<SampleCall> = {}): SampleCall => {
  const { audio: _, ...rest } = sample({ result: 'no_answer', ...changes })
  return rest
}

export function read(body: string, keys: Record<string, unknown> = {}): CallEvent[] {
  const request = inboundRequest({
    method: 'POST',
    url: 'https://hooks.example.com/hooks/genesys',
    path: '',
    headers: [['content-type', 'application/json']],
    body: new TextEncoder().encode(body),
    receivedAt: new Date(NOW).toISOString(),
  })
  const settings = config.parse({ ...SETTINGS, ...keys })
  const received = webhook?.receive(request, { connection: 'genesys', config: settings, region: 'FR' })
  return received && 'events' in received ? received.events : []
}

export const fold = (events: CallEvent[]) => foldEvents(events, { id: 'call_1', connection: 'genesys' })
export const played = (vendor: ReturnType<typeof account>['vendor'], call: SampleCall) =>
  (vendor.place?.(call) ?? []).flatMap(({ body }) => read(body))
