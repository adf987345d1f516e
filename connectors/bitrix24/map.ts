import type { Turn } from '../../src/call/analysis.ts'
import type { Call, Direction, Recording, Result } from '../../src/call/call.ts'
import type { CallEvent, Facts } from '../../src/call/facts.ts'
import { normalisePhone } from '../../src/call/phone.ts'
import type { MapContext } from '../../src/connector/contract.ts'
import { sameNumber } from '../../src/connector/crm-match.ts'
import { callerOf, followUps, numberToMatch, ownerOf } from '../../src/connector/crm-plan.ts'
import {
  analysisLines,
  callLines,
  filled,
  headline,
  type Line,
  publicRecording,
  startOf,
  talkedMs,
  transcriptLines,
} from '../../src/connector/crm-report.ts'
import type { Candidate, CrmRecord, PlannedPart } from '../../src/connector/crm-role.ts'
import { asText, cut } from '../../src/connector/crm-text.ts'
import type { Place } from '../../src/connector/placed-id.ts'
import { type Config, type CrmEntity, isApplication, type Statistic } from './schema.ts'

type Fields = Record<string, string>

/** The numbers of CRM types (api-reference/crm/data-types.md), and the only ones that a call can be registered on. */
export const TYPE_IDS: Readonly<Record<string, number>> = { lead: 1, deal: 2, contact: 3, company: 4 }
export const HOLDS_CALLS = ['contact', 'company', 'lead']

// ── What is written ─────────────────────────────────────────────────────────────────────────────────────────────────

/** Ours: no limits of comments, titles and descriptions are documented. */
const MAX_TEXT = 60_000
const MAX_TITLE = 200
const MAX_REASON = 200

/**
 * Codes of telephony.externalCall.finish (read 2026-11-27). Voicemail and being given up by the caller have no code: a
 * call that reached nobody is a missed one, and an outbound one that left a message was connected.
 */
const STATUS: Record<Result, string> = {
  answered: '200',
  no_answer: '304',
  busy: '486',
  failed: 'OTHER',
  rejected: '603',
  abandoned: '304',
  voicemail: '304',
}

/** Before a field of the operator's own, which goes to the record and not to the call. */
const OWN = 'own.'

export function plan(record: CrmRecord, { config }: MapContext<Config>): PlannedPart[] {
  const { call, analysis, target, logged } = record
  const fields = callFields(record, config)
  const parts: PlannedPart[] = fields ? [{ key: 'call', kind: 'call', fields }] : []
  const isCall = logged !== null || (fields !== null && fields.comment === undefined)
  const messages = config.transcript && isCall ? messagesOf(analysis?.transcript?.turns ?? []) : null
  if (messages) {
    parts.push({ key: 'transcript', kind: 'file', fields: { messages: JSON.stringify(messages) } })
  }
  if (analysis && target) {
    const transcript = config.transcript && !messages ? transcriptLines(analysis) : []
    const comment = commentOf([...analysisLines(analysis), ...transcript])
    if (comment !== '') parts.push({ key: 'note', kind: 'note', fields: { comment } })
  }
  for (const { key, subject, lines, dueAt } of target ? followUps(record, config) : []) {
    // To-dos must have a deadline; only a call of which no time is known has none.
    if (dueAt === undefined) continue
    const fields = filled({
      title: cut(subject, MAX_TITLE),
      description: commentOf([{ text: subject }, ...lines.map((text) => ({ text }))]),
      deadline: zoned(dueAt),
      owner: logged ? undefined : ownerOf(call, config),
    })
    parts.push({ key, kind: 'task', fields })
  }
  // Last: Bitrix24 fetches it by itself, and what it thinks of the link must hold up nothing else.
  const link = config.recordingLinks && isCall && !logged ? publicRecording(call, ['mp3', 'wav']) : undefined
  if (link !== undefined) parts.push({ key: 'recording', kind: 'file', fields: { url: link } })
  return parts
}

/** Null: nothing of the call itself can be written. */
function callFields(record: CrmRecord, config: Config): Fields | null {
  const { call, analysis, target, logged } = record
  const own = target ? ownFields(record) : {}
  // Bitrix24's own record of the call stays as it is.
  if (logged) return own
  const type = call.direction === 'outbound' ? '1' : call.direction === 'inbound' ? '2' : undefined
  const phone = call.customer?.phone ?? undefined
  const canHold = target === null || HOLDS_CALLS.includes(target.type)
  if (!isApplication(config) || !canHold || type === undefined || phone === undefined) {
    if (!target) return null
    const lines: Line[] = [{ text: headline(call, analysis) }, ...callLines(call, analysis)]
    return { comment: commentOf(lines), ...own }
  }
  const leftMessage = call.result === 'voicemail' && type === '1'
  const startedAt = startOf(call)
  return {
    ...filled({
      PHONE_NUMBER: phone,
      TYPE: type,
      CALL_START_DATE: startedAt && zoned(startedAt),
      DURATION: String(Math.round((talkedMs(call) ?? 0) / 1000)),
      STATUS_CODE: leftMessage ? '200' : call.result && STATUS[call.result],
      FAILED_REASON:
        call.result === 'answered' || !call.disconnectReason
          ? undefined
          : cut(call.disconnectReason, MAX_REASON),
      LINE_NUMBER: config.lineNumber,
      USER_PHONE_INNER: call.agent?.extension,
      owner: ownerOf(call, config),
    }),
    ...own,
  }
}

