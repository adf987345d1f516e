import type { Agent, Direction, Leg, Recording, Result } from '../../src/call/call.ts'
import type { CallEvent, Facts } from '../../src/call/facts.ts'
import { normalisePhone } from '../../src/call/phone.ts'
import { toInstant, toWallClock } from '../../src/call/zone.ts'
import type { MapContext } from '../../src/connector/contract.ts'
import { CordboardError } from '../../src/errors.ts'
import type { CallRecord, Config, Recorded } from './schema.ts'

type Context = Pick<MapContext<Config>, 'config' | 'region'>

/**
 * A call has many records: one for each pair of channels that was tried or talked, joined by `linkedid`. Those of its
 * first channel (`uniqueid` = `linkedid`) say who called whom; the others add legs. Who rang in vain beside an agent who
 * answered is no missed call, whatever ended last: so an answer is told in an event of its own, which outweighs the rest.
 * https://docs.asterisk.org/Configuration/Reporting/Call-Detail-Records-CDR/CDR-Specification/ (2026-11-20)
 */
export function toRecordEvents(record: CallRecord, tz: string | undefined, ctx: Context): CallEvent[] {
  const callId = record.linkedid ?? record.uniqueid
  const key = `${record.uniqueid}:${callId}:${record.sequence ?? ''}`
  const times = timesOf(record, tz ?? ctx.config.timeZone)
  const from = endpointOf(record.channel, ctx)
  const to = endpointOf(record.dstchannel, ctx)
  const isFirst = callId === record.uniqueid
  const direction = isFirst ? directionOf(record, from, to, ctx) : undefined
  const isAnswered = saysOf(record) === 'ANSWERED'
  // Without a second channel a menu, a queue or the voicemail answered, and nobody talked.
  const hasTalked = isAnswered && (to !== null || direction === 'internal')
  const agent = agentOf(record, from, to, direction)
  // A queue may have answered long before the agent did. The agent's own record, where there is one, knows.
  const answeredAt = hasTalked && !isQueue(record) ? times.answeredAt : undefined

  const facts: Facts = { startedAt: times.startedAt, endedAt: times.endedAt }
  if (direction) Object.assign(facts, partiesOf(record, direction, ctx))
  if (isFirst) {
    const result = hasTalked ? undefined : endOf(record, direction)
    if (result) facts.result = result
    if (record.disposition && !hasTalked) facts.disconnectReason = record.disposition
    if (record.accountcode) facts.meta = { accountcode: record.accountcode }
    const group = groupOf(record)
    const caller = direction === 'inbound' ? undefined : agent
    if (group ?? caller) facts.agent = { ...caller, ...(group === undefined ? {} : { group }) }
  }
  if (to) facts.legs = [legOf(record, times, hasTalked, answeredAt, agent)]
  if (isAnswered && record.recordingfile !== undefined) {
    facts.recordings = [recordingOf(record.recordingfile, ctx.config.announced ? 'pending' : 'ready', ctx)]
  }

  const ids = { callId, ...(isFirst ? {} : { alsoKnownAs: [record.uniqueid] }) }
  const ended: CallEvent = { key, ...ids, phase: 'ended', at: times.endedAt, facts }
  if (isFirst && isAnswered && direction === 'inbound' && !hasTalked && facts.result !== 'voicemail') {
    // A machine answered. That the caller left it counts for less than that an extension rang in vain behind it.
    const left: Facts = { result: 'abandoned' }
    return [ended, { key: `${key}:machine`, ...ids, phase: 'answered', at: times.endedAt, facts: left }]
  }
  if (!hasTalked) return [ended]
  facts.talkMs = times.billedMs
  if (answeredAt !== undefined) facts.answeredAt = answeredAt
  const talked: Facts = { result: 'answered', ...(agent ? { agent } : {}) }
  if (isFirst && record.disposition) talked.disconnectReason = record.disposition
  return [ended, { key: `${key}:answered`, ...ids, phase: 'amended', at: times.endedAt, facts: talked }]
}

/** The recording is closed. A WAV file of 44 bytes is its head alone (FreePBX passes such files over, too). */
export function toRecordedEvent(read: Recorded, ctx: Context): CallEvent {
  const callId = read.linkedid ?? read.uniqueid
  const state = read.bytes > EMPTY_BYTES ? 'ready' : 'absent'
  return {
    key: `${callId}:recorded:${read.recordingfile}`,
    callId,
    ...(callId === read.uniqueid ? {} : { alsoKnownAs: [read.uniqueid] }),
    phase: 'recorded',
    facts: { recordings: [{ ...recordingOf(read.recordingfile, state, ctx), bytes: read.bytes }] },
  }
}

