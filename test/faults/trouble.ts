import type { IncomingMessage } from 'node:http'
import type { RunningSandbox } from '../../src/sandbox/serve.ts'

/** What vendors do to their callers on a bad day. */
type Ill = 'refuses' | 'limits' | 'fails after the work' | 'cuts after the work'
const ILLS: readonly Ill[] = ['refuses', 'limits', 'fails after the work', 'cuts after the work']

export interface Trouble {
  /** 0 to 1. */
  failing: number
  random: () => number
}

/**
 * Lets a share of all requests at the vendors' stand-ins fail: half of them before anything is done, half of them after,
 * so that the caller cannot know. Requests for recordings and results fail like all others.
 */
export function trouble({ world }: RunningSandbox, { failing, random }: Trouble): void {
  for (const { app } of world.vendors.values()) {
    const handle = app.fetch
    app.fetch = async (request, env, ...rest) => {
      if (random() >= failing) return handle(request, env, ...rest)
      const ill = ILLS[Math.floor(random() * ILLS.length)]
      if (ill === 'refuses') return new Response('made to fail', { status: 503 })
      if (ill === 'limits') return new Response('slow down', { status: 429, headers: { 'retry-after': '1' } })
      const response = await handle(request, env, ...rest)
      if (ill === 'fails after the work') return new Response('made to fail after the work', { status: 500 })
      cut(env)
      return response
    }
  }
}

/** What the stand-ins' server knows of a request beside its Request. */
function socketOf(env: unknown) {
  return (env as { incoming?: IncomingMessage } | undefined)?.incoming?.socket
}

/** Ends the connection in the middle of the exchange: the caller reads no answer. */
function cut(env: unknown): void {
  socketOf(env)?.destroy()
}

/** Until the caller's patience has ended. */
function hungUp(env: unknown): Promise<void> {
  return new Promise((resolve) => {
    const socket = socketOf(env)
    if (socket === undefined || socket.destroyed) resolve()
    else socket.once('close', () => resolve())
  })
}

export interface Unheard {
  /** How often it has happened. */
  count(): number
  stop(): void
}

/** Requests of one kind are worked on and their callers never hear of it: the connection is cut, or nothing comes. */
export function unheard(
  { world }: RunningSandbox,
  vendor: string,
  asked: { method: string; path: RegExp; end: 'cut' | 'silence' },
): Unheard {
  const { app } = world.vendor(vendor)
  const handle = app.fetch
  let count = 0
  let armed = true
  app.fetch = async (request, env, ...rest) => {
    const response = await handle(request, env, ...rest)
    const { pathname } = new URL(request.url)
    if (!armed || request.method !== asked.method || !asked.path.test(pathname)) return response
    count += 1
    if (asked.end === 'cut') cut(env)
    else await hungUp(env)
    return response
  }
  return {
    count: () => count,
    stop: () => {
      armed = false
    },
  }
}

/** A vendor that takes every request and answers none, until it is told to stop. */
export function blackHole({ world }: RunningSandbox, vendor: string): { stop(): void } {
  const { app } = world.vendor(vendor)
  const handle = app.fetch
  const open = Promise.withResolvers<void>()
  app.fetch = async (request, env, ...rest) => {
    await open.promise
    return handle(request, env, ...rest)
  }
  return { stop: () => open.resolve() }
}
