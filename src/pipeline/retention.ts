import { sql } from 'kysely'
import type { Analysis } from '../call/analysis.ts'
import type { CallEvent } from '../call/facts.ts'
import { newId } from '../call/ids.ts'
import type { Query } from '../store/port.ts'
import { callOf } from './call-row.ts'
import type { Deps } from './deps.ts'

/** At most this many rows of a table at once, and this many times in one run: retention never holds up the work. */
const ROOM = 90
const RUNS = 100

/**
 * Enforces `keep`: deliveries that were used are erased with their bodies in the media store; transcripts are taken out of
 * results, calls and events. Calls themselves stay, so that "where is that call?" has an answer. Each run goes on where the
 * last one ended, so that it costs the same however much is stored.
 */
export async function enforceRetention(deps: Deps): Promise<void> {
  const { deliveriesMs, transcriptMs } = deps.config.keep
  if (deliveriesMs !== undefined) await repeat(() => eraseDeliveries(deps, deps.now() - deliveriesMs))
  if (transcriptMs === undefined) return
  const before = deps.now() - transcriptMs
  await repeat(() => eraseResults(deps, before))
  await repeat(() => eraseFacts(deps, before))
}

/** What of a result may still be kept, by the age of its submission. */
export function keptOf(deps: Pick<Deps, 'config' | 'now'>, since: number, analysis: Analysis): Analysis {
  return isPast(deps, since) ? withoutTranscript(analysis) : analysis
}

/** Whether transcripts of this age are no longer kept. */
export function isPast({ config, now }: Pick<Deps, 'config' | 'now'>, since: number): boolean {
  return config.keep.transcriptMs !== undefined && since < now() - config.keep.transcriptMs
}

function withoutTranscript({ transcript: _transcript, raw: _raw, ...rest }: Analysis): Analysis {
  return rest
}

async function repeat(some: () => Promise<number>): Promise<void> {
  for (let run = 0; run < RUNS; run += 1) if ((await some()) < ROOM) return
}

async function eraseDeliveries(deps: Deps, before: number): Promise<number> {
  const { db } = deps.store
  const old = await db
    .selectFrom('deliveries')
    .select(['id', 'media_id'])
    .where('id', '<', firstId('dlv', before))
    .where('state', 'in', ['used', 'ignored'])
    .orderBy('id')
    .limit(ROOM)
    .execute()
  if (old.length === 0) return 0
  const ids = old.map((row) => row.id)
  await deps.store.atomic(
    [],
    [
      db.deleteFrom('deliveries').where('id', 'in', ids),
      db
        .deleteFrom('steps')
        .where('kind', 'in', ['merge', 'callback'])
        .where('subject', 'in', ids)
        .where('state', '=', 'done'),
    ],
  )
  // After the rows: a body without a row is garbage, a row without its body would be a broken promise.
  await deps.media.delete(old.flatMap((row) => (row.media_id === null ? [] : [row.media_id])))
  return old.length
}

async function eraseResults(deps: Deps, before: number): Promise<number> {
  const { db } = deps.store
  const place = 'retention.results'
  const old = await db
    .selectFrom('results')
    .select(['submission_id', 'part', 'call_id', 'analysis'])
    .where('submission_id', '>', await placeOf(deps, place, ''))
    .where('submission_id', '<', firstId('sub', before))
    .orderBy('submission_id')
    .limit(ROOM)
    .execute()
  const last = old.at(-1)
  if (!last) return 0
  const queries: Query[] = []
  for (const row of old) {
    const stripped = JSON.stringify(withoutTranscript(JSON.parse(row.analysis)))
    queries.push(
      db
        .updateTable('results')
        .set({ analysis: stripped })
        .where('submission_id', '=', row.submission_id)
        .where('part', '=', row.part),
    )
  }
  const calls = await db
    .selectFrom('calls')
    .select(['id', 'analysis'])
    .where('id', 'in', [...new Set(old.map((row) => row.call_id))])
    .execute()
  for (const { id, analysis } of calls) {
    if (analysis === null) continue
    const stripped = JSON.stringify(withoutTranscript(JSON.parse(analysis)))
    queries.push(db.updateTable('calls').set({ analysis: stripped }).where('id', '=', id))
  }
  // A submission has few parts; its last ones may stand behind the limit and are looked at again.
  const reached = old.length < ROOM ? last.submission_id : (old.at(-3)?.submission_id ?? last.submission_id)
  await deps.store.atomic([], [...queries, remember(deps, place, reached)])
  return old.length
}

/** Transcripts that the phone system brought, and what a call holds of its analysis. */
async function eraseFacts(deps: Deps, before: number): Promise<number> {
  const { db } = deps.store
  const place = 'retention.calls'
  const [startedAt = '0', id = ''] = (await placeOf(deps, place, '0 ')).split(' ')
  const old = await db
    .selectFrom('calls')
    .select(['id', 'started_at', 'call', 'analysis'])
    .where('joined_into', 'is', null)
    .where(sql<boolean>`(started_at, id) > (${Number(startedAt)}, ${id})`)
    .where('started_at', '<', before)
    .orderBy('started_at')
    .orderBy('id')
    .limit(ROOM)
    .execute()
  const last = old.at(-1)
  if (!last) return 0
  const queries: Query[] = []
  for (const row of old) {
    const { transcript, ...call } = callOf(row)
    const analysis = row.analysis === null ? null : withoutTranscript(JSON.parse(row.analysis))
    if (transcript === undefined && JSON.stringify(analysis) === (row.analysis ?? 'null')) continue
    const stripped = {
      call: JSON.stringify(call),
      analysis: analysis === null ? null : JSON.stringify(analysis),
    }
    queries.push(db.updateTable('calls').set(stripped).where('id', '=', row.id))
  }
  const events = await db
    .selectFrom('events')
    .select(['connection', 'event_key', 'event'])
    .where(
      'call_id',
      'in',
      old.map((row) => row.id),
    )
    .where('event', 'like', '%"transcript"%')
    .execute()
  for (const row of events) {
    const event = JSON.parse(row.event) as CallEvent
    const { transcript: _, ...facts } = event.facts
    queries.push(
      db
        .updateTable('events')
        .set({ event: JSON.stringify({ ...event, facts }) })
        .where('connection', '=', row.connection)
        .where('event_key', '=', row.event_key),
    )
  }
  await deps.store.atomic([], [...queries, remember(deps, place, `${last.started_at} ${last.id}`)])
  return old.length
}

/** The least id that can have been made at this time. */
const firstId = (prefix: 'dlv' | 'sub', at: number) => newId(prefix, Math.max(0, at), () => 0)

async function placeOf({ store }: Deps, name: string, start: string): Promise<string> {
  const row = await store.db
    .selectFrom('settings')
    .select('value')
    .where('name', '=', name)
    .executeTakeFirst()
  return row?.value ?? start
}

function remember({ store, now }: Deps, name: string, value: string): Query {
  const update = { value, updated_at: now() }
  return store.db
    .insertInto('settings')
    .values({ name, ...update })
    .onConflict((conflict) => conflict.column('name').doUpdateSet(update))
}
