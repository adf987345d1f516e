import { sql } from 'kysely'
import { CordboardError, ERRORS } from '../errors.ts'
import type { Bell } from '../queue/port.ts'
import { expireQuery } from '../store/claim.ts'
import type { Query } from '../store/port.ts'
import type { StepRow } from '../store/schema.ts'
import type { Deps } from './deps.ts'
import { openIssue } from './issues.ts'
import { settleCall } from './settle.ts'
import { bellsOf } from './step.ts'
import { attemptRow } from './timeline.ts'

/** From the third worker that died with it on, a step is tried at a moment of its own. */
const APART = 3
/** So often with the others and so often apart: then it is the step. */
const POISONED = 6
/** Those to be tried apart are spread over this many leases: 10 minutes, where a lease is 20 s. */
const SPREAD_LEASES = 30

/**
 * Steps whose lease ran out go back. One step can take down the worker, and every other step that it holds dies with it:
 * who did it shows only when they are tried apart. So an innocent step goes on after a while, however often its worker was
 * killed, and the poisoned one is put aside.
 */
export async function takeBack(deps: Deps, leaseMs: number, room: number): Promise<Bell[]> {
  const { db, clock } = deps.store
  const gone = await db
    .selectFrom('steps')
    .selectAll()
    .where('state', '=', sql.lit('working'))
    .where('lease_until', '<=', clock)
    .orderBy('lease_until')
    .limit(room)
    .execute()
  // Nearly always: then nothing is written, and nothing is waited for.
  if (gone.length === 0) return []
  const suspects = gone.filter((step) => step.crashes >= APART - 1)
  const queries = suspects.flatMap((step) =>
    step.crashes + 1 >= POISONED ? putAside(deps, step) : tryApart(deps, step, leaseMs),
  )
  const others = gone.length - suspects.length
  const result = await deps.store.atomic([], [...queries, expireQuery(deps.store, others)])
  const rows = (result === 'lost' ? [] : (result.at(-1) ?? [])) as unknown as StepRow[]
  for (const { id, kind, crashes } of rows)
    deps.log.warn('a step came back: its worker is gone', { step: id, kind, crashes })
  return bellsOf(rows)
}

function tryApart(deps: Deps, step: StepRow, leaseMs: number): Query[] {
  const { id, kind } = step
  const crashes = step.crashes + 1
  const says = `${crashes} workers died while they held it: it is tried apart from the others`
  deps.log.warn('a step is tried apart from the others', { step: id, kind, crashes })
  const dueAt = deps.now() + Math.ceil(leaseMs * SPREAD_LEASES * (0.5 + deps.random() / 2))
  return [
    becomes(deps, step, { state: 'waiting', due_at: dueAt, code: 'poisoned', reason: says, crashes }),
    deps.store.db
      .insertInto('attempts')
      .values(attemptRow(deps, step, { outcome: 'again', code: 'poisoned', says })),
  ]
}

function putAside(deps: Deps, step: StepRow): Query[] {
  const { id, kind, connection, call_id } = step
  const says = `${POISONED} workers died while they held this step, the last ones with nothing else to do`
  const error = new CordboardError('poisoned', says)
  deps.log.error('a step was put aside', { step: id, kind, connection, says: ERRORS.poisoned.title })
  return [
    becomes(deps, step, { state: 'dead', code: error.code, reason: says, crashes: POISONED }),
    deps.store.db
      .insertInto('attempts')
      .values(attemptRow(deps, step, { outcome: 'dead', code: error.code, says })),
    openIssue(deps, { kind, connection, call_id, step_id: id }, error),
    ...(call_id === null ? [] : settleCall(deps, call_id)),
  ]
}

function becomes({ store, now }: Deps, { id }: StepRow, fields: Partial<StepRow>): Query {
  return store.db
    .updateTable('steps')
    .set({ ...fields, lease: null, lease_until: null, updated_at: now() })
    .where('id', '=', id)
    .where('state', '=', 'working')
    .where('lease_until', '<=', store.clock)
}
