import type { z } from 'zod'
import type { Call, Recording, Result } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { nationalForm, normalisePhone, phoneSpellings } from '../../src/call/phone.ts'
import type { MapContext, Received } from '../../src/connector/contract.ts'
import { sameNumber } from '../../src/connector/crm-match.ts'
import { callerOf, followUps, numberToMatch, ownerOf } from '../../src/connector/crm-plan.ts'
import {
  analysisLines,
  callLines,
  filled,
  headline,
  publicRecording,
  startOf,
  talkedMs,
  transcriptText,
} from '../../src/connector/crm-report.ts'
import type { Candidate, CrmChange, CrmRecord, PlannedPart } from '../../src/connector/crm-role.ts'
import { asText, CUT_MARK, cut, cutText } from '../../src/connector/crm-text.ts'
import { utf8 } from '../../src/connector/encoding.ts'
import { asObject, parseJson } from '../../src/connector/json.ts'
import type { FormTree } from '../../src/connector/nested-form.ts'
import { readPlacedId } from '../../src/connector/placed-id.ts'
import { readAs } from '../../src/connector/read.ts'
import { CordboardError } from '../../src/errors.ts'
import { type CallNote, type Config, callParams, type Entity, type ToldNote, toldNote } from './schema.ts'

type Fields = Record<string, string>
export type Target = NonNullable<CrmRecord['target']>

/** A kind of record and the name of its lists. */
export const LISTS = {
  contact: 'contacts',
  lead: 'leads',
  company: 'companies',
  customer: 'customers',
} as const
export type EntityType = keyof typeof LISTS

export const isEntityType = (type: string): type is EntityType => Object.hasOwn(LISTS, type)
const typeOf = (list: string) => (Object.keys(LISTS) as EntityType[]).find((type) => LISTS[type] === list)

/** How long a note may be is not documented: this is ours, and the line of our key still fits behind it. */
const MAX_TEXT = 15_000
const MOST_NOTES = 20
const MAX_RESULT = 250

// ── What is written ─────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * 1 left message, 2 call back later, 3 not available, 4 conversation took place, 5 wrong number, 6 not reached, 7 busy,
 * 8 undefined: https://github.com/amocrm/amocrm-api-php (read 2026-11-20).
 */
const STATUSES: Record<Result, string> = {
  answered: '4',
  no_answer: '6',
  busy: '7',
  failed: '3',
  rejected: '7',
  abandoned: '6',
  voicemail: '6',
}

export function plan(record: CrmRecord, { config, region }: MapContext<Config>): PlannedPart[] {
  const { call, analysis, logged } = record
  const target = placeOf(record)
  const parts: PlannedPart[] = []
  // A note stands on a record. A call finds its own, where Kommo knows the number.
  if (logged) parts.push({ key: 'call', kind: 'call', fields: {} })
  else if (target || config.log === 'call')
    parts.push({ key: 'call', kind: 'call', fields: callFields(record, config, region) })
  if (!target) return parts
  const lines = [...(logged ? [] : callLines(call, null)), ...(analysis ? analysisLines(analysis) : [])]
  const text = analysis ? asText([{ text: headline(call, analysis) }, ...lines], MAX_TEXT) : ''
  if (text !== '') parts.push({ key: 'note', kind: 'note', fields: { text } })
  const transcript = config.note.transcript ? transcriptText(analysis) : null
  for (const [i, piece] of piecesOf(transcript ?? '').entries())
    parts.push({ key: `transcript-${i + 1}`, kind: 'note', fields: { text: piece } })
  for (const { key, subject, lines, dueAt } of followUps(record, config)) {
    const fields = filled({
      text: asText([{ text: subject }, ...lines.map((text) => ({ text }))], MAX_TEXT),
      complete_till: dueAt && String(Math.floor(Date.parse(dueAt) / 1000)),
      task_type_id: key === 'call-back' ? '1' : String(config.taskTypeId),
      owner: ownerOf(call, config),
    })
    parts.push({ key, kind: 'task', fields })
  }
  const own = Object.entries(record.fields)
  if (own.length > 0) {
    const fields = Object.fromEntries(own.map(([name, value]) => [name, JSON.stringify(value)]))
    parts.push({ key: 'fields', kind: 'contact', fields })
  }
  return parts
}

