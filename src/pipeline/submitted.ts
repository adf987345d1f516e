import type { AnalysisRole, Submitted } from '../connector/contract.ts'
import type { SubmissionRow } from '../store/schema.ts'
import { finish, newResults, partsOf, resultsOf } from './results.ts'
import { bellsOf, CORE_LANE, flowOf, insertSteps, newStep, type Outcome, type Running } from './step.ts'

/** The longest that the parts of a result are waited for. */
const RESULT_WAIT_MS = 24 * 3_600_000
const FIRST_POLL_MS = 10_000

/** The backend has it: from here on the result is waited for, and asked for where it can be. */
export async function submitted(
  running: Running,
  role: AnalysisRole<unknown>,
  submission: SubmissionRow,
  sent: Submitted | null,
): Promise<Outcome> {
  const { deps, step, connection } = running
  if (sent === null || submission.state === 'done' || submission.state === 'failed')
    return { done: 'already submitted' }
  const { ref, parts = {} } = sent
  const { db } = deps.store
  const now = deps.now()
  const waitUntil = submission.wait_until ?? now + RESULT_WAIT_MS
  const submittedAt = submission.submitted_at ?? now
  const update = db
    .updateTable('submissions')
    .set({
      state: 'submitted',
      ref,
      submitted_at: submittedAt,
      wait_until: waitUntil,
      checkpoint: null,
      conversation: submission.conversation,
    })
    .where('id', '=', submission.id)
    .where('state', 'in', ['intent', 'submitted'])
  const expects = JSON.parse(submission.expects) as string[]
  const isAtOnce = Object.keys(parts).length > 0
  // First by itself: what follows may have to be made anew, and nothing is handed over twice.
  if (submission.state === 'intent' && (isAtOnce || expects.length === 0))
    await running.commit([update, ...(await newResults(running, submission, parts, 'submit'))])
  const got = partsOf(await resultsOf(running, submission.id))
  if (expects.every((part) => part in got)) {
    const rest = await finish(running, submission, got, 'submit')
    const says = expects.length === 0 ? 'this service gives nothing back' : 'the result came at once'
    return { done: `handed over; ${says}`, ...rest }
  }
  const poll = newStep(deps, {
    kind: 'poll',
    subject: submission.id,
    callId: step.call_id,
    connection: connection.id,
    generation: submission.generation,
    flow: flowOf(deps, submission.flow),
    // Without polling, the step only ends the wait.
    dueAt: role.poll ? now + (role.pollAfterMs?.(connection.settings) ?? FIRST_POLL_MS) : waitUntil,
  })
  // A result that came before this was committed waits for it: it is due now.
  const early = db
    .updateTable('steps')
    .set({ due_at: now, awaiting: null })
    .where('connection', '=', connection.id)
    .where('awaiting', '=', ref)
    .where('state', '=', 'waiting')
  // One that named our own id did not wait, and may have brought everything: then there is nothing to ask for.
  const needless = db
    .updateTable('steps')
    .set({ state: 'done', reason: 'the result is here already', updated_at: now })
    .where('kind', '=', 'poll')
    .where('subject', '=', submission.id)
    .where('state', '=', 'waiting')
    .where(
      'subject',
      'in',
      db
        .selectFrom('submissions')
        .select('id')
        .where('id', '=', submission.id)
        .where('state', 'in', ['done', 'failed']),
    )
  return {
    done: 'submitted',
    queries: [update, early, ...insertSteps(deps, [poll]), needless],
    bells: [...bellsOf([poll]), { step: '', lane: CORE_LANE, dueAt: now }],
  }
}
