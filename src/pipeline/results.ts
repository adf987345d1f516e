import { type Analysis, joinParts, type Part } from '../call/analysis.ts'
import type { Flow } from '../config/model.ts'
import type { Guard, Query } from '../store/port.ts'
import type { ResultRow, StepRow, SubmissionRow } from '../store/schema.ts'
import { hashOf } from './hash.ts'
import { matchSteps } from './plan.ts'
import { insertSteps, note, type Running } from './step.ts'

type Parts = Partial<Record<Part, Analysis>>

/** What follows from a result, to be committed with the step that brought it. */
export interface Followed {
  says: string
  queries: Query[]
  guards: Guard[]
  next: StepRow[]
  /** Everything that was expected is in. */
  finished: boolean
}

/**
 * Takes parts of a result, whichever way they came. The first that brings a part wins; the same again changes nothing,
 * and a different one is noted on the timeline. When all expected parts are in, or a part comes after the end of the
 * wait, the call gets a new round of writing.
 */
export async function takeParts(
  running: Running,
  submission: SubmissionRow,
  flow: Flow,
  parts: Parts,
  via: ResultRow['via'],
): Promise<Followed> {
  const { deps } = running
  const { db } = deps.store
  const stored = await db
    .selectFrom('results')
    .selectAll()
    .where('submission_id', '=', submission.id)
    .execute()
  const queries: Query[] = []
  const fresh: Part[] = []
  for (const [name, result] of Object.entries(parts) as [Part, Analysis][]) {
    const hash = await hashOf(deps.signer, result)
    const known = stored.find((row) => row.part === name)
    if (known) {
      if (known.hash !== hash && known.via !== via) {
        queries.push(
          note(running, `the ${name} came again by ${via} and differs; the first, by ${known.via}, counts`),
        )
      }
      continue
    }
    fresh.push(name)
    queries.push(
      // A plain insert: when another worker brought the part meanwhile, this batch fails and is looked at again.
      db.insertInto('results').values({
        submission_id: submission.id,
        part: name,
        call_id: submission.call_id,
        via,
        received_at: deps.now(),
        hash,
        analysis: JSON.stringify(result),
      }),
    )
  }
  const expects = JSON.parse(submission.expects) as Part[]
  const have = new Set<string>([...stored.map((row) => row.part), ...fresh])
  const finished = expects.every((part) => have.has(part))
  if (fresh.length === 0) {
    return {
      says: 'nothing new',
      queries,
      guards: [],
      next: [],
      finished: finished || submission.state === 'done',
    }
  }
  if (!finished && submission.state !== 'done') {
    const missing = expects.filter((part) => !have.has(part))
    return {
      says: `${fresh.join(' and ')} is here; ${missing.join(' and ')} is still awaited`,
      queries,
      guards: [],
      next: [],
      finished,
    }
  }
  const earlier = Object.fromEntries(
    stored.map((row) => [row.part, JSON.parse(row.analysis) as Analysis]),
  ) as Parts
  const rest = await finishWith(running, submission, flow, { ...parts, ...earlier }, via)
  return {
    says: `${fresh.join(' and ')} by ${via}`,
    finished: true,
    ...rest,
    queries: [...queries, ...rest.queries],
  }
}

/** Ends a submission with what there is and starts the writing. */
export async function finishWith(
  running: Running,
  submission: SubmissionRow,
  flow: Flow,
  parts: Parts,
  via: ResultRow['via'],
): Promise<{ queries: Query[]; guards: Guard[]; next: StepRow[] }> {
  const { deps } = running
  const { db } = deps.store
  const call = await db
    .selectFrom('calls')
    .select(['id', 'version', 'generation', 'joined_into'])
    .where('id', '=', submission.call_id)
    .executeTakeFirstOrThrow()
  const generation = call.generation + 1
  const next = matchSteps(deps, flow, call.joined_into ?? call.id, generation)
  const analysis = Object.keys(parts).length === 0 ? null : JSON.stringify(joinParts(parts))
  const queries: Query[] = [
    db.updateTable('submissions').set({ state: 'done', done_at: deps.now() }).where('id', '=', submission.id),
    db
      .updateTable('calls')
      .set({
        generation,
        version: call.version + 1,
        updated_at: deps.now(),
        state: next.length === 0 ? 'done' : 'working',
        reason: null,
        ...(analysis === null ? {} : { analysis }),
      })
      .where('id', '=', call.id),
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
    ...insertSteps(deps, next),
  ]
  return { queries, guards: [{ call: call.id, version: call.version }], next }
}
