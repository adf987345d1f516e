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
export const NEEDS_CHECK: ReadonlySet<string> = new Set(['auth', 'quota'] satisfies ErrorCode[])
const DOWN: ReadonlySet<string> = new Set(['vendor_down', 'timeout'] satisfies ErrorCode[])

/** Whether it is closed by a good check, and not by a step that tries. */
export const needsCheck = (row: Pick<BreakerRow, 'state' | 'code'>) =>
  row.state === 'open' && row.code !== null && NEEDS_CHECK.has(row.code)

/** Breakers as this worker knows them; the store has the truth, `refresh` reads it (with every sweep). */
export function createBreakers(deps: Pick<Deps, 'store' | 'now' | 'random' | 'log' | 'config'>) {
  let rows = new Map<string, BreakerRow>()
  /** Lanes where a step of ours tries whether the vendor is back, and until when nobody else does. */
  const tries = new Map<string, number>()

  const save = (row: BreakerRow): Query => {
    rows.set(row.connection, row)
    const { connection: _, ...update } = row
    return deps.store.db
      .insertInto('breakers')
      .values(row)
      .onConflict((conflict) => conflict.column('connection').doUpdateSet(update))
  }

  const close = (row: BreakerRow): Query[] => {
    tries.delete(row.connection)
    const nothing = { code: null, says: null, failures: 0, opened_at: null, retry_at: null }
    const closed = save({ connection: row.connection, state: 'closed', ...nothing })
    if (row.state === 'closed') return [closed]
    deps.log.info('breaker closed', { connection: row.connection })
    return [closed, resolveIssues(deps, row.connection, ['auth', 'quota', 'vendor_down', 'timeout'])]
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
      // Steps of a connection that is no longer configured are let through, to be parked for that.
      if (row?.state !== 'open' || !deps.config.connections.has(lane)) return { room: wanted, at: null }
      if (needsCheck(row)) return { room: staysOpenFor(row) ? wanted : 0, at: null }
      const retryAt = row.retry_at ?? deps.now()
      const tryUntil = tries.get(lane) ?? 0
      const at = Math.max(retryAt, tryUntil)
      if (at > deps.now()) return { room: 0, at }
      // Half open: nobody else tries until this one has had time to answer.
      tries.set(lane, deps.now() + FIRST_PAUSE_MS)
      return { room: Math.min(1, wanted), at: null }
    },

    /** The connection answered a step as it should. Queries only when that changes something. */
    succeeded(connection: string): Query[] {
      const row = rows.get(connection)
      if (!row || needsCheck(row) || (row.state === 'closed' && row.failures === 0)) return []
      return close(row)
    },

    /** The connection took our credentials again, or has quota again. Parked steps go on with the next sweep. */
    checked(connection: string): Query[] {
      const row = rows.get(connection)
      return row ? close(row) : []
    },

    /** It still does not: the next check is due in a while. */
    stillClosed(connection: string): Query[] {
      const row = rows.get(connection)
      return row ? [save({ ...row, failures: row.failures + 1, retry_at: deps.now() + CHECK_PAUSE_MS })] : []
    },

    /** A step of the connection failed with this error. */
    failed(connection: string, error: CordboardError): Query[] {
      const trips = NEEDS_CHECK.has(error.code)
      if (!deps.config.connections.has(connection) || !(trips || DOWN.has(error.code))) return []
      const row = rows.get(connection)
      // What it waits for stays the same: only a check ends it, whatever else goes wrong meanwhile.
      if (row && needsCheck(row)) return []
      // Only the step that tried shows that the vendor is still down. Those that were under way when it opened fail with
      // the same moment, and would make five minutes of a pause of seconds.
      if (row?.state === 'open' && !trips && !tries.delete(connection)) return []
      const failures = (row?.failures ?? 0) + 1
      const now = deps.now()
      const opens = trips || row?.state === 'open' || failures >= PATIENCE
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
      if (!opens || (row?.state === 'open' && !trips)) return [save(next)]
      deps.log.warn('breaker opened', { connection, code: error.code, failures })
      return [save(next), openIssue(deps, { kind: 'connection', connection }, error)]
    },
  }

  /** Without quota an analysis service takes no calls, but what it has already been paid for is still fetched. */
  function staysOpenFor({ connection, code }: BreakerRow): boolean {
    return code === 'quota' && deps.config.connections.get(connection)?.connector.analysis !== undefined
  }
}

/** What a worker knows of its connections’ breakers. */
export type Breakers = ReturnType<typeof createBreakers>
