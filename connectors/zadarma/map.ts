import type { Agent, Direction, Recording, Result } from '../../src/call/call.ts'
import type { CallEvent, Facts, Phase } from '../../src/call/facts.ts'
import { normalisePhone } from '../../src/call/phone.ts'
import { toInstant } from '../../src/call/zone.ts'
import type { MapContext } from '../../src/connector/contract.ts'
import type { CallNotice, Config, RecordNotice, StatisticsRow } from './schema.ts'

type Context = Pick<MapContext<Config>, 'config' | 'region'>

/** The notifications of a call, by their field `event`. The others are of another webhook or unknown. */
export const CALL_EVENTS = {
  NOTIFY_START: 'ringing',
  NOTIFY_INTERNAL: 'ringing',
  NOTIFY_IVR: 'ringing',
  NOTIFY_OUT_START: 'ringing',
  NOTIFY_ANSWER: 'answered',
  NOTIFY_END: 'ended',
  NOTIFY_OUT_END: 'ended',
} as const satisfies Record<string, Phase>
export type CallEventName = keyof typeof CALL_EVENTS

/** How the vendor's words end a call; the webhook says `failed`, the statistics `call failed`. */
const RESULTS: Readonly<Record<string, Result>> = {
  answered: 'answered',
  busy: 'busy',
  'no answer': 'no_answer',
  failed: 'failed',
  'call failed': 'failed',
  'unallocated number': 'failed',
  'no money': 'failed',
  'no limit': 'failed',
  'no day limit': 'failed',
  'line limit': 'failed',
  'no money, no limit': 'failed',
}

/** `cancel` is "cancelled by the caller": inbound that is the customer giving up, outbound our agent. */
export function resultOf(disposition: string, direction: Direction | undefined): Result | undefined {
  const said = disposition.trim().toLowerCase()
  if (said === 'cancel') return direction === 'inbound' ? 'abandoned' : 'no_answer'
  return Object.hasOwn(RESULTS, said) ? RESULTS[said] : undefined
}

/** The ids of calls say their direction: `in_…`, `out_…`. NOTIFY_ANSWER has nothing else that does. */
export function directionOf(pbxCallId: string): Direction | undefined {
  if (pbxCallId.startsWith('in_')) return 'inbound'
  return pbxCallId.startsWith('out_') ? 'outbound' : undefined
}

export function toCallEvent(
  name: CallEventName,
  read: CallNotice,
  receivedAt: string,
  ctx: Context,
): CallEvent {
  const phase = CALL_EVENTS[name]
  const startedAt = toInstant(read.call_start, ctx.config.timeZone)
  const direction = name.startsWith('NOTIFY_OUT_')
    ? 'outbound'
    : name === 'NOTIFY_ANSWER'
      ? directionOf(read.pbx_call_id)
      : 'inbound'
  const extension =
    read.internal ??
    read.last_internal ??
    (name === 'NOTIFY_ANSWER' && direction === 'inbound' ? extensionIn(read.destination, ctx) : undefined)
  const facts: Facts = { startedAt, ...partiesOf(read, direction, ctx) }
  if (extension !== undefined && name === 'NOTIFY_INTERNAL') {
    facts.legs = [{ key: extension, agent: { extension }, to: extension }]
  }
  if (phase === 'answered') {
    // No field says when: the moment of the notification is the nearest there is.
    facts.answeredAt = receivedAt
    if (extension !== undefined) {
      facts.agent = { extension }
      facts.legs = [{ key: extension, agent: { extension }, answeredAt: receivedAt }]
    }
  }
  if (phase === 'ended') Object.assign(facts, endOf(read, direction, extension, ctx))
  // Several extensions ring for one call, and after a transfer another one answers.
  const isOfExtension = extension !== undefined && (name === 'NOTIFY_INTERNAL' || name === 'NOTIFY_ANSWER')
  return {
    key: `${read.pbx_call_id}:${name}${isOfExtension ? `:${extension}` : ''}`,
    callId: read.pbx_call_id,
    phase,
    ...(phase === 'answered' ? { at: receivedAt } : phase === 'ringing' ? { at: startedAt } : {}),
    facts,
  }
}

function partiesOf(read: CallNotice, direction: Direction | undefined, ctx: Context): Facts {
  if (direction === undefined) return {}
  const party = (raw: string) => ({ phone: normalisePhone(raw, ctx.region).e164, phoneRaw: raw })
  // Whoever has an extension is one of us, on whichever side of the call.
  const outside = direction === 'outbound' ? read.destination : read.caller_id
  const facts: Facts = { direction: extensionIn(outside, ctx) === undefined ? direction : 'internal' }
  // An anonymous caller has an empty caller_id: the call has a caller all the same.
  if (read.caller_id !== undefined || direction === 'inbound') facts.from = party(read.caller_id ?? '')
  const dialed = direction === 'outbound' ? read.destination : read.called_did
  if (dialed !== undefined) facts.dialed = party(dialed)
  return facts
}