const EMPTY_BYTES = 44

interface Times {
  startedAt: string
  answeredAt: string | undefined
  endedAt: string
  /** Between answer and end. */
  billedMs: number
}

function timesOf(record: CallRecord, zone: string | undefined): Times {
  const start = record.start ?? startOf(record, zone)
  const end = record.end ?? start + (record.duration ?? 0)
  const billed = record.billsec ?? 0
  const answer = record.answer ?? (billed > 0 ? end - billed : undefined)
  const iso = (ms: number) => new Date(ms).toISOString()
  return {
    startedAt: iso(start),
    endedAt: iso(Math.max(start, end)),
    answeredAt: answer === undefined ? undefined : iso(answer),
    billedMs: answer === undefined ? billed : Math.max(0, end - answer),
  }
}

const HOUR_MS = 3_600_000

/**
 * In autumn an hour comes twice on a wall clock. A record begins when its channel is there already, and when that was made
 * stands in its id: a channel that is younger than the first of the two can only be of the second.
 */
function startOf({ calldate, uniqueid }: CallRecord, zone: string | undefined): number {
  if (calldate === undefined)
    throw new CordboardError('invalid_payload', 'Asterisk: a record has neither start nor calldate')
  if (zone === undefined) {
    throw new CordboardError('invalid_payload', 'Asterisk: calldate is a local time, of a zone not known', {
      fix: 'Send tz with the rows, or set timeZone of the connection; then replay the delivery',
    })
  }
  const first = Date.parse(toInstant(calldate, zone))
  const made = Number(/(?:^|-)(\d{9,11})\.\d+$/.exec(uniqueid)?.[1] ?? 0) * 1000
  return made > first && toWallClock(first + HOUR_MS, zone) === calldate ? first + HOUR_MS : first
}

/** What stands at the end of a channel: `PJSIP/101-00000042` is 101, `Local/101@from-queue-0000001a;1` too. */
interface Endpoint {
  isTrunk: boolean
  name: string
  extension?: string
}

function endpointOf(channel: string | undefined, { config }: Context): Endpoint | null {
  if (channel === undefined) return null
  const whole = channel.replace(/-[0-9a-f]+$/i, '')
  const name = whole.slice(whole.indexOf('/') + 1)
  if (/^local\//i.test(whole)) {
    // FreePBX puts words before the extension: Local/FMPR-101@from-internal. Without one it is nobody.
    const extension = /^(?:[a-z]+-)*(\d{1,7})#?@/i.exec(name)?.[1]
    return { isTrunk: false, name: '', ...(extension === undefined ? {} : { extension }) }
  }
  const isTrunk = config.trunks.some((trunk) =>
    [whole, name].some((one) => one === trunk || one.startsWith(`${trunk}/`)),
  )
  return { isTrunk, name, ...(!isTrunk && /^\d{1,7}$/.test(name) ? { extension: name } : {}) }
}

/** No column says it. A call from outside has been given a `did` (FreePBX, and the dialplan in pbx/) or comes by a trunk. */
function directionOf(
  record: CallRecord,
  from: Endpoint | null,
  to: Endpoint | null,
  ctx: Context,
): Direction {
  if (record.did !== undefined || from?.isTrunk) return 'inbound'
  const leavesBy = to?.isTrunk || record.outbound_cnum !== undefined
  // A trunk that was not reached leaves no second channel.
  const isOutside = to === null && normalisePhone(dialedBy(record, ctx), ctx.region).kind === 'e164'
  return leavesBy || isOutside ? 'outbound' : 'internal'
}

function dialedBy({ dst = '' }: CallRecord, { config: { dialPrefix } }: Context): string {
  return dialPrefix !== undefined && dst.startsWith(dialPrefix) && dst.length > dialPrefix.length + 6
    ? dst.slice(dialPrefix.length)
    : dst
}

