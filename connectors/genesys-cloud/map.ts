import type { Agent, Direction, Leg, Recording } from '../../src/call/call.ts'
import type { CallEvent, Facts } from '../../src/call/facts.ts'
import { normalisePhone } from '../../src/call/phone.ts'
import type { MapContext } from '../../src/connector/contract.ts'
import type { Config, SeenConversation, SeenMoment, SeenParticipant, SeenSession } from './schema.ts'

type Context = Pick<MapContext<Config>, 'config' | 'region'>
type Tell = (seen: SeenMoment, ctx: Context) => CallEvent[]

/**
 * What each event of a conversation tells, by the end of its topic. Of the outside party come `customer.*`, of agents
 * `user.*`; a conversation has several of each. The others (flows, attributes, campaigns) say nothing of the call.
 */
const MOMENTS: Readonly<Record<string, Tell>> = {
  'customer.start': (seen, ctx) => {
    const facts: Facts = { ...partiesOf(seen, ctx), startedAt: seen.at }
    return [eventOf(seen, 'ringing', facts)]
  },
  'customer.end': (seen, ctx) => {
    const facts: Facts = { ...partiesOf(seen, ctx), endedAt: seen.at }
    if (seen.disconnectType) facts.disconnectReason = seen.disconnectType
    // That nobody answered holds until an agent's session says otherwise: without a time it comes first of all.
    const { at: _, ...missed } = eventOf(seen, 'ringing', { result: 'no_answer' })
    return [{ ...missed, key: `${missed.key}:unanswered` }, eventOf(seen, 'ended', facts)]
  },
  'user.start': (seen, ctx) => {
    const agent = agentOf(seen, ctx)
    const leg: Leg = { key: seen.sessionId, ...(agent ? { agent } : {}), startedAt: seen.at }
    return [eventOf(seen, 'ringing', { legs: [leg] })]
  },
  'user.end': (seen, ctx) => {
    const agent = agentOf(seen, ctx)
    const leg: Leg = { key: seen.sessionId, ...(agent ? { agent } : {}), endedAt: seen.at }
    const { interactingMs = 0, heldMs = 0 } = seen
    if (interactingMs === 0) return [eventOf(seen, 'ringing', { legs: [{ ...leg, result: 'no_answer' }] })]
    // No field says when it was answered: what the agent talked and held, back from the end.
    const answeredAt = new Date(Date.parse(seen.at) - interactingMs - heldMs).toISOString()
    const facts: Facts = { result: 'answered', answeredAt, holdMs: heldMs }
    if (agent) facts.agent = agent
    facts.legs = [{ ...leg, answeredAt, result: 'answered' }]
    // No event announces a recording: there is one where an agent talked, or there never is.
    if (ctx.config.recorded) facts.recordings = [recordingOf(seen.conversationId, ctx)]
    else facts.recordingExpected = false
    return [eventOf(seen, 'answered', facts)]
  },
  'acd.end': (seen, ctx) => {
    const group = groupOf(seen, ctx)
    const facts: Facts = group === undefined ? {} : { agent: { group } }
    // The words are not documented; of the queue's outcome reports say "abandoned".
    if (/^abandon/i.test(seen.acdOutcome ?? '')) facts.result = 'abandoned'
    return [eventOf(seen, 'ringing', facts)]
  },
  'voicemail.end': (seen) =>
    (seen.voicemailMs ?? 0) > 0 ? [eventOf(seen, 'ringing', { result: 'voicemail' })] : [],
  acw: (seen, ctx) => {
    const { wrapupCode: code } = seen
    if (code === undefined) return []
    const outcome = Object.hasOwn(ctx.config.wrapUpCodes, code) ? ctx.config.wrapUpCodes[code] : undefined
    return [eventOf(seen, 'amended', outcome ? { outcome } : { meta: { wrapUpCode: code } })]
  },
}

export const isMoment = (name: string): boolean => Object.hasOwn(MOMENTS, name)

export const toMomentEvents: Tell = (seen, ctx) => MOMENTS[seen.name]?.(seen, ctx) ?? []

function eventOf(seen: SeenMoment, phase: CallEvent['phase'], facts: Facts): CallEvent {
  const { conversationId, sessionId, name, at } = seen
  return { key: `${conversationId}:${sessionId}:${name}`, callId: conversationId, phase, at, facts }
}

