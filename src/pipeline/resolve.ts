import type { CallEvent } from '../call/facts.ts'
import { erasedAmong } from './erased.ts'
import type { Running } from './step.ts'

/** Events that belong to one call. */
export interface Group {
  /** Known calls that turn out to be the same one, the oldest first; none: a call nobody has heard of. */
  callIds: string[]
  events: CallEvent[]
  /** External ids that point at a call already, or at none any more: nothing is to be made of them. */
  known: ReadonlySet<string>
}

export interface Resolved {
  groups: Group[]
  /** Every name of the calls that were erased: what was said of them is in no group. */
  erased: ReadonlySet<string>
}

/** More names than this are not asked for in one query. */
const CHUNK = 90

/**
 * Which calls the events belong to. An event may know several ids of one call: then the oldest call takes the others in. Of a
 * call that somebody had erased nothing is taken any more, under whatever further names.
 */
export async function resolve(
  { deps, step, connection }: Running,
  events: readonly CallEvent[],
): Promise<Resolved> {
  const { db } = deps.store
  const callOfId = new Map<string, string>()
  for (const ids of chunks(events.flatMap(idsOf))) {
    const rows = await db
      .selectFrom('call_keys')
      .select(['external_id', 'call_id'])
      .where('connection', '=', connection.id)
      .where('external_id', 'in', ids)
      .execute()
    for (const row of rows) callOfId.set(row.external_id, row.call_id)
  }
  const unknown = events.flatMap(idsOf).filter((id) => !callOfId.has(id))
  const gone = await erasedAmong(deps, { connection: connection.id, of: 'call' }, unknown)
  // What was said before belongs to the call it was said of, even if today its ids are read differently.
  const callOfEvent = new Map<string, string>()
  const isReplay = step.generation > 0
  const unsure = events.filter((event) => isReplay || idsOf(event).some((id) => !callOfId.has(id)))
  for (const keys of chunks(unsure.map((event) => event.key))) {
    const rows = await db
      .selectFrom('events')
      .select(['event_key', 'call_id'])
      .where('connection', '=', connection.id)
      .where('event_key', 'in', keys)
      .execute()
    for (const row of rows) callOfEvent.set(row.event_key, row.call_id)
  }

  const groups: Array<{ ids: Set<string>; calls: Set<string>; events: CallEvent[] }> = []
  for (const event of events) {
    const ids = new Set(idsOf(event))
    const known = [...[...ids].map((id) => callOfId.get(id)), callOfEvent.get(event.key)]
    const mine = { ids, calls: new Set(known.filter((id) => id !== undefined)), events: [event] }
    // Events that share an id or a call are one group.
    for (const other of groups.filter(
      (group) => !group.ids.isDisjointFrom(ids) || !group.calls.isDisjointFrom(mine.calls),
    )) {
      groups.splice(groups.indexOf(other), 1)
      mine.events.unshift(...other.events)
      mine.ids = mine.ids.union(other.ids)
      mine.calls = mine.calls.union(other.calls)
    }
    groups.push(mine)
  }
  const known = new Set([...callOfId.keys(), ...gone])
  const erased = new Set<string>()
  const left: Group[] = []
  for (const { ids, calls, events: all } of groups) {
    const isGone = calls.size === 0 && !gone.isDisjointFrom(ids)
    // A call that is known stays, whatever it once had to do with the one that is gone.
    const own = isGone ? [] : all.filter(({ callId }) => !gone.has(callId))
    if (own.length < all.length) for (const id of isGone ? ids : ids.intersection(gone)) erased.add(id)
    // Ids of calls sort by time.
    if (own.length > 0) left.push({ callIds: [...calls].sort(), events: own, known })
  }
  return { groups: left, erased }
}

/** All ids by which the vendor knows the call of an event. */
export const idsOf = (event: CallEvent): string[] => [event.callId, ...(event.alsoKnownAs ?? [])]

/** No query has more than 100 parameters. */
export function* chunks(all: readonly string[]): Generator<string[]> {
  const distinct = [...new Set(all)]
  for (let at = 0; at < distinct.length; at += CHUNK) yield distinct.slice(at, at + CHUNK)
}
