import { sql } from 'kysely'
import type { Query } from '../store/port.ts'
import type { CallRow } from '../store/schema.ts'
import { callOf } from './call-row.ts'
import type { Running } from './step.ts'
import { attemptRow } from './timeline.ts'

/**
 * Two calls turn out to be one. The younger becomes a pointer to the older, and its work goes over: its rounds are counted
 * on after those of the older, so that of two rounds of the same work the later one counts. A record that one of the two
 * has in a CRM becomes the record of both; only when both have one already do two stay, and the timeline says so.
 */
export async function joinInto(
  running: Running,
  older: CallRow,
  younger: CallRow,
  shift: number,
): Promise<Query[]> {
  const { deps, step } = running
  const { db } = deps.store
  const to = { call_id: older.id }
  const later = sql<number>`generation + ${shift}`
  const { transcript: _, ...call } = callOf(younger)
  const note = (says: string) =>
    db.insertInto('attempts').values(attemptRow(deps, { ...step, ...to }, { outcome: 'note', says }))
  const twice = await writtenTwice(running, older.id, younger.id)
  return [
    db.updateTable('events').set(to).where('call_id', '=', younger.id),
    db.updateTable('call_keys').set(to).where('call_id', '=', younger.id),
    db.updateTable('calls').set({ joined_into: older.id }).where('joined_into', '=', younger.id),
    db
      .updateTable('calls')
      .set({
        joined_into: older.id,
        state: 'done',
        reason: 'joined into another call',
        version: younger.version + 1,
        wait_until: null,
        analysis: null,
        call: JSON.stringify(call),
      })
      .where('id', '=', younger.id),
    // The end of its wait is the older call's now.
    db
      .updateTable('steps')
      .set({ state: 'done', reason: 'its call was joined into another', updated_at: deps.now() })
      .where('kind', '=', 'merge')
      .where('subject', '=', younger.id)
      .where('state', 'in', ['waiting', 'parked', 'dead']),
    db
      .updateTable('steps')
      .set({ ...to, subject: older.id, generation: later })
      .where('kind', 'in', ['submit', 'match', 'write'])
      .where('subject', '=', younger.id),
    db
      .updateTable('steps')
      .set({ ...to, generation: later })
      .where('kind', '=', 'poll')
      .where('call_id', '=', younger.id),
    db.updateTable('results').set(to).where('submission_id', 'in', submissionsOf(younger.id)),
    db
      .updateTable('submissions')
      .set({ ...to, generation: later })
      .where('call_id', '=', younger.id),
    ...joinRecords(younger.id, older.id),
    note('two calls turned out to be one and were joined'),
    ...twice.map((connection) =>
      note(`both calls were written to ${connection} before: the record of the second stays there as it is`),
    ),
  ]

  function submissionsOf(id: string) {
    return db.selectFrom('submissions').select('id').where('call_id', '=', id)
  }

  /** Judged when it is committed, not when it was read: a write under way may just have begun. */
  function joinRecords(from: string, into: string): Query[] {
    const begun = sql`select 1 from writeback_parts where writeback_id = writebacks.id`
    const other = (call: string, more = sql``) =>
      sql`select 1 from writebacks other where other.call_id = ${call}
        and other.connection = writebacks.connection ${more}`
    const isBegun = sql`and (other.chosen = 1
      or exists (select 1 from writeback_parts where writeback_id = other.id))`
    return [
      db
        .deleteFrom('writebacks')
        .where('call_id', '=', into)
        .where('chosen', '=', 0)
        .where(sql<boolean>`not exists (${begun}) and exists (${other(from, isBegun)})`),
      db
        .updateTable('writebacks')
        .set({ call_id: into })
        .where('call_id', '=', from)
        .where(sql<boolean>`not exists (${other(into)})`),
    ]
  }
}

async function writtenTwice({ deps }: Running, ...callIds: string[]): Promise<string[]> {
  const rows = await deps.store.db
    .selectFrom('writebacks')
    .innerJoin('writeback_parts', 'writeback_parts.writeback_id', 'writebacks.id')
    .select(['writebacks.id', 'writebacks.connection'])
    .distinct()
    .where('writebacks.call_id', 'in', callIds)
    .execute()
  const connections = rows.map((row) => row.connection)
  return connections.filter((connection, at) => connections.indexOf(connection) < at)
}
