import type { Call } from './call.ts'
import { type CallEvent, type Facts, PHASES } from './facts.ts'
import {
  between,
  compare,
  earlier,
  extreme,
  foldAgent,
  foldCustomer,
  foldLegs,
  foldMeta,
  foldRecordings,
  last,
  less,
} from './fold.ts'

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

/** Without the keys that are undefined: absent is absent, in JSON and in comparisons. */
function defined<T extends object>(value: { [Key in keyof T]: T[Key] | undefined }): T {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T
}
