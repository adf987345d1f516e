import type { Agent, Direction, Leg, Recording, Result } from '../../src/call/call.ts'
import type { CallEvent, Facts, Phase } from '../../src/call/facts.ts'
import { normaliseInternational, type Phone } from '../../src/call/phone.ts'
import type { MapContext } from '../../src/connector/contract.ts'
import type { Config, RecordEvent, SeenLeg } from './schema.ts'

type Context = Pick<MapContext<Config>, 'config' | 'region'>

const STATUS: Readonly<Record<string, { phase: Phase; result?: Result }>> = {
  started: { phase: 'ringing' },
  ringing: { phase: 'ringing' },
  answered: { phase: 'answered' },
  completed: { phase: 'ended', result: 'answered' },
  busy: { phase: 'ended', result: 'busy' },
  cancelled: { phase: 'ended', result: 'no_answer' },
  unanswered: { phase: 'ended', result: 'no_answer' },
  timeout: { phase: 'ended', result: 'no_answer' },
  // "Rejected by Vonage before it was connected": nobody was asked.
  rejected: { phase: 'ended', result: 'failed' },
  failed: { phase: 'ended', result: 'failed' },
}

export const isStatus = (status: string): boolean => Object.hasOwn(STATUS, status)
export const isFinal = (status: string): boolean => isStatus(status) && STATUS[status]?.phase === 'ended'

/**
 * Every leg of a conversation tells of itself in the same words, and the leg to the agent of an inbound call is `outbound`:
 * who stands at its ends says whose leg it is. `agent` is a leg to an agent, which is neither the beginning nor the end.
 */
type Role = Direction | 'agent' | 'unknown'

interface Ends {
  role: Role
  from: Phone
  to: Phone
}

function endsOf(seen: Pick<SeenLeg, 'from' | 'to' | 'direction'>, ctx: Context): Ends {
  const from = normaliseInternational(seen.from, ctx.region)
  const to = normaliseInternational(seen.to, ctx.region)
  const ends = (role: Role): Ends => ({ role, from, to })
  if (seen.direction !== 'inbound') {
    if (seen.direction !== 'outbound' || seen.to === undefined) return ends('unknown')
    return ends(isInside(to, ctx) ? 'agent' : 'outbound')
  }
  if (!isInside(from, ctx)) return ends('inbound')
  // From an app, a SIP phone or an agent's own one: whom the agent calls, the leg says, or the one that is made for it.
  if (seen.to === undefined) return ends('unknown')
  return ends(isInside(to, ctx) ? 'internal' : 'outbound')
}

/** App users, SIP addresses, WebSockets, extensions, and the numbers that the operator named as the organisation's own. */
function isInside(phone: Phone, ctx: Context): boolean {
  if (phone.kind === 'address' || phone.kind === 'extension' || isName(phone)) return true
  const own = ctx.config.ownNumbers.map((number) => normaliseInternational(number, ctx.region).e164)
  return phone.e164 !== null && own.includes(phone.e164)
}

/** An app user: no number has letters but withheld ones, which are told apart before. */
const isName = ({ kind, raw }: Phone): boolean => kind === 'unknown' && /\p{L}/u.test(raw)

function agentOf(phone: Phone): Agent | undefined {
  if (!isName(phone) && phone.kind !== 'address' && phone.kind !== 'extension') return undefined
  if (/^wss?:/i.test(phone.raw)) return undefined
  const user = phone.raw.replace(/^(?:app|sips?):/i, '').split(/[@;]/, 1)[0]
  if (!user) return undefined
  return /^\d{1,7}$/.test(user) ? { extension: user } : { id: user }
}

const partyOf = (phone: Phone) => ({ phone: phone.e164, phoneRaw: phone.raw })

