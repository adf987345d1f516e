import { sql } from 'kysely'
import type { Deps } from './deps.ts'

/** At most this many rows a sweep: retention never holds up the work. */
const ROOM = 500

/**
 * Enforces `keep`: deliveries that were used are erased with their bodies in the media store; transcripts are taken out
 * of results and calls. Calls themselves stay, so that "where is that call?" has an answer.
 */
export async function enforceRetention(deps: Deps): Promise<void> {
  await eraseDeliveries(deps)
  await eraseTranscripts(deps)
}

async function eraseDeliveries(deps: Deps): Promise<void> {
  const { deliveriesMs } = deps.config.keep
  if (deliveriesMs === undefined) return
  const { db } = deps.store
  const old = await db
    .selectFrom('deliveries')
    .select(['id', 'media_id'])
    .where('received_at', '<', deps.now() - deliveriesMs)
    .where('state', 'in', ['used', 'ignored'])
    .orderBy('id')
    .limit(90)
    .execute()
  if (old.length === 0) return
  const ids = old.map((row) => row.id)
  await deps.store.atomic(
    [],
    [
      db.deleteFrom('deliveries').where('id', 'in', ids),
      db.deleteFrom('steps').where('subject', 'in', ids).where('state', '=', 'done'),
    ],
  )
  // After the rows: a body without a row is garbage, a row without its body would be a broken promise.
  await deps.media.delete(old.flatMap((row) => (row.media_id === null ? [] : [row.media_id])))
}

async function eraseTranscripts(deps: Deps): Promise<void> {
  const { transcriptMs } = deps.config.keep
  if (transcriptMs === undefined) return
  const { db } = deps.store
  const old = await db
    .selectFrom('results')
    .select(['submission_id', 'part', 'call_id', 'analysis'])
    .where('received_at', '<', deps.now() - transcriptMs)
    .where(sql<boolean>`analysis like '%"transcript"%' or analysis like '%"raw"%'`)
    .limit(ROOM)
    .execute()
  for (const row of old) {
    const stripped = JSON.stringify(withoutTranscript(JSON.parse(row.analysis)))
    const call = await db
      .selectFrom('calls')
      .select(['analysis', 'call'])
      .where('id', '=', row.call_id)
      .executeTakeFirst()
    await deps.store.atomic(
      [],
      [
        db
          .updateTable('results')
          .set({ analysis: stripped })
          .where('submission_id', '=', row.submission_id)
          .where('part', '=', row.part),
        ...(call?.analysis
          ? [
              db
                .updateTable('calls')
                .set({ analysis: JSON.stringify(withoutTranscript(JSON.parse(call.analysis))) })
                .where('id', '=', row.call_id),
            ]
          : []),
      ],
    )
  }
}

function withoutTranscript(analysis: Record<string, unknown>): Record<string, unknown> {
  const { transcript: _transcript, raw: _raw, ...rest } = analysis
  return rest
}
