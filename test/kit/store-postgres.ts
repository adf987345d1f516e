import { sql } from 'kysely'
import pg from 'pg'
import type { Query } from '../../src/store/port.ts'
import { openPostgresStore, type PostgresOptions, type PostgresStore } from '../../src/store/postgres.ts'
import { freshDatabase } from '../services/postgres.ts'
import { NOW } from './rows.ts'

/** What the tests of the PostgreSQL store open, and close again. */

/** A store in a database of its own, migrated. */
export async function openTemp(options: Omit<PostgresOptions, 'url'> = {}) {
  const { url, drop } = await freshDatabase()
  let store = await openPostgresStore({ url, ...options })
  await store.migrate()
  return {
    url,
    store,
    commits: () => store.stats().commits,
    async reopen(): Promise<PostgresStore> {
      await store.close()
      store = await openPostgresStore({ url, ...options })
      return store
    },
    async drop() {
      await store.close()
      await drop()
    },
  }
}

/** Keeps what is opened, for `afterEach`. */
export function createTemps() {
  let dropping: Array<() => Promise<unknown>> = []
  const keep = (drop: () => Promise<unknown>) => dropping.push(drop)
  return {
    keep,
    async drop() {
      for (const drop of dropping.reverse()) await drop()
      dropping = []
    },
    async temp(options: Omit<PostgresOptions, 'url'> = {}) {
      const opened = await openTemp(options)
      keep(opened.drop)
      return opened
    },
    /** A database without tables. */
    async empty(): Promise<string> {
      const { url, drop } = await freshDatabase()
      keep(drop)
      return url
    },
    async open(url: string, options: Omit<PostgresOptions, 'url'> = {}): Promise<PostgresStore> {
      const store = await openPostgresStore({ url, ...options })
      keep(() => store.close())
      return store
    },
    /** A connection that is not the store's. */
    async besides(url: string): Promise<pg.Client> {
      const client = new pg.Client({ connectionString: url })
      client.on('error', () => undefined)
      await client.connect()
      keep(() => client.end().catch(() => undefined))
      return client
    },
  }
}

export const raw = (store: PostgresStore, text: string): Query => ({
  compile: () => sql.raw(text).compile(store.db),
})
export const setting = (store: PostgresStore, name: string): Query =>
  store.db.insertInto('settings').values({ name, value: 'x', updated_at: NOW })
