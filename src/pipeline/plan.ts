import type { Call } from '../call/call.ts'
import type { Progress } from '../call/merge.ts'
import type { Connection, Flow } from '../config/model.ts'
import { CordboardError } from '../errors.ts'
import type { Query } from '../store/port.ts'
import type { CallRow, StepRow } from '../store/schema.ts'
import { readyRecordings } from './content.ts'
import type { Deps } from './deps.ts'
import { openBreakers } from './fail-over.ts'
import { hashOf } from './hash.ts'
import { matchSteps } from './round.ts'
import { settleCall } from './settle.ts'
import { newStep } from './step.ts'

/** What follows from what is known of a call: its state, and the steps of a new generation, if any. */
export interface Plan {
  state: CallRow['state']
  reason: string | null
  waitUntil: number | null
  waited: number
  generation: number
  flow: Flow | null
  submitHash: string | null
  analysis: string | null
  next: StepRow[]
  queries: Query[]
  /** What the timeline tells beside the state. */
  says?: string
}

interface Known {
  call: Call
  progress: Progress
  /** How far it had come before this was heard. */
  before: Progress | null
  /** The call as it is stored, and those that are joined into it now, the oldest first. */
  rows: readonly CallRow[]
  /** Whether the facts differ from what was last stored, or are looked at anew. */
  isNew: boolean
  /** Whether a submission of this call is on its way: what it brings will be written with the newest facts. */
  underway(): Promise<boolean>
}

const DEFAULT_WAIT_MS = 120_000
/** An announced recording is waited for longer than one nobody spoke of. */
const ANNOUNCED_WAIT_MS = 3_600_000

/** Chooses the flow and the next steps; committed by `merge` in one batch. */
export async function planCall(deps: Deps, source: Connection, known: Known): Promise<Plan> {
  const { call, progress, rows } = known
  const [row] = rows
  const content = submittable(call)
  const submitHash = content === null ? null : await hashOf(deps.signer, content)
  // Of joined calls the one counts whose recording is the best of both.
  const chosen = rows.find((one) => one.submit_hash === submitHash && one.analysis !== null)
  const nothing = {
    reason: null,
    waitUntil: null,
    waited: Math.max(0, ...rows.map((one) => one.waited)),
    generation: rows.reduce((sum, one) => sum + one.generation, 0),
    flow: null,
    submitHash: rows.some((one) => one.submit_hash === submitHash) ? submitHash : (row?.submit_hash ?? null),
    analysis: (chosen ?? rows.find((one) => one.analysis !== null))?.analysis ?? null,
    next: [],
    queries: [],
  }
  if (!progress.ended) return { ...nothing, state: row && row.state !== 'waiting' ? row.state : 'open' }

  const flow = chooseFlow(deps, source, call)
  if (!flow)
    return { ...nothing, state: 'skipped', reason: 'no_flow: no flow of the configuration takes this call' }

  const generation = nothing.generation + 1
  const isFirst = nothing.generation === 0
  const forbidden = flow.analyze.length === 0 ? null : whyNotAnalysed(flow, call)
  const isAnalysed = flow.analyze.length > 0 && forbidden === null
  // Only the first round waits: what a later one brings is added to what is written.
  const waitUntil = isFirst && nothing.waited === 0 && isAnalysed ? waitFor(deps, source, known) : null
  if (waitUntil !== null) {
    return { ...nothing, flow, waitUntil, state: 'waiting', reason: 'its recording is not there yet' }
  }

  const isSubmitted = rows.some((one) => one.submit_hash === submitHash)
  if (isAnalysed && submitHash !== null && !isSubmitted && (known.isNew || isFirst)) {
    const closed = await openBreakers(deps)
    const backend = flow.analyze.find((id) => !closed.has(id)) ?? flow.analyze[0] ?? ''
    const step = newStep(deps, {
      kind: 'submit',
      subject: call.id,
      callId: call.id,
      connection: backend,
      generation,
      flow,
    })
    const queries = rows.map((one) => endSubmits(deps, one))
    return { ...nothing, flow, submitHash, generation, state: 'working', next: [step], queries }
  }
  const queries = rows
    .filter((one) => one.submit_hash !== nothing.submitHash)
    .map((one) => endSubmits(deps, one))
  const underway = !isFirst && (await known.underway())
  if (underway || (!known.isNew && !isFirst)) {
    const isStill = row?.state === 'attention' || (row?.state === 'done' && !underway)
    // What was under way may have ended since it was read, and ending does not change the call's version: the steps decide.
    const settled = [...queries, ...settleCall(deps, call.id)]
    const state = isStill ? row.state : 'working'
    return { ...nothing, flow, state, reason: row?.reason ?? null, queries: settled }
  }
  const state = flow.write.length === 0 ? 'done' : 'working'
  const next = matchSteps(deps, flow, call.id, generation)
  const says = forbidden === null ? {} : { says: `not analysed: ${forbidden}` }
  return { ...nothing, flow, generation, state, next, queries, ...says }
}

/** Today's flow of a call; undefined when none takes it. */
export function chooseFlow(
  deps: Pick<Deps, 'config'>,
  source: Pick<Connection, 'id'>,
  call: Call,
): Flow | undefined {
  return deps.config.flows.find((flow) => {
    if (!flow.from.includes(source.id)) return false
    return whyNotTaken(flow, call) === null
  })
}

/** Why a flow does not take a call of its connections; null: it does. */
export function whyNotTaken({ name, when }: Flow, call: Call): string | null {
  return judged(`The condition of flow ${name}`, when, call)
}

/** Why no analysis service may be given this call; null: it may be given. */
export function whyNotAnalysed({ name, noAnalysis }: Flow, call: Call): string | null {
  return judged(`The rule noAnalysis of flow ${name}`, noAnalysis, call)
}

/** What people wrote may fail on a call they did not think of. */
function judged(what: string, condition: Flow['when'], call: Call): string | null {
  try {
    return condition?.(call) ?? null
  } catch (cause) {
    throw new CordboardError('config', `${what} failed on this call`, { cause })
  }
}

/** Until when the recording is waited for; null: go on with what there is. */
function waitFor(deps: Deps, source: Connection, known: Known): number | null {
  const { progress, before, rows } = known
  if (progress.recording === 'ready' || progress.recording === 'none') return null
  const usual = source.recordingWaitMs ?? source.connector.telephony?.recordingWaitMs ?? DEFAULT_WAIT_MS
  const ms = progress.recording === 'pending' ? Math.max(usual, ANNOUNCED_WAIT_MS) : usual
  // The wait begins when the end is heard of, and anew when the recording is announced.
  const isSame = before?.ended && before.recording === progress.recording
  const until = (isSame ? rows[0]?.wait_until : null) ?? deps.now() + ms
  return until > deps.now() ? until : null
}

/** What a submission depends on; null when there is nothing to submit. */
function submittable(call: Call): unknown {
  const [best] = readyRecordings(call)
  if (!best && !call.transcript) return null
  return { recording: best && { key: best.key, mediaId: best.mediaId }, transcript: call.transcript }
}

/** What was planned for a recording that is no longer the best is not sent any more. */
function endSubmits({ store, now }: Deps, { id }: CallRow): Query {
  return store.db
    .updateTable('steps')
    .set({ state: 'done', reason: 'a better recording is known', updated_at: now() })
    .where('kind', '=', 'submit')
    .where('subject', '=', id)
    .where('state', 'in', ['waiting', 'parked', 'dead'])
}
