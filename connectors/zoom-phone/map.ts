import type { Agent, Direction, Leg, Recording, Result } from '../../src/call/call.ts'
import type { CallEvent, Facts } from '../../src/call/facts.ts'
import { normalisePhone } from '../../src/call/phone.ts'
import type { MapContext } from '../../src/connector/contract.ts'
import type { Config, Element, LiveCall, LiveParty, RecordingRow, Voicemail } from './schema.ts'

type Context = Pick<MapContext<Config>, 'config' | 'region'>

/**
 * Events that tell of a party while the call is under way. None of them ends the call: a party's end is not the call's
 * when it was handed on, and they do not say whether it was. The hops do, which come afterwards.
 */
export const LIVE = {
  'phone.caller_ringing': 'ringing',
  'phone.callee_ringing': 'ringing',
  'phone.caller_connected': 'answered',
  'phone.callee_answered': 'answered',
  'phone.caller_ended': 'over',
  'phone.callee_ended': 'over',
  'phone.callee_missed': 'over',
  'phone.callee_rejected': 'over',
} as const
export type LiveName = keyof typeof LIVE

export function toLiveEvent(name: LiveName, read: LiveCall, ctx: Context): CallEvent {
  const stage = LIVE[name]
  const { caller, callee } = read
  const isCaller = name.startsWith('phone.caller_')
  const [own, other] = isCaller ? [caller, callee] : [callee, caller]
  // A number outside has none, though it may have an extension_number and even an extension_type.
  const isInternal = other?.extension_id !== undefined
  const facts: Facts = {}
  if (read.ringing_start_time) facts.startedAt = read.ringing_start_time
  // Who the other one is may be left out: then neither direction nor caller is said.
  if (other && (!isInternal || stage === 'ringing')) {
    Object.assign(
      facts,
      partiesOf(
        isInternal ? 'internal' : isCaller ? 'outbound' : 'inbound',
        {
          from: caller?.phone_number ?? caller?.extension_number,
          to: callee?.phone_number ?? callee?.extension_number,
          callerName: caller?.name,
          calleeName: callee?.name,
        },
        ctx,
      ),
    )
  }
  const answeredAt = read.answer_start_time ?? read.connected_start_time
  if (answeredAt && stage !== 'ringing' && isPerson(callee?.extension_type)) {
    facts.answeredAt = answeredAt
    const group = read.forwarded_by?.extension_type === 'callQueue' ? read.forwarded_by.name : undefined
    if (own && !isInternal) facts.agent = { ...liveAgent(own), ...(group ? { group } : {}) }
  }
  if (stage === 'over' && read.call_end_time) facts.endedAt = read.call_end_time
  const at =
    stage === 'ringing' ? read.ringing_start_time : stage === 'answered' ? answeredAt : read.call_end_time
  // Several members of a queue ring for one call.
  const who = own?.extension_id === undefined ? '' : `:${own.extension_id}`
  return {
    key: `${read.call_id}:${name}${who}`,
    ...idsOf(read.call_id),
    phase: stage === 'ringing' ? 'ringing' : 'answered',
    ...(at ? { at } : {}),
    facts,
  }
}

const liveAgent = ({ extension_id, name, extension_number }: LiveParty): Agent => ({
  ...(extension_id ? { id: extension_id } : {}),
  ...(name ? { name } : {}),
  ...(extension_number ? { extension: extension_number } : {}),
})

/**
 * The suffix of a call that was transferred directly: `…881_1` belongs to `…881` (seen in May 2026,
 * https://qiita.com/michitakasugi/items/297ee4e1206d77cbf111; the vendor's pages do not say it).
 */
function idsOf(callId: string, historyId?: string): Pick<CallEvent, 'callId' | 'alsoKnownAs'> {
  const [, first] = /^(\d{10,})_\d{1,3}$/.exec(callId) ?? []
  const others = [first, historyId].filter((other) => other !== undefined)
  return others.length === 0 ? { callId } : { callId, alsoKnownAs: others }
}

// ── Hops: what stands in the call history ───────────────────────────────────────────────────────────────────────────

const RESULTS: Readonly<Record<string, Result>> = {
  answered: 'answered',
  accepted: 'answered',
  picked_up: 'answered',
  connected: 'answered',
  succeeded: 'answered',
  voicemail: 'voicemail',
  no_answer: 'no_answer',
  ring_timeout: 'no_answer',
  rejected: 'rejected',
  busy: 'busy',
  call_failed: 'failed',
  unconnected: 'failed',
  service_unavailable: 'failed',
  system_blocked: 'failed',
}
/** Who called hung up before anybody answered: the customer gave up, or our agent did. */
const GIVEN_UP = ['abandoned', 'canceled', 'hang_up']

