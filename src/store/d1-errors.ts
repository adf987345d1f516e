import { CordboardError } from '../errors.ts'

/** What D1 said. It has no codes: everything is in the message, SQLite's own code at its end. */
export interface Failure {
  says: string
  /** `fence`: a guard wrote its NULL. `own`: the statement's or its data's fault; the last two are the storage's. */
  kind: 'unique' | 'fence' | 'own' | 'overloaded' | 'away'
}

/** Messages about constraints and statements name tables and columns, never values. */
const KINDS: ReadonlyArray<[RegExp, Failure['kind']]> = [
  [/UNIQUE constraint failed: /, 'unique'],
  [/NOT NULL constraint failed: (?:steps|calls)\.fence\b/, 'fence'],
  [/\bSQLITE_(?:CONSTRAINT|ERROR|MISMATCH|TOOBIG|RANGE|AUTH)\b/, 'own'],
  [/^D1_(?:TYPE|EXEC)_ERROR\b/, 'own'],
  [/overloaded|too many (?:API )?requests/i, 'overloaded'],
]

const MOST_SAID = 200

export function toFailure(thrown: unknown): Failure {
  const message = thrown instanceof Error ? thrown.message : 'something that is no error was thrown'
  const kind = KINDS.find(([pattern]) => pattern.test(message))?.[1] ?? 'away'
  return { kind, says: message.replace(/^D1_ERROR: /, '').slice(0, MOST_SAID) }
}

export const isOwnFault = ({ kind }: Failure): boolean => kind !== 'overloaded' && kind !== 'away'

export function toError({ kind, says }: Failure): Error {
  if (kind === 'unique') return Object.assign(new Error(`A unique key exists: ${says}`), { code: 'UNIQUE' })
  if (kind === 'overloaded') return overloaded(says)
  if (kind === 'away') return unavailable(says)
  return new CordboardError('internal', `D1 refused a statement: ${says}`)
}

export function unavailable(why: string): CordboardError {
  return new CordboardError('storage_unavailable', 'D1 cannot take this right now', { why })
}

export function overloaded(why: string): CordboardError {
  return new CordboardError('overloaded', 'D1 has more to do than it can', { why })
}

export function closed(): CordboardError {
  return new CordboardError('storage_unavailable', 'The store is closed')
}
