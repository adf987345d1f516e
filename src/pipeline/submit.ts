import { newId } from '../call/ids.ts'
import type { Flow } from '../config/model.ts'
import type { AnalysisRole, SubmitContext, SubmitRequest } from '../connector/contract.ts'
import { asCordboardError, CordboardError } from '../errors.ts'
import type { CallRow, SubmissionRow } from '../store/schema.ts'
import { callOf } from './call-row.ts'
import { chooseContent, type Trouble } from './content.ts'
import { notNow, refused } from './refused.ts'
import { finish } from './results.ts'
import { callRow, laterRound } from './round.ts'
import { CORE_LANE, flowOf, newStep, type Outcome, type Running } from './step.ts'

/**
 * submit: hands the call to an analysis connection. The recording streams from the phone system to the backend without
 * being held. When a backend refuses, the next of the flow gets it; when none takes it, the call is written with its own
 * facts and an issue is open.
 */
export async function submit(running: Running): Promise<Outcome> {
  const { deps, step, connection } = running
  const role = connection.connector.analysis
  if (!role) throw new CordboardError('config', `The connection ${connection.id} has no analysis role`)
  const flow = flowOf(deps, step.flow)
  const later = await laterRound(running)
  if (later) return later
  const row = await callRow(deps, step.subject)
  const known = await submissionOf(running, row.id)
  if (known && known.state !== 'intent') return submitted(running, role, known, known.ref)
  const wait = await notNow(running, flow, row)
  if (wait) return wait

  const call = callOf(row)
  let trouble: Trouble | undefined
  const content = chooseContent(running, call, (found) => {
    trouble ??= found
  })
  if ('refused' in content) return refused(running, flow, row, content.refused)
  // Outside of what may be refused: when the call has changed by now, the step starts over.
  const submission = known ?? (await intend(running, row, flow, role))
  const request: SubmitRequest = { submissionId: submission.id, call, ...content.of(submission.id) }
  if (submission.checkpoint !== null) request.state = JSON.parse(submission.checkpoint)
  let ref: string
  try {
    ref = await send(running, role, request, known !== undefined)
  } catch (thrown) {
    return refused(running, flow, row, asCordboardError(thrown), trouble)
  }
  return submitted(running, role, submission, ref)
}

function submissionOf({ deps, step }: Running, callId: string): Promise<SubmissionRow | undefined> {
  return deps.store.db
    .selectFrom('submissions')
    .selectAll()
    .where('call_id', '=', callId)
    .where('connection', '=', step.connection)
    .where('generation', '=', step.generation)
    .executeTakeFirst()
}

/** Saved before anything is sent, so that every attempt goes by the same submission id. */
async function intend(
  { deps, step, connection, commit }: Running,
  call: CallRow,
  flow: Flow,
  role: AnalysisRole<unknown>,
): Promise<SubmissionRow> {
  const row: SubmissionRow = {
    id: newId('sub', deps.now(), deps.random),
    call_id: call.id,
    connection: connection.id,
    generation: step.generation,
    flow: flow.name,
    state: 'intent',
    ref: null,
    checkpoint: null,
    expects: JSON.stringify(role.parts(connection.settings)),
    created_at: deps.now(),
    submitted_at: null,
    done_at: null,
    wait_until: null,
    reason: null,
  }
  const guard = { call: call.id, version: call.version }
  await commit([deps.store.db.insertInto('submissions').values(row)], [guard])
  return row
}

/** Sends it, or finds out that an earlier attempt, whose end nobody saw, got through. */
async function send(
  running: Running,
  role: AnalysisRole<unknown>,
  request: SubmitRequest,
  isAgain: boolean,
): Promise<string> {
  const context = running.context()
  if (isAgain) {
    const found = await role.find?.(request, context)
    if (found != null) return found
  }
  try {
    const { ref } = await role.submit(request, withCheckpoint(running, context, request.submissionId))
    return ref
  } catch (thrown) {
    const error = asCordboardError(thrown)
    if (error.code !== 'duplicate' || !role.find) throw error
    const found = await role.find(request, context)
    if (found === null) throw error
    return found
  }
}

const MOST_CHECKPOINT = 16 * 1024

function withCheckpoint(
  { deps, commit }: Running,
  context: ReturnType<Running['context']>,
  submissionId: string,
): SubmitContext<unknown> {
  return {
    ...context,
    checkpoint: async (state) => {
      const text = JSON.stringify(state)
      if (text.length > MOST_CHECKPOINT)
        throw new CordboardError('internal', 'A checkpoint is at most 16 KB of JSON')
      const { db } = deps.store
      await commit([db.updateTable('submissions').set({ checkpoint: text }).where('id', '=', submissionId)])
    },
  }
}

/** The longest that the parts of a result are waited for. */
const RESULT_WAIT_MS = 24 * 3_600_000
const FIRST_POLL_MS = 10_000

async function submitted(
  running: Running,
  role: AnalysisRole<unknown>,
  submission: SubmissionRow,
  ref: string | null,
): Promise<Outcome> {
  const { deps, step, connection } = running
  if (ref === null || submission.state === 'done' || submission.state === 'failed')
    return { done: 'already submitted' }
  const { db } = deps.store
  const now = deps.now()
  const waitUntil = submission.wait_until ?? now + RESULT_WAIT_MS
  const submittedAt = submission.submitted_at ?? now
  const update = db
    .updateTable('submissions')
    .set({ state: 'submitted', ref, submitted_at: submittedAt, wait_until: waitUntil, checkpoint: null })
    .where('id', '=', submission.id)
    .where('state', 'in', ['intent', 'submitted'])
  if ((JSON.parse(submission.expects) as string[]).length === 0) {
    // First by itself: what follows may have to be made anew, and nothing is handed over twice.
    if (submission.state === 'intent') await running.commit([update])
    const rest = await finish(running, submission, {}, 'submit')
    return { done: 'handed over; this service gives nothing back', ...rest }
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
  return {
    done: 'submitted',
    queries: [update, early],
    next: [poll],
    bells: [{ step: '', lane: CORE_LANE, dueAt: now }],
  }
}
