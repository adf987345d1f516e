import type { Polled } from '../connector/contract.ts'
import { CordboardError } from '../errors.ts'
import type { SubmissionRow } from '../store/schema.ts'
import { nextBackend, passOn, writeWithout } from './fail-over.ts'
import { openIssue } from './issues.ts'
import { finish, partsOf, resultsOf, takeParts } from './results.ts'
import { callRow } from './round.ts'
import { flowOf, type Outcome, type Running } from './step.ts'

const POLL_MS = 60_000

/** poll: asks the analysis service for the result, or ends the wait for it. A result that came by webhook ends it too. */
export async function poll(running: Running): Promise<Outcome> {
  const { deps, step, connection } = running
  const submission = await deps.store.db
    .selectFrom('submissions')
    .selectAll()
    .where('id', '=', step.subject)
    .executeTakeFirstOrThrow()
  if (submission.state === 'done' || submission.state === 'failed')
    return { done: 'the submission has ended' }
  const role = connection.connector.analysis
  const isOver = submission.wait_until !== null && deps.now() >= submission.wait_until
  if (!role?.poll || submission.ref === null) {
    if (isOver) return endWait(running, submission)
    return { again: submission.wait_until ?? deps.now() + POLL_MS, says: 'waits for the webhook' }
  }

  const polled: Polled = await role.poll(submission.ref, running.context())
  if (polled.state === 'failed') return gaveUp(running, submission, polled.reason)
  if (polled.state === 'working') {
    return isOver
      ? endWait(running, submission)
      : { again: deps.now() + polled.afterMs, says: 'still working' }
  }
  const taken = await takeParts(running, submission, polled.parts, 'poll')
  if (taken.finished) return { done: taken.says, ...taken }
  if (isOver) return endWait(running, submission)
  const afterMs =
    polled.state === 'partly' ? polled.afterMs : (role.pollAfterMs?.(connection.settings) ?? POLL_MS)
  return { again: deps.now() + afterMs, ...taken }
}

/** The parts that are there are written; what comes later re-arms the writing on the same record. */
async function endWait(running: Running, submission: SubmissionRow): Promise<Outcome> {
  const { deps, step } = running
  const parts = partsOf(await resultsOf(running, submission.id))
  const rest = await finish(running, submission, parts, 'poll')
  const missing = (JSON.parse(submission.expects) as string[]).filter((part) => !(part in parts))
  const error = new CordboardError('timeout', `The wait for ${missing.join(' and ')} is over`, {
    fix: 'Look for the call in the service’s own application; a result that still comes is written to the same record',
  })
  const { id: step_id, call_id, connection } = step
  const issue = openIssue(deps, { kind: 'poll', connection, call_id, step_id }, error)
  const done = 'the wait is over; written with what there is'
  return { done, ...rest, queries: [...(rest.queries ?? []), issue] }
}

/** The service gave up on it: the next backend gets the call, or it is written with its own facts. */
async function gaveUp(running: Running, submission: SubmissionRow, reason: string): Promise<Outcome> {
  const { deps } = running
  const flow = flowOf(deps, submission.flow)
  const error = new CordboardError('rejected', 'The service could not process this call', {
    vendorSaid: reason,
  })
  const { id: callId } = await callRow(deps, submission.call_id)
  const asked = { callId, generation: submission.generation }
  const next = await nextBackend(deps, flow, asked)
  if (next !== undefined) return { passedOn: error, ...passOn(running, flow, asked, next, error) }
  return { dead: error, ...(await writeWithout(running, flow, asked, error)) }
}
