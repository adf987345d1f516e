import { newId } from '../call/ids.ts'
import { type CordboardError, ERRORS, type ErrorCode } from '../errors.ts'
import type { Query } from '../store/port.ts'
import type { IssueRow } from '../store/schema.ts'
import type { Deps } from './deps.ts'

type Where = Pick<IssueRow, 'kind' | 'connection'> &
  Partial<Pick<IssueRow, 'call_id' | 'step_id' | 'delivery_id'>>

/** Opens the issue of (step kind, code, connection), or counts one more on it; a resolved one opens again. */
export function openIssue(
  deps: Pick<Deps, 'store' | 'now' | 'random'>,
  where: Where,
  error: CordboardError,
): Query {
  const now = deps.now()
  const says = error.vendorSaid ? `${error.message}. The vendor said: ${error.vendorSaid}` : error.message
  const last = {
    last_at: now,
    says: says.slice(0, 1000),
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
        state: eb
          .case()
          .when('issues.state', '=', 'resolved')
          .then('open')
          .else(eb.ref('issues.state'))
          .end() as never,
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
    .where('connection', '=', connection)
    .where('code', 'in', [...codes])
    .where('state', 'in', ['open', 'acknowledged'])
}

/** The error as one line of the timeline. */
export function inWords(error: CordboardError): string {
  const what = error.message === '' ? ERRORS[error.code].title : error.message
  return error.vendorSaid ? `${what} — the vendor said: ${error.vendorSaid}` : what
}
