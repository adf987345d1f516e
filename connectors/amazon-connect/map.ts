import {
  type Agent,
  type Direction,
  type Leg,
  type Recording,
  type Result,
  recording as recordingSchema,
} from '../../src/call/call.ts'
import type { CallEvent, Facts, Phase } from '../../src/call/facts.ts'
import { normalisePhone } from '../../src/call/phone.ts'
import type { MapContext } from '../../src/connector/contract.ts'
import type { Config, SeenContact, SeenMoment, SeenRecording } from './schema.ts'

type Context = Pick<MapContext<Config>, 'config' | 'region'>

/** How a contact began (InitiationMethod). What is missing here begins nothing by itself: it belongs to another contact. */
const DIRECTIONS: Readonly<Record<string, Direction>> = {
  INBOUND: 'inbound',
  WEBRTC_API: 'inbound',
  OUTBOUND: 'outbound',
  CALLBACK: 'outbound',
  API: 'outbound',
  EXTERNAL_OUTBOUND: 'outbound',
  CAMPAIGN_PREVIEW: 'outbound',
}

/** Somebody listens in: no part of the conversation. */
export const isListening = (method: string | undefined): boolean => method === 'MONITOR'

/**
 * The contact events that say something of a call, and where they stand in its life. CONNECTED_TO_SYSTEM is not among
 * them: it also comes when a machine picks up.
 */
export const MOMENTS: Readonly<Record<string, Phase>> = {
  INITIATED: 'ringing',
  QUEUED: 'ringing',
  CONNECTED_TO_AGENT: 'answered',
  // Not the end of the call: that it was transferred, only the contact record says.
  DISCONNECTED: 'answered',
}

export function toMomentEvent(seen: SeenMoment, time: string): CallEvent {
  const { id, eventType } = seen
  const facts: Facts = {}
  const direction = rootDirection(seen)
  if (direction) facts.direction = direction
  if (seen.startedAt) facts.startedAt = seen.startedAt
  const leg: Leg = { key: id }
  if (eventType === 'CONNECTED_TO_AGENT') {
    if (seen.agentId) facts.agent = leg.agent = { id: seen.agentId }
    // Who calls out is connected before the customer answers.
    if (!isDialled(seen.method)) facts.answeredAt = leg.answeredAt = seen.agentAt ?? time
  }
  if (eventType === 'DISCONNECTED') facts.endedAt = leg.endedAt = seen.endedAt ?? time
  if (Object.keys(leg).length > 1) facts.legs = [leg]
  return {
    key: `${id}:${eventType}`,
    ...callOf(seen),
    phase: MOMENTS[eventType] ?? 'ringing',
    at: time,
    facts,
  }
}

/**
 * A contact is one stretch of a call: a transfer begins another one, with the id of the first (`InitialContactId`). Only
 * the first knows who called whom; only one without a next ends the call.
 */
export function toContactEvents(seen: SeenContact, ctx: Context): CallEvent[] {
  const { id, updatedAt } = seen
  const result = resultOf(seen)
  const agent = agentOf(seen)
  const recordings = seen.recordings.flatMap((one) => recordingOf(one, seen) ?? [])
  const told: Facts = {
    legs: legsOf(seen, agent, result),
    ...(recordings.length > 0 ? { recordings } : {}),
  }
  const event = { ...callOf(seen), at: updatedAt }
  const key = `${id}:contact:${updatedAt}`
  // Whether a third party answered is no matter of the call's.
  if (isThirdParty(seen)) return [{ key, ...event, phase: 'answered', facts: told }]
  const isSpoken = result === 'answered' || result === 'voicemail'
  const facts: Facts = { ...partiesOf(seen, ctx), ...told }
  if (seen.startedAt) facts.startedAt = seen.startedAt
  if (seen.endedAt) facts.endedAt = seen.endedAt
  if (seen.reason) facts.disconnectReason = seen.reason
  if (seen.machine) facts.meta = { answeringMachineDetection: seen.machine }
  if (isSpoken) {
    facts.result = result
    const answeredAt = answeredAtOf(seen)
    if (result === 'answered' && answeredAt) facts.answeredAt = answeredAt
    if (agent) facts.agent = agent
    // Of a call of several contacts they would be those of one of them.
    if (isAlone(seen) && seen.agent?.talkMs !== undefined) facts.talkMs = seen.agent.talkMs
    if (isAlone(seen) && seen.agent?.holdMs !== undefined) facts.holdMs = seen.agent.holdMs
  }
  const whole: CallEvent = { key, ...event, phase: isLast(seen) ? 'ended' : 'answered', facts }
  if (isSpoken || (result === undefined && !agent)) return [whole]
  // That nobody answered holds only while no other contact of the call says otherwise: it is told of the beginning.
  const missed: Facts = { ...(result ? { result } : {}), ...(agent ? { agent } : {}) }
  return [{ key: `${id}:unanswered:${updatedAt}`, ...event, phase: 'ringing', facts: missed }, whole]
}

