import { Kysely, sql } from 'kysely'
import { CLOCK } from './binds.ts'
import { missingFrom } from './migrations.ts'
import type { Store } from './port.ts'
import { createIngest } from './postgres-append.ts'
import { createAtomics } from './postgres-atomic.ts'
import { readingDialect } from './postgres-dialect.ts'
import { unavailableAfter } from './postgres-errors.ts'
import { migrate } from './postgres-migrate.ts'
import { createPool, type PoolStats } from './postgres-pool.ts'
import type { Schema } from './schema.ts'

/**
 * The store on PostgreSQL, for several processes at once. Appends go in groups over two connections, guarded batches in
 * flights over three, the rest is for reading: each kind has its own, so that a slow list never delays a webhook.
 *
 * The clock is the server's (`clock_timestamp()`), the same for all processes. Nothing is kept between two round trips on
 * a connection but prepared statements: a pooler in between has to keep to sessions, or to know those.
 */
export interface PostgresStore extends Store {
  stats(): PostgresStats
  /** Names of migrations that have not run yet. */
  pending(): Promise<string[]>
}

export interface PostgresStats {
  /** Round trips that ended in a commit which was waited for. */
  commits: number
  members: number
  /** Members that are not yet sent, and the bytes of the appends among them. */
  waiting: number
  waitingBytes: number
  connections: { ingest: PoolStats; work: PoolStats; read: PoolStats }
}

export interface PostgresOptions {
  /** `postgres://…`; `sslmode` and its like as pg understands them. */
  url: string
  /** Connections of this process to the server. */
  maxConnections?: number
  statementTimeoutMs?: number
  /** Appends that may wait for a commit; beyond it, or beyond 64 MB of them, they are refused at once. */
  maxWaiting?: number
  /** For tests. */
  clock?: () => number
}

const MAX_CONNECTIONS = 10
const STATEMENT_TIMEOUT_MS = 15_000
const MAX_WAITING = 10_000
/** Vendors hang up after 3 s. The server gives up first, so that its connection can be kept. */
const INGEST_MS = 2_500
const AFTER_TIMEOUT_MS = 500
const CHECK_MS = 4_000
const INGEST_CONNECTIONS = 2
const WORK_CONNECTIONS = 3

const SERVER_CLOCK = 'floor(extract(epoch from clock_timestamp()) * 1000)::bigint'

export async function openPostgresStore(options: PostgresOptions): Promise<PostgresStore> {
  const { url, clock, maxWaiting = MAX_WAITING } = options
  const { maxConnections = MAX_CONNECTIONS, statementTimeoutMs = STATEMENT_TIMEOUT_MS } = options
  const ingestLanes = Math.max(1, Math.min(INGEST_CONNECTIONS, maxConnections - 2))
  const workLanes = Math.max(1, Math.min(WORK_CONNECTIONS, maxConnections - ingestLanes - 1))
  const readers = Math.max(1, maxConnections - ingestLanes - workLanes)
  const pool = (max: number, timeoutMs: number, isReader = false) =>
    createPool({
      url,
      max,
      statementTimeoutMs: timeoutMs,
      patienceMs: timeoutMs + AFTER_TIMEOUT_MS,
      isReader,
    })
  const ingestPool = pool(ingestLanes, Math.min(INGEST_MS, statementTimeoutMs))
  const workPool = pool(workLanes, statementTimeoutMs)
  const readPool = pool(readers, statementTimeoutMs, true)

  const now = clock ?? Date.now
  const ingest = createIngest(ingestPool, ingestLanes, maxWaiting)
  const atomics = createAtomics(workPool, workLanes, {
    clock: clock === undefined ? SERVER_CLOCK : '$3::bigint',
    now,
  })
  const db = new Kysely<Schema>({ dialect: readingDialect(readPool, now) })
  let closing: Promise<void> | null = null

  const store: PostgresStore = {
    dialect: 'postgres',
    db,
    // Read once per statement and known before its rows are: only then does an index serve a comparison with it.
    clock:
      clock === undefined ? sql<number>`(select ${sql.raw(SERVER_CLOCK)})` : sql<number>`${CLOCK}::bigint`,
    append: ingest.append,
    atomic: atomics.atomic,
    async now() {
      const row = await db.selectNoFrom(store.clock.as('now')).executeTakeFirstOrThrow()
      return Number(row.now)
    },
    migrate: () => migrate(url, clock === undefined ? SERVER_CLOCK : String(Math.trunc(clock()))),
    async pending() {
      const { rows } = await sql<{ has: unknown }>`select to_regclass('migrations') as has`.execute(db)
      const ran = rows[0]?.has == null ? [] : await db.selectFrom('migrations').select('name').execute()
      return missingFrom(ran).map(({ name }) => name)
    },
    /** A real commit: only that shows a disk which is full, or a server that only reads. */
    async check() {
      const values = { name: 'store.check', value: 'ok', updated_at: sql<number>`${store.clock}` }
      const write = db
        .insertInto('settings')
        .values(values)
        .onConflict((on) => on.column('name').doUpdateSet({ updated_at: store.clock }))
      await unavailableAfter(CHECK_MS, atomics.atomic([], [write]))
    },
    close() {
      closing ??= (async () => {
        await Promise.all([ingest.drain(), atomics.drain()])
        await Promise.all([ingestPool.end(), workPool.end(), readPool.end()])
      })()
      return closing
    },
    stats() {
      const [appended, committed] = [ingest.stats(), atomics.stats()]
      return {
        commits: appended.commits + committed.commits,
        members: appended.members + committed.members,
        waiting: appended.waiting + committed.waiting,
        waitingBytes: appended.waitingBytes,
        connections: { ingest: ingestPool.stats(), work: workPool.stats(), read: readPool.stats() },
      }
    },
  }
  return store
}
