import type { Analysis } from '../../src/call/analysis.ts'
import type { Call, Recording, Result } from '../../src/call/call.ts'
import { idTime } from '../../src/call/ids.ts'
import { normalisePhone } from '../../src/call/phone.ts'
import type { Candidate, CrmRecord, MapContext, PlannedPart } from '../../src/connector/contract.ts'
import type { Change, Config, CrmObject } from './schema.ts'

type Fields = Record<string, string>

/** `call`, `note` and `task` are the names the association routes take; the object routes take the plural. */
export const OBJECTS = {
  contact: 'contacts',
  company: 'companies',
  call: 'calls',
  note: 'notes',
  task: 'tasks',
}

/** The default association of an activity with a record (calls guide and the client's AssociationTypes, 2026-11-20). */
export const ASSOCIATIONS: Record<string, Record<string, number>> = {
  call: { contact: 194, company: 182, deal: 206, ticket: 220 },
  note: { contact: 202, company: 190, deal: 214, ticket: 228 },
  task: { contact: 204, company: 192, deal: 216, ticket: 230 },
}

// ── What is written ─────────────────────────────────────────────────────────────────────────────────────────────────

/** Documented for notes; for call and task bodies no limit is, so the same one is kept. */
const MAX_BODY = 65_536
/** Room for the line of `withRef`, which is added when the part is sent. */
const MAX_PLANNED_BODY = MAX_BODY - 512
const CUT_MARK = '<p>[Shortened: HubSpot keeps at most 65,536 characters]</p>'
/** Ours: no limit of a subject is documented; the whole text stands in the task's body. */
const MAX_SUBJECT = 200
const MAX_TASKS = 10

/**
 * Statuses of the calls guide; the outcomes are the ids that every account starts with, and only those that say the
 * same as our result. A refused call has no status of its own there: busy is what the caller heard.
 * https://developers.hubspot.com/docs/api-reference/latest/crm/activities/calls/guide (read 2026-11-20)
 */
const ENDINGS: Record<Result, { status: string; disposition?: string; words: string }> = {
  answered: {
    status: 'COMPLETED',
    disposition: 'f240bbac-87c9-4f6e-bf70-924b57d47db7',
    words: 'answered',
  },
  no_answer: {
    status: 'NO_ANSWER',
    disposition: '73a0d17f-1163-4015-bdd5-ec830791da20',
    words: 'not answered',
  },
  busy: { status: 'BUSY', disposition: '9d9162e7-6cf3-4944-bf63-4dff82258764', words: 'busy' },
  failed: { status: 'FAILED', words: 'failed' },
  rejected: { status: 'BUSY', words: 'rejected' },
  abandoned: { status: 'CANCELED', words: 'given up by the caller' },
  voicemail: { status: 'NO_ANSWER', words: 'went to voicemail' },
}
const WAYS = { inbound: 'Inbound call', outbound: 'Outbound call', internal: 'Internal call' }
const SPEAKERS = { agent: 'Agent', customer: 'Customer', other: 'Other' }
const LEFT_VOICEMAIL = 'b2cf5968-551e-4856-9783-52b3da59a7d0'

export function plan({ call, analysis }: CrmRecord, { config }: MapContext<Config>): PlannedPart[] {
  const parts: PlannedPart[] = [{ key: 'call', kind: 'call', fields: callFields(call, analysis, config) }]
  if (!analysis) return parts
  const endedAt = call.endedAt ?? startOf(call)
  const note = toHtml(noteLines(analysis, config), MAX_PLANNED_BODY)
  if (note !== '') {
    parts.push({ key: 'note', kind: 'note', fields: filled({ hs_timestamp: endedAt, hs_note_body: note }) })
  }
  const actions = (analysis.actions ?? []).map(tidy).filter((action) => action !== '')
  for (const [i, action] of (config.tasks ? actions : []).slice(0, MAX_TASKS).entries()) {
    parts.push({ key: `task-${i + 1}`, kind: 'task', fields: taskFields(action, call, endedAt, config) })
  }
  return parts
}

