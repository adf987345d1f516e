import type { Agent, Recording, Result } from '../../src/call/call.ts'
import type { CallEvent, Facts } from '../../src/call/facts.ts'
import { normalisePhone } from '../../src/call/phone.ts'
import type { MapContext } from '../../src/connector/contract.ts'
import type { Config, JustCall } from './schema.ts'

type Context = Pick<MapContext<Config>, 'config' | 'region'>

/** The request that told it: its id says what was said again, its time orders what changed. */
export interface Said {
  requestId: string
  at: string | undefined
}

/** Types of events of a call. All that tell of a finished call are read alike: which of them come is not documented. */
export const CALL_EVENTS: Readonly<
  Record<string, (call: JustCall, said: Said, ctx: Context) => CallEvent[]>
> = {
  'call.initiated': (call, _said, ctx) => [
    { key: `${call.id}:initiated`, callId: call.id, phase: 'ringing', facts: partiesOf(call, ctx) },
  ],
  'call.answered': (call, _said, ctx) => [toAnswered(call, ctx)],
  'call.completed': toFinished,
  'call.missed': toFinished,
  'call.voicemail': toFinished,
  'call.updated': toFinished,
}

/** The vendor's words, in lower case; `in progress` is none of them. */
const RESULTS: Readonly<Record<string, Result>> = {
  answered: 'answered',
  missed: 'no_answer',
  unanswered: 'no_answer',
  voicemail: 'voicemail',
  busy: 'busy',
}

const resultOf = ({ call_info: { type } }: JustCall): Result | undefined => {
  const said = type?.toLowerCase() ?? ''
  return Object.hasOwn(RESULTS, said) ? RESULTS[said] : undefined
}

const isUnderWay = (call: JustCall): boolean => call.call_info.type?.toLowerCase() === 'in progress'

/** A finished call: its end, its audio, and what the agent wrote. A change tells all of it again. */
function toFinished(call: JustCall, said: Said, ctx: Context): CallEvent[] {
  const end = isUnderWay(call) ? [] : [toEnded(call, ctx)]
  return [...end, ...recordingsOf(call, ctx), ...writtenOn(call, said)]
}

/** The rows of the list have no request: what they say is known again by what is written. */
export function toListedEvents(call: JustCall, ctx: Context): CallEvent[] {
  return isUnderWay(call) ? [] : toFinished(call, { requestId: '', at: undefined }, ctx)
}

function partiesOf(call: JustCall, ctx: Context): Facts {
  const facts: Facts = { startedAt: call.startedAt }
  const { contact_name: name, contact_email: email, justcall_line_name: line } = call
  if (name !== undefined || email !== undefined) {
    facts.customer = { ...(name === undefined ? {} : { name }), ...(email === undefined ? {} : { email }) }
  }
  if (line !== undefined) facts.meta = { line }
  const direction = directionOf(call)
  if (!direction) return facts
  facts.direction = direction
  const outside = partyOf(call.contact_number ?? '', ctx)
  const own = call.justcall_number === undefined ? undefined : partyOf(call.justcall_number, ctx)
  const [from, dialed] = direction === 'inbound' ? [outside, own] : [own, outside]
  if (from) facts.from = from
  if (dialed) facts.dialed = dialed
  return facts
}

function directionOf({ call_info }: JustCall): 'inbound' | 'outbound' | undefined {
  const said = call_info.direction?.toLowerCase()
  if (said === 'incoming') return 'inbound'
  return said === 'outgoing' ? 'outbound' : undefined
}

/** Numbers are international and have lost their plus. */
function partyOf(raw: string, { region }: Context) {
  const phone = normalisePhone(/^[1-9]\d{6,14}$/.test(raw) ? `+${raw}` : raw, region)
  return { phone: phone.e164, phoneRaw: raw }
}

function agentOf({ agent_id: id, agent_name: name, agent_email: email }: JustCall): Agent | undefined {
  if (id === undefined || id === '0') return undefined
  return { id, ...(name === undefined ? {} : { name }), ...(email === undefined ? {} : { email }) }
}

