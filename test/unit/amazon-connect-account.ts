import { connector } from '../../connectors/amazon-connect/connector.ts'
import { createSandbox } from '../../connectors/amazon-connect/sandbox.ts'
import { config } from '../../connectors/amazon-connect/schema.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { foldEvents } from '../../src/call/merge.ts'
import { createContext } from '../../src/connector/context.ts'
import type { HttpFetch } from '../../src/connector/platform.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { fetchFrom } from '../kit/in-process.ts'
import { testSigner } from '../kit/signer.ts'

/** One instance for the tests of the connector of Amazon Connect. */

export const NOW = Date.parse('2026-03-04T11:30:00.000Z')
export const INSTANCE = 'arn:aws:connect:eu-west-2:111122223333:instance/1d908e11-3d5f-4cfb-b34d-1e7e0f216898'
export const SETTINGS = {
  instanceArn: INSTANCE,
  token: 'cnct_0123456789',
  accessKeyId: 'AKIDCORDBOARD0000001',
  secretAccessKey: 'invented-secret-of-the-iam-user-0001',
}
export const {
  webhook,
  recording: fetchRecording,
  recordingUrl,
  calls: listCalls,
} = connector.telephony ?? {}
const silent = () => undefined

interface Sent {
  url: URL
  method: string
  authorization: string | undefined
}

/** `given` is what the connection is configured with, the stand-in's account always the one above. */
export function account(given: Record<string, unknown> = {}, answer?: (url: URL) => Response | undefined) {
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

export function read(body: string): CallEvent[] {
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

export const fold = (events: CallEvent[]) => foldEvents(events, { id: 'call_1', connection: 'connect' })
export const played = (vendor: ReturnType<typeof account>['vendor'], call: SampleCall) =>
  (vendor.place?.(call) ?? []).flatMap(({ body }) => read(body))

export async function listed(ctx: ReturnType<typeof account>['ctx'], since = NOW - 86_400_000 * 2) {
  const events: CallEvent[] = []
  for await (const page of listCalls?.(new Date(since).toISOString(), ctx) ?? []) events.push(...page)
  return events
}
