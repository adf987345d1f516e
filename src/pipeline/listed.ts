import { sql } from 'kysely'
import type { CallEvent } from '../call/facts.ts'
import { newId } from '../call/ids.ts'
import type { InboundRequest } from '../connector/contract.ts'
import type { CrmChange } from '../connector/crm-role.ts'
import { utf8 } from '../connector/encoding.ts'
import { CordboardError } from '../errors.ts'
import { erasedAmong } from './erased.ts'
import { hashOf } from './hash.ts'
import { addCounts, type Counts, type Listing, NOTHING } from './listing.ts'
import { chunks, idsOf } from './resolve.ts'
import type { Running } from './step.ts'
import { storeDelivery } from './store-delivery.ts'

/**
 * What a vendor's list tells of calls becomes deliveries, one for each call, of what was not said before. A call that
 * webhooks have told of to its end is left as it is, but for a recording that nobody announced.
 */

/** Body of such a delivery; one of a stream (listen.ts) may also name calls to look up, and records that are gone. */
export interface Told {
  events: CallEvent[]
  lookUp?: readonly string[]
  changes?: readonly CrmChange[]
  /** No webhook had told of it, though one should have by then. */
  missed?: true
}

/** A webhook may still be on its way when the list knows of a call already: it is waited for this long. */
export const GRACE_MS = 600_000
/** Deliveries that are stored together. */
const AT_ONCE = 50
/** Events of calls whose end is not listed yet; more are not kept in mind. */
const MOST_HELD = 5_000

/** What of a call is known before. */
interface Known {
  hasEnded: boolean
  /** Something other than a list has told of it. */
  byOthers: boolean
}

/** An event that is stored already. */
interface Stored {
  isOurs: boolean
}

