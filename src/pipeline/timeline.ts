import { newId } from '../call/ids.ts'
import { type CordboardError, ERRORS } from '../errors.ts'
import type { Query } from '../store/port.ts'
import type { AttemptRow, StepRow } from '../store/schema.ts'
import type { Deps } from './deps.ts'
import type { Running } from './step.ts'

/** The call's timeline is made of attempts: executions of steps, and notes. No line holds a number, a name or a transcript. */

type Line = Pick<AttemptRow, 'outcome' | 'says'> & Partial<Pick<AttemptRow, 'code' | 'took_ms' | 'at'>>

/** A line of the timeline: what an execution did, in words for people. */
export function attemptRow(
  deps: Pick<Deps, 'now' | 'random'>,
  step: Pick<StepRow, 'id' | 'call_id' | 'connection' | 'kind'>,
  line: Line,
): AttemptRow {
  const now = deps.now()
  return {
    id: newId('att', now, deps.random),
    step_id: step.id,
    call_id: step.call_id,
    connection: step.connection,
    kind: step.kind,
    at: line.at ?? now,
    took_ms: line.took_ms ?? 0,
    outcome: line.outcome,
    code: line.code ?? null,
    says: line.says.slice(0, 1000),
  }
}

/** A note on the timeline, as a query for a step's batch. */
export function note({ deps, step }: Pick<Running, 'deps' | 'step'>, says: string): Query {
  return deps.store.db.insertInto('attempts').values(attemptRow(deps, step, { outcome: 'note', says }))
}

/** The same, unless the call's timeline says so already: what is met again and again is told once. */
export async function noteOnce(running: Running, callId: string, says: string): Promise<Query[]> {
  const known = await running.deps.store.db
    .selectFrom('attempts')
    .select('id')
    .where('call_id', '=', callId)
    .where('says', '=', says)
    .limit(1)
    .execute()
  return known.length > 0 ? [] : [note({ ...running, step: { ...running.step, call_id: callId } }, says)]
}

/** The error as one line. What an unexpected error says may hold data, so only its kind is told. */
export function inWords(error: CordboardError): string {
  if (error.code === 'internal') {
    const { cause } = error
    return cause instanceof Error ? `${ERRORS.internal.title} (${cause.name})` : error.message
  }
  const what = error.message === '' ? ERRORS[error.code].title : error.message
  return error.vendorSaid ? `${what} — the vendor said: ${error.vendorSaid}` : what
}
