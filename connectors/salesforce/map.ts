import type { Call, Result } from '../../src/call/call.ts'
import { normalisePhone } from '../../src/call/phone.ts'
import type { MapContext } from '../../src/connector/contract.ts'
import { sameNumber } from '../../src/connector/crm-match.ts'
import { callerOf, followUps, numberToMatch, ownerOf, refLine } from '../../src/connector/crm-plan.ts'
import {
  analysisLines,
  callLines,
  filled,
  headline,
  numbersOf,
  publicRecording,
  startOf,
  talkedMs,
  transcriptLines,
  transcriptText,
} from '../../src/connector/crm-report.ts'
import type { Candidate, CrmRecord, PlannedPart } from '../../src/connector/crm-role.ts'
import { asText, cut, cutText } from '../../src/connector/crm-text.ts'
import type { Config, Person } from './schema.ts'

type Fields = Record<string, string>

// ── What is written ─────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Lengths of Task. What an org describes counts when it is sent; the plan stays within what every org has.
 * https://developer.salesforce.com/docs/atlas.en-us.196.0.sfFieldRef.meta/sfFieldRef/salesforce_field_reference_Task.htm
 * (read 2026-11-20)
 */
const MAX_SUBJECT = 255
const MAX_RESULT = 255
const MAX_COMMENTS = 32_000

const WAYS = { inbound: 'Inbound', outbound: 'Outbound', internal: 'Internal' }
const ENDINGS: Record<Result, string> = {
  answered: 'Answered',
  no_answer: 'No answer',
  busy: 'Busy',
  failed: 'Failed',
  rejected: 'Rejected',
  abandoned: 'Abandoned',
  voicemail: 'Voicemail',
}

/** Fields of Task that a call is written with: no mapping is needed for them. */
export const CALL_FIELDS = [
  'Subject',
  'TaskSubtype',
  'Type',
  'Status',
  'ActivityDate',
  'CallType',
  'CallDurationInSeconds',
  'CallDisposition',
  'CallObject',
  'Description',
  'OwnerId',
  'WhoId',
  'WhatId',
]

export function plan(record: CrmRecord, { config }: MapContext<Config>): PlannedPart[] {
  const { call, analysis, logged } = record
  const parts: PlannedPart[] = [{ key: 'call', kind: 'call', fields: callFields(record, config) }]
  const file = config.transcript.file ? transcriptText(analysis) : null
  if (file !== null) {
    const name = `transcript-${call.id}.txt`
    parts.push({ key: 'transcript', kind: 'file', fields: { Title: name, PathOnClient: name, text: file } })
  }
  for (const { key, subject, lines, dueAt } of followUps(record, config)) {
    const isCall = key === 'call-back'
    const fields = filled({
      Subject: cut(subject, MAX_SUBJECT),
      TaskSubtype: 'Task',
      Type: isCall ? 'Call' : undefined,
      // The day in the owner's zone; a call back has its hour too, which only a reminder can hold.
      ActivityDate: dueAt,
      IsReminderSet: isCall ? 'true' : undefined,
      ReminderDateTime: isCall ? dueAt : undefined,
      Description: asText([{ text: subject }, ...lines.map((text) => ({ text }))], MAX_COMMENTS),
      OwnerId: logged ? undefined : ownerOf(call, config),
    })
    parts.push({ key, kind: 'task', fields })
  }
  return parts
}

/** An unknown caller as a lead or a contact. The name is not divided: which of its words is the surname is not known. */
export function newContact(call: Call, { config, region }: MapContext<Config>): PlannedPart | null {
  const phone = numberToMatch(call, config, region)
  if (phone === null) return null
  const { name, email } = callerOf(call, region)
  const fields = filled({
    LastName: name ?? config.unknownName,
    Company: config.unknownCallerAs === 'Lead' ? config.unknownCompany : undefined,
    Phone: phone,
    Email: email,
  })
  const type = config.unknownCallerAs.toLowerCase()
  return { key: 'contact', kind: 'contact', type, fields }
}

