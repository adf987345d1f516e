import type { Recording, Result } from '../../../src/call/call.ts'
import type { CallEvent, Facts, Phase } from '../../../src/call/facts.ts'
import { normalisePhone } from '../../../src/call/phone.ts'
import { crc32 } from '../../../src/connector/crc32.ts'
import { refsIn } from '../../../src/connector/crm-plan.ts'
import { utf8 } from '../../../src/connector/encoding.ts'
import type { Config, CrmObject, Owner } from '../schema.ts'
import { byId, instantOf, nameOf, withNumber } from './match.ts'

/** Calls that others log in HubSpot, as events of the common schema. */

export const CALL_PROPERTIES = [
  'hs_timestamp',
  'hs_lastmodifieddate',
  'hs_call_direction',
  'hs_call_status',
  'hs_call_disposition',
  'hs_call_duration',
  'hs_call_from_number',
  'hs_call_to_number',
  'hs_call_recording_url',
  'hs_call_has_voicemail',
  'hs_call_callee_object_id',
  'hs_call_external_id',
  'hs_call_body',
  'hubspot_owner_id',
]

/** Whether Cordboard wrote it: our key stands in it. */
export function isOurs({ properties }: CrmObject, { externalIdProperty }: Config): boolean {
  return (
    /^wbk_\w+-call$/.test(properties.hs_call_external_id ?? '') ||
    refsIn(properties.hs_call_body).length > 0 ||
    (externalIdProperty !== undefined && Boolean(properties[externalIdProperty]))
  )
}

/** The outcomes that every account has (calls guide, read 2026-11-20). */
const OUTCOMES: Readonly<Record<string, { says: string; result?: Result }>> = {
  '9d9162e7-6cf3-4944-bf63-4dff82258764': { says: 'Busy', result: 'busy' },
  'f240bbac-87c9-4f6e-bf70-924b57d47db7': { says: 'Connected', result: 'answered' },
  'a4c4c377-d246-4b32-a13b-75a56a4cd0ff': { says: 'Left live message', result: 'answered' },
  'b2cf5968-551e-4856-9783-52b3da59a7d0': { says: 'Left voicemail', result: 'voicemail' },
  '73a0d17f-1163-4015-bdd5-ec830791da20': { says: 'No answer', result: 'no_answer' },
  '17b47fee-58de-441e-a44c-c6300d46f273': { says: 'Wrong number', result: 'answered' },
}

/** Statuses of a call that goes on; every other one, and none, is of a call that is over. */
const UNDERWAY: Readonly<Record<string, Phase>> = {
  QUEUED: 'ringing',
  CONNECTING: 'ringing',
  CALLING_CRM_USER: 'ringing',
  RINGING: 'ringing',
  IN_PROGRESS: 'answered',
  HOLD: 'answered',
}

const RESULTS: Readonly<Record<string, Result>> = {
  BUSY: 'busy',
  NO_ANSWER: 'no_answer',
  FAILED: 'failed',
  CANCELED: 'abandoned',
}

/** Whom a call is with and who handled it, read beside it. */
export interface Beside {
  contacts: readonly CrmObject[]
  owner: Owner | null
}

/** The call, and the link to its recording by itself: it may come long after the call. */
export function toEvents(
  record: CrmObject,
  beside: Beside,
  { connection, region }: { connection: string; region: string | undefined },
): CallEvent[] {
  const { id, properties } = record
  const phase = UNDERWAY[properties.hs_call_status?.toUpperCase() ?? ''] ?? 'ended'
  const changedAt = isoOf(properties.hs_lastmodifieddate)
  const at = changedAt === undefined ? {} : { at: changedAt }
  // A link may stand there before there is anything behind it.
  const recording = phase === 'ended' ? recordingOf(record) : null
  const call: CallEvent = {
    // Once for each state of the record, whoever tells of it.
    key: `${id}:${changedAt ?? 'first'}`,
    callId: id,
    phase,
    ...at,
    facts: {
      ...endOf(record, phase),
      ...partiesOf(record, beside, connection, region),
      ...agentOf(beside.owner),
      ...(phase === 'ended' ? expectation(record, recording) : {}),
    },
  }
  if (recording === null) return [call]
  const key = `${id}:recording:${crc32(utf8(recording.url)).toString(16)}`
  return [call, { key, callId: id, phase: 'recorded', ...at, facts: { recordings: [recording] } }]
}

