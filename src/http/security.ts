import type { MiddlewareHandler } from 'hono'

/** Nothing here is a page but /docs, which sets a policy of its own. */
const POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

/**
 * Headers of every answer, errors too. Answers under /v1 hold numbers and transcripts, so no cache keeps them. There is
 * no CORS: a page of another origin reads nothing, and no cookie exists that a browser could send along.
 */
export const securityHeaders: MiddlewareHandler = async function secured(c, next) {
  await next()
  const { headers } = c.res
  const set = (name: string, value: string) => {
    if (!headers.has(name)) c.header(name, value)
  }
  set('x-content-type-options', 'nosniff')
  set('content-security-policy', POLICY)
  set('referrer-policy', 'no-referrer')
  set('cross-origin-resource-policy', 'same-origin')
  set('cache-control', 'no-store')
}
