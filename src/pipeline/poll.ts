import { CordboardError } from '../errors.ts'
import type { SubmissionRow } from '../store/schema.ts'
import { openIssue } from './issues.ts'
import { matchSteps } from './plan.ts'
import { finishWith, takeParts } from './results.ts'
import { flowOf, insertSteps, newStep, note, type Outcome, type Running } from './step.ts'

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
  const flow = flowOf(deps, submission.flow)
  const role = connection.connector.analysis
  const over = submission.wait_until !== null && deps.now() >= submission.wait_until
  if (!role?.poll || submission.ref === null)
    return over
      ? endWait(running, submission)
      : { again: submission.wait_until ?? deps.now(), says: 'waits for the webhook' }

  const polled = await role.poll(submission.ref, running.context())
  if (polled.state === 'failed') return failed(running, submission, polled.reason)
  if (polled.state === 'working') {
    return over ? endWait(running, submission) : { again: deps.now() + polled.afterMs, says: 'still working' }
  }
  const taken = await takeParts(running, submission, flow, polled.parts, 'poll')
  if (taken.finished) return { done: taken.says, ...taken }
  if (over) return endWait(running, submission)
  const afterMs =
    polled.state === 'partly' ? polled.afterMs : (role.pollAfterMs?.(connection.settings) ?? 60_000)
  return { again: deps.now() + afterMs, says: taken.says, queries: taken.queries }
}

/** The parts that are there are written; what comes later re-arms the writing on the same record. */
async function endWait(running: Running, submission: SubmissionRow): Promise<Outcome> {
  const { deps, step } = running
  const flow = flowOf(deps, submission.flow)
  const stored = await deps.store.db
    .selectFrom('results')
    .selectAll()
    .where('submission_id', '=', submission.id)
    .execute()
  const parts = Object.fromEntries(stored.map((row) => [row.part, JSON.parse(row.analysis)]))
  const rest = await finishWith(running, submission, flow, parts, 'poll')
  const missing = (JSON.parse(submission.expects) as string[]).filter((part) => !(part in parts))
  const error = new CordboardError('timeout', `The wait for ${missing.join(' and ')} is over`, {
    retry: 'never',
    fix: 'Look for the call in the service’s own application; a result that still comes is written to the same record',
  })
  const issue = openIssue(
    deps,
    { kind: 'poll', connection: step.connection, call_id: step.call_id, step_id: step.id },
    error,
  )
  return { done: 'the wait is over; written with what there is', ...rest, queries: [...rest.queries, issue] }
}

/** The service gave up on it: the next backend gets the call, or it is written with its own facts. */
async function failed(running: Running, submission: SubmissionRow, reason: string): Promise<Outcome> {
  const { deps, step } = running
  const flow = flowOf(deps, submission.flow)
  const { db } = deps.store
  const error = new CordboardError('rejected', 'The service could not process this call', {
    vendorSaid: reason,
  })
  const call = await db
    .selectFrom('calls')
    .select(['id', 'version', 'generation'])
    .where('id', '=', submission.call_id)
    .executeTakeFirstOrThrow()
  const asked = await db
    .selectFrom('steps')
    .select('connection')
    .where('kind', '=', 'submit')
    .where('subject', '=', call.id)
    .where('generation', '=', step.generation)
    .execute()
  const following = flow.analyze.find(
    (id) => deps.config.connections.has(id) && !asked.some((row) => row.connection === id),
  )
  const generation = following ? step.generation : call.generation + 1
  const next = following
    ? [
        newStep(deps, {
          kind: 'submit',
          subject: call.id,
          callId: call.id,
          connection: following,
          generation,
          flow,
        }),
      ]
    : matchSteps(deps, flow, call.id, generation)
  return {
    dead: error,
    guards: [{ call: call.id, version: call.version }],
    queries: [
      db
        .updateTable('submissions')
        .set({ state: 'failed', done_at: deps.now(), reason: reason.slice(0, 500) })
        .where('id', '=', submission.id),
      db
        .updateTable('calls')
        .set({ generation: Math.max(generation, call.generation), version: call.version + 1 })
        .where('id', '=', call.id),
      note(
        running,
        following ? `${following} is asked next` : 'written with the call’s own facts, without an analysis',
      ),
      ...insertSteps(deps, next),
    ],
    next,
  }
}
