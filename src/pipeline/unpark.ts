import { sql } from 'kysely'
import type { ErrorCode } from '../errors.ts'
import type { Bell } from '../queue/port.ts'
import type { BreakerRow } from '../store/schema.ts'
import type { Deps } from './deps.ts'

/** At most this many of a connection at once, or as many as the sweep has room for; the next one goes on. */
const ROOM = 500

/** A restart with another configuration may have put these right. */
const CONFIGURED: readonly ErrorCode[] = ['config', 'blocked_address']

/**
 * Parked steps whose cause is over go on, with the attempts they had: the connection takes our credentials again, or the
 * configuration has it, or the flow, again. Asked connection by connection, through the index of what is stuck.
 */
export async function unpark(
  deps: Deps,
  breakers: readonly BreakerRow[],
  isFirst: boolean,
  room: number,
): Promise<Bell[]> {
  const open = new Set(breakers.filter((row) => row.state === 'open').map((row) => row.connection))
  const bells: Bell[] = []
  for (const connection of deps.config.connections.keys()) {
    const codes: ErrorCode[] = ['connection_gone', 'flow_gone']
    if (!open.has(connection)) codes.push('auth', 'quota')
    if (isFirst) codes.push(...CONFIGURED)
    bells.push(...(await wake(deps, connection, codes, Math.min(ROOM, room))))
  }
  return bells
}

async function wake(
  deps: Deps,
  connection: string,
  codes: readonly ErrorCode[],
  room: number,
): Promise<Bell[]> {
  const { db } = deps.store
  const parked = await db
    .selectFrom('steps')
    .select(['steps.id', 'steps.lane', 'steps.call_id', 'steps.flow', 'steps.kind'])
    .leftJoin('calls', 'calls.id', 'steps.call_id')
    .select('calls.connection as source')
    .where('steps.connection', '=', connection)
    .where('steps.code', 'in', codes)
    // As the index has it, and then the half of it that is meant.
    .where(sql<boolean>`steps.state in ('parked', 'dead')`)
    .where('steps.state', '=', 'parked')
    .limit(room)
    .execute()
  const flows = new Set(deps.config.flows.map((flow) => flow.name))
  const back = parked.filter(
    (step) =>
      (step.flow === null || flows.has(step.flow)) &&
      // A submission also needs the phone system that has the recording.
      (step.kind !== 'submit' || step.source === null || deps.config.connections.has(step.source)),
  )
  const now = deps.now()
  for (let at = 0; at < back.length; at += 90) {
    const page = back.slice(at, at + 90)
    const ids = page.map((step) => step.id)
    const calls = [...new Set(page.flatMap((step) => step.call_id ?? []))]
    await deps.store.atomic(
      [],
      [
        db
          .updateTable('steps')
          .set({ state: 'waiting', due_at: now, updated_at: now })
          .where('id', 'in', ids)
          .where('state', '=', 'parked'),
        ...(calls.length === 0
          ? []
          : [
              db
                .updateTable('calls')
                .set({ state: 'working', reason: null, updated_at: now })
                .where('id', 'in', calls)
                .where('state', '=', 'attention'),
            ]),
      ],
    )
  }
  return back.map(({ id, lane, kind }) => ({ step: id, lane, dueAt: now, kind }))
}
