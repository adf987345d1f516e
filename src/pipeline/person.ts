import type { Call } from '../call/call.ts'
import type { CrmRecord, PlannedPart } from '../connector/crm-role.ts'
import type { Query } from '../store/port.ts'
import type { PersonRow } from '../store/schema.ts'
import { partOf, type Writing, writePart } from './write-part.ts'

/** Whoever reserved the contact tries again within this time, unless its worker or its step has died. */
const RESERVED_MS = 60_000
const LOOKS_AGAIN_MS = 2_000

type Made = { type: string; id: string } | { again: number; says: string } | null

/**
 * The contact of an unknown caller. A unique row (crm, phone) is reserved first, so that two calls at once make one
 * contact: the other waits for it, and takes over when whoever reserved it is gone.
 */
export async function person(writing: Writing, call: Call, phone: string): Promise<Made> {
  const { running, role, writeback, row } = writing
  const { deps, connection } = running
  const { db } = deps.store
  const { id: connectionId, settings: config, region } = connection
  const planned = role.newContact?.(call, { connection: connectionId, config, region })
  if (!planned) return null

  const mine = { writeback_id: writeback.id, external_type: null, external_id: null, created_at: deps.now() }
  const free = db
    .insertInto('people')
    .values({ connection: connectionId, phone, ...mine })
    .onConflict((conflict) => conflict.doNothing())
  await running.commit([free])
  const reserved = await db
    .selectFrom('people')
    .selectAll()
    .where('connection', '=', connectionId)
    .where('phone', '=', phone)
    .executeTakeFirstOrThrow()

  if (reserved.external_id !== null && reserved.external_type !== null && !isStale(writing, reserved)) {
    return becomes(writing, phone, { type: reserved.external_type, id: reserved.external_id })
  }
  if (reserved.writeback_id !== writeback.id || reserved.external_id !== null) {
    const other = await ofAnother(writing, reserved, planned, call)
    if (other === 'waits') {
      const again = deps.now() + LOOKS_AGAIN_MS
      return { again, says: 'another call of the same person is creating the contact' }
    }
    if (other !== 'free') return becomes(writing, phone, other)
  }
  // Taken over, or kept: the row says from when. Somebody else's hand on it ends this attempt.
  const [taken] = await running.commit(
    [
      db
        .updateTable('people')
        .set(mine)
        .where('connection', '=', connectionId)
        .where('phone', '=', phone)
        .where('writeback_id', '=', reserved.writeback_id)
        .where('created_at', '=', reserved.created_at)
        .returning('writeback_id'),
      ...(reserved.external_id === null ? [] : [forget(writing, planned)]),
    ],
    [{ call: row.id, version: row.version }],
  )
  if (!taken || taken.length === 0) {
    return { again: deps.now() + LOOKS_AGAIN_MS, says: 'another call of the same person came first' }
  }
  const result = await writePart(writing, planned, newcomer(call), {})
  if ('again' in result) return result
  return becomes(writing, phone, { type: typeOf(planned), id: result.id })
}

const typeOf = ({ type, kind }: PlannedPart): string => type ?? kind

/** What is written when the caller is: of the call only who it was counts. */
const newcomer = (call: Call): CrmRecord => ({ call, analysis: null, target: null, fields: {}, logged: null })

/** The CRM, asked after its index had time to show the contact, says that nobody has the number: it was deleted. */
function isStale({ role, writeback }: Writing, { created_at: at }: PersonRow): boolean {
  return writeback.matched_at !== null && writeback.matched_at - at > role.indexLagMs + RESERVED_MS
}

/** What became of somebody else's reservation: their contact, nothing, or not known yet. */
async function ofAnother(
  { running, role }: Writing,
  reserved: PersonRow,
  planned: PlannedPart,
  call: Call,
): Promise<{ type: string; id: string } | 'free' | 'waits'> {
  const { deps } = running
  if (reserved.external_id !== null) return 'free'
  const part = await partOf(running, reserved.writeback_id, planned.key)
  if (part?.external_id != null) return { type: typeOf(planned), id: part.external_id }
  if (deps.now() - reserved.created_at < RESERVED_MS) return 'waits'
  if (part?.intent_at == null) return 'free'
  // Its end is not known, and nobody has come to find out.
  if (!role.find) return 'waits'
  const sent = { ...planned, externalId: null, idempotencyKey: `${reserved.writeback_id}-${planned.key}` }
  const found = await role.find(sent, newcomer(call), {}, running.context())
  if (found !== null) return { type: typeOf(planned), id: found }
  return deps.now() < part.intent_at + role.indexLagMs ? 'waits' : 'free'
}

/** The contact that was deleted is no longer this write-back's. */
function forget({ running, writeback }: Writing, { key }: PlannedPart): Query {
  return running.deps.store.db
    .updateTable('writeback_parts')
    .set({ external_id: null, intent_at: null, hash: null })
    .where('writeback_id', '=', writeback.id)
    .where('part', '=', key)
}

/** The call's record, unless a person has chosen another one meanwhile: that one counts. */
async function becomes({ running, writeback }: Writing, phone: string, target: { type: string; id: string }) {
  const { deps, connection } = running
  const { db } = deps.store
  await running.commit([
    db
      .updateTable('people')
      .set({ external_type: target.type, external_id: target.id })
      .where('connection', '=', connection.id)
      .where('phone', '=', phone),
    db
      .updateTable('writebacks')
      .set({ target_type: target.type, target_id: target.id, target_reason: 'created for this caller' })
      .where('id', '=', writeback.id)
      .where('chosen', '=', 0),
  ])
  const { target_type: type, target_id: id } = await db
    .selectFrom('writebacks')
    .select(['target_type', 'target_id'])
    .where('id', '=', writeback.id)
    .executeTakeFirstOrThrow()
  return type === null || id === null ? target : { type, id }
}
