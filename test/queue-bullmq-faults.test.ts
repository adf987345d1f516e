import { Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, it } from 'vitest'
import { createBullQueue } from '../src/queue/bullmq.ts'
import type { Queue } from '../src/queue/port.ts'
import { answers, heap, LANES, logLines, sleep, startChild, until } from './kit/queue-bullmq.ts'
import { freshRedis, startRedis } from './services/redis.ts'

const drops: Array<() => Promise<unknown>> = []
afterEach(async () => {
  for (const drop of drops.splice(0).reverse()) await drop()
})

function later<T extends { drop(): Promise<unknown> }>(made: T): T {
  drops.push(() => made.drop())
  return made
}

/** Ends its steps, so that its stop is quick. */
function queueOn(redis: { url: string; prefix?: string }) {
  const logged = logLines()
  const { url, prefix = 'cordboard' } = redis
  const queue = createBullQueue({ redis: url, prefix, lanes: LANES, now: Date.now, log: logged.log })
  drops.push(() => queue.stop(0))
  return { queue, lines: logged.lines }
}

const bell = (lane = 'core') => [{ step: 'stp_1', lane, dueAt: Date.now() }]

async function wakeMs(queue: Queue): Promise<number> {
  const startedAt = performance.now()
  for (let n = 0; n < 100; n++) queue.wake(bell())
  await sleep(0)
  return (performance.now() - startedAt) / 100
}

describe('a Redis that forgets', () => {
  it('at any moment costs bells, never the hearing of those that follow', async () => {
    const redis = later(await startRedis())
    const { queue: web } = queueOn(redis)
    const { queue: worker } = queueOn(redis)
    await answers(web)
    const steps = heap()
    const mine = steps.worker()
    worker.work(mine.take, () => 50)
    const flusher = new Redis(redis.url)
    drops.push(async () => flusher.disconnect())
    for (let n = 0; n < 200; n++) {
      web.wake([...bell(), { step: 'stp_2', lane: 'core', dueAt: Date.now() + 300 }])
      if (n % 3 === 0) await flusher.flushall()
      else await sleep(1)
    }
    steps.add('core', 1)
    const startedAt = Date.now()
    // The sweep of a worker elsewhere, ringing again.
    await until(() => {
      web.wake(bell())
      return mine.taken() === 1
    }, 3_000)
    expect(Date.now() - startedAt).toBeLessThan(3_000)
  })

  it('and is killed and comes back empty is heard again without help', async () => {
    const redis = later(await startRedis())
    const { queue: web, lines } = queueOn(redis)
    const { queue: worker } = queueOn(redis)
    await answers(web)
    const steps = heap()
    const mine = steps.worker()
    worker.work(mine.take, () => 50)
    steps.add('core', 1)
    web.wake(bell())
    await until(() => mine.taken() === 1)
    await redis.kill()
    await until(() => web.state().says.startsWith('Redis does not answer'))
    await sleep(500)
    steps.add('core', 1)
    // Rung into the void; there is a bell for it when Redis is back.
    web.wake(bell())
    await redis.start()
    await until(() => mine.taken() === 2)
    steps.add('core', 1)
    web.wake(bell())
    await until(() => mine.taken() === 3)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(/^warn Redis does not answer; work goes on without it/)
    expect(lines[0]).not.toContain('127.0.0.1')
  })
})

describe('without Redis', () => {
  it('a process that rings is not held up, and says so', async () => {
    const redis = later(await startRedis())
    const { queue } = queueOn(redis)
    await answers(queue)
    expect(await wakeMs(queue)).toBeLessThan(5)
    await redis.kill()
    expect(await wakeMs(queue)).toBeLessThan(5)
    await until(() => queue.state().says.startsWith('Redis does not answer'))
    expect(queue.state().ok).toBe(true)
    expect(await wakeMs(queue)).toBeLessThan(5)
  })

  it('one that hangs holds nobody up either', async () => {
    const redis = later(await startRedis())
    const { queue } = queueOn(redis)
    await answers(queue)
    const steps = heap()
    const mine = steps.worker()
    queue.work(mine.take, () => 1)
    const pausing = new Redis(redis.url)
    drops.push(async () => pausing.disconnect())
    await pausing.client('PAUSE', 4_000, 'ALL')
    steps.add('core', 2)
    expect(await wakeMs(queue)).toBeLessThan(5)
    await until(() => mine.taken() === 1)
    mine.end()
    await until(() => mine.taken() === 2)
    mine.end()
    const startedAt = performance.now()
    await queue.stop(1_000)
    expect(performance.now() - startedAt).toBeLessThan(3_500)
  })

  it('a process that works goes on by its own bells, also those for later', async () => {
    const { queue } = queueOn({ url: 'redis://127.0.0.1:1' })
    const steps = heap()
    const mine = steps.worker()
    queue.work(mine.take, () => 2)
    steps.add('core', 5)
    queue.wake(bell())
    for (let n = 1; n <= 5; n++) {
      await until(() => mine.running.length > 0)
      mine.end()
    }
    expect(steps.left('core')).toBe(0)
    await until(() => mine.running.length === 0)
    steps.add('core', 1)
    queue.wake([{ step: 'stp_1', lane: 'core', dueAt: Date.now() + 200 }])
    await until(() => mine.taken() === 6)
    mine.end()
    await until(() => queue.state().running === 0)
    expect(queue.state().ok).toBe(true)
  })
})

