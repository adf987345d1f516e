import type { CrmRecord, CrmRole, PlannedPart, WritePart } from '../connector/crm-role.ts'
import { asCordboardError, CordboardError } from '../errors.ts'
import type { Guard } from '../store/port.ts'
import type { CallRow, WritebackPartRow, WritebackRow } from '../store/schema.ts'
import { hashOf } from './hash.ts'
import { type Doubt, wasRerunSince, writebackId } from './restored.ts'
import type { Running } from './step.ts'
import { sendingWith } from './unseen.ts'

/** One write-back under way. */
export interface Writing {
  running: Running
  role: CrmRole<unknown>
  writeback: WritebackRow
  /** The call as it was read: nothing new is begun on facts that have changed. */
  row: CallRow
  /** Set when parts may stand that the store knows nothing of: it was put back from an older copy, or has erased the call. */
  doubt: Doubt | null
}

/** A part that stands in the CRM, or when it is tried again. */
export type Written = { id: string; says: string | null } | { again: number; says: string }

/**
 * Writes one part, once: the intent is saved before anything is sent; after an end that nobody saw, the CRM is asked, for
 * at least as long as its index may lag, before anything is sent again.
 */
export async function writePart(
  writing: Writing,
  planned: PlannedPart,
  record: CrmRecord,
  written: Readonly<Record<string, string>>,
): Promise<Written> {
  const { running, role, writeback, row } = writing
  const { deps } = running
  const hash = await hashOf(deps.signer, { fields: planned.fields, target: record.target })
  const known = await partOf(running, writeback.id, planned.key)
  const own = planned.kind === 'call' ? record.logged?.id : undefined
  const externalId = known?.external_id ?? own ?? null
  if (externalId !== null && known?.hash === hash) return { id: externalId, says: null }
  // The CRM's own record of the call, to which nothing is added.
  if (own !== undefined && known === undefined && Object.keys(planned.fields).length === 0)
    return { id: own, says: null }

  const part: WritePart = { ...planned, externalId, idempotencyKey: `${writeback.id}-${planned.key}` }
  const stands = async (id: string) => {
    const lengths = Object.entries(planned.fields).map(([name, value]) => [name, value.length])
    const fields = JSON.stringify(Object.fromEntries(lengths))
    const row = { external_id: id, intent_at: null, hash, fields, written_at: deps.now() }
    await savePart(running, writeback.id, planned, row)
    return id
  }

  /** What was found holds what was sent then; what has changed since is written now. */
  const found = async (id: string, sent: string | null, says: string): Promise<Written> => {
    await savePart(running, writeback.id, planned, { external_id: id, intent_at: null, hash: sent })
    const result = await writePart(writing, planned, record, written)
    return 'again' in result
      ? result
      : { id: result.id, says: result.says ? `${says}, ${result.says}` : says }
  }

  const sentBefore = externalId === null ? await mayHaveBeenSent(writing, known) : null
  if (sentBefore !== null) {
    const id = await findPart(writing, part, record, written)
    // What a lost store wrote last is not known: it is written over.
    const sent = writing.doubt === null ? (known?.hash ?? null) : null
    if (id !== null) return found(id, sent, 'found: an earlier attempt got through')
    const visibleAt = sentBefore + role.indexLagMs
    if (deps.now() < visibleAt) {
      return {
        again: visibleAt,
        says: `waits until the ${planned.kind} of an attempt with an unknown end would show`,
      }
    }
  }
  if (externalId === null) {
    const guard: Guard = { call: row.id, version: row.version }
    await savePart(running, writeback.id, planned, { intent_at: deps.now(), hash }, guard)
  }
  const sending = sendingWith(running.context())
  let id: string
  try {
    id = (await role.write(part, record, written, sending.context)).id
  } catch (thrown) {
    const error = asCordboardError(thrown)
    if (externalId !== null) throw await updateFailed(running, writeback.id, planned, error)
    if (error.code === 'duplicate' && role.find) {
      const there = await role.find(part, record, written, running.context())
      if (there !== null) return found(there, null, 'found: it was there already')
      // It is there, and does not show yet: the intent stays, so that it is looked for again first.
      throw new CordboardError('duplicate', error.message, { retry: 'later', cause: error })
    }
    if (!running.signal.aborted) {
      const none = { intent_at: null, hash: null }
      // Until its caller has gone the CRM may carry out what was sent: its index has its time from then on.
      const fields = sending.isHarmless(error) ? none : { intent_at: deps.now() }
      await savePart(running, writeback.id, planned, fields)
    }
    throw error
  }
  return { id: await stands(id), says: externalId === null ? 'created' : 'updated' }
}

