import type { Agent, Direction, Leg, Recording, Result } from '../../src/call/call.ts'
import type { CallEvent, Facts, Phase } from '../../src/call/facts.ts'
import { normalisePhone } from '../../src/call/phone.ts'
import type { MapContext } from '../../src/connector/contract.ts'
import type {
  Config,
  LegNotice,
  ListedCall,
  ListedLeg,
  RecordAdded,
  RecordingNotice,
  Summary,
} from './schema.ts'

type Context = Pick<MapContext<Config>, 'config' | 'region'>

const THREE_HOURS_S = 10_800

/**
 * Times of events are "timestamp (UTC+3)", and every example is an ordinary Unix time: read as such, without a shift,
 * unless the operator saw otherwise (API document 1.9, §3.1.2 and §3.1.6, read 2026-11-27).
 */
const instantOf = (seconds: number, { config }: Context): string =>
  utc(config.eventClock === 'moscow' ? seconds - THREE_HOURS_S : seconds)

const utc = (seconds: number): string => new Date(seconds * 1000).toISOString()

/** "List of result codes", pp. 322–327 of that document: those of codes and classes that exclude a conversation. */
const RESULTS: Readonly<Record<number, Result>> = {
  1111: 'no_answer',
  1121: 'busy',
  1122: 'rejected',
  1123: 'rejected',
  1124: 'rejected',
  1130: 'failed',
  1140: 'failed',
  1150: 'failed',
  1151: 'rejected',
  1152: 'rejected',
  1160: 'no_answer',
  1171: 'failed',
  1190: 'no_answer',
  1193: 'busy',
  1312: 'busy',
  2000: 'failed',
  3000: 'failed',
  4000: 'failed',
  4502: 'rejected',
  5000: 'failed',
}
const NORMAL_ENDS = [1000, 1100, 1110, 1120, 1170, 1180, 1300]
const HUNG_UP_BY_CALLER = 1110

/** "A code that is not known is read as its class or subclass": 2219 is 2210, else 2200, else 2000. */
function known(code: number): number | undefined {
  return [1, 10, 100, 1000]
    .map((size) => Math.floor(code / size) * size)
    .find((one) => NORMAL_ENDS.includes(one) || Object.hasOwn(RESULTS, one))
}

/** How a call without a conversation ended. */
export function resultOf(code: number | undefined, direction: Direction): Result | undefined {
  const read = code === undefined ? undefined : known(code)
  if (read === undefined) return undefined
  if (read === HUNG_UP_BY_CALLER && direction === 'inbound') return 'abandoned'
  return RESULTS[read] ?? 'no_answer'
}

const DIRECTIONS = { 0: 'internal', 1: 'inbound', 2: 'outbound' } as const

/** Of an outbound call `to.extension` is there "when an employee has the dialled number": that is no customer. */
const directionOf = ({ call_direction: said, to }: Summary): Direction =>
  said === 2 && to.extension !== undefined ? 'internal' : DIRECTIONS[said]

/**
 * Who answered is told as of the moment of the answer: after a transfer a leg that was connected later names the last
 * one. `entry_result` is not read: it is 1 for a call that ended in the menu, in the vendor's own example.
 */
export function toSummaryEvents(read: Summary, ctx: Context): CallEvent[] {
  const direction = directionOf(read)
  const isAnswered = read.talk_time > 0
  const endedAt = instantOf(read.end_time, ctx)
  const extension = direction === 'outbound' ? read.from.extension : read.to.extension
  const agent: Agent | undefined = direction !== 'internal' && extension ? { extension } : undefined
  const result = isAnswered ? 'answered' : resultOf(read.disconnect_reason, direction)
  const facts: Facts = {
    direction,
    startedAt: instantOf(read.create_time, ctx),
    endedAt,
    ...partiesOf(read, direction, ctx),
    ...(result ? { result } : {}),
    ...(read.disconnect_reason === undefined ? {} : { disconnectReason: String(read.disconnect_reason) }),
    // Of a missed call `to` is the first who missed it, or a group: nobody who talked to the customer.
    ...(agent && !isAnswered && direction === 'outbound' ? { agent } : {}),
    ...(read.sip_call_id ? { meta: { sipCallId: read.sip_call_id } } : {}),
  }
  const { entry_id: callId } = read
  const summary: CallEvent = { key: `${callId}:summary`, callId, phase: 'ended', at: endedAt, facts }
  if (!isAnswered) return [summary]
  const answeredAt = instantOf(read.talk_time, ctx)
  return [answerEvent(callId, { answeredAt, ...(agent ? { agent } : {}) }), summary]
}

