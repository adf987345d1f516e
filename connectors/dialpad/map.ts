import type { Agent, Leg, Recording, Result } from '../../src/call/call.ts'
import type { CallEvent, Facts, Phase } from '../../src/call/facts.ts'
import { normalisePhone } from '../../src/call/phone.ts'
import type { MapContext } from '../../src/connector/contract.ts'
import type { CallObject, Config, Party } from './schema.ts'

type Context = Pick<MapContext<Config>, 'config' | 'region'>

/** States of a call under way, by https://developers.dialpad.com/docs/call-events-logging, read 2026-11-20. */
const UNDER_WAY: Readonly<Record<string, Phase>> = {
  calling: 'ringing',
  ringing: 'ringing',
  preanswer: 'ringing',
  queued: 'ringing',
  connected: 'answered',
}
/** States in which a call object ends. */
const ENDS = ['hangup', 'missed', 'blocked', 'voicemail']
/** States that bring recordings and nothing else. */
const RECORDED = ['recording', 'admin_recording', 'voicemail_uploaded']

export const STATES: readonly string[] = [...Object.keys(UNDER_WAY), ...ENDS, ...RECORDED]

/**
 * One conversation is several call objects: that of the number which was dialled, that of the agent who took it, one for
 * each who rang. They name each other, though none of their fields is on all of them: all are ids of the one call.
 */
function idsOf(read: CallObject): Pick<CallEvent, 'callId' | 'alsoKnownAs'> {
  const all = [read.entry_point_call_id, read.master_call_id, read.operator_call_id]
  const others = [...new Set(all)].filter((id) => id !== undefined && id !== '0' && id !== read.call_id)
  return others.length === 0
    ? { callId: read.call_id }
    : { callId: read.call_id, alsoKnownAs: others as string[] }
}

/** Rang or talked for a call that came in at another object. */
const isPart = (read: CallObject): boolean =>
  read.entry_point_call_id !== undefined && read.entry_point_call_id !== read.call_id

export function toEvents(read: CallObject & { state: string }, ctx: Context): CallEvent[] {
  const { state } = read
  if (RECORDED.includes(state)) {
    // Its audio may stand in the hangup already: then the recording is the one that was told, and only this is new.
    const said = state === 'voicemail_uploaded' ? [lastWord(read, 'voicemail', 'voicemail')] : []
    return [...said, ...recordedEvents(read, ctx)]
  }
  const under = Object.hasOwn(UNDER_WAY, state) ? UNDER_WAY[state] : undefined
  if (under === undefined) return endedEvents(read, ctx)
  const facts: Facts = {}
  if (!isInternal(read) || under === 'ringing') Object.assign(facts, partiesOf(read, ctx))
  if (read.date_started) facts.startedAt = read.date_started
  if (under === 'answered' && isWithAgent(read)) {
    if (read.date_connected) facts.answeredAt = read.date_connected
    Object.assign(facts, agentFacts(read))
  }
  // A state may come twice in a call that is handed on: its time tells them apart.
  const at = read.event_timestamp
  const key = `${read.call_id}:${state}${at ? `:${at}` : ''}`
  return [{ key, ...idsOf(read), phase: under, ...(at ? { at } : {}), facts }]
}

/**
 * The end of a call object, which is told once, in whatever words: `hangup`, or what the list says of it. What an internal
 * object says of direction and numbers goes into the lowest phase: it may be an agent who asks a colleague in the middle
 * of a customer's call.
 */
export function endedEvents(read: CallObject, ctx: Context): CallEvent[] {
  const ids = idsOf(read)
  const { state } = read
  const result = resultOf(read)
  const wasConnected = read.date_connected !== undefined
  // Who did not take it: the call goes on with another one, or ends in its own object.
  const isPassing = isPart(read) && !wasConnected && state !== 'voicemail'
  const at = read.date_ended ?? read.event_timestamp
  const head = { ...ids, ...(at ? { at } : {}) }
  const facts: Facts = { legs: [legOf(read, result)] }
  if (read.date_started) facts.startedAt = read.date_started
  // The key of a list's row: whatever state it says, the object has hung up.
  const isRow = state === undefined || !ENDS.includes(state)
  const key = `${read.call_id}:${isRow ? 'hangup' : state}`
  if (isPassing) return [{ key, ...head, phase: 'answered', facts }]
  const parties = partiesOf(read, ctx)
  Object.assign(facts, isInternal(read) ? {} : parties, outcomeOf(read, result))
  const events: CallEvent[] = [{ key, ...head, phase: 'ended', facts }]
  if (isInternal(read)) events.unshift({ key: `${key}:internal`, ...head, phase: 'ringing', facts: parties })
  if (state === 'voicemail') events.push(lastWord(read, state, 'voicemail'))
  if (state === 'blocked') events.push(lastWord(read, state, 'rejected'))
  return [...events, ...recordedEvents(read, ctx)]
}

/** A hangup may follow, which only knows that nobody answered. */
function lastWord(read: CallObject, state: string, result: Result): CallEvent {
  const at = read.date_ended ?? read.event_timestamp
  const key = `${read.call_id}:${state}:result`
  return { key, ...idsOf(read), ...(at ? { at } : {}), phase: 'recorded', facts: { result } }
}

