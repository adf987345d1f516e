import { newId } from '../call/ids.ts'
import type { Candidate } from '../connector/contract.ts'
import { CordboardError } from '../errors.ts'
import type { WritebackRow } from '../store/schema.ts'
import { callOf } from './call-row.ts'
import { closeCall } from './close.ts'
import { flowOf, insertSteps, newStep, type Outcome, type Running } from './step.ts'

/**
 * match: which record of the CRM the call belongs to. Once found it stays, so that a later round writes to the same
 * record; an operator's choice is never changed. An unknown caller is handled by the flow's rule.
 */
export async function match(running: Running): Promise<Outcome> {
  const { deps, step, connection } = running
  const role = connection.connector.crm
  if (!role) throw new CordboardError('config', `The connection ${connection.id} has no crm role`)
  const flow = flowOf(deps, step.flow)
  const { db } = deps.store
  const row = await db
    .selectFrom('calls')
    .selectAll()
    .where('id', '=', step.subject)
    .executeTakeFirstOrThrow()
  const known = await db
    .selectFrom('writebacks')
    .selectAll()
    .where('call_id', '=', step.subject)
    .where('connection', '=', connection.id)
    .executeTakeFirst()
  const next = [
    newStep(deps, {
      kind: 'write',
      subject: step.subject,
      callId: step.subject,
      connection: connection.id,
      generation: step.generation,
      flow,
    }),
  ]
  if (known?.target_id != null) {
    return { done: 'the record is known', queries: insertSteps(deps, next), next }
  }

  const call = callOf(row)
  const candidates = call.direction === 'internal' ? [] : await role.match(call, running.context())
  const verdict = decide(
    candidates,
    call.direction === 'internal' ? 'skip' : flow.unknownCaller,
    call.customer?.phone ?? null,
    role.newContact !== undefined,
  )
  const [best] = candidates
  const writeback: WritebackRow = {
    id: known?.id ?? newId('wbk', deps.now(), deps.random),
    call_id: step.subject,
    connection: connection.id,
    state: verdict === 'skip' ? 'skipped' : 'matched',
    target_type: best?.type ?? null,
    target_id: best?.id ?? null,
    target_reason: best?.reason ?? REASONS[verdict],
    candidates: JSON.stringify(candidates.slice(0, 20)),
    chosen: 0,
    matched_at: deps.now(),
    written_at: null,
  }
  const {
    id: _id,
    call_id: _call,
    connection: _connection,
    chosen: _chosen,
    written_at: _written,
    ...update
  } = writeback
  const save = db
    .insertInto('writebacks')
    .values(writeback)
    .onConflict((conflict) => conflict.columns(['call_id', 'connection']).doUpdateSet(update))
  if (verdict === 'skip') return { done: REASONS.skip, queries: [save, closeCall(deps, step)] }
  return {
    done: best ? `${best.type}: ${best.reason} (${candidates.length} candidates)` : REASONS[verdict],
    queries: [save, ...insertSteps(deps, next)],
    next,
  }
}

type Verdict = 'match' | 'create' | 'skip' | 'unmatched'

const REASONS: Record<Verdict, string> = {
  match: 'found',
  create: 'nobody has this number: a contact is created',
  skip: 'nobody has this number: not written, as the flow says',
  unmatched: 'nobody has this number: written without a contact, as the flow says',
}

/** A caller without a public number cannot be created: the call is written without a contact. */
function decide(
  candidates: readonly Candidate[],
  rule: 'create' | 'skip' | 'unmatched',
  phone: string | null,
  creates: boolean,
): Verdict {
  if (candidates.length > 0) return 'match'
  if (rule === 'create' && (phone === null || !creates)) return 'unmatched'
  return rule
}