/** Fields of the kind yes/no take 1 and 0. */
function ownFields({ fields }: CrmRecord): Fields {
  const told = (value: string | number | boolean) =>
    typeof value === 'boolean' ? String(Number(value)) : String(value)
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [`${OWN}${name}`, told(value)]))
}

/** The fields of the operator's own that a part carries. */
export function ownOf(fields: Fields): Fields {
  const own = Object.entries(fields).filter(([name]) => name.startsWith(OWN))
  return Object.fromEntries(own.map(([name, value]) => [name.slice(OWN.length), value]))
}

/** Comments read BB codes: what callers and models say is text, whatever it looks like. */
function commentOf(lines: readonly Line[]): string {
  return asText(lines, MAX_TEXT).replace(/\[(?=[a-z/*])/gi, '[ ')
}

/** ISO 8601 "with timezone indication": the documents write an offset, never Z. */
export const zoned = (instant: string): string => instant.replace(/(?:\.\d+)?Z$/, '+00:00')

interface Message {
  SIDE: 'User' | 'Client'
  START_TIME: number
  STOP_TIME: number
  MESSAGE: string
}

/** Two sides and whole seconds; null where a turn has no time, or is of neither side. */
function messagesOf(turns: readonly Turn[]): Message[] | null {
  const messages: Message[] = []
  for (const [i, { party, text, startMs, endMs }] of turns.entries()) {
    if (startMs === undefined || party === 'other') return null
    const start = Math.floor(startMs / 1000)
    const stop = Math.ceil((endMs ?? turns[i + 1]?.startMs ?? startMs) / 1000)
    const message = text.toWellFormed().trim()
    if (message === '') continue
    const side = party === 'agent' ? 'User' : 'Client'
    messages.push({ SIDE: side, START_TIME: start, STOP_TIME: Math.max(stop, start + 1), MESSAGE: message })
  }
  return messages.length > 0 ? messages : null
}

/** An unknown caller. The name is not divided: which of its words is the surname is not known. */
export function newContact(call: Call, { config, region }: MapContext<Config>): PlannedPart | null {
  const phone = numberToMatch(call, config, region)
  if (phone === null) return null
  const { name, email } = callerOf(call, region)
  const fields = filled({ phone, name, email, owner: ownerOf(call, config) })
  return { key: 'contact', kind: 'contact', type: config.newRecord, fields }
}

// ── Whose call it is ────────────────────────────────────────────────────────────────────────────────────────────────

/** Only records that really carry the number stay: extensions are not looked at by the search. */
export function withNumber(
  records: readonly CrmEntity[],
  e164: string,
  region: string | undefined,
): CrmEntity[] {
  return records.filter(({ PHONE = [] }) =>
    PHONE.some(({ VALUE }) => normalisePhone(VALUE, region).e164 === e164),
  )
}

/** Whoever was in touch last comes first; the oldest record at last, so that the order never depends on chance. */
export function asCandidates(
  type: string,
  records: readonly CrmEntity[],
  facts: { user?: string | undefined; withDeals?: ReadonlySet<string> | undefined } = {},
): Candidate[] {
  const sorted = records.toSorted(
    (a, b) =>
      Number(a.LAST_ACTIVITY_TIME === undefined) - Number(b.LAST_ACTIVITY_TIME === undefined) ||
      compare(b.LAST_ACTIVITY_TIME ?? '', a.LAST_ACTIVITY_TIME ?? '') ||
      a.ID.length - b.ID.length ||
      compare(a.ID, b.ID),
  )
  return sorted.map((record) => ({
    type,
    id: record.ID,
    ...nameOf(record),
    reason: [
      sameNumber(sorted.length),
      record.LAST_ACTIVITY_TIME === undefined
        ? 'no activity noted'
        : `last activity on ${record.LAST_ACTIVITY_TIME.slice(0, 10)}`,
    ].join(', '),
    ...(record.LAST_ACTIVITY_TIME === undefined ? {} : { lastActivityAt: record.LAST_ACTIVITY_TIME }),
    ...(record.DATE_CREATE === undefined ? {} : { createdAt: record.DATE_CREATE }),
    ...(facts.user === undefined ? {} : { isAgents: record.ASSIGNED_BY_ID === facts.user }),
    ...(facts.withDeals === undefined ? {} : { hasOpenDeal: facts.withDeals.has(record.ID) }),
  }))
}

const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b))

export function nameOf({ NAME, LAST_NAME, TITLE }: CrmEntity): { name?: string } {
  const name = [NAME, LAST_NAME].filter(Boolean).join(' ') || TITLE
  return name ? { name } : {}
}

// ── Calls that Bitrix24 tells of ────────────────────────────────────────────────────────────────────────────────────

/** 4 is a callback: Bitrix24 calls the customer. 5 is a machine's message, and no conversation. */
const DIRECTIONS: Readonly<Record<string, Direction>> = {
  1: 'outbound',
  2: 'inbound',
  3: 'inbound',
  4: 'outbound',
}
const RESULTS: Readonly<Record<string, Result>> = {
  200: 'answered',
  304: 'no_answer',
  603: 'rejected',
  486: 'busy',
  403: 'failed',
  404: 'failed',
  484: 'failed',
  503: 'failed',
  480: 'failed',
  402: 'failed',
  423: 'failed',
}

/** Our own write-back of a call comes back as an event: what is ours begins with this (ids of write-backs). */
export const isOurs = ({ EXTERNAL_CALL_ID: id }: Pick<Statistic, 'EXTERNAL_CALL_ID'>): boolean =>
  id?.startsWith('wbk_') === true

/** The event does not say whose call an application registered; the statistics do. */
export const isOfApplication = (of: { CALL_ID: string; PORTAL_NUMBER?: string | undefined }): boolean =>
  of.CALL_ID.startsWith('externalCall.') || of.PORTAL_NUMBER?.startsWith('REST_APP:') === true

type Told = Omit<Statistic, 'CALL_TYPE'> & { CALL_TYPE: string }

/** The record that the statistics name; 0 is none. */
export const holderOf = (of: Pick<Statistic, 'CRM_ENTITY_ID' | 'CRM_ENTITY_TYPE'>): Place | null =>
  of.CRM_ENTITY_ID && of.CRM_ENTITY_ID !== '0' && of.CRM_ENTITY_TYPE
    ? { type: of.CRM_ENTITY_TYPE.toLowerCase(), id: of.CRM_ENTITY_ID }
    : null

/** `recording`: what is known of one; undefined: nothing, and it may come. Null: what it tells of is no conversation. */
export function toCallEvent(
  told: Pick<Told, 'CALL_ID' | 'CALL_TYPE' | 'CALL_START_DATE'> & Partial<Told>,
  source: 'end' | 'list',
  ctx: MapContext<Config>,
  recording?: Recording['state'],
): CallEvent | null {
  const direction = DIRECTIONS[told.CALL_TYPE]
  if (direction === undefined) return null
  const code = told.CALL_FAILED_CODE ?? ''
  const cancelled = direction === 'inbound' ? 'abandoned' : 'no_answer'
  const result = code === '603-S' ? cancelled : Object.hasOwn(RESULTS, code) ? RESULTS[code] : undefined
  const ms = (told.CALL_DURATION ?? 0) * 1000
  const party = (raw: string) => ({
    phone: normalisePhone(raw, ctx.region).e164,
    phoneRaw: raw.slice(0, 256),
  })
  const outside = party(told.PHONE_NUMBER ?? '')
  const own = told.PORTAL_NUMBER === undefined ? undefined : party(told.PORTAL_NUMBER)
  const [from, dialed] = direction === 'inbound' ? [outside, own] : [own, outside]
  const holder = holderOf(told)
  const facts: Facts = {
    direction,
    startedAt: told.CALL_START_DATE,
    ...(result === undefined ? {} : { result }),
    // Whether ringing is part of it is not documented.
    ...(result === 'answered' ? { talkMs: ms, totalMs: ms } : {}),
    ...(from ? { from } : {}),
    ...(dialed ? { dialed } : {}),
    ...(told.PORTAL_USER_ID && told.PORTAL_USER_ID !== '0' ? { agent: { id: told.PORTAL_USER_ID } } : {}),
    ...(told.CALL_FAILED_REASON ? { disconnectReason: told.CALL_FAILED_REASON.slice(0, 256) } : {}),
    ...(holder ? { customer: { crm: { [ctx.connection]: `${holder.type}:${holder.id}` } } } : {}),
    ...(told.CRM_ACTIVITY_ID ? { meta: { CRM_ACTIVITY_ID: told.CRM_ACTIVITY_ID } } : {}),
    ...recordingsOf(told, result, recording, ctx.config),
  }
  return {
    key: `${told.CALL_ID}:${source}`,
    callId: told.CALL_ID,
    phase: 'ended',
    at: told.CALL_START_DATE,
    facts,
  }
}

/** Events never name one: where calls are recorded it is asked for by the id of the call. */
function recordingsOf(
  { CALL_ID: key, RECORD_DURATION: length }: Pick<Told, 'CALL_ID'> & Partial<Told>,
  result: Result | undefined,
  known: Recording['state'] | undefined,
  { recorded, tracks }: Config,
): Pick<Facts, 'recordings' | 'recordingExpected'> {
  const state = known ?? (recorded && result === 'answered' ? 'ready' : 'absent')
  if (state === 'absent') return { recordingExpected: false }
  const durationMs = length === undefined || length === 0 ? undefined : length * 1000
  return {
    recordings: [
      {
        key,
        format: 'mp3',
        state,
        ...(durationMs === undefined ? {} : { durationMs }),
        ...(tracks ? { tracks } : {}),
      },
    ],
  }
}
