import { newId } from '../call/ids.ts'
import type { Connection } from '../config/model.ts'
import { createMemoryBudgets } from '../connector/budgets.ts'
import type { InboundRequest, Reply } from '../connector/contract.ts'
import { maskSecrets } from '../connector/mask.ts'
import { inboundRequest } from '../connector/request.ts'
import { verifyRequest } from '../connector/verify.ts'
import { asCordboardError, CordboardError, ERRORS, toProblem, whereFrom } from '../errors.ts'
import type { DeliveryRow } from '../store/schema.ts'
import { createBodies } from './body.ts'
import { dedupeKey } from './dedupe.ts'
import type { Deps } from './deps.ts'
import { type Found, findConnection, sideOf } from './hook.ts'
import { type Hint, NOBODY } from './refusals.ts'
import { storeDelivery } from './store-delivery.ts'

/** Largest body of a webhook. */
const MAX_BODY = 5 * 1024 * 1024
/** Requests under way at once; more are told to come back, before their bodies are read. */
const MOST_AT_ONCE = 4_000
const RETRY_AFTER_S = '2'
const MINUTE_MS = 60_000
const ACCEPTED: Reply = { status: 202 }

/** The header lines of problem answers. */
const PROBLEM = { 'content-type': 'application/problem+json' }

/**
 * receive: find the connection, bound the body, verify, store, answer. Nothing else happens before the 2xx, and no 2xx
 * is sent before the delivery and its step are durable.
 */