const answerEvent = (callId: string, facts: Facts): CallEvent => ({
  key: `${callId}:answer`,
  callId,
  phase: 'answered',
  ...(facts.answeredAt === undefined ? {} : { at: facts.answeredAt }),
  facts,
})

const party = (raw: string | undefined, { region }: Context) => ({
  phone: normalisePhone(raw, region).e164,
  phoneRaw: raw ?? '',
})

/** The organisation's number is the line; `number` of its side is a device: a SIP address, a mobile. */
function partiesOf({ from, to, line_number: line }: Summary, direction: Direction, ctx: Context): Facts {
  if (direction === 'inbound') {
    // "Not sent when the caller's number is not known": the call has a caller all the same.
    return { from: party(from.number, ctx), ...(line ? { dialed: party(line, ctx) } : {}) }
  }
  const own = direction === 'outbound' ? (line ?? from.number) : (from.extension ?? from.number)
  const called = direction === 'outbound' ? to.number : (to.extension ?? to.number)
  return {
    ...(own ? { from: party(own, ctx) } : {}),
    ...(called ? { dialed: party(called, ctx) } : {}),
  }
}

/** The states of a leg that say something. OnHold does not: how long it lasts is told nowhere. */
export const LEG_STATES = {
  Appeared: 'ringing',
  Connected: 'answered',
  Disconnected: 'answered',
} as const satisfies Record<string, Phase>
export type LegState = keyof typeof LEG_STATES

/**
 * One leg of a call: it never ends the call. Nor does it tell the direction: in a callback the first leg comes "from" the
 * customer to the agent (API document 1.9, "Инициирование исходящего вызова", read 2026-11-27). The summary does.
 */
export function toLegEvent(state: LegState, read: LegNotice, ctx: Context): CallEvent {
  const at = instantOf(read.timestamp, ctx)
  const agent = agentOf(read)
  const leg: Leg = { key: read.call_id }
  if (agent) leg.agent = agent
  const from = read.from.number ?? read.from.extension
  const to = read.to.number ?? read.to.extension
  if (from) leg.from = from
  if (to) leg.to = to
  if (state === 'Appeared') leg.startedAt = at
  if (state === 'Connected') leg.answeredAt = at
  if (state === 'Disconnected') {
    leg.endedAt = at
    const code = read.disconnect_reason === undefined ? undefined : known(read.disconnect_reason)
    // The normal ends are those of answered and of unanswered legs alike.
    const result = code === undefined ? undefined : RESULTS[code]
    if (result) leg.result = result
  }
  return {
    // Legs are put in order by `seq`; within one second the key decides.
    key: `${read.call_id}:call:${String(read.seq).padStart(6, '0')}`,
    callId: read.entry_id,
    phase: LEG_STATES[state],
    at,
    facts: {
      legs: [leg],
      ...(state === 'Appeared' ? { startedAt: at } : {}),
      ...(agent?.extension && state === 'Connected' ? { agent } : {}),
      ...metaOf(read),
    },
  }
}

/** A queue and a menu have extensions too, which are nobody's. */
const isWithAgent = ({ location }: LegNotice): boolean => location !== 'ivr' && location !== 'queue'

/** Where both sides are extensions it is a consultation or an internal call: nobody talks to a customer. */
function agentOf(read: LegNotice): Agent | undefined {
  const { from, to } = read
  const isOne = isWithAgent(read) && (from.extension === undefined) !== (to.extension === undefined)
  const extension = isOne ? (to.extension ?? from.extension) : undefined
  const group = to.acd_group
  if (!extension && !group) return undefined
  return { ...(extension ? { extension } : {}), ...(group ? { group } : {}) }
}

function metaOf({ dct, callback_initiator: initiator }: LegNotice): Facts {
  const meta = {
    ...(dct?.number && dct.type !== 0 ? { callTrackingNumber: dct.number } : {}),
    ...(initiator ? { callbackInitiator: initiator } : {}),
  }
  return Object.keys(meta).length > 0 ? { meta } : {}
}

const RECORDED = 1000
const TOO_SHORT = 4002
export const RECORDING_STATES: readonly string[] = ['Started', 'Continued', 'Completed']

