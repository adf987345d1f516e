import type { Query } from '../store/port.ts'
import type { StepRow } from '../store/schema.ts'
import type { Deps } from './deps.ts'

/** The call is done when no other step of it is left; one that is stuck keeps it in `attention`. */
export function closeCall(deps: Pick<Deps, 'store' | 'now'>, step: Pick<StepRow, 'id' | 'subject'>): Query {
  const { db } = deps.store
  return db
    .updateTable('calls')
    .set({ state: 'done', reason: null, updated_at: deps.now() })
    .where('id', '=', step.subject)
    .where('state', 'in', ['working', 'attention'])
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('steps')
            .select('id')
            .where('call_id', '=', step.subject)
            .where('id', '!=', step.id)
            .where('state', 'in', ['waiting', 'working', 'parked', 'dead']),
        ),
      ),
    )
}
