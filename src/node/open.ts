import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../config/model.ts'
import { createMemoryBudgets } from '../connector/budgets.ts'
import { CordboardError } from '../errors.ts'
import type { ReadyPart } from '../http/health.ts'
import { openFolderMedia } from '../media/folder.ts'
import type { Media } from '../media/port.ts'
import type { Deps } from '../pipeline/deps.ts'
import { createRefusals } from '../pipeline/refusals.ts'
import { CORE_LANE } from '../pipeline/step.ts'
import { createTokens } from '../pipeline/tokens.ts'
import { createInProcessQueue } from '../queue/in-process.ts'
import type { Queue } from '../queue/port.ts'
import { createSilentQueue } from '../queue/silent.ts'
import type { Store } from '../store/port.ts'
import type { PostgresStore } from '../store/postgres.ts'
import { openSqliteStore, type SqliteStore } from '../store/sqlite.ts'
import { createMetrics } from '../telemetry/metrics.ts'
import { createConvert, findFfmpeg } from './convert.ts'
import { createHttpFetch } from './http-fetch.ts'
import { createLog } from './log.ts'
import { checkMediaHome } from './media-home.ts'
import { noticeRestored } from './notice-restored.ts'
import { EMBEDDED, type Services, secretsOfServices } from './services.ts'
import { createSigner } from './signer.ts'
import { createStoreClock } from './store-clock.ts'

export const STORE_FILE = 'cordboard.db'
const MEDIA_FOLDER = 'media'

export interface OpenOptions extends Partial<Omit<Deps, 'config'>> {
  config: Config
  /** Made when it is missing, readable by its owner only. Not touched when all servers are named. */
  dataDir: string
  /** Default: none, everything is in the data folder and in this process. */
  services?: Services
  /** False: this process only takes webhooks and answers questions. */
  works?: boolean
}

export interface OpenDeps extends Deps {
  /** Parts of /readyz beside store, queue and media. */
  ready(): Promise<readonly ReadyPart[]>
  close(): Promise<void>
}

/**
 * Everything the program needs: from the data folder, or from the servers that the environment names, whose drivers are
 * loaded only then.
 */
export async function openDeps(options: OpenOptions): Promise<OpenDeps> {
  const { config, services = EMBEDDED, works = true, random = Math.random } = options
  const log = options.log ?? createLog({ secrets: [...secretsIn(config), ...secretsOfServices(services)] })
  const closing: Array<() => Promise<unknown>> = []
  const close = async () => {
    // The last opened first; one that cannot be closed does not keep the others open.
    const ends = await Promise.allSettled(closing.reverse().map((end) => end()))
    for (const end of ends) if (end.status === 'rejected') throw end.reason
  }
  try {
    const http = options.http ?? createHttpFetch()
    const store = options.store ?? (await openStore(options, services))
    // Whoever opened it closes it: a store that was handed in stays open.
    if (!options.store) closing.push(() => store.close())
    const now = options.now ?? (await clockOf(store, services, closing))
    if (services.databaseUrl === null) {
      const ran = await store.migrate()
      if (ran.length > 0) log.debug('store migrated', { migrations: ran.join(', ') })
    }
    // Only by whoever goes to work: a copy that is looked at stays one.
    if (works) await noticeRestored(store, { now, log })
    const media = options.media ?? (await openMedia(options.dataDir, services, http))
    if (services.databaseUrl !== null) await checkMediaHome(store, media)
    const redis =
      services.redisUrl === null ? null : await openRedis(services.redisUrl, services, { now, log })
    if (redis) closing.push(async () => redis.close())
    const ffmpeg = findFfmpeg()
    const convert = options.convert ?? (ffmpeg === null ? undefined : createConvert({ path: ffmpeg }))
    const deps: Deps = {
      config,
      store,
      queue: options.queue ?? (await openQueue({ config, services, works, now, log })),
      media,
      http,
      signer: options.signer ?? createSigner(),
      ...(convert ? { convert } : {}),
      budgets: options.budgets ?? redis?.budgets ?? createMemoryBudgets({ now }),
      vendorTokens: options.vendorTokens ?? createTokens({ store, now, random, log }),
      now,
      random,
      log,
      metrics: options.metrics ?? createMetrics(),
      refusals: options.refusals ?? createRefusals({ store, now }),
    }
    return { ...deps, ready: async () => (redis ? [await redis.part()] : []), close }
  } catch (error) {
    await close().catch(() => undefined)
    throw error
  }
}

