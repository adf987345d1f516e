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
 * configuration has it, or the flow, again, or was changed `since`. Asked connection by connection, through the index of
 * what is stuck; what has to stay parked is left out by the question itself, so that it takes nobody's room.
 */
export async function unpark(
  deps: Deps,
  breakers: readonly BreakerRow[],
  since: number | null,
  room: number,
): Promise<Bell[]> {
  const open = new Set(breakers.filter((row) => row.state === 'open').map((row) => row.connection))
  const bells: Bell[] = []
  for (const connection of deps.config.connections.keys()) {
    const codes: ErrorCode[] = ['connection_gone', 'flow_gone']
    if (!open.has(connection)) codes.push('auth', 'quota')
    bells.push(...(await wake(deps, { connection, codes, since }, Math.min(ROOM, room))))
  }
  return bells
}

interface Over {
  connection: string
  /** What is over now. */
  codes: readonly ErrorCode[]
  /** What was parked before, for whatever a configuration can put right, is tried once more with this one; null: all. */
  since: number | null
}

async function wake(deps: Deps, { connection, codes, since }: Over, room: number): Promise<Bell[]> {
  const { db } = deps.store
  const flows = deps.config.flows.map((flow) => flow.name)
  const back = await db
    .selectFrom('steps')
    .select(['steps.id', 'steps.lane', 'steps.call_id', 'steps.kind'])
    .leftJoin('calls', 'calls.id', 'steps.call_id')
    .where('steps.connection', '=', connection)
    .where('steps.code', 'in', [...codes, ...CONFIGURED])
    // As the index has it, and then the half of it that is meant.
    .where(sql<boolean>`steps.state in ('parked', 'dead')`)
    .where('steps.state', '=', 'parked')
    .$if(since !== null, (all) =>
      all.where((is) => is.or([is('steps.code', 'in', codes), is('steps.updated_at', '<', since)])),
    )
    .where((is) => is.or([is('steps.flow', 'is', null), oneOf(deps, 'steps.flow', flows)]))
    // A submission also needs the phone system that has the recording.
    .where((is) =>
      is.or([
        is('steps.kind', '!=', 'submit'),
        is('calls.connection', 'is', null),
        oneOf(deps, 'calls.connection', [...deps.config.connections.keys()]),
      ]),
    )
    .limit(room)
    .execute()
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

/** As one parameter: there may be more names than the 100 that a statement may have on D1. */
function oneOf({ store }: Pick<Deps, 'store'>, column: string, names: readonly string[]) {
  const list = JSON.stringify(names)
  const rows =
    store.dialect === 'postgres'
      ? sql`select json_array_elements_text(${list}::json)`
      : sql`select value from json_each(${list})`
  return sql<boolean>`${sql.ref(column)} in (${rows})`
}
