import type { Call, Result } from '../../src/call/call.ts'
import type { CallEvent, Facts } from '../../src/call/facts.ts'
import { normalisePhone } from '../../src/call/phone.ts'
import { toWallClock } from '../../src/call/zone.ts'
import type { MapContext } from '../../src/connector/contract.ts'
import { sameNumber } from '../../src/connector/crm-match.ts'
import { callerOf, followUps, numberToMatch, ownerOf, refsIn } from '../../src/connector/crm-plan.ts'
import {
  analysisLines,
  callLines,
  filled,
  headline,
  numbersOf,
  publicRecording,
  startOf,
  talkedMs,
  transcriptText,
} from '../../src/connector/crm-report.ts'
import type { Candidate, CrmRecord, PlannedPart } from '../../src/connector/crm-role.ts'
import { asText, cut } from '../../src/connector/crm-text.ts'
import type { Place } from '../../src/connector/placed-id.ts'
import { type Config, type CrmEntity, isRecordType, type LoggedCall, MODULES } from './schema.ts'

type Fields = Record<string, string>

// ── What is written ─────────────────────────────────────────────────────────────────────────────────────────────────

/** Ours: which length a Description may have is not documented; a longer value is refused (INVALID_DATA). */
const MAX_TEXT = 30_000
/** Ours as well, and shorter than any such field is known to be. */
const MAX_SUBJECT = 200
const MAX_TITLE = 100

/** Before the fields of the operator's own, whose values are JSON: Zoho tells numbers from texts. */
const OWN = 'own.'

export function plan(record: CrmRecord, { config }: MapContext<Config>): PlannedPart[] {
  const { call, analysis, target, logged } = record
  const parts: PlannedPart[] = []
  const fields = callFields(record, config)
  if (fields) parts.push({ key: 'call', kind: 'call', fields })
  const text = config.transcript && fields ? transcriptText(analysis) : null
  if (text !== null)
    parts.push({ key: 'transcript', kind: 'file', fields: { name: `transcript-${call.id}.txt`, text } })
  if (analysis && (target || fields)) {
    const content = asText(analysisLines(analysis), MAX_TEXT)
    const title = cut(headline(call, analysis), MAX_TITLE)
    if (content !== '') parts.push({ key: 'note', kind: 'note', fields: { title, content } })
  }
  for (const { key, subject, lines, dueAt } of followUps(record, config)) {
    const description = asText([{ text: subject }, ...lines.map((line) => ({ text: line }))], MAX_TEXT)
    const task = filled({
      Subject: cut(subject, MAX_SUBJECT),
      // A day and no hour: the one that it is where the organisation works.
      Due_Date: dueAt && toWallClock(Date.parse(dueAt), config.timeZone).slice(0, 10),
      Description: description,
      owner: logged ? undefined : ownerOf(call, config),
    })
    parts.push({ key, kind: 'task', fields: task })
  }
  return parts
}

/** Null: Zoho has no internal calls, and none without a direction. */
function callFields({ call, analysis, fields, logged }: CrmRecord, config: Config): Fields | null {
  const own = Object.entries(fields).map(([name, value]) => [`${OWN}${name}`, JSON.stringify(value)])
  // What a person or a dialler logged stays: only fields of the operator's own are added.
  if (logged) return Object.fromEntries(own)
  const type = typeOf(call)
  if (type === undefined) return null
  const startedAt = startOf(call)
  const seconds = Math.round((talkedMs(call) ?? 0) / 1000)
  const link = config.recordingLinks ? publicRecording(call) : undefined
  const { from, to } = numbersOf(call)
  const lines = [
    ...callLines(call, analysis),
    { label: 'From:', text: from },
    { label: 'To:', text: to },
    ...(link !== undefined && config.recordingField === undefined
      ? [{ label: 'Recording:', text: link }]
      : []),
  ]
  return {
    ...filled({
      Subject: cut(headline(call, analysis), MAX_SUBJECT),
      Call_Type: type,
      Call_Start_Time: startedAt && zoned(startedAt),
      Call_Duration: clockOf(seconds),
      Call_Duration_in_seconds: String(seconds),
      Description: asText(lines, MAX_TEXT),
      owner: ownerOf(call, config),
    }),
    ...(config.statusField ? { [config.statusField]: 'Completed' } : {}),
    ...(link !== undefined && config.recordingField !== undefined ? { [config.recordingField]: link } : {}),
    ...Object.fromEntries(own),
  }
}