function partiesOf(record: CallRecord, direction: Direction, ctx: Context): Facts {
  const party = (raw: string) => ({ phone: normalisePhone(raw, ctx.region).e164, phoneRaw: raw })
  if (direction === 'inbound') {
    // An anonymous caller has an empty src: the call has a caller all the same. `dst` is where the dialplan ended.
    const facts: Facts = { direction, from: party(record.src ?? record.cnum ?? '') }
    if (record.did !== undefined) facts.dialed = party(record.did)
    const name = record.cnam ?? nameIn(record.clid)
    if (name && name !== record.src) facts.customer = { name }
    return facts
  }
  const facts: Facts = { direction, dialed: party(dialedBy(record, ctx)) }
  const own = record.outbound_cnum ?? record.src
  if (own !== undefined) facts.from = party(own)
  return facts
}

/** `"Zoé \"x\"" <33639980142>`: quotes and backslashes of the name have a backslash before them. */
const nameIn = (clid: string | undefined): string | undefined =>
  /^"(.*)" *</.exec(clid ?? '')?.[1]?.replaceAll(/\\(.)/g, '$1')

/** Who handled it for us: the one who was reached, and of a call that goes out the one who dialled. */
function agentOf(
  record: CallRecord,
  from: Endpoint | null,
  to: Endpoint | null,
  direction: Direction | undefined,
): Agent | undefined {
  const isOurs = (end: Endpoint | null) => (end === null || end.isTrunk ? null : end)
  const dialled = direction === 'outbound' || direction === 'internal'
  const end = dialled ? isOurs(from) : (isOurs(to) ?? (direction === undefined ? isOurs(from) : null))
  if (!end || (end.name === '' && end.extension === undefined)) return undefined
  const name = dialled ? record.cnam : end === to ? record.dst_cnam : undefined
  const who: Agent = end.extension === undefined ? { id: end.name } : { extension: end.extension }
  return name === undefined ? who : { ...who, name }
}

/** `600,t,,,60` → 600. */
function groupOf(record: CallRecord): string | undefined {
  return isQueue(record) ? record.lastdata?.split(',', 1)[0] || undefined : undefined
}

const saysOf = ({ disposition }: CallRecord) => disposition?.trim().toUpperCase()

const RESULTS: Readonly<Record<string, Result>> = {
  'NO ANSWER': 'no_answer',
  BUSY: 'busy',
  FAILED: 'failed',
  CONGESTION: 'failed',
}

/** How it ended for who began it, when nobody talked. */
function endOf(record: CallRecord, direction: Direction | undefined): Result | undefined {
  const said = saysOf(record)
  const isInbound = direction === 'inbound'
  if (said === 'ANSWERED') {
    if (/^voicemail$/i.test(record.lastapp ?? '')) return 'voicemail'
    return isInbound ? undefined : 'answered'
  }
  // The caller hung up first; written where canceldispositionenabled is on.
  if (said === 'CANCEL') return isInbound ? 'abandoned' : 'no_answer'
  return resultNamed(said)
}

const resultNamed = (said: string | undefined): Result | undefined =>
  said !== undefined && Object.hasOwn(RESULTS, said) ? RESULTS[said] : undefined

const isQueue = ({ lastapp }: CallRecord) => lastapp?.toLowerCase() === 'queue'

function legOf(
  record: CallRecord,
  times: Times,
  hasTalked: boolean,
  answeredAt: string | undefined,
  agent: Agent | undefined,
): Leg {
  const leg: Leg = {
    key: `${record.uniqueid}:${record.sequence ?? ''}`,
    startedAt: times.startedAt,
    endedAt: times.endedAt,
  }
  if (agent) leg.agent = agent
  if (record.src) leg.from = record.src
  if (record.dst) leg.to = record.dst
  if (answeredAt) leg.answeredAt = answeredAt
  const result = hasTalked ? 'answered' : resultNamed(saysOf(record))
  if (result) leg.result = result
  return leg
}

/** Formats by file extension. `.WAV` is GSM in a WAV container, which decoders read. The others (gsm, sln …) have no name here. */
const FORMATS: Readonly<Record<string, Recording['format']>> = {
  wav: 'wav',
  mp3: 'mp3',
  ogg: 'ogg',
  flac: 'flac',
}

function recordingOf(key: string, state: Recording['state'], { config }: Context): Recording {
  const extension = key.slice(key.lastIndexOf('.') + 1).toLowerCase()
  const format = Object.hasOwn(FORMATS, extension) ? FORMATS[extension] : undefined
  return {
    key,
    state,
    ...(format === undefined ? {} : { format }),
    ...(config.tracks ? { channels: 2, tracks: config.tracks } : {}),
  }
}
