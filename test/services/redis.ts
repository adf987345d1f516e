import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { binaries, REDIS } from './binaries.ts'
import { shared } from './one-per-run.ts'
import { createHome, onFreePort, type Running, run } from './server.ts'

export interface RedisServer {
  url: string
  /** SIGKILL, as a crash; does nothing when it is dead already. */
  kill(): Promise<void>
  /** On the same port; its data is what `appendonly` kept. */
  start(): Promise<void>
  /** Ends it and removes its data. */
  drop(): Promise<void>
}

/** Keys of one's own on REDIS_URL's server, else on the one that all tests share. */
export async function freshRedis(): Promise<{ url: string; prefix: string; drop(): Promise<void> }> {
  const url = process.env.REDIS_URL ?? (await shared('redis', startRedis))
  const prefix = `cordboard-test-${randomBytes(6).toString('hex')}`
  await withClient(url, (client) => client.ping())
  return { url, prefix, drop: () => withClient(url, (client) => removeKeys(client, prefix)) }
}

/** A server of one's own, for tests that break it. With `appendonly` what it acknowledged survives a kill. */
export async function startRedis(options: { appendonly?: boolean } = {}): Promise<RedisServer> {
  const { paths, env } = await binaries(REDIS)
  const program = Object.values(paths)[0] ?? ''
  const home = createHome('redis', 'KILL', null)
  const password = randomBytes(12).toString('hex')
  const file = join(home.path, 'redis.conf')
  let running: Running | null = null
  let port = 0
  const url = () => `redis://:${password}@127.0.0.1:${port}/0`

  async function start(): Promise<void> {
    const appendonly = options.appendonly ? 'appendonly yes\nappendfsync always' : 'appendonly no'
    // In a file, not in the arguments: those are seen by everybody on the machine.
    writeFileSync(
      file,
      `bind 127.0.0.1\nport ${port}\nrequirepass ${password}\ndir ${home.path}\nsave ""\n${appendonly}\nmaxmemory-policy noeviction\n`,
    )
    running ??= await run(home, [program, file], () => withClient(url(), (client) => client.ping()), env)
  }

  try {
    await onFreePort(async (free) => {
      port = free
      await start()
    })
  } catch (error) {
    await home.remove()
    throw error
  }
  const kill = async () => {
    await running?.end('SIGKILL')
    running = null
  }
  return {
    url: url(),
    kill,
    start,
    async drop() {
      await kill()
      await home.remove()
    },
  }
}

/** The prefix is random, so it may stand anywhere in the key: BullMQ's Redis Cluster form puts it between braces. */
async function removeKeys(client: Redis, prefix: string): Promise<void> {
  for await (const keys of client.scanStream({ match: `*${prefix}*`, count: 1_000 })) {
    if (Array.isArray(keys) && keys.length > 0) await client.unlink(...keys.map(String))
  }
}

async function withClient(url: string, use: (client: Redis) => Promise<unknown>): Promise<void> {
  const client = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: () => null })
  // The command that fails says why; this event says it again.
  client.on('error', () => undefined)
  try {
    await client.connect()
    await use(client)
  } finally {
    client.disconnect()
  }
}
