import { type CordboardError, ERRORS, type ErrorCode, whereFrom } from '../errors.ts'
import type { Bell } from '../queue/port.ts'
import type { Query } from '../store/port.ts'
import type { AttemptRow, StepKind, StepRow } from '../store/schema.ts'
import type { Breakers } from './breaker.ts'
import type { Deps } from './deps.ts'
import { type IssueWatch, openIssue } from './issues.ts'
import { judge } from './retry.ts'
import { settleCall } from './settle.ts'
import { bellsOf, insertSteps, type Outcome } from './step.ts'
import { attemptRow, inWords } from './timeline.ts'

/** What the ends of steps are told to: they open and close breakers, and open issues. */
export interface Watch {
  breakers: Breakers
  issues: IssueWatch
}

/** What has to be known of an execution to conclude it. */
export interface Execution {
  /** The step as it was claimed; what an execution has learned of it stands on its own copy. */
  was: StepRow
  startedAt: number
  /** Connections that answered, whatever they said. */
  answered: ReadonlySet<string>
}

/** By these a vendor says no to what was sent, and shows that it is there. */
const ANSWERS: ReadonlySet<ErrorCode> = new Set([
  'forbidden',
  'not_found',
  'gone',
  'invalid_payload',
  'rejected',
  'duplicate',
])

/** The queries that end an execution: the step's new state, its line on the timeline, and what follows. */
export function conclude(
  deps: Deps,
  watch: Watch,
  step: StepRow,
  outcome: Outcome,
  { was, startedAt, answered }: Execution,
): { queries: Query[]; bells: Bell[] } {
  const { db } = deps.store
  const now = deps.now()
  const next = [...(outcome.next ?? [])]
  const bells = [...bellsOf(next), ...(outcome.bells ?? [])]
  const becomes = (fields: Partial<StepRow>): Query => {
    // Only what it has learned: its call may have been joined into another meanwhile.
    const learned = {
      ...(step.call_id === was.call_id ? {} : { call_id: step.call_id }),
      ...(step.flow === was.flow ? {} : { flow: step.flow }),
    }
    const freed = { lease: null, lease_until: null, crashes: 0, awaiting: null, updated_at: now }
    return db
      .updateTable('steps')
      .set({ ...freed, ...learned, ...fields })
      .where('id', '=', step.id)
  }
  const line = (result: AttemptRow['outcome'], says: string, code?: ErrorCode): Query => {
    const attempt = { at: startedAt, took_ms: now - startedAt, outcome: result, says }
    return db.insertInto('attempts').values(attemptRow(deps, step, { ...attempt, ...(code ? { code } : {}) }))
  }
  const follow = [...(outcome.queries ?? []), ...insertSteps(deps, next)]
  const settle = step.call_id === null ? [] : settleCall(deps, step.call_id)
  const went = () => [...answered].flatMap((connection) => watch.breakers.succeeded(connection))

  if ('done' in outcome) {
    const reason = outcome.done.slice(0, 500)
    const done = becomes({ state: 'done', code: null, reason, attempts: step.attempts + 1 })
    const over = [...earlierRounds(deps, step), ...worked(watch.issues, step, answered)]
    // Where a step follows, the call is settled when that one ends.
    const end = next.length > 0 ? [] : settle
    return { queries: [done, line('ok', reason), ...went(), ...over, ...follow, ...end], bells }
  }
  if ('again' in outcome) {
    const { says, code = null, awaiting = null } = outcome
    const due = Math.ceil(outcome.again)
    const waits = becomes({ state: 'waiting', due_at: due, code, reason: says, awaiting })
    // A wait is no attempt and no news: it stands on the step, not on the timeline.
    return {
      queries: [waits, ...went(), ...follow],
      bells: [...bells, ...bellsOf([{ ...step, due_at: due }])],
    }
  }

  const { error, at = step.connection } =
    'failed' in outcome
      ? { error: outcome.failed, ...outcome }
      : 'dead' in outcome
        ? { error: outcome.dead, ...outcome }
        : { error: outcome.passedOn, ...outcome }
  const fields = { code: error.code, reason: inWords(error).slice(0, 500) }
  const verdict = 'failed' in outcome ? judge(error, step, now, deps.random) : null
  const health = [
    ...watch.breakers.failed(at, error),
    ...(ANSWERS.has(error.code) && answered.has(at) ? watch.breakers.succeeded(at) : []),
  ]
  tell(deps, step, error, verdict?.state ?? ('dead' in outcome ? 'dead' : 'passed on'))

  if (verdict?.state === 'waiting') {
    const attempts = step.attempts + (verdict.counts ? 1 : 0)
    const waits = becomes({ ...fields, state: 'waiting', due_at: verdict.dueAt, attempts })
    // Whoever runs into a request limit does so again and again: that is told once.
    const isNews = verdict.counts || step.code !== error.code
    const issue = error.code === 'internal' ? [openIssue(deps, issueOf(step, at), error)] : []
    return {
      queries: [
        waits,
        ...(isNews ? [line('again', fields.reason, error.code)] : []),
        ...issue,
        ...health,
        ...follow,
      ],
      bells: [...bells, ...bellsOf([{ ...step, due_at: verdict.dueAt }])],
    }
  }
  const state = verdict?.state ?? ('dead' in outcome ? 'dead' : 'done')
  const ends = becomes({ ...fields, state, attempts: step.attempts + (state === 'parked' ? 0 : 1) })
  // One that was let go and is parked again for the same reason is no news either.
  const isAgain = state === 'parked' && step.code === error.code
  const told = isAgain ? [] : [line(state === 'done' ? 'failed' : state, fields.reason, error.code)]
  const issue = openIssue(deps, issueOf(step, at), error)
  return { queries: [ends, ...told, issue, ...health, ...follow, ...settle], bells }
}