function toAnswered(call: JustCall, ctx: Context): CallEvent {
  const agent = agentOf(call)
  const facts: Facts = { ...partiesOf(call, ctx), ...(agent ? { agent } : {}) }
  if (agent?.id !== undefined) facts.legs = [{ key: agent.id, agent, result: 'answered' }]
  const who = agent ? `:${agent.id}` : ''
  return { key: `${call.id}:answered${who}`, callId: call.id, phase: 'answered', facts }
}

/** Without what may be written later: whichever event tells it first tells the same. */
function toEnded(call: JustCall, ctx: Context): CallEvent {
  const facts: Facts = partiesOf(call, ctx)
  const result = resultOf(call)
  if (result) facts.result = result
  const { missed_call_reason: missed, status } = call.call_info
  const reason = missed ?? status
  if (reason !== undefined) facts.disconnectReason = reason
  const agent = result === 'answered' || facts.direction === 'outbound' ? agentOf(call) : undefined
  if (agent) facts.agent = agent
  return { key: `${call.id}:ended`, callId: call.id, phase: 'ended', facts: { ...facts, ...lengthsOf(call) } }
}

/**
 * Whether waiting in a queue and ringing overlap is not documented: the instants of answer and end are not worked out, and
 * the whole is at most too long.
 */
function lengthsOf({ call_duration: lengths }: JustCall): Facts {
  if (!lengths) return {}
  const { ring_time, queue_wait_time, total_duration, hold_time, conversation_time } = lengths
  const facts: Facts = {}
  if (ring_time !== undefined) facts.ringMs = ring_time
  if (hold_time !== undefined) facts.holdMs = hold_time
  if (conversation_time !== undefined) facts.talkMs = conversation_time
  // "conversation + hold"; ringing and waiting come before.
  if (total_duration !== undefined) facts.totalMs = total_duration + (ring_time ?? 0) + (queue_wait_time ?? 0)
  return facts
}

/** What a link's life is, is not documented: the call's id is kept, and the link asked for when the audio is. */
function recordingsOf(call: JustCall, { config }: Context): CallEvent[] {
  const { recording, recording_child: child } = call.call_info
  const tracks = config.tracks ? { tracks: config.tracks } : {}
  return [recording && 'recording', child && 'recording_child'].flatMap((kind) => {
    if (!kind) return []
    const recorded: Recording = { key: `${kind}:${call.id}`, format: 'mp3', state: 'ready', ...tracks }
    return [
      { key: `${call.id}:${kind}`, callId: call.id, phase: 'recorded', facts: { recordings: [recorded] } },
    ]
  })
}

/** Disposition, notes, rating and tags: they change after the end, so a later event has the last word. */
function writtenOn(call: JustCall, { requestId, at }: Said): CallEvent[] {
  const { disposition, notes, rating } = call.call_info
  const facts: Facts = {}
  if (disposition !== undefined) facts.outcome = disposition
  const meta = {
    ...(notes === undefined ? {} : { notes: notes.slice(0, 1000) }),
    ...(rating === undefined ? {} : { rating }),
  }
  if (Object.keys(meta).length > 0) facts.meta = meta
  const tags = tagsOf(call)
  if (tags.length > 0) facts.tags = tags
  if (Object.keys(facts).length === 0) return []
  const by = requestId || `list:${disposition ?? ''}:${rating ?? ''}:${notes?.length ?? 0}:${tags.length}`
  return [
    {
      key: `${call.id}:written:${by}`,
      callId: call.id,
      phase: 'amended',
      ...(at === undefined ? {} : { at }),
      facts,
    },
  ]
}

/** Empty in every example: a name alone, or an object with one. */
function tagsOf({ tags = [] }: JustCall): string[] {
  return tags
    .map((tag) => (typeof tag === 'object' && tag !== null && 'name' in tag ? tag.name : tag))
    .filter((name): name is string => typeof name === 'string' && name !== '')
    .map((name) => name.slice(0, 128))
    .slice(0, 100)
}
