import type { CallEvent } from '../call/facts.ts'
import type { Query } from '../store/port.ts'
import type { CallRow, DeliveryRow } from '../store/schema.ts'
import { type Group, idsOf } from './resolve.ts'
import type { Running } from './step.ts'

// What the store knows of a call, and what a merge adds to it.

/** The oldest first; calls that were joined into others are not among them. */
export async function callRows({ deps }: Running, ids: readonly string[]): Promise<CallRow[]> {
  if (ids.length === 0) return []
  return deps.store.db
    .selectFrom('calls')
    .selectAll()
    .where('id', 'in', ids)
    .where('joined_into', 'is', null)
    .orderBy('id')
    .execute()
}

/** By key, as JSON. */
export async function storedEvents(
  { deps }: Running,
  calls: readonly CallRow[],
): Promise<Map<string, string>> {
  if (calls.length === 0) return new Map()
  const rows = await deps.store.db
    .selectFrom('events')
    .select(['event_key', 'event'])
    .where(
      'call_id',
      'in',
      calls.map((call) => call.id),
    )
    .execute()
  return new Map(rows.map((row) => [row.event_key, row.event]))
}

/** Stores what was said, or replaces it where today’s code reads it differently. */
export function saveEvent(
  { deps, connection }: Running,
  id: string,
  event: CallEvent,
  delivery: DeliveryRow | null,
): Query {
  const content = { phase: event.phase, event: JSON.stringify(event) }
  return deps.store.db
    .insertInto('events')
    .values({
      connection: connection.id,
      event_key: event.key,
      call_id: id,
      delivery_id: delivery?.id ?? null,
      received_at: delivery?.received_at ?? deps.now(),
      ...content,
    })
    .onConflict((conflict) => conflict.columns(['connection', 'event_key']).doUpdateSet(content))
}

/** Ids nobody knew point at the call from now on; plain inserts, so that of two merges that invent one, the second folds again. */
export function newKeys({ deps, connection }: Running, callId: string, group: Group): Query[] {
  const ids = new Set(group.events.flatMap(idsOf).filter((id) => !group.known.has(id)))
  return [...ids].map((externalId) =>
    deps.store.db
      .insertInto('call_keys')
      .values({ connection: connection.id, external_id: externalId, call_id: callId }),
  )
}

/** A submission that waits for a person or for its backend is under way as well. */
export async function isUnderway({ deps }: Running, callIds: readonly string[]): Promise<boolean> {
  const found = await deps.store.db
    .selectFrom('steps')
    .select('id')
    .where('call_id', 'in', callIds)
    .where('kind', 'in', ['submit', 'poll'])
    .where('state', 'in', ['waiting', 'working', 'parked'])
    .limit(1)
    .execute()
  return found.length > 0
}
