import { idTime, newId } from '../call/ids.ts'
import type { Signer } from '../connector/platform.ts'
import type { Query, Store } from '../store/port.ts'
import type { CallRow } from '../store/schema.ts'
import { callOf } from './call-row.ts'
import type { Deps } from './deps.ts'
import { hashOf } from './hash.ts'

// A store that was put back from an older copy has forgotten what was done since the copy was made. What may have been
// done is then looked for before it is done: that it stands nowhere in our rows means nothing.

const RESTORED = 'store.restored'

/** Clocks of vendors differ from ours by less than this. */
const SKEW_MS = 600_000
/** Senders repeat what was not taken for about this long: a call without a time of its own may be that old. */
const SENT_AGAIN_MS = 3 * 86_400_000
/** A call that was joined together has a few ids; more are not asked for. */
const MOST_IDS = 5

/** When the store was last put back; null: never. */
export async function restoredAt({ db }: Pick<Store, 'db'>): Promise<number | null> {
  const row = await db.selectFrom('settings').select('value').where('name', '=', RESTORED).executeTakeFirst()
  return row === undefined ? null : Number(row.value)
}

/** Says that the store was put back, and that whatever worked on the lost one had stopped by then. */
export function markRestored({ db }: Pick<Store, 'db'>, at: number): Query {
  const update = { value: String(at), updated_at: at }
  return db
    .insertInto('settings')
    .values({ name: RESTORED, ...update })
    .onConflict((conflict) => conflict.column('name').doUpdateSet(update))
}

/** What may have been done for a call without its rows knowing of it. */
export interface Doubt {
  /** It was done before this, if it was. */
  before: number
  /** The ids at the phone system under which the call may have been known then, today's first. */
  externalIds: readonly string[]
}

/** Null for calls that began after the store was put back, which are nearly all. */
export async function doubtOf({ store }: Pick<Deps, 'store'>, row: CallRow): Promise<Doubt | null> {
  const before = await restoredAt(store)
  if (before === null) return null
  const { startedAt, answeredAt, endedAt } = callOf(row)
  const began = startedAt ?? answeredAt ?? endedAt
  const since = began === undefined ? row.started_at - SENT_AGAIN_MS : Date.parse(began)
  if (since > before + SKEW_MS) return null
  return { before, externalIds: await externalIdsOf(store, row) }
}

/**
 * The same of a call that was told of when it was older than calls are kept, by a backfill most likely: it may have been
 * written once, and erased by its age.
 */
export async function doubtByAge(
  { store, config }: Pick<Deps, 'store' | 'config'>,
  row: CallRow,
): Promise<Doubt | null> {
  const { callsMs } = config.keep
  const heardAt = idTime(row.id)
  if (callsMs === undefined || !(row.started_at < heardAt - callsMs)) return null
  return { before: heardAt, externalIds: await externalIdsOf(store, row) }
}

async function externalIdsOf(store: Pick<Store, 'db'>, row: CallRow): Promise<string[]> {
  const keys = await store.db
    .selectFrom('call_keys')
    .select('external_id')
    .where('connection', '=', row.connection)
    .where('call_id', '=', row.id)
    .orderBy('external_id')
    .limit(MOST_IDS)
    .execute()
  return [...new Set([row.external_id, ...keys.map((key) => key.external_id)])]
}

/** Whether a person has said since then that the call's work is to be done again: then they have looked. */
export async function wasRerunSince({ store }: Pick<Deps, 'store'>, callId: string, at: number) {
  const rerun = await store.db
    .selectFrom('audit')
    .select('id')
    .where('action', '=', 'rerun')
    .where('subject', '=', callId)
    .where('at', '>=', at)
    .limit(1)
    .executeTakeFirst()
  return rerun !== undefined
}

/**
 * The id of a call's record in a CRM, which vendors keep beside what we write. Made from the phone system's id and not by
 * chance: a call that is heard of again by a store that has forgotten it gets the same one. It has no time.
 */
export async function writebackId(
  signer: Signer,
  call: Pick<CallRow, 'connection' | 'external_id'>,
  crm: string,
): Promise<string> {
  return newId('wbk', 0, await drawn(signer, ['write', call.connection, call.external_id, crm]))
}

/**
 * The id of a submission: the time, by which retention finds it, and a rest that a store that has forgotten the submission
 * would draw again. `nth`: how many of this call this backend was given before.
 */
export async function submissionId(
  { signer, now }: Pick<Deps, 'signer' | 'now'>,
  call: Pick<CallRow, 'connection' | 'external_id'>,
  given: { to: string; content: string; nth: number },
): Promise<string> {
  const { to, content, nth } = given
  return newId(
    'sub',
    now(),
    await drawn(signer, ['submit', call.connection, call.external_id, to, content, nth]),
  )
}

/** The part of a submission's id that stays the same: what its file is called at the vendor. */
export const stableName = (submission: string): string => `sub_${submission.slice(-16)}`

/** In place of chance: numbers in [0, 1) that follow from the words, two of 40 bits. */
async function drawn(signer: Signer, words: readonly (string | number)[]): Promise<() => number> {
  const hex = await hashOf(signer, words)
  let at = 0
  return () => {
    at += 10
    return Number.parseInt(hex.slice(at - 10, at), 16) / 2 ** 40
  }
}
