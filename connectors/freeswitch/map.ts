import type { Agent, Direction, Leg, Recording, Result } from '../../src/call/call.ts'
import type { CallEvent, Facts } from '../../src/call/facts.ts'
import { normalisePhone } from '../../src/call/phone.ts'
import type { MapContext } from '../../src/connector/contract.ts'
import type { Cdr, Config } from './schema.ts'

type Context = Pick<MapContext<Config>, 'config' | 'region'>
type Profile = Partial<Cdr['callflow'][number]['caller_profile']>

/**
 * Every leg posts once, after its end, in no order. The call is the leg that nobody called (it has no originator); the
 * others add themselves and the agent. mod_callcenter calls its agents by legs without originator: their variables name
 * the caller's leg. Read in the source of signalwire/freeswitch (cc93a683, 2026-11-20).
 */
export function toLegEvent(cdr: Cdr, ctx: Context): CallEvent {
  const { variables: vars, callflow } = cdr
  // The oldest profile is how the call came; a transfer puts a newer one before it.
  const came: Profile = callflow.at(-1)?.caller_profile ?? {}
  const originator = callflow.flatMap(
    ({ caller_profile: { originator: by } }) => by?.originator_caller_profiles ?? [],
  )[0]
  const ofQueue = vars.cc_side === 'agent' ? vars.cc_member_session_uuid : undefined
  const caller = ofQueue ?? originator?.uuid ?? vars.originating_leg_uuid
  const callId = caller ?? vars.uuid
  const isRoot = callId === vars.uuid
  const times = timesOf(cdr)
  const isOutside = leadsOutside(came.chan_name ?? vars.channel_name, ctx)
  const direction = isRoot ? directionOf(cdr, came, isOutside, ctx) : undefined

  const facts: Facts = isRoot
    ? rootFacts(cdr, came, direction ?? 'internal', times, ctx)
    : otherFacts(cdr, came, isOutside, times)
  const recordings = recordingsOf(cdr, isOutside, times, ctx)
  if (recordings.length > 0) facts.recordings = recordings
  const known = new Set(isRoot ? bonds(cdr) : [vars.uuid])
  known.delete(callId)
  return {
    key: `${vars.uuid}:cdr`,
    callId,
    ...(known.size > 0 ? { alsoKnownAs: [...known].slice(0, 20) } : {}),
    phase: isRoot ? 'ended' : times.answeredAt === undefined ? 'ringing' : 'answered',
    at: times.endedAt,
    facts,
  }
}

/** Legs that are part of the same call, whether or not they will post. */
function bonds({ variables: { bridge_uuid, signal_bond }, callflow }: Cdr): string[] {
  const called = callflow.flatMap(
    ({ caller_profile: { originatee } }) => originatee?.originatee_caller_profiles ?? [],
  )
  return [bridge_uuid, signal_bond, ...called.map(({ uuid }) => uuid)].filter((one) => one !== undefined)
}

interface Times {
  startedAt: string
  answeredAt: string | undefined
  /** When it was first joined to another leg: the answer itself may be a menu's or a queue's. */
  joinedAt: string | undefined
  endedAt: string
}

/** `*_stamp` are local times without a zone; these are not. */
function timesOf({ variables: vars, callflow }: Cdr): Times {
  const iso = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString())
  const end = vars.end_uepoch ?? vars.end_epoch
  const start = vars.start_uepoch ?? vars.start_epoch ?? (end ?? 0) - (vars.duration ?? 0)
  const joined = callflow.flatMap(({ times }) => times?.bridged_time ?? []).sort((a, b) => a - b)[0]
  return {
    startedAt: new Date(start).toISOString(),
    answeredAt: iso(vars.answer_uepoch ?? vars.answer_epoch),
    joinedAt: iso(joined ?? vars.bridge_epoch),
    endedAt: new Date(Math.max(start, end ?? start + (vars.duration ?? 0))).toISOString(),
  }
}

/** `sofia/external/+33639980142@sbc` leads outside by the profile `external`. */
const leadsOutside = (channel: string | undefined, { config }: Context): boolean =>
  config.profiles.some((profile) => channel?.startsWith(`sofia/${profile}/`))