export function resultOf(said: string | undefined, direction: Direction | undefined): Result | undefined {
  if (said === undefined) return undefined
  if (GIVEN_UP.includes(said)) return direction === 'outbound' ? 'no_answer' : 'abandoned'
  return Object.hasOwn(RESULTS, said) ? RESULTS[said] : undefined
}

/** Hops by which a call is handed on or listened to: the call goes on in another hop. */
const NOT_THE_END = [
  'warm_transfer',
  'direct_transfer',
  'overflow',
  'timeout',
  'park',
  'merge',
  'shared',
  'barge',
  'monitor',
  'whisper',
  'listen',
  'conference_barge',
]
/** Extensions behind which nobody sits. Their answer is the menu's or the waiting music's. */
const MACHINES = ['call_queue', 'auto_receptionist', 'callQueue', 'autoReceptionist']
const isPerson = (type: string | undefined): boolean => type === undefined || !MACHINES.includes(type)

/**
 * One hop: of a plain call the only one, of a queue one for each that rang. What an internal hop says of direction and
 * numbers goes into the lowest phase, as an event of its own: it may be an agent who asks a colleague in the middle of a
 * customer's call, and must not outrank what the customer's own hop says.
 */
export function toElementEvents(read: Element, ctx: Context): CallEvent[] {
  const key = `element:${read.elementId}`
  const ids = idsOf(read.call_id, read.historyId)
  const isInternal = read.connect_type === 'internal'
  const direction = isInternal ? 'internal' : read.direction
  const parties = partiesOf(
    direction,
    {
      from: read.caller_did_number ?? read.caller_ext_number,
      to: read.callee_did_number ?? read.callee_ext_number,
      callerName: read.caller_name,
      calleeName: read.callee_name,
    },
    ctx,
  )
  const isPassing =
    NOT_THE_END.includes(read.event ?? '') || read.result === 'overflowed' || read.result_reason !== undefined
  const hop: Facts = { legs: [legOf(read, direction)] }
  if (read.start_time) hop.startedAt = read.start_time
  const said = isPassing ? {} : outcomeOf(read, direction, ctx)
  const events: CallEvent[] = [
    {
      key,
      ...ids,
      phase: isPassing ? 'answered' : 'ended',
      ...(read.end_time ? { at: read.end_time } : {}),
      facts: { ...(isInternal || isPassing ? {} : parties), ...hop, ...said },
    },
  ]
  if (!isInternal || isPassing) return events
  const at = read.start_time ? { at: read.start_time } : {}
  return [{ key: `${key}:internal`, ...ids, phase: 'ringing', ...at, facts: parties }, ...events]
}

function outcomeOf(read: Element, direction: Direction | undefined, ctx: Context): Facts {
  const facts: Facts = {}
  const isInternal = direction === 'internal'
  const isOutbound = direction === 'outbound'
  const result = resultOf(read.result, direction)
  const isReached = result === 'answered' && (isOutbound || isPerson(read.callee_ext_type))
  // A menu or a queue that answered is no answer, and what came of the call another hop says.
  if (result && (result !== 'answered' || isReached)) facts.result = result
  if (read.end_time) facts.endedAt = read.end_time
  if (read.result && result !== 'answered') facts.disconnectReason = read.result
  if (isReached && read.answer_time) facts.answeredAt = read.answer_time
  if (isReached && read.talk_time !== undefined) facts.talkMs = read.talk_time
  if (isReached && read.hold_time !== undefined) facts.holdMs = read.hold_time
  const group = queueOf(read)
  const agent = isInternal || !(isReached || isOutbound) ? undefined : agentOf(read, isOutbound)
  if (agent || group) facts.agent = { ...agent, ...(group ? { group } : {}) }
  if (isReached && read.recording_id) {
    facts.recordings = [recordingOf(read.recording_id, 'pending', {}, ctx)]
    facts.recordingExpected = true
  }
  return facts
}

/** `group_id` is the user's group in the account, not the queue. */
function queueOf(read: Element): string | undefined {
  if (read.operator_ext_type === 'call_queue') return read.operator_name
  return read.callee_ext_type === 'call_queue' ? read.callee_name : undefined
}

