import type { Hono } from 'hono'
import type { HttpFetch, HttpRequest } from '../../src/connector/platform.ts'
import { asCordboardError, CordboardError } from '../../src/errors.ts'

/**
 * The platform's HTTP without a network: requests go straight into a stand-in's app. Like the real ones it ends at the
 * caller's signal or after `timeoutMs`, whatever the app does, and follows redirects only when asked.
 */
export function fetchFrom(app: Hono): HttpFetch {
  return async function fetchInProcess(url, request) {
    let target = url
    let headers = request.headers
    for (let hops = 0; ; hops++) {
      const response = await exchange(app, target, { ...request, headers })
      const location = response.headers.get('location')
      if (response.status < 300 || response.status > 399 || !location || hops >= request.redirects)
        return response
      const next = new URL(location, target)
      if (next.origin !== target.origin) headers = withoutCredentials(headers)
      target = next
    }
  }
}

async function exchange(app: Hono, url: URL, request: HttpRequest): Promise<Response> {
  if (request.signal.aborted) throw asCordboardError(request.signal.reason)
  const ended = new AbortController()
  const { promise: cutOff, reject } = Promise.withResolvers<never>()
  const end = (message: string, cause?: unknown) => {
    ended.abort()
    reject(new CordboardError('timeout', message, { cause }))
  }
  const onAbort = () => end('The work was cut off at its deadline', request.signal.reason)
  request.signal.addEventListener('abort', onAbort, { once: true })
  const timer = setTimeout(() => end(`No answer within ${request.timeoutMs} ms`), request.timeoutMs)
  try {
    const init: RequestInit & { duplex: 'half' } = {
      method: request.method,
      headers: request.headers,
      signal: ended.signal,
      duplex: 'half',
    }
    // Copied: a Request takes bytes only over a buffer of their own.
    if (request.body !== undefined) {
      init.body = request.body instanceof Uint8Array ? new Uint8Array(request.body) : request.body
    }
    return await Promise.race([app.fetch(new Request(url, init)), cutOff])
  } finally {
    clearTimeout(timer)
    request.signal.removeEventListener('abort', onAbort)
  }
}

function withoutCredentials(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !['authorization', 'cookie'].includes(name.toLowerCase())),
  )
}
