import type { Candidate } from '../connector/contract.ts'
import { CordboardError } from '../errors.ts'
import type { WritebackRow } from '../store/schema.ts'
import { callOf } from './call-row.ts'
import { writebackId } from './restored.ts'
import { callRow, notYet } from './round.ts'
import { flowOf, newStep, type Outcome, type Running } from './step.ts'

/**
 * match: which record of the CRM the call belongs to. Once found it stays, so that a later round writes to the same
 * record; an operator's choice is never changed. An unknown caller is handled by the flow's rule.
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
  const candidates = isInternal ? [] : await role.match(call, running.context())
  const verdict = isInternal
    ? 'internal'
    : decide(candidates, flow.unknownCaller, call.customer?.phone ?? null, role.newContact !== undefined)
  const skips = verdict === 'skip' || verdict === 'internal'
  const [best] = candidates
  const writeback: WritebackRow = {
    id: known?.id ?? (await writebackId(deps.signer, row, connection.id)),
    call_id: row.id,
    connection: connection.id,
    state: skips ? 'skipped' : 'matched',
    target_type: best?.type ?? null,
    target_id: best?.id ?? null,
    target_reason: best?.reason ?? REASONS[verdict],
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
  if (skips) return { done: REASONS[verdict], guards, queries: [save] }
  const found =
    best &&
    `${best.type}: ${best.reason} (${candidates.length === 1 ? '1 candidate' : `${candidates.length} candidates`})`
  return { done: found ?? REASONS[verdict], guards, queries: [save], next }
}

const REASONS = {
  match: 'found',
  create: 'nobody has this number: a contact is created',
  skip: 'nobody has this number: not written, as the flow says',
  unmatched: 'nobody has this number: written without a contact',
  internal: 'an internal call: not written',
} as const

/** A caller without a public number cannot be created: the call is written without a contact. */
function decide(
  candidates: readonly Candidate[],
  rule: 'create' | 'skip' | 'unmatched',
  phone: string | null,
  creates: boolean,
): 'match' | 'create' | 'skip' | 'unmatched' {
  if (candidates.length > 0) return 'match'
  if (rule === 'create' && (phone === null || !creates)) return 'unmatched'
  return rule
}
