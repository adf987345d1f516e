import { createContext } from '../connector/context.ts'
import { asCordboardError, CordboardError, ERRORS } from '../errors.ts'
import { type Guard, isUniqueViolation, type Query } from '../store/port.ts'
import type { StepKind, StepRow } from '../store/schema.ts'
import type { Breakers } from './breaker.ts'
import { callback } from './callback.ts'
import type { Deps } from './deps.ts'
import { inWords, openIssue } from './issues.ts'
import { match } from './match.ts'
import { merge } from './merge.ts'
import { poll } from './poll.ts'
import { judge } from './retry.ts'
import { attemptRow, bellsOf, connectionOf, type Outcome, type Running } from './step.ts'
import { submit } from './submit.ts'
import { write } from './write.ts'

const KINDS: Record<StepKind, (running: Running) => Promise<Outcome>> = {
  merge,
  submit,
  poll,
  callback,
  match,
  write,
}

/** A batch that lost against another worker's change of the same call is made anew this often before it comes back later. */
const FOLDS = 5

/** What a worker gives a step it holds. `until` is our own clock's idea of the lease's end, with a margin. */
export interface Held {
  step: StepRow
  lease: string
  until: () => number
  signal: AbortSignal
}

/** Runs one step and commits what became of it. Never rejects: what fails here is retried when the lease runs out. */
export async function runStep(deps: Deps, breakers: Breakers, held: Held): Promise<void> {
  const { step, lease, signal } = held
  const startedAt = deps.now()
  const guard: Guard = { step: step.id, lease }
  try {
    for (let fold = 0; ; fold += 1) {
      const outcome = await execute(deps, held, guard)
      const { queries, next } = conclude(deps, breakers, step, outcome, startedAt)
      const guards = 'guards' in outcome && outcome.guards ? [guard, ...outcome.guards] : [guard]
      const committed = await commitOrConflict(deps, guards, queries)
      if (committed) {
        deps.queue.wake(bellsOf(next))
        break
      }
      if (fold >= FOLDS || signal.aborted || deps.now() >= held.until()) {
        deps.log.debug('step lost its lease or its call', { step: step.id, kind: step.kind })
        break
      }
    }
  } catch (error) {
    // The store cannot take the result. The lease runs out and the sweep hands the step to whoever can.
    deps.log.error('a step could not be concluded', {
      step: step.id,
      kind: step.kind,
      code: asCordboardError(error).code,
    })
  }
  deps.metrics.time('cordboard_step_seconds', deps.now() - startedAt, { kind: step.kind })
}

async function execute(deps: Deps, held: Held, guard: Guard): Promise<Outcome | { failed: CordboardError }> {
  const { step, signal } = held
  try {
    const connection = connectionOf(deps, step.connection)
    const running: Running = {
      deps,
      step,
      connection,
      signal,
      context: (other = connection) =>
        createContext({
          connection: other,
          publicUrl: deps.config.publicUrl,
          http: deps.http,
          budgets: deps.budgets,
          now: deps.now,
          random: deps.random,
          log: deps.log,
          signal,
          lease: { until: held.until },
        }),
      commit: async (queries, guards = []) => {
        const rows = await deps.store.atomic([guard, ...guards], queries)
        if (rows === 'lost') throw new CordboardError('lease_lost', 'Another worker has taken this step over')
        return rows
      },
    }
    return await KINDS[step.kind](running)
  } catch (thrown) {
    return { failed: asCordboardError(thrown) }
  }
}

/** True when committed; false when a guard or a unique key says that the world has changed meanwhile. */
async function commitOrConflict(
  deps: Deps,
  guards: readonly Guard[],
  queries: readonly Query[],
): Promise<boolean> {
  try {
    return (await deps.store.atomic(guards, queries)) !== 'lost'
  } catch (error) {
    if (isUniqueViolation(error)) return false
    throw error
  }
}