function callFields({ call, analysis, fields, logged }: CrmRecord, config: Config): Fields {
  const own = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, String(value)]))
  const { from, to } = numbersOf(call)
  // The summary stands among the call's own lines already, and the title in the subject.
  const { title: _title, summary: _summary, ...others } = analysis ?? {}
  const results = analysisLines(others)
  const transcript = analysis && config.transcript.text ? transcriptLines(analysis) : []
  // What a dialler or a person wrote there stays: only what the analysis found is added.
  if (logged) {
    const found = asText(
      [{ label: 'Summary:', text: analysis?.summary }, ...results, ...transcript],
      MAX_COMMENTS,
    )
    return { ...filled({ Description: found }), ...own }
  }
  const recording = config.recordingLinks ? publicRecording(call) : undefined
  const lines = [
    ...callLines(call, analysis),
    // The task's own date has no time of day.
    { label: 'Began:', text: startOf(call) },
    { label: 'From:', text: from },
    { label: 'To:', text: to },
    { label: 'Recording:', text: recording },
    ...results,
    ...transcript,
  ]
  const ms = talkedMs(call)
  return {
    ...filled({
      Subject: cut(headline(call, analysis), MAX_SUBJECT),
      TaskSubtype: 'Call',
      Type: 'Call',
      Status: config.closedStatus,
      ActivityDate: startOf(call),
      CallType: call.direction && WAYS[call.direction],
      CallDurationInSeconds: ms === undefined ? undefined : String(Math.round(ms / 1000)),
      CallDisposition: cut(call.outcome ?? (call.result ? ENDINGS[call.result] : ''), MAX_RESULT),
      Description: asText(lines, MAX_COMMENTS),
      OwnerId: ownerOf(call, config),
    }),
    ...own,
  }
}

/**
 * What a second write may change. A person may have closed, moved or reassigned the task, or judged the call; the subtype is
 * for creation only.
 */
export function updatable(kind: 'call' | 'task', fields: Fields): Fields {
  const kept = {
    call: ['TaskSubtype', 'Status', 'CallDisposition'],
    task: ['TaskSubtype', 'Type', 'Status', 'ActivityDate', 'IsReminderSet', 'ReminderDateTime', 'OwnerId'],
  }
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !kept[kind].includes(name)))
}

/** Where the activity stands: a person under `WhoId`, anything else under `WhatId`, and nothing beside a lead. */
export function placeOf(target: CrmRecord['target']): Fields {
  if (!target) return {}
  return isPerson(target) ? { WhoId: target.id } : { WhatId: target.id }
}

/** By the first three characters of the id, which name its object: what is called a contact may be an account. */
function isPerson({ type, id }: { type: string; id: string }): boolean {
  return /^00[3Q]/.test(id) || (!id.startsWith('001') && /^(?:contact|lead)$/i.test(type))
}

// ── The CRM's own record of the call ────────────────────────────────────────────────────────────────────────────────

const OURS_BEGINS = 'Analysis by Cordboard'

/** Our words among those of others: in the place of our last ones, else behind all that stands there. */
export function withAnalysis(standing: string, ours: string, key: string): string {
  const end = refLine(key)
  const block = (room: number) =>
    `${OURS_BEGINS}\n${cutText(ours, room - OURS_BEGINS.length - end.length - 2)}\n${end}`
  const from = standing.indexOf(`${OURS_BEGINS}\n`)
  const to = from < 0 ? -1 : standing.indexOf(end, from)
  const before =
    to < 0 ? `${standing.trimEnd()}${standing.trim() === '' ? '' : '\n\n'}` : standing.slice(0, from)
  const after = to < 0 ? '' : standing.slice(to + end.length)
  const room = MAX_COMMENTS - before.length - after.length
  // No room for a word of ours: what others wrote stays as it is.
  return room < 200 ? standing : before + block(room) + after
}