/** Called in by an agent or by the flow. It is the next contact of the one that called it, and ends nothing. */
export const isThirdParty = ({ method, previousId }: Pick<SeenContact, 'method' | 'previousId'>): boolean =>
  method === 'EXTERNAL_OUTBOUND' && previousId !== undefined

/**
 * A contact with a next one is not the end of the call, since it may have been transferred; but a third party is a next one,
 * too (NextContactId: "an agent uses a Quick Connect or the number pad"), and a customer who hangs up on an agent is gone.
 * One without an agent may have asked to be called back.
 */
function isLast({ hasNext, agent, reason }: SeenContact): boolean {
  return !hasNext || (agent?.connectedAt !== undefined && reason === 'CUSTOMER_DISCONNECT')
}

/** That a contact was the last one, told apart from it: by its record it may have looked like one that goes on. */
export function toLastEvent(seen: SeenContact): CallEvent {
  const { id, updatedAt: at, endedAt } = seen
  const facts: Facts = endedAt === undefined ? {} : { endedAt }
  return { key: `${id}:last`, ...callOf(seen), phase: 'ended', at, facts }
}

/** Every contact of a call names the first one; the first one names itself or nothing. */
function callOf({ id, initialId }: Pick<SeenContact, 'id' | 'initialId'>) {
  const callId = initialId ?? id
  return { callId, ...(callId === id ? {} : { alsoKnownAs: [id] }) }
}

const isRoot = ({ id, initialId = id }: Pick<SeenContact, 'id' | 'initialId'>): boolean => initialId === id

const isAlone = (seen: SeenContact): boolean => isRoot(seen) && !seen.hasNext

const rootDirection = (seen: Pick<SeenContact, 'id' | 'initialId' | 'method'>) =>
  isRoot(seen) && seen.method !== undefined && Object.hasOwn(DIRECTIONS, seen.method)
    ? DIRECTIONS[seen.method]
    : undefined

function partiesOf(seen: SeenContact, ctx: Context): Facts {
  const direction = rootDirection(seen)
  if (!direction) return {}
  const party = (raw = '') => ({ phone: normalisePhone(raw, ctx.region).e164, phoneRaw: raw })
  // A withheld number leaves the endpoint empty: the call has a caller all the same.
  if (direction === 'inbound') {
    return { direction, from: party(seen.customer), ...(seen.own ? { dialed: party(seen.own) } : {}) }
  }
  return {
    direction,
    ...(seen.own ? { from: party(seen.own) } : {}),
    ...(seen.customer ? { dialed: party(seen.customer) } : {}),
  }
}

/** Contacts whose outside party is called: it has answered when ConnectedToSystemTimestamp is there. */
const isDialled = (method: string | undefined): boolean =>
  method !== undefined && Object.hasOwn(DIRECTIONS, method) && DIRECTIONS[method] === 'outbound'

/** AnsweringMachineDetectionStatus, of outbound calls with detection; the others say nothing certain. */
const MACHINES: Readonly<Record<string, Result>> = {
  HUMAN_ANSWERED: 'answered',
  VOICEMAIL_BEEP: 'voicemail',
  VOICEMAIL_NO_BEEP: 'voicemail',
  AMD_UNANSWERED: 'no_answer',
  SIT_TONE_BUSY: 'busy',
  SIT_TONE_INVALID_NUMBER: 'failed',
  SIT_TONE_DETECTED: 'failed',
  FAX_MACHINE_DETECTED: 'failed',
}

