import type { Call, Result } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { normalisePhone, phoneSpellings, phoneTail } from '../../src/call/phone.ts'
import type { MapContext, Received } from '../../src/connector/contract.ts'
import { sameNumber } from '../../src/connector/crm-match.ts'
import { callerOf, followUps, numberToMatch, ownerOf, refsIn } from '../../src/connector/crm-plan.ts'
import {
  analysisLines,
  callLines,
  filled,
  headline,
  type Line,
  numbersOf,
  publicRecording,
  startOf,
  talkedMs,
  transcriptLines,
  transcriptText,
} from '../../src/connector/crm-report.ts'
import type { Candidate, CrmRecord, PlannedPart } from '../../src/connector/crm-role.ts'
import { asHtml, cut } from '../../src/connector/crm-text.ts'
import type { Place } from '../../src/connector/placed-id.ts'
import type { Activity, CallLog, Config, Delivery, FoundPerson, Person } from './schema.ts'

type Fields = Record<string, string>

/** Which field names a record, in activities, call logs, notes and files alike. Other CRMs’ word for a person is taken too. */
export const LINKS = {
  person: 'person_id',
  contact: 'person_id',
  organization: 'org_id',
  deal: 'deal_id',
  lead: 'lead_id',
} as const
export type LinkType = keyof typeof LINKS

export const isLinkType = (type: string): type is LinkType => Object.hasOwn(LINKS, type)

/** No limit of a note is documented: this one is ours. Room is left for the line of our key. */
const MAX_HTML = 65_536
const MAX_PLANNED_HTML = MAX_HTML - 512
/** Long texts are cut in deal fields (pipedrive/client-nodejs#23); a subject's limit is not documented. */
const MAX_SUBJECT = 200
/** Where a name is missing a person gets one: it is required. */
const MAX_NAME = 200

// ── What is written ─────────────────────────────────────────────────────────────────────────────────────────────────

/** The outcomes of a call log; it knows no other. https://developers.pipedrive.com/docs/api/v1/CallLogs (read 2026-11-20) */
const OUTCOMES: Record<Result, string> = {
  answered: 'connected',
  no_answer: 'no_answer',
  busy: 'busy',
  failed: 'no_answer',
  rejected: 'busy',
  abandoned: 'no_answer',
  voicemail: 'no_answer',
}

export function plan(record: CrmRecord, { config }: MapContext<Config>): PlannedPart[] {
  const { call, analysis, target, logged } = record
  const parts: PlannedPart[] = [{ key: 'call', kind: 'call', fields: callFields(record, config) }]
  const file = transcriptFile(record, config)
  if (file !== null) parts.push({ key: 'transcript', kind: 'file', fields: file })
  // A note stands on a record: without one, what it would say stands in the call.
  const html = target ? asHtml(noteLines(record, config), MAX_PLANNED_HTML) : ''
  if (html !== '') parts.push({ key: 'note', kind: 'note', fields: { content: html } })
  for (const { key, subject, lines, dueAt } of followUps(record, config)) {
    const fields = filled({
      subject: cut(subject, MAX_SUBJECT),
      type: key === 'call-back' ? config.activityType : config.taskType,
      ...dueOf(dueAt),
      note: asHtml([{ text: subject }, ...lines.map((text) => ({ text }))], MAX_PLANNED_HTML),
      owner: ownerOf(call, config),
    })
    parts.push({ key, kind: 'task', fields })
  }
  const own = Object.entries(record.fields)
  if (own.length > 0 && target && fieldsPathOf(target.type) !== null) {
    const fields = Object.fromEntries(own.map(([name, value]) => [name, JSON.stringify(value)]))
    parts.push({ key: 'fields', kind: 'contact', fields })
  }
  // Of the CRM's own record nothing is replaced; without a record to put a note on, the analysis is added to it.
  if (logged && !target && analysis)
    parts[0] = {
      key: 'call',
      kind: 'call',
      fields: filled({ addition: asHtml(noteLines(record, config), MAX_PLANNED_HTML) }),
    }
  return parts
}

/** What an activity was written on: its person, where it has one. */
export function placeIn(
  activity: Pick<Activity, 'person_id' | 'org_id' | 'deal_id' | 'lead_id'>,
): Place | null {
  const { person_id: person, org_id: org, deal_id: deal, lead_id: lead } = activity
  const [named] = Object.entries({ person, org, deal, lead }).filter(([, id]) => id != null)
  return named?.[1] ? { type: named[0], id: named[1] } : null
}

