import { newId } from '../call/ids.ts'
import type { Query } from '../store/port.ts'
import type { Deps } from './deps.ts'

/** Who told us to. */
export interface Actor {
  /** Role and label of the token, never the token. */
  actor: string
}

/** A row of the audit log, for the batch that does what it tells. `detail` holds no number and no secret. */
export function auditRow(
  deps: Pick<Deps, 'store' | 'now' | 'random'>,
  actor: string,
  action: string,
  subject: string,
  detail: string,
): Query {
  return deps.store.db.insertInto('audit').values({
    id: newId('aud', deps.now(), deps.random),
    at: deps.now(),
    actor,
    action,
    subject,
    detail: detail.slice(0, 1000),
  })
}
