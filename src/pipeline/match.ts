import type { Call } from '../call/call.ts'
import { CordboardError } from '../errors.ts'
import type { CallRow, WritebackRow } from '../store/schema.ts'
import { callOf } from './call-row.ts'
import { decide } from './decide.ts'
import { writebackId } from './restored.ts'
import { callRow, notYet } from './round.ts'
import { flowOf, newStep, type Outcome, type Running } from './step.ts'

/**
 * match: which record of the CRM the call belongs to. Once found it stays, so that a later round writes to the same
 * record; an operator's choice is never changed. Of several with one number the flow's rule takes one, or a person does; an
 * unknown caller is handled by the flow's rule.
 */
export async function match(running: Running): Promise<Outcome> {
  const { deps, step, connection } = running
  const role = connection.connector.crm
  if (!role) throw new CordboardError('config', `The connection ${connection.id} has no crm role`)
  const flow = flowOf(deps, step.flow)
  const wait = await notYet(running)
  if (wait) return wait
  const { db } = deps.store
  const row = await callRow(deps, step.subject)
  // Whatever changes the call meanwhile may change whose it is.
  const guards = [{ call: row.id, version: row.version }]
  const known = await db
    .selectFrom('writebacks')
    .selectAll()
    .where('call_id', '=', row.id)
    .where('connection', '=', connection.id)
    .executeTakeFirst()
  const next = [
    newStep(deps, {
      kind: 'write',
      subject: row.id,
      callId: row.id,
      connection: connection.id,
      generation: step.generation,
      flow,
    }),
  ]
  if (known?.target_id != null || known?.chosen === 1) return { done: 'the record is known', guards, next }

  const call = callOf(row)
  const isInternal = call.direction === 'internal'
  const candidates = isInternal ? [] : await role.match(call, running.context(), flow.prefer)
  const again =
    candidates.length === 0 && !isInternal
      ? lookAgainAt(connection.indexLagMs ?? role.indexLagMs, call, row)
      : 0
  if (again > deps.now()) {
    return { again, says: 'nobody has this number yet: looked again when the CRM’s search has caught up' }
  }
  const { id: connectionId, settings: config, region } = connection
  const { verdict, target, says } = decide(candidates, flow, {
    call,
    isLogged: row.connection === connection.id,
    creates: role.newContact?.(call, { connection: connectionId, config, region }) != null,
  })
  const skips = verdict === 'skip' || verdict === 'internal'
  const writeback: WritebackRow = {
    id: known?.id ?? (await writebackId(deps.signer, row, connection.id)),
    call_id: row.id,
    connection: connection.id,
    state: skips ? 'skipped' : verdict === 'several' ? 'undecided' : 'matched',
    target_type: target?.type ?? null,
    target_id: target?.id ?? null,
    target_reason: says,
    candidates: JSON.stringify(candidates.slice(0, 20)),
    chosen: 0,
    matched_at: deps.now(),
    written_at: known?.written_at ?? null,
  }
  const { id: _id, call_id: _call, connection: _connection, chosen: _chosen, ...update } = writeback
  const save = db
    .insertInto('writebacks')
    .values(writeback)
    .onConflict((conflict) =>
      // A record that was chosen or created meanwhile stays.
      conflict
        .columns(['call_id', 'connection'])
        .doUpdateSet(update)
        .where('writebacks.target_id', 'is', null)
        .where('writebacks.chosen', '=', 0),
    )
  const queries = [save]
  if (verdict === 'several') {
    const fix = `Choose one: cordboard choose ${row.id} <type>/<id>, or give the flow ${flow.name} a rule with prefer`
    return { failed: new CordboardError('several_records', says, { fix }), guards, queries }
  }
  if (skips) return { done: says, guards, queries }
  return { done: target ? `${target.type}: ${says}` : says, guards, queries, next }
}

/** Whoever was entered during the call may not show in the CRM's search yet. */
function lookAgainAt(lagMs: number, { customer, endedAt }: Call, row: CallRow): number {
  if (!customer?.phone) return 0
  const over = endedAt === undefined ? row.started_at : Date.parse(endedAt)
  // A phone system whose clock is wrong may say that it ends in some hours.
  return Math.min(over, row.updated_at) + lagMs
}
