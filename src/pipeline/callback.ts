import type { Analysis, Part } from '../call/analysis.ts'
import type { AnalysisEvent } from '../connector/contract.ts'
import { CordboardError } from '../errors.ts'
import type { Guard, Query } from '../store/port.ts'
import type { StepRow, SubmissionRow } from '../store/schema.ts'
import { readDelivery, receiveWith, settleDelivery, unreadable } from './delivery.ts'
import { erasedAmong } from './erased.ts'
import { takeParts } from './results.ts'
import { callRow } from './round.ts'
import type { Outcome, Running } from './step.ts'

/** How soon, and how long, a result whose submission is not committed yet is looked at again. */
const RETRY_MS = 30_000
const LONGEST_RETRY_MS = 3_600_000
const GIVE_UP_MS = 24 * 3_600_000

/** callback: a result that a webhook brought. Joined to its submission by the vendor's reference or by our own id. */
export async function callback(running: Running): Promise<Outcome> {
  const { deps, step, connection } = running
  const { row, request } = await readDelivery(running)
  const received = receiveWith(connection, connection.connector.analysis?.callback, request)
  if ('unreadable' in received) return unreadable(running, row, received.unreadable)
  if ('ignored' in received) {
    const { ignored } = received
    return { done: `ignored: ${ignored}`, queries: [settleDelivery(running, row, 'ignored', ignored)] }
  }

  const queries: Query[] = []
  const guards: Guard[] = []
  const next: StepRow[] = []
  const says: string[] = []
  const unknown: AnalysisEvent[] = []
  let erased = 0
  const { call_id: ownCall } = step
  for (const { submission, event, parts } of await bySubmission(running, received.events)) {
    if (!submission) {
      if (await isErased(running, event)) erased += 1
      else unknown.push(event)
      continue
    }
    // The step belongs to this call from now on: its timeline shows it, and without its flow it cannot go on.
    step.call_id = (await callRow(deps, submission.call_id)).id
    step.flow = submission.flow
    const taken = await takeParts(running, submission, parts, 'callback')
    queries.push(...gotThrough(running, submission, event), ...taken.queries)
    guards.push(...(taken.guards ?? []))
    next.push(...(taken.next ?? []))
    says.push(taken.says)
  }
  const [first] = unknown
  if (erased > 0) says.push('of a call that was erased: not taken')
  if (!first) {
    const isUsed = says.length > 1 || erased === 0
    queries.push(settleDelivery(running, row, isUsed ? 'used' : 'ignored', isUsed ? null : says.join('; ')))
    return { done: says.join('; '), queries, guards, next }
  }
  const age = deps.now() - row.received_at
  if (age >= GIVE_UP_MS) {
    const error = new CordboardError('unmatched_result', 'No submission with this reference was ever made')
    return {
      dead: error,
      queries: [...queries, settleDelivery(running, row, 'unreadable', error.message)],
      guards,
      next,
    }
  }
  // What is left of it is not those calls' any more.
  step.call_id = ownCall
  // The submission wakes it when it is committed; this is for when both happen at once.
  const again = deps.now() + Math.min(Math.max(RETRY_MS, age / 2), LONGEST_RETRY_MS)
  const awaiting = first.ref === undefined ? {} : { awaiting: first.ref }
  return { again, says: 'its submission is not known yet', ...awaiting, queries, guards, next }
}

/** A result for a submission whose answer nobody saw: now it is known that it got through. */
function gotThrough({ deps }: Running, submission: SubmissionRow, { ref }: AnalysisEvent): Query[] {
  if (submission.state !== 'intent' || ref === undefined) return []
  return [
    deps.store.db
      .updateTable('submissions')
      .set({ state: 'submitted', ref, submitted_at: deps.now(), checkpoint: null })
      .where('id', '=', submission.id)
      .where('state', '=', 'intent'),
  ]
}

/** Its submission went with a call that somebody had erased. */
async function isErased({ deps, connection }: Running, { ref, submissionId }: AnalysisEvent) {
  const names = [ref, submissionId].filter((id) => id !== undefined)
  return (await erasedAmong(deps, { connection: connection.id, of: 'submission' }, names)).size > 0
}

/** The parts that one delivery brings for one submission are taken together. */
async function bySubmission(running: Running, events: readonly AnalysisEvent[]) {
  const groups = new Map<
    string,
    { submission: SubmissionRow | undefined; event: AnalysisEvent; parts: Partial<Record<Part, Analysis>> }
  >()
  for (const event of events) {
    const key = event.ref ?? event.submissionId ?? ''
    const group = groups.get(key) ?? { submission: await submissionOf(running, event), event, parts: {} }
    group.parts[event.part] = event.result
    groups.set(key, group)
  }
  return [...groups.values()]
}

async function submissionOf(
  { deps, connection }: Running,
  { ref, submissionId }: AnalysisEvent,
): Promise<SubmissionRow | undefined> {
  const query = deps.store.db.selectFrom('submissions').selectAll().where('connection', '=', connection.id)
  const byRef = ref === undefined ? undefined : await query.where('ref', '=', ref).executeTakeFirst()
  if (byRef || submissionId === undefined) return byRef
  return query.where('id', '=', submissionId).executeTakeFirst()
}
