import type { Agent, Direction, Leg, Recording, Result } from '../../src/call/call.ts'
import type { CallEvent, Facts, Phase } from '../../src/call/facts.ts'
import { normalisePhone, type Phone } from '../../src/call/phone.ts'
import type { MapContext } from '../../src/connector/contract.ts'
import type { Config, SeenLeg, SeenRecording } from './schema.ts'

type Context = Pick<MapContext<Config>, 'config' | 'region'>

/**
 * What the operator wrote on the callback URL (`?queue=sales`): Twilio has no place for it, and since the URL is signed
 * it is as trustworthy as the rest.
 */
export interface Hints {
  segment?: string
  queue?: string
  reference?: string
  direction?: Direction
  /** The call that a leg or a recording of a conference belongs to: nothing else says it. */
  call?: string
  /** What `<Record>` takes is a message only where the operator says that it is. */
  isMessage?: true
}

export function toHints(query: URLSearchParams): Hints {
  const hints: Hints = {}
  for (const key of ['segment', 'queue', 'reference'] as const) {
    const value = query.get(key)
    if (value) hints[key] = value.slice(0, 128)
  }
  const direction = query.get('direction')
  if (direction === 'inbound' || direction === 'outbound') hints.direction = direction
  const call = query.get('call')
  if (call && /^CA[0-9a-z]{1,62}$/i.test(call)) hints.call = call
  if (query.get('result') === 'voicemail') hints.isMessage = true
  return hints
}

const STATUS: Readonly<Record<string, { phase: Phase; result?: Result }>> = {
  queued: { phase: 'ringing' },
  initiated: { phase: 'ringing' },
  ringing: { phase: 'ringing' },
  'in-progress': { phase: 'answered' },
  completed: { phase: 'ended', result: 'answered' },
  busy: { phase: 'ended', result: 'busy' },
  failed: { phase: 'ended', result: 'failed' },
  'no-answer': { phase: 'ended', result: 'no_answer' },
  canceled: { phase: 'ended', result: 'no_answer' },
}

export const isStatus = (status: string): boolean => Object.hasOwn(STATUS, status)
export const isFinal = (status: string): boolean => isStatus(status) && STATUS[status]?.phase === 'ended'

/**
 * The call is the parent leg. A child leg (`<Dial>`) ends while the call goes on, so it never ends the call: it adds its
 * leg, the agent, and when somebody answered.
 */
export function toLegEvent(seen: SeenLeg, hints: Hints, ctx: Context): CallEvent {
  const { phase, result } = STATUS[seen.status] ?? { phase: 'ringing' as const }
  const parent = seen.parent ?? hints.call
  const isRoot = parent === undefined || parent === seen.sid
  const from = normalisePhone(seen.from, ctx.region)
  const to = normalisePhone(seen.to, ctx.region)
  const facts: Facts = {
    ...(isRoot ? rootFacts(seen, from, to, hints, ctx) : childFacts(seen, from, to, ctx)),
    legs: [legOf(seen, phase, result, to, ctx)],
  }
  if (phase === 'answered' && seen.at && !(isRoot && isAgentsLeg(seen, from, to, ctx)))
    facts.answeredAt = seen.at
  if (phase === 'ended' && seen.recording) facts.recordings = [recordingOf(seen.recording, {}, ctx)]
  return {
    key: `${seen.sid}:${seen.status}`,
    callId: parent ?? seen.sid,
    ...(isRoot ? {} : { alsoKnownAs: [seen.sid] }),
    phase: isRoot ? phase : result === 'answered' || phase === 'answered' ? 'answered' : 'ringing',
    ...(seen.at ? { at: seen.at } : {}),
    facts,
  }
}