/**
 * The latest moment at which a part that has no id may have been sent without its end being known: null when it certainly
 * was not.
 */
async function mayHaveBeenSent(
  { doubt, row, role, running }: Writing,
  known: WritebackPartRow | undefined,
): Promise<number | null> {
  const intentAt = known?.intent_at ?? null
  if (doubt === null) return intentAt
  // Where the CRM cannot be asked, a person is; when they say do it again, they have looked.
  const isSure = !role.find && intentAt === null && (await wasRerunSince(running.deps, row.id, doubt.before))
  return isSure ? null : Math.max(intentAt ?? 0, doubt.before)
}

/** Asks the CRM for the part, under each key that it may have been sent with. */
async function findPart(
  { running, role, writeback, row, doubt }: Writing,
  part: WritePart,
  record: CrmRecord,
  written: Readonly<Record<string, string>>,
): Promise<string | null> {
  const { deps, connection } = running
  if (!role.find) {
    const why = doubt === null ? '' : 'The store was put back from an older copy. '
    throw new CordboardError(
      'ambiguous',
      `${why}It is not known whether the ${part.kind} was created, and ${connection.connector.name} cannot be asked`,
    )
  }
  const others = (doubt?.externalIds ?? []).map((external_id) =>
    writebackId(deps.signer, { ...row, external_id }, connection.id),
  )
  for (const id of new Set([writeback.id, ...(await Promise.all(others))])) {
    const asked = { ...part, idempotencyKey: `${id}-${part.key}` }
    const found = await role.find(asked, record, written, running.context())
    // A contact has no place for a key: it is looked for once.
    if (found !== null || part.kind === 'contact') return found
  }
  return null
}

/** The hash of a part whose record is no longer there. */
export const DELETED = 'deleted'

/** A record that was deleted over there is not made anew behind its deleter's back; a person’s rerun makes it. */
async function updateFailed(
  running: Running,
  writebackId: string,
  planned: PlannedPart,
  error: CordboardError,
): Promise<CordboardError> {
  if (error.code !== 'not_found' && error.code !== 'gone') return error
  await savePart(running, writebackId, planned, { hash: DELETED })
  const fix = 'If it was deleted by mistake, rerun the call from write: it is made anew'
  return new CordboardError(error.code, `The ${planned.kind} is no longer there`, { cause: error, fix })
}

/** A part as it is stored; undefined when it was never begun. */
export function partOf(
  { deps }: Running,
  writebackId: string,
  key: string,
): Promise<WritebackPartRow | undefined> {
  return deps.store.db
    .selectFrom('writeback_parts')
    .selectAll()
    .where('writeback_id', '=', writebackId)
    .where('part', '=', key)
    .executeTakeFirst()
}

async function savePart(
  running: Running,
  writebackId: string,
  { key, kind }: PlannedPart,
  fields: Partial<WritebackPartRow>,
  guard?: Guard,
): Promise<void> {
  const empty = { intent_at: null, external_id: null, hash: null, fields: null, written_at: null }
  const query = running.deps.store.db
    .insertInto('writeback_parts')
    .values({ writeback_id: writebackId, part: key, kind, ...empty, ...fields })
    .onConflict((conflict) => conflict.columns(['writeback_id', 'part']).doUpdateSet(fields))
  await running.commit([query], guard ? [guard] : [])
}
