import { sql } from 'kysely'
import type { CallEvent } from '../call/facts.ts'
import { type IdPrefix, newId } from '../call/ids.ts'
import type { Query } from '../store/port.ts'
import { callOf } from './call-row.ts'
import type { Deps } from './deps.ts'
import { withoutTranscript } from './keep.ts'

// Transcripts are taken out where they stand, from the place on that was reached the last time.

/** At most this many rows of a table at once. */
export const ROOM = 90

/** The results of submissions made before. */
export async function eraseResults(deps: Deps, before: number): Promise<number> {
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

/** What submissions that never got through had learned half-way; it may hold words of the call. */
export async function eraseCheckpoints(deps: Deps, before: number): Promise<number> {
  const { db } = deps.store
  const place = 'retention.checkpoints'
  const old = await db
    .selectFrom('submissions')
    .select(['id', 'checkpoint'])
    .where('id', '>', await placeOf(deps, place, ''))
    .where('id', '<', firstId('sub', before))
    .orderBy('id')
    .limit(ROOM)
    .execute()
  const last = old.at(-1)
  if (!last) return 0
  const ids = old.flatMap(({ id, checkpoint }) => (checkpoint === null ? [] : [id]))
  const erased = db.updateTable('submissions').set({ checkpoint: null }).where('id', 'in', ids)
  await deps.store.atomic([], [...(ids.length > 0 ? [erased] : []), remember(deps, place, last.id)])
  return old.length
}

/** Transcripts that the phone system brought, and what a call holds of its analysis. */
export async function eraseFacts(deps: Deps, before: number): Promise<number> {
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
export const firstId = (prefix: IdPrefix, at: number) => newId(prefix, Math.max(0, at), () => 0)

/** Where the last run ended. */
export async function placeOf({ store }: Deps, name: string, start: string): Promise<string> {
  const row = await store.db
    .selectFrom('settings')
    .select('value')
    .where('name', '=', name)
    .executeTakeFirst()
  return row?.value ?? start
}

/** Keeps how far a round of erasing has come, for the next one. */
export function remember({ store, now }: Deps, name: string, value: string): Query {
  const update = { value, updated_at: now() }
  return store.db
    .insertInto('settings')
    .values({ name, ...update })
    .onConflict((conflict) => conflict.column('name').doUpdateSet(update))
}
