import type { Compilable, Kysely, RawBuilder } from 'kysely'
import type { DeliveryRow, Schema, StepRow } from './schema.ts'

/**
 * The store port. Kysely is the query language; this adds what the three databases do differently: durable appends in
 * groups, guarded batches, the store's own clock. Every driver passes test/kit/store.ts against the real database.
 */

/** A delivery and the step that will read it: stored together or not at all. */
export interface Append {
  delivery: DeliveryRow
  step: StepRow
}

/** `repeats` is 0 for a first delivery, else how often the same one came again; then nothing was stored. */
export interface Appended {
  id: string
  repeats: number
}

/**
 * What must still hold when a batch commits. If it does not, nothing of the batch persists and `atomic` answers `lost`.
 * A step's lease is judged by the store's clock.
 */
export type Guard = { step: string; lease: string } | { call: string; version: number }

export type Query = Compilable
export type Rows = ReadonlyArray<ReadonlyArray<Record<string, unknown>>>

export interface Store {
  readonly dialect: 'sqlite' | 'postgres' | 'd1'
  /** For reading. Writes go through `atomic`, so that they are grouped and guarded. */
  readonly db: Kysely<Schema>
  /**
   * Resolves after the commit is durable. Appends that arrive while the last commit runs share the next one; a bad member
   * fails alone. Rejects with `storage_unavailable`, or `overloaded` when too many wait.
   */
  append(entry: Append): Promise<Appended>
  /**
   * All queries in one transaction, in order, or none. Answers the rows each returned (RETURNING), or `lost` when a
   * guard no longer holds. Other errors (a unique key, the disk) reject.
   */
  atomic(guards: readonly Guard[], queries: readonly Query[]): Promise<Rows | 'lost'>
  /** The store's clock, in ms since 1970, as an expression for queries. */
  readonly clock: RawBuilder<number>
  /** The same, read once. */
  now(): Promise<number>
  /** Creates or updates the tables; safe to call from several processes at once. Answers the migrations it ran. */
  migrate(): Promise<string[]>
  /** Cheap: can it be written to? Rejects with the reason. */
  check(): Promise<void>
  /** Finishes what was accepted, then closes. */
  close(): Promise<void>
}

/** True when the error says that a unique key already exists. Drivers set `code` `UNIQUE` on such errors. */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'UNIQUE'
}
