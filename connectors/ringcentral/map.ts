import type { Agent, Direction, Leg, Recording, Result } from '../../src/call/call.ts'
import type { CallEvent, Facts } from '../../src/call/facts.ts'
import { normalisePhone } from '../../src/call/phone.ts'
import type { MapContext } from '../../src/connector/contract.ts'
import type { CallRecord, Config, Party, Session, SessionParty } from './schema.ts'

type Context = Pick<MapContext<Config>, 'config' | 'region'>

/**
 * Reasons with which a party leaves while the session goes on with another one, of the list in RingCentral's libraries
 * (CallStatusInfo, read 2026-11-27). "The presence of a reason is the primary indicator of a transfer"
 * (https://developers.ringcentral.com/guide/voice/call-log/states, read 2026-11-20), though not all of them are one.
 */
const HANDED_ON = [
  'Pickup',
  'Supervising',
  'TakeOver',
  'BlindTransfer',
  'RccTransfer',
  'AttendedTransfer',
  'DtmfTransfer',
  'CallerInputRedirect',
  'CallFlip',
  'CallSwitch',
  'ParkLocation',
  'CallPark',
  'AgentAnswered',
  'AgentDropped',
  'CallRedirected',
  'Voicemail',
]
const REASONS: Readonly<Record<string, Result>> = {
  Rejected: 'rejected',
  TargetBusy: 'busy',
  InternalError: 'failed',
  InvalidNumber: 'failed',
  InternationalDisabled: 'failed',
  DestinationBlocked: 'failed',
  NotEnoughFunds: 'failed',
  NoSuchUser: 'failed',
}

/** One event and more for each party; none for a state in which a call merely goes on. */
export function toSessionEvents(read: Session, ctx: Context): CallEvent[] {
  return read.parties.flatMap((party) => partyEvents(read, party, ctx))
}

function partyEvents(read: Session, party: SessionParty, ctx: Context): CallEvent[] {
  const { code, peerId } = party.status
  const at = read.eventTime
  const peer = peerId?.telephonySessionId
  const head = {
    callId: read.telephonySessionId,
    // Of a party that went into another session: both are the one conversation.
    ...(peer && peer !== read.telephonySessionId ? { alsoKnownAs: [peer] } : {}),
    at,
  }
  const key = `${read.telephonySessionId}:${party.id}:${read.sequence}`
  const direction = directionOf(party, ctx)
  const leg = legOf(party, ctx)
  const parties = partiesOf(party, direction, ctx)
  // An internal party may be an agent who asks a colleague: what it says must not outrank the customer's own party.
  const isInternal = direction === 'internal'
  const known = isInternal ? {} : parties
  const recorded = recordedEvents(read, party, ctx)
  switch (code) {
    case 'Setup':
    case 'Proceeding': {
      const facts: Facts = { ...parties, startedAt: at }
      // Proceeding comes after it, where both come.
      facts.legs = [code === 'Setup' ? { ...leg, startedAt: at } : leg]
      return [{ key, ...head, phase: 'ringing', facts }, ...recorded]
    }
    case 'Answered': {
      const facts: Facts = { ...known, legs: [{ ...leg, answeredAt: at, result: 'answered' }] }
      if (isQueue(ownSide(party), ctx)) {
        // Its greeting or music; an agent's own party says who took the call.
        const group = ownSide(party)?.name
        if (group) facts.agent = { group }
      } else {
        Object.assign(facts, { answeredAt: at, result: 'answered' })
        if (!isInternal) Object.assign(facts, agentFacts(party))
      }
      return [{ key, ...head, phase: 'answered', facts }, ...recorded]
    }
    case 'VoiceMail':
    case 'VoiceMailScreening':
      return [{ key, ...head, phase: 'answered', facts: { ...known, result: 'voicemail', legs: [leg] } }]
    case 'Gone':
      return [{ key, ...head, phase: 'answered', facts: { legs: [{ ...leg, endedAt: at }] } }, ...recorded]
    case 'Disconnected':
      return [...disconnected(read, party, { key, head, direction, known, leg }), ...recorded]
    default:
      return recorded
  }
}

interface Seen {
  key: string
  head: Pick<CallEvent, 'callId' | 'alsoKnownAs' | 'at'>
  direction: Direction | undefined
  known: Facts
  leg: Leg
}

