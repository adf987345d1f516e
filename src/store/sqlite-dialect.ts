import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import { SqliteDialect } from 'kysely'
import { checkBinds, misuse } from './binds.ts'

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
