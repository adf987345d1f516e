import { Cluster, Redis, type RedisOptions } from 'ioredis'
import type { Log } from '../connector/contract.ts'

/**
 * Connections to Redis, which is a convenience here and never a memory: whoever asks while it is away hears so at once and
 * goes on without it.
 *
 * - `redis://[user:password@]host[:6379][/0]`; `rediss://` for TLS (a private authority: `NODE_EXTRA_CA_CERTS`).
 * - `?cluster=true` for a Redis Cluster, further nodes to begin with as `&node=host:port`, each once. Still one URL, so that
 *   whatever reads URLs finds the password in it.
 */

export type RedisClient = Redis | Cluster

export interface ConnectRedisOptions {
  url: string
  log: Log
  /**
   * `commands` refuses at once what cannot be sent, and tells the log when Redis goes and comes. `blocking` waits for its
   * answers as long as it takes and is silent: there are many of them, and they share the fate of the first.
   */
  role: 'commands' | 'blocking'
}

const DEFAULT_PORT = 6_379
const CONNECT_MS = 5_000
/** Nothing we ask takes a hundredth of it. */
const COMMAND_MS = 1_000
/** A server that took a question and says nothing for so long is gone, even when its socket is not. */
const SILENT_MS = 5_000
/** Who blocks is answered after ten seconds at the latest. */
const SILENT_BLOCKED_MS = 15_000
const FIRST_RETRY_MS = 50
const MAX_RETRY_MS = 2_000

export function connectRedis({ url, log, role }: ConnectRedisOptions): RedisClient {
  const address = addressOf(url)
  if (typeof address === 'string') throw new TypeError(`The URL of Redis: ${address}`)
  const { first, further } = address
  const options: Settings = {
    ...address.options,
    connectTimeout: CONNECT_MS,
    reconnectOnError: isDemoted,
    ...(role === 'commands'
      ? { commandTimeout: COMMAND_MS, socketTimeout: SILENT_MS, maxRetriesPerRequest: 1 }
      : { socketTimeout: SILENT_BLOCKED_MS, maxRetriesPerRequest: null }),
  }
  const enableOfflineQueue = role === 'blocking'
  const redis: RedisClient =
    further === null
      ? new Redis({ ...options, ...first, enableOfflineQueue, retryStrategy: retryAfter })
      : new Cluster([first, ...further], {
          enableOfflineQueue,
          redisOptions: options,
          clusterRetryStrategy: retryAfter,
          // The name that a certificate is made out to must reach TLS as it is.
          ...(options.tls ? { dnsLookup: asItIs } : {}),
        })
  watch(redis, role === 'commands' ? log : null)
  return redis
}

/** Null when the URL is usable; else what is wrong with it, without anything that stands in it. */
export function redisProblem(url: string): string | null {
  const address = addressOf(url)
  return typeof address === 'string' ? address : null
}

interface Node {
  host: string
  port: number
}

/** What a single server and the nodes of a cluster are told alike. */
type Settings = Pick<
  RedisOptions,
  | 'username'
  | 'password'
  | 'db'
  | 'tls'
  | 'connectTimeout'
  | 'commandTimeout'
  | 'socketTimeout'
  | 'maxRetriesPerRequest'
  | 'reconnectOnError'
>

interface Address {
  first: Node
  /** Of a cluster; null when it is none. */
  further: Node[] | null
  options: Settings
}

function addressOf(text: string): Address | string {
  const url = URL.parse(text)
  const example = 'expected redis://user:password@host:6379 or rediss://…'
  if (url === null) return `${example}; several nodes of a cluster: ?cluster=true&node=host:port`
  if (url.protocol !== 'redis:' && url.protocol !== 'rediss:') {
    return `${example}, seen the scheme ${url.protocol}`
  }
  if (url.hostname === '') return `${example}, seen no host`
  if (url.hostname.includes(','))
    return 'one host only; further nodes of a cluster: ?cluster=true&node=host:port'
  const unknown = [...url.searchParams.keys()].filter((name) => name !== 'cluster' && name !== 'node')
  if (unknown.length > 0) return 'only `cluster` and `node` may stand behind the question mark'
  const cluster = url.searchParams.get('cluster')
  if (cluster !== null && cluster !== 'true' && cluster !== 'false') return 'cluster= must be true or false'
  const isCluster = cluster === 'true'
  const further = url.searchParams.getAll('node').map(nodeOf)
  if (further.some((node) => node === null)) return 'node= must be host:port'
  if (further.length > 0 && !isCluster) return 'node= belongs to ?cluster=true'
  if (!/^\/?\d{0,4}$/.test(url.pathname)) return 'the path may only be the number of a database, as in /0'
  const db = Number(url.pathname.slice(1))
  if (isCluster && db !== 0) return 'a Redis Cluster has only the database 0'
  const [username, password] = [decoded(url.username), decoded(url.password)]
  if (username === null || password === null) return 'a % in the user or password must be written as %25'
  return {
    first: nodeAt(url),
    further: isCluster ? further.filter((node) => node !== null) : null,
    options: {
      ...(username === '' ? {} : { username }),
      ...(password === '' ? {} : { password }),
      ...(db === 0 ? {} : { db }),
      ...(url.protocol === 'rediss:' ? { tls: {} } : {}),
    },
  }
}

