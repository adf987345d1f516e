import type { Analysis } from '../call/analysis.ts'
import type { Call } from '../call/call.ts'
import type { CrmRecord, PlannedPart, WritePart } from '../connector/contract.ts'
import { asCordboardError, CordboardError, type ErrorCode } from '../errors.ts'
import type { WritebackPartRow, WritebackRow } from '../store/schema.ts'
import { callOf } from './call-row.ts'
import { closeCall } from './close.ts'
import { hashOf } from './hash.ts'
import { flowOf, type Outcome, type Running } from './step.ts'

/**
 * write: the call's record in the CRM, once. Every external creation is a part whose intent is saved before it is sent;
 * after an end that nobody saw, the CRM is asked, for at least as long as its index may lag, before anything is sent
 * again. A part that stands and has not changed is left alone, so that any number of rounds writes one record.
 */
export async function write(running: Running): Promise<Outcome> {
  const { deps, step, connection } = running
  const { db } = deps.store
  const role = connection.connector.crm
  if (!role) throw new CordboardError('config', `The connection ${connection.id} has no crm role`)
  const row = await db
    .selectFrom('calls')
    .selectAll()
    .where('id', '=', step.subject)
    .executeTakeFirstOrThrow()
  const writeback = await db
    .selectFrom('writebacks')
    .selectAll()
    .where('call_id', '=', step.subject)
    .where('connection', '=', connection.id)
    .executeTakeFirstOrThrow()
  const stored = await db
    .selectFrom('writeback_parts')
    .selectAll()
    .where('writeback_id', '=', writeback.id)
    .execute()
  const parts = new Map(stored.map((part) => [part.part, part]))
  const call = callOf(row)
  const analysis = row.analysis === null ? null : (JSON.parse(row.analysis) as Analysis)

  let target =
    writeback.target_id === null || writeback.target_type === null
      ? null
      : { type: writeback.target_type, id: writeback.target_id }
  if (!target && flowOf(deps, step.flow).unknownCaller === 'create' && call.customer?.phone) {
    const made = await person(running, writeback, parts, call, call.customer.phone)
    if (made && 'again' in made) return made
    target = made
  }

  const record: CrmRecord = { call, analysis, target }
  const planned = role.plan(record, {
    connection: connection.id,
    config: connection.settings,
    region: connection.region,
  })
  const written: Record<string, string> = {}
  const says: string[] = []
  for (const part of planned) {
    const result = await writePart(running, writeback, parts, part, record, written)
    if ('again' in result) return result
    written[part.key] = result.id
    if (result.says) says.push(`${part.key} ${result.says}`)
  }
  const done = db
    .updateTable('writebacks')
    .set({ state: 'written', written_at: deps.now() })
    .where('id', '=', writeback.id)
  return { done: says.join(', ') || 'nothing has changed', queries: [done, closeCall(deps, step)] }
}

type Written = { id: string; says: string | null } | { again: number; says: string }

/** After these the CRM has certainly done nothing: the intent is taken back. All other failures leave the end open. */
const NOTHING_HAPPENED: ReadonlySet<ErrorCode> = new Set([
  'auth',
  'forbidden',
  'not_found',
  'gone',
  'rate_limited',
  'quota',
  'invalid_payload',
  'rejected',
  'duplicate',
  'blocked_address',
  'lease_lost',
])