/** Only inbound calls can be missed there. */
function typeOf({ direction, result }: Call): 'Inbound' | 'Outbound' | 'Missed' | undefined {
  if (direction === 'outbound') return 'Outbound'
  if (direction !== 'inbound') return undefined
  const isMissed = result !== undefined && result !== 'answered'
  return isMissed ? 'Missed' : 'Inbound'
}

/** `MM:SS`, or `HH:MM:SS` from an hour on. */
export function clockOf(seconds: number): string {
  const two = (value: number) => String(value).padStart(2, '0')
  const hours = Math.floor(seconds / 3600)
  const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
  return hours === 0 ? rest : `${two(hours)}:${rest}`
}

/** With an offset, as all samples have it. */
export const zoned = (instant: string): string => instant.replace(/(?:\.\d+)?Z$/, '+00:00')

/** A planned part as the record that is sent. */
export function recordOf(fields: Fields): Record<string, unknown> {
  const { owner: _, Call_Duration_in_seconds: seconds, ...rest } = fields
  const values = Object.entries(rest).map(([name, value]): [string, unknown] =>
    name.startsWith(OWN) ? [name.slice(OWN.length), JSON.parse(value)] : [name, value],
  )
  return {
    ...Object.fromEntries(values),
    ...(seconds === undefined ? {} : { Call_Duration_in_seconds: Number(seconds) }),
  }
}

/** Contacts are the Who of a call or task; everything else is its What, with the name of its module. */
export function relationOf(target: CrmRecord['target']): Record<string, unknown> {
  if (!target || !isRecordType(target.type)) return {}
  if (target.type === 'contact') return { Who_Id: { id: target.id } }
  return { What_Id: { id: target.id }, $se_module: MODULES[target.type] }
}

/** A record that another one takes the place of: what was written of it is taken back. */
export function emptied(place: Place | null): Record<string, unknown> {
  if (!place || !isRecordType(place.type)) return {}
  return place.type === 'contact' ? { Who_Id: null } : { What_Id: null }
}

/** An unknown caller. The name is not divided; Zoho wants a last name, and a company of leads. */
export function newContact(call: Call, { config, region }: MapContext<Config>): PlannedPart | null {
  const phone = numberToMatch(call, config, region)
  if (phone === null) return null
  const { name, email } = callerOf(call, region)
  const Last_Name = cut(name ?? phone, 80)
  const Company = config.newRecord === 'lead' ? Last_Name : undefined
  const fields = filled({ Last_Name, Company, Phone: phone, Email: email, owner: ownerOf(call, config) })
  return { key: 'contact', kind: 'contact', type: config.newRecord, fields }
}

// ── Whose call it is ────────────────────────────────────────────────────────────────────────────────────────────────

export function withNumber(
  records: readonly CrmEntity[],
  e164: string,
  region: string | undefined,
): CrmEntity[] {
  const unique = new Map(records.map((record) => [record.id, record]))
  return [...unique.values()].filter((record) =>
    Object.entries(record).some(
      ([name, value]) =>
        IS_PHONE.test(name) && typeof value === 'string' && normalisePhone(value, region).e164 === e164,
    ),
  )
}

/** Phone, Mobile, Home_Phone, Other_Phone and the operator's own: the search by number looks at all of them. */
const IS_PHONE = /phone|mobile/i

/** Whoever was in touch last comes first; the oldest record at last, so that the order never depends on chance. */
export function asCandidates(type: string, records: readonly CrmEntity[], user?: string): Candidate[] {
  const sorted = records.toSorted(
    (a, b) =>
      compare(b.Last_Activity_Time ?? '', a.Last_Activity_Time ?? '') ||
      a.id.length - b.id.length ||
      compare(a.id, b.id),
  )
  return sorted.map((record) => ({
    type,
    id: record.id,
    ...nameOf(record),
    reason: [
      sameNumber(sorted.length),
      record.Last_Activity_Time === undefined
        ? 'no activity noted'
        : `last activity on ${record.Last_Activity_Time.slice(0, 10)}`,
    ].join(', '),
    ...(record.Last_Activity_Time === undefined ? {} : { lastActivityAt: record.Last_Activity_Time }),
    ...(record.Created_Time === undefined ? {} : { createdAt: record.Created_Time }),
    ...(user === undefined ? {} : { isAgents: record.Owner?.id === user }),
  }))
}

const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b))

/** Of an account the name is a text, of a contact the account it belongs to. */
export function nameOf({ Full_Name, First_Name, Last_Name, Account_Name }: CrmEntity): { name?: string } {
  const account = typeof Account_Name === 'string' ? Account_Name : undefined
  const name = Full_Name ?? ([First_Name, Last_Name].filter(Boolean).join(' ') || account)
  return name ? { name } : {}
}

