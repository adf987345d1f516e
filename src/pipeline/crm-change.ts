import type { CrmChange } from '../connector/crm-role.ts'
import type { Query } from '../store/port.ts'
import { eraseWhole, ROOM_CALLS } from './erase-calls.ts'
import type { Running } from './step.ts'

/**
 * What happened to records of a CRM that calls were written on. Merged: their calls are those of the other record from now
 * on. Deleted: what is written later is matched anew. Erased, because the person asked for it: so are their calls here.
 */
export async function crmChanges(
  running: Running,
  changes: readonly CrmChange[],
): Promise<{ queries: Query[]; says: string[] }> {
  const queries: Query[] = []
  const says: string[] = []
  for (const change of changes) {
    if (change.change === 'erased')
      says.push(`${await erase(running, change)} calls erased with their ${change.type}`)
    else {
      queries.push(...moved(running, change))
      says.push(`${change.type} ${change.change}`)
    }
  }
  return { queries, says }
}

function moved({ deps, connection }: Running, { change, type, id, into }: CrmChange): Query[] {
  const { db } = deps.store
  const isMerged = change === 'merged' && into !== undefined
  const writebacks = db
    .updateTable('writebacks')
    .set(
      isMerged
        ? { target_id: into, target_reason: `the ${type} it was on was merged into this one` }
        : {
            target_type: null,
            target_id: null,
            target_reason: `the ${type} it was on was deleted`,
            chosen: 0,
          },
    )
    .where('connection', '=', connection.id)
    .where('target_id', '=', id)
    .where('target_type', '=', type)
  const people = isMerged
    ? db.updateTable('people').set({ external_id: into })
    : db.updateTable('people').set({ external_type: null, external_id: null })
  return [writebacks, people.where('connection', '=', connection.id).where('external_id', '=', id)]
}

/** A person may have called for years: page by page, each complete by itself, so that a step that is cut off goes on. */
async function erase({ deps, connection, signal }: Running, { type, id }: CrmChange): Promise<number> {
  const { db } = deps.store
  const theirs = db
    .selectFrom('writebacks')
    .select('call_id')
    .where('connection', '=', connection.id)
    .where('target_id', '=', id)
    .where('target_type', '=', type)
    .limit(ROOM_CALLS)
  let erased = 0
  for (;;) {
    signal.throwIfAborted()
    const rows = await theirs.execute()
    if (rows.length === 0) break
    await eraseWhole(
      deps,
      rows.map((row) => row.call_id),
    )
    erased += rows.length
  }
  const reserved = db
    .deleteFrom('people')
    .where('connection', '=', connection.id)
    .where('external_id', '=', id)
  await deps.store.atomic([], [reserved])
  return erased
}
