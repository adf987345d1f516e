import { createContext } from '../connector/context.ts'
import type { HttpFetch } from '../connector/platform.ts'
import { asCordboardError, CordboardError } from '../errors.ts'
import { type Guard, isUniqueViolation, type Query } from '../store/port.ts'
import type { StepKind, StepRow } from '../store/schema.ts'
import { callback } from './callback.ts'
import { conclude, type Watch } from './conclude.ts'
import type { Deps } from './deps.ts'
import { match } from './match.ts'
import { merge } from './merge.ts'
import { poll } from './poll.ts'
import { connectionOf, type Outcome, type Running } from './step.ts'
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
const COMES_BACK_MS = 1_000

/** What a worker gives a step it holds. `until` is our own clock's idea of the lease's end, with a margin. */
export interface Held {
  step: StepRow
  lease: string
  until: () => number
  signal: AbortSignal
}

/**
 * Runs one step and commits what became of it. Never rejects. Answers false when the store could not take the result: the
 * step is still ours then, and has to be handed back.
 */
export async function runStep(deps: Deps, watch: Watch, held: Held): Promise<boolean> {
  const startedAt = deps.now()
  const guard: Guard = { step: held.step.id, lease: held.lease }
  let { step } = held
  try {
    for (let fold = 0; ; fold += 1) {
      const answered = new Set<string>()
      const { outcome, spent } = await execute(deps, { ...held, step }, guard, answered)
      const isLast = fold >= FOLDS || spent || held.signal.aborted || deps.now() >= held.until()
      // One end for all that was not brought to its own: back into the queue, no attempt used up.
      const ending: Outcome =
        outcome === 'changed' || spent
          ? { again: deps.now() + COMES_BACK_MS, says: spent ? 'was cut off and goes on' : 'its call changed meanwhile' }
          : outcome
      if (outcome !== 'changed' || isLast) {
        const { queries, bells } = conclude(deps, watch, step, ending, { startedAt, answered })
        const guards = 'again' in ending && isLast ? [guard] : [guard, ...(ending.guards ?? [])]
        if (await commitOrConflict(deps, guards, queries)) {
          deps.queue.wake(bells)
          break
        }
      }
      const mine = isLast ? undefined : await stillMine(deps, held)
      if (!mine) {
        deps.log.debug('step lost its lease', { step: step.id, kind: step.kind })
        break
      }
      step = mine
    }
  } catch (error) {
    deps.log.error('a step could not be concluded', {
      step: step.id,
      kind: step.kind,
      code: asCordboardError(error).code,
    })
    return false
  } finally {
    deps.metrics.time('cordboard_step_seconds', deps.now() - startedAt, { kind: step.kind })
  }
  return true
}
