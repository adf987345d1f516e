import type { Agent, Direction, Leg, Recording, Result } from '../../src/call/call.ts'
import type { CallEvent, Facts, Phase } from '../../src/call/facts.ts'
import { normaliseInternational, type Phone } from '../../src/call/phone.ts'
import type { MapContext } from '../../src/connector/contract.ts'
import {
  type Clock,
  type Config,
  type DialNotice,
  instantOf,
  type SeenLeg,
  type SeenRecording,
} from './schema.ts'

type Context = Pick<MapContext<Config>, 'config' | 'region'>

/** CallStatus, of https://docs.plivo.com/docs/voice/xml/request (read 2026-11-27); `cancel` is that of <Dial>. */
const STATUS: Readonly<Record<string, { phase: Phase; result?: Result }>> = {
  ringing: { phase: 'ringing' },
  'in-progress': { phase: 'answered' },
  completed: { phase: 'ended', result: 'answered' },
  busy: { phase: 'ended', result: 'busy' },
  failed: { phase: 'ended', result: 'failed' },
  timeout: { phase: 'ended', result: 'no_answer' },
  'no-answer': { phase: 'ended', result: 'no_answer' },
  cancel: { phase: 'ended', result: 'no_answer' },
}

export const isStatus = (status: string): boolean => Object.hasOwn(STATUS, status)

/** Causes by their telephony name (webhooks) and by Plivo's own (lists). What is not here is told by the status, or not. */
const CAUSES: Readonly<Record<string, Result>> = {
  NORMAL_CLEARING: 'answered',
  USER_BUSY: 'busy',
  NO_ANSWER: 'no_answer',
  CALL_REJECTED: 'rejected',
  UNALLOCATED_NUMBER: 'failed',
  NETWORK_OUT_OF_ORDER: 'failed',
  'Busy Line': 'busy',
  'No Answer': 'no_answer',
  Rejected: 'rejected',
  'Invalid Destination Address': 'failed',
  'Destination Out Of Service': 'failed',
  'Endpoint Not Registered': 'failed',
  'Destination Country Barred': 'failed',
  'Destination Number Barred': 'failed',
}

const causeOf = (cause: string | undefined): Result | undefined =>
  cause !== undefined && Object.hasOwn(CAUSES, cause) ? CAUSES[cause] : undefined

/** "Including the country code", and always without its plus. */
const phoneOf = (raw: string | undefined, { region }: Context): Phone => normaliseInternational(raw, region)

const partyOf = (phone: Phone) => ({ phone: phone.e164, phoneRaw: phone.raw.slice(0, 256) })

/** SIP endpoints, extensions, and the numbers that the operator named as the organisation's own. */
function isInside(phone: Phone, ctx: Context): boolean {
  if (phone.kind === 'address' || phone.kind === 'extension') return true
  return phone.e164 !== null && ctx.config.ownNumbers.some((own) => phoneOf(own, ctx).e164 === phone.e164)
}

function agentOf(phone: Phone): Agent | undefined {
  const user = /^(?:sips?:)?([^@;]+)@/i.exec(phone.raw)?.[1]
  if (user === undefined || phone.kind !== 'address') return undefined
  return /^\d{1,7}$/.test(user) ? { extension: user } : { id: user }
}

interface Ends {
  from: Phone
  to: Phone
  direction: Direction | undefined
  /** Outbound to an agent: the customer is dialled when he has answered. */
  isAgentFirst: boolean
}

/** A call from a SIP endpoint comes in at Plivo, so its `inbound` is an agent's outbound call. */
function endsOf(seen: SeenLeg, ctx: Context): Ends {
  const from = phoneOf(seen.from, ctx)
  const to = phoneOf(seen.to, ctx)
  let direction: Direction | undefined
  if (seen.direction === 'outbound') direction = 'outbound'
  else if (seen.direction === 'inbound') {
    if (!isInside(from, ctx)) direction = 'inbound'
    else if (to.raw !== '') direction = isInside(to, ctx) ? 'internal' : 'outbound'
  }
  return { from, to, direction, isAgentFirst: direction === 'outbound' && isInside(to, ctx) }
}

