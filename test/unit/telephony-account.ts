import { type Call, call as callSchema, type Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { foldEvents } from '../../src/call/merge.ts'
import { createContext } from '../../src/connector/context.ts'
import type { CheckResult, Connector } from '../../src/connector/contract.ts'
import type { HttpFetch } from '../../src/connector/platform.ts'
import { inboundRequest, type RawRequest } from '../../src/connector/request.ts'
import type { CreateSandbox, SampleCall, SandboxWebhook } from '../../src/connector/sandbox.ts'
import { signRaw } from '../../src/connector/sign.ts'
import { createMemoryTokens } from '../../src/connector/tokens.ts'
import { type Verified, verifyRequest } from '../../src/connector/verify.ts'
import { fetchFrom } from '../kit/in-process.ts'
import { testSigner } from '../kit/signer.ts'

/** One connection of a phone system and the stand-in behind it, for what the kit does not ask: a clock that the test moves. */

export const NOW = Date.parse('2026-03-04T11:30:00.000Z')
const HOOK = 'https://hooks.example.com/hooks/pbx'
const silent = () => undefined

interface AccountOptions {
  connector: Connector
  createSandbox: CreateSandbox
  /** What the stand-in has. */
  account: Record<string, unknown>
  /** What the connection has instead. */
  keys?: Record<string, unknown>
  baseUrl: string
  /** Answers instead of the stand-in. */
  http?: HttpFetch
}

interface Checking {
  checkedAfterMs?: number
  change?: (raw: RawRequest) => RawRequest
}
const same = (raw: RawRequest): RawRequest => raw

export function openAccount({ connector, createSandbox, account, keys = {}, baseUrl, http }: AccountOptions) {
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
    baseUrl,
    signer: testSigner,
    account: { ...account, baseUrl },
    deliver: async () => ({ status: 200 }),
    transcriptOf: () => null,
  })
  const settings = connector.config.parse({ ...account, baseUrl, ...keys })
  const sent: { url: string; authorization: string | undefined; redirects: number }[] = []
  const direct = http ?? fetchFrom(vendor.app)
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
    publicUrl: undefined,
    http: (url, request) => {
      sent.push({ url: url.href, authorization: request.headers.authorization, redirects: request.redirects })
      return direct(url, request)
    },
    budgets: { take: () => 0 },
    tokens: createMemoryTokens({ now: () => clock.now }),
    now: () => clock.now,
    random,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    signal: new AbortController().signal,
  })
  const { webhook, recording, calls } = connector.telephony ?? {}
  const rawOf = ({ method, path, query, headers, body }: SandboxWebhook): RawRequest => ({
    method,
    url: `${HOOK}${path}${query ? `?${query}` : ''}`,
    path,
    headers: Object.entries(headers),
    body: new TextEncoder().encode(body),
    receivedAt: new Date(clock.now).toISOString(),
  })
  const read = (sent: SandboxWebhook): CallEvent[] => {
    const received = webhook?.receive(inboundRequest(rawOf(sent)), {
      connection: 'pbx',
      config: settings,
      region: 'FR',
    })
    return received && 'events' in received ? received.events : []
  }
  return {
    vendor,
    sent,
    clock,
    check: async (): Promise<CheckResult> => connector.check(ctx),
    read,
    played: (call: SampleCall): CallEvent[] => (vendor.place?.(call) ?? []).flatMap(read),
    fetchRecording: async (of: Recording, call: Call): Promise<Response> => {
      if (!recording) throw new Error(`${connector.name} has no recordings`)
      return recording(of, call, ctx)
    },
    async listed(since = NOW - 86_400_000): Promise<CallEvent[]> {
      const events: CallEvent[] = []
      for await (const page of calls?.(new Date(since).toISOString(), ctx) ?? []) events.push(...page)
      return events
    },
    /** Signed with the newest secret, and checked later, perhaps with something changed in between. */
    async verified(
      sent: SandboxWebhook,
      { checkedAfterMs = 0, change = same }: Checking = {},
    ): Promise<Verified> {
      const verification = webhook?.verify(settings)
      if (!verification) throw new Error(`${connector.name} takes no webhooks`)
      const signed = await signRaw(rawOf(sent), verification, { now: clock.now, signer: testSigner })
      const tools = { now: clock.now + checkedAfterMs, signer: testSigner }
      return verifyRequest(inboundRequest(change(signed)), verification, tools)
    },
  }
}

export const fold = (events: readonly CallEvent[]): Call =>
  foldEvents(events, { id: 'call_1', connection: 'pbx' })

export const endedAt = (at: number): Call =>
  callSchema.parse({
    id: 'call_1',
    source: { connection: 'pbx', callId: 'one' },
    endedAt: new Date(at).toISOString(),
  })

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

/** The stand-ins' calls, and how each of them must end. */
export const ENDS = (['inbound', 'outbound'] as const).flatMap((direction) =>
  (['answered', 'no_answer', 'busy'] as const).map((result) => ({ direction, result })),
)

/** The sample call of this direction and end; one that nobody answered has no audio. */
export function sampleOf({ direction, result }: (typeof ENDS)[number]): SampleCall {
  const call = sample({ id: `${direction}-${result}`, direction, result })
  if (result === 'answered') return call
  const { audio: _, ...silentCall } = call
  return { ...silentCall, talkMs: 0 }
}
