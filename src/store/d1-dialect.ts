import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  SqliteAdapter,
  SqliteQueryCompiler,
} from 'kysely'
import { misuse } from './binds.ts'
import type { Row, Statement } from './d1-exchange.ts'

/** Kysely over D1, for reading: SQLite's compiler, and no connection, for D1 has none. Everything that is written goes through `atomic`. */
export function readingDialect(read: (statement: Statement) => Promise<Row[]>): Dialect {
  const connection: DatabaseConnection = {
    async executeQuery<R>(query: CompiledQuery) {
      if (!isReading(query)) throw misuse('Writes are atomic() of the store: db is read-only')
      return { rows: (await read(query)) as R[] }
    },
    // biome-ignore lint/correctness/useYield: there is nothing to stream, D1 answers all rows at once
    async *streamQuery() {
      throw misuse('D1 does not stream rows: page through them')
    },
  }
  const noTransaction = () => Promise.reject(misuse('Transactions are atomic() of the store'))
  return {
    createAdapter: () => new SqliteAdapter(),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createDriver: () => ({
      init: () => Promise.resolve(),
      acquireConnection: () => Promise.resolve(connection),
      beginTransaction: noTransaction,
      commitTransaction: noTransaction,
      rollbackTransaction: noTransaction,
      releaseConnection: () => Promise.resolve(),
      destroy: () => Promise.resolve(),
    }),
    createIntrospector() {
      throw misuse('D1 forbids what introspection needs: migrations are plain statements')
    },
  }
}

/** D1 has no connection that can only read. */
function isReading({ query, sql }: CompiledQuery): boolean {
  return query.kind === 'RawNode' ? /^\s*(?:select|explain)\b/i.test(sql) : query.kind === 'SelectQueryNode'
}