/** The queries that end this execution: the step's new state, its line on the timeline, and what follows. */
function conclude(
  deps: Deps,
  breakers: Breakers,
  step: StepRow,
  outcome: Outcome | { failed: CordboardError },
  startedAt: number,
): { queries: Query[]; next: StepRow[] } {
  const { db } = deps.store
  const now = deps.now()
  const tookMs = now - startedAt
  const end = (fields: Partial<StepRow>, line: Parameters<typeof attemptRow>[2]): Query[] => [
    db
      .updateTable('steps')
      .set({ lease: null, lease_until: null, crashes: 0, updated_at: now, awaiting: null, ...fields })
      .where('id', '=', step.id),
    db.insertInto('attempts').values(attemptRow(deps, step, { at: startedAt, took_ms: tookMs, ...line })),
  ]

  if ('done' in outcome) {
    const queries = [
      ...end(
        { state: 'done', code: null, reason: outcome.done.slice(0, 500), attempts: step.attempts + 1 },
        { outcome: 'ok', says: outcome.done },
      ),
      ...breakers.succeeded(step.lane),
      ...(outcome.queries ?? []),
    ]
    return { queries, next: [...(outcome.next ?? [])] }
  }
  if ('again' in outcome) {
    const waiting = {
      state: 'waiting' as const,
      due_at: Math.ceil(outcome.again),
      code: outcome.code ?? null,
      reason: outcome.says,
      awaiting: outcome.awaiting ?? null,
    }
    // A wait is no attempt and no news: it stands on the step, not on the timeline.
    const [update] = end(waiting, { outcome: 'again', says: outcome.says })
    const queries = [
      ...(update ? [update] : []),
      ...breakers.succeeded(step.lane),
      ...(outcome.queries ?? []),
    ]
    return { queries, next: [{ ...step, due_at: Math.ceil(outcome.again) }] }
  }
  if ('dead' in outcome) {
    const error = outcome.dead
    const queries = [
      ...end(
        {
          state: 'dead',
          code: error.code,
          reason: inWords(error).slice(0, 500),
          attempts: step.attempts + 1,
        },
        { outcome: 'dead', code: error.code, says: inWords(error) },
      ),
      openIssue(deps, issueOf(step), error),
      ...breakers.failed(step.lane, error),
      ...(outcome.queries ?? []),
    ]
    return { queries, next: [...(outcome.next ?? [])] }
  }

  const error = outcome.failed
  if (error.code === 'lease_lost') return { queries: [], next: [] }
  const verdict = judge(error, step, now, deps.random)
  const fields = { code: error.code, reason: inWords(error).slice(0, 500) }
  deps.log.info('step failed', {
    step: step.id,
    kind: step.kind,
    connection: step.connection,
    code: error.code,
    outcome: verdict.state,
  })
  if (error.code === 'internal')
    deps.log.error('internal error', {
      step: step.id,
      kind: step.kind,
      says: error.message,
      at: stackOf(error),
    })
  const trip = breakers.failed(step.lane, error)
  if (verdict.state === 'waiting') {
    const attempts = step.attempts + (verdict.counts ? 1 : 0)
    const queries = end(
      { ...fields, state: 'waiting', due_at: verdict.dueAt, attempts },
      { outcome: 'again', code: error.code, says: inWords(error) },
    )
    return { queries: [...queries, ...trip], next: [{ ...step, due_at: verdict.dueAt }] }
  }
  const stuck = verdict.state
  const queries = [
    ...end(
      { ...fields, state: stuck, attempts: step.attempts + (stuck === 'dead' ? 1 : 0) },
      { outcome: stuck, code: error.code, says: inWords(error) },
    ),
    openIssue(deps, issueOf(step), error),
    ...trip,
    ...attention(deps, step, error),
  ]
  return { queries, next: [] }
}

const issueOf = (step: StepRow) => ({
  kind: step.kind,
  connection: step.connection,
  call_id: step.call_id,
  step_id: step.id,
  delivery_id: step.subject.startsWith('dlv_') ? step.subject : null,
})

function attention(deps: Deps, step: StepRow, error: CordboardError): Query[] {
  if (step.call_id === null) return []
  return [
    deps.store.db
      .updateTable('calls')
      .set({
        state: 'attention',
        reason: `${error.code}: ${ERRORS[error.code].title}`,
        updated_at: deps.now(),
      })
      .where('id', '=', step.call_id),
  ]
}

/** Where an unexpected error came from, without its message (which could hold data). */
function stackOf(error: CordboardError): string {
  const cause = error.cause instanceof Error ? error.cause : error
  return (cause.stack ?? '')
    .split('\n')
    .slice(1, 4)
    .map((line) => line.trim())
    .join(' | ')
}
