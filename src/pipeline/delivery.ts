import type { InboundRequest } from '../connector/contract.ts'
import { inboundRequest } from '../connector/request.ts'
import { CordboardError } from '../errors.ts'
import type { Query } from '../store/port.ts'
import type { DeliveryRow } from '../store/schema.ts'
import type { Running } from './step.ts'

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
  const body = row.body ?? (await fromMedia(deps, row.media_id))
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

async function fromMedia(deps: Running['deps'], id: string | null): Promise<Uint8Array> {
  const found = id === null ? null : await deps.media.get(id)
  if (!found) throw new CordboardError('unknown_object', 'The body of the delivery is not in the media store')
  return new Uint8Array(await new Response(found.body).arrayBuffer())
}

/** What became of a delivery, committed with the step that read it. */
export function settle(
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