export function createReceiver(deps: Deps): (request: Request) => Promise<Response> {
  const base = deps.config.publicUrl ?? 'http://localhost'
  const bodies = createBodies()
  const quotas = createMemoryBudgets(deps)
  let under = 0

  return async function receive(request) {
    if (under >= MOST_AT_ONCE)
      return problem(new CordboardError('overloaded', 'Too many requests are under way'))
    under += 1
    try {
      return await accept(request)
    } catch (thrown) {
      return refuse(asCordboardError(thrown))
    } finally {
      under -= 1
    }
  }

  async function accept(request: Request): Promise<Response> {
    const target = request.url.slice(request.url.indexOf('/', request.url.indexOf('://') + 3))
    const known = findConnection(deps.config, target)
    if (known === null) return forNobody(request)
    const { connection, path } = known
    const found = sideOf(connection, path)
    if (!found) return notAWebhook(connection, request, path)
    const read = await bodies.read(request, MAX_BODY)
    if (read === null) return tooLarge(connection, request, path)
    try {
      return await take(connection, found, { request, target, path, body: read.body })
    } finally {
      read.release()
    }
  }

  /** All of it is here: is it authentic? Then it is stored. */
  async function take(
    connection: Connection,
    { side, role }: Found,
    { request, target, path, body }: { request: Request; target: string; path: string; body: Uint8Array },
  ): Promise<Response> {
    const receivedAt = deps.now()
    const inbound = inboundRequest({
      method: request.method,
      url: base + target,
      path,
      headers: request.headers,
      body,
      receivedAt: new Date(receivedAt).toISOString(),
    })
    const settings = { connection: connection.id, config: connection.settings, region: connection.region }
    if (side.handshake) {
      const handshake = await side.handshake(inbound, settings, deps.signer)
      if (handshake) return toResponse(handshake)
    }

    const verification = side.verify(connection.settings)
    const verified = await verifyRequest(inbound, verification, { now: receivedAt, signer: deps.signer })
    if (!verified.ok) return unauthentic(connection, inbound, verified.reason)

    const afterMs = overQuota(connection)
    if (afterMs > 0) return tooMany(connection, inbound, afterMs)

    const appended = await store(connection, role, inbound, receivedAt, side.dedupe)
    deps.metrics.count('cordboard_deliveries_total', {
      connection: connection.id,
      outcome: appended.repeats === 0 ? 'accepted' : 'duplicate',
    })
    return toResponse(side.reply ?? ACCEPTED)
  }

  /**
   * Counted here and nowhere else: behind the check, so that strangers use up nobody's quota, and before the store, which it
   * protects. Each process counts for itself: nothing is asked on the way of a delivery. 0, or the ms until there is room.
   */
  function overQuota({ id, deliveriesPerMinute: limit }: Connection): number {
    if (limit === undefined) return 0
    return Number(quotas.take(id, 'deliveries', { limit, windowMs: MINUTE_MS, window: 'fixed' }))
  }

  async function store(
    connection: Connection,
    role: DeliveryRow['role'],
    inbound: InboundRequest,
    receivedAt: number,
    dedupe: { header: string } | undefined,
  ) {
    const { method, url, path, headers, body } = inbound
    return storeDelivery(deps, {
      id: newId('dlv', receivedAt, deps.random),
      connection: connection.id,
      role,
      receivedAt,
      method,
      url,
      path,
      headers: [...headers],
      body,
      dedupeKey: await dedupeKey(deps.signer, inbound, dedupe),
    })
  }

  function unauthentic(connection: Connection, inbound: InboundRequest, reason: string): Response {
    const error = new CordboardError(
      'webhook_signature',
      `A delivery for ${connection.id} was refused: ${reason}`,
    )
    count(connection, error, inbound, reason, hintOf(deps.config.publicUrl, inbound, reason))
    return problem(error)
  }

  /** The id in the path is whatever the sender made up: it is neither repeated in the answer nor counted by itself. */
  function forNobody({ method, headers }: Request): Response {
    const error = new CordboardError('unknown_connection', 'No connection has the id in this path')
    count(NOBODY, error, { method, headers, path: '' }, 'no connection has the id in the path', null)
    return problem(error)
  }

  function notAWebhook(connection: Connection, { method, headers }: Request, path: string): Response {
    const reason = `${connection.connector.name} receives no webhooks`
    const error = new CordboardError('not_a_webhook', `The connection ${connection.id}: ${reason}`)
    count(connection, error, { method, headers, path }, reason, null)
    return problem(error)
  }

  function tooLarge(connection: Connection, { method, headers }: Request, path: string): Response {
    const reason = `the body has more than ${MAX_BODY} bytes`
    const error = new CordboardError('too_large', reason)
    count(connection, error, { method, headers, path }, reason, null)
    return problem(error)
  }

  function tooMany(connection: Connection, inbound: InboundRequest, afterMs: number): Response {
    const reason = `more than ${connection.deliveriesPerMinute} deliveries in this minute`
    const afterS = Math.ceil(afterMs / 1_000)
    const error = new CordboardError('rate_limited', `${connection.id} sends ${reason}`, {
      fix: `Send it again after ${afterS} s; it was not stored`,
      retry: { afterMs },
    })
    count(connection, error, inbound, reason, null)
    // Of this code the table speaks of a vendor's limit that a step met. Here it is ours, and the sender is told so.
    const told = { ...toProblem(error), title: 'The limit of this connection is reached', status: 429 }
    const headers = { ...PROBLEM, 'retry-after': `${afterS}` }
    return new Response(JSON.stringify(told), { status: 429, headers })
  }

  function count(
    { id, secrets }: Pick<Connection, 'id' | 'secrets'>,
    error: CordboardError,
    { method, path, headers }: Pick<InboundRequest, 'method' | 'path'> & { headers: Headers },
    reason: string,
    hint: Hint,
  ): void {
    deps.refusals.add({
      connection: id,
      code: error.code,
      method: method.slice(0, 16),
      path: maskSecrets(path, secrets).slice(0, 200),
      headerNames: [...headers.keys()].slice(0, 30).map((name) => name.slice(0, 64)),
      reason,
      hint,
    })
    deps.metrics.count('cordboard_deliveries_total', { connection: id, outcome: 'refused' })
  }

  /** Anybody may read the answer: of what failed inside it says that it did, and the log says where. */
  function refuse(error: CordboardError): Response {
    if (error.code === 'internal') {
      deps.log.error('receiving failed', { at: whereFrom(error) })
      return problem(new CordboardError('internal', 'Cordboard failed on this request'))
    }
    return problem(error.why === undefined ? error : new CordboardError(error.code, error.message))
  }
}

function hintOf(publicUrl: string | undefined, { headers }: InboundRequest, reason: string): Hint {
  if (reason.includes('is missing')) return 'header'
  const host = headers.get('x-forwarded-host') ?? headers.get('host')
  if (publicUrl === undefined || (host !== null && host !== new URL(publicUrl).host)) return 'url'
  return 'secret'
}

function toResponse({ status, headers, body }: Reply): Response {
  return new Response(status === 204 || body === undefined ? null : body, {
    status,
    ...(headers === undefined ? {} : { headers }),
  })
}

function problem(error: CordboardError): Response {
  const { status } = ERRORS[error.code]
  const headers = status === 503 ? { ...PROBLEM, 'retry-after': RETRY_AFTER_S } : PROBLEM
  return new Response(JSON.stringify(toProblem(error)), { status, headers })
}
