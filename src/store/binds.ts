import { CordboardError } from '../errors.ts'
import type { Append } from './port.ts'
import type { DeliveryRow, StepRow } from './schema.ts'

// What may be bound to a statement, alike for all databases, and which columns an append binds.

export type Bind = string | number | bigint | null | Uint8Array

/** Stands for an injected clock among the parameters of a statement, until it is sent. */
export const CLOCK = { clock: 'of the store' }

/** The columns of a delivery but for the two of bytes. */
export const DELIVERY_COLUMNS = [
  'id',
  'connection',
  'role',
  'received_at',
  'method',
  'url',
  'path',
  'media_id',
  'bytes',
  'dedupe_key',
  'repeats',
  'state',
  'reason',
] as const satisfies ReadonlyArray<keyof DeliveryRow>

export const STEP_COLUMNS = [
  'id',
  'kind',
  'lane',
  'subject',
  'call_id',
  'connection',
  'generation',
  'flow',
  'flow_version',
  'state',
  'due_at',
  'attempts',
  'crashes',
  'lease',
  'lease_until',
  'code',
  'reason',
  'awaiting',
  'created_at',
  'updated_at',
  'fence',
] as const satisfies ReadonlyArray<keyof StepRow>

/**
 * Only what all three databases bind alike. node:sqlite takes a Date for named parameters and an UPDATE then silently
 * hits nothing; `undefined` is NULL on one Node and an error on another; PostgreSQL refuses a boolean for an integer.
 */
export function checkBinds(values: readonly unknown[]): readonly Bind[] {
  for (const [at, value] of values.entries()) {
    if (!isBind(value)) {
      throw misuse(
        `Parameter ${at + 1} is ${kindOf(value)}: only text, finite numbers, bigint, null and Uint8Array can be bound`,
      )
    }
  }
  return values as readonly Bind[]
}

export function isBind(value: unknown): value is Bind {
  return (
    typeof value === 'string' ||
    value === null ||
    (typeof value === 'number' && Number.isFinite(value)) ||
    typeof value === 'bigint' ||
    value instanceof Uint8Array
  )
}

/** What is wrong with an append, before it joins a group; null when it can be bound. */
export function badAppend({ delivery, step }: Append): CordboardError | null {
  for (const column of DELIVERY_COLUMNS) if (!isBind(delivery[column])) return misfit('deliveries', column)
  for (const column of STEP_COLUMNS) if (!isBind(step[column])) return misfit('steps', column)
  if (!(delivery.headers instanceof Uint8Array)) return misfit('deliveries', 'headers')
  if (delivery.body !== null && !(delivery.body instanceof Uint8Array)) return misfit('deliveries', 'body')
  return null
}

/** A mistake of ours: no other try makes it good. */
export function misuse(message: string): CordboardError {
  return new CordboardError('internal', message, { retry: 'never' })
}

function misfit(table: string, column: string): CordboardError {
  return misuse(`${table}.${column} holds a value that cannot be bound`)
}

function kindOf(value: unknown): string {
  if (typeof value === 'number') return String(value)
  return typeof value === 'object' && value !== null ? (value.constructor?.name ?? 'object') : typeof value
}
