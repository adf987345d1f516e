import type { Agent, Direction, Leg, Recording, Result } from '../../src/call/call.ts'
import type { CallEvent, Facts } from '../../src/call/facts.ts'
import { normalisePhone } from '../../src/call/phone.ts'
import type { MapContext } from '../../src/connector/contract.ts'
import type { Attempt, CallDetails, Config, LiveCall } from './schema.ts'

type Context = Pick<MapContext<Config>, 'config' | 'region'>

/** The vendor's list of dispositions (https://developers.binotel.ua, archived 2024-02-27). A transferred call was answered. */
const RESULTS: Readonly<Record<string, Result>> = {
  ANSWER: 'answered',
  TRANSFER: 'answered',
  'VM-SUCCESS': 'voicemail',
  // Reached the voicemail and left nothing.
  VM: 'no_answer',
  NOANSWER: 'no_answer',
  BUSY: 'busy',
  CONGESTION: 'failed',
  CHANUNAVAIL: 'failed',
}
const UNFINISHED = ['ONLINE', 'CALLING']

/** `CANCEL` is the caller who gave up: inbound that is the customer, outbound our agent. */
export function resultOf(disposition: string, direction: Direction): Result | undefined {
  if (disposition === 'CANCEL') return direction === 'inbound' ? 'abandoned' : 'no_answer'
  return Object.hasOwn(RESULTS, disposition) ? RESULTS[disposition] : undefined
}

/** Why these details are no finished call; null when they are. */
export function whyNoCall({ disposition, companyID }: CallDetails, { config }: Context): string | null {
  if (config.companyId !== undefined && companyID !== config.companyId) {
    return 'its companyID is not that of the connection'
  }
  if (UNFINISHED.includes(disposition)) return `a call that is ${disposition} has not ended`
  if (disposition === 'SUCCESS' || disposition === 'FAILED') return `${disposition} is said of a fax`
  return disposition.startsWith('SMS-') ? `${disposition} is said of a text message` : null
}

export function toCompletedEvent(read: CallDetails, ctx: Context): CallEvent {
  const direction = directionOf(read, ctx)
  const result = resultOf(read.disposition, direction)
  const isAnswered = result === 'answered'
  const attempts = attemptsOf(read)
  const agent = agentOf(read, attempts, direction, isAnswered)
  const recorded = recordingOf(read, result, ctx)
  const facts: Facts = {
    direction,
    ...partiesOf(read, direction, ctx),
    ...timesOf(read, attempts, isAnswered),
    ...(result ? { result } : {}),
    disconnectReason: read.disposition,
    ...(agent ? { agent } : {}),
    ...(attempts.length > 0 ? { legs: attempts.map(toLeg) } : {}),
    ...customerOf(read, direction),
    // A word of the vendor's that is not known may be one for a recorded call.
    ...(recorded
      ? { recordingExpected: true, recordings: [recorded] }
      : result
        ? { recordingExpected: false }
        : {}),
    ...metaOf(read),
  }
  const { generalCallID: callId } = read
  // Attempt 5 of the same call says the same: what counts them is no part of the key.
  return {
    key: `${callId}:completed`,
    callId,
    phase: 'ended',
    at: instant(read, read.waitsec + read.billsec),
    facts,
  }
}

/** Of an outbound call of 2018 they are who was called, and not who of ours. */
const attemptsOf = ({ historyData, dstNumbers, callType }: CallDetails): Attempt[] =>
  historyData.length > 0 || callType === '1' ? historyData : dstNumbers

const instant = ({ startTime }: CallDetails, seconds = 0) =>
  new Date((startTime + seconds) * 1000).toISOString()

/**
 * Only the start is an instant. The others follow from the lengths, as long as one person was rung: how they add up when
 * a call was handed on is not documented, so then they are left to the lengths alone.
 */
function timesOf(read: CallDetails, attempts: readonly Attempt[], isAnswered: boolean): Facts {
  const { waitsec, billsec } = read
  const facts: Facts = {
    startedAt: instant(read),
    ringMs: waitsec * 1000,
    totalMs: (waitsec + billsec) * 1000,
    ...(isAnswered ? { talkMs: billsec * 1000 } : {}),
  }
  if (attempts.length > 1) return facts
  if (isAnswered && billsec > 0) facts.answeredAt = instant(read, waitsec)
  facts.endedAt = instant(read, waitsec + billsec)
  return facts
}

type Numbers = Pick<CallDetails, 'callType' | 'externalNumber'>

/** "May be an internal number for internal calls." */
function directionOf({ callType, externalNumber }: Numbers, { region }: Context): Direction {
  if (externalNumber && normalisePhone(externalNumber, region).kind === 'extension') return 'internal'
  return callType === '0' ? 'inbound' : 'outbound'
}

const party = (raw: string | undefined, { region }: Context) => ({
  phone: normalisePhone(raw, region).e164,
  phoneRaw: raw ?? '',
})

function partiesOf(read: CallDetails, direction: Direction, ctx: Context): Facts {
  const own = read.pbxNumberData.number ?? read.didNumber
  return sides(read.externalNumber, direction === 'internal' ? read.internalNumber : own, read.callType, ctx)
}