/** What an earlier round left undone is done by this one. Calls that are still being analysed are only asked about. */
function earlierRounds({ store, now }: Deps, step: StepRow): Query[] {
  const { kind, call_id, connection, generation } = step
  if (call_id === null || generation <= 1 || (kind !== 'submit' && kind !== 'match' && kind !== 'write'))
    return []
  const older = store.db
    .updateTable('steps')
    .set({ state: 'done', reason: 'a later round did it', updated_at: now() })
    .where('call_id', '=', call_id)
    .where('generation', '<', generation)
  const undone = ['waiting', 'parked', 'dead'] as const
  if (kind !== 'submit')
    return [older.where('kind', '=', kind).where('connection', '=', connection).where('state', 'in', undone)]
  return [
    older.where('kind', '=', 'submit').where('state', 'in', undone),
    older.where('kind', '=', 'poll').where('state', 'in', ['parked', 'dead']),
  ]
}

/** A result that came by webhook ends what polling had to say as well. */
function worked(issues: IssueWatch, { kind, connection }: StepRow, answered: ReadonlySet<string>): Query[] {
  const kinds: StepKind[] = kind === 'callback' ? ['callback', 'poll'] : [kind]
  return [...new Set([connection, ...answered])].flatMap((at) =>
    kinds.flatMap((one) => issues.worked(one, at)),
  )
}

const issueOf = (step: StepRow, connection: string) => ({
  kind: step.kind,
  connection,
  call_id: step.call_id,
  step_id: step.id,
  delivery_id: step.subject.startsWith('dlv_') ? step.subject : null,
})

function tell(deps: Deps, step: StepRow, error: CordboardError, became: string): void {
  const { id, kind, connection } = step
  deps.log.info('step failed', { step: id, kind, connection, code: error.code, outcome: became })
  if (error.code === 'internal')
    deps.log.error('internal error', { step: id, kind, says: ERRORS.internal.title, at: whereFrom(error) })
}
