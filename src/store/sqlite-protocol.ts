/** What the two ends of the writer thread say to each other: sqlite.ts on the main thread, sqlite-writer.ts on its own. */
import type { Bind } from './binds.ts'
import type { Guard } from './port.ts'

export type Row = Record<string, unknown>

/** `sql` counts in the texts that the writer has learnt (`Batch.learn`): a text crosses over once, not with every use. */
export interface Statement {
  sql: number
  binds: readonly Bind[]
}

/**
 * Appends travel flat: per append the values of DELIVERY_COLUMNS, the lengths of headers and body (-1: none), the values
 * of STEP_COLUMNS; all bytes lie one after the other in `bytes`, which is handed over, not copied. Against plain objects
 * this takes 1.2 instead of 1.7 µs per append off the main thread, and a Buffer of Node's pool does not drag the
 * whole pool along.
 */
export interface Batch {
  kind: 'batch'
  /** The injected clock of tests; null: this machine's. */
  now: number | null
  appends: ReadonlyArray<string | number | null>
  bytes: Uint8Array
  atomics: ReadonlyArray<{ guards: readonly Guard[]; statements: readonly Statement[] }>
  /** Texts that are new, to be kept from place `from` on; 0 begins anew. */
  learn: { from: number; texts: readonly string[] }
}

export type Job = Batch | { kind: 'migrate'; now: number | null } | { kind: 'close' }

/** One member's failure; `unique` when a unique key already exists. */
export interface Failure {
  failed: string
  unique: boolean
}

export interface BatchAnswer {
  /** Per append: 0 when it was stored, else the stored one it repeats, or why it failed. */
  appends: Array<0 | { id: string; repeats: number } | Failure>
  atomics: Array<Row[][] | 'lost' | Failure>
}

/** `down`: the storage refused, nothing of the job persists. */
export type Answer = { batch: BatchAnswer } | { migrated: string[] } | { done: true } | { down: string }

export interface WriterOptions {
  file: string
  busyMs: number
}