function outcomeOf(read: CallObject, result: Result | undefined): Facts {
  const facts: Facts = {}
  if (result) facts.result = result
  if (read.date_ended) facts.endedAt = read.date_ended
  if (isWithAgent(read)) {
    const talkMs = read.talk_time ?? read.duration
    if (read.date_connected) {
      facts.answeredAt = read.date_connected
      if (talkMs !== undefined) facts.talkMs = talkMs
      if (read.hold_time !== undefined) facts.holdMs = read.hold_time
    }
    Object.assign(facts, agentFacts(read))
  } else {
    const group = groupOf(read)
    if (group) facts.agent = { group }
  }
  if (read.total_duration !== undefined) facts.totalMs = read.total_duration
  if (read.labels && read.labels.length > 0) facts.tags = read.labels
  if (read.was_recorded === true) facts.recordingExpected = true
  // That one object was not recorded says nothing of the others, nor of a voicemail.
  const isAlone = read.target?.type === 'user' && idsOf(read).alsoKnownAs === undefined
  if (read.was_recorded === false && isAlone && result === 'answered') facts.recordingExpected = false
  return facts
}

/** "Hangup without date_connected" is all that is said of a call that nobody took. */
function resultOf(read: CallObject): Result | undefined {
  const { state } = read
  if (state === 'blocked') return 'rejected'
  if (state === 'missed') return 'no_answer'
  if (state === 'voicemail' || hasVoicemail(read)) return 'voicemail'
  if (read.date_connected === undefined) return 'no_answer'
  // What a call center or a main line itself connected may have been its music.
  return isWithAgent(read) || read.operator_call_id !== undefined ? 'answered' : undefined
}

const hasVoicemail = (read: CallObject): boolean =>
  read.date_connected === undefined &&
  ((read.voicemail_link ?? read.voicemail_share_link ?? read.voicemail_recording_id) !== undefined ||
    read.recording_details?.some(({ recording_type: type }) => type === 'voicemail') === true)

const isInternal = (read: CallObject): boolean => read.is_internal === true
const isWithAgent = (read: CallObject): boolean => read.target?.type === 'user'

function partiesOf(read: CallObject, { region }: Context): Facts {
  const { direction, external_number: outside, internal_number: inside } = read
  if (direction !== 'inbound' && direction !== 'outbound') return {}
  const party = (raw: string) => ({ phone: normalisePhone(raw, region).e164, phoneRaw: raw })
  const dialed = direction === 'outbound' ? outside : (read.entry_point_target?.phone ?? inside)
  const from = direction === 'outbound' ? inside : outside
  const facts: Facts = { direction: isInternal(read) ? 'internal' : direction }
  // A caller who hides the number is a caller all the same.
  if (from !== undefined || direction === 'inbound') facts.from = party(from ?? '')
  if (dialed !== undefined) facts.dialed = party(dialed)
  const { name, email } = read.contact ?? {}
  // Who is in no directory has the number for a name.
  const known = name !== undefined && !/^[+\d\s().-]+$/.test(name)
  if (!isInternal(read) && (known || email)) {
    facts.customer = { ...(known ? { name } : {}), ...(email ? { email } : {}) }
  }
  return facts
}

/** Of an inbound call the agent is whose object was connected, of an outbound one who called. */
function agentFacts(read: CallObject): Facts {
  const group = groupOf(read)
  const isAgent =
    !isInternal(read) && read.target && (read.direction === 'outbound' || read.date_connected !== undefined)
  const agent: Agent = {
    ...(isAgent && read.target ? agentOf(read.target) : {}),
    ...(group ? { group } : {}),
  }
  return Object.keys(agent).length === 0 ? {} : { agent }
}

const agentOf = ({ id, name, email }: Party): Agent => ({
  ...(id ? { id } : {}),
  ...(name ? { name } : {}),
  ...(email ? { email } : {}),
})

/** The call center, department or main line that was dialled. */
function groupOf({ entry_point_target: entry, target }: CallObject): string | undefined {
  const group = [entry, target].find((one) => one?.type !== undefined && one.type !== 'user')
  return group?.name
}

function legOf(read: CallObject, result: Result | undefined): Leg {
  const [from, to] =
    read.direction === 'outbound'
      ? [read.internal_number, read.external_number]
      : [read.external_number, read.internal_number]
  return {
    key: read.call_id,
    ...(read.target && isWithAgent(read) ? { agent: agentOf(read.target) } : {}),
    ...(from ? { from } : {}),
    ...(to ? { to } : {}),
    ...(read.date_started ? { startedAt: read.date_started } : {}),
    ...(read.date_connected ? { answeredAt: read.date_connected } : {}),
    ...(read.date_ended ? { endedAt: read.date_ended } : {}),
    ...(result ? { result } : {}),
  }
}

/** Each recording is an event of its own, so that it is the same one in a hangup, in its own state and in the list. */
function recordedEvents(read: CallObject, { config }: Context): CallEvent[] {
  const tracks = config.tracks ? { tracks: config.tracks } : {}
  const recordings = new Map<string, Recording>()
  for (const url of read.admin_recording_urls ?? []) {
    const [, key] = /\/adminrecording\/([\w-]{1,128})(?:\.mp3)?$/.exec(URL.parse(url)?.pathname ?? '') ?? []
    if (key) recordings.set(key, { key, url, format: 'mp3', state: 'ready', ...tracks })
  }
  for (const { id: key, url, duration, recording_type: type } of read.recording_details ?? []) {
    if (url === undefined) continue
    recordings.set(key, {
      ...{ key, url, format: 'mp3', state: 'ready' },
      ...(duration === undefined ? {} : { durationMs: duration }),
      ...(type === 'voicemail' ? {} : tracks),
    })
  }
  return [...recordings.values()].map((recording) => ({
    key: `${read.call_id}:recording:${recording.key}`,
    ...idsOf(read),
    phase: 'recorded',
    facts: { recordings: [recording] },
  }))
}