/** Custom fields exist on persons and deals; calls and activities have none. */
export function fieldsPathOf(type: string): 'person' | 'deal' | null {
  if (type === 'person' || type === 'contact') return 'person'
  return type === 'deal' ? 'deal' : null
}

const noteLines = ({ analysis }: CrmRecord, config: Config): Line[] =>
  analysis ? [...analysisLines(analysis), ...(config.note.transcript ? transcriptLines(analysis) : [])] : []

/** When it is wanted, or does not fit into the note where it is wanted. */
function transcriptFile(record: CrmRecord, config: Config): Fields | null {
  const { call, analysis, target, logged } = record
  const text = transcriptText(analysis)
  // Without a record it stands on the activity; a call log takes no file.
  if (text === null || (!target && !logged && config.log === 'callLog')) return null
  const isTooLong =
    config.note.transcript &&
    asHtml(noteLines(record, config), Number.MAX_SAFE_INTEGER).length > MAX_PLANNED_HTML
  return config.note.file || isTooLong ? { name: `transcript-${call.id}.txt`, text } : null
}

function callFields(record: CrmRecord, config: Config): Fields {
  const { call, analysis, target, logged } = record
  if (logged) return {}
  const { from, to } = numbersOf(call)
  const lines: Line[] = [
    ...callLines(call, analysis),
    { label: 'From:', text: from },
    { label: 'To:', text: to },
    { label: 'Talked:', text: clockOf(talkedMs(call)) },
    recordingLine(call, config),
    ...(target ? [] : noteLines(record, config)),
  ]
  const shared = {
    subject: cut(headline(call, analysis), MAX_SUBJECT),
    note: asHtml(lines, MAX_PLANNED_HTML),
  }
  const startedAt = startOf(call)
  if (config.log === 'activity') {
    return filled({
      ...shared,
      type: config.activityType,
      ...dueOf(startedAt),
      duration: minutesOf(talkedMs(call)),
      owner: ownerOf(call, config),
    })
  }
  const endedAt = endOf(call)
  const ms = talkedMs(call)
  const outcome = leftVoicemail(call)
    ? 'left_voicemail'
    : OUTCOMES[call.result ?? ((ms ?? 0) > 0 ? 'answered' : 'no_answer')]
  return filled({
    ...shared,
    outcome,
    // Required: an inbound call whose own line is not known was at least received.
    to_phone_number: to ?? call.dialed?.phoneRaw ?? call.agent?.extension ?? 'unknown',
    from_phone_number: from,
    start_time: wallOf(startedAt),
    end_time: wallOf(endedAt),
    duration: ms === undefined ? undefined : String(Math.round(ms / 1000)),
  })
}

const leftVoicemail = ({ result, direction }: Call) => result === 'voicemail' && direction === 'outbound'

function recordingLine(call: Call, { recordingLinks }: Config): Line {
  const href = recordingLinks ? publicRecording(call) : undefined
  return { label: 'Recording:', text: href && 'listen', href }
}

function endOf(call: Call): string | undefined {
  const startedAt = startOf(call)
  if (call.endedAt !== undefined || startedAt === undefined) return call.endedAt ?? startedAt
  const ms = call.totalMs ?? talkedMs(call) ?? 0
  return new Date(Date.parse(startedAt) + ms).toISOString()
}

/** `2026-03-04 11:22:33`, UTC: call logs take no other form, and one with a zone stands hours off. */
const wallOf = (instant: string | undefined) =>
  instant && new Date(instant).toISOString().slice(0, 19).replace('T', ' ')

/** Date and time of day, UTC. */
function dueOf(instant: string | undefined): { due_date?: string; due_time?: string } {
  const wall = wallOf(instant)
  return wall ? { due_date: wall.slice(0, 10), due_time: wall.slice(11, 16) } : {}
}

/** `HH:MM`: an activity knows whole minutes; a begun one counts. */
function minutesOf(ms: number | undefined): string | undefined {
  if (ms === undefined) return undefined
  const minutes = Math.min(Math.ceil(ms / 60_000), 99 * 60 + 59)
  const two = (value: number) => String(value).padStart(2, '0')
  return `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`
}

