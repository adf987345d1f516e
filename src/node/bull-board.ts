import { createBullBoard } from '@bull-board/api'
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { HonoAdapter } from '@bull-board/hono'
import { serveStatic } from '@hono/node-server/serve-static'
import { Queue } from 'bullmq'
import { type Context, Hono } from 'hono'
import type { Log } from '../connector/contract.ts'
import type { Signer } from '../connector/platform.ts'
import { CordboardError } from '../errors.ts'
import { type Api, authenticate, needs, type Token } from '../http/auth.ts'
import { failure, noSuchPath, problemResponse, wrongMethod } from '../http/problem.ts'
import { securityHeaders } from '../http/security.ts'
import { bullPrefix } from '../queue/bull-bells.ts'
import { createLog } from './log.ts'
import { connectRedis } from './redis.ts'

const PATH = '/admin/queues'
/** For the first connection, and for all that one request asks of Redis. */
const WAIT_MS = 2_000

/** bull-board's own files and nothing from elsewhere. Its scripts set styles, and its empty page has some in its text. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

export interface BullBoardOptions {
  /** URL of the Redis that the queue uses. */
  redis: string
  /** The queue's, without braces. */
  prefix?: string
  lanes: readonly string[]
  tokens: readonly Token[]
  signer: Signer
  log?: Log
}

/**
 * bull-board at /admin/queues, for looking only: a bell that is edited or removed changes nothing that the store knows.
 * Admins log in with their token as the password. Nothing is connected before the first of them looks.
 */
export function mountBullBoard(app: Hono, options: BullBoardOptions): { close(): Promise<void> } {
  const { tokens, signer, log = createLog() } = options
  const pages = openPages(options, log)
  const board = new Hono<Api>()
  board.use(async function boardPolicy(c, next) {
    await next()
    c.header('content-security-policy', POLICY)
  })
  board.use(securityHeaders)
  board.use(authenticate(tokens, signer), needs('admin').middleware)
  board.use(async function lookOnly(c, next) {
    if (c.req.method !== 'GET' && c.req.method !== 'HEAD') return wrongMethod(c, ['GET', 'HEAD'])
    return next()
  })
  board.all('*', async (c) => {
    const response = await within(pages.answer(c.req.raw))
    return withoutForeignLinks(response)
  })
  board.onError((error, c) => answerTo(error, c, log))
  const enter = (c: Context) => board.fetch(withPasswordAsBearer(c.req.raw))
  app.all(PATH, enter)
  app.all(`${PATH}/*`, enter)
  return { close: pages.close }
}

/** Connects when the first page is asked for; from then on the client connects again by itself. */
function openPages({ redis: url, prefix = 'cordboard', lanes }: BullBoardOptions, log: Log) {
  let client: ReturnType<typeof connectRedis> | null = null
  /** The first try; later the client knows by itself and fails fast. */
  let connected: Promise<void> = Promise.resolve()
  let queues: Queue[] = []
  let made: Promise<Hono> | null = null
  let closed = false

  async function answering(): Promise<void> {
    if (closed) throw away()
    if (client === null) {
      const first = connectRedis({ url, log, role: 'commands' })
      client = first
      connected = within(new Promise<void>((resolve) => first.once('ready', () => resolve())))
    }
    await connected.catch(() => undefined)
    await client.ping()
  }

  async function make(): Promise<Hono> {
    if (client === null) throw away()
    const connection = client
    // Looking leaves no trace: by default a queue writes its settings into Redis, and its version check into the console.
    const settings = { connection, prefix: bullPrefix(prefix), skipMetasUpdate: true, skipVersionCheck: true }
    queues = lanes.map((lane) => new Queue(lane, settings))
    // What goes wrong is answered to the request; an event without a listener would end the process.
    for (const queue of queues) queue.on('error', () => undefined)
    await Promise.all(queues.map((queue) => queue.waitUntilReady()))
    const adapter = new HonoAdapter(serveStatic).setBasePath(PATH)
    createBullBoard({
      queues: queues.map((queue) => new BullMQAdapter(queue, { readOnlyMode: true })),
      serverAdapter: adapter,
      options: { uiConfig: { boardTitle: 'Cordboard queues', hideDocsLink: true } },
    })
    // Its own would answer with the words of Redis' client, which name the server.
    adapter.setErrorHandler((error) => {
      throw error
    })
    const plugin = adapter.registerPlugin()
    plugin.onError((error) => {
      throw error
    })
    const all = new Hono({ strict: false }).route(PATH, plugin)
    all.notFound(noSuchPath)
    all.onError((error) => {
      throw error
    })
    return all
  }

  return {
    async answer(request: Request): Promise<Response> {
      await answering()
      made ??= make()
      return (await made).fetch(request)
    },
    async close(): Promise<void> {
      closed = true
      await within(Promise.allSettled(queues.map((queue) => queue.close()))).catch(() => undefined)
      client?.disconnect()
    },
  }
}

const away = (cause?: unknown) =>
  new CordboardError('storage_unavailable', 'Redis does not answer', {
    why: 'The board shows what stands in Redis; calls are worked off without it meanwhile',
    fix: 'Start Redis, then load this page again',
    cause,
  })

async function within<T>(work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(away()), WAIT_MS)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** A browser sends the token as the password of any user; from here on it is a token like every other. */
function withPasswordAsBearer(request: Request): Request {
  const headers = new Headers(request.headers)
  const encoded = /^basic +([\w+/-]+=*) *$/i.exec(headers.get('authorization') ?? '')?.[1]
  if (encoded !== undefined) {
    const password = Buffer.from(encoded, 'base64')
      .toString('latin1')
      .replace(/^[^:]*:?/, '')
    headers.set('authorization', `Bearer ${/^[\x21-\x7e]+$/.test(password) ? password : ''}`)
  }
  return new Request(request.url, { method: request.method, headers })
}

/** The page names a font of another host; its style sheet has others to fall back on. */
async function withoutForeignLinks(response: Response): Promise<Response> {
  if (!response.headers.get('content-type')?.startsWith('text/html')) return response
  const text = await response.text()
  return new Response(text.replaceAll(/<link [^>]*href="https?:[^>]*>/g, ''), response)
}

function answerTo(error: unknown, c: Context, log: Log): Response {
  if (error instanceof CordboardError && error.code === 'unauthorized') {
    const refusal = new CordboardError('unauthorized', 'The queues are shown to admins only', {
      fix: 'Log in with any user name and a token of the role admin as the password',
    })
    return problemResponse(refusal, {
      headers: { 'www-authenticate': 'Basic realm="cordboard", charset="UTF-8"' },
    })
  }
  if (error instanceof CordboardError && error.code === 'role_missing') return problemResponse(error)
  const shown = isConnectionError(error) ? away(error) : error
  return failure(shown, { log, random: Math.random }, { method: c.req.method, route: PATH, sentToken: true })
}

/** As ioredis words it when a command was not sent or not answered. */
function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof CordboardError) return false
  return /writeable|timed out|is closed|ECONN|ETIMEDOUT|max retries|LOADING|None of startup|ClusterAll/i.test(
    `${error.name} ${error.message}`,
  )
}
