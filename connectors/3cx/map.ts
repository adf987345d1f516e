import { sha1 } from '@noble/hashes/legacy.js'
import type { Agent, Call, Direction, Leg, Recording } from '../../src/call/call.ts'
import type { CallEvent, Facts } from '../../src/call/facts.ts'
import { normalisePhone, phoneTail } from '../../src/call/phone.ts'
import type { MapContext } from '../../src/connector/contract.ts'
import { encodeHex, utf8 } from '../../src/connector/encoding.ts'
import type { Config, Journal, LogRow, RecordingRow } from './schema.ts'

type Context = Pick<MapContext<Config>, 'config' | 'region'>

/** https://www.3cx.com/docs/crm-template-xml-description/ (2026-11-20) */
const TYPES = {
  Inbound: { direction: 'inbound', isAnswered: true },
  Missed: { direction: 'inbound', isAnswered: false },
  Outbound: { direction: 'outbound', isAnswered: true },
  Notanswered: { direction: 'outbound', isAnswered: false },
} as const satisfies Record<string, { direction: Direction; isAnswered: boolean }>
type CallType = keyof typeof TYPES

export const isCallType = (type: string): type is CallType => Object.hasOwn(TYPES, type)

/**
 * Templates are given no id of a call, so one is made of what they are given. Hashed: it stands in logs and paths, and has
 * the customer's number in it.
 */
export function toJournalEvent(read: Journal, type: CallType, ctx: Context): CallEvent {
  const { direction, isAnswered } = TYPES[type]
  const callId = hashed(`${read.agent ?? ''}|${read.number ?? ''}|${read.start_ms}|${type}`)
  const endedAt = instant(read.end_ms ?? read.start_ms)
  const party = partyOf(read.number, ctx)
  const facts: Facts = {
    direction,
    result: isAnswered ? 'answered' : 'no_answer',
    startedAt: instant(read.start_ms),
    endedAt,
    ...(direction === 'inbound' ? { from: party } : { dialed: party }),
  }
  if (isAnswered && read.established_ms !== undefined) facts.answeredAt = instant(read.established_ms)
  if (isAnswered && read.duration !== undefined) facts.talkMs = read.duration
  if (read.name && read.name !== read.number) facts.customer = { name: read.name }
  const agent = isAnswered || direction === 'outbound' ? journalAgent(read) : {}
  if (read.queue) agent.group = read.queue
  if (Object.keys(agent).length > 0) facts.agent = agent
  if (read.entity_id) facts.meta = { entityId: read.entity_id }
  // `[RecordingUrl]` opens the web client and wants a login: it says that there is a recording, and the API gives it.
  if (ctx.config.clientId === undefined) facts.recordingExpected = false
  else if (isAnswered && read.recording_url) facts.recordings = [recordingOf(1, ctx)]
  const near = nearIds(type, read.number, read.start_ms, ctx)
  return {
    key: `journal:${callId}`,
    callId,
    ...(near.length > 0 ? { alsoKnownAs: near } : {}),
    phase: 'ended',
    at: endedAt,
    facts,
  }
}

function journalAgent({ agent: extension, agent_first, agent_last, agent_email: email }: Journal): Agent {
  const name = [agent_first, agent_last].filter((part) => part !== undefined).join(' ')
  const agent: Agent = {}
  if (extension) Object.assign(agent, numbered(extension))
  if (name) agent.name = name
  if (email) agent.email = email
  return agent
}

const numbered = (dn: string): Agent => (dn.length <= 64 ? { extension: dn } : { id: dn })
const instant = (ms: number) => new Date(ms).toISOString()
const hashed = (words: string) => encodeHex(sha1(utf8(words)))

function partyOf(raw: string | undefined, { region }: Context) {
  return { phone: normalisePhone(raw, region).e164, phoneRaw: raw ?? '' }
}

/** A setting of 3CX cuts numbers short at their beginning, so their ends are compared. */
function tailOf(raw: string | undefined, { region }: Context): string | null {
  const { e164 } = normalisePhone(raw, region)
  const digits = e164 ?? raw?.replaceAll(/\D/g, '') ?? ''
  return digits.length >= 7 ? phoneTail(digits) : null
}

const NEAR_MS = 10_000

/**
 * What the journal and the call log say of one call has no id in common: they are one by type, number and a start that
 * differs by less than five seconds. So both name the span of ten seconds that it lies in, on two rulers that are shifted
 * against each other by five: two starts that are so near are in the same span of at least one.
 */
function nearIds(type: CallType, number: string | undefined, startMs: number, ctx: Context): string[] {
  const tail = tailOf(number, ctx)
  if (tail === null) return []
  return [0, NEAR_MS / 2].map((shift) =>
    hashed(`near|${type}|${tail}|${shift}|${Math.floor((startMs + shift) / NEAR_MS)}`),
  )
}

/** Which of a call's recordings it is, by their order in the API: both sources know that much. */
export const RECORDING_KEY = /^recording-([1-9]\d{0,2})$/

function recordingOf(nth: number, { config }: Context): Recording {
  return {
    key: `recording-${nth}`,
    format: config.recordingFormat,
    state: 'ready',
    ...(config.tracks ? { channels: 2, tracks: config.tracks } : {}),
  }
}

// ── Call log ────────────────────────────────────────────────────────────────────────────────────────────────────────

