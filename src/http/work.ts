import { sql } from 'kysely'
import type { Store } from '../store/port.ts'

/** Steps that are not done, counted: what waits, what runs, what is stuck. */
export interface StepCount {
  /** The lane of waiting and working steps, the connection of stuck ones: for both, whom the work is about. */
  lane: string
  state: 'waiting' | 'working' | 'parked' | 'dead'
  count: number
  /** When the one that has waited longest was due. */
  oldest: number
}

/**
 * One query over three partial indexes. The states are literals, not parameters: SQLite takes a partial index only when
 * it can prove at planning time that the condition holds.
 */
export async function countSteps({ db }: Pick<Store, 'db'>): Promise<StepCount[]> {
  const { rows } = await sql<StepCount>`
    select lane, 'waiting' as state, count(*) as count, min(due_at) as oldest
      from steps where state = 'waiting' group by lane
    union all
    select lane, 'working', count(*), min(lease_until) from steps where state = 'working' group by lane
    union all
    select connection, state, count(*), min(due_at) from steps where state in ('parked', 'dead')
      group by connection, state`.execute(db)
  return rows.map((row) => ({ ...row, count: Number(row.count), oldest: Number(row.oldest) }))
}

/** Refused requests per connection and code in the hours since `since`. */
export function countRefusals({ db }: Pick<Store, 'db'>, since: number) {
  return db
    .selectFrom('refusals')
    .select((eb) => [
      'connection',
      'code',
      eb.fn.sum<number>('count').as('count'),
      eb.fn.max('last_at').as('lastAt'),
    ])
    .where('hour_at', '>', since)
    .groupBy(['connection', 'code'])
    .execute()
}

export const DAY_MS = 86_400_000
