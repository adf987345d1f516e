import { CordboardError } from '../errors.ts'
import { within } from './turns.ts'

/**
 * What PostgreSQL said, without what it quotes: messages, `detail` and `where` of its errors can hold values of rows
 * (phone numbers, transcripts), so only the code and names of the schema go on.
 */
export interface Failure {
  /** SQLSTATE; null when the connection broke before the server could say anything. */
  state: string | null
  says: string
  /** Its connection is over. */
  isFatal: boolean
  /** It was given up because nothing came any more. */
  isSilent?: true
}

export const NO_ANSWER: Failure = { state: null, says: 'no answer came', isFatal: true, isSilent: true }

/** Classes whose messages name tables, roles and limits, never values. */
const TELLS: ReadonlySet<string> = new Set(['08', '25', '28', '3D', '42', '53', '55', '57', '58'])

/** Classes that are one member's own fault: its data, its statement, a limit it ran into. */
const OWN_FAULT: ReadonlySet<string> = new Set(['0A', '21', '22', '23', '42', '44', '54'])

const UNIQUE = '23505'
export const READ_ONLY = '25006'
export const DIVISION_BY_ZERO = '22012'
/** A statement prepared before a migration that changed what it answers: a new connection prepares it anew. */
const STALE_PLAN = '0A000'
/** Serialization, deadlock: the same again may go well. */
const AGAIN: ReadonlySet<string> = new Set(['40001', '40P01', STALE_PLAN])

export const isAgain = ({ state }: Failure): boolean => state !== null && AGAIN.has(state)
export const isOwnFault = ({ state }: Failure): boolean => state !== null && OWN_FAULT.has(state.slice(0, 2))

export function toFailure(error: unknown): Failure {
  if (!(error instanceof Error)) return { state: null, says: 'the connection broke', isFatal: true }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  // Errors of the server have a severity; those of the socket a code such as ECONNREFUSED.
  if (!('severity' in error)) return { state: null, says: code === '' ? error.message : code, isFatal: true }
  const names = ['constraint', 'table', 'column'].flatMap((key) => {
    const name = (error as unknown as Record<string, unknown>)[key]
    return typeof name === 'string' ? [name] : []
  })
  const says = TELLS.has(code.slice(0, 2)) ? error.message : names.slice(0, 1).join()
  const isFatal = error.severity === 'FATAL' || error.severity === 'PANIC' || code === STALE_PLAN
  return { state: code, says: says === '' ? code : `${says} (${code})`, isFatal }
}

export function toError(failure: Failure): Error {
  const { state, says } = failure
  if (state === UNIQUE) return Object.assign(new Error(`A unique key exists: ${says}`), { code: 'UNIQUE' })
  if (isOwnFault(failure)) return new CordboardError('internal', `PostgreSQL refused a statement: ${says}`)
  return unavailable(says)
}

export function unavailable(why: string): CordboardError {
  return new CordboardError('storage_unavailable', 'PostgreSQL cannot take this right now', { why })
}

export function closed(): CordboardError {
  return new CordboardError('storage_unavailable', 'The store is closed')
}

export function unavailableAfter<T>(ms: number, work: Promise<T>): Promise<T> {
  return within(ms, work, () => unavailable(`no answer in ${ms} ms`))
}