/** The call is its A leg. */
export function toCallEvents(seen: SeenLeg, ctx: Context): CallEvent[] {
  const { phase, result: said } = STATUS[seen.status ?? ''] ?? { phase: 'ended' as const }
  const ends = endsOf(seen, ctx)
  const callId = seen.parent ?? seen.id
  const startedAt = at(seen.startedAt, ctx)
  const endedAt = at(seen.endedAt, ctx)
  const leg: Leg = {
    key: seen.id,
    ...(seen.from ? { from: seen.from } : {}),
    ...(seen.to ? { to: seen.to } : {}),
  }
  const facts: Facts = { ...partiesOf(seen, ends), legs: [leg] }
  if (startedAt) leg.startedAt = facts.startedAt = startedAt
  // Who takes the leg is Plivo, unless the operator says that this is what counts.
  const isTaken = ends.direction === 'inbound' || ends.isAgentFirst
  const isOfDial = ctx.config.answeredBy === 'dial' && isTaken
  const answeredAt = at(seen.answeredAt, ctx)
  if (answeredAt) leg.answeredAt = answeredAt
  if (answeredAt && !isOfDial) facts.answeredAt = answeredAt
  if (phase !== 'ended') {
    const moment = phase === 'ringing' ? startedAt : answeredAt
    return [{ key: `${seen.id}:${seen.status}`, callId, phase, ...(moment ? { at: moment } : {}), facts }]
  }

  if (endedAt) leg.endedAt = facts.endedAt = endedAt
  const result = resultOf(seen, said, ends)
  if (result) leg.result = result
  const reason = [seen.cause ?? seen.status, seen.source && `by ${seen.source}`].filter(Boolean).join(', ')
  if (reason) facts.disconnectReason = reason.slice(0, 256)
  if (result === 'answered' && !isOfDial && seen.lengthMs !== undefined) facts.talkMs = seen.lengthMs
  const event: CallEvent = {
    key: `${seen.id}:hangup`,
    callId,
    phase,
    ...(endedAt ? { at: endedAt } : {}),
    facts,
  }
  if (result !== undefined && !(isOfDial && result === 'answered')) facts.result = result
  // Said in the first phase and without a time, where the <Dial> that tells of an answer, or why there was none, has the
  // last word. Of an agent who was called first the customer's leg says how it ended.
  if (facts.result !== undefined || ends.isAgentFirst || result === undefined) return [event]
  return [
    event,
    { key: `${event.key}:unless-answered`, callId, phase: 'ringing', facts: { result: 'abandoned' } },
  ]
}

function resultOf(seen: SeenLeg, said: Result | undefined, { direction }: Ends): Result | undefined {
  const cause = causeOf(seen.cause)
  if (seen.status === 'cancel') return direction === 'inbound' ? 'abandoned' : 'no_answer'
  if (said === 'failed' && cause !== undefined && cause !== 'answered') return cause
  if (said !== undefined) return said
  // Rows of the list: the page of the call object names no state.
  if (seen.answeredAt !== undefined) return 'answered'
  return cause === 'answered' ? undefined : cause
}

function partiesOf(seen: SeenLeg, { direction, from, to, isAgentFirst }: Ends): Facts {
  const facts: Facts = {}
  if (direction) facts.direction = direction
  if (seen.from && !isAgentFirst) facts.from = partyOf(from)
  if (seen.to && !isAgentFirst) facts.dialed = partyOf(to)
  const agent = agentOf(from) ?? (direction === 'inbound' ? undefined : agentOf(to))
  if (agent) facts.agent = agent
  if (seen.forwardedFrom) facts.meta = { forwardedFrom: seen.forwardedFrom }
  return facts
}

const at = (clock: Clock | undefined, { config }: Context): string | undefined =>
  clock === undefined ? undefined : instantOf(clock, config.timeZone)

const DIAL_ACTIONS = ['answer', 'connected', 'hangup'] as const
type DialAction = (typeof DIAL_ACTIONS)[number]
export const isDialAction = (action: string): action is DialAction =>
  DIAL_ACTIONS.some((known) => known === action)

interface SeenDial {
  action: DialAction
  call: string
  leg: string
  from: string | undefined
  to: string | undefined
  lengthMs: number | undefined
  cause: string | undefined
  times?: { startedAt: string | undefined; answeredAt: string | undefined; endedAt: string | undefined }
}

