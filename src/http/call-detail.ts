import type { z } from '@hono/zod-openapi'
import type { Analysis } from '../call/analysis.ts'
import type { Config } from '../config/model.ts'
import type { Candidate } from '../connector/crm-role.ts'
import { CordboardError } from '../errors.ts'
import { callOf } from '../pipeline/call-row.ts'
import type { Store } from '../store/port.ts'
import type { CallRow } from '../store/schema.ts'
import type { callDetail, submission, writeBack } from './call-schema.ts'
import { instantOf } from './responses.ts'
import { readTimeline } from './timeline.ts'

type Deps = { store: Pick<Store, 'db'>; config: Config }

/** The call, or the one it was joined into. */
export async function readCall(
  deps: Deps,
  id: string,
  withRaw: boolean,
): Promise<z.infer<typeof callDetail>> {
  const row = await findCall(deps.store, id)
  const ids = [row.id, ...(await joinedInto(deps.store, row.id))]
  const [timeline, steps, submissions, writeBacks] = await Promise.all([
    readTimeline(deps, ids),
    readSteps(deps, ids),
    readSubmissions(deps, ids),
    readWriteBacks(deps, ids),
  ])
  return {
    id: row.id,
    joined: ids.slice(1),
    state: row.state,
    reason: row.reason,
    flow: row.flow,
    version: row.version,
    generation: row.generation,
    startedAt: instantOf(row.started_at),
    endedAt: instantOf(row.ended_at),
    updatedAt: instantOf(row.updated_at),
    waitUntil: instantOf(row.wait_until),
    call: callOf(row),
    analysis: analysisOf(row, withRaw),
    ...timeline,
    steps,
    submissions,
    writeBacks,
  }
}

/**
 * The call, or the one it was joined into; throws `unknown_object`. A chain is short (a transfer of a transfer); the bound is
 * against a circle that should not exist.
 */
export async function findCall({ db }: Pick<Store, 'db'>, id: string): Promise<CallRow> {
  let next: string | null = id
  for (let hops = 0; next !== null && hops < 16; hops++) {
    const row: CallRow | undefined = await db
      .selectFrom('calls')
      .selectAll()
      .where('id', '=', next)
      .executeTakeFirst()
    if (row?.joined_into === null) return row
    next = row ? row.joined_into : hops === 0 ? await otherNameOf(db, id) : null
  }
  throw new CordboardError('unknown_object', `There is no call ${id}`)
}

/** Whoever handed a call in may have been told another id of it than it got: it is known by both. */
async function otherNameOf(db: Store['db'], id: string): Promise<string | null> {
  const known = await db
    .selectFrom('call_keys')
    .select('call_id')
    .where('external_id', '=', id)
    .limit(1)
    .executeTakeFirst()
  return known?.call_id ?? null
}

/** Calls that were joined into this one, at first or second hand: what was done for them stays under their ids. */
async function joinedInto({ db }: Pick<Store, 'db'>, id: string): Promise<string[]> {
  const rows = await db
    .withRecursive('family(id)', (family) =>
      family
        .selectFrom('calls')
        .select('id')
        .where('joined_into', '=', id)
        .union(
          family.selectFrom('calls').innerJoin('family', 'family.id', 'calls.joined_into').select('calls.id'),
        ),
    )
    .selectFrom('family')
    .select('id')
    .orderBy('id')
    .limit(50)
    .execute()
  return rows.map((row) => row.id)
}

function analysisOf(row: CallRow, withRaw: boolean): Analysis | null {
  if (row.analysis === null) return null
  const { raw, ...parts } = JSON.parse(row.analysis) as Analysis
  return withRaw && raw !== undefined ? { ...parts, raw } : parts
}

async function readSteps({ store: { db } }: Deps, ids: readonly string[]) {
  const rows = await db
    .selectFrom('steps')
    .select(['id', 'kind', 'connection', 'state', 'due_at', 'attempts', 'generation', 'code', 'reason'])
    .where('call_id', 'in', ids)
    .orderBy('created_at')
    .orderBy('id')
    .limit(1000)
    .execute()
  return rows.map(({ due_at, ...row }) => ({ ...row, dueAt: instantOf(due_at) }))
}

async function readSubmissions({ store: { db } }: Deps, ids: readonly string[]) {
  const rows = await db
    .selectFrom('submissions')
    .leftJoin('results', 'results.submission_id', 'submissions.id')
    .selectAll('submissions')
    .select(['results.part', 'results.via', 'results.received_at'])
    .where('submissions.call_id', 'in', ids)
    .orderBy('submissions.created_at')
    .orderBy('submissions.id')
    .execute()
  const found = new Map<string, z.infer<typeof submission>>()
  for (const row of rows) {
    const one = found.get(row.id) ?? {
      id: row.id,
      connection: row.connection,
      state: row.state,
      generation: row.generation,
      ref: row.ref,
      expects: JSON.parse(row.expects) as string[],
      parts: [],
      createdAt: instantOf(row.created_at),
      submittedAt: instantOf(row.submitted_at),
      doneAt: instantOf(row.done_at),
      waitUntil: instantOf(row.wait_until),
      reason: row.reason,
    }
    found.set(row.id, one)
    if (row.part !== null && row.via !== null && row.received_at !== null) {
      one.parts.push({ part: row.part, via: row.via, receivedAt: instantOf(row.received_at) })
    }
  }
  return [...found.values()]
}

async function readWriteBacks({ store: { db }, config }: Deps, ids: readonly string[]) {
  const rows = await db
    .selectFrom('writebacks')
    .leftJoin('writeback_parts', 'writeback_parts.writeback_id', 'writebacks.id')
    .selectAll('writebacks')
    .select([
      'writeback_parts.part',
      'writeback_parts.kind',
      'writeback_parts.external_id',
      'writeback_parts.intent_at',
      'writeback_parts.written_at as part_written_at',
      'writeback_parts.fields',
    ])
    .where('writebacks.call_id', 'in', ids)
    .orderBy('writebacks.connection')
    .orderBy('writebacks.id')
    .execute()
  const found = new Map<string, z.infer<typeof writeBack>>()
  for (const row of rows) {
    const { target_type: type, target_id: targetId, target_reason: reason } = row
    const at = config.connections.get(row.connection)
    const one = found.get(row.id) ?? {
      id: row.id,
      connection: row.connection,
      state: row.state,
      target:
        type === null || targetId === null
          ? null
          : {
              type,
              id: targetId,
              reason,
              url: at?.connector.crm?.recordUrl?.({ type, id: targetId }, at.settings) ?? null,
            },
      reason,
      chosen: row.chosen === 1,
      candidates: JSON.parse(row.candidates) as Candidate[],
      parts: [],
      matchedAt: instantOf(row.matched_at),
      writtenAt: instantOf(row.written_at),
    }
    found.set(row.id, one)
    if (row.part !== null && row.kind !== null) {
      one.parts.push({
        part: row.part,
        kind: row.kind,
        externalId: row.external_id,
        intentAt: instantOf(row.intent_at),
        writtenAt: instantOf(row.part_written_at),
        fields: row.fields === null ? null : JSON.parse(row.fields),
      })
    }
  }
  return [...found.values()]
}
