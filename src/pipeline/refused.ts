import type { Flow } from '../config/model.ts'
import { CordboardError, type ErrorCode } from '../errors.ts'
import type { CallRow, StepRow } from '../store/schema.ts'
import type { Trouble } from './audio-source.ts'
import { needsCheck } from './breaker.ts'
import { nextBackend, passOn, writeWithout } from './fail-over.ts'
import { judge } from './retry.ts'
import { callRow, writeRound } from './round.ts'
import type { Outcome, Running } from './step.ts'
import { note } from './timeline.ts'

/** A backend that is merely down keeps the call this many attempts before the next one is asked. */
const PATIENCE = 3
const DOWN: ReadonlySet<ErrorCode> = new Set(['vendor_down', 'timeout'])
/** Come back one day: only where no other backend takes the call is it kept for that day. */
const RECOVERS: ReadonlySet<ErrorCode> = new Set(['auth', 'quota', 'forbidden', 'config'])

/** A recording may show up in the phone system’s store some time after it was announced. */
const SHOWS_UP_MS = 3_600_000
/** While the phone system lets nobody in, calls that need a recording of it look again this often. */
const LOOKS_AGAIN_MS = 60_000

/** Whether a backend that is merely down has had its attempts: the next one is asked, where there is one. */
export const isTired = (error: CordboardError, step: Pick<StepRow, 'attempts'>): boolean =>
  DOWN.has(error.code) && step.attempts + 1 >= PATIENCE

/** What becomes of a call that could not be handed over, by whose fault it was and whether anybody else takes it. */
export async function refused(
  running: Running,
  flow: Flow,
  call: CallRow,
  error: CordboardError,
  trouble?: Trouble,
): Promise<Outcome> {
  const { deps, step } = running
  if (trouble) return withoutRecording(running, flow, call, trouble)
  const asked = { callId: call.id, generation: step.generation }
  const { state } = judge(error, step, deps.now(), deps.random)
  if (state === 'dead' || isTired(error, step) || RECOVERS.has(error.code)) {
    const next = await nextBackend(deps, flow, asked)
    if (next !== undefined) return { passedOn: error, ...passOn(running, flow, asked, next, error) }
  }
  if (error.code === 'ambiguous') return { failed: error, ...(await writeMeanwhile(running, flow, call)) }
  if (state !== 'dead') return { failed: error }
  const none = new CordboardError(
    'no_backend',
    `No analysis connection of the flow ${flow.name} takes this call: ${error.message}`,
    { cause: error, ...(error.vendorSaid === undefined ? {} : { vendorSaid: error.vendorSaid }) },
  )
  return { dead: none, ...(await writeWithout(running, flow, asked, error)) }
}

/** The flow forbids it: the call is written with its own facts. When it becomes another call, the rule is asked again. */
export function unanalysed({ deps }: Running, flow: Flow, call: CallRow, why: string): Outcome {
  return { done: `not analysed: ${why}`, ...writeRound(deps, call, flow, { submit_hash: null }) }
}

/** While a person looks, the call's own facts are written. It stays submitted, so that nothing sends it once more. */
async function writeMeanwhile({ deps, step }: Running, flow: Flow, call: CallRow) {
  const { queries, guards, next } = writeRound(deps, await callRow(deps, call.id), flow)
  return { queries: [...queries, note({ deps, step }, 'written with the call’s own facts')], guards, next }
}

/** The phone system is at fault: no other backend would fare better. */
async function withoutRecording(
  running: Running,
  flow: Flow,
  call: CallRow,
  { connection: at, error }: Trouble,
): Promise<Outcome> {
  const { deps, step } = running
  if (error.code === 'auth' || error.code === 'quota') return { failed: again(error, LOOKS_AGAIN_MS), at }
  if (error.code === 'not_found' && deps.now() - step.created_at < SHOWS_UP_MS)
    return { failed: again(error, 'later'), at }
  if (judge(error, step, deps.now(), deps.random).state !== 'dead') return { failed: error, at }
  const asked = { callId: call.id, generation: step.generation }
  return { dead: error, at, ...(await writeWithout(running, flow, asked, error)) }
}

function again(error: CordboardError, after: number | 'later'): CordboardError {
  return new CordboardError(error.code, error.message, {
    retry: after === 'later' ? after : { afterMs: after },
    cause: error,
    fix: error.fix,
    ...(error.vendorSaid === undefined ? {} : { vendorSaid: error.vendorSaid }),
  })
}

/** Nothing is asked of a phone system that lets nobody in, nor of a backend without quota. */
export async function notNow(running: Running, flow: Flow, call: CallRow): Promise<Outcome | null> {
  const { deps, step } = running
  const rows = await deps.store.db
    .selectFrom('breakers')
    .selectAll()
    .where('connection', 'in', [step.connection, call.connection])
    .where('state', '=', 'open')
    .execute()
  const closed = rows.filter(needsCheck)
  if (closed.some((row) => row.connection === step.connection && row.code === 'quota')) {
    const error = new CordboardError('quota', `The account of ${step.connection} has no quota left`)
    return refused(running, flow, call, error)
  }
  const source = closed.find((row) => row.connection === call.connection)
  if (!source) return null
  const jitter = deps.random() * (LOOKS_AGAIN_MS / 4)
  return { again: deps.now() + LOOKS_AGAIN_MS + jitter, says: `${source.connection} does not let us in` }
}
