import type { Call, Result } from '../../src/call/call.ts'
import type { MapContext } from '../../src/connector/contract.ts'
import {
  callerOf,
  carriesRef,
  followUps,
  numberToMatch,
  ownerOf,
  refLine,
} from '../../src/connector/crm-plan.ts'
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
import type { CrmRecord, PlannedPart } from '../../src/connector/crm-role.ts'
import { asHtml, cut, escapeHtml } from '../../src/connector/crm-text.ts'
import { utterancesOf } from './map/utterances.ts'
import type { Config, CrmObject } from './schema.ts'

type Fields = Record<string, string>

/** `call`, `note` and `task` are the names the association routes take; the object routes take the plural. */
export const OBJECTS = {
  contact: 'contacts',
  company: 'companies',
  call: 'calls',
  note: 'notes',
  task: 'tasks',
  deal: 'deals',
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
/** Ours: no limit of a subject is documented; the whole text stands in the task's body. */
const MAX_SUBJECT = 200

/**
 * Statuses of the calls guide; the outcomes are the ids that every account starts with, and only those that say the
 * same as our result. A refused call has no status of its own there: busy is what the caller heard.
 * https://developers.hubspot.com/docs/api-reference/latest/crm/activities/calls/guide (read 2026-11-20)
 */
const ENDINGS: Record<Result, { status: string; disposition?: string }> = {
  answered: {
    status: 'COMPLETED',
    disposition: 'f240bbac-87c9-4f6e-bf70-924b57d47db7',
  },
  no_answer: {
    status: 'NO_ANSWER',
    disposition: '73a0d17f-1163-4015-bdd5-ec830791da20',
  },
  busy: { status: 'BUSY', disposition: '9d9162e7-6cf3-4944-bf63-4dff82258764' },
  failed: { status: 'FAILED' },
  rejected: { status: 'BUSY' },
  abandoned: { status: 'CANCELED' },
  voicemail: { status: 'NO_ANSWER' },
}
const LEFT_VOICEMAIL = 'b2cf5968-551e-4856-9783-52b3da59a7d0'

export function plan(record: CrmRecord, { config }: MapContext<Config>): PlannedPart[] {
  const { call, analysis, logged } = record
  const parts: PlannedPart[] = [{ key: 'call', kind: 'call', fields: callFields(record, config) }]
  const endedAt = call.endedAt ?? startOf(call)
  const utterances = config.transcriptsExtension ? utterancesOf(call, analysis) : null
  if (utterances !== null) parts.push({ key: UTTERANCES, kind: 'file', fields: { utterances } })
  if (analysis) {
    const transcript = config.note.transcript ? transcriptLines(analysis) : []
    const lines = [...analysisLines(analysis), ...transcript]
    const text = isAttached(lines, transcript.length > 0, config) ? transcriptText(analysis) : null
    if (text !== null) parts.push({ key: TRANSCRIPT, kind: 'file', fields: { text } })
    const html = asHtml(lines, MAX_PLANNED_BODY)
    const note = {
      hs_timestamp: endedAt,
      hs_note_body: html,
      // The part's key: its id in HubSpot is known when the note is sent.
      hs_attachment_ids: text === null ? undefined : TRANSCRIPT,
    }
    if (html !== '' || text !== null) parts.push({ key: 'note', kind: 'note', fields: filled(note) })
  }
  for (const { key, subject, lines, dueAt } of followUps(record, config)) {
    const body = [{ text: subject }, ...lines.map((text) => ({ text }))]
    const fields = filled({
      hs_timestamp: dueAt,
      hs_task_subject: cut(subject, MAX_SUBJECT),
      hs_task_body: asHtml(body, MAX_PLANNED_BODY),
      hs_task_status: 'NOT_STARTED',
      // HubSpot's own words, no note to ourselves: a plain task, and one to call somebody.
      hs_task_type: key === 'call-back' ? 'CALL' : 'TODO',
      hubspot_owner_id: logged ? undefined : ownerOf(call, config),
    })
    parts.push({ key, kind: 'task', fields })
  }
  return parts
}

/** The key of the part that HubSpot shows as the call's transcript. */
export const UTTERANCES = 'utterances'
/** The key of the part that holds the whole transcript. */
const TRANSCRIPT = 'transcript'

/** By the operator's word; without one, where the transcript is wanted in the note and does not fit into it. */
function isAttached(lines: readonly Line[], isInNote: boolean, { note }: Config): boolean {
  return note.file ?? (isInNote && asHtml(lines, Number.MAX_SAFE_INTEGER).length > MAX_PLANNED_BODY)
}

/** An unknown caller as a contact. The name is not divided: which of its words is the surname is not known. */
export function newContact(call: Call, { config, region }: MapContext<Config>): PlannedPart | null {
  const phone = numberToMatch(call, config, region)
  if (phone === null) return null
  const { name, email } = callerOf(call, region)
  return { key: 'contact', kind: 'contact', fields: filled({ phone, firstname: name, email }) }
}

/** What somebody else's record of a call says stays as they wrote it, whatever a mapping names. */
const THEIRS = ['hs_timestamp', 'hs_call_title', 'hs_call_body', 'hs_call_status', 'hs_call_external_id']

function callFields({ call, analysis, fields, logged }: CrmRecord, config: Config): Fields {
  const own = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, String(value)]))
  if (logged) return Object.fromEntries(Object.entries(own).filter(([name]) => !THEIRS.includes(name)))
  const ending = call.result && ENDINGS[call.result]
  const { from, to } = numbersOf(call)
  const ms = talkedMs(call)
  const leftVoicemail = call.result === 'voicemail' && call.direction === 'outbound'
  return {
    ...filled({
      hs_timestamp: startOf(call),
      hs_call_title: cut(headline(call, analysis), MAX_SUBJECT),
      hs_call_body: asHtml(callLines(call, analysis), MAX_PLANNED_BODY),
      // HubSpot knows no internal call: without a direction it shows none.
      hs_call_direction: call.direction === 'internal' ? undefined : call.direction?.toUpperCase(),
      hs_call_duration: ms === undefined ? undefined : String(Math.round(ms)),
      hs_call_from_number: from,
      hs_call_to_number: to,
      hs_call_status: leftVoicemail ? 'COMPLETED' : ending?.status,
      hs_call_disposition: leftVoicemail ? LEFT_VOICEMAIL : ending?.disposition,
      // HubSpot's player takes these two only.
      hs_call_recording_url: config.recordingLinks ? publicRecording(call, ['mp3', 'wav']) : undefined,
      hubspot_owner_id: ownerOf(call, config),
    }),
    ...own,
  }
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
  return { ...fields, ...external, [body]: `${fields[body] ?? ''}<p>${escapeHtml(refLine(key))}</p>` }
}

export function carriesOurs({ properties }: CrmObject, key: string): boolean {
  return (
    properties.hs_call_external_id === key ||
    Object.values(BODIES).some((body) => carriesRef(properties[body], key))
  )
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
