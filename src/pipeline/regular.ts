import { sql } from 'kysely'
import type { Connection } from '../config/model.ts'
import type { Query } from '../store/port.ts'
import type { StepRow } from '../store/schema.ts'
import type { Deps } from './deps.ts'
import { type Follow, insertSteps, newStep } from './step.ts'

/**
 * Work that a connection needs again and again: a step whose end makes the next one, so that there is one at a time however
 * many workers there are, with a lease, a breaker and attempts like any other.
 */
export type RegularKind = 'list' | 'subscribe'

/** Vendors that end subscriptions do so after days. */
const SUBSCRIBE_EVERY_MS = 3_600_000
/** A vendor says no: looking more often than this changes nothing. */
const AFTER_A_NO_MS = 3_600_000

/** How often; null: not at all. */
export function everyMs(kind: RegularKind, { connector, reconcile, subscribe }: Connection): number | null {
  if (kind === 'list') return connector.telephony?.calls && reconcile ? reconcile.everyMs : null
  return connector.telephony?.subscribe && subscribe ? SUBSCRIBE_EVERY_MS : null
}

/** The next one, and what is left of those before it goes. Null when the configuration no longer wants it. */
export function following(
  deps: Pick<Deps, 'store' | 'now' | 'random'>,
  kind: RegularKind,
  step: StepRow,
  connection: Connection,
  how: { failed: boolean } = { failed: false },
): Required<Pick<Follow, 'queries' | 'next'>> {
  const every = everyMs(kind, connection)
  const older = deps.store.db
    .deleteFrom('steps')
    .where('kind', '=', kind)
    .where('subject', '=', step.subject)
    .where('connection', '=', step.connection)
    .where('generation', '<', step.generation)
  if (every === null) return { queries: [older], next: [] }
  const dueAt = deps.now() + (how.failed ? Math.max(every, AFTER_A_NO_MS) : every)
  return { queries: [older], next: [rowOf(deps, kind, connection.id, step.generation + 1, dueAt)] }
}

/**
 * For the first sweep of a worker: what the configuration wants and nobody has begun. A fresh installation has nothing to
 * compare yet, so that the first list is read when it is due; a webhook is created at once.
 */
export async function beginRegular(deps: Deps): Promise<StepRow[]> {
  const wanted = [...deps.config.connections.values()].flatMap((connection) =>
    (['list', 'subscribe'] as const).flatMap((kind) => {
      const every = everyMs(kind, connection)
      return every === null ? [] : [{ kind, connection, every }]
    }),
  )
  if (wanted.length === 0) return []
  const rows = await deps.store.db
    .selectFrom('steps')
    .select([
      'kind',
      'connection',
      (eb) => eb.fn.max('generation').as('generation'),
      sql<number>`sum(case when state in ('waiting', 'working', 'parked') then 1 else 0 end)`.as('open'),
    ])
    .where('kind', 'in', ['list', 'subscribe'])
    .whereRef('subject', '=', 'connection')
    .groupBy(['kind', 'connection'])
    .execute()
  const now = deps.now()
  const steps = wanted.flatMap(({ kind, connection, every }) => {
    const known = rows.find((row) => row.kind === kind && row.connection === connection.id)
    if (known && Number(known.open) > 0) return []
    const dueAt = kind === 'list' ? now + every : now
    return [rowOf(deps, kind, connection.id, Number(known?.generation ?? -1) + 1, dueAt)]
  })
  const queries: Query[] = insertSteps(deps, steps)
  if (queries.length > 0) await deps.store.atomic([], queries)
  return steps
}

const rowOf = (
  deps: Pick<Deps, 'now' | 'random'>,
  kind: RegularKind,
  connection: string,
  generation: number,
  dueAt: number,
): StepRow =>
  newStep(deps, { kind, subject: connection, callId: null, connection, generation, flow: null, dueAt })
