import type { D1Database, D1PreparedStatement } from '@cloudflare/workers-types'
import { type Bind, CLOCK, checkBinds, misuse } from './binds.ts'
import { type Failure, toFailure } from './d1-errors.ts'
import { within } from './turns.ts'

/** One request to D1: a statement, or several in one transaction. */

export interface Statement {
  sql: string
  parameters: readonly unknown[]
}

export type Row = Record<string, unknown>
export type Reply = { rows: Row[][] } | { failed: Failure }

/** D1's limit, for each statement: https://developers.cloudflare.com/d1/platform/limits/ (2026-11). */
const MOST_PARAMETERS = 100

/** Throws what is wrong with a statement before it is sent, so that nobody shares a request with it. */
export function checkStatement({ sql, parameters }: Statement): void {
  const told = parameters.filter((value) => value !== CLOCK)
  for (const bind of checkBinds(told)) toValue(bind)
  if (parameters.length > MOST_PARAMETERS) {
    const start = sql.trim().slice(0, 60)
    throw misuse(
      `A statement has ${parameters.length} parameters, D1 takes ${MOST_PARAMETERS}: split it (${start}…)`,
    )
  }
}

/** Never rejects. An answer that takes longer than `patienceMs` is not waited for; what was sent may still happen. */
export async function exchange(
  database: D1Database,
  statements: readonly Statement[],
  { now, patienceMs }: { now: () => number; patienceMs: number },
): Promise<Reply> {
  try {
    const prepared = statements.map((statement) => prepare(database, statement, now))
    const answer = send(database, prepared)
    return { rows: await within(patienceMs, answer, () => new Error(`no answer in ${patienceMs} ms`)) }
  } catch (thrown) {
    return { failed: toFailure(thrown) }
  }
}

async function send(database: D1Database, prepared: D1PreparedStatement[]): Promise<Row[][]> {
  const [first] = prepared
  if (first === undefined) return []
  // By itself, a statement that only reads is tried again by D1 when its connection breaks.
  const results = prepared.length === 1 ? [await first.all<Row>()] : await database.batch<Row>(prepared)
  return results.map((result) => result.results.map(withBytes))
}

function prepare(database: D1Database, { sql, parameters }: Statement, now: () => number) {
  const told = parameters.map((value) => (value === CLOCK ? Math.trunc(now()) : value))
  return database.prepare(sql).bind(...checkBinds(told).map(toValue))
}

/** Integers come back as numbers, so that one beyond 2^53 would be another one after it was stored. */
function toValue(bind: Bind): Exclude<Bind, bigint> {
  if (typeof bind !== 'bigint') return bind
  const number = Number(bind)
  if (Number.isSafeInteger(number)) return number
  throw misuse('A bigint beyond 2^53 cannot be stored in D1 exactly: store it as text')
}

/** Bytes come as arrays of numbers; nothing else that SQLite stores comes as an array. */
function withBytes(row: Row): Row {
  for (const [column, value] of Object.entries(row)) {
    if (Array.isArray(value) || value instanceof ArrayBuffer) row[column] = new Uint8Array(value)
  }
  return row
}
