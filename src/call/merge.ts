import type { Agent, Call, Customer, Leg, Recording } from './call.ts'
import { type CallEvent, type Facts, PHASES } from './facts.ts'

/**
 * A call is a merge of observations. `foldEvents` makes the Call of all its stored events; because it sorts them first,
 * any order of arrival and any repetition gives the same Call. `progressOf` says how far the call has come.
 */

interface Base {
  id: string
  connection: string
  /** The vendor's id under which the call became known; default: that of its first event. */
  callId?: string
}

const PHASE_RANK = Object.fromEntries(PHASES.map((phase, rank) => [phase, rank])) as Record<string, number>

/** By phase, then the vendor's time, then the key: a total order that does not know when an event arrived. */
function inOrder(events: readonly CallEvent[]): CallEvent[] {
  const byKey = new Map<string, CallEvent>()
  for (const event of events) byKey.set(event.key, event)
  return [...byKey.values()].sort(
    (a, b) =>
      (PHASE_RANK[a.phase] ?? 0) - (PHASE_RANK[b.phase] ?? 0) ||
      compare(a.at ?? '', b.at ?? '') ||
      compare(a.key, b.key),
  )
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

export function foldEvents(events: readonly CallEvent[], base: Base): Call {
  const ordered = inOrder(events)
  const all = ordered.map((event) => event.facts)
  const corrected = ordered.filter((event) => event.phase === 'amended').map((event) => event.facts)

  const startedAt = last(corrected, 'startedAt') ?? extreme(all, 'startedAt', -1)
  const answeredAt = last(corrected, 'answeredAt') ?? extreme(all, 'answeredAt', -1)
  const endedAt = last(corrected, 'endedAt') ?? extreme(all, 'endedAt', 1)
  const holdMs = last(all, 'holdMs')
  const totalMs = between(startedAt, endedAt) ?? last(all, 'totalMs')
  const direction = last(all, 'direction')
  const from = last(all, 'from')
  const dialed = last(all, 'dialed')
  const outside = direction === 'outbound' ? dialed : direction === 'inbound' ? from : undefined

  return defined<Call>({
    id: base.id,
    medium: last(all, 'medium') ?? 'voice',
    source: { connection: base.connection, callId: base.callId ?? ordered[0]?.callId ?? '' },
    direction,
    result: last(all, 'result'),
    outcome: last(all, 'outcome'),
    startedAt: startedAt ?? earlier(endedAt, totalMs),
    answeredAt,
    endedAt,
    ringMs: between(startedAt, answeredAt) ?? last(all, 'ringMs'),
    talkMs: less(between(answeredAt, endedAt), holdMs) ?? last(all, 'talkMs'),
    holdMs,
    totalMs,
    from,
    dialed,
    customer: foldCustomer(all, outside),
    agent: foldAgent(all),
    legs: foldLegs(all),
    segment: last(all, 'segment'),
    directory: last(all, 'directory'),
    disconnectReason: last(all, 'disconnectReason'),
    recordings: foldRecordings(all),
    transcript: last(all, 'transcript'),
    reference: last(all, 'reference'),
    language: last(all, 'language'),
    tags: [...new Set(all.flatMap((facts) => facts.tags ?? []))].sort().slice(0, 100),
    meta: foldMeta(all),
  })
}

/** How far a call has come. `recording` is `none` when there is nothing to wait for. */
export interface Progress {
  ended: boolean
  recording: 'ready' | 'pending' | 'unknown' | 'none'
}

export function progressOf(events: readonly CallEvent[]): Progress {
  const ordered = inOrder(events)
  const all = ordered.map((event) => event.facts)
  const ended = ordered.some(
    (e) => e.phase === 'ended' || (e.phase === 'amended' && e.facts.endedAt !== undefined),
  )
  return { ended, recording: recordingState(all) }
}

function recordingState(all: readonly Facts[]): Progress['recording'] {
  const recordings = foldRecordings(all)
  if (recordings.some((recording) => recording.state === 'pending')) return 'pending'
  if (recordings.some((recording) => recording.state === 'ready')) return 'ready'
  if (recordings.length > 0 || last(all, 'transcript')) return 'none'
  const expected = last(all, 'recordingExpected')
  if (expected !== undefined) return expected ? 'pending' : 'none'
  const result = last(all, 'result')
  return result === undefined || result === 'answered' || result === 'voicemail' ? 'unknown' : 'none'
}

/** The last event that says it, wins. */
function last<Key extends keyof Facts>(all: readonly Facts[], key: Key): Facts[Key] | undefined {
  for (let index = all.length - 1; index >= 0; index -= 1) {
    const value = all[index]?.[key]
    if (value !== undefined) return value
  }
  return undefined
}

type InstantKey = 'startedAt' | 'answeredAt' | 'endedAt'

/** The earliest (-1) or latest (1) instant. */
function extreme(all: readonly Facts[], key: InstantKey, sign: 1 | -1): string | undefined {
  let best: string | undefined
  for (const facts of all) {
    const value = facts[key]
    if (value !== undefined && (best === undefined || (Date.parse(value) - Date.parse(best)) * sign > 0))
      best = value
  }
  return best
}

function between(from: string | undefined, to: string | undefined): number | undefined {
  if (from === undefined || to === undefined) return undefined
  const ms = Date.parse(to) - Date.parse(from)
  return ms >= 0 ? ms : undefined
}

function less(ms: number | undefined, hold: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.max(0, ms - (hold ?? 0))
}

/** A start that only follows from the end and the vendor's total. */
function earlier(end: string | undefined, total: number | undefined): string | undefined {
  return end === undefined || total === undefined
    ? undefined
    : new Date(Date.parse(end) - total).toISOString()
}

function foldCustomer(all: readonly Facts[], outside: Call['from']): Customer | undefined {
  const said: NonNullable<Facts['customer']> = Object.assign({}, ...all.map((facts) => facts.customer))
  const customer = { ...outside, ...said }
  const { phone, phoneRaw } = customer
  if (phone === undefined && phoneRaw === undefined && Object.keys(customer).length === 0) return undefined
  return { ...customer, phone: phone ?? null, phoneRaw: phoneRaw ?? '' }
}

/** The last agent named; what is said twice of the same agent is put together. */
function foldAgent(all: readonly Facts[]): Agent | undefined {
  let agent: Agent | undefined
  for (const { agent: next } of all) {
    if (!next) continue
    const other =
      (agent?.id !== undefined && next.id !== undefined && agent.id !== next.id) ||
      (agent?.extension !== undefined && next.extension !== undefined && agent.extension !== next.extension)
    agent = other ? next : { ...agent, ...next }
  }
  return agent
}

function foldLegs(all: readonly Facts[]): Leg[] {
  const legs = new Map<string, Leg>()
  for (const facts of all) {
    for (const leg of facts.legs ?? []) legs.set(leg.key, { ...legs.get(leg.key), ...leg })
  }
  return [...legs.values()].sort(
    (a, b) => compare(a.startedAt ?? '', b.startedAt ?? '') || compare(a.key, b.key),
  )
}

const STATE_RANK = { pending: 0, failed: 1, absent: 1, ready: 2 } as const

/** A recording that was once ready stays so, whatever comes late. */
function foldRecordings(all: readonly Facts[]): Recording[] {
  const recordings = new Map<string, Recording>()
  for (const facts of all) {
    for (const next of facts.recordings ?? []) {
      const known = recordings.get(next.key)
      const state = known && STATE_RANK[known.state] > STATE_RANK[next.state] ? known.state : next.state
      recordings.set(next.key, { ...known, ...next, state })
    }
  }
  return [...recordings.values()].sort((a, b) => compare(a.key, b.key))
}

const META_LIMIT = 64

function foldMeta(all: readonly Facts[]): Record<string, string> {
  const meta = all.reduce<Record<string, string>>((sum, facts) => Object.assign(sum, facts.meta), {})
  return Object.fromEntries(
    Object.entries(meta)
      .sort(([a], [b]) => compare(a, b))
      .slice(0, META_LIMIT),
  )
}

/** Without the keys that are undefined: absent is absent, in JSON and in comparisons. */
function defined<T extends object>(value: { [Key in keyof T]: T[Key] | undefined }): T {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T
}
