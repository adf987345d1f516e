import { sql } from 'kysely'
import type { Query } from '../store/port.ts'
import type { Deps } from './deps.ts'

/**
 * What the steps of a call amount to, after one of them has ended: `attention` while one is stuck, `working` while one is
 * to come, else `skipped` when the flow's rule left every CRM alone, else `done`. Committed with the step's own end.
 */
export function settleCall(deps: Pick<Deps, 'store' | 'now'>, callId: string): Query[] {
  const { db, dialect } = deps.store
  // The step may have begun before its call was joined into another.
  const id = sql<string>`(select coalesce(joined_into, id) from calls where id = ${callId})`
  const mine = db.updateTable('calls').where('id', '=', id).where('state', 'in', ['working', 'attention'])
  const stuck = sql`select 1 from steps where call_id = ${id} and state in ('parked', 'dead')`
  const why = sql`select coalesce(code, '') || ': ' || coalesce(reason, '') from steps
    where call_id = ${id} and state in ('parked', 'dead') order by updated_at desc limit 1`
  const open = sql`select 1 from steps where call_id = ${id} and state in ('waiting', 'working')`
  const skipped = sql`select target_reason from writebacks where call_id = ${id} and state = 'skipped' limit 1`
  const written = sql`select 1 from writebacks where call_id = ${id} and state <> 'skipped'`
  const isSkipped = sql`exists (${skipped}) and not exists (${written})`
  const settle = mine.set({
    updated_at: deps.now(),
    state: sql`case when exists (${stuck}) then 'attention' when exists (${open}) then 'working'
      when ${isSkipped} then 'skipped' else 'done' end`,
    reason: sql`case when exists (${stuck}) then (${why}) when exists (${open}) then null
      when ${isSkipped} then (${skipped}) end`,
  })
  if (dialect !== 'postgres') return [settle]
  // Two steps of one call may end at once, and a merge meanwhile, each still seeing the others at work: there the row is
  // locked first, whatever its state looks like so far. The second time it is the row of the call that the first one was
  // joined into while it was waited for.
  const lock = db.selectFrom('calls').select('id').where('id', '=', id).forUpdate()
  return [lock, lock, settle]
}
