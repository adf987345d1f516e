import { type Kysely, sql } from 'kysely'
import { CordboardError } from '../errors.ts'
import type { CallRow, CallState, Schema } from './schema.ts'

/**
 * The list of calls, newest first, as HTTP, the command line and the bench read it. Paged by the last row seen, never by
 * offset: page a thousand costs what page one costs, and a call that arrives meanwhile shifts nothing.
 */

export interface CallFilter {
  /** As phoneSearchKeys gives it: `tail`, the last seven digits, is the wider net and counts when it is there. */
  phone?: { e164?: string | undefined; tail?: string | undefined } | undefined
  connection?: string | undefined
  state?: CallState | undefined
  direction?: string | undefined
  result?: string | undefined
  /** Started at or after, before; ms since 1970. */
  from?: number | undefined
  to?: number | undefined
  /** Our id or the phone system's. */
  id?: string | undefined
}

export interface CallPage {
  /** `analysis` says only whether there is one: null or '{}'. Transcripts are long, and a list shows none. */
  rows: CallRow[]
  /** For the next page; null on the last one. */
  next: string | null
}

const MAX_LIMIT = 500

/** All but the analysis. */
const COLUMNS = [
  'id',
  'connection',
  'external_id',
  'state',
  'reason',
  'version',
  'generation',
  'flow',
  'flow_version',
  'started_at',
  'ended_at',
  'updated_at',
  'wait_until',
  'waited',
  'direction',
  'result',
  'customer_phone',
  'customer_tail',
  'agent_extension',
  'submit_hash',
  'call',
  'joined_into',
  'fence',
] as const satisfies ReadonlyArray<keyof CallRow>

export async function listCalls(
  db: Kysely<Schema>,
  filter: CallFilter,
  cursor: string | null,
  limit: number,
): Promise<CallPage> {
  const size = Math.min(Math.max(1, Math.trunc(limit)), MAX_LIMIT)
  const rows = await callsQuery(db, filter, cursor, size + 1).execute()
  const last = rows.length > size ? rows[size - 1] : undefined
  return { rows: rows.slice(0, size), next: last === undefined ? null : toCursor(last) }
}

/** The statement alone, so that a test can look at its plan. */
export function callsQuery(db: Kysely<Schema>, filter: CallFilter, cursor: string | null, limit: number) {
  const { phone, connection, state, direction, result, from, to, id } = filter
  let query = db
    .selectFrom('calls')
    .select(COLUMNS)
    .select(sql<string | null>`case when analysis is null then null else '{}' end`.as('analysis'))
    .where('joined_into', 'is', null)
  // Who has the number has its tail: the exact one could only take away calls whose country was guessed wrong.
  if (phone?.tail !== undefined) query = query.where('customer_tail', '=', phone.tail)
  else if (phone !== undefined) query = query.where('customer_phone', '=', phone.e164 ?? '')
  if (connection !== undefined) query = query.where('connection', '=', connection)
  if (state !== undefined) query = query.where('state', '=', state)
  if (direction !== undefined) query = query.where('direction', '=', direction)
  if (result !== undefined) query = query.where('result', '=', result)
  if (from !== undefined) query = query.where('started_at', '>=', from)
  if (to !== undefined) query = query.where('started_at', '<', to)
  if (id !== undefined) {
    const keyed = db.selectFrom('call_keys').select('call_id as id').where('external_id', '=', id)
    // The id of a call that was joined into another still leads to it.
    const joined = db.selectFrom('calls').select('joined_into as id').where('id', '=', id)
    // One list: of three that are joined by `or`, PostgreSQL would test every call there is.
    const own = db.selectFrom('calls').select('id').where('id', '=', id)
    query = query.where('id', 'in', joined.unionAll(keyed).unionAll(own))
  }
  if (cursor !== null) {
    const after = fromCursor(cursor)
    // A row value, which both databases turn into one range of the index.
    query = query.where(sql<boolean>`(started_at, id) < (${after.startedAt}, ${after.id})`)
  }
  return query.orderBy('started_at', 'desc').orderBy('id', 'desc').limit(limit)
}

function toCursor({ started_at, id }: { started_at: number; id: string }): string {
  return btoa(`${started_at} ${id}`).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

function fromCursor(cursor: string): { startedAt: number; id: string } {
  let text = ''
  try {
    text = atob(cursor.replaceAll('-', '+').replaceAll('_', '/'))
  } catch {
    // Falls through to the refusal below.
  }
  const [, startedAt, id] = /^(-?\d{1,15}) (\w{1,64})$/.exec(text) ?? []
  if (startedAt === undefined || id === undefined) {
    throw new CordboardError('bad_request', 'The cursor is not one of ours', {
      fix: 'Take it from `next` of the page before, unchanged',
    })
  }
  return { startedAt: Number(startedAt), id }
}
