import { DELIVERY_STEPS } from './delivery.ts'
import type { Deps } from './deps.ts'
import {
  eraseAudit,
  eraseBatches,
  eraseCalls,
  eraseLooseAttempts,
  erasePeople,
  MOST_IDS,
  ROOM_CALLS,
} from './erase-calls.ts'
import { eraseImports, ROOM_IMPORTS } from './erase-imports.ts'
import {
  eraseCheckpoints,
  eraseFacts,
  eraseResults,
  firstId,
  ROOM as ROOM_TRANSCRIPTS,
} from './erase-transcripts.ts'
import { eraseRefusals } from './refusals.ts'
import { eraseOrphans, eraseUploads } from './uploads.ts'

/** At most this many deliveries at once. */
const ROOM = 90
/** Rounds of one run at most, where nothing else is said: retention never holds up the work. */
const ROUNDS = 100
/** An upload whose delivery was not stored by then never will be. */
const ORPHAN_MS = 3_600_000
/** A presigned link lives for an hour; people come back the next morning. */
const UNSTARTED_MS = 3 * 86_400_000
const AUDIT_MS = 2 * 31_556_952_000

/**
 * Enforces `keep`: deliveries that were used are erased with their bodies in the media store, and so is audio that was
 * handed in; imports that ended go with their verdicts; transcripts are taken out of results, calls and events; calls go with everything that belongs to them. Where no time is given for calls they stay, so
 * that "where is that call?" has an answer. Each run goes on where the last one ended, so that it costs the same however
 * much is stored; it ends early when `goesOn` says that another worker has taken over.
 */
export async function enforceRetention(
  deps: Deps,
  rounds = ROUNDS,
  goesOn: () => Promise<boolean> = async () => true,
): Promise<void> {
  const { audioMs, deliveriesMs, transcriptMs, callsMs } = deps.config.keep
  const now = deps.now()
  const repeat = async (room: number, some: () => Promise<number>) => {
    for (let run = 0; run < rounds && (await goesOn()); run += 1) if ((await some()) < room) return
  }
  await eraseRefusals(deps)
  await eraseAudit(deps, now - AUDIT_MS)
  await repeat(ROOM, () => eraseOrphans(deps, now - ORPHAN_MS))
  const imports = {
    unstarted: now - UNSTARTED_MS,
    ended: deliveriesMs === undefined ? undefined : now - deliveriesMs,
  }
  await repeat(ROOM_IMPORTS, () => eraseImports(deps, imports))
  if (audioMs !== undefined) await repeat(ROOM, () => eraseUploads(deps, now - audioMs))
  if (deliveriesMs !== undefined) {
    await repeat(ROOM, () => eraseDeliveries(deps, now - deliveriesMs, true))
    await repeat(1_000, () => eraseLooseAttempts(deps, now - deliveriesMs))
  }
  if (transcriptMs !== undefined) {
    await repeat(ROOM_TRANSCRIPTS, () => eraseResults(deps, now - transcriptMs))
    await repeat(ROOM_TRANSCRIPTS, () => eraseFacts(deps, now - transcriptMs))
    await repeat(ROOM_TRANSCRIPTS, () => eraseCheckpoints(deps, now - transcriptMs))
  }
  if (callsMs === undefined) return
  // Read or not: what is this old makes no call any more.
  await repeat(ROOM, () => eraseDeliveries(deps, now - callsMs, false))
  await repeat(ROOM_CALLS, () => eraseCalls(deps, now - callsMs))
  await repeat(MOST_IDS, () => eraseBatches(deps, now - callsMs))
  await erasePeople(deps, now - callsMs)
}

async function eraseDeliveries(deps: Deps, before: number, usedOnly: boolean): Promise<number> {
  const { db } = deps.store
  const old = await db
    .selectFrom('deliveries')
    .select(['id', 'media_id'])
    .where('id', '<', firstId('dlv', before))
    .$if(usedOnly, (query) => query.where('state', 'in', ['used', 'ignored']))
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
        .where('kind', 'in', DELIVERY_STEPS)
        .where('subject', 'in', ids)
        .$if(usedOnly, (query) => query.where('state', '=', 'done')),
    ],
  )
  // After the rows: a body without a row is garbage, a row without its body would be a broken promise.
  await deps.media.delete(old.flatMap((row) => (row.media_id === null ? [] : [row.media_id])))
  return old.length
}
