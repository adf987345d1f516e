import { CordboardError } from '../errors.ts'
import type { S3Settings } from '../media/s3.ts'

/** The servers that an installation beyond one machine uses. What is null lives in the data folder and this process. */
export interface Services {
  databaseUrl: string | null
  /** Connections to the database per process. */
  maxConnections: number
  redisUrl: string | null
  /** Before every key in Redis, so that several installations can share one. */
  redisPrefix: string
  s3: S3Settings | null
}

export const EMBEDDED: Services = {
  databaseUrl: null,
  maxConnections: 10,
  redisUrl: null,
  redisPrefix: 'cordboard',
  s3: null,
}

/** Reads a setting: from the environment, the file that `<name>_FILE` names, or `.env`. */
export type ReadSetting = (name: string) => string | undefined

/** Throws `config` with everything that is wrong, before anything is opened. */
export async function servicesFrom(readRaw: ReadSetting): Promise<Services> {
  // Compose files and charts set what is not wanted to the empty text.
  const read = (name: string) => readRaw(name)?.trim() || undefined
  const databaseUrl = read('DATABASE_URL') ?? null
  const redisUrl = read('REDIS_URL') ?? null
  const redisPrefix = read('REDIS_PREFIX') ?? EMBEDDED.redisPrefix
  const pool = read('DATABASE_POOL') ?? String(EMBEDDED.maxConnections)
  const wrong = [
    databaseProblem(databaseUrl),
    redisUrl === null ? null : prefixed('REDIS_URL', (await import('./redis.ts')).redisProblem(redisUrl)),
    /^[\w.-]{1,40}$/.test(redisPrefix)
      ? null
      : 'REDIS_PREFIX: expected 1 to 40 letters, digits, dots, dashes or underscores',
    /^[1-9]\d{0,2}$/.test(pool) && Number(pool) >= LEAST_CONNECTIONS
      ? null
      : `DATABASE_POOL: expected a number from ${LEAST_CONNECTIONS} to 999`,
  ].filter((problem) => problem !== null)
  if (wrong.length > 0) {
    throw new CordboardError('config', wrong.join('; '), {
      why: 'The environment names servers that cannot be used like this',
      fix: 'Correct these variables, or unset them to keep everything in the data folder',
    })
  }
  const s3 = read('S3_BUCKET') === undefined ? null : (await import('../media/s3.ts')).s3Settings(read)
  return { databaseUrl, maxConnections: Number(pool), redisUrl, redisPrefix, s3 }
}

/** Two take the webhooks, the rest is for the work and for those who look. */
const LEAST_CONNECTIONS = 4

function databaseProblem(text: string | null): string | null {
  if (text === null) return null
  const protocol = URL.parse(text)?.protocol
  if (protocol === 'postgres:' || protocol === 'postgresql:') return null
  return `DATABASE_URL: expected postgres://user:password@host:5432/name, seen ${protocol === undefined ? 'no URL' : `the scheme ${protocol}`}`
}

function prefixed(name: string, problem: string | null): string | null {
  return problem === null ? null : `${name}: ${problem}`
}

/** What no log line may hold. */
export function secretsOfServices({ databaseUrl, redisUrl, s3 }: Services): string[] {
  const passwords = [databaseUrl, redisUrl].flatMap((text) => {
    const written = text === null ? '' : (URL.parse(text)?.password ?? '')
    return written === '' ? [] : [written, decodeURIComponent(written)]
  })
  return [
    ...new Set([...passwords, ...(s3 === null ? [] : [s3.secretAccessKey, s3.sessionToken ?? ''])]),
  ].filter((secret) => secret !== '')
}
