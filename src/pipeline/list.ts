import { beginOf, createTaker } from './listed.ts'
import { addCounts, type Counts, isOver, type Listing, NOTHING, readListing, saveListing } from './listing.ts'
import { patient } from './patient.ts'
import { following } from './regular.ts'
import { isLate } from './replay.ts'
import type { Outcome, Running } from './step.ts'
import { givenUp } from './subscribe.ts'

/** A window of few pages is followed by one twice as long, one of many by one half as long. */
const FEW_PAGES = 2
const MANY_PAGES = 20
const SHORTEST_MS = 3_600_000
/** The longest window: a crash has no more than that read again. */
export const LONGEST_MS = 28 * 86_400_000
/** Of a vendor that brings what begins so long after the end of the window, it is clear that it does not heed the end. */
const BEYOND_MS = 86_400_000
/** While merges are late, the next window waits. */
const LATE_MS = 2_000

/**
 * list: one window of the vendor's list of calls. A backfill goes through its time window by window; a reconciliation does the
 * same with the last hours, and is followed by the next one. What the list brings goes the way of a webhook.
 */
export async function list(running: Running): Promise<Outcome> {
  const { deps, step, connection } = running
  const isReconciling = step.subject === step.connection
  const calls = connection.connector.telephony?.calls
  const next = (how?: { failed: boolean }) => following(deps, 'list', step, connection, how)
  const known = await readListing(deps.store, step.subject)
  if (!calls || (isReconciling && !connection.reconcile))
    return { done: 'the configuration no longer asks for it', ...(isReconciling ? next() : {}) }
  const listing = isReconciling ? current(running, known) : known
  if (!listing || isOver(listing)) return { done: 'it was stopped' }

  const to = Math.min(listing.at + listing.spanMs, listing.until)
  // Whoever comes after a crash knows by this that a part of the window may be stored.
  if (!listing.begun) await running.commit([saveListing(deps, { ...listing, begun: true })])
  let read: Read
  try {
    read = await readWindow(running, listing, to, isReconciling)
  } catch (thrown) {
    if (!isReconciling) throw thrown
    return givenUp(running, thrown, next({ failed: true }))
  }

  const reached: Listing = {
    ...listing,
    // All there is came in one go.
    at: read.isBeyond ? listing.until : to,
    begun: false,
    spanMs: spanAfter(listing.spanMs, read.pages),
    counts: addCounts(listing.counts, read.counts),
  }
  if (!isOver(reached)) {
    const wait = (await isLate(deps)) ? LATE_MS : 0
    const says = `listed up to ${isoOf(reached.at)}`
    return { again: deps.now() + wait, says, queries: [saveListing(deps, reached)] }
  }
  const endedAt = deps.now()
  const queries = [saveListing(deps, { ...reached, endedAt, lastAt: endedAt })]
  const done = `${reached.counts.listed} calls listed, ${reached.counts.new} of them new`
  if (!isReconciling) return { done, queries }
  const follow = next()
  return { done, queries: [...queries, ...follow.queries], next: follow.next }
}

interface Read {
  counts: Counts
  pages: number
  isBeyond: boolean
}

async function readWindow(
  running: Running,
  listing: Listing,
  to: number,
  isReconciling: boolean,
): Promise<Read> {
  const { deps, connection, signal } = running
  const taker = createTaker(running, listing, isReconciling)
  const context = patient(running.context(), deps.wait)
  const { telephony } = connection.connector
  let pages = 0
  let isBeyond = false
  for await (const page of telephony?.calls?.(isoOf(listing.at), context, isoOf(to)) ?? []) {
    signal.throwIfAborted()
    pages += 1
    isBeyond ||= page.some((event) => (beginOf([event]) ?? 0) >= to + BEYOND_MS)
    await taker.take(page)
  }
  return { counts: await taker.end(), pages, isBeyond }
}

/** The reconciliation that is under way, or a new one of the last hours. */
function current({ deps, connection, step }: Running, known: Listing | null): Listing {
  const { everyMs = 0, overMs = 0 } = connection.reconcile ?? {}
  const now = deps.now()
  if (known && !isOver(known) && now - known.startedAt < everyMs) return known
  return {
    id: step.subject,
    connection: connection.id,
    since: now - overMs,
    until: now,
    at: now - overMs,
    spanMs: Math.min(known?.spanMs ?? overMs, overMs),
    begun: false,
    counts: NOTHING,
    startedAt: now,
    endedAt: null,
    watchedSince: known?.watchedSince ?? now,
    ...(known?.lastAt === undefined ? {} : { lastAt: known.lastAt }),
  }
}

function spanAfter(spanMs: number, pages: number): number {
  if (pages > MANY_PAGES) return Math.max(SHORTEST_MS, Math.floor(spanMs / 2))
  return pages <= FEW_PAGES ? Math.min(LONGEST_MS, spanMs * 2) : spanMs
}

const isoOf = (ms: number): string => new Date(ms).toISOString()
