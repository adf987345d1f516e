import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { CordboardError, toProblem } from '../errors.ts'
import type { Deps } from '../pipeline/deps.ts'
import { oldestWaiting, STILL_MS } from '../pipeline/standstill.ts'
import { sinceSweep } from '../pipeline/turn.ts'
import { MIGRATIONS } from '../store/migrations.ts'
import type { Api } from './auth.ts'
import { json, problem } from './responses.ts'

/** One thing that must work before requests are sent here. */
export interface ReadyPart {
  part: string
  ok: boolean
  /** One line for people. The path is open to everyone: no addresses, no secrets. */
  says: string
}

/** A balancer that asks gives up after a few seconds; an answer that names the part is better than none. */
const CHECK_MS = 2_000

const parts = {
  config: z.string().describe('hash of the configuration: replicas that disagree are seen'),
  parts: z.array(z.object({ part: z.string(), ok: z.boolean(), says: z.string() })),
}
const ready = z.object({ status: z.literal('ready'), ...parts }).openapi('Ready')
const notReady = problem.extend(parts).openapi('NotReady')

const healthRoute = createRoute({
  method: 'get',
  path: '/healthz',
  operationId: 'health',
  tags: ['Health'],
  summary: 'The process is up',
  responses: { 200: json(z.object({ status: z.literal('ok') }).openapi('Health'), 'It answers') },
})

const readyRoute = createRoute({
  method: 'get',
  path: '/readyz',
  operationId: 'ready',
  tags: ['Health'],
  summary: 'The store, the queue and everything else it needs work',
  responses: {
    200: json(ready, 'Requests may be sent here'),
    503: {
      description: '`storage_unavailable`: a part does not work, and which',
      content: { 'application/problem+json': { schema: notReady } },
    },
  },
})

export interface ReadyDeps extends Pick<Deps, 'store' | 'queue' | 'media' | 'config' | 'log'> {
  /** Further parts that the entry knows of (a Redis, a certificate). */
  ready?: () => Promise<readonly ReadyPart[]>
}

export function mountHealth(app: OpenAPIHono<Api>, deps: ReadyDeps): void {
  app.openapi(healthRoute, (c) => c.json({ status: 'ok' as const }, 200))

  /** Anybody may ask, and each look writes to the disk, or to a bucket: who asks meanwhile is told the same. */
  let looking: Promise<ReadyPart[]> | undefined
  const look = () => {
    looking ??= lookAtAll(deps).finally(() => {
      looking = undefined
    })
    return looking
  }

  app.openapi(readyRoute, async (c) => {
    const all = await look()
    const failed = all.filter(({ ok }) => !ok).map(({ part }) => part)
    const config = deps.config.hash
    if (failed.length === 0) return c.json({ status: 'ready' as const, config, parts: all }, 200)
    const error = new CordboardError('storage_unavailable', `Not ready: ${failed.join(', ')}`, {
      why: failed.length === 1 ? 'This part does not work' : 'These parts do not work',
      fix: 'Read `parts`, then: cordboard doctor',
    })
    return c.json({ ...toProblem(error), title: 'Not ready', config, parts: all }, 503, {
      'content-type': 'application/problem+json',
      'retry-after': '5',
    })
  })
}

async function lookAtAll(deps: ReadyDeps): Promise<ReadyPart[]> {
  const queue = deps.queue.state()
  const [store, migrations, media, work, further] = await Promise.all([
    check(deps, 'store', async () => {
      await deps.store.check()
      return `${deps.store.dialect}, can be written to`
    }),
    check(deps, 'migrations', () => migrationsOf(deps)),
    check(deps, 'media', async () => {
      await deps.media.check()
      return 'can be written to'
    }),
    workOf(deps),
    deps.ready?.() ?? [],
  ])
  return [store, migrations, { part: 'queue', ok: queue.ok, says: queue.says }, media, work, ...further]
}

/** Runs one check for at most two seconds. Only words of our own errors are shown; others may name hosts and paths. */
async function check(deps: ReadyDeps, part: string, work: () => Promise<string>): Promise<ReadyPart> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new CordboardError('timeout', `no answer within ${CHECK_MS / 1000} s`)),
      CHECK_MS,
    )
  })
  try {
    return { part, ok: true, says: await Promise.race([work(), late]) }
  } catch (error) {
    const isOurs = error instanceof CordboardError && error.code !== 'internal'
    deps.log.warn('not ready', {
      part,
      error: isOurs ? error.code : error instanceof Error ? error.name : typeof error,
    })
    deps.log.debug('not ready: message', {
      part,
      message: error instanceof Error ? error.message : String(error),
    })
    return { part, ok: false, says: isOurs ? error.message : 'failed; the log says more' }
  } finally {
    clearTimeout(timer)
  }
}

/** What nobody works on is still taken and stored: this part is told, and never keeps requests away. */
async function workOf({ store, log }: ReadyDeps): Promise<ReadyPart> {
  const tell = (says: string): ReadyPart => ({ part: 'work', ok: true, says })
  try {
    const [sweptMs, oldest] = await Promise.all([sinceSweep(store), oldestWaiting(store)])
    if (sweptMs === null) return tell('no worker has swept yet')
    if (sweptMs > STILL_MS) return tell(`no worker has swept for ${Math.round(sweptMs / 1_000)} s`)
    const dueForMs = Math.max(0, ...oldest.map((one) => one.dueForMs))
    if (dueForMs <= STILL_MS) return tell('a worker sweeps, nothing waits for long')
    return tell(`a worker sweeps, the oldest due step has waited ${Math.round(dueForMs / 1_000)} s`)
  } catch (error) {
    // The store's own part says what is wrong with it.
    log.debug('the state of the work is not known', { error: error instanceof Error ? error.name : '' })
    return tell('not known')
  }
}

const HOW_TO_MIGRATE = {
  sqlite: 'restart the server, which runs them',
  postgres: 'cordboard migrate',
  d1: 'wrangler d1 migrations apply DB --remote',
} as const

async function migrationsOf({ store }: Pick<Deps, 'store'>): Promise<string> {
  const ran = new Set(
    (await store.db.selectFrom('migrations').select('name').execute()).map(({ name }) => name),
  )
  const missing = MIGRATIONS.filter(({ name }) => !ran.has(name))
  if (missing.length > 0) {
    throw new CordboardError(
      'storage_unavailable',
      `${missing.length} not run yet: ${HOW_TO_MIGRATE[store.dialect]}`,
    )
  }
  return `${MIGRATIONS.length} of ${MIGRATIONS.length}`
}
