import { sql } from 'kysely'
import type { Flow } from '../config/model.ts'
import { CordboardError } from '../errors.ts'
import type { Bell } from '../queue/port.ts'
import type { Query } from '../store/port.ts'
import type { BreakerRow, StepRow } from '../store/schema.ts'
import type { Deps } from './deps.ts'
import { failSubmission } from './fail-over.ts'
import { bellsOf, insertSteps, newStep } from './step.ts'
import { attemptRow } from './timeline.ts'

/** At most this many of a flow at once, or as many as the sweep has room for; the next one goes on. */
const ROOM = 250

/** Calls that wait for an analysis connection whose breaker is open are given to the flow's next one. */
export async function moveOn(deps: Deps, breakers: readonly BreakerRow[], room: number): Promise<Bell[]> {
  const open = new Set(breakers.filter((row) => row.state === 'open').map((row) => row.connection))
  const bells: Bell[] = []
  for (const closed of open) {
    for (const flow of deps.config.flows) {
      if (!flow.analyze.includes(closed)) continue
      for (const other of flow.analyze) {
        if (open.has(other) || !deps.config.connections.has(other)) continue
        bells.push(...(await move(deps, flow, { from: closed, to: other, room: Math.min(ROOM, room) })))
      }
    }
  }
  return bells
}

async function move(
  deps: Deps,
  flow: Flow,
  { from, to, room }: { from: string; to: string; room: number },
): Promise<Bell[]> {
  const { db } = deps.store
  const steps = db
    .selectFrom('steps')
    .selectAll()
    .where('kind', '=', 'submit')
    .where('flow', '=', flow.name)
    .where(
      sql<boolean>`not exists (select 1 from steps asked where asked.kind = 'submit'
        and asked.subject = steps.subject and asked.connection = ${to} and asked.generation = steps.generation)`,
    )
    // What is on its way in a file of many may have been taken already.
    .where(
      sql<boolean>`(awaiting is null or not exists (select 1 from batches
        where batches.id = steps.awaiting and batches.state = 'closed'))`,
    )
    .limit(room)
  const rows = [
    ...(await steps
      .where('lane', '=', from)
      .where('state', '=', sql.lit('waiting'))
      .orderBy('due_at')
      .execute()),
    ...(await steps
      .where('connection', '=', from)
      .where(sql<boolean>`state in ('parked', 'dead')`)
      .where('state', '=', 'parked')
      // The service may have it: another one would be paid for the same call.
      .where((step) => step.or([step('code', 'is', null), step('code', '!=', 'ambiguous')]))
      .execute()),
  ]
  const moved: StepRow[] = []
  for (let at = 0; at < rows.length; at += 30) {
    const queries: Query[] = []
    for (const step of rows.slice(at, at + 30)) {
      const { subject, call_id: callId, generation } = step
      const says = `${from} cannot take calls now; ${to} is asked`
      const error = new CordboardError('vendor_down', says)
      const next = newStep(deps, { kind: 'submit', subject, callId, connection: to, generation, flow })
      moved.push(next)
      queries.push(
        db
          .updateTable('steps')
          .set({ state: 'done', reason: says, updated_at: deps.now() })
          .where('id', '=', step.id)
          .where('state', 'in', ['waiting', 'parked']),
        failSubmission(deps, step, subject, generation, error),
        db.insertInto('attempts').values(attemptRow(deps, step, { outcome: 'note', says })),
        ...insertSteps(deps, [next]),
      )
    }
    await deps.store.atomic([], queries)
  }
  return bellsOf(moved)
}
