import { CordboardError } from '../errors.ts'
import { type Actor, auditRow } from './audit.ts'
import type { Deps } from './deps.ts'
import { rerunCall } from './rerun.ts'
import { writebackId } from './restored.ts'
import { callRow } from './round.ts'

export interface Chosen {
  connection: string
  type: string
  id: string
}

/**
 * A person says which record of a CRM a call belongs to: no matching changes it any more, and the call is written there. What
 * was written on another record before is put on this one where the CRM can. Throws `unknown_object` and `bad_request`.
 */
export async function chooseRecord(
  deps: Deps,
  callId: string,
  { connection, type, id, actor }: Chosen & Actor,
): Promise<{ steps: number }> {
  const { db } = deps.store
  const known = await db.selectFrom('calls').select('id').where('id', '=', callId).executeTakeFirst()
  if (!known) throw new CordboardError('unknown_object', 'There is no call with this id')
  if (!deps.config.connections.get(connection)?.connector.crm)
    throw new CordboardError('bad_request', `${connection} is no CRM connection of the configuration`)
  const row = await callRow(deps, callId)
  const chosen = {
    target_type: type,
    target_id: id,
    target_reason: 'chosen by a person',
    chosen: 1,
    state: 'matched' as const,
    matched_at: deps.now(),
  }
  const writeback = await writebackId(deps.signer, row, connection)
  const save = db
    .insertInto('writebacks')
    .values({ id: writeback, call_id: row.id, connection, candidates: '[]', written_at: null, ...chosen })
    .onConflict((conflict) => conflict.columns(['call_id', 'connection']).doUpdateSet(chosen))
  await deps.store.atomic([], [save, auditRow(deps, actor, 'choose', row.id, `${connection}: ${type}/${id}`)])
  const { steps } = await rerunCall(deps, row.id, { from: 'match', actor })
  return { steps }
}