/** Takes what the list tells of calls, compares it with what is stored, and stores what is new as deliveries. */
export function createTaker(running: Running, listing: Listing, isReconciling: boolean) {
  const { deps, connection } = running
  const path = `/v1/listings/${listing.id}`
  const hasWebhook = connection.connector.telephony?.webhook !== undefined
  const seen = new Set<string>()
  const held = new Map<string, CallEvent[]>()
  let counts = NOTHING
  let heldCount = 0

  /** Calls of a page whose end is told, and those that are known; what else there is waits for the end of its call. */
  async function take(events: readonly CallEvent[]): Promise<void> {
    const groups = Map.groupBy(events, ({ callId }) => callId)
    const known = await knownCalls(events)
    const ready: CallEvent[][] = []
    for (const [callId, group] of groups) {
      const ended = group.some(({ phase }) => phase === 'ended')
      if (ended && isOutside(group)) continue
      if (ended || seen.has(callId) || group.some((event) => idsOf(event).some((id) => known.has(id)))) {
        const waited = held.get(callId) ?? []
        held.delete(callId)
        heldCount -= waited.length
        ready.push([...waited, ...group])
      } else if (heldCount < MOST_HELD) {
        held.set(callId, [...(held.get(callId) ?? []), ...group])
        heldCount += group.length
      }
    }
    await storeAll(ready, known)
  }

  /** What waited for a call that an earlier window, or a webhook, has brought meanwhile. The rest is of calls before. */
  async function end(): Promise<Counts> {
    const events = [...held.values()].flat()
    held.clear()
    const known = await knownCalls(events)
    const ready = [...Map.groupBy(events, ({ callId }) => callId).values()].filter((group) =>
      group.some((event) => seen.has(event.callId) || idsOf(event).some((id) => known.has(id))),
    )
    await storeAll(ready, known)
    return counts
  }

  /** Not of this listing: it begins after it, is older than calls are kept, or its webhook may still come. */
  function isOutside(group: readonly CallEvent[]): boolean {
    const began = beginOf(group)
    if (began !== null && began >= listing.until) return true
    if (!isReconciling) return false
    // What retention has erased by its age is asked for by a person, who begins a backfill, or by nobody.
    const { callsMs } = deps.config.keep
    if (began !== null && callsMs !== undefined && began < deps.now() - callsMs) return true
    return (endOf(group) ?? 0) > deps.now() - GRACE_MS
  }

  async function storeAll(groups: readonly CallEvent[][], known: ReadonlyMap<string, Known>): Promise<void> {
    const stored = await storedEvents(groups.flat())
    const unknown = groups.flat().flatMap(idsOf)
    const erased = await erasedAmong(
      deps,
      { connection: connection.id, of: 'call' },
      unknown.filter((id) => !known.has(id)),
    )
    for (let at = 0; at < groups.length; at += AT_ONCE)
      await Promise.all(
        groups.slice(at, at + AT_ONCE).map((group) => storeCall(group, known, stored, erased)),
      )
  }

  async function storeCall(
    group: readonly CallEvent[],
    known: ReadonlyMap<string, Known>,
    stored: ReadonlyMap<string, Stored>,
    erased: ReadonlySet<string>,
  ): Promise<void> {
    const [first] = group
    if (!first) return
    const ids = group.flatMap(idsOf)
    const call = ids.flatMap((id) => known.get(id) ?? [])[0]
    // Of a call that somebody had erased not even a delivery is stored again.
    const isErased = call === undefined && ids.some((id) => erased.has(id))
    const fresh = isErased ? [] : freshOf(group, call, stored)
    const ours = group.filter(({ key }) => stored.get(key)?.isOurs)
    const isCounted = group.some(({ phase }) => phase === 'ended') && !seen.has(first.callId)
    if (isCounted) seen.add(first.callId)
    const isStored = fresh.length > 0 && (await storeOne(fresh, isMissed(fresh)))
    // A window that was cut off stored a part of this before: then it is new all the same.
    const wasNew = !isErased && call === undefined && (isStored || listing.begun)
    const isNew = wasNew || (listing.begun && ours.length > 0)
    counts = addCounts(counts, {
      listed: isCounted ? 1 : 0,
      new: isCounted && isNew ? 1 : 0,
      known: isCounted && !isNew ? 1 : 0,
      events: (isStored || listing.begun ? fresh.length : 0) + (listing.begun ? ours.length : 0),
    })
  }

  /** Before the list was compared, or after a webhook could have come, nothing says that one got lost. */
  function isMissed(fresh: readonly CallEvent[]): boolean {
    const ended = endOf(fresh)
    return isReconciling && hasWebhook && ended !== null && ended >= (listing.watchedSince ?? Infinity)
  }

  /** False: it is stored already, and waits to be read. */
  async function storeOne(events: CallEvent[], missed: boolean): Promise<boolean> {
    const told: Told = { events, ...(missed ? { missed } : {}) }
    const receivedAt = deps.now()
    const { repeats } = await storeDelivery(deps, {
      id: newId('dlv', receivedAt, deps.random),
      connection: connection.id,
      role: 'list',
      receivedAt,
      method: 'GET',
      url: `${deps.config.publicUrl ?? 'http://localhost'}${path}`,
      path,
      headers: [['content-type', 'application/json']],
      body: utf8(JSON.stringify(told)),
      dedupeKey: `l:${await hashOf(deps.signer, events)}`,
    })
    return repeats === 0
  }

  async function storedEvents(events: readonly CallEvent[]): Promise<Map<string, Stored>> {
    const stored = new Map<string, Stored>()
    for (const keys of chunks(events.map(({ key }) => key))) {
      const rows = await deps.store.db
        .selectFrom('events')
        .leftJoin('deliveries', 'deliveries.id', 'events.delivery_id')
        .select(['events.event_key', 'deliveries.path'])
        .where('events.connection', '=', connection.id)
        .where('events.event_key', 'in', keys)
        .execute()
      for (const row of rows) stored.set(row.event_key, { isOurs: row.path === path })
    }
    return stored
  }

  async function knownCalls(events: readonly CallEvent[]): Promise<Map<string, Known>> {
    const known = new Map<string, Known>()
    for (const ids of chunks(events.flatMap(idsOf))) {
      const rows = await deps.store.db
        .selectFrom('call_keys')
        .innerJoin('calls', 'calls.id', 'call_keys.call_id')
        .select([
          'call_keys.external_id',
          'calls.state',
          sql<number>`case when exists (select 1 from events
            left join deliveries on deliveries.id = events.delivery_id
            where events.call_id = calls.id and (deliveries.id is null or deliveries.role <> 'list'))
            then 1 else 0 end`.as('by_others'),
        ])
        .where('call_keys.connection', '=', connection.id)
        .where('call_keys.external_id', 'in', ids)
        .execute()
      for (const row of rows)
        known.set(row.external_id, { hasEnded: row.state !== 'open', byOthers: Number(row.by_others) === 1 })
    }
    return known
  }

  return { take, end }
}

function freshOf(
  group: readonly CallEvent[],
  call: Known | undefined,
  stored: ReadonlyMap<string, Stored>,
): CallEvent[] {
  const isTold = call?.hasEnded === true && call.byOthers
  return group.filter(({ key, phase }) => !stored.has(key) && (!isTold || phase === 'recorded'))
}

/** When a call began, as far as its events say; null: they do not. */
export function beginOf(events: readonly CallEvent[]): number | null {
  const times = events.flatMap(({ facts }) =>
    facts.startedAt === undefined ? [] : [Date.parse(facts.startedAt)],
  )
  return times.length === 0 ? null : Math.min(...times)
}

/** When it ended at the latest; null where only a recording is told of. */
function endOf(events: readonly CallEvent[]): number | null {
  const times = events
    .filter(({ phase }) => phase === 'ended')
    .flatMap(({ at, facts: { startedAt, endedAt, totalMs = 0, talkMs = 0 } }) => [
      ...(endedAt === undefined ? [] : [Date.parse(endedAt)]),
      ...(at === undefined ? [] : [Date.parse(at)]),
      ...(startedAt === undefined ? [] : [Date.parse(startedAt) + Math.max(totalMs, talkMs)]),
    ])
  return times.length === 0 ? null : Math.max(...times)
}

/** What such a delivery says, for `merge`. */
export function readTold(request: InboundRequest): Told {
  const told = JSON.parse(new TextDecoder().decode(request.body)) as Told
  if (!Array.isArray(told.events))
    throw new CordboardError('invalid_payload', 'A delivery of a list has no events')
  return told
}
