import type { CompiledQuery } from 'kysely'
import { CLOCK, checkBinds } from './binds.ts'
import type { Guard, Query, Rows } from './port.ts'
import { closed, DIVISION_BY_ZERO, isAgain, NO_ANSWER, toError } from './postgres-errors.ts'
import type { Reply, Statement } from './postgres-exchange.ts'
import { type Pool, statement } from './postgres-pool.ts'

/**
 * Guarded batches. Each is a transaction of its own, so that its locks are held no longer than it takes; those that arrive
 * together go over in one flight and share one wait for the disk: they commit without it, and the last transaction of
 * the flight, which waits, comes after them in the log. None is answered before that.
 */
export interface Atomics {
  atomic(guards: readonly Guard[], queries: readonly Query[]): Promise<Rows | 'lost'>
  stats(): { commits: number; members: number; waiting: number }
  /** Accepts no more; resolves when what was accepted is answered. */
  drain(): Promise<void>
}

interface Member {
  /** Made when they are sent: an injected clock is read then. */
  statements(): Statement[]
  /** So many of the statements are guards. */
  guards: number
  resolve(answer: Rows | 'lost'): void
  reject(error: Error): void
}

/** Everybody in a flight waits for its last one. */
const FLIGHT = 16
const TRIES = 5

const UNFLUSHED: Statement = { text: "select set_config('synchronous_commit', 'off', true)", values: [] }
/** Touches no row, but writes to the log: PostgreSQL waits for nothing at the end of a transaction that wrote nothing. */
const FLUSH: Statement = { text: "select pg_logical_emit_message(true, 'cordboard', '')", values: [] }

/** `clock`: as text, with the injected one as the parameter $3. */
export function createAtomics(
  pool: Pool,
  lanes: number,
  { clock, now }: { clock: string; now: () => number },
): Atomics {
  const waiting: Member[] = []
  let running = 0
  let isPosted = false
  let isClosing = false
  let drained: (() => void) | null = null
  let commits = 0
  let members = 0

  function arrive(): void {
    if (isPosted) return
    isPosted = true
    setImmediate(post)
  }

  function post(): void {
    isPosted = false
    while (running < lanes && waiting.length > 0) {
      running += 1
      void fly(waiting.splice(0, FLIGHT)).finally(() => {
        running -= 1
        post()
      })
    }
    if (running === 0 && waiting.length === 0) drained?.()
  }

  /** Answers every member; never rejects. */
  async function fly(flight: readonly Member[]): Promise<void> {
    try {
      const replies = await send(flight)
      const again: Member[] = []
      for (const [at, member] of flight.entries()) {
        const reply = replies[at] ?? { failed: NO_ANSWER, at: 0 }
        if (isToRepeat(reply)) again.push(member)
        else settle(member, reply)
      }
      for (const member of again) settle(member, await repeat(member))
    } catch (error) {
      for (const { reject } of flight) reject(error as Error)
    }
  }

  async function repeat(member: Member): Promise<Reply> {
    for (let tries = TRIES - 1; ; tries -= 1) {
      const [reply = { failed: NO_ANSWER, at: 0 }] = await send([member])
      if (tries === 1 || !isToRepeat(reply)) return reply
    }
  }

  async function send(flight: readonly Member[]): Promise<readonly Reply[]> {
    if (flight.length === 1) {
      const replies = await pool.run(flight.map(({ statements }) => statements()))
      commits += 1
      return replies
    }
    const replies = await pool.run([...flight.map(({ statements }) => [UNFLUSHED, ...statements()]), [FLUSH]])
    commits += 1
    const flushed = replies.at(-1)
    // What was committed may not have reached the disk.
    if (flushed !== undefined && 'failed' in flushed) return flight.map(() => flushed)
    return replies.slice(0, -1).map(withoutFirst)
  }

  return {
    atomic(guards, queries) {
      return new Promise((resolve, reject) => {
        if (isClosing) throw closed()
        members += 1
        const guarding = inOrder(guards).flatMap((guard) => guardStatements(guard, clock))
        const all = [...guarding, ...queries.map((query) => query.compile())]
        for (const { parameters } of all) checkBinds(parameters.filter((value) => value !== CLOCK))
        waiting.push({
          statements: () => all.map(({ sql, parameters }) => statement(sql, parameters, now)),
          guards: guarding.length,
          resolve,
          reject,
        })
        arrive()
      })
    },
    stats: () => ({ commits, members, waiting: waiting.length }),
    drain() {
      isClosing = true
      if (running === 0 && waiting.length === 0) return Promise.resolve()
      return new Promise((resolve) => {
        drained = resolve
      })
    },
  }
}

const isToRepeat = (reply: Reply): boolean => 'failed' in reply && isAgain(reply.failed)

function settle({ guards, resolve, reject }: Member, reply: Reply): void {
  if ('rows' in reply) resolve(reply.rows.slice(guards))
  else if (reply.failed.state === DIVISION_BY_ZERO && reply.at < guards) resolve('lost')
  else reject(toError(reply.failed))
}

/** The same without what the flight put before its statements. */
function withoutFirst(reply: Reply): Reply {
  return 'rows' in reply ? { rows: reply.rows.slice(1) } : { ...reply, at: reply.at - 1 }
}

/** Always in the same order: two that lock the same rows the other way round would wait for each other. */
function inOrder(guards: readonly Guard[]): Guard[] {
  const key = (guard: Guard) => ('step' in guard ? `0 ${guard.step}` : `1 ${guard.call}`)
  return guards.length < 2 ? [...guards] : guards.toSorted((a, b) => (key(a) < key(b) ? -1 : 1))
}

type Guarding = Pick<CompiledQuery, 'sql' | 'parameters'>

/**
 * A guard locks its row until the commit, then looks at it, and divides by zero when it does not hold: an error is what
 * ends a transaction that is already on its way. The clock is read once the lock is held: waiting for it must not make a
 * lease look younger than it is.
 */
function guardStatements(guard: Guard, clock: string): Guarding[] {
  if ('step' in guard) {
    const sql = `with held as (select lease, state, lease_until from steps where id = $1 for update)
      select 1 / count(*) from held where lease = $2 and state = 'working' and lease_until > ${clock}`
    const parameters = [guard.step, guard.lease]
    return [{ sql, parameters: clock.includes('$3') ? [...parameters, CLOCK] : parameters }]
  }
  if (guard.version > 0) {
    const sql = `with held as (select version from calls where id = $1 for update)
      select 1 / count(*) from held where version = $2`
    return [{ sql, parameters: [guard.call, guard.version] }]
  }
  // There is no row yet to be locked: its name is, and a statement of its own then sees what the one before committed.
  const sql = `with held as (select version from calls where id = $1 for update)
    select 1 / (1 - least(count(*), 1)) from held where version <> 0`
  return [
    { sql: 'select pg_advisory_xact_lock(hashtextextended($1, 0))', parameters: [`call ${guard.call}`] },
    { sql, parameters: [guard.call] },
  ]
}
