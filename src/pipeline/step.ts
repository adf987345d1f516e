import { newId } from '../call/ids.ts'
import type { Connection, Flow } from '../config/model.ts'
import type { ConnectorContext } from '../connector/contract.ts'
import { CordboardError, type ErrorCode } from '../errors.ts'
import type { Bell } from '../queue/port.ts'
import type { Guard, Query, Rows } from '../store/port.ts'
import type { AttemptRow, StepKind, StepRow } from '../store/schema.ts'
import type { Deps } from './deps.ts'

/** The lane of steps that talk to nobody outside. */
export const CORE_LANE = 'core'

/** A step under way: what a step's file works with. */
export interface Running {
  deps: Deps
  step: StepRow
  connection: Connection
  signal: AbortSignal
  /** The connection's context; given another connection, that one's (a submission reads from the phone system too). */
  context(connection?: Connection): ConnectorContext
  /**
   * Commits in the middle of a step, under its lease: knowledge that must not be lost before the next request goes out.
   * Throws `lease_lost` when another worker has taken the step over.
   */
  commit(queries: readonly Query[], guards?: readonly Guard[]): Promise<Rows>
}

/** What becomes of a step. Everything in `queries` and `next` is committed together with it, or nothing is. */
export type Outcome =
  | { done: string; queries?: readonly Query[]; guards?: readonly Guard[]; next?: readonly StepRow[] }
  /** Not yet: again at `dueAt`, and no attempt is used up. */
  | { again: number; says: string; code?: ErrorCode; awaiting?: string; queries?: readonly Query[] }
  /** It cannot go on by itself, but other work follows. An issue is opened. */
  | { dead: CordboardError; queries?: readonly Query[]; guards?: readonly Guard[]; next?: readonly StepRow[] }

export interface NewStep {
  kind: StepKind
  subject: string
  callId: string | null
  connection: string
  generation: number
  flow: Flow | null
  dueAt?: number
  lane?: string
}

/** A row for a step that is due now, or at `dueAt`. */
export function newStep(deps: Pick<Deps, 'now' | 'random'>, step: NewStep): StepRow {
  const now = deps.now()
  return {
    id: newId('stp', now, deps.random),
    kind: step.kind,
    lane: step.lane ?? step.connection,
    subject: step.subject,
    call_id: step.callId,
    connection: step.connection,
    generation: step.generation,
    flow: step.flow?.name ?? null,
    flow_version: step.flow?.version ?? null,
    state: 'waiting',
    due_at: Math.ceil(step.dueAt ?? now),
    attempts: 0,
    crashes: 0,
    lease: null,
    lease_until: null,
    code: null,
    reason: null,
    awaiting: null,
    created_at: now,
    updated_at: now,
    fence: 0,
  }
}

/** Inserts steps; one that exists already (same kind, subject, connection, generation) stays as it is. */
export function insertSteps(deps: Pick<Deps, 'store'>, steps: readonly StepRow[]): Query[] {
  return steps.map((step) =>
    deps.store.db
      .insertInto('steps')
      .values(step)
      .onConflict((conflict) =>
        conflict.columns(['kind', 'subject', 'connection', 'generation']).doNothing(),
      ),
  )
}

export const bellsOf = (steps: readonly StepRow[]): Bell[] =>
  steps.map((step) => ({ step: step.id, lane: step.lane, dueAt: step.due_at }))

/** A line on the call's timeline: one execution of a step, or a note. */
export function attemptRow(
  deps: Pick<Deps, 'now' | 'random'>,
  step: Pick<StepRow, 'id' | 'call_id' | 'connection' | 'kind'>,
  attempt: Pick<AttemptRow, 'outcome' | 'says'> & Partial<Pick<AttemptRow, 'code' | 'took_ms' | 'at'>>,
): AttemptRow {
  const now = deps.now()
  return {
    id: newId('att', now, deps.random),
    step_id: step.id,
    call_id: step.call_id,
    connection: step.connection,
    kind: step.kind,
    at: attempt.at ?? now,
    took_ms: attempt.took_ms ?? 0,
    outcome: attempt.outcome,
    code: attempt.code ?? null,
    says: attempt.says.slice(0, 1000),
  }
}

/** A note on the timeline, as a query for a step's batch. */
export function note(running: Running, says: string): Query {
  const { deps, step } = running
  return deps.store.db.insertInto('attempts').values(attemptRow(deps, step, { outcome: 'note', says }))
}

/** The connection of this id, or an error that parks the step until the configuration has it again. */
export function connectionOf(deps: Pick<Deps, 'config'>, id: string): Connection {
  const connection = deps.config.connections.get(id)
  if (connection) return connection
  throw new CordboardError('connection_gone', `The connection ${id} is not in the configuration`)
}

/** The flow a step was planned by, as it is configured today. */
export function flowOf(deps: Pick<Deps, 'config'>, name: string | null): Flow {
  const flow = deps.config.flows.find((candidate) => candidate.name === name)
  if (flow) return flow
  throw new CordboardError('flow_gone', `The flow ${name ?? 'of this step'} is not in the configuration`)
}
