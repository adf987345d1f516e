import type { CordboardError, ErrorCode } from '../errors.ts'
import type { Query } from '../store/port.ts'
import type { BreakerRow } from '../store/schema.ts'
import type { Deps } from './deps.ts'
import { openIssue, resolveIssues } from './issues.ts'

/**
 * One breaker per connection. Wrong credentials and an empty quota open it at once: its steps wait instead of burning
 * attempts until a check succeeds. A vendor that is down opens it after several failures in a row: then one step at a
 * time is let through to try.
 */

/** Failures in a row of a vendor that is down. */
const PATIENCE = 5
const FIRST_PAUSE_MS = 15_000
const LONGEST_PAUSE_MS = 300_000
/** Wrong credentials and empty quotas are checked this often. */
const CHECK_PAUSE_MS = 60_000

/** Codes that only a successful `check` closes. */
const NEEDS_CHECK: ReadonlySet<string> = new Set(['auth', 'quota'] satisfies ErrorCode[])

export const needsCheck = (row: Pick<BreakerRow, 'code'>) => row.code !== null && NEEDS_CHECK.has(row.code)

/** Breakers as this worker knows them; the store has the truth, `refresh` reads it (with every sweep). */
export function createBreakers(deps: Pick<Deps, 'store' | 'now' | 'random' | 'log'>) {
  let rows = new Map<string, BreakerRow>()

  const save = (row: BreakerRow): Query => {
    rows.set(row.connection, row)
    const { connection: _, ...update } = row
    return deps.store.db
      .insertInto('breakers')
      .values(row)
      .onConflict((conflict) => conflict.column('connection').doUpdateSet(update))
  }

  return {
    async refresh(): Promise<BreakerRow[]> {
      const read = await deps.store.db.selectFrom('breakers').selectAll().execute()
      rows = new Map(read.map((row) => [row.connection, row]))
      return read
    },

    /** How many steps of a lane may start now: all, one to try with, or none until `at`. */
    room(lane: string, wanted: number): { room: number; at: number | null } {
      const row = rows.get(lane)
      if (row?.state !== 'open') return { room: wanted, at: null }
      const retryAt = row.retry_at ?? deps.now()
      if (needsCheck(row) || retryAt > deps.now()) return { room: 0, at: needsCheck(row) ? null : retryAt }
      // Half open: nobody else tries until this one has had time to answer.
      rows.set(lane, { ...row, retry_at: deps.now() + FIRST_PAUSE_MS })
      return { room: Math.min(1, wanted), at: null }
    },

    /** A step of the connection went well. Queries only when something changes. */
    succeeded(connection: string): Query[] {
      const row = rows.get(connection)
      if (!row || (row.state === 'closed' && row.failures === 0)) return []
      const closed = save({
        ...row,
        state: 'closed',
        code: null,
        says: null,
        failures: 0,
        opened_at: null,
        retry_at: null,
      })
      if (row.state === 'closed') return [closed]
      deps.log.info('breaker closed', { connection })
      return [
        closed,
        ...wakeParked(deps, connection),
        resolveIssues(deps, connection, ['auth', 'quota', 'vendor_down', 'timeout']),
      ]
    },

    /** A step of the connection failed with this error. */
    failed(connection: string, error: CordboardError): Query[] {
      const trips = NEEDS_CHECK.has(error.code)
      if (!trips && error.code !== 'vendor_down' && error.code !== 'timeout') return []
      const row = rows.get(connection)
      const failures = (row?.failures ?? 0) + 1
      const opens = trips || failures >= PATIENCE
      const now = deps.now()
      const pause = trips
        ? CHECK_PAUSE_MS
        : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.max(0, failures - PATIENCE))
      const next: BreakerRow = {
        connection,
        state: opens ? 'open' : 'closed',
        code: error.code,
        says: error.message.slice(0, 500),
        failures,
        opened_at: opens ? (row?.opened_at ?? now) : null,
        retry_at: opens ? now + pause : null,
      }
      if (!opens || row?.state === 'open') return [save(next)]
      deps.log.warn('breaker opened', { connection, code: error.code, failures })
      return [save(next), openIssue(deps, { kind: 'connection', connection }, error)]
    },
  }
}

export type Breakers = ReturnType<typeof createBreakers>

/** Steps that parked because of the connection go on. */
export function wakeParked(deps: Pick<Deps, 'store' | 'now'>, connection: string): Query[] {
  const now = deps.now()
  return [
    deps.store.db
      .updateTable('steps')
      .set({ state: 'waiting', due_at: now, code: null, reason: null, updated_at: now })
      .where('connection', '=', connection)
      .where('state', '=', 'parked')
      .where('code', 'in', [...NEEDS_CHECK]),
  ]
}
