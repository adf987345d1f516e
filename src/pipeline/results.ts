import { type Analysis, joinParts, PARTS, type Part } from '../call/analysis.ts'
import { type Conversation, withConversation } from '../call/conversation.ts'
import type { Query } from '../store/port.ts'
import type { ResultRow, SubmissionRow } from '../store/schema.ts'
import { callOf } from './call-row.ts'
import { hashOf, isSame } from './hash.ts'
import { keptOf } from './keep.ts'
import { callRow, writeRound } from './round.ts'
import { type Follow, flowOf, type Running } from './step.ts'
import { note, noteOnce } from './timeline.ts'

/** What a service has given of a call so far. */
export type Parts = Partial<Record<Part, Analysis>>

/** What follows from a result, to be committed with the step that brought it. */
export interface Taken extends Follow {
  says: string
  /** Everything that was expected is in. */
  finished: boolean
  queries: Required<Follow>['queries']
}

/**
 * Takes parts of a result, whichever way they came. The first that brings a part wins; the same again changes nothing,
 * and a different one is noted on the timeline. When all expected parts are in, or a part comes after the end of the
 * wait, the call gets a new round of writing.
 */
export async function takeParts(
  running: Running,
  submission: SubmissionRow,
  parts: Parts,
  via: ResultRow['via'],
): Promise<Taken> {
  const stored = await resultsOf(running, submission.id)
  const queries: Follow['queries'] & unknown[] = []
  const fresh: Parts = {}
  for (const name of PARTS) {
    const result = parts[name]
    if (!result) continue
    const known = stored.find((row) => row.part === name)
    if (!known) fresh[name] = keptOf(running.deps, submission.created_at, result)
    // Polling brings the same again and again, in its own form; only what contradicts is news, and only once.
    else if (contradicts(known, result)) {
      const says = `the ${name} came again by ${via} and differs; the first, by ${known.via}, counts`
      queries.push(...(await noteOnce(running, submission.call_id, says)))
    }
  }
  queries.push(...(await newResults(running, submission, fresh, via)))
  const earlier = partsOf(stored)
  const all: Parts = { ...fresh, ...earlier }
  const missing = (JSON.parse(submission.expects) as Part[]).filter((part) => !all[part])
  const names = Object.keys(fresh).join(' and ')
  const isOver = submission.state === 'done' || submission.state === 'failed'
  if (names === '') return { says: 'nothing new', finished: missing.length === 0 || isOver, queries }
  if (missing.length > 0 && !isOver) {
    return { says: `${names} is here; ${missing.join(' and ')} is still awaited`, finished: false, queries }
  }
  const rest = await finish(running, submission, all, via)
  return {
    ...rest,
    says: `${names} by ${via}`,
    finished: true,
    queries: [...queries, ...(rest.queries ?? [])],
  }
}

/** Plain inserts: when another worker brought the part meanwhile, this batch fails and is looked at again. */
export async function newResults(
  { deps }: Pick<Running, 'deps'>,
  submission: SubmissionRow,
  parts: Parts,
  via: ResultRow['via'],
): Promise<Query[]> {
  const rows = Object.entries(parts).map(async ([part, result]) => {
    const analysis = keptOf(deps, submission.created_at, result)
    return deps.store.db.insertInto('results').values({
      submission_id: submission.id,
      part,
      call_id: submission.call_id,
      via,
      received_at: deps.now(),
      hash: await hashOf(deps.signer, analysis),
      analysis: JSON.stringify(analysis),
    })
  })
  return Promise.all(rows)
}

/** Ends a submission with what there is and starts the writing. */
export async function finish(
  running: Running,
  submission: SubmissionRow,
  parts: Parts,
  via: ResultRow['via'],
): Promise<Follow> {
  const { deps } = running
  const { db } = deps.store
  const flow = flowOf(deps, submission.flow)
  const call = await callRow(deps, submission.call_id)
  const ended = [
    db.updateTable('submissions').set({ state: 'done', done_at: deps.now() }).where('id', '=', submission.id),
    // Where polling is only the second way, the step that waits for it has nothing left to do.
    ...(via === 'callback'
      ? [
          db
            .updateTable('steps')
            .set({ state: 'done', reason: 'the result came by webhook', updated_at: deps.now() })
            .where('kind', '=', 'poll')
            .where('subject', '=', submission.id)
            .where('state', 'in', ['waiting', 'parked']),
        ]
      : []),
  ]
  if (call.analysis !== null && (await isOutdone(running, submission, call.id))) {
    const says = `the result of ${submission.connection} came after a later submission’s, which counts`
    return { queries: [...ended, note(running, says)] }
  }
  // Nothing is stuck any more that was only waiting for this, or had given up on it.
  const came = db
    .updateTable('steps')
    .set({ state: 'done', reason: 'the result came after all', updated_at: deps.now() })
    .where('call_id', '=', call.id)
    .where('kind', 'in', ['submit', 'poll'])
    .where('generation', '<=', submission.generation)
    .where('state', 'in', ['parked', 'dead'])
  const hasParts = Object.keys(parts).length > 0
  const { conversation } = submission
  const heard = conversation === null ? undefined : (JSON.parse(conversation) as Conversation)
  const analysis = withConversation(joinParts(parts), callOf(call).transcript, heard)
  const round = writeRound(deps, call, flow, hasParts ? { analysis } : {})
  return { ...round, queries: [...ended, ...(hasParts ? [came] : []), ...round.queries] }
}

/** Whether a later submission of the call, or another backend's of the same round, has brought its result already. */
async function isOutdone({ deps }: Running, submission: SubmissionRow, callId: string): Promise<boolean> {
  const done = await deps.store.db
    .selectFrom('submissions')
    .select('id')
    .where('call_id', '=', callId)
    .where('id', '!=', submission.id)
    .where('generation', '>=', submission.generation)
    .where('state', '=', 'done')
    .limit(1)
    .execute()
  return done.length > 0
}

/** The stored parts of a submission. */
export function resultsOf({ deps }: Running, submissionId: string): Promise<ResultRow[]> {
  return deps.store.db.selectFrom('results').selectAll().where('submission_id', '=', submissionId).execute()
}

/** Our own JSON, so it is not validated again. */
export function partsOf(rows: readonly ResultRow[]): Parts {
  return Object.fromEntries(rows.map((row) => [row.part, JSON.parse(row.analysis)]))
}

/** A webhook and a poll tell different fields of the same result: they differ when they say two things of one field. */
function contradicts(known: ResultRow, result: Analysis): boolean {
  const before = JSON.parse(known.analysis) as Record<string, unknown>
  return Object.entries(result).some(
    ([field, value]) => field !== 'raw' && before[field] !== undefined && !isSame(before[field], value),
  )
}