const startOf = (rows: readonly LogRow[]) => Math.min(...rows.map(({ StartTime }) => StartTime))
const overAt = (row: LogRow) => row.StartTime + (row.RingingDuration ?? 0) + (row.TalkingDuration ?? 0)
export const endOf = (rows: readonly LogRow[]) => Math.max(...rows.map(overAt))

/** The rows of one call. Null for calls between extensions: the journal does not have them either. */
export function toLoggedEvent(rows: readonly LogRow[], ctx: Context): CallEvent | null {
  const sorted = rows.toSorted((a, b) => a.StartTime - b.StartTime || (a.CdrId < b.CdrId ? -1 : 1))
  const [first] = sorted
  const direction = sorted.map(directionOf).find((said) => said !== undefined)
  if (!first || !direction) return null
  const isInbound = direction === 'inbound'
  // A queue answers before an agent does.
  const talks = sorted.filter((row) => row.Answered && row.CallType !== 'Queue')
  const number = isInbound ? first.SourceCallerId : (talks.at(-1) ?? first).DestinationCallerId
  const startMs = startOf(sorted)
  const endedAt = instant(endOf(sorted))
  const type: CallType = isInbound
    ? talks.length > 0
      ? 'Inbound'
      : 'Missed'
    : talks.length > 0
      ? 'Outbound'
      : 'Notanswered'
  const party = partyOf(number, ctx)
  const facts: Facts = {
    direction,
    result: talks.length > 0 ? 'answered' : 'no_answer',
    startedAt: instant(startMs),
    endedAt,
    ...(isInbound ? { from: party } : { dialed: party }),
    legs: sorted.map((row) => legOf(row, isInbound)),
  }
  const [talk] = talks
  if (talk) facts.answeredAt = instant(talk.StartTime + (talk.RingingDuration ?? 0))
  const agent = { ...agentIn(talks.at(-1) ?? (isInbound ? undefined : first), isInbound) }
  const queue = sorted.find((row) => row.CallType === 'Queue')?.DestinationDn
  if (queue) agent.group = queue
  if (Object.keys(agent).length > 0) facts.agent = agent
  const reason = sorted.at(-1)?.Reason
  if (reason) facts.disconnectReason = reason
  const recorded = new Set(sorted.flatMap((row) => [row.SrcRecId, row.DstRecId]).filter((id) => id != null))
  if (ctx.config.clientId !== undefined && recorded.size > 0)
    facts.recordings = [...recorded].slice(0, 100).map((_, index) => recordingOf(index + 1, ctx))
  else facts.recordingExpected = false
  const callId = first.MainCallHistoryId
  const near = nearIds(type, number, startMs, ctx)
  return {
    key: `log:${callId}`,
    callId,
    ...(near.length > 0 ? { alsoKnownAs: near } : {}),
    phase: 'ended',
    at: endedAt,
    facts,
  }
}

/** `Inbound`, `Inbound Queue`, `Outbound`, `Internal`: a text without a list in the vendor's document. */
function directionOf({ Direction: said = '' }: LogRow): 'inbound' | 'outbound' | undefined {
  if (/^inbound\b/i.test(said)) return 'inbound'
  return /^outbound\b/i.test(said) ? 'outbound' : undefined
}

function agentIn(row: LogRow | undefined, isInbound: boolean): Agent {
  if (!row) return {}
  const [dn, name] = isInbound
    ? [row.DestinationDn, row.DestinationDisplayName]
    : [row.SourceDn, row.SourceDisplayName]
  return { ...(dn ? numbered(dn) : {}), ...(name ? { name } : {}) }
}

function legOf(row: LogRow, isInbound: boolean): Leg {
  const agent = row.CallType === 'Queue' ? {} : agentIn(row, isInbound)
  const leg: Leg = {
    key: row.CdrId,
    startedAt: instant(row.StartTime),
    endedAt: instant(overAt(row)),
    result: row.Answered ? 'answered' : 'no_answer',
  }
  if (Object.keys(agent).length > 0) leg.agent = agent
  const [from, to] = [row.SourceCallerId ?? row.SourceDn, row.DestinationCallerId ?? row.DestinationDn]
  if (from) leg.from = from
  if (to) leg.to = to
  if (row.Answered) leg.answeredAt = instant(row.StartTime + (row.RingingDuration ?? 0))
  return leg
}

// ── Recordings ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** How far a recording's time may lie outside of its call's. */
export const SLACK_MS = 5000

/** Those of the call, in their order: of its time, its number, and where that is withheld of its agent. */
export function recordingsOf(call: Call, rows: readonly RecordingRow[], ctx: Context): RecordingRow[] {
  const tail = tailOf(call.customer?.phoneRaw, ctx)
  const extension = call.agent?.extension
  const from = Date.parse(call.startedAt ?? '') - SLACK_MS
  const until = Date.parse(call.endedAt ?? call.startedAt ?? '') + SLACK_MS
  return rows
    .filter((row) => row.StartTime >= from && row.StartTime <= until)
    .filter((row) =>
      tail === null
        ? extension !== undefined && [row.FromDn, row.ToDn].includes(extension)
        : [row.FromCallerNumber, row.ToCallerNumber].some((number) => tailOf(number, ctx) === tail),
    )
    .sort((a, b) => a.Id - b.Id)
}
