import type { Connection } from '../config/model.ts'
import { asCordboardError, CordboardError } from '../errors.ts'
import type { Budgets } from './budgets.ts'
import type { Budget, ConnectorContext, FetchInit, Log, VendorFetch } from './contract.ts'
import type { HttpFetch } from './platform.ts'
import type { Tokens } from './tokens.ts'

/** What `ctx` is made of. Everything that has effects comes in from outside. */
export interface ContextOptions {
  connection: Connection
  publicUrl: string | undefined
  http: HttpFetch
  budgets: Budgets
  tokens: Tokens
  now: () => number
  random: () => number
  log: Log
  signal: AbortSignal
  /** Of the step that runs: after `until()` (our clock, ms) nothing may be sent any more. */
  lease?: { until(): number }
  /** Sleeps between two tries to take a budget; default a timer that ends early when the signal aborts. */
  wait?: (ms: number, signal: AbortSignal) => Promise<void>
}

/** Longer waits are not worth a worker's slot: the step comes back when the budget allows it. */
const LONGEST_BUDGET_WAIT_MS = 2000
const DEFAULT_TIMEOUT_MS = 30_000
const DEFAULT_MAX_BYTES = 8 * 1024 * 1024

export function createContext(options: ContextOptions): ConnectorContext {
  const { connection, publicUrl } = options
  return {
    connection: connection.id,
    config: connection.settings,
    region: connection.region,
    hookUrl: publicUrl === undefined ? undefined : `${publicUrl}/hooks/${connection.id}`,
    fetch: vendorFetch(options),
    token: (name, fetchNew, wishes = {}) =>
      options.tokens.get({
        ...wishes,
        connection,
        name,
        signal: options.signal,
        fetchNew: (previous, { signal, until }) =>
          fetchNew(previous, vendorFetch({ ...options, signal, lease: { until: () => until } })),
      }),
    now: options.now,
    random: options.random,
    log: options.log,
    signal: options.signal,
  }
}

function vendorFetch(options: ContextOptions): VendorFetch {
  const { connection, http, signal } = options
  const budgets: Record<string, Budget> = connection.connector.budgets?.(connection.settings) ?? {}
  return async function fetchFromVendor(target, init = {}) {
    const url = checkedUrl(target, connection.allowPrivate)
    const headers = checkedHeaders(init.headers)
    mayStillSend(options)
    await takeBudget(options, budgets, init.bucket ?? 'default')
    mayStillSend(options)
    return http(url, {
      method: (init.method ?? 'GET').toUpperCase(),
      headers,
      ...(init.body === undefined ? {} : { body: init.body }),
      signal,
      timeoutMs: init.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      maxBytes: init.maxBytes ?? DEFAULT_MAX_BYTES,
      redirects: init.redirects ?? 0,
      allowPrivate: connection.allowPrivate,
    })
  }
}

/** A worker that lost its lease, or was told to stop, must not act: another one may have taken over. */
function mayStillSend({ signal, lease, now }: ContextOptions): void {
  if (signal.aborted) throw asCordboardError(signal.reason)
  if (lease && now() >= lease.until()) {
    throw new CordboardError('lease_lost', 'The lease of this step ran out: nothing more is sent')
  }
}

async function takeBudget(options: ContextOptions, all: Record<string, Budget>, bucket: string) {
  const budget = Object.hasOwn(all, bucket) ? all[bucket] : undefined
  if (!budget) return
  const { connection, budgets, signal, wait = sleep } = options
  let waited = 0
  for (;;) {
    const ms = await budgets.take(connection.id, bucket, budget)
    if (ms <= 0) return
    waited += ms
    if (waited > LONGEST_BUDGET_WAIT_MS) {
      throw new CordboardError(
        'rate_limited',
        `The ${bucket} budget of ${connection.id} is used up for now`,
        {
          why: `${budget.limit} requests in ${budget.windowMs} ms are what the vendor allows`,
          retry: { afterMs: ms },
        },
      )
    }
    await wait(ms, signal)
    mayStillSend(options)
  }
}

function checkedUrl(target: string | URL, allowPrivate: readonly string[]): URL {
  const url = URL.parse(String(target))
  if (!url) throw new CordboardError('config', 'What should be fetched is no absolute URL')
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new CordboardError('blocked_address', `URLs of the scheme ${url.protocol} are not fetched`, {
      fix: 'Use an https URL',
    })
  }
  if (url.username !== '' || url.password !== '') {
    throw new CordboardError('blocked_address', `The URL at ${url.hostname} carries credentials`, {
      why: 'URLs end up in logs and at redirect targets',
      fix: 'Put the credentials into the connection’s own keys and leave them out of the URL',
    })
  }
  if (url.protocol === 'http:' && !allowsPrivate(url, allowPrivate)) {
    throw new CordboardError('blocked_address', `The URL at ${url.hostname} is not https`, {
      why: 'Credentials and recordings would travel readable',
      fix: `Use https; if ${url.host} is yours, list it under allowPrivate of the connection`,
    })
  }
  return url
}

/**
 * Whether the operator listed this very host (`host`: any port; `host:port`: that one only). IPv6 addresses may be
 * written with or without brackets; names are compared as the URL standard spells them, nothing is resolved.
 */
export function allowsPrivate(url: URL, allowPrivate: readonly string[]): boolean {
  const port = url.port || (url.protocol === 'https:' ? '443' : '80')
  return allowPrivate.some((entry) => {
    const [, host, allowedPort] = /^(\[[^\]]*\]|[^:[\]/@?#\\\s]+)(?::(\d{1,5}))?$/.exec(entry) ?? [
      entry,
      `[${entry}]`,
    ]
    if (allowedPort !== undefined && Number(allowedPort) !== Number(port)) return false
    return URL.parse(`http://${host}/`)?.hostname === url.hostname
  })
}

function checkedHeaders(given: FetchInit['headers'] = {}): Record<string, string> {
  const headers: Record<string, string> = { 'user-agent': 'cordboard' }
  for (const [name, value] of Object.entries(given)) {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) {
      throw new CordboardError('config', 'A request header has a name that is no header name')
    }
    // Also refused by the platforms, but late and with the value in the message.
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
      throw new CordboardError('config', `The value of the request header ${name} cannot be sent`, {
        why: 'It holds a line break, a NUL or a character outside Latin-1; a secret read from a file often ends in one',
        fix: 'Remove the character from the setting that this header is made of',
      })
    }
    headers[name.toLowerCase()] = value
  }
  return headers
}

/** Ends early, without an error, when the signal aborts. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
  })
}
