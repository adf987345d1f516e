import type { Analysis } from '../call/analysis.ts'
import type { Flow } from '../config/model.ts'
import type { CallRow, StepRow } from '../store/schema.ts'
import type { Deps } from './deps.ts'
import { type Follow, newStep, type Outcome, type Running } from './step.ts'

/** The first steps of writing: one per CRM of the flow. */
export function matchSteps(
  deps: Pick<Deps, 'now' | 'random'>,
  flow: Flow,
  callId: string,
  generation: number,
): StepRow[] {
  return flow.write.map((connection) =>
    newStep(deps, { kind: 'match', subject: callId, callId, connection, generation, flow }),
  )
}

/** The call's row; of a call that was joined into another, the other's. */
export async function callRow({ store }: Pick<Deps, 'store'>, id: string): Promise<CallRow> {
  const row = await store.db.selectFrom('calls').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  return row.joined_into === null ? row : callRow({ store }, row.joined_into)
}

/** A new round of writing, on what is known of the call when it runs. Guarded by the call's version. */
export function writeRound(
  deps: Deps,
  call: CallRow,
  flow: Flow,
  change: { analysis?: Analysis; submit_hash?: null } = {},
): Required<Pick<Follow, 'queries' | 'guards' | 'next'>> {
  const generation = call.generation + 1
  const next = matchSteps(deps, flow, call.id, generation)
  const { analysis, ...fields } = change
  const update = deps.store.db
    .updateTable('calls')
    .set({
      ...fields,
      ...(analysis === undefined ? {} : { analysis: JSON.stringify(analysis) }),
      generation,
      version: call.version + 1,
      updated_at: deps.now(),
      state: 'working',
      reason: null,
    })
    .where('id', '=', call.id)
  return { queries: [update], guards: [{ call: call.id, version: call.version }], next }
}

/** Of several rounds of the same work only the newest counts. */
export async function laterRound({ deps, step }: Running): Promise<Outcome | null> {
  const [newest] = await rounds({ deps, step })
  return newest && newest.generation > step.generation ? { done: 'a later round does it' } : null
}

/** Matching and writing also never run twice at once for one call and CRM: two would both find nothing there yet. */
export async function notYet(running: Running): Promise<Outcome | null> {
  const { deps, step } = running
  const others = await rounds(running)
  if (others.some((other) => other.generation > step.generation)) return { done: 'a later round does it' }
  if (others.some((other) => other.state === 'working'))
    return { again: deps.now() + 1_000, says: 'an earlier round is still at it' }
  return null
}

function rounds({ deps, step }: Pick<Running, 'deps' | 'step'>) {
  return deps.store.db
    .selectFrom('steps')
    .select(['generation', 'state'])
    .where('kind', '=', step.kind)
    .where('subject', '=', step.subject)
    .where('connection', '=', step.connection)
    .where('id', '!=', step.id)
    .orderBy('generation', 'desc')
    .execute()
}
