import type { z } from 'zod'
import type { Call } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { foldEvents } from '../../src/call/merge.ts'
import { createContext } from '../../src/connector/context.ts'
import type { Connector } from '../../src/connector/contract.ts'
import type { HttpFetch } from '../../src/connector/platform.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import type { CreateSandbox, SampleCall, SandboxOptions } from '../../src/connector/sandbox.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { fetchFrom } from '../kit/in-process.ts'
import { testSigner } from '../kit/signer.ts'

/** A connection of a phone system and the stand-in behind it, in this process, by a clock that the test moves. */

export const NOW = Date.parse('2026-03-04T11:30:00.000Z')
export const HOOK = 'https://hooks.example.com/hooks/pbx'
export const silent = () => undefined

/** What was asked of the vendor. */
interface Asked {
  url: URL
  method: string
  authorization: string | undefined
  redirects: number
  body: unknown
}

interface StandInOptions<Schema extends z.ZodType> {
  connector: Connector<Schema>
  createSandbox: CreateSandbox
  /** What the stand-in has. */
  account: Record<string, unknown>
  /** What the connection has. */
  settings: Record<string, unknown>
  baseUrl: string
  publicUrl?: string
  deliver?: SandboxOptions['deliver']
  /** Answers instead of the stand-in, unless it has nothing to say. `nth` counts from 1. */
  answer?: ((url: URL, nth: number) => Response | Promise<Response> | undefined) | undefined
}

export function openStandIn<Schema extends z.ZodType>(options: StandInOptions<Schema>) {
  const { connector, account, baseUrl, publicUrl, answer } = options
  const clock = { now: NOW }
  let seed = 7
  const random = () => {
    seed = (seed * 16807) % 2147483647
    return seed / 2147483647
  }
  const now = () => clock.now
  const vendor = options.createSandbox({
    now,
    random,
    later: silent,
    baseUrl,
    signer: testSigner,
    account,
    deliver: options.deliver ?? (async () => ({ status: 200 })),
    transcriptOf: () => null,
  })
  const sent: Asked[] = []
  const direct = fetchFrom(vendor.app)
  const http: HttpFetch = async (url, request) => {
    const { method, headers, redirects, body } = request
    sent.push({ url, method, authorization: headers.authorization, redirects, body })
    return answer?.(url, sent.length) ?? direct(url, request)
  }
  const settings = connector.config.parse(options.settings)
  const ctx = createContext({
    connection: {
      id: 'pbx',
      connector,
      settings,
      region: 'FR',
      allowPrivate: [],
      concurrency: 1,
      recordingWaitMs: undefined,
      secrets: [],
    },
    publicUrl,
    http,
    budgets: { take: () => 0 },
    tokens: createMemoryTokens({ now }),
    now,
    random,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    signal: new AbortController().signal,
  })
  return { vendor, sent, clock, settings, ctx: { ...ctx, config: settings } }
}

interface Sent {
  body: string
  type?: string
  path?: string
  query?: string
  receivedAt?: number
}

/** What a delivery of the vendor's says; none where it is ignored. */
export function eventsIn<Schema extends z.ZodType>(
  { config, telephony }: Connector<Schema>,
  settings: Record<string, unknown>,
  { body, type = 'application/json', path = '', query = '', receivedAt = NOW }: Sent,
): CallEvent[] {
  const request = inboundRequest({
    method: 'POST',
    url: `${HOOK}${path}${query}`,
    path,
    headers: [['content-type', type]],
    body: new TextEncoder().encode(body),
    receivedAt: new Date(receivedAt).toISOString(),
  })
  const ctx = { connection: 'pbx', config: config.parse(settings), region: 'FR' }
  const received = telephony?.webhook?.receive(request, ctx)
  return received && 'events' in received ? received.events : []
}

export const fold = (events: readonly CallEvent[]): Call =>
  foldEvents(events, { id: 'call_1', connection: 'pbx' })

/** A call of ten minutes ago that an agent answered. */
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