function rootFacts(seen: SeenLeg, from: Phone, to: Phone, hints: Hints, ctx: Context): Facts {
  const { phase, result } = STATUS[seen.status] ?? {}
  const facts: Facts = {}
  const direction = hints.direction ?? directionOf(seen.direction, from, to, ctx)
  if (direction) facts.direction = direction
  // An agent who is called first (click to call) is no customer: who that is, the child leg says.
  const isAgentFirst = direction === 'outbound' && isInside(to, ctx)
  if (seen.from && !isAgentFirst) facts.from = partyOf(from)
  if (seen.to && !isAgentFirst) facts.dialed = partyOf(to)
  if (seen.callerName && direction === 'inbound') facts.customer = { name: seen.callerName }
  const agent = agentOf(from) ?? (direction === 'inbound' ? undefined : agentOf(to))
  if (agent || hints.queue) facts.agent = { ...agent, ...(hints.queue ? { group: hints.queue } : {}) }
  if (hints.segment) facts.segment = hints.segment
  if (hints.reference) facts.reference = hints.reference
  if (seen.forwardedFrom) facts.meta = { forwardedFrom: seen.forwardedFrom }
  if (phase === 'ringing' && seen.at) facts.startedAt = seen.at
  if (phase !== 'ended' || !result) return facts
  if (seen.startedAt) facts.startedAt = seen.startedAt
  if (seen.at) facts.endedAt = seen.at
  if (seen.lengthMs !== undefined) facts.totalMs = seen.lengthMs
  const isOurs = result === 'answered' && isAgentsLeg(seen, from, to, ctx)
  if (!isOurs) facts.result = seen.status === 'canceled' && direction === 'inbound' ? 'abandoned' : result
  facts.disconnectReason = seen.sipCode ? `${seen.status}, SIP ${seen.sipCode}` : seen.status
  // An answered call may or may not be recorded: the status says nothing of it.
  if (result !== 'answered') facts.recordingExpected = false
  return facts
}

/**
 * The parent leg of a softphone's call, and that of an API call which rings the agent first: that it was answered says
 * nothing of the customer, whose leg is the child.
 */
function isAgentsLeg(seen: SeenLeg, from: Phone, to: Phone, ctx: Context): boolean {
  if (seen.direction === 'inbound') return isInside(from, ctx)
  return seen.direction?.startsWith('outbound') === true && isInside(to, ctx)
}

function childFacts(seen: SeenLeg, from: Phone, to: Phone, ctx: Context): Facts {
  const facts: Facts = {}
  // Of a call that came in the parent's own word, which comes later, wins.
  const { result } = STATUS[seen.status] ?? {}
  if (result) facts.result = result
  const isAnswered = seen.status === 'in-progress' || seen.status === 'completed'
  const agent = agentOf(to)
  if (agent && isAnswered) facts.agent = agent
  // The length of the talk with the agent: the parent's includes menus and waiting.
  if (seen.status === 'completed' && seen.lengthMs !== undefined) facts.talkMs = seen.lengthMs
  // An outside number at the far end is the customer when the agent came first. Of a forwarded inbound call the parent's
  // own word, which comes later, wins.
  if (to.kind === 'e164' && !isInside(to, ctx)) {
    facts.direction = 'outbound'
    facts.dialed = partyOf(to)
    if (seen.from) facts.from = partyOf(from)
  }
  return facts
}

/**
 * `trunking-terminating` is "outgoing calls from your communications infrastructure to the PSTN", `trunking-originating`
 * incoming ones (https://www.twilio.com/docs/voice/api/call-resource, read 2026-11-20). A call from a softphone comes in
 * at Twilio, so its `inbound` is an agent's outbound call.
 */
function directionOf(said: string | undefined, from: Phone, to: Phone, ctx: Context): Direction | undefined {
  if (said === 'trunking-originating') return 'inbound'
  if (said?.startsWith('outbound') || said === 'trunking-terminating') return 'outbound'
  if (said !== 'inbound') return undefined
  if (!isInside(from, ctx)) return 'inbound'
  if (to.raw === '') return undefined
  return isInside(to, ctx) ? 'internal' : 'outbound'
}