/** An unknown caller as a contact. The name is not divided: which of its words is the surname is not known. */
export function newContact(call: Call, { config, region }: MapContext<Config>): PlannedPart | null {
  const { phone, name, email } = call.customer ?? {}
  if (!phone || call.direction === 'internal' || isOwn(phone, config, region)) return null
  // PBXs put the number, or "Anonymous", where a name is missing.
  const isName =
    name !== undefined && /\p{L}{2}/u.test(name) && normalisePhone(name, region).kind === 'unknown'
  const fields = filled({
    phone,
    firstname: isName ? tidy(name) : undefined,
    email: /^\S+@\S+\.\S+$/.test(email ?? '') ? email : undefined,
  })
  return { key: 'contact', kind: 'contact', fields }
}

function callFields(call: Call, analysis: Analysis | null, config: Config): Fields {
  const ending = call.result && ENDINGS[call.result]
  const inbound = call.direction === 'inbound'
  const outside = call.customer?.phone ?? undefined
  const what = `${call.direction ? WAYS[call.direction] : 'Call'}${ending ? `, ${ending.words}` : ''}`
  const lines: Line[] = [
    { label: 'Summary:', text: analysis?.summary },
    { label: 'Outcome:', text: call.outcome },
    {
      label: 'Result:',
      text: ending && `${what}${call.disconnectReason ? ` (${call.disconnectReason})` : ''}`,
    },
    { label: 'Agent:', text: [call.agent?.name, call.agent?.extension].filter(Boolean).join(', ') },
    { label: 'Team:', text: call.agent?.group },
    { label: 'Segment:', text: call.segment },
    { label: 'Reference:', text: call.reference },
    { label: 'Tags:', text: call.tags.join(', ') },
  ]
  const leftVoicemail = call.result === 'voicemail' && call.direction === 'outbound'
  return filled({
    hs_timestamp: startOf(call),
    hs_call_title: cut(analysis?.title ? `${what}: ${tidy(analysis.title)}` : what, MAX_SUBJECT),
    hs_call_body: toHtml(lines, MAX_PLANNED_BODY),
    // HubSpot knows no internal call: without a direction it shows none.
    hs_call_direction: call.direction === 'internal' ? undefined : call.direction?.toUpperCase(),
    hs_call_duration: durationMs(call),
    hs_call_from_number: numberOf(call.from) ?? (inbound ? outside : undefined),
    hs_call_to_number: numberOf(call.dialed) ?? (inbound ? undefined : outside),
    hs_call_status: leftVoicemail ? 'COMPLETED' : ending?.status,
    hs_call_disposition: leftVoicemail ? LEFT_VOICEMAIL : ending?.disposition,
    hs_call_recording_url: config.recordingLinks ? publicLink(call.recordings) : undefined,
    hubspot_owner_id: ownerOf(call, config),
  })
}

function taskFields(action: string, call: Call, endedAt: string | undefined, config: Config): Fields {
  const start = startOf(call)
  const body: Line[] = [{ text: action }, { text: start && `Promised in the call of ${start}` }]
  return filled({
    // From the call, not from the clock: the same call always plans the same task.
    hs_timestamp: endedAt && new Date(Date.parse(endedAt) + config.taskDueMs).toISOString(),
    hs_task_subject: cut(action, MAX_SUBJECT),
    hs_task_body: toHtml(body, MAX_PLANNED_BODY),
    hs_task_status: 'NOT_STARTED',
    // HubSpot's word for a plain task; the others are CALL and EMAIL.
    hs_task_type: 'TODO',
    hubspot_owner_id: ownerOf(call, config),
  })
}