/** Kommo's own record of a call stands on a record of its own choice: without another, what is added stands there too. */
export function placeOf({ target, logged }: Pick<CrmRecord, 'target' | 'logged'>): Target | null {
  if (target) return target
  const [list, id] = logged?.id.split('/') ?? []
  const type = list === undefined ? undefined : typeOf(list)
  return type === undefined || id === undefined ? null : { type, id }
}

/** `contacts/7/123`; what was written before its record was kept with it is `contacts/123`. */
export function readNoteId(externalId: string): { list: string; on: string | null; id: string } {
  const { place, id } = readPlacedId(externalId)
  if (place) return { list: place.type, on: place.id, id }
  const [list = '', note = ''] = externalId.split('/')
  return { list, on: null, id: note }
}

function callFields({ call, analysis }: CrmRecord, config: Config, region: string | undefined): Fields {
  const { customer, agent } = call
  const isOut = call.direction === 'outbound' || call.direction === 'internal'
  const owner = ownerOf(call, config)
  const left = call.result === 'voicemail' && isOut
  return filled({
    note_type: isOut ? 'call_out' : 'call_in',
    duration: String(Math.round((talkedMs(call) ?? 0) / 1000)),
    phone: customer?.phone ?? numberOf(call, isOut, region),
    link: config.recordingLinks ? publicRecording(call) : undefined,
    call_result: cut(call.outcome ?? headline(call, analysis), MAX_RESULT),
    call_status: left ? '1' : call.result ? STATUSES[call.result] : '8',
    // Who is shown may be a name; who is responsible is a user.
    shown: agent?.name,
    owner,
  })
}

/** The other side as it was written, for calls whose number is none. */
function numberOf({ from, dialed }: Call, isOut: boolean, region: string | undefined): string | undefined {
  const raw = (isOut ? dialed : from)?.phoneRaw
  return raw && (normalisePhone(raw, region).e164 ?? raw)
}

/** A transcript in pieces, each cut between two turns where one fits. */
function piecesOf(text: string): string[] {
  const pieces: string[] = []
  let piece = ''
  for (const line of text.split('\n').filter(Boolean)) {
    const fitting = cutText(line, MAX_TEXT)
    if (piece !== '' && piece.length + 1 + fitting.length > MAX_TEXT) {
      pieces.push(piece)
      piece = ''
    }
    piece = piece === '' ? fitting : `${piece}\n${fitting}`
  }
  if (piece !== '') pieces.push(piece)
  if (pieces.length <= MOST_NOTES) return pieces
  const last = cut(pieces[MOST_NOTES - 1] ?? '', MAX_TEXT - CUT_MARK.length - 1)
  return [...pieces.slice(0, MOST_NOTES - 1), `${last}\n${CUT_MARK}`]
}

/** An unknown caller as a contact. Without a name it is called by the number. */
export function newContact(call: Call, { config, region }: MapContext<Config>): PlannedPart | null {
  const phone = numberToMatch(call, config, region)
  if (phone === null) return null
  const { name, email } = callerOf(call, region)
  const at = startOf(call)
  const unsorted = {
    called_at: at && String(Math.floor(Date.parse(at) / 1000)),
    duration: String(Math.round((talkedMs(call) ?? 0) / 1000)),
    dialed: call.dialed?.phone ?? call.dialed?.phoneRaw,
  }
  const fields = { name: cut(name ?? phone, 200), phone, email }
  return {
    key: 'contact',
    kind: 'contact',
    fields: filled(config.unknownCallers === 'unsorted' ? { ...fields, ...unsorted } : fields),
  }
}

// ── Whose call it is ────────────────────────────────────────────────────────────────────────────────────────────────

/** The search is by text and by parts of it: the digits that all spellings share, and those with blanks between them. */
export function queriesFor(e164: string): string[] {
  const national = nationalForm(e164) ?? e164.slice(1)
  return [national, ...phoneSpellings(e164).filter((spelling) => !spelling.includes(national))]
}