/** The switch's own word is about the leg: an agent's call to the outside comes in at the switch. */
function directionOf(
  { variables, callflow }: Cdr,
  came: Profile,
  isOutside: boolean,
  ctx: Context,
): Direction {
  if (variables.cordboard_direction) return variables.cordboard_direction
  if (isOutside) return 'inbound'
  const called = callflow.flatMap(
    ({ caller_profile: { originatee } }) => originatee?.originatee_caller_profiles ?? [],
  )
  const channels = [variables.bridge_channel, ...called.map(({ chan_name }) => chan_name)]
  const leaves = channels.some((channel) => leadsOutside(channel, ctx))
  return leaves || normalisePhone(dialedBy(came, ctx), ctx.region).kind === 'e164' ? 'outbound' : 'internal'
}

function dialedBy({ destination_number: dialed = '' }: Profile, { config: { dialPrefix } }: Context): string {
  return dialPrefix !== undefined && dialed.startsWith(dialPrefix) && dialed.length > dialPrefix.length + 6
    ? dialed.slice(dialPrefix.length)
    : dialed
}

function rootFacts(cdr: Cdr, came: Profile, direction: Direction, times: Times, ctx: Context): Facts {
  const { variables: vars } = cdr
  const party = (raw: string) => ({
    phone: normalisePhone(raw, ctx.region).e164,
    phoneRaw: raw.slice(0, 256),
  })
  const facts: Facts = {
    direction,
    startedAt: times.startedAt,
    endedAt: times.endedAt,
    from: party(came.caller_id_number ?? ''),
    dialed: party(dialedBy(came, ctx)),
  }
  const isInbound = direction === 'inbound'
  const name = came.caller_id_name
  const isNamed =
    name !== undefined && name !== came.caller_id_number && normalisePhone(name).kind !== 'withheld'
  if (isInbound && isNamed) facts.customer = { name: name.slice(0, 256) }
  const joined = times.answeredAt === undefined ? undefined : times.joinedAt
  if (joined) facts.answeredAt = joined
  const agent: Agent = isInbound
    ? joined
      ? agentNamed(vars.cc_agent)
      : {}
    : agentOf(came.username ?? came.caller_id_number, came.caller_id_name)
  if (vars.cc_queue) agent.group = vars.cc_queue.slice(0, 256)
  if (Object.keys(agent).length > 0) facts.agent = agent
  facts.result = joined ? 'answered' : endOf(cdr, isInbound, times)
  if (vars.hold_accum_seconds !== undefined) facts.holdMs = vars.hold_accum_seconds
  if (vars.hangup_cause) {
    const q850 = vars.hangup_cause_q850
    facts.disconnectReason = `${vars.hangup_cause}${q850 ? `, Q.850 ${q850}` : ''}`.slice(0, 256)
  }
  if (vars.sip_hangup_disposition) facts.meta = { sipHangupDisposition: vars.sip_hangup_disposition }
  if (vars.cordboard_segment) facts.segment = vars.cordboard_segment.slice(0, 128)
  if (vars.cordboard_reference) facts.reference = vars.cordboard_reference.slice(0, 256)
  return facts
}

/** A leg that was called. Who rang beside the one who answered (LOSE_RACE) has missed nothing. */
function otherFacts(cdr: Cdr, came: Profile, isOutside: boolean, times: Times): Facts {
  const { variables: vars } = cdr
  const answered = times.answeredAt
  // `username` of a called leg is that of who called.
  const called = vars.dialed_user ?? came.destination_number
  const agent = isOutside
    ? undefined
    : { ...agentOf(called, came.callee_id_name), ...agentNamed(vars.cc_agent) }
  const leg: Leg = {
    key: vars.uuid,
    startedAt: times.startedAt,
    endedAt: times.endedAt,
    result: answered === undefined ? (resultNamed(vars.hangup_cause) ?? 'no_answer') : 'answered',
  }
  if (agent && Object.keys(agent).length > 0) leg.agent = agent
  if (came.caller_id_number) leg.from = came.caller_id_number.slice(0, 256)
  if (came.destination_number) leg.to = came.destination_number.slice(0, 256)
  if (answered) leg.answeredAt = answered
  const facts: Facts = { legs: [leg] }
  if (answered && leg.agent) facts.agent = leg.agent
  return facts
}

/** `Outbound Call` is what the switch writes where it knows no name. */
function agentOf(address: string | undefined, name: string | undefined): Agent {
  const agent = agentNamed(address)
  const isName = name !== undefined && name !== address && name !== 'Outbound Call'
  return isName && Object.keys(agent).length > 0 ? { ...agent, name: name.slice(0, 256) } : agent
}