function endOf({ properties }: CrmObject, phase: Phase): Facts {
  const { hs_call_direction: way, hs_call_duration: length } = properties
  const startedAt = isoOf(properties.hs_timestamp)
  const direction = { INBOUND: 'inbound', OUTBOUND: 'outbound' }[way?.toUpperCase() ?? '']
  const outcome = OUTCOMES[properties.hs_call_disposition ?? '']?.says
  const result = phase === 'ended' ? resultOf(properties) : undefined
  const ms = /^\d{1,12}$/.test(length ?? '') ? Number(length) : undefined
  const wasTalked = result === undefined || result === 'answered' || result === 'voicemail'
  return {
    medium: 'voice',
    ...(direction === 'inbound' || direction === 'outbound' ? { direction } : {}),
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(result === undefined ? {} : { result }),
    ...(outcome === undefined ? {} : { outcome }),
    ...(phase === 'ended' && ms !== undefined ? (wasTalked ? { talkMs: ms } : { totalMs: ms }) : {}),
  }
}

/** A call that a person logs is "completed", and only its outcome says that nobody answered. */
function resultOf({
  hs_call_status,
  hs_call_disposition,
  hs_call_has_voicemail,
}: CrmObject['properties']): Result | undefined {
  const status = hs_call_status?.toUpperCase() ?? ''
  const byOutcome = OUTCOMES[hs_call_disposition ?? '']?.result
  if (status === 'COMPLETED') return byOutcome ?? 'answered'
  // With a missed call true means that there is a voicemail (calls guide).
  if (status === 'MISSED') return hs_call_has_voicemail === 'true' ? 'voicemail' : 'no_answer'
  return RESULTS[status] ?? byOutcome
}

function partiesOf(
  { properties }: CrmObject,
  { contacts }: Beside,
  connection: string,
  region: string | undefined,
): Facts {
  const party = (raw: string | null | undefined) =>
    raw ? { phone: normalisePhone(raw, region).e164, phoneRaw: raw.slice(0, 256) } : undefined
  const from = party(properties.hs_call_from_number)
  const dialed = party(properties.hs_call_to_number)
  const way = properties.hs_call_direction?.toUpperCase()
  const outside = way === 'INBOUND' ? from : way === 'OUTBOUND' ? dialed : undefined
  const contact = contactOf(properties, contacts, outside?.phone ?? null, region)
  const { email } = contact?.properties ?? {}
  const customer = {
    ...outside,
    ...(contact ? { crm: { [connection]: contact.id }, ...shortName(contact) } : {}),
    ...(email ? { email: email.slice(0, 320) } : {}),
  }
  return {
    ...(from ? { from } : {}),
    ...(dialed ? { dialed } : {}),
    ...(Object.keys(customer).length > 0 ? { customer } : {}),
  }
}

/** The other party that HubSpot names; of several contacts the one with the number, else the oldest. */
function contactOf(
  { hs_call_callee_object_id: named }: CrmObject['properties'],
  contacts: readonly CrmObject[],
  phone: string | null,
  region: string | undefined,
): CrmObject | undefined {
  const sorted = contacts.toSorted((a, b) => byId(a.id, b.id))
  const withIt = phone === null ? [] : withNumber(sorted, phone, region)
  return sorted.find(({ id }) => id === named) ?? withIt[0] ?? sorted[0]
}

function shortName(contact: CrmObject): { name?: string } {
  const { name } = nameOf(contact)
  return name === undefined ? {} : { name: name.slice(0, 256) }
}

function agentOf(owner: Owner | null): Facts {
  if (!owner) return {}
  const { id, email, firstName, lastName } = owner
  const name = [firstName, lastName].filter(Boolean).join(' ')
  return {
    agent: {
      id,
      ...(name === '' ? {} : { name: name.slice(0, 256) }),
      ...(email ? { email: email.slice(0, 320) } : {}),
    },
  }
}

const FORMATS: Readonly<Record<string, NonNullable<Recording['format']>>> = {
  mp3: 'mp3',
  wav: 'wav',
  ogg: 'ogg',
  flac: 'flac',
  m4a: 'm4a',
  webm: 'webm',
  mp4: 'mp4',
}

/** HubSpot takes https links only. */
function recordingOf({ id, properties }: CrmObject): (Recording & { url: string }) | null {
  const url = URL.parse(properties.hs_call_recording_url ?? '')
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '') return null
  if (url.href.length > 4096) return null
  const format = FORMATS[/\.([a-z0-9]{3,4})$/i.exec(url.pathname)?.[1]?.toLowerCase() ?? '']
  return { key: id, url: url.href, state: 'ready', ...(format === undefined ? {} : { format }) }
}

/** A call that nobody answered has nothing to wait for; of any other it is not known. */
function expectation({ properties }: CrmObject, recording: Recording | null): Facts {
  if (recording) return { recordingExpected: true }
  const result = resultOf(properties)
  const isSilent = result !== undefined && result !== 'answered' && result !== 'voicemail'
  return isSilent ? { recordingExpected: false } : {}
}

function isoOf(value: string | null | undefined): string | undefined {
  const ms = instantOf(value)
  return ms > 0 && ms < 8.64e15 ? new Date(ms).toISOString() : undefined
}
