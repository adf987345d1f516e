import type { Hono, MiddlewareHandler } from 'hono'
import type { AudioFormat } from './contract.ts'
import type { Signer } from './platform.ts'

/**
 * What a connector's sandbox.ts exports as `createSandbox`: a stand-in of the vendor as a Hono app, written from its
 * documentation, keeping state, failing the ways the vendor fails. Tests and workerd call `app.fetch` in-process; the
 * sandbox command serves it over loopback. Nothing in the pipeline knows it exists.
 */
export interface SandboxOptions {
  now(): number
  random(): number
  /** Runs `work` after `ms` (vendors take their time); the caller owns the clock. */
  later(ms: number, work: () => void | Promise<void>): void
  /** URL at which this stand-in is reached, without a trailing slash; links it hands out start with it. */
  baseUrl: string
  signer: Signer
  /** Keys, tokens and webhook secrets of the one account it has: the connection's own configuration. */
  account: Record<string, unknown>
  /** Where its webhooks go (/hooks/<connection>), when it sends any. */
  hookUrl?: string
  /** Sends a webhook to us; rejects when nobody answers. */
  deliver(request: {
    url: string
    method: string
    headers: Record<string, string>
    body: string
  }): Promise<{ status: number }>
  /** For vendors that fetch a recording by its link: its bytes, null when it cannot be had. Absent: no link can. */
  download?(url: string): Promise<Uint8Array | null>
  /** What a sample recording says of itself; null for any other audio. */
  transcriptOf(audio: Uint8Array): SampleTranscript | null
}

export interface SampleTranscript {
  /** Role-tagged text: `<operator> … <client> …`. */
  transcript: string
  language: string
  title: string
  summary: string
  sentiment: 'positive' | 'neutral' | 'negative'
  topics: string[]
  actions: string[]
  durationMs: number
}

/** A call that a telephony stand-in plays. Instants in ms since 1970. */
export interface SampleCall {
  id: string
  direction: 'inbound' | 'outbound'
  /** E.164 of the outside party. */
  customerPhone: string
  /** E.164 of the organisation's line. */
  ownPhone: string
  agent: { extension: string; name: string }
  result: 'answered' | 'no_answer' | 'busy'
  startedAt: number
  ringMs: number
  talkMs: number
  audio?: { bytes: Uint8Array; format: AudioFormat; durationMs: number }
}

/** A webhook as the vendor would send it, not yet signed. `says` names it for people: `completed`, `NOTIFY_END`. */
export interface SandboxWebhook {
  says: string
  method: string
  /** Behind /hooks/<connection>, with its slash; may be empty. */
  path: string
  query?: string
  headers: Record<string, string>
  body: string
}

/** One thing the vendor now holds. `key`: our submission id or the call's id, where it was told one. */
export interface SandboxRecord {
  kind: string
  id: string
  key: string | null
  fields: Record<string, unknown>
}

export type Fault =
  | { kind: 'status'; status: number; retryAfter?: string; body?: unknown }
  /** Never answers (until the caller gives up). */
  | { kind: 'hang' }
  /** Does the work, then never answers: the ambiguous end. */
  | { kind: 'commit_then_hang' }
  /** Does the work, then answers this. */
  | { kind: 'commit_then_status'; status: number }

export interface FaultRule {
  fault: Fault
  /** How many requests it hits; default 1. */
  times?: number
  /** Only these requests; a path matches when it contains the text. */
  method?: string
  path?: string
}

export interface VendorSandbox {
  app: Hono
  /** What the vendor holds: tests count here, never in our own store. */
  book(): SandboxRecord[]
  /** Makes the next matching requests fail. */
  fail(rule: FaultRule): void
  /** Telephony: plays a call; answers its webhooks in the order the vendor sends them. */
  place?(call: SampleCall): SandboxWebhook[]
  /** CRM: puts a contact there. Answers its id. */
  addContact?(contact: { name: string; phone: string }): string
}

export type CreateSandbox = (options: SandboxOptions) => VendorSandbox

/** The faults of one stand-in: give `middleware` to its app before the routes, and `fail` to its users. */
export function createFaults(): { fail(rule: FaultRule): void; middleware: MiddlewareHandler } {
  const rules: FaultRule[] = []
  // The answer that nobody waits for any more: a rejection here would only be logged as a fault of the stand-in.
  const never = (signal: AbortSignal) =>
    new Promise<Response>((resolve) => {
      const give = () => resolve(new Response(null, { status: 499 }))
      if (signal.aborted) give()
      signal.addEventListener('abort', give, { once: true })
    })
  return {
    fail: (rule) => {
      rules.push({ ...rule, times: rule.times ?? 1 })
    },
    middleware: async (c, next) => {
      const rule = rules.find(
        (r) =>
          (r.times ?? 1) > 0 &&
          (r.method === undefined || r.method === c.req.method) &&
          (r.path === undefined || c.req.path.includes(r.path)),
      )
      if (!rule) return next()
      rule.times = (rule.times ?? 1) - 1
      const { fault } = rule
      if (fault.kind === 'hang') return never(c.req.raw.signal)
      if (fault.kind === 'status') {
        return new Response(fault.body === undefined ? 'made to fail' : JSON.stringify(fault.body), {
          status: fault.status,
          headers: {
            'content-type': fault.body === undefined ? 'text/plain' : 'application/json',
            ...(fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter }),
          },
        })
      }
      await next()
      if (fault.kind === 'commit_then_hang') return never(c.req.raw.signal)
      c.res = new Response('made to fail after the work', { status: fault.status })
      return c.res
    },
  }
}
