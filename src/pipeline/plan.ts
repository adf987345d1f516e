import type { Call } from '../call/call.ts'
import type { Progress } from '../call/merge.ts'
import type { Connection, Flow } from '../config/model.ts'
import { CordboardError } from '../errors.ts'
import type { CallRow, StepRow } from '../store/schema.ts'
import type { Deps } from './deps.ts'
import { hashOf } from './hash.ts'
import { newStep } from './step.ts'

/** What follows from what is known of a call: its state, and the steps of a new generation, if any. */
export interface Plan {
  state: CallRow['state']
  reason: string | null
  waitUntil: number | null
  generation: number
  flow: Flow | null
  submitHash: string | null
  next: StepRow[]
}

interface Known {
  call: Call
  progress: Progress
  row: Pick<
    CallRow,
    'id' | 'state' | 'reason' | 'generation' | 'submit_hash' | 'wait_until' | 'waited' | 'flow'
  > | null
  /** Whether the facts differ from what was last stored. */
  changed: boolean
  /** A submission of this call is on its way: what it brings will be written with the newest facts. */
  underway: boolean
  /** Analysis connections that cannot take work now. */
  closed: ReadonlySet<string>
}

const DEFAULT_WAIT_MS = 120_000
/** An announced recording is waited for longer than one nobody spoke of. */
const ANNOUNCED_WAIT_MS = 3_600_000

/** Chooses the flow and the next steps. Pure but for ids and the hash; committed by `merge` in one batch. */
export async function planCall(deps: Deps, source: Connection, known: Known): Promise<Plan> {
  const { call, progress, row } = known
  const nothing = {
    waitUntil: null,
    generation: row?.generation ?? 0,
    flow: null,
    submitHash: row?.submit_hash ?? null,
    next: [],
  }
  if (!progress.ended)
    return { ...nothing, state: row && row.state !== 'waiting' ? row.state : 'open', reason: null }

  const flow = chooseFlow(deps, source, call)
  if (!flow)
    return { ...nothing, state: 'skipped', reason: 'no_flow: no flow of the configuration takes this call' }

  const waitUntil = waitFor(deps, source, known, flow)
  if (waitUntil !== null) {
    return { ...nothing, flow, waitUntil, state: 'waiting', reason: 'its recording is not there yet' }
  }

  const generation = nothing.generation + 1
  const base = { callId: call.id, generation, flow }
  const submitHash = await hashOf(deps.signer, submittable(call))
  if (flow.analyze.length > 0 && submittable(call) !== null && submitHash !== nothing.submitHash) {
    const backend = flow.analyze.find((id) => !known.closed.has(id)) ?? flow.analyze[0] ?? ''
    const step = newStep(deps, { ...base, kind: 'submit', subject: call.id, connection: backend })
    return { ...nothing, flow, submitHash, generation, state: 'working', reason: null, next: [step] }
  }
  if (known.underway || (!known.changed && nothing.generation > 0)) {
    return {
      ...nothing,
      flow,
      state: row?.state === 'open' || row?.state === 'waiting' ? 'working' : (row?.state ?? 'working'),
      reason: row?.reason ?? null,
    }
  }
  return {
    ...nothing,
    flow,
    generation,
    state: flow.write.length === 0 ? 'done' : 'working',
    reason: null,
    next: matchSteps(deps, flow, call.id, generation),
  }
}

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

function chooseFlow(deps: Deps, source: Connection, call: Call): Flow | undefined {
  return deps.config.flows.find((flow) => {
    if (!flow.from.includes(source.id)) return false
    if (!flow.when) return true
    try {
      return flow.when(call)
    } catch (cause) {
      throw new CordboardError('config', `The condition of flow ${flow.name} failed on this call`, { cause })
    }
  })
}

/** Until when the recording is waited for; null: go on with what there is. */
function waitFor(deps: Deps, source: Connection, { progress, row }: Known, flow: Flow): number | null {
  if (flow.analyze.length === 0 || row?.waited === 1) return null
  if (progress.recording === 'ready' || progress.recording === 'none') return null
  const usual = source.recordingWaitMs ?? source.connector.telephony?.recordingWaitMs ?? DEFAULT_WAIT_MS
  const ms = progress.recording === 'pending' ? Math.max(usual, ANNOUNCED_WAIT_MS) : usual
  const until = row?.wait_until ?? deps.now() + ms
  return until > deps.now() ? until : null
}

/** What a submission depends on; null when there is nothing to submit. */
function submittable(call: Call): unknown {
  const recordings = call.recordings
    .filter((recording) => recording.state === 'ready')
    .map(({ key, url, mediaId }) => ({ key, url, mediaId }))
  if (recordings.length === 0 && !call.transcript) return null
  return { recordings, transcript: call.transcript }
}
