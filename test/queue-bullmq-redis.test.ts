import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterEach, expect, it } from 'vitest'
import { checkRedis, connectRedis, redisProblem } from '../src/node/redis.ts'
import { createBullQueue } from '../src/queue/bullmq.ts'
import { answers, heap, LANES, logLines, until } from './kit/queue-bullmq.ts'
import { binaries, REDIS } from './services/binaries.ts'
import { startRedis } from './services/redis.ts'
import { createHome, onFreePort, run } from './services/server.ts'

const drops: Array<() => Promise<unknown>> = []
afterEach(async () => {
  for (const drop of drops.splice(0).reverse()) await drop()
})

/** A Redis Cluster of one node, which refuses a script whose keys lie in several slots as a large one does. */
async function startCluster(): Promise<string> {
  const { paths, env } = await binaries(REDIS)
  const home = createHome('redis-cluster', 'KILL', null)
  drops.push(() => home.remove())
  let url = ''
  await onFreePort(async (port) => {
    const file = join(home.path, 'redis.conf')
    writeFileSync(
      file,
      `bind 127.0.0.1\nport ${port}\ndir ${home.path}\nsave ""\ncluster-enabled yes\ncluster-announce-ip 127.0.0.1\nrequirepass a%b\n`,
    )
    url = `redis://:a%25b@127.0.0.1:${port}/?cluster=true`
    const node = new Redis(port, '127.0.0.1', { password: 'a%b' })
    node.on('error', () => undefined)
    try {
      await run(home, [Object.values(paths)[0] ?? '', file], async () => void (await node.ping()), env)
      await node.call('CLUSTER', 'ADDSLOTS', ...Array.from({ length: 16_384 }, (_, slot) => slot))
      await until(async () => String(await node.call('CLUSTER', 'INFO')).includes('cluster_state:ok'))
    } finally {
      node.disconnect()
    }
  })
  return url
}

it('rings and hears in a Redis Cluster', async () => {
  const url = await startCluster()
  const { log, lines } = logLines()
  const options = { redis: url, lanes: LANES, now: Date.now, log }
  const [web, worker] = [createBullQueue(options), createBullQueue(options)]
  drops.push(() => Promise.all([web.stop(0), worker.stop(0)]))
  await answers(web)
  const steps = heap()
  const mine = steps.worker()
  worker.work(mine.take, () => 1)
  for (const lane of LANES) {
    steps.add(lane, 1)
    web.wake([{ step: 'stp_1', lane, dueAt: Date.now() }])
  }
  await until(() => mine.taken() === LANES.length)
  steps.add('core', 1)
  web.wake([{ step: 'stp_1', lane: 'core', dueAt: Date.now() + 300 }])
  while (mine.running.length > 0) mine.end()
  await until(() => mine.taken() === LANES.length + 1)
  mine.end()
  const redis = connectRedis({ url, log, role: 'commands' })
  expect(await checkRedis(redis)).toMatchObject({ ok: true })
  redis.disconnect()
  expect(lines).toEqual([])
})

it.each([
  ['redis://10.0.0.1', null],
  ['rediss://user:p%40ss@redis.example.com:6380/3', null],
  ['redis://[::1]:6379', null],
  ['redis://:pw@a:6379/?cluster=true&node=b:6379&node=[::1]:6380', null],
  ['a:6379', 'expected redis://user:password@host:6379 or rediss://…, seen the scheme a:'],
  ['http://a:6379', 'expected redis://user:password@host:6379 or rediss://…, seen the scheme http:'],
  ['redis://a:1,b:2', 'several nodes of a cluster: ?cluster=true&node=host:port'],
  ['redis://a,b', 'further nodes of a cluster: ?cluster=true&node=host:port'],
  ['redis://a/?node=b:1', 'node= belongs to ?cluster=true'],
  ['redis://a/?cluster=true&node=x:y', 'node= must be host:port'],
  ['redis://a/?cluster=yes', 'cluster= must be true or false'],
  ['redis://a/1?cluster=true', 'a Redis Cluster has only the database 0'],
  ['redis://a/name', 'the number of a database'],
  ['redis://a/?family=6', 'only `cluster` and `node`'],
  ['redis://:50%@a', 'must be written as %25'],
])('%s: %s', (url, problem) => {
  if (problem === null) expect(redisProblem(url)).toBeNull()
  else expect(redisProblem(url)).toContain(problem)
})

it('says what is wrong with a Redis, and neither its address nor its password', async () => {
  const server = await startRedis()
  drops.push(() => server.drop())
  const { log, lines } = logLines()
  const redis = connectRedis({ url: server.url, log, role: 'commands' })
  drops.push(async () => redis.disconnect())
  expect(await checkRedis(redis)).toMatchObject({
    ok: true,
    says: expect.stringMatching(/^(Redis|Valkey) [\d.]+$/),
  })
  await redis.config('SET', 'maxmemory-policy', 'allkeys-lru')
  expect((await checkRedis(redis)).says).toContain(
    'its maxmemory-policy is allkeys-lru and must be noeviction',
  )
  await server.kill()
  const startedAt = performance.now()
  await until(async () => !(await checkRedis(redis)).ok)
  expect(performance.now() - startedAt).toBeLessThan(2_000)
  const { port, password } = new URL(server.url)
  const refused = connectRedis({ url: server.url.replace(password, 'wrong'), log, role: 'commands' })
  drops.push(async () => refused.disconnect())
  await server.start()
  await until(async () => (await checkRedis(refused)).says === 'does not answer (WRONGPASS)')
  for (const text of lines) {
    expect(text).not.toMatch(new RegExp(`${port}|${password}|wrong|127\\.0`))
  }
})

it('refuses at once what cannot be asked while Redis is away, and answers when it is back', async () => {
  const server = await startRedis()
  drops.push(() => server.drop())
  const { log } = logLines()
  const redis = connectRedis({ url: server.url, log, role: 'commands' })
  drops.push(async () => redis.disconnect())
  await until(() => redis.status === 'ready')
  await server.kill()
  await until(() => redis.status !== 'ready')
  const startedAt = performance.now()
  await expect(redis.get('a')).rejects.toThrow()
  expect(performance.now() - startedAt).toBeLessThan(50)
  await server.start()
  await until(() => redis.status === 'ready')
  expect(await redis.get('a')).toBeNull()
})
