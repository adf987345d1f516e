import { CLOCK } from './binds.ts'
import { toError } from './d1-errors.ts'
import { checkStatement, type Reply, type Statement } from './d1-exchange.ts'
import type { Guard, Query, Rows } from './port.ts'

/** One guarded batch: D1's own transaction, with the guards first. `clock` is an expression; `?` stands for the injected one. */
export async function atomic(
  run: (statements: readonly Statement[]) => Promise<Reply>,
  clock: string,
  guards: readonly Guard[],
  queries: readonly Query[],
): Promise<Rows | 'lost'> {
  const statements = [
    ...guards.map((guard) => guardStatement(guard, clock)),
    ...queries.map((query) => query.compile()),
  ]
  for (const statement of statements) checkStatement(statement)
  const reply = await run(statements)
  if ('rows' in reply) return reply.rows.slice(guards.length)
  if (reply.failed.kind === 'fence' && guards.length > 0) return 'lost'
  throw toError(reply.failed)
}

/**
 * Inserts nothing while the guard holds. When it does not, also when its row is gone, it inserts a row whose `fence` is
 * NULL: that fails, and the batch with it. An UPDATE would write a row each time, and miss one that is gone.
 */
const LOST_STEP = `insert into steps (id, kind, lane, subject, connection, generation, state, due_at, attempts, crashes,
    created_at, updated_at, fence)
  select '', '', '', '', '', 0, '', 0, 0, 0, 0, 0, null where not exists (
    select 1 from steps where id = ? and lease = ? and state = 'working' and lease_until > `

const LOST_CALL = `insert into calls (id, connection, external_id, state, version, generation, started_at, updated_at,
    waited, call, fence)
  select '', '', '', '', 0, 0, 0, 0, 0, '', null where`

function guardStatement(guard: Guard, clock: string): Statement {
  if ('step' in guard) {
    const parameters = [guard.step, guard.lease, ...(clock === '?' ? [CLOCK] : [])]
    return { sql: `${LOST_STEP}${clock})`, parameters }
  }
  const { call, version } = guard
  // Version 0: the call must not exist yet.
  return version === 0
    ? { sql: `${LOST_CALL} exists (select 1 from calls where id = ? and version <> 0)`, parameters: [call] }
    : {
        sql: `${LOST_CALL} not exists (select 1 from calls where id = ? and version = ?)`,
        parameters: [call, version],
      }
}
