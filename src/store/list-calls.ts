import { type Kysely, type Selectable, sql } from 'kysely'
import { CordboardError } from '../errors.ts'
import type { CallRow, CallState, Schema } from './schema.ts'

/**
 * The list of calls, newest first, as HTTP, the command line and the bench read it. Paged by the last row seen, never by
 * offset: page a thousand costs what page one costs, and a call that arrives meanwhile shifts nothing.
 */

export interface CallFilter {
  /**
   * As phoneSearchKeys gives it: `tail` is the last seven digits. With both, those of exactly this number and those whose
   * number could not be read but ends alike. With neither, no call matches.
   */
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
  rows: Array<Selectable<CallRow>>
  /** For the next page; null on the last one. */
  next: string | null
}

const MAX_LIMIT = 500

export async function listCalls(
  db: Kysely<Schema>,
  filter: CallFilter,
  cursor: string | null,
  limit: number,
): Promise<CallPage> {
  const size = Math.min(Math.max(1, Math.trunc(limit)), MAX_LIMIT)
  // One page of each way to find them, merged here: an OR would read and sort every call of a busy number.
  const found: CallPage['rows'] = []
  for (const query of callQueries(db, filter, cursor, size + 1)) found.push(...(await query.execute()))
  found.sort((a, b) => b.started_at - a.started_at || (a.id < b.id ? 1 : -1))
  const last = found.length > size ? found[size - 1] : undefined
  return { rows: found.slice(0, size), next: last === undefined ? null : toCursor(last) }
}

/** The statements alone, so that a test can look at their plans. No call is in two of them. */
export function callQueries(db: Kysely<Schema>, filter: CallFilter, cursor: string | null, limit: number) {
  const { phone, connection, state, direction, result, from, to, id } = filter
  let query = db.selectFrom('calls').selectAll().where('joined_into', 'is', null)
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
    query = query.where((is) => is.or([is('id', '=', id), is('id', 'in', keyed), is('id', 'in', joined)]))
  }
  if (cursor !== null) {
    const after = fromCursor(cursor)
    // A row value, which both databases turn into one range of the index.
    query = query.where(sql<boolean>`(started_at, id) < (${after.startedAt}, ${after.id})`)
  }
  const page = query.orderBy('started_at', 'desc').orderBy('id', 'desc').limit(limit)
  if (phone === undefined) return [page]
  const { e164, tail } = phone
  const queries: Array<typeof page> = []
  if (e164 !== undefined) queries.push(page.where('customer_phone', '=', e164))
  if (tail !== undefined) {
    const spelled = page.where('customer_tail', '=', tail)
    queries.push(e164 === undefined ? spelled : spelled.where('customer_phone', 'is', null))
  }
  return queries
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
