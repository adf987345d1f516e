import type { Agent, Direction, Leg, Recording, Result } from '../../src/call/call.ts'
import type { CallEvent, Facts } from '../../src/call/facts.ts'
import { normalisePhone } from '../../src/call/phone.ts'
import type { MapContext } from '../../src/connector/contract.ts'
import type { AfterData, CallData, Config, Row } from './schema.ts'

type Context = Pick<MapContext<Config>, 'config' | 'region'>

/** Events of the resource `call`, by their name. */
export const CALL_EVENTS: Readonly<Record<string, (data: CallData, ctx: Context) => CallEvent[]>> = {
  ringing: (data, ctx) => [
    {
      key: `${data.call_id}:ringing:${legKey(data)}`,
      callId: data.call_id,
      phase: 'ringing',
      ...(data.start_time === undefined ? {} : { at: data.start_time }),
      facts: { ...startOf(data, ctx), legs: [legOf(data)] },
    },
  ],
  answered: toAnswered,
  hangup: (data, ctx) => toHungUp(data, isAnswered(data) ? 'answered' : unansweredBy(data), ctx),
  // Somebody's phone stopped ringing. In a group others may have taken the call: only where nobody says that it was
  // answered, it was missed. So the verdict stands where an answer overrides it.
  missed: (data, ctx) => [
    {
      key: `${data.call_id}:missed-by:${legKey(data)}`,
      callId: data.call_id,
      phase: 'ringing',
      facts: { result: unansweredBy(data), legs: [legOf(data, unansweredBy(data))] },
    },
    toEnded(data, 'missed', withAgent(startOf(data, ctx), data, false)),
  ],
  voicemail: (data, ctx) => [
    ...toHungUp(data, 'voicemail', ctx),
    ...(data.message === undefined ? [] : [toRecorded(data, 'voicemail', data.message, undefined, ctx)]),
  ],
}

/** Events of the resource `aftercall`: they hold no numbers and no agent, and may come before the end. */
export const AFTER_EVENTS: Readonly<
  Record<string, (data: AfterData, at: string | undefined, ctx: Context) => CallEvent[]>
> = {
  record_available: (data, _at, ctx) =>
    data.record_link === undefined
      ? []
      : [toRecorded(data, 'record', data.record_link, data.record_duration, ctx)],
  voicemail_available: (data, _at, ctx) =>
    data.voicemail_link === undefined
      ? []
      : [toRecorded(data, 'voicemail', data.voicemail_link, data.voicemail_duration, ctx)],
  tags_updated: (data, at) => {
    const tags = (data.tags ?? []).map((tag) => tag.slice(0, 128)).slice(0, 100)
    return tags.length === 0 ? [] : [amended(data, 'tags', at, { tags })]
  },
  comments_updated: (data, at) => {
    const comments = data.comments?.slice(0, 1000)
    return comments === undefined ? [] : [amended(data, 'comments', at, { meta: { comments } })]
  },
}

const legKey = (data: CallData): string => data.channel_id ?? data.user_id ?? 'call'

function startOf(data: CallData, ctx: Context): Facts {
  const facts: Facts = data.start_time === undefined ? {} : { startedAt: data.start_time }
  const direction = directionOf(data.direction, data.is_internal)
  if (direction) facts.direction = direction
  const from = data.is_anonymous ? { phone: null, phoneRaw: '' } : partyOf(data.from_number, ctx)
  const dialed = partyOf(data.to_number, ctx)
  if (from) facts.from = from
  if (dialed) facts.dialed = dialed
  return facts
}

function directionOf(said: string | undefined, isInternal = false): Direction | undefined {
  if (isInternal) return 'internal'
  const word = said?.toLowerCase()
  if (word === 'inbound' || word === 'in') return 'inbound'
  return word === 'outbound' || word === 'out' ? 'outbound' : undefined
}

/** Numbers are international and have lost their plus; short ones are extensions. */
function partyOf(raw: string | undefined, { region }: Context) {
  if (raw === undefined) return undefined
  const phone = normalisePhone(/^[1-9]\d{6,14}$/.test(raw) ? `+${raw}` : raw, region)
  return { phone: phone.e164, phoneRaw: raw }
}

function agentOf({ user, user_id: userId }: Pick<CallData, 'user' | 'user_id'>): Agent | undefined {
  const id = userId ?? user?.user_id
  const name = [user?.firstname, user?.lastname].filter(Boolean).join(' ').slice(0, 256)
  const email = user?.email
  if (id === undefined && name === '' && email === undefined) return undefined
  return {
    ...(id === undefined ? {} : { id }),
    ...(name === '' ? {} : { name }),
    ...(email === undefined ? {} : { email }),
  }
}

const groupOf = ({ ivr_data, ivr }: CallData): string | undefined =>
  ivr_data?.scenario_name ?? ivr_data?.ivr_name ?? ivr?.scenario ?? ivr?.name

function legOf(data: CallData, result?: Result): Leg {
  const agent = agentOf(data)
  return {
    key: legKey(data),
    ...(agent ? { agent } : {}),
    ...(data.start_time === undefined ? {} : { startedAt: data.start_time }),
    ...(data.answered_time === undefined ? {} : { answeredAt: data.answered_time }),
    ...(data.hangup_time === undefined ? {} : { endedAt: data.hangup_time }),
    ...(result ? { result } : {}),
  }
}