function nodeOf(text: string): Node | null {
  const url = URL.parse(`redis://${text}`)
  const isPlain = url !== null && url.hostname !== '' && url.username === '' && url.password === ''
  return isPlain && url.pathname.length <= 1 && url.search === '' ? nodeAt(url) : null
}

function nodeAt({ hostname, port }: URL): Node {
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? DEFAULT_PORT : Number(port) }
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

function asItIs(host: string, found: (error: null, address: string) => void): void {
  found(null, host)
}

/** For ever, ever slower, not all at once. */
function retryAfter(times: number): number {
  const most = Math.min(FIRST_RETRY_MS * 2 ** Math.min(times, 10), MAX_RETRY_MS)
  return Math.round(most * (0.5 + Math.random() / 2))
}

/** After a failover the old primary is a replica: the name leads to the new one. */
function isDemoted(error: Error): boolean {
  return error.message.startsWith('READONLY')
}

/** An 'error' event that nobody listens to would be printed, address and all. One line per outage. */
function watch(redis: RedisClient, log: Log | null): void {
  let isAway = false
  const away = (says: string) => {
    // A lost connection follows from what went wrong before it.
    if (says !== NO_CONNECTION || !troubles.has(redis)) troubles.set(redis, says)
    if (!isAway) log?.warn('Redis does not answer; work goes on without it', { says })
    isAway = true
  }
  redis.on('error', (error) => away(wordOf(error)))
  // A server that ends gently is no error.
  redis.on('reconnecting', () => away(NO_CONNECTION))
  redis.on('ready', () => {
    if (isAway) log?.info('Redis answers again')
    isAway = false
    troubles.delete(redis)
  })
}

const NO_CONNECTION = 'no connection'
/** What a client that is away met last. */
const troubles = new WeakMap<RedisClient, string>()

/** What went wrong in one word: the messages name addresses. */
export function wordOf(error: unknown): string {
  if (!(error instanceof Error)) return NO_CONNECTION
  if ('code' in error && typeof error.code === 'string') return error.code
  if ('lastNodeError' in error && error.lastNodeError instanceof Error) return wordOf(error.lastNodeError)
  return /^[A-Z]{3,}\b/.exec(error.message)?.[0] ?? NO_CONNECTION
}

export interface RedisCheck {
  ok: boolean
  /** No address, no password. */
  says: string
}

const LEAST = [5, 0]
const RECOMMENDED = [6, 2]

/** Answers, whatever happens, within a second or two. */
export async function checkRedis(redis: RedisClient): Promise<RedisCheck> {
  let info: Map<string, string>
  try {
    await connected(redis)
    info = fieldsOf(await redis.info())
  } catch (error) {
    return { ok: false, says: `does not answer (${troubles.get(redis) ?? wordOf(error)})` }
  }
  const version = info.get('redis_version') ?? ''
  const server = info.has('valkey_version') ? `Valkey ${info.get('valkey_version')}` : `Redis ${version}`
  if (isBelow(version, LEAST))
    return { ok: false, says: `${server} is too old: at least 5 is needed, 6.2 is better` }
  if (info.get('role') === 'slave')
    return { ok: false, says: `${server} is a replica: it cannot be written to` }
  const policy = info.get('maxmemory_policy')
  const warnings = [
    isBelow(version, RECOMMENDED) ? '6.2 or later is better' : null,
    policy === undefined || policy === 'noeviction'
      ? null
      : `its maxmemory-policy is ${policy} and must be noeviction: bells and budgets may vanish`,
  ].filter((warning) => warning !== null)
  return { ok: true, says: [server, ...warnings].join('; ') }
}

/** A client that was made a moment ago has yet to connect; one whose connection was lost is not waited for. */
async function connected(redis: RedisClient): Promise<void> {
  if (redis.status !== 'connecting' && redis.status !== 'connect') return
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, COMMAND_MS)
  redis.once('ready', resolve).once('error', reject).once('end', resolve)
  try {
    await promise
  } finally {
    clearTimeout(timer)
    redis.off('ready', resolve).off('error', reject).off('end', resolve)
  }
}

function fieldsOf(text: string): Map<string, string> {
  return new Map(
    text.split(/\r?\n/).flatMap((line) => {
      const colon = line.indexOf(':')
      return colon < 1 ? [] : [[line.slice(0, colon), line.slice(colon + 1).trim()] as const]
    }),
  )
}

/** An unknown version is not refused: compatible servers number themselves as they like. */
function isBelow(version: string, [major = 0, minor = 0]: readonly number[]): boolean {
  const [, isMajor, isMinor] = /^(\d+)\.(\d+)/.exec(version) ?? []
  if (isMajor === undefined) return false
  return Number(isMajor) < major || (Number(isMajor) === major && Number(isMinor) < minor)
}
