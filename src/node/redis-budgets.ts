import { createHash } from 'node:crypto'
import { type Budgets, createMemoryBudgets } from '../connector/budgets.ts'
import type { Budget, Log } from '../connector/contract.ts'

/** What is needed of a Redis client that fails fast: `connectRedis({ role: 'commands' })`. */
export interface ScriptClient {
  evalsha(sha: string, keys: number, ...keysAndArguments: string[]): Promise<unknown>
  eval(script: string, keys: number, ...keysAndArguments: string[]): Promise<unknown>
}

export interface RedisBudgetsOptions {
  redis: ScriptClient
  /** Before every key, as for the queue; in braces, so that a Redis Cluster keeps all keys of a script on one node. */
  prefix?: string
  now: () => number
  log: Log
  /** How many processes share the budgets at most: what one may take while Redis is away is its part of the limit. */
  replicas?: number
}

/** While Redis is away, one request per this time finds out whether it is back. */
const ASK_AGAIN_MS = 1000

/**
 * Takes one request of a budget: one round trip, by Redis' own clock. The keys hold the count only, not the limit: processes
 * whose limits differ for the length of a deployment still share what was taken.
 *
 * Fixed: the window's start and its count. Rolling: a list of `slot:count`, a slot being a thousandth of the window (at
 * least 1 ms), so that a budget of 250,000 a day takes the room of 1,001 entries. What is counted is the present slot and
 * all that a span of the window's length can touch before it: never too little, at most a slot too much.
 *
 * `owed` was taken while Redis was away. `seen` is the count that the caller was told last: where keys were lost since, it
 * is restored, for a window that rolls as if all of it were taken now.
 */
export const TAKE_SCRIPT = `
local book, list = KEYS[1], KEYS[2]
local rolling, limit, length = ARGV[1] == 'rolling', tonumber(ARGV[2]), tonumber(ARGV[3])
local owed, owedAt = tonumber(ARGV[4]), tonumber(ARGV[5])
local seen, seenMark, seenAt = tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function int(number) return string.format('%.0f', number) end
local kept = redis.call('HMGET', book, 'mark', 'used')
local mark, used = kept[1], tonumber(kept[2] or 0)
local wait = 0

local function close(answer, keptFor)
  redis.call('HSET', book, 'mark', mark, 'used', int(used))
  redis.call('PEXPIRE', book, int(keptFor))
  return { answer, used, mark, now }
end

if not rolling then
  local start = now - now % length
  -- A clock that was set back keeps the count, as in memory.
  if not mark or start > tonumber(mark) then used = 0 end
  mark = int(start)
  if seenMark == mark and seen > used then used = seen end
  if owedAt >= start then used = used + owed end
  if used + 1 <= limit then used = used + 1 else wait = start + length - now end
  return close(wait, length)
end

local width = math.ceil(length / 1000)
local back = math.ceil(length / width)
local slot = math.floor(now / width)
local function entry(at)
  local item = redis.call('LINDEX', list, at)
  if not item then return nil, 0 end
  local number, count = string.match(item, '(%d+):(%d+)')
  return tonumber(number), tonumber(count)
end
if not mark then
  redis.call('DEL', list)
  mark = time[1] .. '.' .. time[2]
end

local first, count = entry(0)
while first and first < slot - back do
  redis.call('LPOP', list)
  used = used - count
  first, count = entry(0)
end
if not first then used = 0 end

-- What is here, and what lies ahead of a clock that was set back, counts as taken now.
local here = 0
local last, lastCount = entry(-1)
while last and last >= slot do
  redis.call('RPOP', list)
  here = here + lastCount
  last, lastCount = entry(-1)
end
local missed = 0
if owedAt > now - length then missed = owed end
if seenMark ~= mark and seenAt > now - length and seen > used then missed = missed + seen - used end
used, here = used + missed, here + missed

if used + 1 <= limit then
  used, here = used + 1, here + 1
else
  -- The slot that has to leave before there is room; the present one is not in the list.
  local at, left = 0, used
  first, count = entry(0)
  while first and left - count + 1 > limit do
    left, at = left - count, at + 1
    first, count = entry(at)
  end
  wait = ((first or slot) + back + 1) * width - now
end
if here > 0 then redis.call('RPUSH', list, int(slot) .. ':' .. int(here)) end
local keptFor = (back + 2) * width
redis.call('PEXPIRE', list, int(keptFor))
return close(wait, keptFor)
`
const TAKE_SHA = createHash('sha1').update(TAKE_SCRIPT).digest('hex')