export function toLegEvents(seen: SeenLeg, ctx: Context): CallEvent[] {
  const { phase, result: said } = STATUS[seen.status] ?? { phase: 'ringing' as const }
  const result = seen.status === 'unanswered' && seen.detail === 'declined' ? 'rejected' : said
  const ends = endsOf(seen, ctx)
  const { role } = ends
  const isOver = phase === 'ended'
  const endedAt = seen.endedAt ?? seen.at
  // start_time of a completed leg is when it was taken: start_time and duration make end_time.
  const answeredAt =
    seen.status === 'answered' ? seen.at : isOver && seen.lengthMs ? seen.answeredAt : undefined
  const leg: Leg = { key: seen.leg }
  const agent = role === 'agent' ? agentOf(ends.to) : role === 'inbound' ? undefined : agentOf(ends.from)
  if (agent && role === 'agent') leg.agent = agent
  if (seen.from) leg.from = seen.from
  if (seen.to) leg.to = seen.to
  if (seen.at && seen.status === 'started') leg.startedAt = seen.at
  if (answeredAt) leg.answeredAt = answeredAt
  if (isOver && endedAt) leg.endedAt = endedAt
  if (isOver && result) leg.result = result

  const facts: Facts = { legs: [leg] }
  const event: CallEvent = {
    key: `${seen.leg}:${seen.status}`,
    callId: seen.conversation,
    phase: isOver && role === 'agent' ? (result === 'answered' ? 'answered' : 'ringing') : phase,
    ...(seen.at ? { at: seen.at } : {}),
    facts,
  }
  if (role === 'agent') {
    // Why nobody was put through; a leg that was cancelled only followed the caller, or another agent.
    if (isOver && result !== undefined && seen.status !== 'cancelled') facts.result = result
    if (seen.status !== 'answered' && seen.status !== 'completed') return [event]
    // No moment: an agent who is called first answers before there is a customer. The length of his leg is that of the talk.
    facts.result = 'answered'
    if (agent) facts.agent = agent
    if (isOver && seen.lengthMs) facts.talkMs = seen.lengthMs
    return [event]
  }
  const isTakenByApp = role === 'inbound' && ctx.config.answeredBy === 'connect'
  if (seen.at && seen.status === 'started') facts.startedAt = seen.at
  if (answeredAt && role !== 'unknown' && !isTakenByApp) facts.answeredAt = answeredAt
  if (seen.status === 'answered' && role !== 'unknown' && !isTakenByApp) facts.result = 'answered'
  if (!isOver) return [{ ...event, facts: { ...facts, ...partiesOf(seen, ends, agent) } }]

  if (endedAt) facts.endedAt = endedAt
  facts.disconnectReason = reasonOf(seen)
  if (result !== 'answered' && result !== undefined) facts.result = result
  // The caller of an inbound call stays its customer whoever it is passed on to: said once more with the last word.
  if (role === 'inbound') Object.assign(facts, partiesOf(seen, ends, agent))
  return [event, ...unlessAnswered(event, seen, ends, agent, ctx)]
}

/**
 * `completed` is the end of any leg that was taken, an inbound one by your application. So how the call ended is said in
 * the first phase, where the leg that tells of an answer, or of a machine, has the last word; and so are the parties of an
 * outbound leg, which may be one that a caller was passed on by. That nobody was put through has no time: an agent's leg
 * may know why.
 */
function unlessAnswered(
  ended: CallEvent,
  seen: SeenLeg,
  ends: Ends,
  agent: Agent | undefined,
  { config }: Context,
): CallEvent[] {
  const { role } = ends
  const facts: Facts = role === 'inbound' ? {} : partiesOf(seen, ends, agent)
  const isGivenUp = role === 'inbound' && (config.answeredBy === 'connect' || !seen.lengthMs)
  if (seen.status === 'completed' && role !== 'unknown') {
    facts.result = isGivenUp ? 'abandoned' : 'answered'
  }
  if (Object.keys(facts).length === 0) return []
  const { key, callId, at } = ended
  return [
    { key: `${key}:unless-answered`, callId, phase: 'ringing', ...(at && !isGivenUp ? { at } : {}), facts },
  ]
}

function partiesOf(seen: SeenLeg, { role, from, to }: Ends, agent: Agent | undefined): Facts {
  if (role === 'agent' || role === 'unknown') return {}
  const facts: Facts = { direction: role }
  if (seen.from) facts.from = partyOf(from)
  if (seen.to) facts.dialed = partyOf(to)
  if (agent) facts.agent = agent
  return facts
}

function reasonOf({ status, detail, by, sipCode }: SeenLeg): string {
  const words = [detail ? `${status}: ${detail}` : status, by && `by ${by}`, sipCode && `SIP ${sipCode}`]
  return words.filter(Boolean).join(', ').slice(0, 256)
}

/** Of a call that was made by the API; an agent's own mailbox is heard by nobody. */
export function toMachineEvent(seen: SeenLeg, ctx: Context): CallEvent | null {
  const ends = endsOf({ ...seen, direction: seen.direction ?? 'outbound' }, ctx)
  if (seen.status !== 'machine' || ends.role !== 'outbound') return null
  return {
    key: `${seen.leg}:machine`,
    callId: seen.conversation,
    phase: 'answered',
    ...(seen.at ? { at: seen.at } : {}),
    facts: { result: 'voicemail' },
  }
}

export function toRecordingEvent(read: RecordEvent, { config }: Context): CallEvent {
  const recording: Recording = {
    key: read.recording_uuid,
    url: read.recording_url,
    format: config.recordingFormat,
    state: 'ready',
  }
  if (read.size !== undefined) recording.bytes = read.size
  const span = Date.parse(read.end_time ?? '') - Date.parse(read.start_time ?? '')
  if (span >= 0) recording.durationMs = span
  if (config.tracks) Object.assign(recording, { channels: 2, tracks: config.tracks })
  return {
    key: `recording:${read.recording_uuid}`,
    callId: read.conversation_uuid,
    phase: 'recorded',
    facts: { recordings: [recording] },
  }
}
