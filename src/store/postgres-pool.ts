import pg from 'pg'
import { CordboardError } from '../errors.ts'
import { type Bind, CLOCK, checkBinds } from './binds.ts'
import { type Failure, toFailure, unavailable } from './postgres-errors.ts'
import { exchange, type Reply, type Statement } from './postgres-exchange.ts'
import { createTurns } from './turns.ts'

/** Vendors hang up after 3 s: whoever waits for a server that is away is told before that. */
export const CONNECT_MS = 2_000
/** A transaction whose client has gone, or stands still, gives its locks back. */
const IDLE_IN_TRANSACTION_MS = 10_000
const KEEP_ALIVE_AFTER_MS = 10_000
const IDLE_MS = 30_000

/** A bounded number of connections for one kind of work, so that no other kind can take them away. */
export interface Pool {
  /** In one round trip on one connection. Rejects when there is no connection; then nothing was sent. */
  run(transactions: ReadonlyArray<readonly Statement[]>): Promise<Reply[]>
  stats(): PoolStats
  end(): Promise<void>
}

export interface PoolStats {
  open: number
  idle: number
  waiting: number
}

export interface PoolOptions {
  url: string
  max: number
  statementTimeoutMs: number
  /** How long a server may say nothing before its connection is given up. */
  patienceMs: number
  /** For reading only: the server refuses the rest. */
  isReader?: boolean
}

/** Integers of ours are below 2^53; sums of them come as numeric. Bytes without what Node's Buffer adds to them. */
const TYPES = new pg.TypeOverrides()
TYPES.setTypeParser(pg.types.builtins.INT8, Number)
TYPES.setTypeParser(pg.types.builtins.NUMERIC, Number)
TYPES.setTypeParser(pg.types.builtins.BYTEA, (text: string) => {
  const bytes = Buffer.from(text.slice(2), 'hex')
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
})

/**
 * An operator may have made commits faster than the disk: what we answer 2xx for is flushed all the same. Stricter
 * settings (`remote_apply`) stay as they are.
 */
const DURABLE = {
  text: "select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'",
  query_timeout: CONNECT_MS,
}

export function createPool(options: PoolOptions): Pool {
  const { url, max, statementTimeoutMs, patienceMs, isReader = false } = options
  const pool = new pg.Pool({
    connectionString: url,
    max,
    application_name: 'cordboard',
    statement_timeout: statementTimeoutMs,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    connectionTimeoutMillis: CONNECT_MS,
    idleTimeoutMillis: IDLE_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_AFTER_MS,
    ...(isReader ? { options: '-c default_transaction_read_only=on' } : {}),
    onConnect: async (client) => {
      if (!isReader) await client.query(DURABLE)
    },
  })
  // Without a listener a connection that breaks, idle or at work, would end the process. Whoever uses it is told by its query.
  pool.on('error', () => undefined)
  pool.on('connect', (client) => client.on('error', () => undefined))

  // For pg, waiting for a connection that is in use is the same as waiting for a server; here it may take longer.
  const turns = createTurns({
    most: max,
    patienceMs,
    late: () => unavailable(`all ${max} connections were busy for ${patienceMs} ms`),
  })

  async function connect(): Promise<pg.PoolClient> {
    try {
      return await pool.connect()
    } catch (error) {
      throw noConnection(toFailure(error))
    }
  }

  return {
    async run(transactions) {
      await turns.take()
      try {
        const client = await connect()
        const replies = await exchange(client, transactions, { patienceMs, types: TYPES })
        client.release(replies.some((reply) => 'failed' in reply && reply.failed.isFatal))
        return replies
      } finally {
        turns.give()
      }
    },
    stats: () => ({ open: pool.totalCount, idle: pool.idleCount, waiting: turns.waiting() }),
    end: () => pool.end(),
  }
}

/** Wrong credentials, no such database: somebody has to correct them. */
const MISCONFIGURED: ReadonlySet<string> = new Set(['28', '3D'])

function noConnection({ state, says }: Failure): CordboardError {
  if (state === null || !MISCONFIGURED.has(state.slice(0, 2))) return unavailable(says)
  const fix = 'Correct DATABASE_URL, or the rights of this role'
  return new CordboardError('storage_unavailable', 'PostgreSQL refuses the connection', { why: says, fix })
}

/**
 * A statement as it goes over the wire. Text with U+0000 cannot be stored by PostgreSQL: vendors send it, rarely, inside
 * names, and a call must not be lost for it.
 */
export function statement(text: string, parameters: readonly unknown[], now: () => number): Statement {
  const told = parameters.map((value) => (value === CLOCK ? Math.trunc(now()) : value))
  return { text, values: checkBinds(told).map(toValue) }
}

function toValue(bind: Bind): string | Buffer | null {
  if (bind === null) return null
  if (typeof bind === 'string') return withoutNul(bind)
  if (bind instanceof Uint8Array) return Buffer.from(bind.buffer, bind.byteOffset, bind.length)
  return String(bind)
}

export const withoutNul = (text: string): string =>
  text.includes('\0') ? text.replaceAll('\0', '\ufffd') : text
