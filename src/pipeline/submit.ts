import type { Call, Recording } from '../call/call.ts'
import { newId } from '../call/ids.ts'
import type { Connection, Flow } from '../config/model.ts'
import type { AudioFormat, AudioSource, SubmitContext, SubmitRequest } from '../connector/contract.ts'
import { asCordboardError, CordboardError, type ErrorCode } from '../errors.ts'
import type { Query } from '../store/port.ts'
import type { SubmissionRow } from '../store/schema.ts'
import { callOf } from './call-row.ts'
import { openIssue } from './issues.ts'
import { matchSteps } from './plan.ts'
import { finishWith } from './results.ts'
import { connectionOf, flowOf, insertSteps, newStep, note, type Outcome, type Running } from './step.ts'

/**
 * submit: hands the call to an analysis connection. The recording streams from the phone system to the backend without
 * being held. When a backend refuses, the next of the flow gets it; when none takes it, the call is written with its own
 * facts and an issue is open.
 */
export async function submit(running: Running): Promise<Outcome> {
  const { deps, step, connection } = running
  const role = connection.connector.analysis
  if (!role) throw new CordboardError('config', `The connection ${connection.id} has no analysis role`)
  const flow = flowOf(deps, step.flow)
  const row = await deps.store.db
    .selectFrom('calls')
    .selectAll()
    .where('id', '=', step.subject)
    .executeTakeFirstOrThrow()
  if (row.joined_into !== null) return { done: 'its call was joined into another' }
  const call = callOf(row)
  const known = await submissionOf(running)
  if (known && known.state !== 'intent') return { done: 'already submitted' }

  try {
    const content = chooseContent(running, call)
    const submission = known ?? (await intend(running, flow))
    const request: SubmitRequest = { submissionId: submission.id, call, ...content(submission.id) }
    if (submission.checkpoint !== null) request.state = JSON.parse(submission.checkpoint)
    const ref = await send(running, request, known !== undefined)
    return await submitted(running, submission, flow, ref)
  } catch (thrown) {
    const error = asCordboardError(thrown)
    return await refused(running, call, flow, error)
  }
}

function submissionOf({ deps, step }: Running): Promise<SubmissionRow | undefined> {
  return deps.store.db
    .selectFrom('submissions')
    .selectAll()
    .where('call_id', '=', step.subject)
    .where('connection', '=', step.connection)
    .where('generation', '=', step.generation)
    .executeTakeFirst()
}

/** Saved before anything is sent, so that every attempt goes by the same submission id. */
async function intend(running: Running, flow: Flow): Promise<SubmissionRow> {
  const { deps, step, connection } = running
  const row: SubmissionRow = {
    id: newId('sub', deps.now(), deps.random),
    call_id: step.subject,
    connection: connection.id,
    generation: step.generation,
    flow: flow.name,
    state: 'intent',
    ref: null,
    checkpoint: null,
    expects: JSON.stringify(connection.connector.analysis?.parts(connection.settings) ?? []),
    created_at: deps.now(),
    submitted_at: null,
    done_at: null,
    wait_until: null,
    reason: null,
  }
  await running.commit([deps.store.db.insertInto('submissions').values(row)])
  return row
}

/** Sends it, or finds out that an earlier attempt, whose end nobody saw, got through. */
async function send(running: Running, request: SubmitRequest, again: boolean): Promise<string> {
  const role = running.connection.connector.analysis
  if (!role)
    throw new CordboardError('config', `The connection ${running.connection.id} has no analysis role`)
  const context = running.context()
  if (again) {
    const found = await role.find?.(request, context)
    if (found != null) return found
  }
  try {
    const { ref } = await role.submit(request, withCheckpoint(running, context, request.submissionId))
    return ref
  } catch (thrown) {
    const error = asCordboardError(thrown)
    if (error.code !== 'duplicate' || !role.find) throw error
    const found = await role.find(request, context)
    if (found === null) throw error
    return found
  }
}

const MOST_CHECKPOINT = 16 * 1024

function withCheckpoint(
  running: Running,
  context: ReturnType<Running['context']>,
  submissionId: string,
): SubmitContext<unknown> {
  return {
    ...context,
    checkpoint: async (state) => {
      const text = JSON.stringify(state)
      if (text.length > MOST_CHECKPOINT)
        throw new CordboardError('internal', 'A checkpoint is at most 16 KB of JSON')
      const { db } = running.deps.store
      await running.commit([
        db.updateTable('submissions').set({ checkpoint: text }).where('id', '=', submissionId),
      ])
    },
  }
}

