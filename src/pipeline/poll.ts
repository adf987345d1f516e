import { redactTranscript } from '../call/redact.ts'
import type { Polled } from '../connector/contract.ts'
import { asCordboardError, CordboardError } from '../errors.ts'
import type { SubmissionRow } from '../store/schema.ts'
import { callOf } from './call-row.ts'
import { leavesRedacted } from './content.ts'
import { nextBackend, passOn, writeWithout } from './fail-over.ts'
import { openIssue } from './issues.ts'
import { finish, type Parts, partsOf, resultsOf, takeParts } from './results.ts'
import { judge } from './retry.ts'
import { callRow } from './round.ts'
import { flowOf, type Outcome, type Running } from './step.ts'
import { inWords } from './timeline.ts'

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

  const got = partsOf(await resultsOf(running, submission.id))
  let polled: Polled
  try {
    polled = await role.poll(submission.ref, running.context(), await handedBack(running, submission, got))
  } catch (thrown) {
    const error = asCordboardError(thrown)
    const isGivenUp = judge(error, step, deps.now(), deps.random).state === 'dead'
    if (Object.keys(got).length === 0 || !isGivenUp) throw error
    return gaveUp(running, submission, error)
  }
  if (polled.state === 'failed') {
    const message = 'The service could not process this call'
    return gaveUp(running, submission, new CordboardError('rejected', message, { vendorSaid: polled.reason }))
  }
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

/**
 * What is stored goes out again where a service is asked for more of it: where transcripts leave redacted, this one does too.
 * What else a part holds, its raw form above all, may say the same in other words and stays.
 */
async function handedBack(
  { deps, connection }: Running,
  submission: SubmissionRow,
  got: Parts,
): Promise<Parts> {
  if (!leavesRedacted(connection) || Object.keys(got).length === 0) return got
  const call = callOf(await callRow(deps, submission.call_id))
  const parts = Object.entries(got).map(([name, { language, transcript }]) => [
    name,
    {
      ...(language === undefined ? {} : { language }),
      ...(transcript === undefined ? {} : { transcript: redactTranscript(transcript, call) }),
    },
  ])
  return Object.fromEntries(parts)
}

/** The parts that are there are written; what comes later re-arms the writing on the same record. */
async function endWait(running: Running, submission: SubmissionRow): Promise<Outcome> {
  const parts = partsOf(await resultsOf(running, submission.id))
  const missing = (JSON.parse(submission.expects) as string[]).filter((part) => !(part in parts))
  const error = new CordboardError('timeout', `The wait for ${missing.join(' and ')} is over`, {
    fix: 'Look for the call in the service’s own application; a result that still comes is written to the same record',
  })
  return withWhatThereIs(running, submission, parts, { error, says: 'the wait is over' })
}

async function withWhatThereIs(
  running: Running,
  submission: SubmissionRow,
  parts: Parts,
  { error, says }: { error: CordboardError; says: string },
): Promise<Outcome> {
  const { deps, step } = running
  const rest = await finish(running, submission, parts, 'poll')
  const { id: step_id, call_id, connection } = step
  const issue = openIssue(deps, { kind: 'poll', connection, call_id, step_id }, error)
  const done = `${says}; written with what there is`
  return { done, ...rest, queries: [...(rest.queries ?? []), issue] }
}

/** The service gave up on it: the next backend gets the call, or it is written with what there is. */
async function gaveUp(running: Running, submission: SubmissionRow, error: CordboardError): Promise<Outcome> {
  const { deps } = running
  const flow = flowOf(deps, submission.flow)
  const { id: callId } = await callRow(deps, submission.call_id)
  const asked = { callId, generation: submission.generation }
  const next = await nextBackend(deps, flow, asked)
  if (next !== undefined) return { passedOn: error, ...passOn(running, flow, asked, next, error) }
  const parts = partsOf(await resultsOf(running, submission.id))
  if (Object.keys(parts).length > 0)
    return withWhatThereIs(running, submission, parts, { error, says: inWords(error) })
  return { dead: error, ...(await writeWithout(running, flow, asked, error)) }
}