function withAgent(facts: Facts, data: CallData, didTalk: boolean): Facts {
  const group = groupOf(data)
  const agent = didTalk ? agentOf(data) : undefined
  if (!agent && group === undefined) return facts
  return { ...facts, agent: { ...agent, ...(group === undefined ? {} : { group }) } }
}

function toAnswered(data: CallData, ctx: Context): CallEvent[] {
  const facts: Facts = { ...startOf(data, ctx), result: 'answered', legs: [legOf(data, 'answered')] }
  if (data.answered_time !== undefined) facts.answeredAt = data.answered_time
  return [
    {
      key: `${data.call_id}:answered:${legKey(data)}`,
      callId: data.call_id,
      phase: 'answered',
      ...(data.answered_time === undefined ? {} : { at: data.answered_time }),
      facts: withAgent(facts, data, true),
    },
  ]
}

const isAnswered = ({ answered_time, status }: CallData): boolean =>
  answered_time !== undefined || /^answered$/i.test(status ?? '')

/** The words are not documented, but a busy line has no other. */
const unansweredBy = ({ status, reason }: Pick<CallData, 'status' | 'reason'>): Result =>
  /^(?:user_)?busy$/i.test(status ?? '') || /^(?:user_)?busy$/i.test(reason ?? '') ? 'busy' : 'no_answer'

/** After a transfer each leg hangs up: the last one has the last word. */
function toHungUp(data: CallData, result: Result, ctx: Context): CallEvent[] {
  const facts: Facts = { ...startOf(data, ctx), result, legs: [legOf(data, result)] }
  if (data.answered_time !== undefined && result === 'answered') facts.answeredAt = data.answered_time
  const didTalk = result === 'answered' || facts.direction === 'outbound' || facts.direction === 'internal'
  const end = toEnded(
    data,
    result === 'voicemail' ? 'voicemail-end' : 'hangup',
    withAgent(facts, data, didTalk),
  )
  return data.record === undefined ? [end] : [end, toRecorded(data, 'record', data.record, undefined, ctx)]
}

function toEnded(data: CallData, name: string, facts: Facts): CallEvent {
  const { hangup_time: at } = data
  const reason = data.reason ?? data.status
  return {
    key: `${data.call_id}:${name}:${legKey(data)}`,
    callId: data.call_id,
    phase: 'ended',
    ...(at === undefined ? {} : { at }),
    facts: {
      ...facts,
      ...(at === undefined ? {} : { endedAt: at }),
      ...(reason === undefined ? {} : { disconnectReason: reason }),
    },
  }
}

type Ids = Pick<CallData, 'call_id' | 'channel_id'>

/** One recording for each leg. Its link works for whoever has it, and its life is not documented. */
function toRecorded(
  ids: Ids,
  kind: 'record' | 'voicemail',
  link: string,
  seconds: number | undefined,
  { config }: Context,
): CallEvent {
  const key = `${kind}:${ids.channel_id ?? ids.call_id}`
  const url = URL.parse(link)?.href
  const recording: Recording = {
    key,
    format: 'mp3',
    // Without an address it can only be asked for by its call.
    ...(url === undefined ? {} : { url }),
    ...(seconds === undefined ? {} : { durationMs: Math.round(seconds * 1000) }),
    ...(kind === 'record' && config.tracks ? { tracks: config.tracks } : {}),
    state: 'ready',
  }
  const facts: Facts = { recordings: [recording], ...(kind === 'voicemail' ? { result: 'voicemail' } : {}) }
  return { key: `${ids.call_id}:${key}`, callId: ids.call_id, phase: 'recorded', facts }
}

/** The same again has another `attempt`, and the same time: what changed since has another one. */
function amended(ids: Ids, name: string, at: string | undefined, facts: Facts): CallEvent {
  const key = `${ids.call_id}:${name}:${at ?? ''}`
  return { key, callId: ids.call_id, phase: 'amended', ...(at === undefined ? {} : { at }), facts }
}

const VOICEMAIL = /voicemail/i

/** A finished row, as its hangup and its recording would have told it. */
export function toListedEvents(row: Row, ctx: Context): CallEvent[] {
  const data: CallData = {
    ...row,
    is_internal: /^internal$/i.test(row.direction ?? ''),
    is_anonymous: false,
    hangup_time: row.end_time,
    answered_time: row.is_answered ? row.answered_time : undefined,
    status: row.last_state,
    user_id: undefined,
    ivr_data: undefined,
    ivr: undefined,
    reason: undefined,
    message: undefined,
  }
  const isVoicemail =
    !row.is_answered && (row.voicemail !== undefined || VOICEMAIL.test(row.last_state ?? ''))
  const result: Result = isVoicemail ? 'voicemail' : row.is_answered ? 'answered' : unansweredBy(data)
  const [end, ...recorded] = toHungUp(data, result, ctx)
  if (end && row.incall_duration !== undefined && result === 'answered')
    end.facts.talkMs = Math.round(row.incall_duration * 1000)
  return [
    ...(end ? [end] : []),
    ...recorded,
    ...(isVoicemail && row.voicemail !== undefined
      ? [toRecorded(data, 'voicemail', row.voicemail, undefined, ctx)]
      : []),
  ]
}