/** `1:05`, `1:02:03` */
function clockOf(ms: number | undefined): string | undefined {
  if (ms === undefined) return undefined
  const seconds = Math.round(ms / 1000)
  const two = (value: number) => String(value).padStart(2, '0')
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
  return `${hours > 0 ? `${hours}:${two(minutes)}` : minutes}:${two(seconds % 60)}`
}

/** What a second write may change: a person may have closed, moved or reassigned it. */
export function updatable(kind: PlannedPart['kind'], fields: Fields): Fields {
  const kept = kind === 'task' ? ['due_date', 'due_time', 'owner', 'type'] : ['owner', 'type']
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !kept.includes(name)))
}

/** An unknown caller as a person. A name is required: without one it is the number. */
export function newContact(call: Call, { config, region }: MapContext<Config>): PlannedPart | null {
  const phone = numberToMatch(call, config, region)
  if (phone === null) return null
  const { name, email } = callerOf(call, region)
  const fields = filled({ name: cut(name ?? phone, MAX_NAME), phone, email })
  return { key: 'contact', kind: 'contact', type: 'person', fields }
}

// ── Whose call it is ────────────────────────────────────────────────────────────────────────────────────────────────

export interface Search {
  term: string
  exact: boolean
}

/**
 * Pipedrive compares what stands in the field, as it was typed. `wide`: the last digits, and the spellings in which they are
 * not in one piece. `narrow`: all others, for accounts whose search does not look inside of a number.
 */
export function searchesFor(e164: string): { wide: Search[]; narrow: Search[] } {
  const tail = phoneTail(e164)
  const spellings = phoneSpellings(e164)
  const exact = (term: string): Search => ({ term, exact: true })
  return {
    wide: [{ term: tail, exact: false }, ...spellings.filter((one) => !one.includes(tail)).map(exact)],
    narrow: spellings.filter((one) => one.includes(tail)).map(exact),
  }
}

export function withNumber(
  found: readonly FoundPerson[],
  e164: string,
  region: string | undefined,
): FoundPerson[] {
  const known = new Map<string, FoundPerson>()
  for (const one of found) {
    const isSame = (one.phones ?? []).some((phone) => normalisePhone(phone, region).e164 === e164)
    if (isSame) known.set(one.id, one)
  }
  return [...known.values()].sort((a, b) => Number(a.id) - Number(b.id))
}

/** `details`: what was asked for because several carry the number. `agentId`: the agent's user id, where it is known. */
export function asCandidates(
  found: readonly FoundPerson[],
  details: ReadonlyMap<string, Person>,
  agentId: string | null,
): Candidate[] {
  return found.map(({ id, name, owner }) => {
    const more = details.get(id)
    const ownerId = more?.owner_id ?? owner?.id
    const open = more?.open_deals_count
    const lastActivityAt = instantOf(more?.update_time)
    const createdAt = instantOf(more?.add_time)
    return {
      type: 'person',
      id,
      ...(name ? { name } : {}),
      reason: [
        sameNumber(found.length),
        ownerId ? 'has an owner' : 'has no owner',
        ...(open == null ? [] : [open > 0 ? 'has open deals' : 'has no open deal']),
      ].join(', '),
      ...(open == null ? {} : { hasOpenDeal: open > 0 }),
      ...(agentId !== null && ownerId ? { isAgents: ownerId === agentId } : {}),
      ...(lastActivityAt ? { lastActivityAt } : {}),
      ...(createdAt ? { createdAt } : {}),
    }
  })
}

/** v2 writes RFC 3339, v1 `2026-03-04 11:22:33` in UTC. */
function instantOf(text: string | null | undefined): string | undefined {
  if (!text) return undefined
  const ms = Date.parse(/^\d{4}-\d\d-\d\d \d\d:\d\d/.test(text) ? `${text.replace(' ', 'T')}Z` : text)
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString()
}

// ── What Pipedrive tells ────────────────────────────────────────────────────────────────────────────────────────────

/** Records that calls may stand on, as webhooks name them. A merge is the deletion of one of the two. */
export const RECORDS = ['person', 'organization', 'deal', 'lead']

