import { newId } from '../call/ids.ts'
import type { Connection } from '../config/model.ts'
import { CordboardError, type ErrorCode } from '../errors.ts'
import type { Store } from '../store/port.ts'
import { type Actor, auditRow } from './audit.ts'
import type { Deps } from './deps.ts'
import { LONGEST_MS } from './list.ts'
import {
  addListing,
  isOver,
  type Listing,
  listings,
  NOTHING,
  readListing,
  replaceListing,
} from './listing.ts'
import { bellsOf, insertSteps, newStep } from './step.ts'

/** The first window: it grows while there is little in it. */
const FIRST_MS = 86_400_000

/** A reading of the vendor’s list that a person began, and how it is doing. */
export interface Backfill extends Listing {
  state: 'running' | 'stuck' | 'stopped' | 'done'
  /** Why it is stuck, or what kept it from going on last. */
  code: ErrorCode | null
  reason: string | null
}

/**
 * Begins to read the vendor's list of calls from `since` on. One at a time for a connection: whoever asks again for what is
 * being read gets that one, let go if it was stuck.
 */
export async function startBackfill(
  deps: Deps,
  connection: Connection,
  wish: { since: number; until: number | undefined },
  { actor }: Actor,
): Promise<Backfill> {
  const now = deps.now()
  const { since, until = now } = wish
  checkWish(connection, since, until, now)
  const open = await openOf(deps.store, connection.id)
  if (open) return goOn(deps, open, wish)
  const listing: Listing = {
    id: newId('bfl', now, deps.random),
    connection: connection.id,
    since,
    until,
    at: since,
    spanMs: Math.min(FIRST_MS, LONGEST_MS),
    begun: false,
    counts: NOTHING,
    startedAt: now,
    endedAt: null,
  }
  const step = newStep(deps, {
    kind: 'list',
    subject: listing.id,
    callId: null,
    connection: connection.id,
    generation: 0,
    flow: null,
  })
  const detail = JSON.stringify({ connection: connection.id, since, until })
  await deps.store.atomic(
    [],
    [
      addListing(deps, listing),
      ...insertSteps(deps, [step]),
      auditRow(deps, actor, 'backfill', listing.id, detail),
    ],
  )
  deps.queue.wake(bellsOf([step]))
  return { ...listing, state: 'running', code: null, reason: null }
}

/** Null when there is none of this id. */
export async function readBackfill(store: Pick<Store, 'db'>, id: string): Promise<Backfill | null> {
  const listing = await readListing(store, id)
  if (!listing || listing.id === listing.connection) return null
  const { at, until } = listing
  if (isOver(listing)) return { ...listing, state: at < until ? 'stopped' : 'done', code: null, reason: null }
  const step = await store.db
    .selectFrom('steps')
    .select(['state', 'code', 'reason'])
    .where('kind', '=', 'list')
    .where('subject', '=', id)
    .executeTakeFirst()
  const isStuck = step === undefined || step.state === 'parked' || step.state === 'dead'
  const code = (step?.code ?? null) as ErrorCode | null
  return { ...listing, state: isStuck ? 'stuck' : 'running', code, reason: step?.reason ?? null }
}

/** It may have gone on between reading and writing: a window takes seconds. */
const TRIES = 5

/**
 * Lists no more of it; what is on its way goes on. Whoever has its step in hand loses it, and what was read of the window
 * is counted with the next backfill. Answers how far it came, null when there is none of this id under way.
 */
export async function stopBackfill(deps: Deps, id: string, { actor }: Actor): Promise<Backfill | null> {
  for (let tried = 1; ; tried += 1) {
    const listing = await readListing(deps.store, id)
    if (!listing || listing.id === listing.connection || isOver(listing)) return null
    const now = deps.now()
    const stopped: Listing = { ...listing, begun: false, stoppedAt: now, endedAt: now }
    const { since, until, at } = listing
    const detail = JSON.stringify({ connection: listing.connection, since, until, at })
    const taken = { state: 'done', reason: 'it was stopped', lease: null, lease_until: null } as const
    const step = deps.store.db
      .updateTable('steps')
      .set({ ...taken, awaiting: null, code: null, updated_at: now })
      .where('kind', '=', 'list')
      .where('subject', '=', id)
    const audit = auditRow(deps, actor, 'stop backfill', id, detail)
    try {
      await deps.store.atomic([], [replaceListing(deps, listing, stopped), step, audit])
      return { ...stopped, state: 'stopped', code: null, reason: null }
    } catch (error) {
      if (tried === TRIES) throw error
    }
  }
}

function checkWish({ id, connector }: Connection, since: number, until: number, now: number): void {
  if (!connector.telephony?.calls) {
    throw new CordboardError('bad_request', `${id} (${connector.name}) has no list of calls to read`, {
      fix: 'Name a connection whose connector has one: connectors/README.md',
    })
  }
  if (since >= until || until > now) {
    throw new CordboardError('bad_request', 'since must lie before until, and until not in the future')
  }
}

async function openOf(store: Pick<Store, 'db'>, connection: string): Promise<Listing | undefined> {
  return (await listings(store)).find(
    (one) => one.connection === connection && one.id !== connection && !isOver(one),
  )
}

async function goOn(
  deps: Deps,
  open: Listing,
  { since, until }: { since: number; until: number | undefined },
): Promise<Backfill> {
  if (since < open.since || (until !== undefined && until > open.until)) {
    throw new CordboardError('conflict', `The backfill ${open.id} of ${open.connection} is under way`, {
      why: `It reads from ${new Date(open.since).toISOString()} to ${new Date(open.until).toISOString()}, which is less`,
      fix: 'Wait for its end, then ask for the rest',
    })
  }
  const now = deps.now()
  await deps.store.atomic(
    [],
    [
      deps.store.db
        .updateTable('steps')
        .set({ state: 'waiting', due_at: now, updated_at: now })
        .where('kind', '=', 'list')
        .where('subject', '=', open.id)
        .where('state', 'in', ['parked', 'dead']),
    ],
  )
  deps.queue.wake([{ step: '', lane: open.connection, dueAt: now }])
  return (await readBackfill(deps.store, open.id)) ?? { ...open, state: 'running', code: null, reason: null }
}
