import type { ConnectorContext } from '../connector/contract.ts'
import type { CordboardError, ErrorCode } from '../errors.ts'

// What an attempt that failed may have done all the same.

/** After these the vendor has certainly done nothing, unless it took an earlier request of the same attempt. */
const NOTHING_HAPPENED: ReadonlySet<ErrorCode> = new Set([
  'auth',
  'forbidden',
  'not_found',
  'gone',
  'rate_limited',
  'quota',
  'invalid_payload',
  'rejected',
  'blocked_address',
  'lease_lost',
])

/** By these the system says that no connection was made. */
const NO_CONNECTION = /^(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)$/

/** The requests of one attempt that may have made something. */
export interface Sending {
  context: ConnectorContext
  /** Whether, after this error, nothing can have come of the attempt. */
  isHarmless(error: CordboardError): boolean
}

/** Counts them: an error after one that was answered with a 2xx leaves the end open. `before` runs ahead of the first. */
export function sendingWith(context: ConnectorContext, before?: () => Promise<void>): Sending {
  let begun = 0
  let taken = 0
  return {
    isHarmless: (error) =>
      taken === 0 && (begun === 0 || NOTHING_HAPPENED.has(error.code) || isUnconnected(error)),
    context: {
      ...context,
      fetch: async (url, init) => {
        const makes = (init?.method ?? 'GET').toUpperCase() !== 'GET'
        if (makes && begun === 0) await before?.()
        if (makes) begun += 1
        const response = await context.fetch(url, init)
        if (makes && response.ok) taken += 1
        return response
      },
    },
  }
}

function isUnconnected({ cause }: CordboardError): boolean {
  return cause instanceof Error && 'code' in cause && NO_CONNECTION.test(String(cause.code))
}