describe('two processes', () => {
  it('share a lane: what one has no room for is for the other', async () => {
    const redis = later(await freshRedis())
    const { queue: web } = queueOn(redis)
    await answers(web)
    const steps = heap()
    const children = await Promise.all([1, 2].map(() => startChild(redis, 2, steps)))
    for (const child of children) drops.push(() => child.kill())
    const waits: number[] = []
    for (let round = 0; round < 10; round++) {
      const startedAt = performance.now()
      steps.add('core', 4)
      web.wake(bell())
      await until(() => children.every(({ running }) => running === 2))
      waits.push(performance.now() - startedAt)
      // One goes on being full; the other must be found each time.
      steps.add('core', 2)
      web.wake(bell())
      const other = children[round % 2]
      other?.tell({ end: 2 })
      await until(() => steps.left('core') === 0)
      for (const child of children) child.tell({ end: 2 })
      await sleep(20)
    }
    expect(Math.max(...waits)).toBeLessThan(1_000)
  })

  it('a bell rung while all are full waits for the first that has room', async () => {
    const redis = later(await freshRedis())
    const { queue: web } = queueOn(redis)
    await answers(web)
    const steps = heap()
    const [one, two] = await Promise.all([startChild(redis, 1, steps), startChild(redis, 1, steps)])
    for (const child of [one, two]) drops.push(() => child.kill())
    steps.add('core', 2)
    web.wake(bell())
    await until(() => one.running === 1 && two.running === 1)
    await sleep(100)
    const asked = one.asked + two.asked
    steps.add('core', 1)
    web.wake(bell())
    const client = new Redis(redis.url)
    drops.push(async () => client.disconnect())
    const bellsEver = async () => Number(await client.get(`{${redis.prefix}}:core:id`))
    await sleep(200)
    expect(one.asked + two.asked).toBe(asked)
    // Nor is it handed to and fro between those who cannot answer it.
    expect(await bellsEver()).toBeLessThan(20)
    two.tell({ end: 1 })
    await until(() => two.running === 1)
  })

  it('one that is killed while it hears a bell silences the lane for a moment only', async () => {
    const redis = later(await freshRedis())
    const client = new Redis(redis.url, { maxRetriesPerRequest: null })
    const { promise: heard, resolve } = Promise.withResolvers<void>()
    const dying = new Worker(
      'core',
      () => {
        resolve()
        return new Promise(() => undefined)
      },
      {
        connection: client,
        prefix: `{${redis.prefix}}`,
        lockDuration: 5_000,
        stalledInterval: 5_000,
        skipLockRenewal: true,
      },
    )
    dying.on('error', () => undefined)
    const { queue: web } = queueOn(redis)
    await answers(web)
    web.wake(bell())
    await heard
    await Promise.all([dying.close(true), client.disconnect()])
    const { queue: worker } = queueOn(redis)
    await answers(worker)
    const steps = heap()
    const mine = steps.worker()
    worker.work(mine.take, () => 9)
    steps.add('core', 1)
    web.wake(bell())
    await sleep(100)
    expect(mine.taken()).toBe(0)
    // The sweep of a process that works does not need Redis for its own lanes.
    worker.wake(bell())
    await until(() => mine.taken() === 1)
    steps.add('core', 1)
    web.wake(bell())
    await until(() => mine.taken() === 2, 15_000)
  })
})

