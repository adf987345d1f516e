import { sleep } from '../connector/context.ts'
import type { ConnectorContext, FetchInit } from '../connector/contract.ts'
import { retryAfterMs } from '../connector/fail-on.ts'
import { CordboardError } from '../errors.ts'

/** One window of the wall clock, as vendors count requests, and some room. */
const PATIENCE_MS = 90_000
/** After a 429 that names no time. */
const UNNAMED_MS = 5_000

/**
 * A context that waits for its request budget, and for a vendor that says "too many", instead of failing: a list that is
 * given up in the middle begins anew, and with three requests a minute would never get to its end. Longer waits fail as
 * usual: the step comes back.
 */
export function patient(context: ConnectorContext, wait = sleep): ConnectorContext {
  return {
    ...context,
    async fetch(url, init) {
      for (let waited = 0; ; ) {
        const { response, error } = await context.fetch(url, init).then(
          (answer) => ({ response: answer, error: null }),
          (thrown: unknown) => ({ response: null, error: thrown }),
        )
        const afterMs = response ? saidBy(response, init, context) : askedBy(error)
        if (afterMs === null || waited + afterMs > PATIENCE_MS) {
          if (response) return response
          throw error
        }
        await response?.body?.cancel()
        waited += Math.max(1, afterMs)
        await wait(afterMs, context.signal)
      }
    },
  }
}

function saidBy(response: Response, init: FetchInit | undefined, { now }: ConnectorContext): number | null {
  if (response.status !== 429 || init?.body instanceof ReadableStream) return null
  return retryAfterMs(response.headers.get('retry-after'), now) ?? UNNAMED_MS
}

function askedBy(error: unknown): number | null {
  if (!(error instanceof CordboardError) || error.code !== 'rate_limited') return null
  return typeof error.retry === 'object' ? error.retry.afterMs : UNNAMED_MS
}
