import { CordboardError } from '../errors.ts'
import { type Actor, auditRow } from './audit.ts'
import type { Deps } from './deps.ts'
import { flowOfCall, rerunCall } from './rerun.ts'
import { writebackId } from './restored.ts'
import { callRow } from './round.ts'

/** A record that a person named, in the CRM of a connection. */
export interface Chosen {
  connection: string
  type: string
  id: string
}

/**
 * A person says which record of a CRM a call belongs to: no matching changes it any more, and the call is written there. What
 * was written on another record before is put on this one where the CRM can. A call that is not written yet waits for that as
 * it did. Throws `unknown_object`, `flow_gone`, and `bad_request` where the call's flow does not write to this CRM.
 */
export async function chooseRecord(
  deps: Deps,
  callId: string,
  given: Chosen & Actor,
): Promise<{ steps: number }> {
  const { connection, type, id, actor } = given
  const { db } = deps.store
  const known = await db.selectFrom('calls').select('id').where('id', '=', callId).executeTakeFirst()
  if (!known) throw new CordboardError('unknown_object', `There is no call ${callId}`)
  if (!deps.config.connections.get(connection)?.connector.crm)
    throw new CordboardError('bad_request', `${connection} is no CRM connection of the configuration`)
  const row = await callRow(deps, callId)
  const flow = flowOfCall(deps, row)
  if (!flow.write.includes(connection))
    throw new CordboardError(
      'bad_request',
      `The flow ${flow.name} of this call does not write to ${connection}`,
    )
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
  const audit = auditRow(deps, actor, 'choose', row.id, `${connection}: ${type}/${id}`)
  const result = await deps.store.atomic([{ call: row.id, version: row.version }], [save, audit])
  if (result === 'lost') return chooseRecord(deps, callId, given)
  // It has not ended, or its recording is waited for: matching comes later, and finds what was chosen.
  if (row.state === 'open' || row.state === 'waiting') return { steps: 0 }
  const { steps } = await rerunCall(deps, row.id, { from: 'match', keepsRecords: true, actor })
  return { steps }
}
