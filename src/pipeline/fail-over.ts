import type { Flow } from '../config/model.ts'
import type { CordboardError } from '../errors.ts'
import type { Query } from '../store/port.ts'
import type { StepRow } from '../store/schema.ts'
import type { Deps } from './deps.ts'
import { callRow, writeRound } from './round.ts'
import { type Follow, newStep, type Running } from './step.ts'
import { note } from './timeline.ts'

type Asked = Pick<StepRow, 'generation'> & { callId: string }

/** The next backend of the flow that this round has not asked yet; those whose breaker is open come last. */
export async function nextBackend(
  deps: Deps,
  flow: Flow,
  { callId, generation }: Asked,
): Promise<string | undefined> {
  const { db } = deps.store
  const asked = await db
    .selectFrom('steps')
    .select('connection')
    .where('kind', '=', 'submit')
    .where('subject', '=', callId)
    .where('generation', '=', generation)
    .execute()
  const left = flow.analyze.filter(
    (id) => deps.config.connections.has(id) && !asked.some((row) => row.connection === id),
  )
  const open = await openBreakers(deps)
  return left.find((id) => !open.has(id)) ?? left[0]
}

/** Connections that cannot take work now. */
export async function openBreakers({ store }: Pick<Deps, 'store'>): Promise<ReadonlySet<string>> {
  const rows = await store.db
    .selectFrom('breakers')
    .select('connection')
    .where('state', '=', 'open')
    .execute()
  return new Set(rows.map((row) => row.connection))
}

/** The call goes to the next backend, in the same round. */
export function passOn(
  running: Running,
  flow: Flow,
  { callId, generation }: Asked,
  to: string,
  error: CordboardError,
): Follow {
  const { deps, step, connection } = running
  const next = newStep(deps, { kind: 'submit', subject: callId, callId, connection: to, generation, flow })
  const says = `${connection.id} did not take it (${error.code}); ${to} is asked next`
  return {
    queries: [failSubmission(deps, step, callId, generation, error), note(running, says)],
    next: [next],
  }
}

/**
 * No backend takes the call: it is written with its own facts. Forgetting what was submitted lets the next thing that is
 * heard of the call try again.
 */
export async function writeWithout(
  running: Running,
  flow: Flow,
  { callId, generation }: Asked,
  error: CordboardError,
): Promise<Follow> {
  const { deps, step } = running
  const round = writeRound(deps, await callRow(deps, callId), flow, { submit_hash: null })
  const says = 'written with the call’s own facts, without an analysis'
  const queries = [
    failSubmission(deps, step, callId, generation, error),
    ...round.queries,
    note(running, says),
  ]
  return { ...round, queries }
}

/** Closes the submission of a round with the error that ended it. */
export function failSubmission(
  { store, now }: Pick<Deps, 'store' | 'now'>,
  { connection }: Pick<StepRow, 'connection'>,
  callId: string,
  generation: number,
  error: CordboardError,
): Query {
  const reason = `${error.code}: ${error.vendorSaid ?? error.message}`.slice(0, 500)
  return store.db
    .updateTable('submissions')
    .set({ state: 'failed', done_at: now(), reason })
    .where('call_id', '=', callId)
    .where('connection', '=', connection)
    .where('generation', '=', generation)
    .where('state', '!=', 'done')
}