/** UPPERCASE in events, lowercase in the analytics. */
function directionOf(said: string | undefined): Direction | undefined {
  const word = said?.toLowerCase()
  return word === 'inbound' || word === 'outbound' ? word : undefined
}

/** `ani` is who calls, `dnis` who is called, as `tel:` or `sip:` addresses. */
function partiesOf(seen: SeenMoment, ctx: Context): Facts {
  const direction = directionOf(seen.direction)
  const party = (raw: string) => ({ phone: normalisePhone(raw, ctx.region).e164, phoneRaw: raw })
  const facts: Facts = {}
  if (direction) facts.direction = direction
  // A withheld number leaves the field empty: the call has a caller all the same. At the end it may just not be repeated.
  const isWithheld = direction === 'inbound' && seen.name === 'customer.start'
  if (seen.ani || isWithheld) facts.from = party(seen.ani ?? '')
  if (seen.dnis) facts.dialed = party(seen.dnis)
  if (seen.externalContactId) facts.meta = { externalContactId: seen.externalContactId }
  return facts
}

function groupOf({ queueId }: Pick<SeenMoment, 'queueId'>, { config }: Context): string | undefined {
  return queueId !== undefined && Object.hasOwn(config.queues, queueId) ? config.queues[queueId] : undefined
}

function agentOf(seen: Pick<SeenMoment, 'userId' | 'queueId'>, ctx: Context): Agent | undefined {
  const group = groupOf(seen, ctx)
  if (seen.userId === undefined) return undefined
  return { id: seen.userId, ...(group === undefined ? {} : { group }) }
}

/** `key` is the conversation's id; of further recordings with `#2` and so on, by their start. */
function recordingOf(key: string, { config }: Context): Recording {
  const recording: Recording = { key, format: config.recordingFormat, state: 'ready' }
  return config.tracks ? { ...recording, channels: 2, tracks: config.tracks } : recording
}

// ── Analytics: the same moments, told again, and what no event says ───────────────────────────────────────────────────

const isVoice = ({ mediaType }: SeenSession): boolean => mediaType?.toLowerCase() === 'voice'

interface Turn {
  participant: SeenParticipant
  session: SeenSession
  start: string
  end: string
}

/**
 * What the events of a finished conversation said, under the same keys, and one event more: the direction of the whole,
 * agents' names, the moment of the answer, a busy line, further recordings.
 */
export function toListedEvents(listed: SeenConversation, recordings: number, ctx: Context): CallEvent[] {
  const turns = turnsOf(listed)
  const [customer] = turns.filter(({ participant }) =>
    ['customer', 'external'].includes(participant.purpose ?? ''),
  )
  if (!customer) return []
  const moments = turns.flatMap((turn) => momentsOf(turn, listed, turn === customer))
  const events = moments.flatMap((seen) => toMomentEvents(seen, ctx))

  const facts: Facts = {}
  const direction = directionOf(listed.originatingDirection)
  if (direction) facts.direction = direction
  const agents = turns.filter(isAgent)
  facts.legs = agents.flatMap((turn) => {
    const agent = namedAgent(turn, ctx)
    return agent ? [{ key: turn.session.sessionId, agent }] : []
  })
  const talked = agents.filter(({ session }) => lengthOf(session, 'interact') > 0)
  const last = talked.toSorted((a, b) => (a.end < b.end ? -1 : 1)).at(-1)
  const agent = last && namedAgent(last, ctx)
  if (agent) facts.agent = agent
  // The events leave it to be worked out from the end, and parking and the like are in none of their lengths.
  const answeredAt = talked.map(({ session }) => talkOf(session)[0]?.segmentStart ?? '').sort()[0]
  if (answeredAt) facts.answeredAt = answeredAt
  const codes = turns.flatMap(
    ({ session }) => session.segments?.flatMap((one) => one.sipResponseCodes ?? []) ?? [],
  )
  // RFC 3261: Busy Here.
  if (talked.length === 0 && codes.includes(486)) facts.result = 'busy'
  const further = Array.from(
    { length: Math.max(0, recordings - 1) },
    (_, n) => `${listed.conversationId}#${n + 2}`,
  )
  if (further.length > 0) facts.recordings = further.map((key) => recordingOf(key, ctx))
  return [
    ...events,
    {
      key: `${listed.conversationId}:listed`,
      callId: listed.conversationId,
      phase: 'amended',
      ...(listed.conversationEnd ? { at: listed.conversationEnd } : {}),
      facts,
    },
  ]
}

