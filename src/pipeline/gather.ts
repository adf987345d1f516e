import { sql } from 'kysely'
import { newId } from '../call/ids.ts'
import type { AudioSource, BatchSide, SubmitRequest } from '../connector/contract.ts'
import { CordboardError, type ErrorCode, type Retry } from '../errors.ts'
import { isUniqueViolation } from '../store/port.ts'
import type { BatchMemberRow, BatchRow, SubmissionRow } from '../store/schema.ts'
import type { Trouble } from './audio-source.ts'
import { bellsOf, insertSteps, newStep, type Outcome, type Running } from './step.ts'

/**
 * Gathering: where the connection says so, a submission joins the open batch instead of being handed over by itself, and its
 * step waits for the verdict. Who joins has been looked at: the row can be made, the recording can be had.
 */

/** Transcripts are held while their file is made: so much of them at most, whatever the connection allows. */
const MOST_TEXT_BYTES = 8 * 1024 * 1024
/** A step that nobody wakes looks by itself this long after its batch was due. */
const SLACK_MS = 600_000

/** The service’s side of batches, and the limits that end the gathering. */
export interface Gather {
  side: BatchSide<unknown>
  limits: { count: number; bytes: number; ageMs: number }
}

/** How calls are gathered for this connection; null: each is handed over by itself. */
export function gatherOf({ connection: { connector, gather } }: Pick<Running, 'connection'>): Gather | null {
  const side = connector.analysis?.batch
  return side && gather ? { side, limits: gather } : null
}

/** Joins the open batch, or begins one. Throws what speaks against it before anything is committed. */
export async function join(
  running: Running,
  { side, limits }: Gather,
  submission: SubmissionRow,
  request: SubmitRequest,
): Promise<Outcome> {
  const { connection, deps } = running
  const { id, settings: config, region } = connection
  side.validate(request, { connection: id, config, region })
  const bytes = await sizeOf(request)
  const content = request.text ? 'text' : 'audio'
  const most = content === 'text' ? Math.min(limits.bytes, MOST_TEXT_BYTES) : limits.bytes
  for (;;) {
    const batch = await openBatch(running, content, limits.ageMs)
    if (batch === null) continue
    const count = await letIn(running, batch, submission, { bytes, count: limits.count, most })
    if (count === null) {
      // It is full, or was closed meanwhile.
      await running.commit(close(running, batch.id))
      continue
    }
    const isFull = count >= limits.count
    const dueAt = isFull ? deps.now() : batch.due_at
    const says = `gathered with ${count - 1} others`
    return waitFor(running, batch, says, [{ step: '', lane: connection.id, dueAt }])
  }
}

/** The verdict on a submission that was gathered, or its step's further wait; null when it is in no batch. */
export async function verdictOf(
  running: Running,
  submission: SubmissionRow,
): Promise<{ ref: string } | { failed: CordboardError; trouble?: Trouble } | { wait: Outcome } | null> {
  const { db } = running.deps.store
  const member = await db
    .selectFrom('batch_members')
    .selectAll()
    .where('submission_id', '=', submission.id)
    .executeTakeFirst()
  if (!member) return null
  if (member.ref !== null) return { ref: member.ref }
  if (member.failed !== null) return readFailure(member.failed)
  const batch = await db
    .selectFrom('batches')
    .selectAll()
    .where('id', '=', member.batch_id)
    .executeTakeFirstOrThrow()
  const sending = await db
    .selectFrom('steps')
    .select(['state', 'code', 'reason'])
    .where('kind', '=', 'batch')
    .where('subject', '=', batch.id)
    .executeTakeFirst()
  if (sending?.state === 'dead') {
    const code = (sending.code ?? 'internal') as ErrorCode
    return { failed: new CordboardError(code, `Its batch could not be sent: ${sending.reason ?? code}`) }
  }
  // A person has run the call again meanwhile: this step waits in place of the earlier one.
  if (member.step_id !== running.step.id)
    await running.commit([
      db
        .updateTable('batch_members')
        .set({ step_id: running.step.id })
        .where('submission_id', '=', submission.id),
    ])
  return { wait: waitFor(running, batch, `gathered with ${Math.max(0, batch.count - 1)} others`) }
}

/** For the batch of a step that goes on by itself. */
export const leave = ({ deps }: Pick<Running, 'deps'>, submissionId: string) =>
  deps.store.db.deleteFrom('batch_members').where('submission_id', '=', submissionId)

/** Nobody joins any more, and it is sent at once. */
export function close({ deps }: Running, batchId: string) {
  const { db } = deps.store
  return [
    db
      .updateTable('batches')
      .set({ state: 'closed' })
      .where('id', '=', batchId)
      .where('state', '=', 'gathering'),
    db
      .updateTable('steps')
      .set({ due_at: deps.now() })
      .where('kind', '=', 'batch')
      .where('subject', '=', batchId)
      .where('state', '=', 'waiting')
      .where('due_at', '>', deps.now()),
  ]
}

/** Why a member was not taken, as it is stored. `at`: the connection at fault, when it is not the batch's. */
export function writeFailure(error: CordboardError, at?: string): string {
  const { code, message, why, fix, retry, vendorSaid } = error
  return JSON.stringify({ code, message, why, fix, retry, vendorSaid, at })
}

function readFailure(text: string): { failed: CordboardError; trouble?: Trouble } {
  const { code, message, at, ...parts } = JSON.parse(text) as {
    code: ErrorCode
    message: string
    at?: string
    why?: string
    fix: string
    retry: Retry
    vendorSaid?: string
  }
  const error = new CordboardError(code, message, parts)
  return at === undefined ? { failed: error } : { failed: error, trouble: { connection: at, error } }
}

