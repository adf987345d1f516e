import { Hono } from 'hono'
import { createApp } from '../app.ts'
import type { Token } from '../http/auth.ts'
import type { Deps } from '../pipeline/deps.ts'
import { createWorker, type Worker, type WorkOptions } from '../pipeline/work.ts'
import { listen } from './listen.ts'
import { lockDataDir, type ServerLock } from './lock.ts'
import { lanesOf, type OpenOptions, openDeps } from './open.ts'
import { EMBEDDED } from './services.ts'

export interface ServeOptions extends Omit<OpenOptions, 'works'> {
  tokens: readonly Token[]
  /** Default: this machine only. */
  host?: string
  /** Default 8080; 0 takes a free one. */
  port?: number
  /** Does the work as well; default only without a database of its own, when no other process can. */
  withWork?: boolean
  /** Other leases and sweeps than the usual, for tests of what happens when they run out. */
  work?: WorkOptions
}

export interface RunningServer {
  /** `http://127.0.0.1:8080` */
  url: string
  deps: Deps
  /** Null where other processes work. */
  worker: Worker | null
  /**
   * Takes no new requests and steps, lets those under way finish for up to `graceMs`, then cuts them off. Nothing is lost
   * either way: what was accepted is stored. A second call cuts off at once.
   */
  stop(graceMs: number): Promise<void>
}

/** Without a worker nobody else in this process writes down what was refused. */
const FLUSH_MS = 5_000

/** HTTP, and the work where it is asked for: on one data folder, or as one of several replicas on one database. */
export async function startServer(options: ServeOptions): Promise<RunningServer> {
  const { host = '127.0.0.1', port = 8080, services = EMBEDDED } = options
  const isEmbedded = services.databaseUrl === null
  const works = options.withWork ?? isEmbedded
  const lock: ServerLock | null = isEmbedded ? lockDataDir(options.dataDir) : null
  try {
    const deps = await openDeps({ ...options, works })
    const board = await openBoard(options, deps)
    const closeAll = async () => {
      await board?.close()
      await deps.close()
    }
    try {
      const app = createApp({ ...deps, tokens: options.tokens })
      await app.load()
      const fetch = board ? besides(app.fetch, board.fetch) : app.fetch
      const listener = await listen({ fetch, host, port })
      lock?.announce(listener.url)
      const worker = works ? createWorker(deps, options.work) : null
      worker?.start()
      const flushing = worker ? null : setInterval(() => void flush(deps), FLUSH_MS)
      let stopping: Promise<void> | null = null
      return {
        url: listener.url,
        deps,
        worker,
        stop: (graceMs) => {
          if (stopping) listener.cut()
          if (flushing) clearInterval(flushing)
          stopping ??= Promise.all([listener.drain(graceMs), (worker ?? deps.queue).stop(graceMs)])
            // What was refused since the last sweep is only counted in memory so far.
            .then(() => flush(deps))
            .then(closeAll)
            .finally(() => lock?.release())
          return stopping
        },
      }
    } catch (error) {
      await deps.queue.stop(0)
      await closeAll()
      throw error
    }
  } catch (error) {
    lock?.release()
    throw error
  }
}

/** Counts of refused requests are worth a log line when they are lost, never a failed stop. */
async function flush({ refusals, log }: Deps): Promise<void> {
  try {
    await refusals.flush()
  } catch (error) {
    log.warn('counts of refused requests could not be written', {
      error: error instanceof Error ? error.name : typeof error,
    })
  }
}

const BOARD_PATH = '/admin/queues'

/** The queue's own view, where there is a Redis to look into. */
async function openBoard({ services = EMBEDDED, config, tokens }: ServeOptions, { signer, log }: Deps) {
  if (services.redisUrl === null) return null
  const { mountBullBoard } = await import('./bull-board.ts')
  const app = new Hono()
  const board = mountBullBoard(app, {
    redis: services.redisUrl,
    prefix: services.redisPrefix,
    lanes: lanesOf(config),
    tokens,
    signer,
    log,
  })
  return { fetch: (request: Request) => app.fetch(request), close: () => board.close() }
}

type Fetch = (request: Request) => Promise<Response> | Response

function besides(app: Fetch, board: Fetch): Fetch {
  return (request) => {
    const start = request.url.indexOf('/', request.url.indexOf('://') + 3)
    const behind = request.url[start + BOARD_PATH.length]
    const isBoard = behind === undefined || behind === '/' || behind === '?'
    return isBoard && request.url.startsWith(BOARD_PATH, start) ? board(request) : app(request)
  }
}