/** What this process knows of a budget without asking. Times are by Redis' clock. */
interface Known {
  /** As Redis said last: the count, which window or list it belongs to, and when. */
  used: number
  mark: string
  at: number
  /** Taken alone since, and the last of them. */
  owed: number
  owedAt: number
}

/**
 * Budgets that all processes share, exactly. While Redis is away each process goes on with its part of the limit, less
 * its part of what was gone when the window began; what it took is added when Redis is back.
 *
 * A Redis that lost its keys (FLUSHALL, a restart without its data) is told by the next process that asks what it saw
 * last; only what others took after that look is forgotten. In the worst case, with every process that knew gone too, one
 * window lets its limit through twice.
 */
export function createRedisBudgets(options: RedisBudgetsOptions): Budgets {
  const { redis, prefix = 'cordboard', now, log, replicas = 4 } = options
  const all = new Map<string, Known>()
  /** Redis' clock less ours: workers whose clocks differ agree on windows also while it is away. */
  let ahead = 0
  let away = false
  let askedAt = Number.NEGATIVE_INFINITY
  const alone = createMemoryBudgets({ now: () => now() + ahead })

  return {
    async take(connection, bucket, budget) {
      // Half a request cannot be sent, and less than one would have to be refused for ever.
      const limit = Math.floor(budget.limit)
      if (limit < 1) return budget.windowMs
      const name = [connection, bucket, budget.window, budget.windowMs].join(':')
      const known = all.get(name) ?? { used: 0, mark: '', at: 0, owed: 0, owedAt: 0 }
      all.set(name, known)
      if (mayAsk()) {
        const { owed } = known
        known.owed = 0
        try {
          return await ask(name, { ...budget, limit }, { ...known, owed })
        } catch (error) {
          known.owed += owed
          lost(error)
        }
      }
      return takeAlone(connection, bucket, { ...budget, limit }, known)
    },
  }

  function mayAsk(): boolean {
    if (!away) return true
    // Either direction: a clock that was set back must not keep a process away from Redis.
    if (Math.abs(now() - askedAt) < ASK_AGAIN_MS) return false
    askedAt = now()
    return true
  }

  async function ask(name: string, { limit, windowMs, window }: Budget, known: Known): Promise<number> {
    const key = `{${prefix}}:budget:${name}`
    const { owed, owedAt, used, mark, at } = known
    const given = [window, limit, windowMs, owed, owedAt, used, mark, at].map(String)
    const answer = await redis.evalsha(TAKE_SHA, 2, key, `${key}:slots`, ...given).catch((error: unknown) => {
      // After a restart, or on a node that took over, the script has to be sent once.
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
      return redis.eval(TAKE_SCRIPT, 2, key, `${key}:slots`, ...given)
    })
    const [wait, count, which, time] = answer as [number, number, string, number]
    Object.assign(all.get(name) ?? {}, { used: count, mark: which, at: time })
    ahead = time - now()
    if (away) log.info('Redis answers again: processes share their request budgets')
    away = false
    return wait
  }

  function lost(error: unknown): void {
    if (!away) {
      log.warn('Redis does not answer: request budgets are kept by each process for its part', {
        part: `1/${replicas}`,
        error: kindOf(error),
      })
    }
    away = true
    askedAt = now()
  }

  async function takeAlone(connection: string, bucket: string, budget: Budget, known: Known) {
    const { limit, windowMs, window } = budget
    const time = now() + ahead
    const from = window === 'fixed' ? Math.floor(time / windowMs) * windowMs : time - windowMs + 1
    const owed = known.owedAt >= from ? known.owed : 0
    if (known.at >= from && owed >= Math.floor((limit - known.used) / replicas)) {
      return (window === 'fixed' ? from : known.at) + windowMs - time
    }
    const part = Math.max(1, Math.floor(limit / replicas))
    const wait = await alone.take(connection, bucket, { ...budget, limit: part })
    if (wait === 0) Object.assign(known, { owed: Math.min(owed + 1, part), owedAt: time })
    return wait
  }
}

/** Never the message: it may name the server. Redis' own errors begin with a word in capitals. */
function kindOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error
  return /^[A-Z]{3,}\b/.exec(error.message)?.[0] ?? error.name
}