export const seenDial = (read: DialNotice, action: DialAction, call: string): SeenDial => ({
  action,
  call,
  leg: read.DialBLegUUID,
  from: read.DialBLegFrom,
  to: read.DialBLegTo,
  lengthMs: read.DialBLegDuration,
  cause: read.DialBLegHangupCause,
})

/** The B leg of <Dial>. It carries no time, and never ends the call. */
export function toDialEvent(seen: SeenDial, ctx: Context): CallEvent {
  const to = phoneOf(seen.to, ctx)
  const agent = agentOf(to)
  const isAnswer = seen.action !== 'hangup'
  const cause = causeOf(seen.cause)
  const leg: Leg = { key: seen.leg }
  if (agent) leg.agent = agent
  if (seen.from) leg.from = seen.from
  if (seen.to) leg.to = seen.to
  const { startedAt, answeredAt, endedAt } = seen.times ?? {}
  if (startedAt) leg.startedAt = startedAt
  if (answeredAt) leg.answeredAt = answeredAt
  if (endedAt && !isAnswer) leg.endedAt = endedAt
  if (!isAnswer && cause) leg.result = cause
  const facts: Facts = { legs: [leg] }
  if (isAnswer) facts.result = 'answered'
  if (isAnswer && agent) facts.agent = agent
  const wasTalk = !isAnswer && seen.lengthMs !== undefined && seen.lengthMs > 0
  if (wasTalk && seen.lengthMs !== undefined) facts.talkMs = seen.lengthMs
  if (!isAnswer && !wasTalk && cause && cause !== 'answered') facts.result = cause
  // An outside number is the customer when the agent came first; of a forwarded call its own hangup, which comes later, wins.
  if (to.kind === 'e164' && !isInside(to, ctx)) {
    Object.assign(facts, { direction: 'outbound', dialed: partyOf(to) })
    if (seen.from) facts.from = partyOf(phoneOf(seen.from, ctx))
  }
  return {
    key: `${seen.leg}:dial-${seen.action}`,
    callId: seen.call,
    alsoKnownAs: [seen.leg],
    phase: isAnswer ? 'answered' : 'ringing',
    facts,
  }
}

/** The end of a leg that names another one as its A leg is that of a <Dial>, and not of the call. */
export function toNoticeEvents(seen: SeenLeg, ctx: Context): CallEvent[] {
  const isOver = STATUS[seen.status ?? '']?.phase === 'ended'
  return isOver ? toListedEvents(seen, ctx) : toCallEvents(seen, ctx)
}

/** A row of the list, as its webhooks would have told it: an A leg, or the B leg of a <Dial>. */
export function toListedEvents(row: SeenLeg, ctx: Context): CallEvent[] {
  if (row.parent === undefined || row.parent === row.id)
    return toCallEvents({ ...row, parent: undefined }, ctx)
  const times = {
    startedAt: at(row.startedAt, ctx),
    answeredAt: at(row.answeredAt, ctx),
    endedAt: at(row.endedAt, ctx),
  }
  const { id: leg, parent: call, from, to, lengthMs, cause } = row
  const dial = { call, leg, from, to, lengthMs, cause, times }
  const hangup = toDialEvent({ ...dial, action: 'hangup' }, ctx)
  return times.answeredAt ? [toDialEvent({ ...dial, action: 'connected' }, ctx), hangup] : [hangup]
}

/** With `recordSession` the first request has -1 for the length: the file comes at the end of the call. */
export function toRecordingEvent(seen: SeenRecording & { call: string }, { config }: Context): CallEvent {
  const span = seen.startMs && seen.endMs ? seen.endMs - seen.startMs : undefined
  const durationMs = seen.durationMs ?? span
  const isReady = durationMs === undefined || durationMs >= 0
  const recording: Recording = { key: seen.id, state: isReady ? 'ready' : 'pending' }
  if (seen.format === 'mp3' || seen.format === 'wav') recording.format = seen.format
  if (isReady && seen.url && URL.canParse(seen.url)) recording.url = seen.url
  if (isReady && durationMs !== undefined) recording.durationMs = durationMs
  if (config.tracks) Object.assign(recording, { channels: 2, tracks: config.tracks })
  return {
    key: `recording:${seen.id}${isReady ? '' : ':pending'}`,
    callId: seen.call,
    phase: isReady ? 'recorded' : 'answered',
    facts: { recordings: [recording] },
  }
}