/** A withheld number is empty: the call has another side all the same. */
function sides(other: string | undefined, own: string | undefined, callType: '0' | '1', ctx: Context): Facts {
  const theirs = party(other, ctx)
  const ours = own === undefined ? undefined : party(own, ctx)
  return callType === '0'
    ? { from: theirs, ...(ours ? { dialed: ours } : {}) }
    : { dialed: theirs, ...(ours ? { from: ours } : {}) }
}

/** Whoever answered last; of an outbound call nobody answered, who called. A missed inbound one is nobody's. */
function agentOf(
  read: CallDetails,
  attempts: readonly Attempt[],
  direction: Direction,
  isAnswered: boolean,
): Agent | undefined {
  if (direction === 'internal' || (!isAnswered && direction === 'inbound')) return undefined
  const { internalNumber, internalAdditionalData, employeeData: said } = read
  const employeeData = { name: said.name ?? read.employeeName, email: said.email ?? read.employeeEmail }
  const answered = attempts.findLast(({ disposition }) => disposition === 'ANSWER')
  if (answered === undefined) return toAgent({ internalNumber, internalAdditionalData, employeeData })
  // A name that the attempt leaves out the whole may give, of the same person.
  const { name, email } = answered.employeeData
  const isNamed = name !== undefined || email !== undefined || answered.internalNumber !== internalNumber
  return toAgent(isNamed ? answered : { ...answered, employeeData })
}

/** `801 > ` before 901: the group that the call came through (official sample of 2018). */
function toAgent(read: Omit<Attempt, 'disposition'>): Agent | undefined {
  const group = read.internalAdditionalData?.replace(/\s*>$/, '')
  const { name, email } = read.employeeData
  const agent: Agent = {
    ...(read.internalNumber ? { extension: read.internalNumber.slice(0, 64) } : {}),
    ...(name ? { name } : {}),
    ...(email ? { email } : {}),
    ...(group ? { group } : {}),
  }
  return Object.keys(agent).length > 0 ? agent : undefined
}

function toLeg(read: Attempt, index: number): Leg {
  const agent = toAgent(read)
  const result = read.disposition === undefined ? undefined : resultOf(read.disposition, 'outbound')
  return {
    key: String(index + 1),
    ...(agent ? { agent } : {}),
    ...(read.internalNumber ? { to: read.internalNumber } : {}),
    ...(result ? { result } : {}),
  }
}

/** The customer's id is the one that our side once gave Binotel for this number; Binotel's own is not kept. */
function customerOf(
  { customerDataFromOutside: outside, customerData }: CallDetails,
  direction: Direction,
): Facts {
  const name = outside.name ?? customerData.name
  if (direction === 'internal' || (outside.id === undefined && name === undefined)) return {}
  return { customer: { ...(outside.id ? { id: outside.id } : {}), ...(name ? { name } : {}) } }
}

/**
 * "uploading" and "uploaded": both are fetched by the call's id, the first a little later. Bodies of 2018 have no such
 * field; then the results decide that are said to have a record.
 */
function recordingOf(read: CallDetails, result: Result | undefined, { config }: Context): Recording | null {
  const { recordingStatus: status } = read
  const isThere =
    status === undefined
      ? result === 'answered' || result === 'voicemail'
      : status === 'uploading' || status === 'uploaded'
  if (!isThere) return null
  return {
    key: read.generalCallID,
    format: 'mp3',
    state: 'ready',
    ...(config.tracks ? { tracks: config.tracks } : {}),
  }
}

function metaOf(read: CallDetails): Facts {
  const tracking = Object.entries(read.callTrackingData).flatMap(([key, value]) =>
    value ? [[key, value]] : [],
  )
  const line = read.pbxNumberData.name ?? read.didName
  const meta: Record<string, string> = {
    ...(line ? { line } : {}),
    ...(read.whoHungUp ? { whoHungUp: read.whoHungUp } : {}),
    ...Object.fromEntries(tracking),
  }
  return Object.keys(meta).length > 0 ? { meta } : {}
}

export const LIVE_EVENTS = { receivedTheCall: 'ringing', answeredTheCall: 'answered' } as const
export type LiveEvent = keyof typeof LIVE_EVENTS

/** They have no time of their own, so they tell who and not when. Several people are rung for one call. */
export function toLiveEvent(name: LiveEvent, read: LiveCall, ctx: Context): CallEvent {
  const { generalCallID: callId, internalNumber: extension } = read
  const externalNumber = read.externalNumber ?? read.srcNumber
  const direction = directionOf({ callType: read.callType, externalNumber }, ctx)
  const own = direction === 'internal' ? extension : (read.pbxNumber ?? read.didNumber)
  const isAnswer = name === 'answeredTheCall' && direction !== 'internal'
  return {
    key: `${callId}:${name}${extension === undefined ? '' : `:${extension}`}`,
    callId,
    phase: LIVE_EVENTS[name],
    facts: {
      direction,
      ...sides(externalNumber, own, read.callType, ctx),
      ...(isAnswer && extension ? { agent: { extension: extension.slice(0, 64) } } : {}),
    },
  }
}
