import type { D1Database } from '@cloudflare/workers-types'
import { toError } from './d1-errors.ts'
import { exchange } from './d1-exchange.ts'
import { d1Statements, missingFrom } from './migrations.ts'

/** As long as an index takes on a large table; D1 itself ends a statement after 30 s. */
const PATIENCE_MS = 60_000

/** Runs what has not run yet, each migration in one batch, and answers its names. `clock`: an expression, or an instant. */
export async function migrate(database: D1Database, clock: string): Promise<string[]> {
  const ran: string[] = []
  for (const migration of missingFrom(await migrationsOf(database))) {
    const statements = d1Statements(migration, clock).map((sql) => ({ sql, parameters: [] }))
    const reply = await exchange(database, statements, { now: Date.now, patienceMs: PATIENCE_MS })
    if ('rows' in reply) ran.push(migration.name)
    // Another one has run it meanwhile: its name is the first thing that is written.
    else if (reply.failed.kind !== 'unique') throw toError(reply.failed)
  }
  return ran
}

/** Those that have run; none on a new database. */
export async function migrationsOf(database: D1Database): Promise<Array<{ name?: unknown }>> {
  const read = async (sql: string) => {
    const statements = [{ sql, parameters: [] }]
    const reply = await exchange(database, statements, { now: Date.now, patienceMs: PATIENCE_MS })
    if ('failed' in reply) throw toError(reply.failed)
    return reply.rows[0] ?? []
  }
  const tables = await read(`select 1 from sqlite_master where type = 'table' and name = 'migrations'`)
  return tables.length === 0 ? [] : read('select name from migrations')
}