export function receive({ meta, data }: Delivery, { config }: MapContext<Config>): Received<CallEvent> {
  const { action, entity, entity_id: id } = meta
  if (action === 'delete' && RECORDS.includes(entity))
    return { events: [], changes: [{ change: 'deleted', type: entity, id }] }
  if (entity !== 'activity' || !['create', 'change'].includes(action))
    return { ignored: `${entity} ${action}: nothing that a call needs` }
  if (!config.calls) return { ignored: 'calls are not taken from Pipedrive: calls is false' }
  if (!config.callTypes.includes(data?.type ?? '')) return { ignored: 'an activity that is no call' }
  if (data?.done !== true) return { ignored: 'a call that is not done yet' }
  if (isOurs(data.note)) return { ignored: 'a call that was written from here' }
  // The activity holds no number: its person does, and the call log beside it.
  return { events: [], lookUp: [id] }
}

export const isOurs = (note: string | null | undefined): boolean => refsIn(note).length > 0

const RESULTS: Record<string, Result> = {
  connected: 'answered',
  no_answer: 'no_answer',
  left_message: 'voicemail',
  left_voicemail: 'voicemail',
  wrong_number: 'answered',
  busy: 'busy',
}

/** A done activity as a call. `log` is its call log, where the user of the credentials may see it. */
export function toEvent(
  activity: Activity,
  person: Person | undefined,
  log: CallLog | undefined,
  { connection, region }: MapContext<Config>,
): CallEvent {
  const read = (raw: string) => ({ phone: normalisePhone(raw, region).e164, phoneRaw: raw.slice(0, 256) })
  const numbers = (person?.phones ?? []).map(({ value }) => value).filter(Boolean)
  const from = log?.from_phone_number ? read(log.from_phone_number) : undefined
  const to = log?.to_phone_number ? read(log.to_phone_number) : undefined
  const isTheirs = (side: typeof from) =>
    side?.phone != null && numbers.some((raw) => normalisePhone(raw, region).e164 === side.phone)
  // Nothing says which way it went but the numbers: whoever is the person's is the other side.
  const direction = isTheirs(from) ? 'inbound' : isTheirs(to) ? 'outbound' : undefined
  const named = direction === 'inbound' ? from : direction === 'outbound' ? to : undefined
  const customer = named ?? (numbers[0] === undefined ? undefined : read(numbers[0]))
  const startedAt = instantOf(log?.start_time) ?? dueInstant(activity)
  const endedAt = instantOf(log?.end_time)
  const lengthMs = secondsOf(log?.duration) ?? minutesIn(activity.duration)
  const outcome = log?.outcome ?? ''
  const result = Object.hasOwn(RESULTS, outcome) ? RESULTS[outcome] : undefined
  const crm = activity.person_id ? { crm: { [connection]: activity.person_id } } : {}
  return {
    key: `activity:${activity.id}:${activity.update_time ?? ''}`,
    callId: activity.id,
    phase: 'ended',
    facts: {
      ...(direction ? { direction } : {}),
      ...(result ? { result } : {}),
      ...(startedAt ? { startedAt } : {}),
      ...(endedAt ? { endedAt } : {}),
      ...(lengthMs === undefined
        ? {}
        : result === undefined || result === 'answered'
          ? { talkMs: lengthMs }
          : { totalMs: lengthMs }),
      ...(from ? { from } : {}),
      ...(to ? { dialed: to } : {}),
      customer: {
        ...customer,
        ...(person?.name ? { name: person.name.slice(0, 256) } : {}),
        ...crm,
      },
      ...(activity.owner_id ? { agent: { id: activity.owner_id } } : {}),
      // No way to fetch one is documented.
      recordingExpected: false,
    },
  }
}

/** Date and time of an activity are UTC; without a time it is a day's, not a call's. */
function dueInstant({ due_date, due_time }: Activity): string | undefined {
  if (!due_date || !due_time || !/^\d{4}-\d\d-\d\d$/.test(due_date) || !/^\d\d:\d\d/.test(due_time))
    return undefined
  return instantOf(`${due_date} ${due_time.slice(0, 5)}`)
}

const secondsOf = (text: string | null | undefined) =>
  text && /^\d{1,6}$/.test(text) ? Number(text) * 1000 : undefined

/** `HH:MM` or `HH:MM:SS` */
function minutesIn(text: string | null | undefined): number | undefined {
  const [, hours, minutes, seconds = '0'] = /^(\d{1,2}):(\d\d)(?::(\d\d))?$/.exec(text ?? '') ?? []
  return hours === undefined
    ? undefined
    : (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000
}
