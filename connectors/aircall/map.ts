import type { Agent, Leg, Recording, Result } from '../../src/call/call.ts'
import type { CallEvent, Facts } from '../../src/call/facts.ts'
import { normalisePhone } from '../../src/call/phone.ts'
import type { MapContext } from '../../src/connector/contract.ts'
import type { AircallCall, Config } from './schema.ts'

type Context = Pick<MapContext<Config>, 'config' | 'region'>
type Mapping = (call: AircallCall, at: string, ctx: Context) => CallEvent[]

/**
 * The events of a call that say something of it. Every one carries the call as it stood then; each is asked only for what
 * it is about, so that an early one cannot overwrite what a later one knew.
 */
export const CALL_EVENTS: Readonly<Record<string, Mapping>> = {
  'call.created': (call, at, ctx) => [
    { key: `${call.id}:created`, callId: call.id, phase: 'ringing', at, facts: startOf(call, ctx) },
  ],
  'call.ringing_on_agent': (call, at) => rungAt(call.user, call, at, 'ringing_on_agent'),
  'call.agent_declined': (call, at) => rungAt(call.user, call, at, 'agent_declined', 'rejected'),
  // Whether the other one takes the call, the end says.
  'call.transferred': (call, at) => rungAt(call.transferred_to, call, at, 'transferred'),
  'call.answered': (call, at, ctx) => answered(call, at, ctx),
  'call.ended': (call, at, ctx) => [...toEnded(call, at, ctx), ...assetsOf(call, ctx)],
  'call.voicemail_left': (call, at, ctx) => [...voicemailLeft(call, at), ...assetsOf(call, ctx)],
  'call.comm_assets_generated': (call, _at, ctx) => assetsOf(call, ctx),
  'call.tagged': (call) => taggedWith(call),
  'call.commented': (call) => commentedWith(call),
}

/** What a finished call of the list says: its end, its audio, and what was written on it since. */
export function toListedEvents(call: AircallCall, ctx: Context): CallEvent[] {
  return [
    ...toEnded(call, call.ended_at, ctx),
    ...assetsOf(call, ctx),
    ...taggedWith(call),
    ...commentedWith(call),
  ]
}

function startOf(call: AircallCall, ctx: Context): Facts {
  const { direction } = call
  const facts: Facts = call.started_at === undefined ? {} : { startedAt: call.started_at }
  if (call.number?.name !== undefined) facts.meta = { line: call.number.name }
  const name = [call.contact?.first_name, call.contact?.last_name].filter(Boolean).join(' ').slice(0, 256)
  const email = call.contact?.emails?.find(({ value }) => value !== undefined)?.value
  if (name || email) facts.customer = { ...(name ? { name } : {}), ...(email ? { email } : {}) }
  if (direction !== 'inbound' && direction !== 'outbound') return facts
  const outside = partyOf(call.raw_digits ?? externalOf(call), ctx)
  const own = partyOf(call.number?.digits, ctx)
  facts.direction = direction
  // A caller who hides the number is a caller all the same.
  const [from, dialed] = direction === 'inbound' ? [outside ?? NOBODY, own] : [own, outside]
  if (from) facts.from = from
  if (dialed) facts.dialed = dialed
  return facts
}

const NOBODY = { phone: null, phoneRaw: '' }

function partyOf(raw: string | undefined, { region }: Context) {
  return raw === undefined ? undefined : { phone: normalisePhone(raw, region).e164, phoneRaw: raw }
}

const externalOf = (call: AircallCall): string | undefined =>
  call.participants?.find(({ type }) => type === 'external')?.phone_number

function agentOf(user: AircallCall['user'], call: AircallCall): (Agent & { id: string }) | undefined {
  if (user?.id === undefined) return undefined
  const [team] = call.teams ?? []
  const { id, name, email } = user
  return {
    id,
    ...(name === undefined ? {} : { name }),
    ...(email === undefined ? {} : { email }),
    ...(team?.name === undefined ? {} : { group: team.name }),
  }
}

/** Several agents ring for one call, and the same one may ring twice: that says nothing new. */
function rungAt(
  user: AircallCall['user'],
  call: AircallCall,
  at: string,
  name: string,
  result?: Result,
): CallEvent[] {
  const agent = agentOf(user, call)
  if (!agent) return []
  const leg: Leg = { key: agent.id, agent, ...(result ? { result } : {}) }
  const key = `${call.id}:${name}:${agent.id}`
  return [{ key, callId: call.id, phase: 'ringing', at, facts: { legs: [leg] } }]
}

