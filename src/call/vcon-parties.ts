import type { Turn } from './analysis.ts'
import type { Call, Recording, Result } from './call.ts'
import { normalisePhone } from './phone.ts'
import { MEDIA_TYPES } from './vcon-call.ts'
import type { Vcon, VconDialog, VconParty } from './vcon-schema.ts'

/** Parties and dialogs of a vCon as the fields of a call; the other way is vcon-call.ts. */

const RESULTS: Readonly<Record<string, Result>> = {
  'no-answer': 'no_answer',
  busy: 'busy',
  failed: 'failed',
  congestion: 'failed',
  'hung-up': 'abandoned',
  'voicemail-no-message': 'voicemail',
}

/** What the standard's members say of the call. Nothing is guessed: without roles nobody is the customer. */
export function callFrom(file: Vcon, given?: Call['direction']): Partial<Call> {
  const { parties, dialog } = file
  const calls = dialog.filter(({ type }) => type === 'recording' || type === 'incomplete')
  const texts = dialog.filter(({ type }) => type === 'text')
  const [first] = calls.length > 0 ? calls : texts
  const { customer, agent } = placesOf(parties, first, given)
  const direction = directionOf(calls[0], customer, agent) ?? given
  const said = calls.find(({ disposition }) => disposition !== undefined)?.disposition
  const known = said !== undefined && Object.hasOwn(RESULTS, said) ? RESULTS[said] : undefined
  const result = said === undefined ? undefined : (known ?? 'failed')
  const turns = texts.length > 0 && calls.length === 0 ? turnsOf(texts, file) : null
  const total = totalOf(calls)
  return {
    medium: turns
      ? 'text'
      : calls.some(({ mediatype }) => mediatype?.startsWith('video/'))
        ? 'video'
        : 'voice',
    ...(direction ? { direction } : {}),
    ...(direction && parties.some(({ role }) => role !== undefined)
      ? numbersOf(parties, direction, customer)
      : endsOf(parties, first)),
    ...(result ? { result } : {}),
    ...(first?.start ? { startedAt: first.start } : {}),
    ...(total === null ? {} : { totalMs: total }),
    ...(parties[customer] ? { customer: customerFrom(parties[customer]) } : {}),
    ...(parties[agent] ? { agent: agentFrom(parties[agent]) } : {}),
    legs: [],
    recordings: recordingsFrom(file),
    ...(turns ? { transcript: { turns } } : {}),
    tags: [],
    meta: {},
  }
}

/** By their roles; in a file without any, by who began it, where the direction is known. */
function placesOf(parties: readonly VconParty[], dialog: VconDialog | undefined, given: Call['direction']) {
  const place = (role: string) => parties.findIndex((party) => party.role?.toLowerCase() === role)
  const roles = { customer: place('customer'), agent: place('agent') }
  if (roles.customer >= 0 || roles.agent >= 0 || given === undefined || given === 'internal') return roles
  const began = dialog?.originator ?? 0
  const other = parties.findIndex((_, index) => index !== began)
  return given === 'inbound' ? { customer: began, agent: other } : { customer: other, agent: began }
}

function directionOf(dialog: VconDialog | undefined, customer: number, agent: number): Call['direction'] {
  if (dialog?.originator === undefined || customer < 0) return undefined
  if (dialog.originator === customer) return 'inbound'
  return dialog.originator === agent ? 'outbound' : undefined
}

const phoneOf = (written: string) => {
  const raw = written.replace(/^tel:/i, '').slice(0, 256)
  return { phone: normalisePhone(raw).e164, phoneRaw: raw }
}

const numberOf = ({ tel: number, sip }: VconParty) => {
  const written = number ?? sip
  return written === undefined ? undefined : phoneOf(written)
}

/** The line of ours is the party that is neither. */
function numbersOf(
  parties: readonly VconParty[],
  direction: 'inbound' | 'outbound' | 'internal',
  customer: number,
) {
  const theirs = parties[customer] && numberOf(parties[customer])
  const line = parties.find((party) => party.role === undefined && party.type === 'organization')
  const ours = line && numberOf(line)
  const [from, dialed] = direction === 'outbound' ? [ours, theirs] : [theirs, ours]
  return { ...(from ? { from } : {}), ...(dialed ? { dialed } : {}) }
}

/** Of files without roles: who began it, and the first other party with a number. */
function endsOf(parties: readonly VconParty[], dialog: VconDialog | undefined) {
  const at = dialog?.originator ?? 0
  const from = parties[at] && numberOf(parties[at])
  const other = parties.find((party, index) => index !== at && numberOf(party) !== undefined)
  const dialed = other && numberOf(other)
  return { ...(from ? { from } : {}), ...(dialed ? { dialed } : {}) }
}

const short = (text: string | undefined, most: number) =>
  text === undefined || text === '' ? null : text.slice(0, most)

