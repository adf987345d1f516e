import pg from 'pg'
import { prepare } from '../../src/node/prepare.ts'
import { EMBEDDED, type Services } from '../../src/node/services.ts'
import type { RunningSandbox } from '../../src/sandbox/serve.ts'
import { type Company, openCompany } from '../faults/company.ts'
import { createSender } from '../faults/sender.ts'
import { seeded } from '../scenarios/installation.ts'
import { startPostgres } from '../services/postgres.ts'
import { startRedis } from '../services/redis.ts'

/**
 * Calls a second from stored deliveries to CRM records in the cluster: PostgreSQL, Redis, one web process, one and two worker
 * processes. First with vendors that take 50 ms for an answer, where a worker waits and two wait for twice as much; then
 * with vendors that take no time, where all processes, both databases and the stand-ins share the cores of one machine.
 */
const VENDOR_MS = 50
/** Per worker and lane: what limits a worker that mostly waits. */
const CONCURRENCY = 4
const SLOW_CALLS = 300
const FAST_CALLS = 600
const LONGEST_MS = 300_000

interface Rates {
  one: number
  two: number
  ratio: number
}

export async function runCluster(): Promise<void> {
  const waiting = await rates(SLOW_CALLS, VENDOR_MS)
  console.error(`vendors take ${VENDOR_MS} ms: ${said(waiting)}`)
  const cpu = await rates(FAST_CALLS, 0)
  console.error(`vendors take no time: ${said(cpu)} (all on the cores of this machine)`)
  console.log(JSON.stringify({ waiting, cpu }))
}

const said = ({ one, two, ratio }: Rates) => `${one} calls/s with one worker, ${two} with two: ${ratio}×`

async function rates(calls: number, vendorMs: number): Promise<Rates> {
  const one = await measure(calls, vendorMs, 1)
  const two = await measure(calls, vendorMs, 2)
  return { one, two, ratio: Math.round((100 * two) / one) / 100 }
}

async function measure(calls: number, vendorMs: number, workers: number): Promise<number> {
  const [postgres, redis] = await Promise.all([startPostgres(), startRedis()])
  const services: Services = { ...EMBEDDED, databaseUrl: postgres.url, redisUrl: redis.url }
  const pool = new pg.Pool({ connectionString: postgres.url, max: 1 })
  try {
    await using company = await openCompany({
      settings: {
        'sandbox-hubspot': { requestsPer10s: 1_000_000, searchPerSecond: 1_000_000, indexLagMs: 0 },
      },
      config: withConcurrency,
    })
    await prepare(services, company.dataDir)
    slowDown(company.sandbox, vendorMs)
    // The real lease and sweep: this is not about faults.
    const usual = { services, leaseMs: 20_000, sweepMs: 2_000, budgetsTimes: 1_000 }
    const web = await company.child({ ...usual, role: 'web' })
    await web.go()
    await send(company, calls)
    const seats = await Promise.all(
      Array.from({ length: workers }, () => company.child({ ...usual, role: 'worker' })),
    )
    const startedAt = performance.now()
    await Promise.all(seats.map((seat) => seat.go()))
    for (;;) {
      const { rows } = await pool.query("select count(*)::int as n from calls where state = 'done'")
      if (rows[0].n >= calls) break
      if (performance.now() - startedAt > LONGEST_MS)
        throw new Error(`${rows[0].n} of ${calls} calls in five minutes`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    return Math.round((10_000 * calls) / (performance.now() - startedAt)) / 10
  } finally {
    await pool.end()
    await Promise.all([postgres.drop(), redis.drop()])
  }
}

async function send(company: Company, calls: number): Promise<void> {
  const sender = createSender(company, seeded(1))
  for (let at = 0; at < calls; at += 20) {
    await Promise.all(Array.from({ length: 20 }, () => sender.play('sandbox-zadarma')))
  }
}

/** One flow, so that every call takes the same way. */
function withConcurrency(file: Record<string, unknown>): Record<string, unknown> {
  const connections = Object.entries(file.connections as Record<string, object>).map(([id, keys]) => [
    id,
    { ...keys, concurrency: CONCURRENCY },
  ])
  return { ...file, connections: Object.fromEntries(connections) }
}

function slowDown({ world }: RunningSandbox, ms: number): void {
  if (ms === 0) return
  for (const { app } of world.vendors.values()) {
    const handle = app.fetch
    app.fetch = async (...given) => {
      await new Promise((resolve) => setTimeout(resolve, ms))
      return handle(...given)
    }
  }
}