describe('what stands in Redis', () => {
  it('is little, however often it rings', async () => {
    const redis = later(await freshRedis())
    const { queue } = queueOn(redis)
    await answers(queue)
    const start = Date.now()
    for (let n = 0; n < 1_000; n++) {
      queue.wake([
        { step: `stp_${n}`, lane: 'core', dueAt: start },
        { step: `stp_${n}`, lane: 'core', dueAt: start + 100 * n },
      ])
      if (n % 10 === 0) await sleep(0)
    }
    const client = new Redis(redis.url)
    drops.push(async () => client.disconnect())
    const key = (name: string) => `{${redis.prefix}}:core:${name}`
    await until(async () => (await client.zcard(key('delayed'))) >= 200)
    await sleep(100)
    expect(await client.llen(key('wait'))).toBe(1)
    expect(await client.zcard(key('delayed'))).toBeLessThanOrEqual(241)
    expect(await client.xlen(key('events'))).toBeLessThanOrEqual(300)
  })

  it('is nothing but that a lane rang, and nothing when it was heard', async () => {
    const redis = later(await freshRedis())
    const { queue: web } = queueOn(redis)
    await answers(web)
    const secret = 'stp_33639980001'
    web.wake([
      { step: secret, lane: 'core', dueAt: Date.now() },
      { step: secret, lane: 'core', dueAt: Date.now() + 500 },
    ])
    const client = new Redis(redis.url)
    drops.push(async () => client.disconnect())
    const jobs = async () => (await client.keys(`{${redis.prefix}}:core:[0-9]*`)).sort()
    await until(async () => (await jobs()).length === 2)
    for (const job of await jobs()) {
      expect(await client.hgetall(job)).toMatchObject({ name: 'bell', data: '{}' })
    }
    const keys = await client.keys(`*${redis.prefix}*`)
    expect(keys.filter((key) => !key.startsWith(`{${redis.prefix}}:core:`) && !/:meta$/.test(key))).toEqual(
      [],
    )
    const dumps = await Promise.all(keys.map((key) => client.dumpBuffer(key)))
    for (const dump of dumps) expect(dump?.includes(secret)).toBe(false)

    const { queue: worker } = queueOn(redis)
    const mine = heap().worker()
    worker.work(mine.take, () => 1)
    await until(() => mine.asked.length >= 2)
    await until(async () => (await jobs()).length === 0)
    expect(await client.keys(`{${redis.prefix}}:core:d[en]:*`)).toEqual([])
  })
})

describe('a stop', () => {
  it.each([
    ['while Redis answers', 'up'],
    ['while Redis is away', 'gone'],
    ['where Redis never was', 'never'],
  ])('%s leaves nothing that keeps the process alive', async (_, redisIs) => {
    const own = redisIs === 'up' ? null : later(await startRedis())
    const redis = own ? { url: own.url, prefix: 'p' } : later(await freshRedis())
    if (redisIs === 'never') await own?.kill()
    const steps = heap()
    const child = await startChild(redis, 2, steps)
    drops.push(() => child.kill())
    steps.add('core', 1)
    child.tell({ wake: bell() })
    await until(() => child.running === 1)
    if (redisIs === 'gone') {
      await own?.kill()
      await sleep(300)
    }
    child.tell({ end: 1 })
    const startedAt = performance.now()
    child.tell({ stop: 5_000 })
    expect(await child.ended).toBe(0)
    expect(performance.now() - startedAt).toBeLessThan(2_500)
  })

  it('of a process that only rings ends it too, and the last bell is heard by others', async () => {
    const redis = later(await freshRedis())
    const { queue: worker } = queueOn(redis)
    const steps = heap()
    const mine = steps.worker()
    worker.work(mine.take, () => 1)
    const child = await startChild(redis, 0, steps)
    drops.push(() => child.kill())
    await sleep(300)
    steps.add('core', 1)
    child.tell({ wake: bell() })
    child.tell({ stop: 0 })
    expect(await child.ended).toBe(0)
    await until(() => mine.taken() === 1)
    mine.end()
  })

  it('passes on what it heard and did not answer', async () => {
    const redis = later(await freshRedis())
    const { queue: one } = queueOn(redis)
    await answers(one)
    one.work(
      () => Promise.resolve([]),
      () => 1,
    )
    one.wake(bell())
    const ended = one.stop(0)
    const { queue: two } = queueOn(redis)
    const mine = heap().worker()
    two.work(mine.take, () => 1)
    await ended
    await until(() => mine.asked.length === 1)
  })
})