function agentOf(read: Element, isCaller: boolean): Agent | undefined {
  const [id, name, extension, email] = isCaller
    ? [read.caller_ext_id, read.caller_name, read.caller_ext_number, read.caller_email]
    : [read.callee_ext_id, read.callee_name, read.callee_ext_number, read.callee_email]
  if (id === undefined && extension === undefined && email === undefined) return undefined
  return {
    ...(id ? { id } : {}),
    ...(name ? { name } : {}),
    ...(extension ? { extension } : {}),
    ...(email ? { email } : {}),
  }
}

function legOf(read: Element, direction: Direction | undefined): Leg {
  const agent =
    isPerson(read.callee_ext_type) || direction === 'outbound'
      ? agentOf(read, direction === 'outbound')
      : undefined
  const from = read.caller_did_number ?? read.caller_ext_number
  const to = read.callee_did_number ?? read.callee_ext_number
  const result = resultOf(read.result, direction)
  return {
    key: read.elementId,
    ...(agent ? { agent } : {}),
    ...(from ? { from } : {}),
    ...(to ? { to } : {}),
    ...(read.start_time ? { startedAt: read.start_time } : {}),
    ...(read.answer_time ? { answeredAt: read.answer_time } : {}),
    ...(read.end_time ? { endedAt: read.end_time } : {}),
    ...(result && read.result_reason === undefined ? { result } : {}),
  }
}

interface Parties {
  from: string | undefined
  to: string | undefined
  callerName: string | undefined
  calleeName: string | undefined
}

function partiesOf(
  direction: Direction | undefined,
  { from, to, callerName, calleeName }: Parties,
  { region }: Context,
): Facts {
  if (direction === undefined) return {}
  const party = (raw: string) => ({ phone: normalisePhone(raw, region).e164, phoneRaw: raw })
  const facts: Facts = { direction }
  // A caller who hides the number is a caller all the same.
  if (from !== undefined || direction === 'inbound') facts.from = party(from ?? '')
  if (to !== undefined) facts.dialed = party(to)
  const name = direction === 'inbound' ? callerName : direction === 'outbound' ? calleeName : undefined
  // Zoom writes the number as the name of who is in no directory.
  if (name && !/^[+\d\s().-]+$/.test(name)) facts.customer = { name }
  return facts
}

// ── Recordings and voicemails ───────────────────────────────────────────────────────────────────────────────────────

/** A voicemail's id behind it: it is another store with another permission. */
export const VOICEMAIL = 'voicemail:'

export function toRecordingEvent(row: RecordingRow, ctx: Context): CallEvent {
  return {
    key: `recording:${row.id}:completed`,
    ...idsOf(row.call_id),
    phase: 'recorded',
    facts: { recordings: [recordingOf(row.id, 'ready', row, ctx)] },
  }
}

/** That it is being made, or that nothing came of it. */
export function toProgressEvent(
  state: 'pending' | 'failed',
  read: { id: string; call_id: string },
  ctx: Context,
): CallEvent {
  return {
    key: `recording:${read.id}:${state}`,
    ...idsOf(read.call_id),
    phase: state === 'pending' ? 'answered' : 'recorded',
    facts: { recordings: [recordingOf(read.id, state, {}, ctx)] },
  }
}

/** By this tag a flow's `noAnalysis` knows calls of which something was not to be recorded. */
export function toPausedEvent(read: { id: string; call_id: string }): CallEvent {
  return {
    key: `recording:${read.id}:paused`,
    ...idsOf(read.call_id),
    phase: 'answered',
    facts: { tags: ['recording-paused'] },
  }
}

export function toVoicemailEvent(read: Voicemail, ctx: Context): CallEvent {
  const recording = recordingOf(`${VOICEMAIL}${read.id}`, 'ready', read, ctx)
  const { tracks: _, ...alone } = recording
  const facts: Facts = { result: 'voicemail', recordings: [alone] }
  if (read.caller_number_type === 2) {
    const to = read.callee_did_number
    const from = read.caller_did_number ?? read.caller_number
    Object.assign(
      facts,
      partiesOf('inbound', { from, to, callerName: undefined, calleeName: undefined }, ctx),
    )
  }
  return {
    key: `${VOICEMAIL}${read.id}`,
    ...idsOf(read.call_id),
    phase: 'recorded',
    ...(read.date_time ? { at: read.date_time } : {}),
    facts,
  }
}

function recordingOf(
  key: string,
  state: Recording['state'],
  { download_url: url, duration }: Partial<Pick<RecordingRow, 'download_url' | 'duration'>>,
  { config }: Context,
): Recording {
  return {
    key,
    format: config.recordingFormat,
    state,
    ...(url ? { url } : {}),
    ...(duration === undefined ? {} : { durationMs: duration }),
    ...(config.tracks ? { tracks: config.tracks } : {}),
  }
}