/** Softphones, SIP users, extensions, and the numbers that the operator named as the organisation's own. */
function isInside(phone: Phone, ctx: Context): boolean {
  if (phone.kind === 'address' || phone.kind === 'extension') return true
  if (phone.e164 === null) return false
  return ctx.config.ownNumbers.some((own) => normalisePhone(own, ctx.region).e164 === phone.e164)
}

const partyOf = (phone: Phone) => ({ phone: phone.e164, phoneRaw: phone.raw.slice(0, 256) })

/** `client:alice` and `sip:101@acme.sip.twilio.com` name the agent; a number does not. */
function agentOf(phone: Phone): Agent | undefined {
  const user = /^(?:client|sips?):([^@;]+)/i.exec(phone.raw)?.[1]
  if (user === undefined || phone.kind !== 'address') return undefined
  return /^\d{1,7}$/.test(user) ? { extension: user } : { id: user }
}

function legOf(seen: SeenLeg, phase: Phase, result: Result | undefined, to: Phone, ctx: Context): Leg {
  const leg: Leg = { key: seen.sid }
  const agent = isInside(to, ctx) ? agentOf(to) : undefined
  if (agent) leg.agent = agent
  if (seen.from) leg.from = seen.from
  if (seen.to) leg.to = seen.to
  if (seen.startedAt) leg.startedAt = seen.startedAt
  if (seen.at && (seen.status === 'queued' || seen.status === 'initiated')) leg.startedAt = seen.at
  if (seen.at && phase === 'answered') leg.answeredAt = seen.at
  if (seen.at && phase === 'ended') leg.endedAt = seen.at
  if (result) leg.result = result
  return leg
}

const RECORDING_STATE: Readonly<Record<string, Recording['state']>> = {
  'in-progress': 'pending',
  paused: 'pending',
  stopped: 'pending',
  processing: 'pending',
  completed: 'ready',
  absent: 'absent',
  deleted: 'absent',
  failed: 'failed',
}

export const isRecordingStatus = (status: string): boolean => Object.hasOwn(RECORDING_STATE, status)

/** Null: it says of no call that it belongs to it. */
export function toRecordingEvent(seen: SeenRecording, hints: Hints, ctx: Context): CallEvent | null {
  const callId = seen.callSid ?? hints.call
  if (callId === undefined) return null
  const recording = recordingOf(seen, hints, ctx)
  const facts: Facts = { recordings: [recording] }
  if (hints.isMessage && recording.state === 'ready') facts.result = 'voicemail'
  if (seen.error !== undefined && seen.error !== '0') facts.meta = { recordingError: seen.error }
  return {
    key: `${seen.key}:${seen.status}`,
    callId,
    phase: recording.state === 'pending' ? 'answered' : 'recorded',
    facts,
  }
}

function recordingOf(seen: SeenRecording, hints: Hints, { config }: Context): Recording {
  const state = RECORDING_STATE[seen.status] ?? 'pending'
  const recording: Recording = { key: seen.key, format: config.recordingFormat, state }
  if (seen.url) recording.url = seen.url
  if (seen.durationMs !== undefined) recording.durationMs = seen.durationMs
  if (seen.channels === undefined) return recording
  recording.channels = seen.channels
  const tracks = seen.channels === 2 ? (config.tracks ?? dialTracks(seen.source, hints)) : undefined
  return tracks ? { ...recording, tracks } : recording
}

/**
 * "Channel 1 is the parent leg" of a dual recording by `<Dial>`; who the parent is depends on the direction, which this
 * callback does not carry. Only the operator can say it, on the callback's URL.
 */
function dialTracks(source: string | undefined, hints: Hints): Recording['tracks'] {
  return source === 'DialVerb' && hints.direction === 'inbound'
    ? { left: 'customer', right: 'agent' }
    : undefined
}