/** What is sent: a ready transcript to a backend that takes text, else the longest recording in a format it takes. */
function chooseContent(
  running: Running,
  call: Call,
): (submissionId: string) => Pick<SubmitRequest, 'audio' | 'text'> {
  const { deps, connection } = running
  const accepts = connection.connector.analysis?.accepts(connection.settings)
  const { transcript } = call
  if (transcript && accepts?.text) return () => ({ text: transcript })
  const audio = accepts?.audio
  const ready = call.recordings.filter((recording) => recording.state === 'ready')
  if (!audio || ready.length === 0) {
    throw new CordboardError(
      'rejected',
      `${connection.id} takes ${accepts?.text ? 'transcripts' : 'audio'}, and this call has none`,
    )
  }
  const fitting = ready.filter((recording) => refusal(recording, audio) === null)
  const [recording] = fitting.sort(
    (a, b) => (b.durationMs ?? 0) - (a.durationMs ?? 0) || (a.key < b.key ? -1 : 1),
  )
  if (!recording) {
    throw new CordboardError(
      'rejected',
      `${connection.id} does not take this recording: ${ready.map((r) => refusal(r, audio)).join('; ')}`,
    )
  }
  const source = connectionOf(deps, call.source.connection)
  return (submissionId) => ({
    audio: audioSource(running, source, call, recording, audio.formats, submissionId),
  })
}

type AcceptedAudio = NonNullable<
  ReturnType<NonNullable<Connection['connector']['analysis']>['accepts']>['audio']
>

/** Why a backend does not take a recording, by what is known beforehand; null when it may. */
function refusal(recording: Recording, audio: AcceptedAudio): string | null {
  const { format, bytes, durationMs, channels } = recording
  if (format !== undefined && !audio.formats.includes(format))
    return `it is ${format}, accepted are ${audio.formats.join(', ')}`
  if (bytes !== undefined && audio.maxBytes !== undefined && bytes > audio.maxBytes)
    return `it has ${bytes} bytes, ${audio.maxBytes} are accepted`
  if (durationMs !== undefined && audio.minDurationMs !== undefined && durationMs < audio.minDurationMs)
    return `it lasts ${durationMs} ms, ${audio.minDurationMs} are needed`
  if (audio.stereoOnly && channels !== undefined && channels < 2) return 'it has one track, two are needed'
  return null
}

function audioSource(
  running: Running,
  source: Connection,
  call: Call,
  recording: Recording,
  formats: readonly AudioFormat[],
  submissionId: string,
): AudioSource {
  const telephony = source.connector.telephony
  const context = running.context(source)
  const format = recording.format ?? formats[0] ?? 'mp3'
  return {
    recording,
    fileName: `${submissionId}.${format}`,
    format,
    async open() {
      if (!telephony?.recording)
        throw new CordboardError('no_recording', `The connector of ${source.id} fetches no recordings`)
      const response = await fromPhoneSystem(source, () => telephony.recording?.(recording, call, context))
      if (!response?.body) throw new CordboardError('no_recording', 'The phone system answered without audio')
      const length = response.headers.get('content-length')
      return {
        body: response.body,
        bytes:
          length !== null && /^\d{1,15}$/.test(length) && !response.headers.has('content-encoding')
            ? Number(length)
            : null,
        contentType: response.headers.get('content-type') ?? 'application/octet-stream',
      }
    },
    url: async () =>
      (await fromPhoneSystem(source, () => telephony?.recordingUrl?.(recording, call, context))) ?? null,
  }
}

/** An error of the phone system must not be taken for one of the backend. */
async function fromPhoneSystem<T>(
  source: Connection,
  work: () => Promise<T> | undefined,
): Promise<T | undefined> {
  try {
    return await work()
  } catch (thrown) {
    throw new PhoneSystemError(source.id, asCordboardError(thrown))
  }
}

class PhoneSystemError extends CordboardError {
  readonly connection: string
  constructor(connection: string, error: CordboardError) {
    super(error.code, error.message, {
      retry: error.retry,
      cause: error,
      ...(error.vendorSaid === undefined ? {} : { vendorSaid: error.vendorSaid }),
      fix: error.fix,
    })
    this.connection = connection
  }
}

/** The longest that the parts of a result are waited for. */
const RESULT_WAIT_MS = 24 * 3_600_000
const FIRST_POLL_MS = 10_000