/** The search finds more than the number: only records that really carry it stay. */
export function withNumber(found: readonly Entity[], e164: string, region: string | undefined): Entity[] {
  const known = new Map<string, Entity>()
  for (const one of found) {
    const phones = (one.custom_fields_values ?? []).filter(({ field_code }) => field_code === 'PHONE')
    const isSame = phones.some(({ values }) =>
      values.some(({ value }) => typeof value === 'string' && normalisePhone(value, region).e164 === e164),
    )
    if (isSame && one.is_deleted !== true) known.set(one.id, one)
  }
  return [...known.values()].sort((a, b) => Number(a.id) - Number(b.id))
}

export const leadIdsOf = (one: Entity): string[] => (one._embedded?.leads ?? []).map(({ id }) => id)

/** An open lead was not closed; which of its stages mean the end, every pipeline says by itself. */
export const isOpen = ({ closed_at, is_deleted }: Entity): boolean => !closed_at && is_deleted !== true

/** `open`: ids of open leads, where they were asked for. `agentId`: the agent's user id, where it is known. */
export function asCandidates(
  type: EntityType,
  found: readonly Entity[],
  open: ReadonlySet<string> | null,
  agentId: string | null,
): Candidate[] {
  return found.map((one) => {
    const { id, name, responsible_user_id: owner } = one
    const count = open && leadIdsOf(one).filter((lead) => open.has(lead)).length
    return {
      type,
      id,
      ...(name ? { name } : {}),
      reason: [
        sameNumber(found.length),
        ...(count === null ? [] : [count > 0 ? 'has open leads' : 'has no open lead']),
      ].join(', '),
      ...(count === null ? {} : { hasOpenDeal: count > 0 }),
      ...(agentId !== null && owner ? { isAgents: owner === agentId } : {}),
      ...(one.updated_at ? { lastActivityAt: instantOf(one.updated_at) } : {}),
      ...(one.created_at ? { createdAt: instantOf(one.created_at) } : {}),
    }
  })
}

const instantOf = (seconds: number): string => new Date(seconds * 1000).toISOString()

// ── What Kommo tells ────────────────────────────────────────────────────────────────────────────────────────────────

const CALL_IN = '10'
const CALL_OUT = '11'
/** Keys of what we wrote begin so: our own notes come back as webhooks. */
const OURS = 'wbk_'

export function receive(form: FormTree, ctx: MapContext<Config>): Received<CallEvent> {
  const { accountId, calls } = ctx.config
  const account = treeOf(form.account)
  if (!account) throw new CordboardError('invalid_payload', 'Kommo: the webhook names no account')
  if (accountId !== undefined && account.id !== accountId) return { ignored: 'it is of another account' }
  const events: CallEvent[] = []
  const changes: CrmChange[] = []
  const others: string[] = []
  for (const [list, told] of Object.entries(form)) {
    const type = typeOf(list)
    const actions = type && treeOf(told)
    if (!type || !actions) continue
    for (const item of itemsOf(actions.delete)) {
      const { id } = item
      if (typeof id === 'string' && /^\d{1,15}$/.test(id)) changes.push({ change: 'deleted', type, id })
    }
    for (const item of itemsOf(actions.note)) {
      const note = readAs(toldNote, treeOf(item.note) ?? item, 'Kommo: the note of a webhook')
      const why = calls ? null : 'calls are not taken from Kommo: calls is false'
      const event = why ?? toldCall(type, note, ctx)
      if (typeof event === 'string') others.push(event)
      else events.push(event)
    }
  }
  if (events.length === 0 && changes.length === 0)
    return { ignored: others[0] ?? 'nothing that a call needs' }
  return changes.length > 0 ? { events, changes } : { events }
}

const treeOf = (value: FormTree[string] | undefined): FormTree | undefined =>
  typeof value === 'object' ? value : undefined
const itemsOf = (value: FormTree[string] | undefined): FormTree[] =>
  Object.values(treeOf(value) ?? {})
    .map(treeOf)
    .filter((item) => item !== undefined)

const RESULTS: Record<string, Result> = {
  '1': 'voicemail',
  '2': 'answered',
  '3': 'no_answer',
  '4': 'answered',
  '5': 'answered',
  '6': 'no_answer',
  '7': 'busy',
}