export function toRecordingEvent(read: RecordingNotice, ctx: Context): CallEvent {
  const isOver = read.recording_state === 'Completed'
  return {
    key: `${read.recording_id}:recording:${read.seq}`,
    callId: read.entry_id,
    phase: isOver ? 'recorded' : 'answered',
    at: instantOf(read.timestamp, ctx),
    facts: { recordings: [recordingOf(read.recording_id, isOver ? completedState(read) : 'pending', ctx)] },
  }
}

/** Completed is not there yet: `record/added` says when. What only goes out by mail never is. */
function completedState({ completion_code: code, recipient }: RecordingNotice): Recording['state'] {
  if (code === TOO_SHORT) return 'absent'
  if (code !== undefined && code !== RECORDED) return 'failed'
  return recipient === 'Mail' ? 'absent' : 'pending'
}

export function toAddedEvent(read: RecordAdded, ctx: Context): CallEvent {
  return addedEvent(read.entry_id, read.recording_id, ctx)
}

const addedEvent = (callId: string, recordingId: string, ctx: Context): CallEvent => ({
  key: `${recordingId}:added`,
  callId,
  phase: 'recorded',
  facts: { recordings: [recordingOf(recordingId, 'ready', ctx)] },
})

function recordingOf(key: string, state: Recording['state'], { config }: Context): Recording {
  return { key, format: 'mp3', state, ...(config.tracks ? { tracks: config.tracks } : {}) }
}

const LISTED_DIRECTIONS = { 1: 'inbound', 2: 'outbound', 3: 'internal' } as const

/** A call of the statistics as its summary and its recordings would have told it. Times here are UTC, says the document. */
export function toListedEvents(read: ListedCall, ctx: Context): CallEvent[] {
  const { entry_id: callId } = read
  const direction = LISTED_DIRECTIONS[read.context_type]
  const legs = read.context_calls.flatMap(({ members, ...leg }) => [leg, ...members])
  const talks = legs
    .filter((leg) => (leg.talk_duration ?? 0) > 0)
    .toSorted((a, b) => (a.call_answer_time ?? 0) - (b.call_answer_time ?? 0))
  const isAnswered = (read.talk_duration ?? 0) > 0
  const answered = talks.find((leg) => leg.call_answer_time !== undefined)?.call_answer_time
  const ended = Math.max(0, ...legs.map((leg) => leg.call_end_time ?? 0))
  const reason = legs.findLast((leg) => leg.call_end_reason !== undefined)?.call_end_reason
  const result = isAnswered ? 'answered' : resultOf(reason, direction)
  const agent = listedAgent(read, talks, direction)
  const recordings = [...new Set(legs.flatMap((leg) => leg.recording_id))]
  const facts: Facts = {
    direction,
    startedAt: utc(read.context_start_time),
    ...(ended > 0 ? { endedAt: utc(ended) } : {}),
    ...(read.duration === undefined ? {} : { totalMs: read.duration * 1000 }),
    ...(isAnswered ? { talkMs: (read.talk_duration ?? 0) * 1000 } : {}),
    // Of an outbound call the line is not told, only the device.
    ...(direction === 'outbound' ? {} : { from: party(read.caller_number, ctx) }),
    ...(read.called_number ? { dialed: party(read.called_number, ctx) } : {}),
    ...(result ? { result } : {}),
    ...(reason === undefined ? {} : { disconnectReason: String(reason) }),
    ...(agent && !isAnswered ? { agent } : {}),
    recordingExpected: recordings.length > 0,
  }
  const answer: Facts = {
    ...(answered === undefined ? {} : { answeredAt: utc(answered) }),
    ...(agent ? { agent } : {}),
  }
  return [
    ...(isAnswered ? [answerEvent(callId, answer)] : []),
    {
      key: `${callId}:summary`,
      callId,
      phase: 'ended',
      ...(ended > 0 ? { at: utc(ended) } : {}),
      facts,
    },
    ...recordings.map((recordingId) => addedEvent(callId, recordingId, ctx)),
  ]
}

/** Inbound: the last who talked. Outbound: who called. */
function listedAgent(read: ListedCall, talks: readonly ListedLeg[], direction: Direction): Agent | undefined {
  const last = talks.findLast((leg) => leg.call_type === 'user' || leg.call_type === 'number')
  const [id, name] =
    direction === 'outbound'
      ? [read.caller_id, read.caller_name]
      : direction === 'inbound'
        ? [last?.call_abonent_id, last?.call_abonent_info]
        : []
  return id === undefined ? undefined : { id, ...(name ? { name } : {}) }
}
