import { type Conversation, conversationOf } from '../call/conversation.ts'
import type { Flow } from '../config/model.ts'
import type { AnalysisRole, SubmitRequest, Submitted } from '../connector/contract.ts'
import { asCordboardError, CordboardError } from '../errors.ts'
import type { CallRow, SubmissionRow } from '../store/schema.ts'
import type { Trouble } from './audio-source.ts'
import { callOf } from './call-row.ts'
import { chooseContent } from './content.ts'
import { lengthOf, overCap } from './daily-cap.ts'
import type { Deps } from './deps.ts'
import { gatherOf, join, leave, verdictOf } from './gather.ts'
import { whyNotAnalysed } from './plan.ts'
import { isTired, notNow, refused, unanalysed } from './refused.ts'
import { doubtOf, stableName, submissionId } from './restored.ts'
import { callRow, laterRound } from './round.ts'
import { lookUp, mayHaveGot, send, sendOnce } from './send.ts'
import { flowOf, type Outcome, type Running } from './step.ts'
import { submitted } from './submitted.ts'

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
  if (known && known.state !== 'intent')
    return submitted(running, role, known, known.ref === null ? null : { ref: known.ref })
  const gathered = known ? await verdictOf(running, known) : null
  if (known && gathered) return takeUp(running, role, flow, row, known, gathered)
  const call = callOf(row)
  // Here and nowhere else does anything leave: what was planned before the rule applied is kept back as well.
  const forbidden = whyNotAnalysed(flow, call)
  if (forbidden !== null) return unanalysed(running, flow, row, forbidden)
  const wait = await notNow(running, flow, row)
  if (wait) return wait
  let trouble: Trouble | undefined
  let spoiled: CordboardError | undefined
  let conversation: Conversation | null = null
  const content = chooseContent(running, call, {
    troubled: (found) => {
      trouble ??= found
    },
    spoiled: (found) => {
      spoiled ??= found
    },
    heard: (voices) => {
      conversation ??= conversationOf(voices)
    },
  })
  if ('refused' in content) return refused(running, flow, row, content.refused)
  const what = content.of('').audio?.recording.key ?? 'text'
  const capped = known ? null : await overCap(running, connection, row.id, call)
  if (capped) return capped
  // Outside of what may be refused: when the call has changed by now, the step starts over.
  const submission = known ?? (await intend(running, row, flow, role, what, lengthOf(call)))
  const named = (name: string, checkpoint = submission.checkpoint): SubmitRequest => ({
    submissionId: submission.id,
    name,
    call,
    ...content.of(name),
    ...(checkpoint === null ? {} : { state: JSON.parse(checkpoint) as unknown }),
  })
  const own = stableName(submission.id)
  // Of an attempt whose end nobody saw. The whole id is what a version that works beside this one calls its file.
  const before = known ? [own, known.id] : await forgotten(running, row, what)
  let sent: Submitted
  try {
    const found = await lookUp(
      running,
      role,
      before.map((name) => named(name)),
    )
    if (!role.find && (await mayHaveGot(deps, row, known))) throw notKnown(running)
    // The size of a row must be exact before: what is converted is handed over by itself.
    const gather = found === null && !content.isMade ? gatherOf(running) : null
    if (gather) return await join(running, gather, submission, named(own))
    if (found !== null) sent = { ref: found }
    else if (role.find) sent = await send(running, role, named(own))
    else sent = await sendOnce(running, role, named(own), () => (trouble ?? spoiled) !== undefined)
  } catch (thrown) {
    const error = spoiled ?? asCordboardError(thrown)
    const found = trouble ? null : await gotAfterAll(running, role, submission.id, named, error)
    if (found === null) return refused(running, flow, row, error, trouble)
    sent = { ref: found }
  }
  const measured = conversation === null ? submission.conversation : JSON.stringify(conversation)
  return submitted(running, role, { ...submission, conversation: measured }, sent)
}

