import { newId } from '../call/ids.ts'
import type { Connection } from '../config/model.ts'
import { createContext, sleep } from '../connector/context.ts'
import type { Heard } from '../connector/contract.ts'
import { utf8 } from '../connector/encoding.ts'
import { asCordboardError, CordboardError } from '../errors.ts'
import type { SettingRow } from '../store/schema.ts'
import type { Deps } from './deps.ts'
import type { Told } from './listed.ts'
import { storeDelivery } from './store-delivery.ts'

/** Settings with this before their name are marks of streams. */
const STREAM = 'stream '

const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 60_000
/** What only a person can mend is not asked for every minute. */
const REFUSED_PAUSE_MS = 300_000

/**
 * Listens to a vendor's stream until the signal aborts. What it says is stored as a delivery, and only then the mark moves
 * on: whoever listens after a crash hears again what may not have been stored, and a delivery that is there already is no
 * second one. A stream that breaks off is opened again. Throws where it can never be opened: `config`, `bad_request`.
 */
export async function listen(deps: Deps, connection: Connection, signal: AbortSignal): Promise<void> {
  const { telephony } = connection.connector
  if (!telephony?.listen)
    throw new CordboardError('bad_request', `${connection.connector.name} has no stream to listen to`)
  const wait = deps.wait ?? sleep
  let pause = FIRST_PAUSE_MS
  const take = async (heard: Heard) => {
    signal.throwIfAborted()
    await store(deps, connection, heard)
    pause = FIRST_PAUSE_MS
  }
  while (!signal.aborted) {
    const error = await telephony
      .listen(await markOf(deps, connection.id), take, contextOf(deps, connection, signal))
      .catch((thrown: unknown) => asCordboardError(thrown))
    if (signal.aborted) return
    if (error.code === 'config' || error.code === 'bad_request') throw error
    const isRefused = error.code === 'auth' || error.code === 'forbidden' || error.code === 'rejected'
    const ms = isRefused ? REFUSED_PAUSE_MS : Math.round(pause * (0.5 + deps.random() / 2))
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS)
    deps.log.warn('the stream broke off', {
      connection: connection.id,
      code: error.code,
      says: error.message,
      againInMs: ms,
    })
    await wait(ms, signal).catch(() => undefined)
  }
}

async function store(deps: Deps, { id: connection }: Connection, { key, mark, says }: Heard): Promise<void> {
  if (!('ignored' in says)) {
    const { events, lookUp = [], changes = [] } = says
    const told: Told = { events, lookUp, changes }
    const receivedAt = deps.now()
    const path = `/v1/streams/${connection}`
    await storeDelivery(deps, {
      id: newId('dlv', receivedAt, deps.random),
      connection,
      role: 'list',
      receivedAt,
      method: 'GET',
      url: `${deps.config.publicUrl ?? 'http://localhost'}${path}`,
      path,
      headers: [['content-type', 'application/json']],
      body: utf8(JSON.stringify(told)),
      dedupeKey: `s:${key}`,
    })
  }
  const row: SettingRow = { name: STREAM + connection, value: mark, updated_at: deps.now() }
  const { name: _, ...update } = row
  const save = deps.store.db
    .insertInto('settings')
    .values(row)
    .onConflict((conflict) => conflict.column('name').doUpdateSet(update))
  await deps.store.atomic([], [save])
}

/** Behind what the stream goes on; null: it was never listened to. */
async function markOf({ store: { db } }: Pick<Deps, 'store'>, connection: string): Promise<string | null> {
  const row = await db
    .selectFrom('settings')
    .select('value')
    .where('name', '=', STREAM + connection)
    .executeTakeFirst()
  return row?.value ?? null
}

function contextOf(deps: Deps, connection: Connection, signal: AbortSignal) {
  return createContext({
    connection,
    publicUrl: deps.config.publicUrl,
    http: deps.http,
    budgets: deps.budgets,
    tokens: deps.vendorTokens,
    now: deps.now,
    random: deps.random,
    log: deps.log,
    signal,
    ...(deps.wait ? { wait: deps.wait } : {}),
  })
}
