import { normalisePhone } from '../../../src/call/phone.ts'
import { sameNumber } from '../../../src/connector/crm-match.ts'
import type { Candidate } from '../../../src/connector/crm-role.ts'
import type { CrmObject } from '../schema.ts'

/** Whose call it is: HubSpot's records as candidates. */

const PHONES = ['phone', 'mobilephone']
export const CONTACT_PROPERTIES = [
  ...PHONES,
  'firstname',
  'lastname',
  'email',
  'hubspot_owner_id',
  'notes_last_contacted',
  'createdate',
]
export const COMPANY_PROPERTIES = ['phone', 'name', 'hubspot_owner_id', 'notes_last_contacted', 'createdate']

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

/** What costs requests of its own. */
export interface Facts {
  /** The agent's id among the owners. */
  agent?: string
  /** By the record's id. Not there: it is not known. */
  openDeals?: ReadonlyMap<string, boolean>
}

/** Whoever was in touch last comes first; the oldest record at last, so that the order never depends on chance. */
export function asCandidates(
  type: 'contact' | 'company',
  records: readonly CrmObject[],
  now: number,
  { agent, openDeals }: Facts = {},
): Candidate[] {
  const known = records.map((record) => {
    const { hubspot_owner_id, notes_last_contacted, createdate } = record.properties
    return {
      record,
      owner: hubspot_owner_id || undefined,
      hasOpenDeal: openDeals?.get(record.id),
      contactedAt: instantOf(notes_last_contacted),
      createdAt: instantOf(createdate),
    }
  })
  known.sort((a, b) => b.contactedAt - a.contactedAt || byId(a.record.id, b.record.id))
  return known.map(({ record, owner, hasOpenDeal, contactedAt, createdAt }) => ({
    type,
    id: record.id,
    ...nameOf(record),
    reason: [
      sameNumber(known.length),
      owner ? 'has an owner' : 'has no owner',
      contactedAt > 0 ? `last contacted ${ago(now - contactedAt)}` : 'no contact noted',
    ].join(', '),
    ...(contactedAt > 0 ? { lastActivityAt: new Date(contactedAt).toISOString() } : {}),
    ...(createdAt > 0 ? { createdAt: new Date(createdAt).toISOString() } : {}),
    ...(agent === undefined ? {} : { isAgents: owner === agent }),
    ...(hasOpenDeal === undefined ? {} : { hasOpenDeal }),
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

export function instantOf(value: string | null | undefined): number {
  const ms = value ? (/^\d+$/.test(value) ? Number(value) : Date.parse(value)) : 0
  return Number.isFinite(ms) ? ms : 0
}

function ago(ms: number): string {
  const days = Math.floor(ms / 86_400_000)
  if (days < 1) return 'today'
  return days === 1 ? 'yesterday' : `${days} days ago`
}
