import type { IncomingMessage, Server } from 'node:http'
import { createAdaptorServer } from '@hono/node-server'
import { CordboardError } from '../errors.ts'

const LIMITS = {
  headersTimeout: 10_000,
  // Node's own would end every upload of a recording over a line of ordinary speed; `cutSlow` sees to the slow.
  requestTimeout: 0,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 5_000,
  maxHeaderSize: 32 * 1024,
} as const

/**
 * Slow senders hold a socket, never longer than the grace: vendors send a few kilobytes and hang up after seconds. Whoever
 * sends more than fits into it must keep up this pace.
 */
const PACE = { graceMs: 60_000, bytesPerSecond: 32 * 1024, everyMs: 5_000 }

/** Requests begun in one turn of the loop: enough to keep it busy, few enough for hundreds of turns a second. */
export const PER_TURN = 32

/** And in a turn after one that let somebody in: more may stand at the door, and every turn lets in one. */
const PER_TURN_AT_THE_DOOR = 1

export interface Listener {
  /** `http://127.0.0.1:8080` */
  url: string
  /** No new connections; the open ones finish their request or are cut off at the end of the grace. */
  drain(graceMs: number): Promise<void>
  /** Cuts all of them off. */
  cut(): void
}

export interface ListenOptions {
  fetch: (request: Request) => Promise<Response> | Response
  host: string
  /** 0 takes a free one. */
  port: number
  /** Default: a minute, and 32 KB a second from then on. */
  pace?: typeof PACE
}

export async function listen({ fetch, host, port, pace = PACE }: ListenOptions): Promise<Listener> {
  const turns = fewATurn(fetch)
  const server = createAdaptorServer({ fetch: turns.fetch, serverOptions: LIMITS }) as Server
  server.on('connection', turns.letIn)
  cutSlow(server, pace)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(cannotListen(error, port, host)))
    // A burst that comes while the loop is busy waits in the system's queue; its default drops the 512th for a second.
    server.listen({ port, host, backlog: 4_096 }, () => resolve())
  })
  return {
    url: urlOf(server, host),
    drain: (graceMs) => drain(server, graceMs),
    cut: () => server.closeAllConnections(),
  }
}

/**
 * Begins few requests in one turn of the event loop. libuv (1.52) accepts one connection a turn: when thousands of open
 * ones each have a request in it, a turn lasts a second, and those who wait to be accepted wait until the others are
 * done. `letIn` is told of each that is accepted; while they come, one request is begun for one let in.
 */
export function fewATurn(fetch: ListenOptions['fetch']): {
  fetch: (request: Request) => Promise<Response> | Response
  letIn: () => void
} {
  const waiting: (() => void)[] = []
  let most = PER_TURN
  let begun = 0
  let next = 0
  let isTurning = false
  let hasLetIn = false
  const turn = () => {
    most = hasLetIn ? PER_TURN_AT_THE_DOOR : PER_TURN
    hasLetIn = false
    begun = 0
    while (begun < most && next < waiting.length) {
      begun += 1
      waiting[next++]?.()
    }
    if (next === waiting.length || next > 1_024) {
      waiting.splice(0, next)
      next = 0
    }
    isTurning = begun > 0 || most < PER_TURN
    if (isTurning) setImmediate(turn)
  }
  const keepTurning = () => {
    if (isTurning) return
    isTurning = true
    setImmediate(turn)
  }
  return {
    fetch(request) {
      keepTurning()
      if (begun < most && waiting.length === 0) {
        begun += 1
        return fetch(request)
      }
      return new Promise((resolve, reject) => {
        // Async: what is thrown here would end the process, and is the answer to this one request.
        const begin = async () => fetch(request)
        waiting.push(() => begin().then(resolve, reject))
      })
    },
    letIn() {
      hasLetIn = true
      keepTurning()
    },
  }
}

/** Ends requests whose bodies come too slowly. Those that are all here, however long their answer takes, are left alone. */
function cutSlow(server: Server, { graceMs, bytesPerSecond, everyMs }: typeof PACE): void {
  const open = new Map<IncomingMessage, { since: number; had: number }>()
  server.on('request', (request: IncomingMessage) => {
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
    if ((length === undefined || length === '0') && encoding === undefined) return
    open.set(request, { since: performance.now(), had: request.socket.bytesRead })
    request.once('close', () => open.delete(request))
  })
  const timer = setInterval(() => {
    const now = performance.now()
    for (const [request, { since, had }] of open) {
      const sent = request.socket.bytesRead - had
      if (request.complete) open.delete(request)
      else if (now - since > graceMs + (sent / bytesPerSecond) * 1_000) request.socket.destroy()
    }
  }, everyMs)
  timer.unref()
  server.once('close', () => clearInterval(timer))
}

/** Why a port could not be opened, and what to do. */
export function cannotListen(error: NodeJS.ErrnoException, port: number, host: string): CordboardError {
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
