import { PostgresDialect } from 'kysely'
import { misuse } from './binds.ts'
import { isAgain, NO_ANSWER, READ_ONLY, toError } from './postgres-errors.ts'
import { type Pool, statement } from './postgres-pool.ts'

/** Each connection may have prepared the statement before a migration. */
const TRIES = 10

/**
 * Kysely's own PostgreSQL dialect for reading. What stands for a connection takes a real one for each query only:
 * everything that is written goes through `atomic`.
 */
export function readingDialect(pool: Pool, now: () => number): PostgresDialect {
  const client = {
    async query(sql: string, parameters: readonly unknown[]) {
      // A transaction here would be one of other people's queries as well.
      if (/^\s*(begin|start|savepoint)\b/i.test(sql)) throw misuse('Transactions are atomic() of the store')
      for (let tries = TRIES; ; tries -= 1) {
        const [reply] = await pool.run([[statement(sql, parameters, now)]])
        if (reply !== undefined && 'rows' in reply) {
          const rows = reply.rows[0] ?? []
          return { command: 'SELECT' as const, rowCount: rows.length, rows }
        }
        const failed = reply?.failed ?? NO_ANSWER
        if (failed.state === READ_ONLY) throw misuse('Writes are atomic() of the store: db is read-only')
        if (tries === 1 || !isAgain(failed)) throw toError(failed)
      }
    },
    release() {},
  }
  return new PostgresDialect({
    pool: { connect: () => Promise.resolve(client), end: () => pool.end(), options: {} },
  } as unknown as ConstructorParameters<typeof PostgresDialect>[0])
}