/**
 * Before another service is asked: the last attempt may have got through although its answer got lost, and two services
 * would be paid for one call. Where that cannot be found out now, the call goes on.
 */
async function gotAfterAll(
  running: Running,
  role: AnalysisRole<unknown>,
  id: string,
  named: (name: string, checkpoint: string | null) => SubmitRequest,
  error: CordboardError,
): Promise<string | null> {
  if (!role.find || !isTired(error, running.step) || running.signal.aborted) return null
  const { db } = running.deps.store
  const now = await db.selectFrom('submissions').select('checkpoint').where('id', '=', id).executeTakeFirst()
  try {
    return await lookUp(running, role, [named(stableName(id), now?.checkpoint ?? null)])
  } catch (thrown) {
    if (!(thrown instanceof CordboardError)) throw thrown
    return null
  }
}

function notKnown({ connection }: Running): CordboardError {
  const { id, connector } = connection
  return new CordboardError(
    'ambiguous',
    `It is not known whether ${id} got this call, and ${connector.name} cannot be asked`,
    { fix: 'Look for the call there; if it is missing, rerun it from submit: it is sent once more' },
  )
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
  content: string,
  audioMs: number,
): Promise<SubmissionRow> {
  const nth = await givenBefore(deps, call.id, connection.id)
  const row: SubmissionRow = {
    id: await submissionId(deps, call, { to: connection.id, content, nth }),
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
    audio_ms: audioMs,
    conversation: null,
  }
  const guard = { call: call.id, version: call.version }
  await commit([deps.store.db.insertInto('submissions').values(row)], [guard])
  return row
}

/**
 * The names under which a store that was lost may have handed it over: under each id that the phone system has for the
 * call, as the first or, where an earlier content is forgotten as well, as the one after.
 */
async function forgotten({ deps, connection }: Running, row: CallRow, content: string): Promise<string[]> {
  const doubt = await doubtOf(deps, row)
  if (!doubt) return []
  // The submission itself is saved by now.
  const nth = (await givenBefore(deps, row.id, connection.id)) - 1
  const ids = doubt.externalIds.flatMap((external_id) =>
    [nth, nth + 1].map((n) =>
      submissionId(deps, { ...row, external_id }, { to: connection.id, content, nth: n }),
    ),
  )
  return (await Promise.all(ids)).map(stableName)
}

async function givenBefore({ store }: Deps, callId: string, connection: string): Promise<number> {
  const rows = await store.db
    .selectFrom('submissions')
    .select('id')
    .where('call_id', '=', callId)
    .where('connection', '=', connection)
    .execute()
  return rows.length
}

/** What became of it in a batch; it leaves that when it was not taken. */
async function takeUp(
  running: Running,
  role: AnalysisRole<unknown>,
  flow: Flow,
  call: CallRow,
  submission: SubmissionRow,
  gathered: NonNullable<Awaited<ReturnType<typeof verdictOf>>>,
): Promise<Outcome> {
  if ('wait' in gathered) return gathered.wait
  if ('ref' in gathered) return submitted(running, role, submission, { ref: gathered.ref })
  const { failed, trouble } = gathered
  const content = chooseContent(running, callOf(call), {
    troubled: () => undefined,
    spoiled: () => undefined,
  })
  if (!trouble && !('refused' in content)) {
    const named = (name: string, checkpoint: string | null): SubmitRequest => ({
      submissionId: submission.id,
      name,
      call: callOf(call),
      ...content.of(name),
      ...(checkpoint === null ? {} : { state: JSON.parse(checkpoint) as unknown }),
    })
    const found = await gotAfterAll(running, role, submission.id, named, failed)
    if (found !== null) return submitted(running, role, submission, { ref: found })
  }
  const forbidden = whyNotAnalysed(flow, callOf(call))
  const outcome =
    forbidden === null
      ? await refused(running, flow, call, failed, trouble)
      : unanalysed(running, flow, call, forbidden)
  return { ...outcome, queries: [...(outcome.queries ?? []), leave(running, submission.id)] }
}
