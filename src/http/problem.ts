import type { Context } from 'hono'
import { HTTPException } from 'hono/http-exception'
import type { Log } from '../connector/contract.ts'
import { CordboardError, toProblem, whereFrom } from '../errors.ts'
import { challenge } from './auth.ts'

/** Every error of the API is an RFC 9457 problem document; this is the one place that writes them. */

/** Seconds a client waits before it tries again when the error does not say. */
const RETRY_SECONDS = 5

interface Extra {
  /** Members beside the standard ones; `status` and `title` win over the error's own. */
  members?: Record<string, unknown>
  headers?: Record<string, string>
}

export function problemResponse(error: CordboardError, { members = {}, headers = {} }: Extra = {}): Response {
  const problem = { ...toProblem(error), ...members }
  const after = typeof error.retry === 'object' ? Math.ceil(error.retry.afterMs / 1000) : RETRY_SECONDS
  return new Response(JSON.stringify(problem), {
    status: problem.status,
    headers: {
      'content-type': 'application/problem+json',
      ...(problem.status === 503 ? { 'retry-after': String(after) } : {}),
      ...headers,
    },
  })
}

/** What a caller may know of an error. What is not ours is logged under an id and shown only as that id. */
export function failure(
  thrown: unknown,
  deps: { log: Log; random: () => number },
  where: { method: string; route: string; sentToken: boolean },
): Response {
  const error = thrown instanceof HTTPException ? fromHono(thrown) : thrown
  if (error instanceof CordboardError && error.code !== 'internal') {
    const words = challenge(error, where.sentToken)
    return problemResponse(error, words === undefined ? {} : { headers: { 'www-authenticate': words } })
  }
  const id = `err_${Math.floor(deps.random() * 2 ** 48)
    .toString(36)
    .padStart(10, '0')}`
  // A message may quote data (a value that broke a rule of the database), so at the default level only the kind of
  // error and the places in the code are written.
  deps.log.error('request failed', {
    id,
    method: where.method,
    route: where.route,
    error: error instanceof Error ? error.name : typeof error,
    at: whereFrom(error),
  })
  deps.log.debug('request failed: message', {
    id,
    message: error instanceof Error ? error.message : String(error),
  })
  const hidden = new CordboardError('internal', `Cordboard failed; its log says more under the id ${id}`)
  return problemResponse(hidden, { members: { id } })
}

export function noSuchPath(c: Context): Response {
  const error = new CordboardError('unknown_object', `There is nothing at ${shown(c.req.path)}`, {
    fix: 'See /docs for the paths there are',
  })
  return problemResponse(error, { members: { title: 'There is no such path' } })
}

export function wrongMethod(c: Context, allowed: readonly string[]): Response {
  const error = new CordboardError(
    'bad_request',
    `Method: expected ${allowed.join(' or ')}, seen ${shown(c.req.method)}`,
    { fix: 'Use one of the methods in the header Allow' },
  )
  return problemResponse(error, {
    members: { status: 405, title: 'This path does not take this method' },
    headers: { allow: allowed.join(', ') },
  })
}

/** Text of a request as a message shows it: bounded, quoted, on one line. */
export function shown(value: unknown): string {
  // A list or an object is only named: it may be nested deeper than the stack of JSON.stringify reaches.
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'object' && value !== null) return 'an object'
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > 80 ? `${text.slice(0, 77)}…"` : text
}

/** Hono throws its own for a body that is no JSON or of another type. */
function fromHono(exception: HTTPException): unknown {
  if (exception.status === 415) {
    return new CordboardError('bad_request', 'Content-Type: expected application/json, seen another or none')
  }
  if (exception.status === 400)
    return new CordboardError('bad_request', 'Body: expected JSON, seen something else')
  return exception
}
