import type {
  D1Database,
  ExecutionContext,
  MessageBatch,
  Queue,
  R2Bucket,
  ScheduledController,
} from '@cloudflare/workers-types'
import { createApp } from './app.ts'
import { createWebSigner } from './connector/web-signer.ts'
import { asCordboardError, CordboardError } from './errors.ts'
import { problemResponse } from './http/problem.ts'
import { openR2Media } from './media/r2.ts'
import { s3Settings } from './media/s3-settings.ts'
import type { Deps } from './pipeline/deps.ts'
import { createRefusals } from './pipeline/refusals.ts'
import { createTokens } from './pipeline/tokens.ts'
import { type CloudflareQueue, createCloudflareQueue } from './queue/cloudflare.ts'
import { type D1Store, openD1Store } from './store/d1.ts'
import { createStoreBudgets } from './store/store-budgets.ts'
import { createMetrics } from './telemetry/metrics.ts'
import {
  type Bundled,
  type Configured,
  createConfigReader,
  logProblems,
  misconfigured,
} from './worker/config.ts'
import { createConnections } from './worker/connections.ts'
import { createWorkerFetch } from './worker/http-fetch.ts'
import { createWorkerLog } from './worker/log.ts'
import { sweepOf } from './worker/plan.ts'

/** What wrangler.toml binds, beside the secrets that the configuration names. */
export interface Bindings {
  DB: D1Database
  /** Bells of steps, and of those that stream recordings. */
  STEPS: Queue
  MEDIA_STEPS: Queue
  MEDIA: R2Bucket
  /** `debug`, `info` (default), `warn` or `error`. */
  CORDBOARD_LOG?: string
  /** `free` or `paid` (default): how much of the store one sweep may look at. */
  CORDBOARD_PLAN?: string
  /** The same bucket as MEDIA by its S3 address, with a key of R2's, so that large files are uploaded past the Worker. */
  S3_ENDPOINT?: string
  S3_BUCKET?: string
  S3_REGION?: string
  S3_ACCESS_KEY_ID?: string
  S3_SECRET_ACCESS_KEY?: string
}

type Opened = Configured & { deps: Deps & { store: D1Store; queue: CloudflareQueue } }

/** Of wrangler.toml. */
const DEAD_LETTERS = 'cordboard-dead'

/**
 * The Worker of one installation: webhooks and the API (`fetch`), the work (`queue`), the sweep of each minute (`scheduled`).
 * Everything is opened for one invocation and ends with it, because no invocation may wait for what another one has under
 * way. What is kept is only what was found out: the configuration, and that the tables are there.
 */
export function cloudflareWorker(bundled: Bundled) {
  const readConfig = createConfigReader(bundled)
  let isMigrated = false

  async function open(env: Bindings, context: ExecutionContext): Promise<Opened | null> {
    const read = await readConfig(env)
    if ('problems' in read) {
      logProblems(read.problems, createWorkerLog(env, []))
      return null
    }
    const deps = openDeps(read, env, context)
    if (!isMigrated) await checkTables(deps.store)
    isMigrated = true
    return { ...read, deps }
  }

  async function consumerOf({ config, deps }: Opened, env: Bindings) {
    const { createConsumer } = await import('./worker/consumer.ts')
    return createConsumer(deps, { deadLetters: DEAD_LETTERS, version: config.hash, sweep: sweepOf(env) })
  }

  return {
    async fetch(request: Request, env: Bindings, context: ExecutionContext): Promise<Response> {
      try {
        const opened = await open(env, context)
        if (opened === null) return misconfigured()
        const response = await createApp({ ...opened.deps, tokens: opened.tokens }).fetch(request)
        context.waitUntil(opened.deps.refusals.flush())
        return response
      } catch (error) {
        // Nothing was stored: senders come back.
        createWorkerLog(env, []).error('a request could not be taken', wordsOf(error))
        return problemResponse(new CordboardError('storage_unavailable', 'This request was not taken'))
      }
    },

    async queue(batch: MessageBatch, env: Bindings, context: ExecutionContext): Promise<void> {
      const opened = await open(env, context)
      // A wrong configuration or a database without tables: the steps are in the store, and the sweep rings again.
      if (opened === null) batch.retryAll({ delaySeconds: RETRY_S })
      else await (await consumerOf(opened, env)).queue(batch)
    },

    async scheduled(_: ScheduledController, env: Bindings, context: ExecutionContext): Promise<void> {
      const opened = await open(env, context)
      if (opened !== null) await (await consumerOf(opened, env)).scheduled()
    },
  }
}

const RETRY_S = 60

function openDeps({ config }: Configured, env: Bindings, context: ExecutionContext): Opened['deps'] {
  const { random } = Math
  const now = Date.now
  const log = createWorkerLog(
    env,
    [...config.connections.values()].flatMap(({ secrets }) => secrets),
  )
  const store = openD1Store({ database: env.DB })
  const queue = createCloudflareQueue({
    queues: { others: env.STEPS, recordings: env.MEDIA_STEPS },
    streams: (lane) => {
      const { analysis, telephony } = config.connections.get(lane)?.connector ?? {}
      return analysis !== undefined || telephony?.intake !== undefined
    },
    waitUntil: (work) => context.waitUntil(work),
    now,
    log,
  })
  return {
    config,
    store,
    queue,
    media: openR2Media({ bucket: env.MEDIA, s3: bucketAddress(env, log) }),
    http: createWorkerFetch({ connections: createConnections() }),
    signer: createWebSigner(),
    budgets: createStoreBudgets({ store, random }),
    vendorTokens: createTokens({ store, now, random, log }),
    now,
    random,
    log,
    metrics: createMetrics(),
    refusals: createRefusals({ store, now }),
  }
}

/** Where it is set wrong, uploads come to us instead; webhooks have nothing to do with it. */
function bucketAddress(env: Bindings, log: Deps['log']) {
  const texts: Readonly<Record<string, unknown>> = { ...env }
  try {
    return s3Settings((name) => (typeof texts[name] === 'string' ? texts[name] : undefined))
  } catch (error) {
    log.error('the address of the bucket is wrong', { says: asCordboardError(error).message })
    return null
  }
}

/** Once for an isolate: tables do not go away again. */
async function checkTables(store: D1Store): Promise<void> {
  const pending = await store.pending()
  if (pending.length === 0) return
  throw new CordboardError('storage_unavailable', `The database lacks migrations: ${pending.join(', ')}`, {
    why: 'A Worker changes no tables by itself',
    fix: 'Run once: wrangler d1 migrations apply DB --remote',
  })
}

function wordsOf(error: unknown): Record<string, string> {
  if (!(error instanceof CordboardError)) return { error: error instanceof Error ? error.name : typeof error }
  return { code: error.code, says: error.message, fix: error.fix }
}