function disconnected(
  read: Session,
  party: SessionParty,
  { key, head, direction, known, leg }: Seen,
): CallEvent[] {
  const { reason } = party.status
  const endedAt = read.eventTime
  const legs = [{ ...leg, endedAt }]
  const unanswered = unansweredAs(reason, direction)
  // A queue rings the next one when an agent refuses, is busy or does not answer.
  const isNext = party.queueCall === true && reason !== undefined && unanswered !== 'failed'
  if (reason !== undefined && (HANDED_ON.includes(reason) || isNext)) {
    return [{ key, ...head, phase: 'answered', facts: { legs } }]
  }
  const facts: Facts = { ...known, endedAt, legs, ...(reason ? { disconnectReason: reason } : {}) }
  return [
    // What it is if nobody ever answered. It goes into the lowest phase: an answer or a voicemail, which others tell of,
    // outranks it.
    { key: `${key}:unanswered`, ...head, phase: 'ringing', facts: { result: unanswered } },
    { key, ...head, phase: 'ended', facts },
  ]
}

function unansweredAs(reason: string | undefined, direction: Direction | undefined): Result {
  if (reason === 'Cancelled' && direction === 'inbound') return 'abandoned'
  return (reason !== undefined && Object.hasOwn(REASONS, reason) ? REASONS[reason] : undefined) ?? 'no_answer'
}

/** Our side of a party: who was called, or who calls. */
const ownSide = (party: SessionParty): Party | undefined =>
  party.direction === 'Outbound' ? party.from : party.to

function isQueue(own: Party | undefined, { config }: Context): boolean {
  return [own?.extensionId, own?.name].some((name) => name !== undefined && config.callQueues.includes(name))
}

/** `direction` is the party's: an Inbound party is being called. */
function directionOf(party: SessionParty, { region }: Context): Direction | undefined {
  const isOutbound = party.direction === 'Outbound'
  if (!isOutbound && party.direction !== 'Inbound') return undefined
  const other = isOutbound ? party.to : party.from
  const { kind } = normalisePhone(other?.phoneNumber, region)
  if (other?.extensionId !== undefined || kind === 'extension') return 'internal'
  return isOutbound ? 'outbound' : 'inbound'
}

const numberOf = (side: Party | undefined): string | undefined => side?.phoneNumber ?? side?.extensionNumber

function partiesOf(
  { from, to }: { from?: Party | undefined; to?: Party | undefined },
  direction: Direction | undefined,
  { region }: Context,
): Facts {
  if (direction === undefined) return {}
  const party = (raw: string) => ({ phone: normalisePhone(raw, region).e164, phoneRaw: raw })
  const [caller, dialed] = [numberOf(from), numberOf(to)]
  const facts: Facts = { direction }
  // A caller who hides the number is a caller all the same.
  if (caller !== undefined || direction === 'inbound') facts.from = party(caller ?? '')
  if (dialed !== undefined) facts.dialed = party(dialed)
  const name = direction === 'inbound' ? from?.name : direction === 'outbound' ? to?.name : undefined
  if (name && !/^[+\d\s().-]+$/.test(name)) facts.customer = { name }
  return facts
}

function agentOf(side: Party | undefined, extensionId: string | undefined): Agent | undefined {
  const id = side?.extensionId ?? extensionId
  if (id === undefined) return undefined
  return {
    id,
    ...(side?.name ? { name: side.name } : {}),
    ...(side?.extensionNumber ? { extension: side.extensionNumber } : {}),
  }
}

function agentFacts(party: SessionParty): Facts {
  const agent = agentOf(ownSide(party), party.extensionId)
  return agent ? { agent } : {}
}

function legOf(party: SessionParty, ctx: Context): Leg {
  const own = ownSide(party)
  const agent = isQueue(own, ctx) ? undefined : agentOf(own, party.extensionId)
  const [from, to] = [numberOf(party.from), numberOf(party.to)]
  return { key: party.id, ...(agent ? { agent } : {}), ...(from ? { from } : {}), ...(to ? { to } : {}) }
}

// ── Recordings ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** No event says when a recording can be fetched: it is asked for from the party's end on. */
function recordedEvents(read: Session, party: SessionParty, ctx: Context): CallEvent[] {
  const isOver = ['Disconnected', 'Gone'].includes(party.status.code)
  return (party.recordings ?? []).map(({ id, active }) =>
    toRecordingEvent(read.telephonySessionId, id, isOver && active !== true, undefined, ctx),
  )
}