// ── Whose call it is ────────────────────────────────────────────────────────────────────────────────────────────────

const PHONES = [
  'Phone',
  'MobilePhone',
  'HomePhone',
  'OtherPhone',
  'PersonMobilePhone',
  'PersonHomePhone',
  'PersonOtherPhone',
] as const

/** The search finds more than the number (a tail, another country's): only records that really carry it stay. */
export function withNumber(records: readonly Person[], e164: string, region: string | undefined): Person[] {
  return records.filter((record) => PHONES.some((name) => normalisePhone(record[name], region).e164 === e164))
}

/** One standing: contacts, and the persons among the accounts; else leads that are not converted; else accounts. */
export function ofOneStanding(records: readonly Person[]): { type: string; id: string; record: Person }[] {
  const as = (type: string, all: readonly Person[]) => all.map((record) => ({ type, id: record.Id, record }))
  const of = (type: string) => records.filter(({ attributes }) => attributes.type === type)
  const accounts = of('Account')
  const contacts = as('contact', of('Contact'))
  for (const record of accounts) {
    const id = record.IsPersonAccount ? record.PersonContactId : undefined
    if (id !== undefined && !contacts.some((one) => one.id === id))
      contacts.push({ type: 'contact', id, record })
  }
  if (contacts.length > 0) return contacts
  const leads = as(
    'lead',
    of('Lead').filter(({ IsConverted }) => IsConverted !== true),
  )
  return leads.length > 0 ? leads : as('account', accounts)
}

/** Whoever was in touch last comes first; the oldest record at last, so that the order never depends on chance. */
export function asCandidates(
  standing: readonly { type: string; id: string; record: Person }[],
  now: number,
  config: Config,
): (Candidate & { ownerId?: string })[] {
  const known = standing.map((one) => ({
    ...one,
    activeAt: instantOf(one.record.LastActivityDate),
    createdAt: instantOf(one.record.CreatedDate),
  }))
  known.sort((a, b) => b.activeAt - a.activeAt || a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1))
  return known.map(({ type, id, record, activeAt, createdAt }) => {
    const url = recordUrl({ type, id }, config)
    return {
      type,
      id,
      ...(record.Name === undefined ? {} : { name: record.Name }),
      reason: [
        sameNumber(known.length),
        activeAt > 0 ? `last activity ${ago(now - activeAt)}` : 'no activity noted',
      ].join(', '),
      ...(url === null ? {} : { url }),
      ...(activeAt > 0 ? { lastActivityAt: new Date(activeAt).toISOString() } : {}),
      ...(createdAt > 0 ? { createdAt: new Date(createdAt).toISOString() } : {}),
      ...(record.OwnerId === undefined ? {} : { ownerId: record.OwnerId }),
    }
  })
}

/** The org's address leads to its records by their ids; the addresses that all orgs log in by do not. */
export function recordUrl(target: { type: string; id: string }, { baseUrl }: Config): string | null {
  const isShared = /^(?:login|test)\.salesforce\.com$/i.test(new URL(baseUrl).hostname)
  return isShared ? null : `${baseUrl}/${encodeURIComponent(target.id)}`
}

/** Ids of 15 and of 18 characters are the same: the last three only carry the case of the others. */
export const isSameId = (a: string, b: string): boolean => a.slice(0, 15) === b.slice(0, 15)

/** `2026-03-04`, `2026-03-04T11:22:33.000+0000`; 0 when it is not known. */
function instantOf(value: string | undefined): number {
  const ms = value === undefined ? 0 : Date.parse(value.replace(/([+-]\d\d)(\d\d)$/, '$1:$2'))
  return Number.isFinite(ms) ? ms : 0
}

function ago(ms: number): string {
  const days = Math.floor(ms / 86_400_000)
  if (days < 1) return 'today'
  return days === 1 ? 'yesterday' : `${days} days ago`
}

export { fieldsOf, phoneSearch } from './map/search.ts'
export { asCrmField, fitted } from './map/values.ts'