/** `101`, `101@pbx.example.com` (as mod_callcenter names agents), `alice`. */
function agentNamed(address: string | undefined): Agent {
  const user = address?.split('@', 1)[0]
  if (!user) return {}
  return /^\d{1,7}$/.test(user) ? { extension: user } : { id: user.slice(0, 256) }
}

/** Hang-up causes by what they mean for who called; the others are failures of the network or of the switch. */
const RESULTS: Readonly<Record<string, Result>> = {
  USER_BUSY: 'busy',
  CALL_REJECTED: 'rejected',
  NO_ANSWER: 'no_answer',
  NO_USER_RESPONSE: 'no_answer',
  ALLOTTED_TIMEOUT: 'no_answer',
  NORMAL_CLEARING: 'no_answer',
  ORIGINATOR_CANCEL: 'no_answer',
  LOSE_RACE: 'no_answer',
}
const resultNamed = (cause = ''): Result | undefined =>
  Object.hasOwn(RESULTS, cause) ? RESULTS[cause] : undefined

function endOf({ variables: vars, app_log }: Cdr, isInbound: boolean, times: Times): Result {
  if (times.answeredAt !== undefined) {
    // Answered and never joined to a leg: by a menu, a queue, or the voicemail.
    if (app_log?.applications.at(-1)?.app_name === 'voicemail') return 'voicemail'
    return isInbound ? 'abandoned' : 'answered'
  }
  if (vars.hangup_cause === 'ORIGINATOR_CANCEL' && isInbound) return 'abandoned'
  return resultNamed(vars.hangup_cause) ?? 'failed'
}

// ── Recordings ──────────────────────────────────────────────────────────────────────────────────────────────────────

const FORMATS: Readonly<Record<string, Recording['format']>> = {
  wav: 'wav',
  mp3: 'mp3',
  ogg: 'ogg',
  flac: 'flac',
  au: 'au',
  aiff: 'aiff',
}

/** Files are closed when their leg is over. Of a leg that was joined to none there may be no file. */
function recordingsOf(cdr: Cdr, isOutside: boolean, times: Times, ctx: Context): Recording[] {
  const { variables: vars, app_log } = cdr
  if (times.answeredAt === undefined || times.joinedAt === undefined) return []
  const logged = app_log?.applications.filter(({ app_name }) => app_name === 'record_session') ?? []
  // Options may stand behind the path: record_session(<path> +60).
  const paths = [vars.cordboard_recording, ...logged.map(({ app_data }) => app_data.replace(/ \+\d+.*$/, ''))]
  const keys = new Set(paths.map((path) => keyOf(path, ctx)).filter((key) => key !== null))
  return [...keys].slice(0, 100).map((key): Recording => {
    const extension = key.slice(key.lastIndexOf('.') + 1).toLowerCase()
    const format = Object.hasOwn(FORMATS, extension) ? FORMATS[extension] : undefined
    const ms = keys.size === 1 && vars.record_ms !== undefined ? Number(vars.record_ms) : undefined
    return {
      key,
      state: ms === 0 ? 'absent' : 'ready',
      ...(format === undefined ? {} : { format }),
      ...(ms ? { durationMs: ms } : {}),
      ...tracksOf(cdr, isOutside),
    }
  })
}

/** The path below the folder that is served; null for one that leads elsewhere. It becomes part of a URL. */
function keyOf(path: string | undefined, { config: { recordingsPath } }: Context): string | null {
  if (!path?.startsWith(`${recordingsPath}/`)) return null
  const key = path.slice(recordingsPath.length + 1)
  const isPlain = key.split('/').every((part) => /^[^./\\\p{C}][^/\\\p{C}]{0,200}$/u.test(part))
  return isPlain && key.length <= 512 ? key : null
}

const isOn = (value: string | undefined) => /^(?:true|yes|on|enabled?|active|allow|1)$/i.test(value ?? '')

/** Left is what the recorded leg's own end says, right what it hears; RECORD_STEREO_SWAP turns them round. */
function tracksOf({ variables: vars }: Cdr, isOutside: boolean): Pick<Recording, 'channels' | 'tracks'> {
  if (!isOn(vars.RECORD_STEREO) || isOn(vars.RECORD_READ_ONLY) || isOn(vars.RECORD_WRITE_ONLY)) return {}
  const isCustomerLeft = isOutside !== isOn(vars.RECORD_STEREO_SWAP)
  return {
    channels: 2,
    tracks: isCustomerLeft ? { left: 'customer', right: 'agent' } : { left: 'agent', right: 'customer' },
  }
}
