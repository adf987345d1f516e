import { type Call, call as callSchema, type Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import type { CheckResult, Connector } from '../../src/connector/contract.ts'
import { inboundRequest, type RawRequest } from '../../src/connector/request.ts'
import type { CreateSandbox, SampleCall, SandboxWebhook } from '../../src/connector/sandbox.ts'
import { signRaw } from '../../src/connector/sign.ts'
import { type Verified, verifyRequest } from '../../src/connector/verify.ts'
import { testSigner } from '../kit/signer.ts'
import { HOOK, NOW, openStandIn, sample } from './stand-in.ts'

export { fold, NOW, sample } from './stand-in.ts'

/** A connection and its stand-in, for what the kit does not ask, in the words of the tests that share it. */

interface AccountOptions {
  connector: Connector
  createSandbox: CreateSandbox
  /** What the stand-in has. */
  account: Record<string, unknown>
  /** What the connection has instead. */
  keys?: Record<string, unknown>
  baseUrl: string
  /** Answers instead of the stand-in. */
  http?: ((url: URL) => Promise<Response>) | undefined
}

interface Checking {
  checkedAfterMs?: number
  change?: (raw: RawRequest) => RawRequest
}
const same = (raw: RawRequest): RawRequest => raw

export function openAccount({ connector, createSandbox, account, keys = {}, baseUrl, http }: AccountOptions) {
  const {
    vendor,
    sent,
    clock,
    ctx,
    ctx: { config: settings },
  } = openStandIn({
    connector,
    createSandbox,
    account: { ...account, baseUrl },
    settings: { ...account, baseUrl, ...keys },
    baseUrl,
    answer: http,
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

export const endedAt = (at: number): Call =>
  callSchema.parse({
    id: 'call_1',
    source: { connection: 'pbx', callId: 'one' },
    endedAt: new Date(at).toISOString(),
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
