import { sql } from 'kysely'
import type { CordboardError } from '../errors.ts'
import type { Query } from '../store/port.ts'
import type { BatchRow } from '../store/schema.ts'
import { batchStep, emptyBatch, writeFailure } from './gather.ts'
import { bellsOf, insertSteps, type Outcome, type Running } from './step.ts'

// How a batch ends: sent, given back to its calls, halved, or let go. Committed with the end of its step.

/** Every member has its verdict: their steps take them up. */
export function sent(running: Running, row: BatchRow, says: string): Outcome {
  return {
    done: says,
    queries: [ends(running, row, 'sent', says), wake(running, row)],
    bells: bells(running),
  }
}

/**
 * It failed for all: each call goes on by itself, with what is known of the attempt, so that it is looked for first. The
 * attempts of the batch were attempts of its calls.
 */
export function handBack(running: Running, row: BatchRow, error: CordboardError): Outcome {
  const { db } = running.deps.store
  const open = db
    .selectFrom('batch_members')
    .select('submission_id')
    .where('batch_id', '=', row.id)
    .where('ref', 'is', null)
    .where('failed', 'is', null)
  return {
    done: `given back to its calls: ${error.code}`,
    queries: [
      ...(row.checkpoint === null
        ? []
        : [db.updateTable('submissions').set({ checkpoint: row.checkpoint }).where('id', 'in', open)]),
      db
        .updateTable('batch_members')
        .set({ failed: writeFailure(error) })
        .where('batch_id', '=', row.id)
        .where('ref', 'is', null)
        .where('failed', 'is', null),
      ends(running, row, 'failed', `${error.code}: ${error.message}`.slice(0, 500)),
      wake(running, row, running.step.attempts),
    ],
    bells: bells(running),
  }
}

/** Two files of half as many calls each; the second has a batch of its own. */
export async function halve(running: Running, row: BatchRow, left: number): Promise<Outcome> {
  const { deps } = running
  const { db } = deps.store
  const open = db
    .selectFrom('batch_members')
    .where('batch_id', '=', row.id)
    .where('ref', 'is', null)
    .where('failed', 'is', null)
  const half = Math.ceil(left / 2)
  const pivot = await open
    .select('submission_id')
    .orderBy('submission_id')
    .offset(half)
    .limit(1)
    .executeTakeFirstOrThrow()
  const other: BatchRow = { ...emptyBatch(running, row.content), count: left - half }
  const step = batchStep(running, other.id, deps.now())
  return {
    again: deps.now(),
    says: `${left} calls were refused as a whole: halves are tried`,
    queries: [
      db.insertInto('batches').values(other),
      db
        .updateTable('batch_members')
        .set({ batch_id: other.id })
        .where('batch_id', '=', row.id)
        .where('submission_id', '>=', pivot.submission_id)
        .where('ref', 'is', null)
        .where('failed', 'is', null),
      // It is another file now: nothing of the one before is gone on with.
      db.updateTable('batches').set({ checkpoint: null, count: half }).where('id', '=', row.id),
      db
        .updateTable('steps')
        .set({ awaiting: other.id })
        .where('connection', '=', row.connection)
        .where('awaiting', '=', row.id)
        .where('id', 'in', stepsOf(running, other)),
      ...insertSteps(deps, [step]),
    ],
    bells: [...bellsOf([step]), ...(bells(running) ?? [])],
  }
}

/** Nothing of it is sent: each call is looked at anew. */
export function release(running: Running, row: BatchRow, says: string): Outcome {
  const { db } = running.deps.store
  return {
    done: says,
    queries: [
      ends(running, row, 'failed', says),
      wake(running, row),
      db.deleteFrom('batch_members').where('batch_id', '=', row.id).where('ref', 'is', null),
    ],
    bells: bells(running),
  }
}

/** What was put at the vendor's is of no use any more, and its addresses are secret. */
function ends({ deps }: Running, row: BatchRow, state: BatchRow['state'], reason: string): Query {
  return deps.store.db
    .updateTable('batches')
    .set({ state, reason, ended_at: deps.now(), checkpoint: null })
    .where('id', '=', row.id)
}

function wake(running: Running, row: BatchRow, attempts = 0): Query {
  const { deps } = running
  return deps.store.db
    .updateTable('steps')
    .set({
      due_at: deps.now(),
      awaiting: null,
      attempts: sql<number>`case when attempts < ${attempts} then ${attempts} else attempts end`,
    })
    .where('id', 'in', stepsOf(running, row))
    .where('state', '=', 'waiting')
}

const stepsOf = ({ deps }: Running, { id }: Pick<BatchRow, 'id'>) =>
  deps.store.db.selectFrom('batch_members').select('step_id').where('batch_id', '=', id)

const bells = ({ deps, connection }: Running) => [{ step: '', lane: connection.id, dueAt: deps.now() }]