async function writePart(
  running: Running,
  writeback: WritebackRow,
  parts: Map<string, WritebackPartRow>,
  planned: PlannedPart,
  record: CrmRecord,
  written: Readonly<Record<string, string>>,
): Promise<Written> {
  const { deps, connection } = running
  const { db } = deps.store
  const role = connection.connector.crm
  if (!role) throw new CordboardError('config', `The connection ${connection.id} has no crm role`)
  const hash = await hashOf(deps.signer, { fields: planned.fields, target: record.target })
  const known = parts.get(planned.key)
  if (known?.external_id != null && known.hash === hash) return { id: known.external_id, says: null }

  const part: WritePart = {
    ...planned,
    externalId: known?.external_id ?? null,
    idempotencyKey: `${writeback.id}-${planned.key}`,
  }
  const context = running.context()
  const save = (fields: Partial<WritebackPartRow>) => {
    const values: WritebackPartRow = {
      writeback_id: writeback.id,
      part: planned.key,
      kind: planned.kind,
      intent_at: null,
      external_id: null,
      hash: null,
      fields: null,
      written_at: null,
      ...known,
      ...fields,
    }
    const { writeback_id: _w, part: _p, ...update } = values
    return running.commit([
      db
        .insertInto('writeback_parts')
        .values(values)
        .onConflict((conflict) => conflict.columns(['writeback_id', 'part']).doUpdateSet(update)),
    ])
  }
  const saved = async (id: string) => {
    const lengths = Object.fromEntries(
      Object.entries(planned.fields).map(([name, value]) => [name, value.length]),
    )
    await save({
      external_id: id,
      intent_at: null,
      hash,
      fields: JSON.stringify(lengths),
      written_at: deps.now(),
    })
    return id
  }

  if (part.externalId === null && known?.intent_at != null) {
    if (!role.find)
      throw new CordboardError(
        'ambiguous',
        `It is not known whether the ${planned.kind} was created, and ${connection.connector.name} cannot be asked`,
      )
    const found = await role.find(part, record, written, context)
    if (found !== null) return { id: await saved(found), says: 'found: an earlier attempt got through' }
    const visibleAt = known.intent_at + role.indexLagMs
    if (deps.now() < visibleAt) {
      return {
        again: visibleAt,
        says: `waits until the ${planned.kind} of an attempt with an unknown end would show`,
      }
    }
  }
  if (part.externalId === null) await save({ intent_at: deps.now() })
  try {
    const { id } = await role.write(part, record, written, context)
    return { id: await saved(id), says: part.externalId === null ? 'created' : 'updated' }
  } catch (thrown) {
    const error = asCordboardError(thrown)
    if (part.externalId === null && NOTHING_HAPPENED.has(error.code) && !running.signal.aborted)
      await save({ intent_at: null })
    throw error
  }
}

/**
 * The contact of an unknown caller. A unique row (crm, phone) is reserved first, so that two calls at once make one
 * contact: the other waits for it.
 */
async function person(
  running: Running,
  writeback: WritebackRow,
  parts: Map<string, WritebackPartRow>,
  call: Call,
  phone: string,
): Promise<{ type: string; id: string } | { again: number; says: string } | null> {
  const { deps, connection } = running
  const { db } = deps.store
  const role = connection.connector.crm
  const planned = role?.newContact?.(call, {
    connection: connection.id,
    config: connection.settings,
    region: connection.region,
  })
  if (!planned) return null
  await running.commit([
    db
      .insertInto('people')
      .values({
        connection: connection.id,
        phone,
        writeback_id: writeback.id,
        external_type: null,
        external_id: null,
        created_at: deps.now(),
      })
      .onConflict((conflict) => conflict.doNothing()),
  ])
  const reserved = await db
    .selectFrom('people')
    .selectAll()
    .where('connection', '=', connection.id)
    .where('phone', '=', phone)
    .executeTakeFirstOrThrow()
  let type = reserved.external_type
  let id = reserved.external_id
  if (id === null && reserved.writeback_id !== writeback.id) {
    return { again: deps.now() + 2_000, says: 'another call of the same person is creating the contact' }
  }
  if (id === null || type === null) {
    const result = await writePart(
      running,
      writeback,
      parts,
      planned,
      { call, analysis: null, target: null },
      {},
    )
    if ('again' in result) return result
    type = planned.kind
    id = result.id
  }
  await running.commit([
    db
      .updateTable('people')
      .set({ external_type: type, external_id: id })
      .where('connection', '=', connection.id)
      .where('phone', '=', phone),
    db
      .updateTable('writebacks')
      .set({ target_type: type, target_id: id, target_reason: 'created for this caller' })
      .where('id', '=', writeback.id),
  ])
  return { type, id }
}
