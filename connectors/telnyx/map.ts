import type { Agent, Direction, Leg, Recording, Result } from '../../src/call/call.ts'
import type { CallEvent, Facts, Phase } from '../../src/call/facts.ts'
import { normalisePhone, type Phone } from '../../src/call/phone.ts'
import type { MapContext } from '../../src/connector/contract.ts'
import { type Config, formatsOf, type RecordingRow, type SeenLeg, type SeenRecording } from './schema.ts'

type Context = Pick<MapContext<Config>, 'config' | 'region'>

/** What stands around a payload. */
export interface Told {
  name: string
  id: string
  at: string | undefined
}

/**
 * Every leg tells of itself alone, in the same words, and nothing says which was the first
 * (https://developers.telnyx.com/docs/voice/programmable-voice/voice-api-webhooks, read 2026-11-27). Who stands at its ends
 * tells them apart: `agent` is a leg to an agent, which is neither the beginning nor the end of a call.
 */
type Role = Direction | 'agent' | 'unknown'

interface Ends {
  role: Role
  from: Phone
  to: Phone
}

function endsOf(
  { from: caller, to: called, direction }: Pick<SeenLeg, 'from' | 'to'> & Partial<Pick<SeenLeg, 'direction'>>,
  ctx: Context,
): Ends {
  const from = normalisePhone(caller, ctx.region)
  const to = normalisePhone(called, ctx.region)
  const ends = (role: Role): Ends => ({ role, from, to })
  if (isAgent(to, ctx)) return ends(isAgent(from, ctx) ? 'internal' : 'agent')
  const isOurs = isOwn(from, ctx) || isAgent(from, ctx)
  if (isOwn(to, ctx)) return ends(isOurs ? 'internal' : 'inbound')
  if (isOurs && to.raw !== '') return ends('outbound')
  // Only call.initiated says it: without ownNumbers that is all there is.
  if (direction === 'incoming') return ends('inbound')
  return ends(direction === 'outgoing' ? 'outbound' : 'unknown')
}

const isIn = (numbers: readonly string[], phone: Phone, { region }: Context): boolean =>
  phone.e164 !== null && numbers.some((own) => normalisePhone(own, region).e164 === phone.e164)

const isOwn = (phone: Phone, ctx: Context): boolean => isIn(ctx.config.ownNumbers, phone, ctx)

const isAgent = (phone: Phone, ctx: Context): boolean =>
  phone.kind === 'address' || phone.kind === 'extension' || isIn(ctx.config.agentPhones, phone, ctx)

/** `sip:alice@sip.telnyx.com` names the agent; a number does not. */
function agentOf(phone: Phone): Agent | undefined {
  const user = /^(?:sips?:)?([^@;]+)@/i.exec(phone.raw)?.[1]
  if (user === undefined || phone.kind !== 'address') return undefined
  return /^\d{1,7}$/.test(user) ? { extension: user } : { id: user }
}

/** `normal_clearing` and `time_limit` end a leg that was taken; `unspecified` says nothing. */
const CAUSES: Readonly<Record<string, Result>> = {
  normal_clearing: 'answered',
  time_limit: 'answered',
  user_busy: 'busy',
  no_answer: 'no_answer',
  timeout: 'no_answer',
  originator_cancel: 'no_answer',
  call_rejected: 'rejected',
  not_found: 'failed',
}

const resultOf = (cause: string | undefined): Result | undefined =>
  cause !== undefined && Object.hasOwn(CAUSES, cause) ? CAUSES[cause] : undefined

const LEG_EVENTS: Readonly<Record<string, Phase>> = {
  'call.initiated': 'ringing',
  'call.answered': 'answered',
  'call.bridged': 'answered',
  'call.hangup': 'ended',
}

export const isLegEvent = (name: string): boolean => Object.hasOwn(LEG_EVENTS, name)

