import { createContext } from '../connector/context.ts'
import type { HttpFetch } from '../connector/platform.ts'
import { asCordboardError } from '../errors.ts'
import { type Guard, isUniqueViolation, type Query } from '../store/port.ts'
import type { StepKind, StepRow } from '../store/schema.ts'
import { batch } from './batch.ts'
import { callback } from './callback.ts'
import { conclude, type Watch } from './conclude.ts'
import type { Deps } from './deps.ts'
import { importStep } from './import.ts'
import { list } from './list.ts'
import { lookUp } from './look-up.ts'
import { match } from './match.ts'
import { merge } from './merge.ts'
import { poll } from './poll.ts'
import { connectionOf, type Outcome, type Running } from './step.ts'
import { submit } from './submit.ts'
import { subscribe } from './subscribe.ts'
import { write } from './write.ts'

const KINDS: Record<StepKind, (running: Running) => Promise<Outcome>> = {
  merge,
  look_up: lookUp,
  submit,
  batch,
  poll,
  callback,
  match,
  write,
  import: importStep,
  list,
  subscribe,
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
 * step is still held then, and has to be handed back.
 */
export async function runStep(deps: Deps, watch: Watch, held: Held): Promise<boolean> {
  const { id, kind } = held.step
  const startedAt = deps.now()
  try {
    await untilConcluded(deps, watch, held, startedAt)
    return true
  } catch (error) {
    const { code } = asCordboardError(error)
    deps.log.error('a step could not be concluded', { step: id, kind, code })
    return false
  } finally {
    deps.metrics.time('cordboard_step_seconds', deps.now() - startedAt, { kind })
  }
}

async function untilConcluded(deps: Deps, watch: Watch, held: Held, startedAt: number): Promise<void> {
  const { lease, signal } = held
  let was = held.step
  const guard: Guard = { step: was.id, lease }
  const later = (says: string): Outcome => ({ again: deps.now() + COMES_BACK_MS, says })

  for (let fold = 0; ; fold += 1) {
    const step = { ...was }
    const answered = new Set<string>()
    const outcome = await execute(deps, { ...held, step }, guard, answered)
    const end = (ending: Outcome) => {
      const { queries, bells } = conclude(deps, watch, step, ending, { was, startedAt, answered })
      return commit(deps, [guard, ...(ending.guards ?? [])], queries, bells)
    }
    if (outcome !== 'changed') {
      const isCutOff = 'failed' in outcome && (signal.aborted || outcome.failed.code === 'lease_lost')
      if (await end(isCutOff ? later('was cut off and goes on') : outcome)) return
    }
    const fresh = await stillHeld(deps, held)
    if (!fresh) {
      deps.log.debug('step lost its lease', { step: step.id, kind: step.kind })
      return
    }
    // What it works on has changed: once more, on what is stored now.
    was = fresh
    if (fold < FOLDS && !signal.aborted && deps.now() < held.until()) continue
    await end(later('its call keeps changing'))
    return
  }
}

async function execute(
  deps: Deps,
  { step, signal, until }: Held,
  guard: Guard,
  answered: Set<string>,
): Promise<Outcome | 'changed'> {
  // Thrown by `commit` in the middle of a step: a guard no longer holds.
  let changed: Error | undefined
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
          http: noting(deps.http, () => answered.add(other.id)),
          budgets: deps.budgets,
          tokens: deps.vendorTokens,
          now: deps.now,
          random: deps.random,
          log: deps.log,
          signal,
          lease: { until },
          ...(deps.wait ? { wait: deps.wait } : {}),
        }),
      commit: async (queries, guards = []) => {
        const rows = await deps.store.atomic([guard, ...guards], queries)
        if (rows !== 'lost') return rows
        changed = new Error('the step or its call has changed')
        throw changed
      },
    }
    return await KINDS[step.kind](running)
  } catch (thrown) {
    return changed !== undefined && thrown === changed ? 'changed' : { failed: asCordboardError(thrown) }
  }
}

/** Calls `heard` with every answer, whatever it says: the other side is there. */
function noting(http: HttpFetch, heard: () => void): HttpFetch {
  return async (url, request) => {
    const response = await http(url, request)
    heard()
    return response
  }
}

/** False when a guard or a unique key says that the world has changed meanwhile. */
async function commit(
  deps: Deps,
  guards: readonly Guard[],
  queries: readonly Query[],
  bells: Parameters<Deps['queue']['wake']>[0],
): Promise<boolean> {
  try {
    if ((await deps.store.atomic(guards, queries)) === 'lost') return false
  } catch (error) {
    if (isUniqueViolation(error)) return false
    throw error
  }
  deps.queue.wake(bells)
  return true
}

/** The step as it is stored now, if this worker still holds it. */
async function stillHeld(deps: Deps, { step, lease }: Held): Promise<StepRow | undefined> {
  return deps.store.db
    .selectFrom('steps')
    .selectAll()
    .where('id', '=', step.id)
    .where('lease', '=', lease)
    .where('state', '=', 'working')
    .executeTakeFirst()
}