/** Of processes that share a database nobody's own clock counts. */
async function clockOf(store: Store, { databaseUrl }: Services, closing: Array<() => Promise<unknown>>) {
  if (databaseUrl === null) return Date.now
  const clock = await createStoreClock(store)
  closing.push(async () => clock.close())
  return clock.now
}

/** Refuses a database whose tables are not up to date: several processes share it. */
async function openStore({ dataDir, now }: OpenOptions, services: Services): Promise<Store> {
  // The store keeps its own time by itself; only an injected clock is handed on.
  const store = await openStoreAsItIs(services, dataDir, now === undefined ? {} : { clock: now })
  if (!('pending' in store)) return store
  try {
    const pending = await store.pending()
    if (pending.length === 0) return store
    throw new CordboardError('config', `The database lacks migrations: ${pending.join(', ')}`, {
      why: 'Several processes share it, so none of them changes its tables when it starts',
      fix: 'Run once: cordboard migrate',
    })
  } catch (error) {
    await store.close()
    throw error
  }
}

export async function openStoreAsItIs(
  { databaseUrl, maxConnections }: Services,
  dataDir: string,
  clock: { clock?: () => number } = {},
): Promise<SqliteStore | PostgresStore> {
  if (databaseUrl !== null) {
    const { openPostgresStore } = await import('../store/postgres.ts')
    return openPostgresStore({ url: databaseUrl, maxConnections, ...clock })
  }
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  return openSqliteStore({ file: join(dataDir, STORE_FILE), ...clock })
}

export async function openMedia(dataDir: string, { s3 }: Services, http: Deps['http']): Promise<Media> {
  if (s3 !== null) {
    const { openS3Media } = await import('../media/s3.ts')
    return openS3Media({ ...s3, http })
  }
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  return openFolderMedia(join(dataDir, MEDIA_FOLDER))
}

type QueueNeeds = Pick<Deps, 'config' | 'now' | 'log'> & { services: Services; works: boolean }

async function openQueue({ config, services, works, now, log }: QueueNeeds): Promise<Queue> {
  const { redisUrl, redisPrefix } = services
  if (redisUrl === null) return works ? createInProcessQueue({ now, log }) : createSilentQueue()
  const { createBullQueue } = await import('../queue/bullmq.ts')
  return createBullQueue({ redis: redisUrl, prefix: redisPrefix, lanes: lanesOf(config), now, log })
}

/** One lane per connection, and one for what talks to nobody. */
export function lanesOf(config: Config): string[] {
  return [CORE_LANE, ...config.connections.keys()]
}

/** Budgets that all processes share. */
async function openRedis(url: string, { redisPrefix }: Services, { now, log }: Pick<Deps, 'now' | 'log'>) {
  const [{ checkRedis, connectRedis }, { createRedisBudgets }] = await Promise.all([
    import('./redis.ts'),
    import('./redis-budgets.ts'),
  ])
  const redis = connectRedis({ url, log, role: 'commands' })
  return {
    budgets: createRedisBudgets({ redis, prefix: redisPrefix, now, log }),
    /** A Redis that is away stops nothing: webhooks are stored, and workers look for themselves. */
    async part(): Promise<ReadyPart> {
      const { says } = await checkRedis(redis)
      return { part: 'redis', ok: true, says }
    },
    close: () => redis.disconnect(),
  }
}

/** Every secret of every connection, for masking. */
export function secretsIn(config: Config): string[] {
  return [...new Set([...config.connections.values()].flatMap(({ secrets }) => secrets))]
}
