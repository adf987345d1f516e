import { sql } from 'kysely'
import type { Candidate, CrmChange } from '../connector/crm-role.ts'
import type { Query } from '../store/port.ts'
import type { Deps } from './deps.ts'
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
    if (change.change === 'erased') {
      // Calls that were merged into this one a moment ago are its own.
      await running.commit(queries.splice(0))
      says.push(`${await erase(running, change)} calls erased with their ${change.type}`)
    } else {
      queries.push(...moved(running, change))
      says.push(`${change.type} ${change.change}`)
    }
  }
  return { queries, says }
}

function moved(running: Running, { change, type, id, into }: CrmChange): Query[] {
  const { deps, connection } = running
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
            former: formerOf({ type, id }),
          },
    )
    .where('connection', '=', connection.id)
    .where('target_id', '=', id)
    .where('target_type', '=', type)
  const ours = db
    .selectFrom('writebacks')
    .select('id')
    .where('connection', '=', connection.id)
    .where('target_type', '=', type)
  // What stands for it with whoever had it made: else the next call of the same person would be put on it again.
  const made = db
    .updateTable('writeback_parts')
    .set(isMerged ? { external_id: into } : { external_id: null, intent_at: null, hash: null })
    // As the index has it.
    .where('kind', '=', sql.lit('contact'))
    .where('external_id', '=', id)
    .where('writeback_id', 'in', ours)
  const reserved = isMerged
    ? db
        .updateTable('people')
        .set({ external_id: into })
        .where('connection', '=', connection.id)
        .where('external_type', '=', type)
        .where('external_id', '=', id)
    : unreserve(running, { type, id })
  // While its calls are still on it: another kind of record may have the same id.
  return [made, writebacks, reserved]
}

/** CRMs tell of an erasure as a deletion too, and often first: by this its calls are found then. */
const formerOf = ({ type, id }: Pick<CrmChange, 'type' | 'id'>): string => `${type}/${id}`

/** The number of whoever we made it for. */
function unreserve(
  { deps, connection }: Pick<Running, 'deps' | 'connection'>,
  { type, id }: Pick<CrmChange, 'type' | 'id'>,
): Query {
  return deps.store.db
    .deleteFrom('people')
    .where('connection', '=', connection.id)
    .where('external_type', '=', type)
    .where('external_id', '=', id)
}

/** A person may have called for years: page by page, each complete by itself, so that a step that is cut off goes on. */
async function erase({ deps, connection, signal }: Running, { type, id }: CrmChange): Promise<number> {
  const { db } = deps.store
  const ours = db
    .selectFrom('writebacks')
    .innerJoin('calls', 'calls.id', 'writebacks.call_id')
    // Of a call that was joined into another, the other: both are one conversation.
    .select((eb) => eb.fn.coalesce('calls.joined_into', 'calls.id').as('call'))
    .distinct()
    .where('writebacks.connection', '=', connection.id)
    .limit(ROOM_CALLS)
  const onIt = ours.where('target_id', '=', id).where('target_type', '=', type)
  const wereOnIt = ours.where('former', '=', formerOf({ type, id }))
  let erased = 0
  for (const theirs of [onIt, wereOnIt]) {
    for (;;) {
      signal.throwIfAborted()
      const rows = await theirs.execute()
      if (rows.length === 0) break
      await eraseWhole(
        deps,
        rows.map((row) => row.call),
      )
      erased += rows.length
    }
  }
  const reserved = unreserve({ deps, connection }, { type, id })
  await deps.store.atomic([], [reserved, ...(await forgotten(deps, connection.id, { type, id }))])
  return erased
}

/** Calls that were put on somebody else name them among those who came into question. */
async function forgotten(
  { store: { db } }: Deps,
  connection: string,
  { type, id }: Pick<CrmChange, 'type' | 'id'>,
): Promise<Query[]> {
  const rows = await db
    .selectFrom('writebacks')
    .select(['id', 'candidates'])
    .where('connection', '=', connection)
    .where('candidates', 'like', `%"id":${JSON.stringify(id)}%`)
    .execute()
  return rows.map((row) => {
    const candidates = JSON.parse(row.candidates) as Candidate[]
    const left = candidates.filter((one) => one.type !== type || one.id !== id)
    return db
      .updateTable('writebacks')
      .set({ candidates: JSON.stringify(left) })
      .where('id', '=', row.id)
  })
}