export function toLegEvents(told: Told, seen: SeenLeg, ctx: Context): CallEvent[] {
  const ends = endsOf(seen, ctx)
  const isOver = told.name === 'call.hangup'
  const facts: Facts = { ...identityOf(told, seen, ends), legs: [legOf(told, seen, ends)] }
  if (seen.tags && seen.tags.length > 0) facts.tags = seen.tags
  if (told.name === 'call.answered') Object.assign(facts, answerOf(told, ends, ctx))
  if (told.name === 'call.bridged') {
    facts.result = 'answered'
    if (told.at) facts.answeredAt = told.at
    const agent = ends.role === 'agent' ? agentOf(ends.to) : undefined
    if (agent) facts.agent = agent
  }
  if (isOver && ends.role !== 'agent') {
    if (told.at) facts.endedAt = told.at
    if (seen.hangup_cause) facts.disconnectReason = reasonOf(seen)
  }
  const phase = LEG_EVENTS[told.name] ?? 'ringing'
  // Why nobody was put through; a leg that was cancelled only followed the caller, or another agent.
  const missed = isOver && ends.role === 'agent' ? resultOf(seen.hangup_cause) : undefined
  const isMissed = missed !== undefined && missed !== 'answered' && seen.hangup_cause !== 'originator_cancel'
  if (isMissed) facts.result = missed
  // A leg is initiated, answered and hung up once; it is bridged as often as it is put through.
  const event: CallEvent = {
    key: told.name === 'call.bridged' ? `${told.name}:${told.id}` : `${seen.call_leg_id}:${told.name}`,
    callId: seen.call_session_id,
    phase: isMissed ? 'ringing' : isOver && ends.role === 'agent' ? 'answered' : phase,
    ...(told.at ? { at: told.at } : {}),
    facts,
  }
  return isOver && ends.role !== 'agent' ? [event, ...unlessAnswered(event, seen, ends, ctx)] : [event]
}

/**
 * How a call ended that nobody answered. The cause is the leg's alone: an inbound leg that an application took ends as
 * `normal_clearing` whether or not an agent was put through. So it is said in the first phase, where whoever tells of an
 * answer has the last word; and so are the parties of an outbound leg, which may be one that a caller was passed on by.
 * What only follows from nobody's having answered has no time: an agent's leg may know more.
 */
function unlessAnswered(ended: CallEvent, seen: SeenLeg, ends: Ends, { config }: Context): CallEvent[] {
  const { role } = ends
  let result = resultOf(seen.hangup_cause)
  const isGivenUp =
    seen.hangup_cause === 'originator_cancel' || (result === 'answered' && config.answeredBy === 'bridge')
  if (role === 'inbound' && isGivenUp) result = 'abandoned'
  // Of a leg whose ends are not known `normal_clearing` may mean either.
  if (role === 'unknown' && result === 'answered') result = undefined
  const facts: Facts = {
    ...(role === 'inbound' ? {} : partiesOf(seen, ends)),
    ...(result ? { result } : {}),
  }
  if (Object.keys(facts).length === 0) return []
  const { callId } = ended
  const at = result === 'abandoned' && seen.hangup_cause !== 'originator_cancel' ? undefined : ended.at
  return [{ key: `${ended.key}:unless-answered`, callId, phase: 'ringing', ...(at ? { at } : {}), facts }]
}

function identityOf({ name, at }: Told, seen: SeenLeg, ends: Ends): Facts {
  const { role } = ends
  if (role === 'agent') return {}
  const startedAt = seen.start_time ?? (name === 'call.initiated' ? at : undefined)
  const facts: Facts = startedAt ? { startedAt } : {}
  // The caller of an inbound call stays its customer whoever it is passed on to: said once more with the last word.
  return name === 'call.hangup' && role !== 'inbound' ? facts : { ...facts, ...partiesOf(seen, ends) }
}

function partiesOf(seen: SeenLeg, { role, from, to }: Ends): Facts {
  if (role === 'agent' || role === 'unknown') return {}
  const facts: Facts = { direction: role }
  if (seen.from) facts.from = partyOf(from)
  if (seen.to) facts.dialed = partyOf(to)
  if (role === 'inbound' && seen.caller_id_name && seen.caller_id_name !== seen.from) {
    facts.customer = { name: seen.caller_id_name }
  }
  const agent = role === 'inbound' ? undefined : agentOf(from)
  if (agent) facts.agent = agent
  return facts
}

/**
 * Who takes an inbound leg is the application, not a person, unless the connection says otherwise. An agent's leg is
 * answered before there is a customer when the agent is called first; only a caller's number on it shows that he waits.
 */
function answerOf({ at }: Told, { role, from, to }: Ends, ctx: Context): Facts {
  const agent = role === 'agent' ? agentOf(to) : undefined
  const facts: Facts = agent ? { agent } : {}
  const isAnswer =
    role === 'outbound' ||
    role === 'internal' ||
    (role === 'inbound' && ctx.config.answeredBy === 'leg') ||
    (role === 'agent' && from.e164 !== null && !isOwn(from, ctx))
  if (isAnswer) Object.assign(facts, { result: 'answered', ...(at ? { answeredAt: at } : {}) })
  return facts
}