function waitFor({ deps }: Running, batch: BatchRow, says: string, bells: Outcome['bells'] = []): Outcome {
  return {
    again: Math.max(Number(batch.due_at), deps.now()) + SLACK_MS,
    says,
    awaiting: batch.id,
    ...(bells.length > 0 ? { bells } : {}),
  }
}

/** The batch that gathers; null when another worker began one at this moment. */
async function openBatch(
  running: Running,
  content: BatchRow['content'],
  ageMs: number,
): Promise<BatchRow | null> {
  const { deps, connection } = running
  const { db } = deps.store
  const open = await db
    .selectFrom('batches')
    .selectAll()
    .where('connection', '=', connection.id)
    .where('content', '=', content)
    .where('state', '=', 'gathering')
    .executeTakeFirst()
  if (open) return open
  const now = deps.now()
  const row: BatchRow = { ...emptyBatch(running, content), state: 'gathering', due_at: now + ageMs }
  const step = batchStep(running, row.id, row.due_at)
  try {
    await running.commit([db.insertInto('batches').values(row), ...insertSteps(deps, [step])])
  } catch (error) {
    if (isUniqueViolation(error)) return null
    throw error
  }
  deps.queue.wake(bellsOf([step]))
  return row
}

/** A batch that nobody has joined yet. */
export function emptyBatch({ deps, connection }: Running, content: BatchRow['content']): BatchRow {
  const now = deps.now()
  return {
    id: newId('bat', now, deps.random),
    connection: connection.id,
    content,
    state: 'closed',
    count: 0,
    bytes: 0,
    last_member: null,
    due_at: now,
    checkpoint: null,
    created_at: now,
    ended_at: null,
    reason: null,
  }
}

/** The step that hands a batch over when it is due. */
export const batchStep = ({ deps, connection }: Running, batchId: string, dueAt: number) =>
  newStep(deps, {
    kind: 'batch',
    subject: batchId,
    callId: null,
    connection: connection.id,
    generation: 1,
    flow: null,
    dueAt,
  })

/**
 * How many there are with this one; null when it was not let in. Counting locks the batch's row, so that who was let in is
 * seen by whoever closes it.
 */
async function letIn(
  { deps, step, commit }: Running,
  { id }: BatchRow,
  submission: SubmissionRow,
  { bytes, count, most }: { bytes: number; count: number; most: number },
): Promise<number | null> {
  const { db } = deps.store
  const rows = await commit([
    db
      .updateTable('batches')
      .set((batch) => ({
        count: batch('count', '+', 1),
        bytes: batch('bytes', '+', bytes),
        last_member: submission.id,
      }))
      .where('id', '=', id)
      .where('state', '=', 'gathering')
      .where('count', '<', count)
      .where((batch) => batch.or([batch('count', '=', 0), batch('bytes', '<=', most - bytes)]))
      .returning('count'),
    db
      .insertInto('batch_members')
      .columns(['submission_id', 'batch_id', 'step_id', 'bytes'])
      .expression((from) =>
        from
          .selectFrom('batches')
          .select([
            sql<string>`last_member`.as('submission_id'),
            'batches.id',
            sql<string>`cast(${step.id} as text)`.as('step_id'),
            sql<number>`cast(${bytes} as bigint)`.as('bytes'),
          ])
          .where('id', '=', id)
          .where('last_member', '=', submission.id),
      ),
    // Full: it is sent now.
    db
      .updateTable('steps')
      .set({ due_at: deps.now() })
      .where('kind', '=', 'batch')
      .where('subject', '=', id)
      .where('state', '=', 'waiting')
      .where((is) =>
        is.exists(is.selectFrom('batches').select('id').where('id', '=', id).where('count', '>=', count)),
      ),
  ])
  const now = rows[0]?.[0]?.count
  return now === undefined ? null : Number(now)
}

/** Exact: the size of a file of many follows from it. A recording of which nobody tells it is read once to the end. */
async function sizeOf({ audio, text }: SubmitRequest): Promise<number> {
  if (!audio) return JSON.stringify(text).length
  const { bytes, body } = await audio.open()
  if (bytes !== null) {
    await body.cancel()
    return bytes
  }
  let size = 0
  for await (const chunk of body) size += chunk.byteLength
  return size
}

/** The recording as it was when it was gathered: a size that has changed since is told by `changed`. */
export function sameSize(
  audio: AudioSource,
  { bytes }: Pick<BatchMemberRow, 'bytes'>,
  changed: (error: CordboardError) => void,
): AudioSource {
  return {
    ...audio,
    recording: { ...audio.recording, bytes },
    open: async () => {
      const opened = await audio.open()
      const reader = opened.body.getReader()
      let left = bytes
      const body = new ReadableStream<Uint8Array>(
        {
          async pull(controller) {
            const { done, value } = await reader.read()
            left -= value?.byteLength ?? 0
            if (done ? left !== 0 : left < 0) {
              const error = new CordboardError('vendor_down', 'The recording has another size than before')
              changed(error)
              if (!done) await reader.cancel(error)
              throw error
            }
            if (done) controller.close()
            else controller.enqueue(value)
          },
          cancel: (reason) => reader.cancel(reason),
        },
        { highWaterMark: 0 },
      )
      return { ...opened, bytes, body }
    },
  }
}
