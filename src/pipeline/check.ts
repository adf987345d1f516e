import type { Connection } from '../config/model.ts'
import { createContext } from '../connector/context.ts'
import type { ConnectorContext } from '../connector/contract.ts'
import { CordboardError } from '../errors.ts'
import { type Breakers, needsCheck } from './breaker.ts'
import type { Deps } from './deps.ts'

const CHECK_TIMEOUT_MS = 15_000

/**
 * Asks connections that refused our credentials, or had no quota, whether they take us again. Apart from the sweep: one
 * that never answers holds up nothing but itself.
 */
export function createChecks(deps: Deps, breakers: Breakers): () => Promise<void> {
  const underWay = new Set<string>()
  return async function check() {
    const rows = await deps.store.db.selectFrom('breakers').selectAll().where('state', '=', 'open').execute()
    await Promise.all(
      rows.map(async (row) => {
        const connection = deps.config.connections.get(row.connection)
        const isDue = needsCheck(row) && (row.retry_at ?? 0) <= deps.now()
        if (!connection || !isDue || underWay.has(connection.id)) return
        underWay.add(connection.id)
        try {
          const isGood = await takesUs(deps, connection, row.code === 'quota')
          await deps.store.atomic(
            [],
            isGood ? breakers.checked(connection.id) : breakers.stillClosed(connection.id),
          )
          if (isGood) deps.queue.wake([{ step: '', lane: connection.id, dueAt: deps.now() }])
        } finally {
          underWay.delete(connection.id)
        }
      }),
    )
  }
}

async function takesUs(deps: Deps, connection: Connection, needsQuota: boolean): Promise<boolean> {
  const context: ConnectorContext = createContext({
    connection,
    publicUrl: deps.config.publicUrl,
    http: deps.http,
    budgets: deps.budgets,
    tokens: deps.vendorTokens,
    now: deps.now,
    random: deps.random,
    log: deps.log,
    signal: AbortSignal.timeout(CHECK_TIMEOUT_MS),
  })
  try {
    await connection.connector.check(context)
    const quota = needsQuota ? await connection.connector.analysis?.quota?.(context) : undefined
    return quota?.left == null || quota.left > (quota.reserve ?? 0)
  } catch (thrown) {
    // Not reachable is no news about the credentials: it is asked again later, for the same reason as before.
    const code = thrown instanceof CordboardError ? thrown.code : 'internal'
    deps.log.info('a connection still does not take us', { connection: connection.id, code })
    return false
  }
}
