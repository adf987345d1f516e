import { readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import pg from 'pg'
import { prepare } from '../../src/node/prepare.ts'
import { EMBEDDED, type Services } from '../../src/node/services.ts'
import { startPostgres } from '../services/postgres.ts'
import { startRedis } from '../services/redis.ts'
import { compare, READ, type Reckoning } from './books.ts'
import type { Child, ChildOptions } from './child.ts'
import { type Company, type CompanyOptions, openCompany } from './company.ts'
import { createSender, type Sender } from './sender.ts'
import { trouble } from './trouble.ts'
import { pause, until } from './within.ts'

/** One process of the cluster that is started again whenever it dies, as an orchestrator does. */
export interface Seat {
  /** The process that sits there now. */
  child(): Child
  /** SIGKILL; resolves when its successor works. */
  kill(): Promise<void>
  /** Ends it and starts another one with other options. */
  replace(options?: Partial<ChildOptions>): Promise<void>
  /** No successor any more. */
  end(): Promise<void>
}

/** One web process, two workers, a PostgreSQL and a Redis of its own, and the vendors' stand-ins, which fail now and then. */
export interface Cluster extends AsyncDisposable {
  company: Company
  sender: Sender
  web: Seat
  workers: readonly [Seat, Seat]
  postgres: Awaited<ReturnType<typeof startPostgres>>
  redis: Awaited<ReturnType<typeof startRedis>> & { flush(): Promise<void> }
  rows(sql: string): Promise<Record<string, unknown>[]>
  /** Deaths of the processes so far, wanted or not. */
  deaths(): number
  /** Waits that only pass time are cut short, of all steps or of those that are named in SQL. */
  hurry(steps?: string): Promise<void>
  /** Waits until nothing is under way, in a hurry. */
  drain(withinMs: number): Promise<void>
  reckon(): Promise<Reckoning>
}

export interface ClusterOptions {
  random: () => number
  /** Of the vendors' answers, so many are failures. */
  failing: number
  config?: CompanyOptions['config']
}

export const LEASE_MS = 2_000
const SWEEP_MS = 500
/**
 * The CRM's index is waited for that long after an end that nobody saw: longer than the black hole keeps a request whose caller
 * has gone (2 s of its 5), and its stand-in's index lags behind.
 */
const CRM_LAG_MS = 4_000
const STAND_IN_LAG_MS = 1_500
const VENDOR_TIMEOUT_MS = 3_000
/** Their budgets are kept in Redis all the same. */
const BUDGETS_TIMES = 100
/** Everything that is not due within this is brought forward while the harness waits for the end. */
const SOON_MS = 1_000
/** Of the processes' log, told when a drain takes too long. */
const LOG_LINES = 20

export async function openCluster({ random, failing, config }: ClusterOptions): Promise<Cluster> {
  const [postgres, redis] = await Promise.all([startPostgres(), startRedis()])
  const company = await openCompany({
    settings: {
      'sandbox-hubspot': {
        requestsPer10s: 1_000_000,
        searchPerSecond: 1_000_000,
        indexLagMs: STAND_IN_LAG_MS,
      },
    },
    ...(config === undefined ? {} : { config }),
  })
  const services: Services = { ...EMBEDDED, databaseUrl: postgres.url, redisUrl: redis.url }
  await prepare(services, company.dataDir)
  trouble(company.sandbox, { failing, random })
  const database = openDatabase(postgres.url)
  const logFile = join(company.dataDir, 'cluster.log')
  let deaths = 0

  async function seat(role: 'web' | 'worker'): Promise<Seat> {
    let ended = false
    let options: Partial<ChildOptions> = {}
    let current = await begin()
    let replacing: Promise<void> | null = null

    async function begin(): Promise<Child> {
      for (;;) {
        const usual = {
          role,
          services,
          leaseMs: LEASE_MS,
          sweepMs: SWEEP_MS,
          crmLagMs: CRM_LAG_MS,
          vendorTimeoutMs: VENDOR_TIMEOUT_MS,
          budgetsTimes: BUDGETS_TIMES,
          logFile,
        }
        const child = await company.child({ ...usual, ...options })
        try {
          await child.go()
          child.ended.then(() => succeed(child)).catch(() => undefined)
          return child
        } catch {
          // The database may be away: an orchestrator tries again as well.
          await child.kill()
          if (ended) return child
          await pause(300)
        }
      }
    }

    function succeed(dead: Child): void {
      deaths += 1
      if (ended || dead !== current) return
      replacing ??= begin().then((child) => {
        current = child
        replacing = null
      })
    }

    /** Until the successor of whoever was killed sits there. */
    const seated = (before: Child) => until('there is a successor', () => current !== before, 60_000)
    const kill = async () => {
      const before = current
      await before.kill()
      await seated(before)
    }
    return {
      child: () => current,
      kill,
      async replace(changed = {}) {
        options = changed
        await kill()
      },
      async end() {
        ended = true
        await replacing
        await current.kill()
      },
    }
  }

  const [web, first, second] = await Promise.all([seat('web'), seat('worker'), seat('worker')])
  const sender = createSender(company, random)
  const cluster: Cluster = {
    company,
    sender,
    web,
    workers: [first, second],
    postgres,
    redis: { ...redis, flush: () => flush(redis.url) },
    rows: database.rows,
    deaths: () => deaths,
    async hurry(steps = 'true') {
      // Steps look for themselves whether what they wait for is over: those that come too early wait on.
      const soon = Date.now() + SOON_MS
      await database.rows(
        `update steps set due_at = 0 where state = 'waiting' and due_at > ${soon} and ${steps}`,
      )
      await database.rows(`update breakers set retry_at = 0 where retry_at > ${soon}`)
    },
    async drain(withinMs) {
      const left = async () => [...(await database.rows(READ.steps)), ...(await database.rows(READ.calls))]
      try {
        await until(
          'everything is done',
          async () => {
            await cluster.hurry()
            await pause(200)
            return (await left()).length === 0
          },
          withinMs,
        )
      } catch (error) {
        const log = readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-LOG_LINES).join('\n')
        const some = JSON.stringify((await left()).slice(0, 20), null, 1)
        throw new Error(`left: ${some}\nlast log lines:\n${log}`, { cause: error })
      }
    },
    async reckon() {
      const [deliveries, keys, stuck] = await Promise.all([
        database.rows(READ.deliveries),
        database.rows(READ.keys),
        database.rows(READ.stuck),
      ])
      return compare(company.sandbox.world, sender, { deliveries, keys, stuck })
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([web.end(), first.end(), second.end()])
      await database.close()
      await company[Symbol.asyncDispose]()
      await Promise.all([postgres.drop(), redis.drop()])
      await rm(company.dataDir, { recursive: true, force: true })
    },
  }
  return cluster
}

async function flush(url: string): Promise<void> {
  const client = new Redis(url, { lazyConnect: true })
  await client.connect()
  await client.flushall()
  client.disconnect()
}

/** A look from outside, which outlives the restarts of its server. */
function openDatabase(url: string) {
  const pool = new pg.Pool({ connectionString: url, max: 2, connectionTimeoutMillis: 2_000 })
  // A server that goes away ends idle connections; the next query opens another one.
  pool.on('error', () => undefined)
  return {
    async rows(sql: string): Promise<Record<string, unknown>[]> {
      for (let tries = 0; ; tries += 1) {
        try {
          return (await pool.query(sql)).rows
        } catch (error) {
          if (tries === 20) throw error
          await pause(250)
        }
      }
    },
    close: () => pool.end(),
  }
}