async function submitted(
  running: Running,
  submission: SubmissionRow,
  flow: Flow,
  ref: string,
): Promise<Outcome> {
  const { deps, step, connection } = running
  const { db } = deps.store
  const role = connection.connector.analysis
  const now = deps.now()
  const expects = JSON.parse(submission.expects) as string[]
  const waitUntil = now + RESULT_WAIT_MS
  const update = db
    .updateTable('submissions')
    .set({
      state: expects.length === 0 ? 'done' : 'submitted',
      ref,
      submitted_at: now,
      wait_until: waitUntil,
      checkpoint: null,
    })
    .where('id', '=', submission.id)
  if (expects.length === 0) {
    const rest = await finishWith(running, { ...submission, state: 'submitted', ref }, flow, {}, 'submit')
    return {
      done: 'handed over; this service gives nothing back',
      ...rest,
      queries: [update, ...rest.queries],
    }
  }
  const next = [
    newStep(deps, {
      kind: 'poll',
      subject: submission.id,
      callId: step.call_id,
      connection: connection.id,
      generation: step.generation,
      flow,
      // Without polling, the step only ends the wait.
      dueAt: role?.poll ? now + (role.pollAfterMs?.(connection.settings) ?? FIRST_POLL_MS) : waitUntil,
    }),
  ]
  // A result that came before this was committed waits for it: it is due now.
  const early = db
    .updateTable('steps')
    .set({ due_at: now, awaiting: null })
    .where('connection', '=', connection.id)
    .where('awaiting', '=', ref)
    .where('state', '=', 'waiting')
  return { done: 'submitted', queries: [update, early, ...insertSteps(deps, next)], next }
}

/** Codes by which a backend will never take this call, so that the next one is asked at once. */
const REFUSED: ReadonlySet<ErrorCode> = new Set([
  'rejected',
  'too_large',
  'forbidden',
  'quota',
  'auth',
  'duplicate',
  'not_found',
  'invalid_payload',
])
/** A backend that is merely down keeps the call this many attempts before the next one is asked. */
const PATIENCE = 3

async function refused(running: Running, call: Call, flow: Flow, error: CordboardError): Promise<Outcome> {
  const { deps, step, connection } = running
  const { db } = deps.store
  const mine = !(error instanceof PhoneSystemError)
  const down = (error.code === 'vendor_down' || error.code === 'timeout') && step.attempts + 1 >= PATIENCE
  const following = mine ? await nextBackend(running, flow) : undefined
  const gone =
    !mine &&
    error.retry === 'never' &&
    (error.code === 'not_found' || error.code === 'gone' || error.code === 'no_recording')

  if (mine && following && (REFUSED.has(error.code) || down)) {
    const next = [
      newStep(deps, {
        kind: 'submit',
        subject: call.id,
        callId: call.id,
        connection: following,
        generation: step.generation,
        flow,
      }),
    ]
    const queries: Query[] = [
      failed(running, error),
      openIssue(
        deps,
        { kind: 'submit', connection: connection.id, call_id: call.id, step_id: step.id },
        error,
      ),
      note(running, `${connection.id} did not take it (${error.code}); ${following} is asked next`),
      ...insertSteps(deps, next),
    ]
    return { dead: error, queries, next }
  }
  // Credentials and quota come back: the step parks and keeps the call, unless another backend took it above.
  if (error.code === 'auth' || error.code === 'quota' || error.code === 'forbidden') throw error
  if ((mine && REFUSED.has(error.code)) || gone) {
    const generation = step.generation + 1
    const next = matchSteps(deps, flow, call.id, generation)
    const end = gone
      ? error
      : new CordboardError(
          'no_backend',
          `No analysis connection of the flow ${flow.name} takes this call: ${error.message}`,
          { cause: error, ...(error.vendorSaid === undefined ? {} : { vendorSaid: error.vendorSaid }) },
        )
    const queries = [
      failed(running, error),
      db
        .updateTable('calls')
        .set((eb) => ({ generation, version: eb('version', '+', 1) }))
        .where('id', '=', call.id)
        .where('generation', '<', generation),
      note(running, 'written with the call’s own facts, without an analysis'),
      ...insertSteps(deps, next),
    ]
    return { dead: end, queries, next }
  }
  throw error
}

function failed({ deps, step }: Running, error: CordboardError): Query {
  return deps.store.db
    .updateTable('submissions')
    .set({ state: 'failed', done_at: deps.now(), reason: `${error.code}: ${error.message}`.slice(0, 500) })
    .where('call_id', '=', step.subject)
    .where('connection', '=', step.connection)
    .where('generation', '=', step.generation)
}

/** The next backend of the flow that this generation has not asked yet; those whose breaker is open come last. */
async function nextBackend({ deps, step }: Running, flow: Flow): Promise<string | undefined> {
  const asked = await deps.store.db
    .selectFrom('steps')
    .select('connection')
    .where('kind', '=', 'submit')
    .where('subject', '=', step.subject)
    .where('generation', '=', step.generation)
    .execute()
  const left = flow.analyze.filter(
    (id) => deps.config.connections.has(id) && !asked.some((row) => row.connection === id),
  )
  const open = await deps.store.db
    .selectFrom('breakers')
    .select('connection')
    .where('state', '=', 'open')
    .execute()
  return left.find((id) => !open.some((row) => row.connection === id)) ?? left[0]
}
