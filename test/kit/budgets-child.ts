/**
 * Run as a process by test/budgets.test.ts: `<url> <prefix> <budget as JSON> <ms>`. Takes as fast as it is let for that
 * time and prints by Redis' clock when each was taken.
 */
import { writeSync } from 'node:fs'
import { Redis } from 'ioredis'
import type { Budget } from '../../src/connector/contract.ts'
import { createRedisBudgets } from '../../src/node/redis-budgets.ts'

const [url = '', prefix = '', given = '', forMs = ''] = process.argv.slice(2)
const budget = JSON.parse(given) as Budget
const redis = new Redis(url)
const taken: number[] = []
const noted = (answer: unknown) => {
  const [wait, , , at] = answer as [number, number, string, number]
  if (wait === 0) taken.push(at)
  return answer
}
const budgets = createRedisBudgets({
  redis: {
    evalsha: (...call) => redis.evalsha(...call).then(noted),
    eval: (...call) => redis.eval(...call).then(noted),
  },
  prefix,
  now: Date.now,
  log: { debug: fail, info: fail, warn: fail, error: fail },
})

function fail(message: string): never {
  throw new Error(message)
}

// All children are up before the first takes: they contend from the start.
await redis.ping()
writeSync(1, 'ready\n')
await new Promise((resolve) => process.stdin.once('data', resolve))
const end = Date.now() + Number(forMs)
const client = async () => {
  while (Date.now() < end) await budgets.take('crm', 'default', budget)
}
await Promise.all([client(), client(), client()])
writeSync(1, `${JSON.stringify(taken)}\n`)
redis.disconnect()
process.stdin.destroy()