function answered(call: AircallCall, at: string, ctx: Context): CallEvent[] {
  const agent = agentOf(call.user, call)
  const facts: Facts = startOf(call, ctx)
  if (call.answered_at !== undefined) facts.answeredAt = call.answered_at
  if (agent) {
    facts.agent = agent
    facts.legs = [{ key: agent.id, agent, result: 'answered' }]
  }
  const who = agent ? `:${agent.id}` : ''
  return [{ key: `${call.id}:answered${who}`, callId: call.id, phase: 'answered', at, facts }]
}

function toEnded(call: AircallCall, at: string | undefined, ctx: Context): CallEvent[] {
  const result = resultOf(call)
  const facts: Facts = { ...startOf(call, ctx), ...(result ? { result } : {}) }
  if (call.answered_at !== undefined) facts.answeredAt = call.answered_at
  if (call.ended_at !== undefined) facts.endedAt = call.ended_at
  const reason = call.missed_call_reason ?? call.hangup_cause
  if (reason !== undefined) facts.disconnectReason = reason
  // Who rang last without answering did not talk to the customer; who dialled did.
  const isTheirs = result === 'answered' || call.direction === 'outbound'
  const agent = isTheirs ? (agentOf(call.transferred_to, call) ?? agentOf(call.user, call)) : undefined
  const group = call.teams?.[0]?.name
  if (agent) facts.agent = agent
  else if (group !== undefined) facts.agent = { group }
  // `recording` is nearly always null at this moment, whether one comes or not; a caller who gave up leaves none.
  if (result === 'abandoned') facts.recordingExpected = false
  return [
    { key: `${call.id}:ended`, callId: call.id, phase: 'ended', ...(at === undefined ? {} : { at }), facts },
  ]
}

/** Reasons why an inbound call was missed (api-references, read 2026-11-27); the caller gave up in these. */
const GAVE_UP = ['short_abandoned', 'abandoned_in_ivr', 'abandoned_in_classic']

function resultOf(call: AircallCall): Result | undefined {
  if (call.answered_at !== undefined) return 'answered'
  if (call.voicemail !== undefined) return 'voicemail'
  if (call.direction === 'inbound' && GAVE_UP.includes(call.missed_call_reason ?? '')) return 'abandoned'
  if (call.direction !== 'inbound' && call.direction !== 'outbound') return undefined
  // The causes are written like those of Q.850, of which only this one tells busy lines from others.
  return call.hangup_cause === 'user_busy' ? 'busy' : 'no_answer'
}

function voicemailLeft(call: AircallCall, at: string): CallEvent[] {
  return [
    {
      key: `${call.id}:voicemail_left`,
      callId: call.id,
      phase: 'recorded',
      at,
      facts: { result: 'voicemail', recordings: [{ key: `voicemail:${call.id}`, state: 'pending' }] },
    },
  ]
}

/** Links end after an hour or less: the id is kept, and a new link is asked for when the audio is. */
function assetsOf(call: AircallCall, { config }: Context): CallEvent[] {
  const events: CallEvent[] = []
  const add = (kind: 'recording' | 'voicemail', facts: Facts, more: Partial<Recording>) => {
    const recording: Recording = { key: `${kind}:${call.id}`, format: 'mp3', state: 'ready', ...more }
    events.push({
      key: `${call.id}:${kind}`,
      callId: call.id,
      phase: 'recorded',
      facts: { ...facts, recordings: [recording] },
    })
  }
  if (call.recording !== undefined) add('recording', {}, config.tracks ? { tracks: config.tracks } : {})
  if (call.voicemail !== undefined && call.answered_at === undefined)
    add('voicemail', { result: 'voicemail' }, {})
  return events
}

const MOST_TAGS = 100

function taggedWith(call: AircallCall): CallEvent[] {
  const tags = (call.tags ?? []).flatMap(({ name }) => (name === undefined ? [] : [name.slice(0, 128)]))
  const ids = (call.tags ?? []).map((tag) => tag.id ?? tag.name ?? '').sort()
  if (tags.length === 0) return []
  const facts: Facts = { tags: tags.slice(0, MOST_TAGS) }
  return [{ key: `${call.id}:tags:${ids.join(',').slice(0, 400)}`, callId: call.id, phase: 'amended', facts }]
}

function commentedWith(call: AircallCall): CallEvent[] {
  const texts = (call.comments ?? []).flatMap(({ content }) => (content ? [content] : []))
  if (texts.length === 0) return []
  const facts: Facts = { meta: { comments: texts.join('\n').slice(0, 1000) } }
  return [{ key: `${call.id}:comments:${texts.length}`, callId: call.id, phase: 'amended', facts }]
}
