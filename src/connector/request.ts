import type { InboundRequest } from './contract.ts'
import { parseForm } from './form.ts'
import { parseJson } from './json.ts'

/** A request as it was received or stored. */
export interface RawRequest {
  method: string
  /** The configured public base, then path and query as received. */
  url: string
  /** What stands behind /hooks/<connection>, with its slash; may be empty. */
  path: string
  headers: Headers | readonly (readonly [string, string])[]
  body: Uint8Array
  /** UTC. */
  receivedAt: string
}

/**
 * What verifiers and connectors look at. Nothing is parsed until somebody asks: most requests are verified over their
 * bytes alone, and that happens before anything else.
 */
export function inboundRequest(raw: RawRequest): InboundRequest {
  let headers: Headers | undefined
  let query: URLSearchParams | undefined
  let form: URLSearchParams | undefined
  let json: { value: unknown } | undefined
  const getHeaders = () => {
    headers ??= raw.headers instanceof Headers ? raw.headers : headersOf(raw.headers)
    return headers
  }
  return {
    method: raw.method,
    url: raw.url,
    path: raw.path,
    body: raw.body,
    receivedAt: raw.receivedAt,
    get headers() {
      return getHeaders()
    },
    get query() {
      query ??= queryOf(raw.url)
      return query
    },
    form() {
      form ??= parseForm(raw.body, getHeaders().get('content-type'))
      return form
    },
    json() {
      json ??= { value: parseJson(raw.body) }
      return json.value
    },
  }
}

/** The query as received, without a URL parser in between: it would re-encode what is signed. */
export function queryOf(url: string): URLSearchParams {
  const at = url.indexOf('?')
  // Only one "?" is the mark of a query; a second one belongs to the first name.
  return new URLSearchParams(at < 0 ? '' : `&${url.slice(at + 1).split('#', 1)[0]}`)
}

/** The path of an absolute URL as received: not normalised, not decoded. */
export function pathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  if (start < 0) return '/'
  const end = url.slice(start).search(/[?#]/)
  return end < 0 ? url.slice(start) : url.slice(start, start + end)
}

function headersOf(pairs: readonly (readonly [string, string])[]): Headers {
  const headers = new Headers()
  for (const [name, value] of pairs) {
    try {
      headers.append(name, value)
    } catch {
      // A name or value that cannot be a header was none to the sender's server either; nobody signs it.
    }
  }
  return headers
}
