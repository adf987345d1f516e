import type { StepKind } from '../store/schema.ts'

/**
 * The job queue port. The queue is a bell, not a memory: it carries ids and wakes whoever may work; what is due stands
 * in the store, and losing every message loses nothing, because the sweep rings again.
 */

/** "There may be work for this step": the only thing a queue ever carries. */
export interface Bell {
  step: string
  lane: string
  /** Milliseconds since 1970; past or now: at once. */
  dueAt: number
  /** Of the step, where it is known: a queue may keep apart what streams recordings. */
  kind?: StepKind
}

/** Of the steps of a lane: those that stream recordings (`submit`, `batch`), which take long, or all others. */
export type Share = 'recordings' | 'others'

/**
 * Claims up to `room` due steps of a lane from the store and starts them. Resolves as soon as they are claimed, with one
 * promise for each that settles (never rejects) when the step has finished, so that a slow step holds only its own
 * place. When it took `room` there may be more: the lane asks again at once. Fewer: the lane waits for the next bell.
 * Without a `share` it takes whatever is due.
 */
export type Take = (
  lane: string,
  room: number,
  signal: AbortSignal,
  share?: Share,
) => Promise<readonly Promise<void>[]>

export interface Queue {
  /** Best effort, never throws: a bell that is lost is rung again by the sweep. */
  wake(bells: readonly Bell[]): void
  /** Starts the lanes. `concurrency` is per lane and process. */
  work(take: Take, concurrency: (lane: string) => number): void
  /** No new steps; waits for those running up to `graceMs`, then aborts them. */
  stop(graceMs: number): Promise<void>
  /** For /readyz and metrics. */
  state(): { ok: boolean; says: string; running: number }
}
