import { sql } from 'kysely'
import { newId } from '../call/ids.ts'
import type { CordboardError, ErrorCode } from '../errors.ts'
import type { Query } from '../store/port.ts'
import type { IssueRow, StepKind } from '../store/schema.ts'
import type { Deps } from './deps.ts'
import { inWords } from './timeline.ts'

type Where = Pick<IssueRow, 'kind' | 'connection'> &
  Partial<Pick<IssueRow, 'call_id' | 'step_id' | 'delivery_id'>>

/** Opens the issue of (step kind, code, connection), or counts one more on it; a resolved one opens again. */
export function openIssue(
  deps: Pick<Deps, 'store' | 'now' | 'random'>,
  where: Where,
  error: CordboardError,
): Query {
  const now = deps.now()
  const last = {
    last_at: now,
    says: inWords(error).slice(0, 1000),
    fix: error.fix,
    call_id: where.call_id ?? null,
    step_id: where.step_id ?? null,
    delivery_id: where.delivery_id ?? null,
  }
  return deps.store.db
    .insertInto('issues')
    .values({
      id: newId('iss', now, deps.random),
      kind: where.kind,
      code: error.code,
      connection: where.connection,
      state: 'open',
      count: 1,
      first_at: now,
      ...last,
    })
    .onConflict((conflict) =>
      conflict.columns(['kind', 'code', 'connection']).doUpdateSet((eb) => ({
        ...last,
        count: eb('issues.count', '+', 1),
        state: sql`case when issues.state = 'resolved' then 'open' else issues.state end`,
      })),
    )
}

/** Closes the issues of a connection that are over: what they were about works again. */
export function resolveIssues(
  deps: Pick<Deps, 'store' | 'now'>,
  connection: string,
  codes: readonly ErrorCode[],
): Query {
  return deps.store.db
    .updateTable('issues')
    .set({ state: 'resolved', last_at: deps.now() })
    .where('kind', '=', 'connection')
    .where('connection', '=', connection)
    .where('code', 'in', [...codes])
    .where('state', 'in', ['open', 'acknowledged'])
}

/**
 * Knows (refreshed with every sweep) which kinds of step have an issue open at which connection, so that a step that goes
 * well costs nothing more unless there is something to close.
 */
export function createIssueWatch(deps: Pick<Deps, 'store' | 'now'>) {
  const { db } = deps.store
  let open = new Set<string>()
  return {
    async refresh(): Promise<void> {
      const rows = await db
        .selectFrom('issues')
        .select(['kind', 'connection'])
        .where('state', 'in', ['open', 'acknowledged'])
        .execute()
      open = new Set(rows.map((row) => `${row.kind} ${row.connection}`))
    },

    /** A step of this kind went well there: issues of which no stuck step and no unreadable delivery is left are over. */
    worked(kind: StepKind, connection: string): Query[] {
      if (!open.has(`${kind} ${connection}`)) return []
      const mine = db
        .selectFrom('issues')
        .select('id')
        .where('kind', '=', kind)
        .where('connection', '=', connection)
      return [
        // Another step may be getting stuck at this moment: once the row is locked, it is seen, or opens it again after this.
        ...(deps.store.dialect === 'postgres' ? [mine.orderBy('id').forUpdate()] : []),
        db
          .updateTable('issues')
          .set({ state: 'resolved', last_at: deps.now() })
          .where('kind', '=', kind)
          .where('connection', '=', connection)
          .where('state', 'in', ['open', 'acknowledged'])
          .where(
            sql<boolean>`not exists (select 1 from steps where steps.connection = issues.connection
              and steps.code = issues.code and steps.kind = issues.kind and steps.state in ('parked', 'dead'))
              and not exists (select 1 from steps where steps.id = issues.step_id
              and steps.state in ('parked', 'dead'))`,
          )
          // The second condition is that of the index: SQLite takes it only then, else it reads every delivery of the connection.
          .where(
            sql<boolean>`(issues.delivery_id is null or not exists (select 1 from deliveries
              where deliveries.connection = issues.connection and deliveries.state = 'unreadable'
              and deliveries.state in ('unreadable', 'ignored')))`,
          ),
      ]
    },
  }
}

/** What a worker knows of open issues. */
export type IssueWatch = ReturnType<typeof createIssueWatch>
