import { CordboardError } from '../errors.ts'
import { allowsPrivate } from './context.ts'
import { type Payload, toPayload } from './payload.ts'
import type { HttpRequest } from './platform.ts'

/** One exchange, which follows nothing; each hop gets its own address checked. */
export type Exchange = (url: URL, request: HttpRequest, payload: Payload | null) => Promise<Response>

/** A request with the redirects that were asked for: the same rules for every hop, whatever the runtime. */
export async function follow(first: URL, request: HttpRequest, exchange: Exchange): Promise<Response> {
  let url = first
  let { method, headers } = request
  let payload = await toPayload(request.body)
  for (let hop = 0; ; hop += 1) {
    let response: Response
    try {
      response = await exchange(url, { ...request, method, headers }, payload)
    } catch (error) {
      if (payload && 'stream' in payload && !payload.stream.locked) await payload.stream.cancel()
      throw error
    }
    if (hop >= request.redirects) return response
    const next = nextHop(url, response, method, payload, request.allowPrivate)
    if (next === null) return response
    await response.body?.cancel()
    if (next instanceof CordboardError) throw next
    if (next.url.origin !== url.origin) headers = without(headers, NOT_FOR_STRANGERS)
    if (!next.keepsBody) {
      payload = null
      headers = without(headers, /^content-/)
    }
    url = next.url
    method = next.method
  }
}

interface Hop {
  url: URL
  method: string
  keepsBody: boolean
}

/** Everything but the harmless: API keys come under any name, not only Authorization and Cookie. */
const NOT_FOR_STRANGERS = /^(?!accept|content-|user-agent$|range$)/

/** Where a redirect leads; an error when it must not be followed; null when it is to be handed over as the answer. */
function nextHop(
  from: URL,
  response: Response,
  method: string,
  payload: Payload | null,
  allowPrivate: HttpRequest['allowPrivate'],
): Hop | CordboardError | null {
  const { status } = response
  const location = response.headers.get('location')
  if (location === null || ![301, 302, 303, 307, 308].includes(status)) return null
  const url = URL.parse(asSent(location), from.href)
  const refused = (why: string) =>
    new CordboardError('blocked_address', `A redirect of ${from.host} is not followed`, {
      why,
      fix: 'Check the base URL of the connection: its server sends requests elsewhere',
    })
  if (!url) return refused('It leads to no URL')
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return refused('It leaves HTTP')
  if (url.username !== '' || url.password !== '') return refused('It carries credentials in its URL')
  if (url.protocol === 'http:') {
    if (from.protocol === 'https:') return refused('It leads from https to http')
    if (!allowsPrivate(url, allowPrivate)) return refused('It leads to http at a host that is not listed')
  }
  const becomesGet =
    (status === 303 && method !== 'HEAD') || ((status === 301 || status === 302) && method === 'POST')
  if (becomesGet) return { url, method: 'GET', keepsBody: false }
  // A stream cannot be sent twice; a body may hold credentials and goes to nobody but its addressee.
  if (payload && ('stream' in payload || url.origin !== from.origin)) return null
  return { url, method, keepsBody: true }
}

/** Servers send UTF-8. Node shows the bytes as latin1, Workers have decoded them. */
function asSent(header: string): string {
  if (!/^[\0-\xff]*$/.test(header)) return header
  const bytes = Uint8Array.from(header, (char) => char.charCodeAt(0))
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes)
  } catch {
    return header
  }
}

function without(headers: Record<string, string>, name: RegExp): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([key]) => !name.test(key.toLowerCase())))
}
