import pg from 'pg'
import { CordboardError } from '../errors.ts'
import { forDialect, MIGRATIONS_TABLE, missingFrom } from './migrations.ts'
import { toError, toFailure } from './postgres-errors.ts'
import { CONNECT_MS } from './postgres-pool.ts'

/** Any number, the same in every version: processes that start at once migrate one after the other. */
const LOCK = 7_238_001_644

/** As long as an index takes on a large table. */
const PATIENCE_MS = 3_600_000

/** Runs what has not run yet, all or nothing, and answers its names. `now` is an expression. */
export async function migrate(url: string, now: string): Promise<string[]> {
  const client = createClient(url)
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query('begin')
    await client.query(`select pg_advisory_xact_lock(${LOCK})`)
    await refuseOtherEncodings(client)
    await client.query(forDialect(MIGRATIONS_TABLE, 'postgres'))
    const { rows } = await client.query<{ name: string }>('select name from migrations')
    const missing = missingFrom(rows)
    for (const { name, statements } of missing) {
      for (const statement of statements) await client.query(forDialect(statement, 'postgres'))
      await client.query(`insert into migrations (name, at) values ($1, ${now})`, [name])
    }
    await client.query('commit')
    return missing.map(({ name }) => name)
  } catch (error) {
    throw error instanceof CordboardError ? error : toError(toFailure(error))
  } finally {
    // What was not committed ends with the connection.
    await client.end().catch(() => undefined)
  }
}

function createClient(url: string): pg.Client {
  try {
    return new pg.Client({
      connectionString: url,
      application_name: 'cordboard',
      connectionTimeoutMillis: CONNECT_MS,
      statement_timeout: PATIENCE_MS,
      keepAlive: true,
    })
  } catch (error) {
    throw toError(toFailure(error))
  }
}

/** There a name with a letter that the encoding lacks could not be stored. */
async function refuseOtherEncodings(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ server_encoding: string }>('show server_encoding')
  const [encoding] = rows.map((row) => row.server_encoding)
  if (encoding === 'UTF8') return
  throw new CordboardError('config', `The database has the encoding ${encoding}`, {
    fix: "Create one with: create database cordboard encoding 'UTF8' template template0",
  })
}
