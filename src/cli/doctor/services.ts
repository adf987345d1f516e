import { CordboardError } from '../../errors.ts'
import { createHttpFetch } from '../../node/http-fetch.ts'
import { createLog } from '../../node/log.ts'
import { checkMediaHome } from '../../node/media-home.ts'
import { openMedia, openStoreAsItIs } from '../../node/open.ts'
import type { Services } from '../../node/services.ts'
import type { Store } from '../../store/port.ts'
import type { Finding } from './finding.ts'

/** What the environment names beside the configuration, tried: the database, Redis and the media store. */
export interface Reached {
  /** Null when it does not answer. */
  store: Store | null
  findings: Finding[]
  close(): Promise<void>
}

export async function reachServices(services: Services, dataDir: string): Promise<Reached> {
  const store = await databaseOf(services, dataDir)
  const opened = 'store' in store ? store.store : null
  const findings = [
    ...store.findings,
    ...(await redisFindings(services)),
    ...(opened ? [await mediaFinding(opened, services, dataDir)] : []),
  ]
  return { store: opened, findings, close: async () => opened?.close() }
}

type Database = { store: Store; findings: Finding[] } | { findings: Finding[] }

async function databaseOf(services: Services, dataDir: string): Promise<Database> {
  const area = 'store'
  try {
    const store = await openStoreAsItIs(services, dataDir)
    const pending = 'pending' in store ? await store.pending() : []
    if (pending.length === 0) {
      await store.check()
      return {
        store,
        findings: [{ level: 'ok', area, says: 'PostgreSQL, schema up to date, can be written to' }],
      }
    }
    await store.close()
    const says = `PostgreSQL lacks migrations: ${pending.join(', ')}`
    return { findings: [{ level: 'problem', area, says, fix: 'Run once: cordboard migrate' }] }
  } catch (error) {
    const says = `PostgreSQL: ${saidBy(error)}`
    const fix = 'Correct DATABASE_URL, start the database, or let this machine reach it'
    return { findings: [{ level: 'problem', area, says, fix }] }
  }
}

async function redisFindings({ redisUrl }: Services): Promise<Finding[]> {
  const area = 'redis'
  if (redisUrl === null) {
    const says =
      'none: workers look for work every few seconds, and each counts its request budgets for itself'
    return [{ level: 'warning', area, says, fix: 'Set REDIS_URL, where several processes work' }]
  }
  const { checkRedis, connectRedis } = await import('../../node/redis.ts')
  const redis = connectRedis({
    url: redisUrl,
    log: createLog({ level: 'error', write: () => undefined }),
    role: 'commands',
  })
  try {
    const { ok, says } = await checkRedis(redis)
    if (ok) return [{ level: 'ok', area, says }]
    return [
      { level: 'problem', area, says, fix: 'Correct REDIS_URL, start Redis, or let this machine reach it' },
    ]
  } finally {
    redis.disconnect()
  }
}

async function mediaFinding(store: Store, services: Services, dataDir: string): Promise<Finding> {
  const area = 'media'
  const where = services.s3 === null ? 'the data folder' : `the bucket ${services.s3.bucket}`
  try {
    const media = await openMedia(dataDir, services, createHttpFetch())
    await checkMediaHome(store, media)
    await media.check()
    if (services.s3 !== null) return { level: 'ok', area, says: `${where}, can be written to` }
    const says = `large bodies lie in ${dataDir}: every process must have this very folder`
    return { level: 'warning', area, says, fix: 'Share the folder between them, or set S3_BUCKET' }
  } catch (error) {
    const fix = error instanceof CordboardError ? error.fix : 'Look at the media store'
    return { level: 'problem', area, says: `${where}: ${saidBy(error)}`, fix }
  }
}

/** Words of our own errors only: others may name users and addresses. */
function saidBy(error: unknown): string {
  if (!(error instanceof CordboardError)) return error instanceof Error ? error.name : 'it failed'
  return error.why === undefined ? error.message : `${error.message} (${error.why})`
}