/** Whether an agent talked: only then recordings are asked for. */
export const wasAnswered = (listed: SeenConversation): boolean =>
  turnsOf(listed).some((turn) => isAgent(turn) && lengthOf(turn.session, 'interact') > 0)

/** Every session by voice, in the order of their beginnings. What follows the hanging up (wrap-up) is no part of it. */
function turnsOf({ participants = [] }: SeenConversation): Turn[] {
  const turns = participants.flatMap((participant) =>
    (participant.sessions ?? []).filter(isVoice).flatMap((session) => {
      const segments =
        session.segments?.filter(({ segmentType }) => segmentType?.toLowerCase() !== 'wrapup') ?? []
      const start = segments.map(({ segmentStart }) => segmentStart).sort()[0]
      const end = segments
        .map(({ segmentEnd, segmentStart }) => segmentEnd ?? segmentStart)
        .sort()
        .at(-1)
      return start && end ? [{ participant, session, start, end }] : []
    }),
  )
  return turns.sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0))
}

const isAgent = ({ participant }: Turn): boolean =>
  participant.userId !== undefined && (participant.purpose === 'agent' || participant.purpose === 'user')

function momentsOf(turn: Turn, { conversationId }: SeenConversation, isCustomer: boolean): SeenMoment[] {
  const { participant, session, start, end } = turn
  const { sessionId, direction, ani, dnis, segments = [] } = session
  const base = { conversationId, sessionId, direction, ani, dnis }
  const of = <Key extends 'queueId' | 'disconnectType' | 'wrapUpCode'>(key: Key) =>
    segments.map((segment) => segment[key]).findLast((value) => value !== undefined)
  const [disconnectType, queueId] = [of('disconnectType'), of('queueId')]
  if (isCustomer) {
    const { externalContactId } = participant
    return [
      { ...base, name: 'customer.start', at: start, externalContactId },
      { ...base, name: 'customer.end', at: end, externalContactId, disconnectType },
    ]
  }
  if (isAgent(turn)) {
    const { userId } = participant
    const interactingMs = lengthOf(session, 'interact')
    const heldMs = lengthOf(session, 'hold')
    return [
      { ...base, name: 'user.start', at: start, userId, queueId },
      { ...base, name: 'user.end', at: end, userId, queueId, interactingMs, heldMs },
      { ...base, name: 'acw', at: end, userId, queueId, wrapupCode: of('wrapUpCode') },
    ]
  }
  if (participant.purpose === 'acd') {
    const isAbandoned = session.metrics?.some(({ name }) => name === 'tAbandon')
    return [
      { ...base, name: 'acd.end', at: end, queueId, ...(isAbandoned ? { acdOutcome: 'abandoned' } : {}) },
    ]
  }
  const voicemailMs = Date.parse(end) - Date.parse(start)
  return participant.purpose === 'voicemail' ? [{ ...base, name: 'voicemail.end', at: end, voicemailMs }] : []
}

const talkOf = ({ segments = [] }: SeenSession) =>
  segments
    .filter(({ segmentType }) => segmentType?.toLowerCase() === 'interact')
    .toSorted((a, b) => (a.segmentStart < b.segmentStart ? -1 : 1))

const lengthOf = ({ segments = [] }: SeenSession, type: string): number =>
  segments
    .filter(({ segmentType, segmentEnd }) => segmentEnd !== undefined && segmentType?.toLowerCase() === type)
    .reduce(
      (sum, { segmentStart, segmentEnd = segmentStart }) =>
        sum + Date.parse(segmentEnd) - Date.parse(segmentStart),
      0,
    )

function namedAgent({ participant, session }: Turn, ctx: Context): Agent | undefined {
  const queueId = session.segments?.findLast((segment) => segment.queueId !== undefined)?.queueId
  const agent = agentOf({ userId: participant.userId, queueId }, ctx)
  return agent && participant.participantName ? { ...agent, name: participant.participantName } : agent
}