/** DisconnectReason of those that no one reached. The others are about conversations, or say no more than that. */
const REASONS: Readonly<Record<string, Result>> = {
  TELECOM_BUSY: 'busy',
  TELECOM_NUMBER_INVALID: 'failed',
  TELECOM_POTENTIAL_BLOCKING: 'failed',
  TELECOM_PROBLEM: 'failed',
  OUTBOUND_DESTINATION_ENDPOINT_ERROR: 'failed',
  OUTBOUND_RESOURCE_ERROR: 'failed',
  OUTBOUND_ATTEMPT_FAILED: 'failed',
  // Of campaigns: nobody was called at all. The vendor spells the first one so.
  OUTBUND_PREVIEW_DISCARDED: 'failed',
  EXPIRED: 'failed',
}
const GIVEN_UP = ['CUSTOMER_DISCONNECT', 'TELECOM_ORIGINATOR_CANCEL', 'CUSTOMER_NEVER_ARRIVED']

function resultOf(seen: SeenContact): Result | undefined {
  const { machine, method, reason = '' } = seen
  const isOut = isDialled(method)
  if (isOut && machine !== undefined && Object.hasOwn(MACHINES, machine)) return MACHINES[machine]
  if (isOut ? seen.connectedAt : seen.agent?.connectedAt) return 'answered'
  // Who took it over, outside or in the next contact, is not known from here.
  if (!isOut && (seen.transferredTo || seen.hasNext)) return undefined
  if (!isOut && GIVEN_UP.includes(reason)) return 'abandoned'
  return (Object.hasOwn(REASONS, reason) ? REASONS[reason] : undefined) ?? 'no_answer'
}

const answeredAtOf = (seen: SeenContact): string | undefined =>
  isDialled(seen.method) ? seen.connectedAt : seen.agent?.connectedAt

function agentOf({ agent, queue }: SeenContact): Agent | undefined {
  const found: Agent = {}
  if (agent?.id) found.id = agent.id
  if (agent?.name) found.name = agent.name
  if (agent?.email) found.email = agent.email
  if (queue) found.group = queue
  return Object.keys(found).length > 0 ? found : undefined
}

function legsOf(seen: SeenContact, agent: Agent | undefined, result: Result | undefined): Leg[] {
  const { id, transferredTo, transferredAt, startedAt, endedAt } = seen
  const leg: Leg = { key: id }
  if (seen.agent && agent) leg.agent = agent
  if (seen.customer && seen.method === 'EXTERNAL_OUTBOUND') leg.to = seen.customer
  if (startedAt) leg.startedAt = startedAt
  const answeredAt = result === 'answered' ? answeredAtOf(seen) : undefined
  if (answeredAt) leg.answeredAt = answeredAt
  if (endedAt) leg.endedAt = endedAt
  if (result) leg.result = result
  if (!transferredTo) return [leg]
  const out: Leg = { key: `${id}:transfer`, to: transferredTo }
  return [leg, { ...out, ...(transferredAt ? { startedAt: transferredAt, answeredAt: transferredAt } : {}) }]
}

/** AVAILABLE, DELETED, or nothing yet. */
const stateOf = (status: string | undefined): Recording['state'] =>
  status === 'AVAILABLE' ? 'ready' : status === 'DELETED' ? 'absent' : 'pending'

/**
 * "Stereo: the agent on the right, the customer and whoever else is in the call on the left" (set-up-recordings page of
 * the administrator guide, read 2026-11-20) is said of the conversation with an agent, not of what a menu recorded before.
 */
function recordingOf(seen: SeenRecording, { agent }: SeenContact): Recording | undefined {
  const { Location: key, Status: status, StorageType: storage, StopTimestamp: stoppedAt } = seen
  const medium = seen.MediaStreamType ?? seen.Type ?? 'AUDIO'
  // `S3` in records, "Amazon S3" in the vendor's list of values; the other one is KINESIS_VIDEO_STREAM.
  if (!key || !/^(?:amazon )?s3$/i.test(storage ?? 'S3') || medium !== 'AUDIO') return undefined
  const said = /\.([a-z\d]{2,4})$/.exec(key)?.[1]
  const { data: format } = recordingSchema.shape.format.safeParse(said)
  const recording: Recording = { key, ...(format ? { format } : {}), channels: 2, state: stateOf(status) }
  const isOfTalk =
    agent?.connectedAt !== undefined &&
    (stoppedAt === undefined || Date.parse(stoppedAt) > Date.parse(agent.connectedAt))
  return isOfTalk ? { ...recording, tracks: { left: 'customer', right: 'agent' } } : recording
}