/** A call note as a webhook tells it; or why it is none. */
function toldCall(type: EntityType, note: ToldNote, ctx: MapContext<Config>): CallEvent | string {
  if (note.note_type !== CALL_IN && note.note_type !== CALL_OUT) return 'a note that is no call'
  const { id, element_id: on, responsible_user_id: user, created_by, created_user_id } = note
  const said = {
    id,
    isIn: note.note_type === CALL_IN,
    params: paramsOf(note.text ?? ''),
    endedAt: toldInstant(note.created_at ?? note.date_create),
    users: [user, created_by, created_user_id],
  }
  return toEvent({ type, id: on }, said, ctx) ?? 'a call that was written from here'
}

/** A call note as the list tells it. */
export function listedCall(type: EntityType, note: CallNote, ctx: MapContext<Config>): CallEvent | null {
  const { id, entity_id: on, note_type, params, created_at, responsible_user_id: user, created_by } = note
  const said = {
    id,
    isIn: note_type === 'call_in',
    params: params ?? {},
    endedAt: created_at ? instantOf(created_at) : undefined,
    users: [user, created_by],
  }
  return toEvent({ type, id: on }, said, ctx)
}

interface SaidCall {
  id: string
  isIn: boolean
  params: z.output<typeof callParams>
  endedAt: string | undefined
  users: readonly (string | null | undefined)[]
}

/** Null: we wrote it. */
function toEvent(
  on: Target & { type: EntityType },
  said: SaidCall,
  ctx: MapContext<Config>,
): CallEvent | null {
  const { connection, region } = ctx
  const { params, endedAt } = said
  const { phone, link, call_result, call_responsible: shown } = params
  if (params.uniq?.startsWith(OURS)) return null
  const seconds = /^\d{1,6}$/.test(params.duration ?? '') ? Number(params.duration) : undefined
  const result = RESULTS[params.call_status ?? ''] ?? (seconds ? 'answered' : undefined)
  const other = phone
    ? { phone: normalisePhone(phone, region).e164, phoneRaw: phone.slice(0, 256) }
    : undefined
  const user = [shown, ...said.users].find((one) => one && one !== '0')
  const recording = link && recordingAt(link, said.id)
  return {
    key: `note:${said.id}`,
    callId: `${LISTS[on.type]}/${on.id}/${said.id}`,
    phase: 'ended',
    ...(endedAt ? { at: endedAt } : {}),
    facts: {
      direction: said.isIn ? 'inbound' : 'outbound',
      ...(result ? { result } : {}),
      ...(call_result ? { outcome: call_result.slice(0, 256) } : {}),
      // The only time that there is: the note is made when the call is over.
      ...(endedAt ? { endedAt } : {}),
      ...(seconds === undefined ? {} : { talkMs: seconds * 1000 }),
      ...(other ? { [said.isIn ? 'from' : 'dialed']: other } : {}),
      customer: { ...other, ...(on.type === 'contact' ? { crm: { [connection]: on.id } } : {}) },
      ...(user ? { agent: /^\d+$/.test(user) ? { id: user } : { name: user.slice(0, 256) } } : {}),
      ...(recording ? { recordings: [recording] } : {}),
      recordingExpected: Boolean(recording),
    },
  }
}

/** The text of a call note is JSON; what is none says nothing of a call. */
function paramsOf(text: string) {
  const value = text === '' ? {} : asObject(parseJson(utf8(text)))
  if (!value) throw new CordboardError('invalid_payload', 'Kommo: the text of a call note is no JSON object')
  const lower = Object.entries(value).map(([name, one]) => [name.toLowerCase(), one])
  return readAs(callParams, Object.fromEntries(lower), 'Kommo: the text of a call note')
}

function recordingAt(link: string, id: string): Recording | undefined {
  const url = URL.parse(link)
  if ((url?.protocol !== 'https:' && url?.protocol !== 'http:') || url.href.length > 4096) return undefined
  const format = /\.(mp3|wav|ogg|m4a)$/i.exec(url.pathname)?.[1]?.toLowerCase()
  const known = (['mp3', 'wav', 'ogg', 'm4a'] as const).find((one) => one === format)
  return { key: `note-${id}`, url: url.href, ...(known ? { format: known } : {}), state: 'ready' }
}

/** Unix seconds; older accounts write `2026-03-04 11:22:33` in a zone that is not told, which says nothing. */
function toldInstant(text: string | undefined): string | undefined {
  return text && /^\d{9,11}$/.test(text) ? instantOf(Number(text)) : undefined
}
