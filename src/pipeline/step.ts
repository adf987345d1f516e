import { newId } from '../call/ids.ts'
import type { Connection, Flow } from '../config/model.ts'
import type { ConnectorContext } from '../connector/contract.ts'
import { CordboardError, type ErrorCode } from '../errors.ts'
import type { Bell } from '../queue/port.ts'
import type { Guard, Query, Rows } from '../store/port.ts'
import type { StepKind, StepRow } from '../store/schema.ts'
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
   * Ends the execution when the lease was lost; when only a further guard no longer holds, the step starts over.
   */
  commit(queries: readonly Query[], guards?: readonly Guard[]): Promise<Rows>
}

/** What is committed together with a step's end, or nothing is. */
export interface Follow {
  queries?: readonly Query[]
  /** When one no longer holds, the step is executed again: nothing irreversible may have happened in between. */
  guards?: readonly Guard[]
  /** Steps that follow; one that exists already stays as it is. */
  next?: readonly StepRow[]
  /** Steps that were made due by `queries`. */
  bells?: readonly Bell[]
}

/** What becomes of a step. */
export type Outcome = Follow &
  (
    | { done: string }
    /** Not yet: again at this time, and no attempt is used up. */
    | { again: number; says: string; code?: ErrorCode; awaiting?: string }
    /** It failed, and other work takes its place. An issue is opened. */
    | { passedOn: CordboardError; at?: string }
    /** It cannot go on by itself; the call needs attention, whatever else follows. An issue is opened. */
    | { dead: CordboardError; at?: string }
    /** Retried, parked or given up, as the error says. `at`: the connection that failed, when it is not the step's own. */
    | { failed: CordboardError; at?: string }
  )

/** What a step is made from; the rest follows from it. */
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

/** The bells that wake whoever takes these steps. */
export const bellsOf = (steps: readonly StepRow[]): Bell[] =>
  steps.map(({ id, lane, due_at, kind }) => ({ step: id, lane, dueAt: due_at, kind }))

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