// ── Calls that others log in Zoho ───────────────────────────────────────────────────────────────────────────────────

/** Our own write-back of a call is a call there as well. */
export function isOurs(call: LoggedCall, { externalIdField }: Config): boolean {
  const key = externalIdField === undefined ? undefined : call[externalIdField]
  return (typeof key === 'string' && key.startsWith('wbk_')) || refsIn(call.Description).length > 0
}

/** A call that has yet to be made is none. */
export const isPlanned = ({ Call_Status, Call_Start_Time }: LoggedCall, now: number): boolean =>
  /schedul|overdue|cancel/i.test(Call_Status ?? '') ||
  Call_Start_Time === undefined ||
  Date.parse(Call_Start_Time) > now

/** Which record a call was logged on: our name of its module, and its id. */
export function holderOf(call: Pick<LoggedCall, 'Who_Id' | 'What_Id' | '$se_module'>): Place | null {
  if (call.Who_Id) return { type: 'contact', id: call.Who_Id.id }
  const type = Object.entries(MODULES).find(([, module]) => module === call.$se_module)?.[0]
  return call.What_Id && type !== undefined ? { type, id: call.What_Id.id } : null
}

/** `holder`: the record it was logged on, whose number is the customer's where the call itself has none. */
export function toCallEvent(
  call: LoggedCall,
  holder: CrmEntity | undefined,
  ctx: MapContext<Config>,
): CallEvent {
  const isOutbound = call.Call_Type === 'Outbound'
  const direction = isOutbound
    ? 'outbound'
    : /^(?:Inbound|Missed)$/.test(call.Call_Type ?? '')
      ? 'inbound'
      : undefined
  const seconds = call.Call_Duration_in_seconds ?? secondsOf(call.Call_Duration)
  const result: Result | undefined =
    call.Call_Type === 'Missed' ? 'no_answer' : seconds !== undefined && seconds > 0 ? 'answered' : undefined
  const numbers = [isOutbound ? call.Dialled_Number : undefined, holder?.Phone, holder?.Mobile]
  const raw = numbers.find((number) => normalisePhone(number, ctx.region).e164 !== null)
  const on = holderOf(call)
  const { config, connection, region } = ctx
  const link = config.recordingField === undefined ? undefined : call[config.recordingField]
  const hasLink = typeof link === 'string' && URL.canParse(link)
  const name = holder && nameOf(holder).name
  const facts: Facts = {
    ...(direction === undefined ? {} : { direction }),
    ...(result === undefined ? {} : { result }),
    ...(call.Call_Start_Time === undefined ? {} : { startedAt: call.Call_Start_Time }),
    ...(seconds === undefined ? {} : { talkMs: seconds * 1000, totalMs: seconds * 1000 }),
    ...(isOutbound && call.Dialled_Number
      ? {
          dialed: {
            phone: normalisePhone(call.Dialled_Number, region).e164,
            phoneRaw: call.Dialled_Number.slice(0, 256),
          },
        }
      : {}),
    customer: {
      ...(raw === undefined ? {} : { phone: normalisePhone(raw, region).e164, phoneRaw: raw.slice(0, 256) }),
      ...(name === undefined ? {} : { name: name.slice(0, 256) }),
      ...(on === null ? {} : { crm: { [connection]: `${on.type}:${on.id}` } }),
    },
    ...(call.Owner ? { agent: agentOf(call.Owner) } : {}),
    ...(hasLink ? { recordings: [{ key: call.id, state: 'ready' as const }] } : { recordingExpected: false }),
  }
  const at = call.Call_Start_Time
  return {
    key: `${call.id}:call`,
    callId: call.id,
    phase: 'ended',
    ...(at === undefined ? {} : { at }),
    facts,
  }
}

const agentOf = ({ id, name, email }: NonNullable<LoggedCall['Owner']>) => ({
  id,
  ...(name === undefined ? {} : { name: name.slice(0, 256) }),
  ...(email === undefined ? {} : { email: email.slice(0, 320) }),
})

/** `MM:SS` or `HH:MM:SS`. */
export function secondsOf(clock: string | undefined): number | undefined {
  const [, hours = '0', minutes, seconds] = /^(?:(\d{1,3}):)?(\d{1,3}):(\d{2})$/.exec(clock ?? '') ?? []
  if (minutes === undefined || seconds === undefined) return undefined
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)
}
