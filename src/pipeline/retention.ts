import type { Deps } from './deps.ts'
import { eraseFacts, eraseResults, firstId, ROOM } from './erase-transcripts.ts'

/** Rounds of one run at most: retention never holds up the work. */
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
