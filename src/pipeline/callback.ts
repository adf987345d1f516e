import type { Analysis, Part } from '../call/analysis.ts'
import type { AnalysisEvent } from '../connector/contract.ts'
import { asCordboardError, CordboardError } from '../errors.ts'
import type { Guard, Query } from '../store/port.ts'
import type { StepRow, SubmissionRow } from '../store/schema.ts'
import { readDelivery, settle } from './delivery.ts'
import { openIssue } from './issues.ts'
import { takeParts } from './results.ts'
import { flowOf, type Outcome, type Running } from './step.ts'

/** How often, and how long, a result whose submission is not committed yet is looked at again. */
const RETRY_MS = 30_000
const GIVE_UP_MS = 24 * 3_600_000

/** callback: a result that a webhook brought. Joined to its submission by the vendor's reference or by our own id. */
export async function callback(running: Running): Promise<Outcome> {
  const { deps, step, connection } = running
  const side = connection.connector.analysis?.callback
  const { row, request } = await readDelivery(running)
  if (!side)
    return {
      done: 'ignored',
      queries: [settle(running, row, 'ignored', 'the connector reads no result webhooks')],
    }

  let events: AnalysisEvent[]
  try {
    const received = side.receive(request, {
      connection: connection.id,
      config: connection.settings,
      region: connection.region,
    })
    if ('ignored' in received)
      return {
        done: `ignored: ${received.ignored}`,
        queries: [settle(running, row, 'ignored', received.ignored)],
      }
    events = received.events
  } catch (thrown) {
    const error = asCordboardError(thrown)
    const unreadable =
      error.code === 'internal'
        ? new CordboardError('invalid_payload', 'The connector failed on this delivery', { cause: error })
        : error
    const issue = openIssue(
      deps,
      { kind: 'callback', connection: connection.id, delivery_id: row.id, step_id: step.id },
      unreadable,
    )
    return {
      done: `unreadable: ${unreadable.message}`,
      queries: [settle(running, row, 'unreadable', unreadable.message), issue],
    }
  }

  const queries: Query[] = []
  const guards: Guard[] = []
  const next: StepRow[] = []
  const says: string[] = []
  for (const { submission, event, parts } of await bySubmission(running, events)) {
    if (!submission) {
      if (deps.now() - row.received_at >= GIVE_UP_MS) {
        throw new CordboardError('unmatched_result', 'No submission with this reference was ever made')
      }
      const awaiting = event.ref === undefined ? {} : { awaiting: event.ref }
      return { again: deps.now() + RETRY_MS, says: 'its submission is not known yet', ...awaiting }
    }
    const taken = await takeParts(running, submission, flowOf(deps, submission.flow), parts, 'callback')
    // The step belongs to this call from now on: its timeline shows it.
    const adopt = deps.store.db
      .updateTable('steps')
      .set({ call_id: submission.call_id })
      .where('id', '=', step.id)
    queries.push(adopt, ...taken.queries)
    guards.push(...taken.guards)
    next.push(...taken.next)
    says.push(taken.says)
    // The attempt of this execution is written to the call's timeline as well.
    step.call_id = submission.call_id
  }
  return { done: says.join('; '), queries: [...queries, settle(running, row, 'used', null)], guards, next }
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

function submissionOf(
  { deps, connection }: Running,
  event: AnalysisEvent,
): Promise<SubmissionRow | undefined> {
  const query = deps.store.db.selectFrom('submissions').selectAll().where('connection', '=', connection.id)
  return event.ref === undefined
    ? query.where('id', '=', event.submissionId ?? '').executeTakeFirst()
    : query.where('ref', '=', event.ref).executeTakeFirst()
}
