import type { Server } from 'node:http'
import { createAdaptorServer } from '@hono/node-server'
import { createApp } from '../app.ts'
import { CordboardError } from '../errors.ts'
import type { Token } from '../http/auth.ts'
import type { Deps } from '../pipeline/deps.ts'
import { createWorker, type Worker, type WorkOptions } from '../pipeline/work.ts'
import { lockDataDir } from './lock.ts'
import { type OpenOptions, openDeps } from './open.ts'

export interface ServeOptions extends OpenOptions {
  tokens: readonly Token[]
  /** Default: this machine only. */
  host?: string
  /** Default 8080; 0 takes a free one. */
  port?: number
  /** Other leases and sweeps than the usual, for tests of what happens when they run out. */
  work?: WorkOptions
}

export interface RunningServer {
  /** `http://127.0.0.1:8080` */
  url: string
  deps: Deps
  worker: Worker
  /**
   * Takes no new requests and steps, lets those under way finish for up to `graceMs`, then cuts them off. Nothing is lost
   * either way: what was accepted is stored. A second call cuts off at once.
   */
  stop(graceMs: number): Promise<void>
}

/** Slow senders hold a socket, never longer than this: vendors send a few kilobytes and hang up after seconds. */
const LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 60_000,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 5_000,
  maxHeaderSize: 32 * 1024,
} as const

/** The whole program in one process: HTTP and work, on one data folder. */
export async function startServer(options: ServeOptions): Promise<RunningServer> {
  const { host = '127.0.0.1', port = 8080, tokens } = options
  const lock = lockDataDir(options.dataDir)
  try {
    const deps = await openDeps(options)
    const app = createApp({ ...deps, tokens })
    const server = createAdaptorServer({ fetch: app.fetch, serverOptions: LIMITS }) as Server
    const worker = createWorker(deps, options.work)
    try {
      await listen(server, port, host)
    } catch (error) {
      await deps.close()
      throw error
    }
    const url = urlOf(server, host)
    lock.announce(url)
    worker.start()
    let stopping: Promise<void> | null = null
    return {
      url,
      deps,
      worker,
      stop: (graceMs) => {
        if (stopping) server.closeAllConnections()
        stopping ??= Promise.all([drain(server, graceMs), worker.stop(graceMs)])
          // What was refused since the last sweep is only counted in memory so far.
          .then(() => deps.refusals.flush())
          .then(() => deps.close())
          .finally(() => lock.release())
        return stopping
      },
    }
  } catch (error) {
    lock.release()
    throw error
  }
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(inWords(error, port, host)))
    // A burst that comes while the loop is busy waits in the system's queue; its default drops the 512th for a second.
    server.listen({ port, host, backlog: 4_096 }, () => resolve())
  })
}

function inWords(error: NodeJS.ErrnoException, port: number, host: string): CordboardError {
  const why =
    error.code === 'EADDRINUSE'
      ? 'Another program listens there'
      : error.code === 'EACCES'
        ? 'This user may not open that port'
        : error.code === 'EADDRNOTAVAIL'
          ? 'This machine has no such address'
          : error.message
  return new CordboardError('config', `Cannot listen on ${host}:${port}`, {
    why,
    fix: 'Choose another with --port N (0 takes a free one) or --host H',
    cause: error,
  })
}

function urlOf(server: Server, host: string): string {
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  // What everyone may reach is reached from here as well.
  const name =
    host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host
  return `http://${name}:${port}`
}

/** No new connections; the open ones finish their request or are cut off at the end of the grace. */
function drain(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), graceMs)
    // A connection that is kept alive turns idle only after its last answer.
    const idle = setInterval(() => server.closeIdleConnections(), 100)
    server.close(() => {
      clearTimeout(cut)
      clearInterval(idle)
      resolve()
    })
    server.closeIdleConnections()
  })
}
