import type { Analysis } from '../call/analysis.ts'
import type { CrmRecord } from '../connector/crm-role.ts'
import { CordboardError } from '../errors.ts'
import { callOf } from './call-row.ts'
import { person } from './person.ts'
import { doubtByAge, doubtOf } from './restored.ts'
import { callRow, notYet } from './round.ts'
import { flowOf, type Outcome, type Running } from './step.ts'
import { type Writing, writePart } from './write-part.ts'

/**
 * write: the call's record in the CRM, once. Every external creation is a part whose intent is saved before it is sent. A
 * part that stands and has not changed is left alone, so that any number of rounds writes one record.
 */
export async function write(running: Running): Promise<Outcome> {
  const { deps, step, connection } = running
  const { db } = deps.store
  const role = connection.connector.crm
  if (!role) throw new CordboardError('config', `The connection ${connection.id} has no crm role`)
  const flow = flowOf(deps, step.flow)
  const wait = await notYet(running)
  if (wait) return wait
  const row = await callRow(deps, step.subject)
  const writeback = await db
    .selectFrom('writebacks')
    .selectAll()
    .where('call_id', '=', row.id)
    .where('connection', '=', connection.id)
    .executeTakeFirst()
  if (!writeback)
    throw new CordboardError('not_found', 'The call has no record of this CRM yet: rerun it from match')
  const doubt = (await doubtOf(deps, row)) ?? (role.find ? await doubtByAge(deps, row) : null)
  const writing: Writing = { running, role, writeback, row, doubt }

  const call = callOf(row)
  // The CRM told of the call: its own record of it is the one that is written to.
  const isLogged = row.connection === connection.id
  const { target_type: type, target_id: id } = writeback
  let target = id === null || type === null ? null : { type, id }
  if (!target && !isLogged && flow.unknownCaller === 'create' && call.customer?.phone) {
    const made = await person(writing, call, call.customer.phone)
    if (made && 'again' in made) return made
    target = made
  }

  const analysis = row.analysis === null ? null : (JSON.parse(row.analysis) as Analysis)
  const logged = isLogged ? { id: row.external_id } : null
  const fields = flow.fields.get(connection.id)?.of(call, analysis) ?? {}
  const record: CrmRecord = { call, analysis, target, fields, logged }
  const { id: connectionId, settings: config, region } = connection
  const written: Record<string, string> = {}
  const says: string[] = []
  for (const part of role.plan(record, { connection: connectionId, config, region })) {
    const result = await writePart(writing, part, record, written)
    if ('again' in result) return result
    written[part.key] = result.id
    if (result.says) says.push(`${part.key} ${result.says}`)
  }
  const done = db
    .updateTable('writebacks')
    .set({ state: 'written', written_at: deps.now() })
    .where('id', '=', writeback.id)
  return { done: says.join(', ') || 'nothing has changed', queries: [done] }
}
