import type { D1Database } from '@cloudflare/workers-types'
import { Kysely, sql } from 'kysely'
import { CLOCK } from './binds.ts'
import { createIngest } from './d1-append.ts'
import { atomic } from './d1-atomic.ts'
import { readingDialect } from './d1-dialect.ts'
import { closed, overloaded, toError, unavailable } from './d1-errors.ts'
import { checkStatement, exchange, type Reply, type Statement } from './d1-exchange.ts'
import { migrate, migrationsOf } from './d1-migrate.ts'
import { D1_CLOCK, missingFrom } from './migrations.ts'
import type { Store } from './port.ts'
import type { Schema } from './schema.ts'
import { createTurns, within } from './turns.ts'

/**
 * The store on Cloudflare D1. It keeps nothing but what is under way and costs nothing to open: each invocation of the
 * Worker opens its own, because what one waits for may end with another one's request.
 *
 * D1 runs one request after the other, so that between a guard and the commit of its batch nobody else can commit. The
 * clock is that of the database, read by each statement.
 */
export interface D1Store extends Store {
  stats(): D1Stats
  /** Names of migrations that have not run yet. */
  pending(): Promise<string[]>
}

export interface D1Stats {
  /** Sent to D1 so far. The plan bounds them for each invocation. */
  requests: number
  members: number
  /** Not yet sent, and the bytes of the appends among them. */
  waiting: number
  waitingBytes: number
}

export interface D1Options {
  database: D1Database
  /** Appends that may wait to be sent, or other requests; beyond it, or beyond 16 MB of appends, they are refused at once. */
  maxWaiting?: number
  /** For tests. */
  clock?: () => number
}

const MAX_WAITING = 4_000
/** Vendors hang up after 3 s. */
const APPEND_MS = 2_500
const PATIENCE_MS = 15_000
const CHECK_MS = 4_000
/** Of the six connections that an invocation has, two are left to webhooks and to vendors. */
const AT_ONCE = 4

export function openD1Store({ database, maxWaiting = MAX_WAITING, clock }: D1Options): D1Store {
  const now = clock ?? Date.now
  const underWay = new Set<Promise<unknown>>()
  let requests = 0
  let members = 0
  let closing: Promise<void> | null = null

  const turns = createTurns({
    most: AT_ONCE,
    patienceMs: PATIENCE_MS,
    late: () => unavailable(`${AT_ONCE} requests took longer than ${PATIENCE_MS} ms`),
  })

  function send(statements: readonly Statement[], patienceMs: number): Promise<Reply> {
    requests += 1
    return exchange(database, statements, { now, patienceMs })
  }

  async function inTurn(statements: readonly Statement[]): Promise<Reply> {
    if (statements.length === 0) return { rows: [] }
    if (turns.waiting() >= maxWaiting) throw overloaded(`${maxWaiting} requests wait for it`)
    await turns.take()
    try {
      return await send(statements, PATIENCE_MS)
    } finally {
      turns.give()
    }
  }

  const ingest = createIngest((statements) => send(statements, APPEND_MS), maxWaiting)
  const db = new Kysely<Schema>({
    dialect: readingDialect(async (statement) => {
      checkStatement(statement)
      const reply = await inTurn([statement])
      if ('failed' in reply) throw toError(reply.failed)
      return reply.rows[0] ?? []
    }),
  })

  const store: D1Store = {
    dialect: 'd1',
    db,
    // Numbers are bound as floats.
    clock: clock === undefined ? sql<number>`${sql.raw(D1_CLOCK)}` : sql<number>`cast(${CLOCK} as integer)`,
    append: ingest.append,
    async atomic(guards, queries) {
      if (closing !== null) throw closed()
      members += 1
      const work = atomic(inTurn, clock === undefined ? D1_CLOCK : '?', guards, queries)
      underWay.add(work)
      return work.finally(() => underWay.delete(work))
    },
    async now() {
      const row = await db.selectNoFrom(store.clock.as('now')).executeTakeFirstOrThrow()
      return Number(row.now)
    },
    migrate: () => migrate(database, clock === undefined ? D1_CLOCK : String(Math.trunc(clock()))),
    async pending() {
      return missingFrom(await migrationsOf(database)).map(({ name }) => name)
    },
    /** A real commit: only that shows a database which is full. */
    async check() {
      const values = { name: 'store.check', value: 'ok', updated_at: store.clock }
      const write = db
        .insertInto('settings')
        .values(values)
        .onConflict((on) => on.column('name').doUpdateSet({ updated_at: store.clock }))
      await within(CHECK_MS, store.atomic([], [write]), () => unavailable(`no answer in ${CHECK_MS} ms`))
    },
    close() {
      closing ??= Promise.all([ingest.drain(), Promise.allSettled(underWay)]).then(() => undefined)
      return closing
    },
    stats() {
      const { members: appended, waiting, waitingBytes } = ingest.stats()
      return { requests, members: appended + members, waiting: waiting + turns.waiting(), waitingBytes }
    },
  }
  return store
}