function endOf(
  read: CallNotice,
  direction: Direction | undefined,
  extension: string | undefined,
  ctx: Context,
): Facts {
  const facts: Facts = {}
  const result = read.disposition === undefined ? undefined : resultOf(read.disposition, direction)
  if (result) facts.result = result
  if (read.disposition !== undefined) {
    facts.disconnectReason = read.status_code
      ? `${read.disposition}, Q.931 ${read.status_code}`
      : read.disposition
  }
  Object.assign(facts, lengthOf(read.duration, result))
  // Who rang last without answering did not talk to the customer.
  if (extension !== undefined && (result === 'answered' || direction === 'outbound'))
    facts.agent = { extension }
  if (read.is_recorded === '0') facts.recordingExpected = false
  if (read.is_recorded === '1') {
    facts.recordingExpected = true
    if (read.call_id_with_rec) facts.recordings = [recordingOf(read.call_id_with_rec, 'pending', ctx)]
  }
  return facts
}

/**
 * "Length in seconds": whether ringing is part of it is not documented. As a total it is at most too short, as the length
 * of the talk at most too long; without the second no flow could ask for a minimum of talk. The end is not worked out.
 */
function lengthOf(ms: number | undefined, result: Result | undefined): Facts {
  if (ms === undefined) return {}
  return result === 'answered' ? { totalMs: ms, talkMs: ms } : { totalMs: ms }
}

function recordingOf(key: string, state: Recording['state'], { config }: Context): Recording {
  return { key, format: 'mp3', state, ...(config.tracks ? { tracks: config.tracks } : {}) }
}

/** A recording may be announced before the end of its call, and brings nothing but itself. */
export function toRecordEvent(read: RecordNotice, ctx: Context): CallEvent {
  return {
    key: `${read.pbx_call_id}:NOTIFY_RECORD:${read.call_id_with_rec}`,
    callId: read.pbx_call_id,
    phase: 'recorded',
    facts: { recordings: [recordingOf(read.call_id_with_rec, 'ready', ctx)] },
  }
}

/** The rows of one call, as its END and RECORD would have told them. In which order they come is not documented. */
export function toListedEvents(unsorted: readonly StatisticsRow[], ctx: Context): CallEvent[] {
  const rows = unsorted.toSorted((a, b) =>
    a.callstart < b.callstart ? -1 : a.callstart > b.callstart ? 1 : 0,
  )
  const [first] = rows
  if (!first) return []
  const direction = directionOf(first.pbx_call_id)
  const last = rows.findLast((row) => row.disposition.toLowerCase() === 'answered') ?? rows.at(-1) ?? first
  const recorded = rows.filter((row) => row.is_recorded)
  const result = resultOf(last.disposition, direction)
  const extension = extensionIn(direction === 'inbound' ? last.destination : last.sip, ctx)
  const agent: Agent | undefined =
    extension !== undefined && (result === 'answered' || direction === 'outbound') ? { extension } : undefined
  const facts: Facts = {
    startedAt: toInstant(first.callstart, ctx.config.timeZone),
    // `destination` of an inbound row is an extension or a scenario, not the number that was called.
    ...partiesOf(
      {
        pbx_call_id: first.pbx_call_id,
        call_start: first.callstart,
        caller_id: first.clid,
        destination: first.destination,
      },
      direction,
      ctx,
    ),
    ...(result ? { result } : {}),
    disconnectReason: last.disposition,
    // How the lengths of several rows overlap is not documented.
    ...(rows.length === 1 ? lengthOf(first.seconds * 1000, result) : {}),
    ...(agent ? { agent } : {}),
    recordingExpected: recorded.length > 0,
  }
  const name: CallEventName = direction === 'outbound' ? 'NOTIFY_OUT_END' : 'NOTIFY_END'
  return [
    { key: `${first.pbx_call_id}:${name}`, callId: first.pbx_call_id, phase: 'ended', facts },
    ...recorded.map((row) =>
      toRecordEvent({ pbx_call_id: row.pbx_call_id, call_id_with_rec: row.call_id }, ctx),
    ),
  ]
}

function extensionIn(raw: string | undefined, { region }: Context): string | undefined {
  return raw !== undefined && normalisePhone(raw, region).kind === 'extension' ? raw : undefined
}
