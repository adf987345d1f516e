import type { HttpFetch } from '../../src/connector/platform.ts'
import type { Fault, FaultRule, VendorSandbox } from '../../src/connector/sandbox.ts'
import { CordboardError } from '../../src/errors.ts'
import { fetchFrom } from '../kit/in-process.ts'

/**
 * The network between Cordboard and the vendors, in one process and on the test's clock. A request that hangs is held
 * until that clock passes its time limit, or whoever sent it gives up.
 */
export interface Wire {
  http: HttpFetch
  /** Makes the next matching requests to a connection fail. */
  fail(connection: string, rule: FaultRule): void
  /** Makes the very next request to this URL’s host fail. */
  failNext(url: URL, fault: Fault): void
  /** Steps (by their signals) that are held by a request that hangs. */
  held(): number
  /** Requests sent to a connection so far: `METHOD /path`. */
  sent(connection: string): string[]
  /** When the first held request runs into its limit. */
  nextAt(): number | null
  /** Ends the requests whose limit has passed. */
  tick(): void
  /** The process that waits for what hangs is dead: it will never hear of it; unless it is only frozen. */
  abandon(keepsWaiting?: boolean): void
  /** All requests that hang, those of frozen processes too, are answered at once: too late. */
  release(): void
}

/** Contains it; with a `$`, ends in it. */
function matches(path: string, wanted = ''): boolean {
  return wanted.endsWith('$') ? path.endsWith(wanted.slice(0, -1)) : path.includes(wanted)
}

interface Held {
  signal: AbortSignal
  at: number
  end(error: Error): void
  answer(): void
}

export function createWire(vendor: (connection: string) => VendorSandbox, now: () => number): Wire {
  const rules: { connection: string; rule: FaultRule; left: number }[] = []
  const holding = new Map<object, Held>()
  const sent: { connection: string; line: string }[] = []

  const frozen: Held[] = []

  const hold = (
    signal: AbortSignal,
    timeoutMs: number,
    answer: () => Promise<Response>,
  ): Promise<Response> => {
    const { promise, reject, resolve } = Promise.withResolvers<Response>()
    const key = {}
    const end = (error: Error) => {
      holding.delete(key)
      reject(error)
    }
    holding.set(key, {
      signal,
      at: now() + timeoutMs,
      end,
      answer: () => {
        holding.delete(key)
        resolve(answer())
      },
    })
    signal.addEventListener('abort', () => end(new CordboardError('timeout', 'cut off')), { once: true })
    return promise
  }

  return {
    http: async (url, request) => {
      const connection = url.hostname.split('.')[0] ?? ''
      sent.push({ connection, line: `${request.method} ${url.pathname}` })
      const answer = () => fetchFrom(vendor(connection).app)(url, request)
      const hit = rules.find(
        ({ connection: at, rule, left }) =>
          at === connection &&
          left > 0 &&
          (rule.method === undefined || rule.method === request.method) &&
          matches(url.pathname, rule.path),
      )
      if (!hit) return answer()
      hit.left -= 1
      if (hit.left === 0) rules.splice(rules.indexOf(hit), 1)
      const { fault } = hit.rule
      if (fault.kind === 'hang') return hold(request.signal, request.timeoutMs, answer)
      if (fault.kind === 'status') {
        const body = fault.body === undefined ? 'made to fail' : JSON.stringify(fault.body)
        const headers = fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter }
        return new Response(body, { status: fault.status, headers })
      }
      const answered = await answer()
      if (fault.kind === 'commit_then_hang')
        return hold(request.signal, request.timeoutMs, async () => answered)
      return new Response('made to fail after the work', { status: fault.status })
    },
    fail: (connection, rule) => {
      rules.push({ connection, rule, left: rule.times ?? 1 })
    },
    failNext: (url, fault) => {
      const connection = url.hostname.split('.')[0] ?? ''
      rules.unshift({ connection, rule: { fault, path: url.pathname }, left: 1 })
    },
    held: () => new Set([...holding.values()].map((one) => one.signal)).size,
    sent: (connection) => sent.filter((one) => one.connection === connection).map((one) => one.line),
    nextAt: () => (holding.size === 0 ? null : Math.min(...[...holding.values()].map((one) => one.at))),
    abandon: (keepsWaiting = false) => {
      if (keepsWaiting) frozen.push(...holding.values())
      holding.clear()
    },
    release: () => {
      for (const { answer } of [...frozen.splice(0), ...holding.values()]) answer()
    },
    tick: () => {
      for (const { at, end } of [...holding.values()])
        if (at <= now()) end(new CordboardError('timeout', 'No answer in time'))
    },
  }
}
