import type { Connection } from '../config/model.ts'
import type { InboundRequest, Received, WebhookSide } from '../connector/contract.ts'
import { inboundRequest } from '../connector/request.ts'
import { CordboardError } from '../errors.ts'
import type { Query } from '../store/port.ts'
import type { DeliveryRow, StepKind } from '../store/schema.ts'
import type { Deps } from './deps.ts'
import { openIssue } from './issues.ts'
import type { Outcome, Running } from './step.ts'

/** Steps whose subject is a delivery. */
export const DELIVERY_STEPS = ['merge', 'look_up', 'callback'] as const satisfies readonly StepKind[]

/** A stored delivery as the request it was: the same bytes, so that a replay reads what the vendor sent. */
export async function readDelivery({
  deps,
  step,
}: Running): Promise<{ row: DeliveryRow; request: InboundRequest }> {
  const row = await deps.store.db
    .selectFrom('deliveries')
    .selectAll()
    .where('id', '=', step.subject)
    .executeTakeFirst()
  if (!row) throw new CordboardError('unknown_object', 'The delivery was erased by retention')
  const body = await readBody(deps, row)
  const headers = JSON.parse(new TextDecoder().decode(row.headers)) as [string, string][]
  const request = inboundRequest({
    method: row.method,
    url: row.url,
    path: row.path,
    headers,
    body,
    receivedAt: new Date(row.received_at).toISOString(),
  })
  return { row, request }
}

/** A body as it came, from its row or from the media store. */
export async function readBody(
  deps: Pick<Deps, 'media'>,
  row: Pick<DeliveryRow, 'body' | 'media_id'>,
): Promise<Uint8Array> {
  return row.body ?? fromMedia(deps, row.media_id)
}

async function fromMedia(deps: Pick<Deps, 'media'>, id: string | null): Promise<Uint8Array> {
  const found = id === null ? null : await deps.media.get(id)
  if (!found) throw new CordboardError('unknown_object', 'The body of the delivery is not in the media store')
  return new Uint8Array(await new Response(found.body).arrayBuffer())
}

/** What the connector makes of the bytes. A failure of its own code is not told from a body it does not know. */
export function receiveWith<Event>(
  { id, connector, settings, region }: Connection,
  side: Pick<WebhookSide<unknown, Event>, 'receive'> | undefined,
  request: InboundRequest,
): Received<Event> | { unreadable: CordboardError } {
  if (!side) return { ignored: `the connector ${connector.id} no longer reads this kind of webhook` }
  try {
    return side.receive(request, { connection: id, config: settings, region })
  } catch (cause) {
    if (cause instanceof CordboardError) return { unreadable: cause }
    return {
      unreadable: new CordboardError('invalid_payload', 'The connector failed on this delivery', { cause }),
    }
  }
}

/** Authentic but unreadable deliveries are kept and marked; they can be replayed after a fix. */
export function unreadable(running: Running, row: DeliveryRow, error: CordboardError): Outcome {
  const { deps, step } = running
  const where = { kind: step.kind, connection: row.connection, delivery_id: row.id, step_id: step.id }
  const settled = settleDelivery(running, row, 'unreadable', error.message)
  return { done: `unreadable: ${error.message}`, queries: [settled, openIssue(deps, where, error)] }
}

/** What became of a delivery, committed with the step that read it. */
export function settleDelivery(
  { deps }: Running,
  row: DeliveryRow,
  state: DeliveryRow['state'],
  reason: string | null,
): Query {
  return deps.store.db
    .updateTable('deliveries')
    .set({ state, reason: reason?.slice(0, 500) ?? null })
    .where('id', '=', row.id)
}