function legOf({ name, at }: Told, seen: SeenLeg, { role, to }: Ends): Leg {
  const leg: Leg = { key: seen.call_leg_id }
  const agent = role === 'agent' || role === 'internal' ? agentOf(to) : undefined
  if (agent) leg.agent = agent
  if (seen.from) leg.from = seen.from
  if (seen.to) leg.to = seen.to
  if (seen.start_time) leg.startedAt = seen.start_time
  if (at && name === 'call.answered') leg.answeredAt = at
  if (name !== 'call.hangup') return leg
  if (at) leg.endedAt = at
  const result = resultOf(seen.hangup_cause)
  return result ? { ...leg, result } : leg
}

function reasonOf({
  hangup_cause: cause = '',
  hangup_source: source,
  sip_hangup_cause: sip,
}: SeenLeg): string {
  const by = source && source !== 'unknown' ? `, by the ${source}` : ''
  return `${cause}${by}${sip && sip !== 'unspecified' ? `, SIP ${sip}` : ''}`.slice(0, 256)
}

const partyOf = (phone: Phone) => ({ phone: phone.e164, phoneRaw: phone.raw })

export function toQueueEvent(told: Told, seen: SeenLeg): CallEvent {
  return {
    key: `${told.name}:${told.id}`,
    callId: seen.call_session_id,
    phase: 'ringing',
    ...(told.at ? { at: told.at } : {}),
    facts: seen.queue ? { agent: { group: seen.queue } } : {},
  }
}

/** Only what a customer's phone was answered by; the agent's own mailbox is heard by nobody. */
export function toMachineEvent(told: Told, seen: SeenLeg, ctx: Context): CallEvent | null {
  if (seen.result !== 'machine' || endsOf(seen, ctx).role !== 'outbound') return null
  return {
    key: `${seen.call_leg_id}:${told.name}`,
    callId: seen.call_session_id,
    phase: 'answered',
    ...(told.at ? { at: told.at } : {}),
    facts: { result: 'voicemail' },
  }
}

/**
 * A recording of a call is known by its leg and the second in which it began: both the webhook and the list have them,
 * whereas its id is not documented for the webhook.
 */
export const recordingKey = ({
  id,
  leg,
  startedAt,
}: Pick<SeenRecording, 'id' | 'leg' | 'startedAt'>): string =>
  leg === undefined ? (id ?? '') : startedAt === undefined ? leg : `${leg}:${startedAt.slice(0, 19)}Z`

export function toRecordingEvent(seen: SeenRecording, { config }: Context): CallEvent {
  const key = recordingKey(seen)
  const recording: Recording = { key, state: 'ready' }
  const [format] = seen.formats
  if (format) recording.format = format
  const span = Date.parse(seen.endedAt ?? '') - Date.parse(seen.startedAt ?? '')
  if (span >= 0) recording.durationMs = span
  if (seen.channels === 'dual' || seen.channels === 'single')
    recording.channels = seen.channels === 'dual' ? 2 : 1
  if (seen.channels === 'dual' && config.tracks) recording.tracks = config.tracks
  return { key: `${key}:saved`, callId: seen.session, phase: 'recorded', facts: { recordings: [recording] } }
}

/**
 * A row of the list, as its webhook would have told it; and, for a call whose webhooks were all lost, that it is over. The
 * hangup knows better when: the earlier start and the later end count.
 */
export function toListedEvents(row: RecordingRow, isPast: boolean, ctx: Context): CallEvent[] {
  const {
    call_session_id: session,
    call_leg_id: leg,
    recording_started_at: startedAt,
    recording_ended_at: endedAt,
  } = row
  if (session === undefined) return []
  const isConference = row.source === 'conference'
  const seen: SeenRecording = {
    id: row.id,
    leg: isConference ? undefined : leg,
    session,
    channels: row.channels,
    formats: formatsOf(row.download_urls),
    startedAt,
    endedAt,
  }
  const saved = toRecordingEvent(seen, ctx)
  if (!isPast || isConference || leg === undefined || endedAt === undefined) return [saved]
  const { role, from, to } = endsOf(row, ctx)
  const facts: Facts = { endedAt, ...(startedAt ? { startedAt } : {}) }
  if (role !== 'agent' && role !== 'unknown') {
    Object.assign(facts, { direction: role, from: partyOf(from), dialed: partyOf(to) })
  }
  return [{ key: `${leg}:listed`, callId: session, phase: 'ended', facts }, saved]
}
