import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import { SqliteDialect } from 'kysely'
import { CordboardError } from '../errors.ts'
import type { Bind } from './sqlite-protocol.ts'

const STATEMENTS_KEPT = 200

/**
 * Kysely's own SQLite dialect over a connection of node:sqlite that can only read. What writes goes through `atomic`.
 */
export function readingDialect(db: DatabaseSync): SqliteDialect {
  const prepared = new Map<string, { statement: StatementSync; reader: boolean }>()

  /** Preparing costs more than running: the pipeline's statements are few and come again and again. */
  function prepare(sql: string): { statement: StatementSync; reader: boolean } {
    // A transaction here would hold an old picture of the data for everyone who shares the connection.
    if (/^\s*(begin|savepoint)\b/i.test(sql)) throw misuse('Transactions are atomic() of the store')
    const statement = db.prepare(sql)
    const made = { statement, reader: statement.columns().length > 0 }
    // Lists of varying length make new statements for ever: the oldest goes.
    if (prepared.size >= STATEMENTS_KEPT) {
      const [oldest] = prepared.keys()
      if (oldest !== undefined) prepared.delete(oldest)
    }
    prepared.set(sql, made)
    return made
  }

  return new SqliteDialect({
    database: {
      close: () => db.close(),
      prepare(sql) {
        const { statement, reader } = prepared.get(sql) ?? prepare(sql)
        return {
          reader,
          all: (parameters) => statement.all(...(checkBinds(parameters) as SQLInputValue[])),
          run: (parameters) => statement.run(...(checkBinds(parameters) as SQLInputValue[])),
          iterate: (parameters) => statement.iterate(...(checkBinds(parameters) as SQLInputValue[])),
        }
      },
    },
  })
}

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

function kindOf(value: unknown): string {
  if (typeof value === 'number') return String(value)
  return typeof value === 'object' && value !== null ? (value.constructor?.name ?? 'object') : typeof value
}

function misuse(message: string): CordboardError {
  return new CordboardError('internal', message, { retry: 'never' })
}
