import type { AnalysisRole, SubmitContext, SubmitRequest, Submitted } from '../connector/contract.ts'
import { asCordboardError, CordboardError } from '../errors.ts'
import type { CallRow, SubmissionRow } from '../store/schema.ts'
import type { Deps } from './deps.ts'
import { doubtOf, wasRerunSince } from './restored.ts'
import type { Running } from './step.ts'
import { sendingWith } from './unseen.ts'

// One call handed over to one service, once.

/** Whether an earlier attempt, whose end nobody saw, got through. `before`: what that was called. */
export async function lookUp(
  running: Running,
  role: AnalysisRole<unknown>,
  before: readonly SubmitRequest[],
): Promise<string | null> {
  for (const earlier of before) {
    const found = await role.find?.(earlier, running.context())
    if (found != null) return found
  }
  return null
}

/** Hands one call over; what the service calls a duplicate is looked up and counts as handed over. */
export async function send(
  running: Running,
  role: AnalysisRole<unknown>,
  request: SubmitRequest,
): Promise<Submitted> {
  const context = running.context()
  try {
    const checkpoint = checkpointing(running, 'submissions', request.submissionId)
    return await role.submit(request, { ...context, checkpoint })
  } catch (thrown) {
    const error = asCordboardError(thrown)
    if (error.code !== 'duplicate' || !role.find) throw error
    const found = await role.find(request, context)
    if (found === null) throw error
    return { ref: found }
  }
}

/**
 * To a service that cannot be asked what it has. That it may have got the call is written down before the first request,
 * and taken back when it certainly has not; after an end that nobody saw a person looks, instead of paying twice.
 * `isTroubled`: whether the recording broke off on its way; half of an upload is none.
 */
export async function sendOnce(
  running: Running,
  role: AnalysisRole<unknown>,
  request: SubmitRequest,
  isTroubled: () => boolean,
): Promise<Submitted> {
  const { deps } = running
  const mark = async (submitted_at: number | null) => {
    const update = deps.store.db.updateTable('submissions').set({ submitted_at })
    await running.commit([update.where('id', '=', request.submissionId).where('state', '=', 'intent')])
  }
  const sending = sendingWith(running.context(), () => mark(deps.now()))
  try {
    const checkpoint = checkpointing(running, 'submissions', request.submissionId)
    return await role.submit(request, { ...sending.context, checkpoint })
  } catch (thrown) {
    const isNothing = isTroubled() || sending.isHarmless(asCordboardError(thrown))
    if (isNothing && !running.signal.aborted) await mark(null)
    throw thrown
  }
}

/** Before this attempt, without its end being known; a person who says "run it again" has looked. */
export async function mayHaveGot(
  deps: Deps,
  row: CallRow,
  known: SubmissionRow | undefined,
): Promise<boolean> {
  const doubt = await doubtOf(deps, row)
  const at = Math.max(known?.submitted_at ?? 0, doubt?.before ?? 0)
  // What was sent in the same moment was sent on their word.
  return at > 0 && !(await wasRerunSince(deps, row.id, at + 1))
}

const MOST_CHECKPOINT = 16 * 1024

/** Commits what the connector knows half-way, in the row that it is about. */
export function checkpointing(
  { deps, commit }: Running,
  table: 'submissions' | 'batches',
  id: string,
): SubmitContext<unknown>['checkpoint'] {
  return async (state) => {
    const checkpoint = JSON.stringify(state)
    if (checkpoint.length > MOST_CHECKPOINT)
      throw new CordboardError('internal', 'A checkpoint is at most 16 KB of JSON')
    await commit([deps.store.db.updateTable(table).set({ checkpoint }).where('id', '=', id)])
  }
}