function noteLines(analysis: Analysis, config: Config): Line[] {
  const list = (heading: string, items: readonly string[] | undefined): Line[] =>
    items?.length ? [{ label: heading }, ...items.map((item) => ({ text: `• ${item}` }))] : []
  const sorted = <T>(record: Record<string, T> | undefined) =>
    Object.entries(record ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  const scores = sorted(analysis.scores).map(
    ([name, { value, scale }]) => `${name}: ${value}${scale ? ` (${scale.min} to ${scale.max})` : ''}`,
  )
  const checklist = (analysis.checklist ?? []).map(
    ({ question, answer, score, evidence }) =>
      `${question}: ${answer}${score === undefined ? '' : ` (${score})`}${evidence ? `\n“${evidence}”` : ''}`,
  )
  const link = webLink(analysis.link)
  const turns = config.note.transcript ? (analysis.transcript?.turns ?? []) : []
  return [
    { label: 'Title:', text: analysis.title },
    { label: 'Summary:', text: analysis.summary },
    { label: 'Sentiment:', text: analysis.sentiment },
    ...list('Scores', scores),
    ...list('Checklist', checklist),
    ...list('Topics', analysis.topics),
    ...list('Categories', analysis.categories),
    ...list('To do', analysis.actions),
    ...list('Risks', analysis.risks),
    ...list('Sales signals', analysis.salesSignals),
    ...sorted(analysis.notes).map(([label, text]) => ({ label: `${label}:`, text })),
    { label: 'In the analysis service:', text: link && 'open the call', href: link },
    ...(turns.length > 0 ? [{ label: 'Transcript' }] : []),
    ...turns.map((turn) => ({ label: `${turn.label ?? SPEAKERS[turn.party]}:`, text: turn.text })),
  ]
}

/** HubSpot wants milliseconds. A call nobody answered was talked for none, however long it rang. */
function durationMs(call: Call): string | undefined {
  const ms =
    call.talkMs ??
    (call.result && call.result !== 'answered' && call.result !== 'voicemail' ? 0 : call.totalMs)
  return ms === undefined ? undefined : String(Math.round(ms))
}

function numberOf(party: { phone: string | null; phoneRaw: string } | undefined): string | undefined {
  return party?.phone ?? party?.phoneRaw.trim()
}

/** The instant the call began; its id knows when we first heard of it. */
function startOf(call: Call): string | undefined {
  const known = call.startedAt ?? call.answeredAt ?? call.endedAt
  const heard = idTime(call.id)
  return known ?? (Number.isNaN(heard) ? undefined : new Date(heard).toISOString())
}

/** The owner's id where the operator named it, else the address that is looked up when the part is sent. */
function ownerOf({ agent }: Call, { owners }: Config): string | undefined {
  for (const key of [agent?.extension, agent?.id, agent?.email]) {
    if (key !== undefined && Object.hasOwn(owners.map, key)) return owners.map[key]
  }
  return agent?.email?.includes('@') ? agent.email.trim() : owners.fallback
}

/** HubSpot's player takes https and .mp3 or .wav only; an address of the own network would play for nobody. */
function publicLink(recordings: readonly Recording[]): string | undefined {
  return recordings.find(({ url, state }) => {
    const link = state === 'ready' && url !== undefined ? URL.parse(url) : null
    if (link?.protocol !== 'https:' || link.username !== '' || link.password !== '') return false
    const isPublic = /\.(?!local$|internal$|lan$|home$|corp$|test$)[a-z][a-z0-9-]*$/.test(link.hostname)
    return isPublic && /\.(?:mp3|wav)$/i.test(link.pathname)
  })?.url
}

function filled(fields: Record<string, string | undefined>): Fields {
  const known: Fields = {}
  for (const [name, value] of Object.entries(fields))
    if (value !== undefined && value !== '') known[name] = value
  return known
}

function tidy(text: string): string {
  return text.replace(/\s+/g, ' ').trim()
}

function cut(text: string, max: number): string {
  const points = [...text]
  return points.length <= max ? text : `${points.slice(0, max - 1).join('')}…`
}

// ── HTML ────────────────────────────────────────────────────────────────────────────────────────────────────────────

interface Line {
  label?: string | undefined
  text?: string | undefined
  href?: string | undefined
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '\n': '<br>',
}

/** What callers and models say is text, whatever it looks like: HubSpot shows bodies as HTML to the whole team. */
export function escapeHtml(text: string): string {
  return text
    .toWellFormed()
    .replace(/\r\n?/g, '\n')
    .replace(/[\p{Cc}--[\n\t]]/gv, '')
    .replace(/[&<>"'\n]/g, (char) => ENTITIES[char] ?? '')
}

/** Paragraphs of at most `max` characters; what does not fit is cut between two characters of text, and said. */
export function toHtml(lines: readonly Line[], max: number): string {
  // A label without text is a heading; one whose text is missing is left out.
  const shown = lines.filter(({ label, text }) => Boolean(text) || (label && !label.endsWith(':')))
  const whole = shown.map(paragraph).join('')
  if (whole.length <= max) return whole
  let html = ''
  for (const line of shown) {
    const room = max - CUT_MARK.length - html.length
    const next = paragraph(line)
    if (next.length > room) {
      const text = fitting(line.text ?? '', room - paragraph({ ...line, text: '.' }).length + 1)
      return html + (text === '' ? '' : paragraph({ ...line, text })) + CUT_MARK
    }
    html += next
  }
  return html
}

function paragraph({ label, text = '', href }: Line): string {
  const bold = label ? `<strong>${escapeHtml(label)}</strong>${text ? ' ' : ''}` : ''
  const shown = escapeHtml(text)
  return `<p>${bold}${href === undefined ? shown : `<a href="${escapeHtml(href)}">${shown}</a>`}</p>`
}

/** As the URL standard spells it; any other scheme could be script. */
function webLink(link: string | undefined): string | undefined {
  const url = link === undefined ? null : URL.parse(link)
  return url?.protocol === 'https:' || url?.protocol === 'http:' ? url.href : undefined
}

function fitting(text: string, room: number): string {
  let kept = ''
  let left = room
  for (const char of text) {
    left -= escapeHtml(char).length
    if (left < 0) break
    kept += char
  }
  return kept
}

// ── Our mark on what we wrote ───────────────────────────────────────────────────────────────────────────────────────

const BODIES = { call: 'hs_call_body', note: 'hs_note_body', task: 'hs_task_body' }
export type Activity = keyof typeof BODIES

/** Properties in which a record shows whose it is. */
export const REF_PROPERTIES = ['hs_call_external_id', ...Object.values(BODIES)]

/**
 * The part with its key on it, by which a write whose end is not known is found again: the last line of the body, and
 * `hs_call_external_id` on calls.
 */
export function withRef(kind: Activity, fields: Fields, key: string): Fields {
  const body = BODIES[kind]
  const external: Fields = kind === 'call' ? { hs_call_external_id: key } : {}
  return { ...fields, ...external, [body]: `${fields[body] ?? ''}<p>Cordboard ref ${escapeHtml(key)}</p>` }
}

export function carriesRef({ properties }: CrmObject, key: string): boolean {
  if (properties.hs_call_external_id === key) return true
  // HubSpot may rewrite the tags around it, but not the text.
  return Object.values(BODIES).some((body) => {
    const text = properties[body]?.replace(/<[^>]*>/g, '\n') ?? ''
    return text.split('\n').some((line) => line.trim() === `Cordboard ref ${escapeHtml(key)}`)
  })
}

/** What a second write may change. A person may have closed, moved or reassigned the task, or judged the call. */
export function updatable(kind: Activity, fields: Fields): Fields {
  const kept: Record<Activity, readonly string[]> = {
    call: ['hs_call_disposition'],
    note: [],
    task: ['hs_timestamp', 'hs_task_status', 'hs_task_type', 'hubspot_owner_id'],
  }
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !kept[kind].includes(name)))
}

// ── Whose call it is ────────────────────────────────────────────────────────────────────────────────────────────────

const PHONES = ['phone', 'mobilephone']
export const CONTACT_PROPERTIES = [
  ...PHONES,
  'firstname',
  'lastname',
  'email',
  'hubspot_owner_id',
  'notes_last_contacted',
  'lastmodifieddate',
]
export const COMPANY_PROPERTIES = [
  'phone',
  'name',
  'hubspot_owner_id',
  'notes_last_contacted',
  'hs_lastmodifieddate',
]

export function isOwn(phone: string, config: Config, region: string | undefined): boolean {
  return config.ownNumbers.some((own) => normalisePhone(own, region).e164 === phone)
}

/** HubSpot finds more than the number (a tail, another country's): only records that really carry it stay. */
export function withNumber(
  records: readonly CrmObject[],
  e164: string,
  region: string | undefined,
): CrmObject[] {
  return records.filter(({ properties }) =>
    PHONES.some((name) => normalisePhone(properties[name], region).e164 === e164),
  )
}

interface Rank {
  record: CrmObject
  owned: boolean
  contactedAt: number
  changedAt: number
}

/** Best first, by the operator's rule; the oldest record decides at last, so that the order never depends on chance. */
export function rank(
  type: 'contact' | 'company',
  records: readonly CrmObject[],
  { tieBreak }: Config,
  now: number,
): Candidate[] {
  const ranked = records.map((record): Rank => {
    const { hubspot_owner_id, notes_last_contacted, lastmodifieddate, hs_lastmodifieddate } =
      record.properties
    return {
      record,
      owned: Boolean(hubspot_owner_id),
      contactedAt: instantOf(notes_last_contacted),
      changedAt: instantOf(lastmodifieddate ?? hs_lastmodifieddate),
    }
  })
  const rules: Record<Config['tieBreak'][number], (a: Rank, b: Rank) => number> = {
    owner: (a, b) => Number(b.owned) - Number(a.owned),
    activity: (a, b) => b.contactedAt - a.contactedAt || b.changedAt - a.changedAt,
  }
  ranked.sort((a, b) => {
    for (const rule of tieBreak) {
      const order = rules[rule](a, b)
      if (order !== 0) return order
    }
    return byId(a.record.id, b.record.id)
  })
  return ranked.map(({ record, owned, contactedAt, changedAt }) => ({
    type,
    id: record.id,
    ...nameOf(record),
    reason: [
      ranked.length === 1 ? 'same number' : `same number as ${ranked.length - 1} more`,
      owned ? 'has an owner' : 'has no owner',
      contactedAt > 0 ? `last contacted ${ago(now - contactedAt)}` : 'no contact noted',
      ...(changedAt > 0 ? [`changed ${ago(now - changedAt)}`] : []),
    ].join(', '),
  }))
}

export function nameOf({ properties }: CrmObject): { name?: string } {
  const words = [properties.firstname, properties.lastname, properties.name].filter(Boolean)
  return words.length > 0 ? { name: words.join(' ') } : {}
}

/** Ids are numbers of growing length: the smaller one is the older record. */
export function byId(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : Number(a > b))
}

function instantOf(value: string | null | undefined): number {
  const ms = value ? (/^\d+$/.test(value) ? Number(value) : Date.parse(value)) : 0
  return Number.isFinite(ms) ? ms : 0
}

function ago(ms: number): string {
  const days = Math.floor(ms / 86_400_000)
  if (days < 1) return 'today'
  return days === 1 ? 'yesterday' : `${days} days ago`
}

// ── Webhooks ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** "contact.creation (2), object.creation of 0-48 (1)" */
export function nameChanges(changes: readonly Change[]): string {
  const counts = new Map<string, number>()
  for (const { subscriptionType, eventType, objectTypeId } of changes) {
    const type = subscriptionType ?? eventType ?? 'unnamed change'
    const name = type.startsWith('object.') && objectTypeId ? `${type} of ${objectTypeId}` : type
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  const named = [...counts].slice(0, 8).map(([name, count]) => `${name.slice(0, 80)} (${count})`)
  return named.join(', ') + (counts.size > 8 ? ` and ${counts.size - 8} more kinds` : '')
}
