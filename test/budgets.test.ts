import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Budgets, createMemoryBudgets } from '../src/connector/budgets.ts'
import type { Budget, LogFields } from '../src/connector/contract.ts'
import { connectRedis, type RedisClient } from '../src/node/redis.ts'
import { createRedisBudgets, type ScriptClient, TAKE_SCRIPT } from '../src/node/redis-budgets.ts'
import { budgetsKit, fixed, rolling } from './kit/budgets.ts'
import { type RedisServer, startRedis } from './services/redis.ts'

let server: RedisServer
let redis: Redis
beforeAll(async () => {
  server = await startRedis()
  redis = new Redis(server.url)
})
afterAll(async () => {
  redis?.disconnect()
  await server?.drop()
})

/** As the program's: fails fast, connects again by itself. */
async function connected(url: string): Promise<RedisClient> {
  const client = connectRedis({ url, log: noted().log, role: 'commands' })
  await ready(client)
  return client
}

/** Not `once` of node:events, which fails with the first try to connect. */
const ready = (client: RedisClient) => new Promise<void>((resolve) => client.once('ready', () => resolve()))

function noted() {
  const lines: string[] = []
  const note =
    (level: string) =>
    (message: string, fields: LogFields = {}) => {
      if (level !== 'debug') lines.push(`${level} ${message} ${JSON.stringify(fields)}`)
    }
  return {
    lines,
    log: { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') },
  }
}
const silent = noted().log

let installations = 0
const freshPrefix = () => `test-${++installations}`

/** The same script on a clock that is set by hand; keys do not expire, as Redis' own timers know nothing of it. */
const SCRIPT_BY_HAND = TAKE_SCRIPT.replace("redis.call('TIME')", '{ ARGV[9], ARGV[10] }').replaceAll(
  "redis.call('PEXPIRE', ",
  'pcall(tostring, ',
)
function byHand(now: () => number): ScriptClient {
  const run = (keys: number, given: string[]) =>
    redis.eval(
      SCRIPT_BY_HAND,
      keys,
      ...given,
      String(Math.floor(now() / 1000)),
      String((now() % 1000) * 1000),
    )
  return { evalsha: (_, keys, ...given) => run(keys, given), eval: (_, keys, ...given) => run(keys, given) }
}

budgetsKit('in memory', { open: (now) => createMemoryBudgets({ now }), slackMs: () => 0 })
budgetsKit('in Redis', {
  open: (now) => createRedisBudgets({ redis: byHand(now), prefix: freshPrefix(), now, log: noisy }),
  slackMs: (windowMs) => 2 * Math.ceil(windowMs / 1000),
})
/** Nothing is away there: a line would be a failed script. */
const failing = (message: string, fields: LogFields = {}): never => {
  throw new Error(`${message} ${JSON.stringify(fields)}`)
}
const noisy = { debug: failing, info: failing, warn: failing, error: failing }

/** Windows that neither begin nor end during a test. */
const ENDLESS = 1e12
const HOUR = 3_600_000
const kinds: [string, (limit: number) => Budget][] = [
  ['a fixed window', (limit) => fixed(limit, ENDLESS)],
  ['a rolling window', (limit) => rolling(limit, HOUR)],
]

const process1 = (
  prefix: string,
  more: { now?: () => number; log?: typeof silent; client?: ScriptClient } = {},
) =>
  createRedisBudgets({
    redis: more.client ?? redis,
    prefix,
    now: more.now ?? Date.now,
    log: more.log ?? silent,
  })

/** How many of `tries` are let through. */
async function through(budgets: Budgets, budget: Budget, tries: number): Promise<number> {
  let count = 0
  for (let n = 0; n < tries; n++) if ((await budgets.take('crm', 'default', budget)) === 0) count += 1
  return count
}

describe('three processes', () => {
  const windows: [string, Budget][] = [
    ['a fixed window', fixed(40, 250)],
    ['a rolling window', rolling(40, 250)],
  ]
  for (const [name, budget] of windows) {
    it(`together never exceed ${name}`, async () => {
      const prefix = freshPrefix()
      const all = await Promise.all([1, 2, 3].map(() => child(server.url, prefix, budget, 1200)))
      for (const { start } of all) start()
      const each = await Promise.all(all.map(({ taken }) => taken))
      const taken = each.flat().sort((a, b) => a - b)
      const most =
        budget.window === 'fixed'
          ? Math.max(
              ...[...Map.groupBy(taken, (at) => Math.floor(at / 250)).values()].map((group) => group.length),
            )
          : Math.max(...taken.map((from) => taken.filter((at) => at >= from && at < from + 250).length))
      expect(most).toBe(40)
      // 1,200 ms touch five to six windows of 250 ms, and all processes get a part.
      expect(taken.length).toBeGreaterThanOrEqual(4 * 40)
      for (const own of each) expect(own.length).toBeGreaterThan(0)
    })
  }
})

async function child(url: string, prefix: string, budget: Budget, forMs: number) {
  const file = fileURLToPath(new URL('./kit/budgets-child.ts', import.meta.url))
  const running = spawn(process.execPath, [file, url, prefix, JSON.stringify(budget), String(forMs)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: running.stdout })[Symbol.asyncIterator]()
  expect((await lines.next()).value).toBe('ready')
  return {
    start: () => running.stdin.write('go\n'),
    taken: lines.next().then(({ value }) => JSON.parse(String(value)) as number[]),
  }
}

describe('what stands in Redis', () => {
  it('is one or two keys of a budget, under a prefix that stays on one node of a cluster, and expires by itself', async () => {
    const prefix = freshPrefix()
    const budgets = process1(prefix)
    await budgets.take('crm', 'default', fixed(5, 200))
    await budgets.take('crm', 'search', rolling(5, 200))
    const keys = await redis.keys(`*${prefix}*`)
    expect(keys.sort()).toEqual([
      `{${prefix}}:budget:crm:default:fixed:200`,
      `{${prefix}}:budget:crm:search:rolling:200`,
      `{${prefix}}:budget:crm:search:rolling:200:slots`,
    ])
    for (const key of keys) expect(await redis.pttl(key)).toBeLessThanOrEqual(202)
    await expect.poll(() => redis.exists(...keys), { timeout: 2000 }).toBe(0)
  })

  it('has a bounded size: 250,000 a day in any 24 hours take the room of a thousand', async () => {
    const prefix = freshPrefix()
    const day = 86_400_000
    let now = Date.UTC(2026, 2, 2, 9)
    const budgets = process1(prefix, { now: () => now, client: byHand(() => now) })
    for (let n = 0; n < 5_000; n++) {
      now += Math.round((2.5 * day) / 5_000)
      await budgets.take('crm', 'default', rolling(250_000, day))
    }
    const key = `{${prefix}}:budget:crm:default:rolling:${day}:slots`
    expect(await redis.llen(key)).toBeLessThanOrEqual(1002)
    expect(await redis.memory('USAGE', key)).toBeLessThan(64 * 1024)
  })

  it('is shared also by processes whose limits differ', async () => {
    for (const [, budget] of kinds) {
      const prefix = freshPrefix()
      expect(await through(process1(prefix), budget(10), 6)).toBe(6)
      const other = process1(prefix)
      expect(await through(other, budget(4), 2)).toBe(0)
      expect(await through(other, budget(8), 4)).toBe(2)
    }
  })

  it('with a limit that was lowered, the named delay is still enough', async () => {
    let now = 5_000
    const budgets = process1(freshPrefix(), { now: () => now, client: byHand(() => now) })
    for (let n = 0; n < 10; n++) {
      now += 50
      expect(await budgets.take('crm', 'default', rolling(10, 10_000))).toBe(0)
    }
    const ms = await budgets.take('crm', 'default', rolling(3, 10_000))
    now += ms - 20
    expect(await budgets.take('crm', 'default', rolling(3, 10_000))).toBeGreaterThan(0)
    now += 20
    expect(await budgets.take('crm', 'default', rolling(3, 10_000))).toBe(0)
  })
})

describe('a Redis that lost its keys', () => {
  for (const [name, budget] of kinds) {
    it(`is told what was taken of ${name}`, async () => {
      const prefix = freshPrefix()
      const [one, two] = [process1(prefix), process1(prefix)]
      expect(await through(one, budget(10), 3)).toBe(3)
      expect(await through(two, budget(10), 4)).toBe(4)
      await redis.flushall()
      // The first looked last at three: four are forgotten until the second, which saw seven, asks again.
      expect(await through(one, budget(10), 1)).toBe(1)
      expect(await through(two, budget(10), 10)).toBe(3)
      expect(await through(one, budget(10), 10)).toBe(0)
    })
  }

  it('lets a process that knows nothing through once more, at worst', async () => {
    const prefix = freshPrefix()
    expect(await through(process1(prefix), fixed(5, ENDLESS), 9)).toBe(5)
    await redis.flushall()
    expect(await through(process1(prefix), fixed(5, ENDLESS), 9)).toBe(5)
  })

  it('and its scripts is sent them again', async () => {
    const prefix = freshPrefix()
    const budgets = process1(prefix, { log: noisy })
    expect(await through(budgets, fixed(5, ENDLESS), 2)).toBe(2)
    await redis.script('FLUSH')
    expect(await through(budgets, fixed(5, ENDLESS), 9)).toBe(3)
  })
})

describe('a Redis that is away', () => {
  let own: RedisServer
  let client: RedisClient
  let skew = 0
  const now = () => Date.now() + skew
  beforeEach(async () => {
    skew = 0
    own = await startRedis()
    client = await connected(own.url)
  })
  afterEach(async () => {
    client.disconnect()
    await own.drop()
  })
  const killed = async () => {
    const gone = once(client, 'close')
    await own.kill()
    await gone
  }
  const back = async () => {
    const isReady = ready(client)
    await own.start()
    await isReady
    // The next request may ask whether it is back.
    skew += 1000
  }

  for (const [name, budget] of kinds) {
    it(`leaves each process its part of what is left of ${name}, and gets it added when it is back`, async () => {
      const { lines, log } = noted()
      const prefix = freshPrefix()
      const made = { now, log, client }
      const budgets = process1(prefix, made)
      expect(await through(budgets, budget(100), 20)).toBe(20)
      await killed()
      // A quarter of the eighty that were left.
      expect(await through(budgets, budget(100), 50)).toBe(20)
      const { length } = lines
      expect(length).toBe(1)
      expect(lines[0]).toMatch(/^warn Redis does not answer: .*"part":"1\/4"/)
      await back()
      expect(await through(budgets, budget(100), 100)).toBe(60)
      expect(lines.slice(1)).toEqual(['info Redis answers again: processes share their request budgets {}'])
      // The count itself was restored, not only what this process remembers.
      expect(await through(process1(prefix, { client }), budget(100), 5)).toBe(0)
      expect(lines.join('\n')).not.toContain('127.0.0.1')
    })
  }

  it('leaves a process that knows of no take its part of the limit, and never less than one', async () => {
    await killed()
    const budgets = process1(freshPrefix(), { now, client })
    expect(await through(budgets, rolling(100, HOUR), 50)).toBe(25)
    expect(await through(budgets, rolling(3, 2 * HOUR), 5)).toBe(1)
    const refused = await budgets.take('crm', 'default', rolling(3, 2 * HOUR))
    expect(refused).toBeGreaterThan(HOUR)
    skew += refused
    expect(await budgets.take('crm', 'default', rolling(3, 2 * HOUR))).toBe(0)
  })

  it('gives the remaining part back window by window', async () => {
    const budgets = process1(freshPrefix(), { now, client })
    expect(await through(budgets, rolling(8, HOUR), 20)).toBe(8)
    await killed()
    const ms = await budgets.take('crm', 'default', rolling(8, HOUR))
    expect(ms).toBeGreaterThan(HOUR - 60_000)
    skew += ms
    expect(await through(budgets, rolling(8, HOUR), 20)).toBe(2)
  })

  it('is one line in the log, however long it lasts', async () => {
    const { lines, log } = noted()
    const budgets = process1(freshPrefix(), { now, log, client })
    await killed()
    for (let n = 0; n < 5; n++) {
      await through(budgets, fixed(1000, ENDLESS), 2)
      skew += 1000
    }
    expect(lines.length).toBe(1)
  })

  it('costs no time after the first request', async () => {
    const budgets = process1(freshPrefix(), { now, client })
    await through(budgets, fixed(1_000_000, ENDLESS), 1)
    const hung = Number(/process_id:(\d+)/.exec(await client.info('server'))?.[1])
    process.kill(hung, 'SIGSTOP')
    try {
      await through(budgets, fixed(1_000_000, ENDLESS), 1)
      const from = performance.now()
      expect(await through(budgets, fixed(1_000_000, ENDLESS), 1_000)).toBe(1_000)
      expect(performance.now() - from).toBeLessThan(200)
    } finally {
      process.kill(hung, 'SIGCONT')
    }
  })

  it('leaves workers whose clocks differ with the same windows', async () => {
    const prefix = freshPrefix()
    const skewed = [-600_000, 0, 600_000].map((by) => process1(prefix, { now: () => now() + by, client }))
    for (const one of skewed) expect(await through(one, fixed(12, ENDLESS), 4)).toBe(4)
    // All have seen that nothing is left.
    for (const one of skewed) expect(await through(one, fixed(12, ENDLESS), 1)).toBe(0)
    await killed()
    const waits = await Promise.all(skewed.map((one) => one.take('crm', 'default', fixed(12, ENDLESS))))
    expect(Math.min(...waits)).toBeGreaterThan(0)
    expect(Math.max(...waits) - Math.min(...waits)).toBeLessThan(5_000)
  })

  it('is asked again after the clock was set back, too', async () => {
    const { lines, log } = noted()
    const budgets = process1(freshPrefix(), { now, log, client })
    await killed()
    await through(budgets, fixed(100, ENDLESS), 1)
    await back()
    skew -= HOUR
    await through(budgets, fixed(100, ENDLESS), 1)
    expect(lines.map((line) => line.split(' ')[0])).toEqual(['warn', 'info'])
  })
})
