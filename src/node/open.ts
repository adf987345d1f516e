import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../config/model.ts'
import { createMemoryBudgets } from '../connector/budgets.ts'
import { openFolderMedia } from '../media/folder.ts'
import type { Deps } from '../pipeline/deps.ts'
import { createRefusals } from '../pipeline/refusals.ts'
import { createInProcessQueue } from '../queue/in-process.ts'
import { openSqliteStore } from '../store/sqlite.ts'
import { createMetrics } from '../telemetry/metrics.ts'
import { createHttpFetch } from './http-fetch.ts'
import { createLog } from './log.ts'
import { createSigner } from './signer.ts'

export const STORE_FILE = 'cordboard.db'
const MEDIA_FOLDER = 'media'

export interface OpenOptions extends Partial<Omit<Deps, 'config'>> {
  config: Config
  /** Made when it is missing, readable by its owner only. */
  dataDir: string
}

export type OpenDeps = Deps & { close(): Promise<void> }

/** Everything the program needs, embedded: SQLite and files in one folder, lanes in this process. */
export async function openDeps(options: OpenOptions): Promise<OpenDeps> {
  const { config, dataDir, now = Date.now, random = Math.random } = options
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const log = options.log ?? createLog({ secrets: secretsIn(config) })
  const store =
    options.store ?? (await openSqliteStore({ file: join(dataDir, STORE_FILE), ...clock(options) }))
  const ran = await store.migrate()
  if (ran.length > 0) log.debug('store migrated', { migrations: ran.join(', ') })
  const deps: Deps = {
    config,
    store,
    queue: options.queue ?? createInProcessQueue({ now, log }),
    media: options.media ?? (await openFolderMedia(join(dataDir, MEDIA_FOLDER))),
    http: options.http ?? createHttpFetch(),
    signer: options.signer ?? createSigner(),
    budgets: options.budgets ?? createMemoryBudgets({ now }),
    now,
    random,
    log,
    metrics: options.metrics ?? createMetrics(),
    refusals: options.refusals ?? createRefusals({ store, now }),
  }
  // Whoever opened it closes it: a store that was handed in stays open.
  return { ...deps, close: async () => (options.store ? undefined : store.close()) }
}

/** The store keeps the system's time by itself; only an injected clock is handed on. */
function clock({ now }: OpenOptions): { clock?: () => number } {
  return now === undefined ? {} : { clock: now }
}

/** Every secret of every connection, for masking. */
export function secretsIn(config: Config): string[] {
  return [...new Set([...config.connections.values()].flatMap(({ secrets }) => secrets))]
}