function personFrom({ uuid, name, mailto }: VconParty) {
  const [id, called, email] = [
    short(uuid, 256),
    short(name, 256),
    short(mailto?.replace(/^mailto:/i, ''), 320),
  ]
  return { ...(id ? { id } : {}), ...(called ? { name: called } : {}), ...(email ? { email } : {}) }
}

const customerFrom = (party: VconParty): Call['customer'] => ({
  ...(numberOf(party) ?? { phone: null, phoneRaw: '' }),
  ...personFrom(party),
})

function agentFrom(party: VconParty): Call['agent'] {
  const group = short(party.dept, 256)
  return { ...personFrom(party), ...(group ? { group } : {}) }
}

function totalOf(calls: readonly VconDialog[]): number | null {
  const [first] = calls
  return calls.length === 1 && first?.duration !== undefined ? Math.round(first.duration * 1000) : null
}

/** Recordings that can be had: those with a link. What stands in the file itself is the business of whoever stores it. */
function recordingsFrom({ dialog, parties }: Vcon): Recording[] {
  return dialog.flatMap((one, index) => {
    if (one.type !== 'recording' || !one.url?.startsWith('https://') || !URL.canParse(one.url)) return []
    return [{ ...recordingFrom(one, index, parties), url: one.url }]
  })
}

/** The recording of a dialog, without where it is. Its key is the dialog's place, which never changes. */
export function recordingFrom(dialog: VconDialog, index: number, parties: readonly VconParty[]): Recording {
  const format = formatOf(dialog)
  const hash = [dialog.content_hash ?? []].flat().find((one) => SHA512.test(one))
  const channels =
    Array.isArray(dialog.parties) && dialog.parties.length === 2 ? tracksOf(dialog.parties, parties) : null
  return {
    key: `dialog-${index}`,
    ...(format ? { format } : {}),
    ...(dialog.duration === undefined ? {} : { durationMs: Math.round(dialog.duration * 1000) }),
    ...(channels ?? {}),
    ...(hash === undefined ? {} : { contentHash: hash }),
    state: 'ready',
  }
}

export const SHA512 = /^sha512-[\w-]{86}$/

/** Two parties are two tracks only where the file says so by a null or a list: two people on one track look the same. */
function tracksOf(
  listed: readonly unknown[],
  parties: readonly VconParty[],
): Pick<Recording, 'channels' | 'tracks'> | null {
  if (!listed.some((one) => one === null || Array.isArray(one))) return null
  const roleOf = (one: unknown): 'agent' | 'customer' | 'both' | undefined => {
    if (Array.isArray(one)) return one.length > 1 ? 'both' : roleOf(one[0])
    const role = typeof one === 'number' ? parties[one]?.role?.toLowerCase() : undefined
    return role === 'agent' || role === 'customer' ? role : undefined
  }
  const [left, right] = [roleOf(listed[0]), roleOf(listed[1])]
  return { channels: 2, tracks: { ...(left ? { left } : {}), ...(right ? { right } : {}) } }
}

const FORMATS = Object.keys(MEDIA_TYPES) as NonNullable<Recording['format']>[]
const SPELLINGS: Readonly<Record<string, Recording['format']>> = {
  mpeg: 'mp3',
  wave: 'wav',
  vnd: 'wav',
  mp4: 'm4a',
  aac: 'm4a',
  basic: 'au',
}

function formatOf({ mediatype, filename }: VconDialog): Recording['format'] {
  const [, kind = '', name = ''] = /^(audio|video)\/(?:x-)?([a-z0-9]+)/i.exec(mediatype ?? '') ?? []
  const ending = /\.([a-z0-9]+)$/i.exec(filename ?? '')?.[1]?.toLowerCase()
  const spelt = name.toLowerCase()
  if (kind === 'video' && spelt === 'mp4') return 'mp4'
  const known =
    FORMATS.find((format) => format === spelt && format !== 'mp4') ??
    (Object.hasOwn(SPELLINGS, spelt) ? SPELLINGS[spelt] : undefined)
  return known ?? FORMATS.find((format) => format === ending)
}

function turnsOf(texts: readonly VconDialog[], { parties, dialog }: Vcon): Turn[] {
  const startedAt = dialog[0]?.start
  return texts.map((one) => {
    const [listed] = [one.parties ?? []].flat()
    const by = one.originator ?? (typeof listed === 'number' ? listed : undefined)
    const party = by === undefined ? undefined : parties[by]
    const role = party?.role?.toLowerCase()
    const ms = one.start && startedAt ? Date.parse(one.start) - Date.parse(startedAt) : -1
    const label = short(party?.name, 128)
    return {
      ...(role === 'agent' || role === 'customer'
        ? { party: role }
        : { party: 'other' as const, ...(label ? { label } : {}) }),
      text: typeof one.body === 'string' ? one.body : '',
      ...(ms >= 0 ? { startMs: ms } : {}),
    }
  })
}
