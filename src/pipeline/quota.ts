import { createContext } from '../connector/context.ts'
import { asCordboardError, CordboardError } from '../errors.ts'
import { type Breakers, needsCheck } from './breaker.ts'
import type { Deps } from './deps.ts'

/** How often each analysis service is asked, by whichever worker comes first. */
const EVERY_MS = 60_000
const TIMEOUT_MS = 15_000
const PREFIX = 'quota:'

/** What a service had left when it was last asked. */
export interface QuotaLeft {
  connection: string
  left: number
  unit: string
}

/**
 * Asks analysis services what is left, so that people see it, and a connection parks before its service refuses anything:
 * once there is no more than its reserve. `check` finds out when there is more again.
 */
export function createQuotaWatch(deps: Deps, breakers: Breakers): () => Promise<void> {
  const underWay = new Set<string>()
  return async function watchQuotas() {
    const open = new Set((await breakers.refresh()).filter(needsCheck).map(({ connection }) => connection))
    const asked = [...deps.config.connections.values()].filter(
      ({ id, connector }) => connector.analysis?.quota && !open.has(id) && !underWay.has(id),
    )
    await Promise.all(
      asked.map(async ({ id }) => {
        underWay.add(id)
        try {
          if (await isTurn(deps, id)) await look(deps, breakers, id)
        } finally {
          underWay.delete(id)
        }
      }),
    )
  }
}

async function look(deps: Deps, breakers: Breakers, id: string): Promise<void> {
  const connection = deps.config.connections.get(id)
  if (!connection) return
  const context = createContext({
    connection,
    publicUrl: deps.config.publicUrl,
    http: deps.http,
    budgets: deps.budgets,
    tokens: deps.vendorTokens,
    now: deps.now,
    random: deps.random,
    log: deps.log,
    signal: AbortSignal.timeout(TIMEOUT_MS),
  })
  try {
    const quota = await connection.connector.analysis?.quota?.(context)
    if (quota?.left == null) return
    const { left, unit, reserve = 0 } = quota
    await deps.store.atomic([], [remember(deps, id, { left, unit })])
    if (left > reserve) return
    const error = new CordboardError('quota', `${left} ${unit} are left, ${reserve} are to stay`, {
      fix: 'Buy quota, or lower the reserve of the connection; parked steps then go on by themselves',
    })
    await deps.store.atomic([], breakers.failed(id, error))
  } catch (thrown) {
    // A service that does not answer is the business of the steps that need it.
    const { code } = asCordboardError(thrown)
    deps.log.info('a service does not say what is left', { connection: id, code })
  }
}

/** What a `setting` of this name says, and when it was written, is shared by all workers. */
function remember({ store, now }: Deps, connection: string, value: object | null) {
  const row = { value: JSON.stringify(value), updated_at: now() }
  return store.db
    .insertInto('settings')
    .values({ name: PREFIX + connection, ...row })
    .onConflict((conflict) =>
      // A turn keeps what is known.
      conflict.column('name').doUpdateSet(value === null ? { updated_at: row.updated_at } : row),
    )
}

/** Several workers ask no more often than one. Should two ask at once, the service is asked once more than needed. */
async function isTurn(deps: Deps, connection: string): Promise<boolean> {
  const row = await deps.store.db
    .selectFrom('settings')
    .select('updated_at')
    .where('name', '=', PREFIX + connection)
    .executeTakeFirst()
  if (row && deps.now() - Number(row.updated_at) < EVERY_MS) return false
  await deps.store.atomic([], [remember(deps, connection, null)])
  return true
}

/** What was last heard of every configured service. */
export async function quotasLeft({ store, config }: Pick<Deps, 'store' | 'config'>): Promise<QuotaLeft[]> {
  const rows = await store.db
    .selectFrom('settings')
    .select(['name', 'value'])
    .where('name', 'like', `${PREFIX}%`)
    .execute()
  return rows.flatMap(({ name, value }) => {
    const connection = name.slice(PREFIX.length)
    const known = JSON.parse(value) as Omit<QuotaLeft, 'connection'> | null
    return known && config.connections.has(connection) ? [{ connection, ...known }] : []
  })
}