function toRecordingEvent(
  callId: string,
  id: string,
  isReady: boolean,
  url: string | undefined,
  { config }: Context,
): CallEvent {
  const recording: Recording = {
    key: id,
    format: config.recordingFormat,
    state: isReady ? 'ready' : 'pending',
    ...(url ? { url } : {}),
    ...(config.tracks ? { tracks: config.tracks } : {}),
  }
  return {
    key: `${callId}:recording:${id}:${recording.state}`,
    callId,
    phase: isReady ? 'recorded' : 'answered',
    facts: { recordings: [recording] },
  }
}

// ── The call log ────────────────────────────────────────────────────────────────────────────────────────────────────

const RESULTS: Readonly<Record<string, Result>> = {
  accepted: 'answered',
  'call connected': 'answered',
  missed: 'no_answer',
  'no answer': 'no_answer',
  voicemail: 'voicemail',
  busy: 'busy',
  rejected: 'rejected',
  declined: 'rejected',
  blocked: 'rejected',
}

/** `Abandoned` and `Hang Up`: who called gave up. What the log says beyond its known words is a failure. */
export function resultOf(said: string | undefined, direction: Direction | undefined): Result | undefined {
  const word = said?.toLowerCase()
  if (word === undefined || word === 'unknown') return undefined
  if (word === 'abandoned' || word === 'hang up') return direction === 'outbound' ? 'no_answer' : 'abandoned'
  return Object.hasOwn(RESULTS, word) ? RESULTS[word] : 'failed'
}

/** Calls that are over, by voice. */
export const isFinished = (row: CallRecord): boolean =>
  row.result?.toLowerCase() !== 'in progress' && (row.type ?? 'Voice') === 'Voice'

export function toRecordEvents(row: CallRecord, ctx: Context): CallEvent[] {
  const callId = row.telephonySessionId ?? row.sessionId ?? row.id
  const direction = recordDirection(row)
  const result = resultOf(row.result, direction)
  const ms = row.durationMs ?? (row.duration === undefined ? undefined : Math.round(row.duration * 1000))
  const facts: Facts = { startedAt: row.startTime, ...partiesOf(row, direction, ctx) }
  if (result) facts.result = result
  if (row.reason) facts.disconnectReason = row.reason
  if (ms !== undefined) {
    facts.endedAt = new Date(Date.parse(row.startTime) + ms).toISOString()
    facts.totalMs = ms
  }
  if (result === 'answered') Object.assign(facts, answerOf(row, direction, ms))
  const recordings = new Map<string, string | undefined>()
  for (const { recording } of [row, ...(row.legs ?? [])]) {
    if (recording) recordings.set(recording.id, recording.contentUri ?? recordings.get(recording.id))
  }
  return [
    {
      key: `${callId}:record:${row.id}`,
      callId,
      phase: 'ended',
      ...(facts.endedAt ? { at: facts.endedAt } : {}),
      facts: {
        ...facts,
        ...(result === 'answered' && recordings.size > 0 ? { recordingExpected: true } : {}),
      },
    },
    ...[...recordings].map(([id, url]) => toRecordingEvent(callId, id, true, url, ctx)),
  ]
}

function recordDirection({ direction, from, to }: CallRecord): Direction | undefined {
  const isInside = (side: Party | undefined) =>
    side?.extensionId !== undefined || side?.extensionNumber !== undefined
  if (isInside(from) && isInside(to)) return 'internal'
  return direction === 'Inbound' ? 'inbound' : direction === 'Outbound' ? 'outbound' : undefined
}

/** The longest leg of an extension that took part, but for the one that stands for the whole. */
function answerOf(row: CallRecord, direction: Direction | undefined, ms: number | undefined): Facts {
  const taken = (row.legs ?? [])
    .filter(
      (leg) => leg.master !== true && leg.extension?.id && resultOf(leg.result, direction) === 'answered',
    )
    .toSorted((a, b) => (a.startTime ?? '').localeCompare(b.startTime ?? ''))
  const lengths = taken.map((leg) => Math.round((leg.duration ?? 0) * 1000))
  const talkMs = lengths.length > 0 ? Math.max(...lengths) : ms
  const id = taken.at(-1)?.extension?.id ?? row.extension?.id
  return {
    ...(talkMs === undefined ? {} : { talkMs }),
    ...(id === undefined || direction === 'internal' ? {} : { agent: { id } }),
  }
}
