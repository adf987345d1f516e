import { newId } from '../call/ids.ts'
import type { Connection } from '../config/model.ts'
import type { InboundRequest, Reply, WebhookSide } from '../connector/contract.ts'
import { inboundRequest } from '../connector/request.ts'
import { verifyRequest } from '../connector/verify.ts'
import { asCordboardError, CordboardError, ERRORS, toProblem } from '../errors.ts'
import type { DeliveryRow, StepKind } from '../store/schema.ts'
import type { Deps } from './deps.ts'
import { toHex } from './hash.ts'
import type { Hint } from './refusals.ts'
import { CORE_LANE, newStep } from './step.ts'

/** Largest body of a webhook. */
const MAX_BODY = 5 * 1024 * 1024
/** Larger bodies are kept in the media store; the row holds their id. */
const MAX_ROW_BODY = 256 * 1024
/** Requests under way at once; more are told to come back, before their bodies are read. */
const MOST_AT_ONCE = 4_000
const RETRY_AFTER_S = '2'
const ENCODER = new TextEncoder()
const ACCEPTED: Reply = { status: 202 }

/** The header lines of problem answers. */
const PROBLEM = { 'content-type': 'application/problem+json' }

/**
 * receive: find the connection, bound the body, verify, store, answer. Nothing else happens before the 2xx, and no 2xx
 * is sent before the delivery and its step are durable.
 */
export function createReceiver(deps: Deps): (request: Request) => Promise<Response> {
  const base = deps.config.publicUrl ?? 'http://localhost'
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
    const { connection, path } = findConnection(deps, target)
    const found = sideOf(connection, path)
    if (!found) {
      throw new CordboardError(
        'not_a_webhook',
        `The connection ${connection.id} (${connection.connector.name}) receives no webhooks`,
      )
    }
    const { side, role } = found
    const body = await readBody(request)
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
    const handshake = side.handshake?.(inbound, settings)
    if (handshake) return toResponse(handshake)

    const verification = side.verify(connection.settings)
    const verified = await verifyRequest(inbound, verification, { now: receivedAt, signer: deps.signer })
    if (!verified.ok) return unauthentic(connection, inbound, verified.reason)

    const appended = await store(connection, role, inbound, receivedAt, side.dedupe)
    deps.metrics.count('cordboard_deliveries_total', {
      connection: connection.id,
      outcome: appended.repeats === 0 ? 'accepted' : 'duplicate',
    })
    return toResponse(side.reply ?? ACCEPTED)
  }

  async function store(
    connection: Connection,
    role: DeliveryRow['role'],
    inbound: InboundRequest,
    receivedAt: number,
    dedupe: { header: string } | undefined,
  ) {
    const id = newId('dlv', receivedAt, deps.random)
    const { body } = inbound
    const large = body.byteLength > MAX_ROW_BODY
    if (large) await deps.media.put(id, body, MAX_BODY)
    const kind: StepKind = role === 'analysis' ? 'callback' : 'merge'
    const step = newStep(deps, {
      kind,
      subject: id,
      callId: null,
      connection: connection.id,
      generation: 0,
      flow: null,
      lane: CORE_LANE,
    })
    const appended = await deps.store.append({
      delivery: {
        id,
        connection: connection.id,
        role,
        received_at: receivedAt,
        method: inbound.method,
        url: inbound.url,
        path: inbound.path,
        headers: ENCODER.encode(JSON.stringify([...inbound.headers])),
        body: large ? null : body,
        media_id: large ? id : null,
        bytes: body.byteLength,
        dedupe_key: await dedupeKey(deps, inbound, dedupe),
        repeats: 0,
        state: 'new',
        reason: null,
      },
      step,
    })
    if (appended.repeats === 0) deps.queue.wake([{ step: step.id, lane: step.lane, dueAt: receivedAt }])
    else if (large) await deps.media.delete([id])
    return appended
  }

  function unauthentic(connection: Connection, inbound: InboundRequest, reason: string): Response {
    const error = new CordboardError(
      'webhook_signature',
      `A delivery for ${connection.id} was refused: ${reason}`,
    )
    deps.refusals.add({
      connection: connection.id,
      code: error.code,
      method: inbound.method,
      path: inbound.path.slice(0, 200),
      headerNames: [...inbound.headers.keys()].slice(0, 50),
      reason,
      hint: hintOf(deps.config.publicUrl, inbound, reason),
    })
    deps.metrics.count('cordboard_deliveries_total', { connection: connection.id, outcome: 'refused' })
    return problem(error)
  }

  function refuse(error: CordboardError): Response {
    if (error.code === 'internal') deps.log.error('receiving failed', { says: error.message })
    return problem(error)
  }
}

function findConnection(deps: Deps, target: string): { connection: Connection; path: string } {
  const [path = ''] = target.split('?', 1)
  const rest = path.slice('/hooks/'.length)
  const slash = rest.indexOf('/')
  const id = slash < 0 ? rest : rest.slice(0, slash)
  const connection = deps.config.connections.get(id)
  // The id is not repeated in the answer: it is whatever the sender made up.
  if (!connection) throw new CordboardError('unknown_connection', 'No connection has the id in this path')
  return { connection, path: slash < 0 ? '' : rest.slice(slash) }
}

const ROLES = ['telephony', 'analysis', 'crm'] as const

/** The webhook side of a connection; one with several is told apart by the first part of the path. */
function sideOf(
  { connector }: Connection,
  path: string,
): { side: WebhookSide<unknown, unknown>; role: DeliveryRow['role'] } | null {
  const sides = {
    telephony: connector.telephony?.webhook,
    analysis: connector.analysis?.callback,
    crm: connector.crm?.callback,
  }
  const there = ROLES.flatMap((role) => {
    const side = sides[role]
    return side ? [{ role, side: side as WebhookSide<unknown, unknown> }] : []
  })
  return there.find(({ role }) => path.startsWith(`/${role}`)) ?? there[0] ?? null
}

async function readBody(request: Request): Promise<Uint8Array> {
  const tooLarge = () => new CordboardError('too_large', `A webhook’s body is at most ${MAX_BODY} bytes`)
  if (request.method === 'GET' || request.method === 'HEAD') return new Uint8Array()
  const length = request.headers.get('content-length')
  if (length !== null) {
    if (Number(length) > MAX_BODY) throw tooLarge()
    return new Uint8Array(await request.arrayBuffer())
  }
  // Chunked: nobody said how long it is, so it is counted while it comes.
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength
    if (size > MAX_BODY) throw tooLarge()
    chunks.push(chunk)
  }
  const body = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    body.set(chunk, at)
    at += chunk.byteLength
  }
  return body
}

async function dedupeKey(
  deps: Deps,
  inbound: InboundRequest,
  dedupe: { header: string } | undefined,
): Promise<string> {
  const named = dedupe && inbound.headers.get(dedupe.header)
  if (named && named.length <= 200) return `h:${named}`
  const from = inbound.url.indexOf('/hooks/')
  const head = ENCODER.encode(`${inbound.method} ${inbound.url.slice(from)}\n`)
  const all = new Uint8Array(head.length + inbound.body.length)
  all.set(head)
  all.set(inbound.body, head.length)
  const pending = deps.signer.digest('sha256', all)
  return toHex(pending instanceof Promise ? await pending : pending)
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
