import { phoneTail } from '../../../src/call/phone.ts'
import type { SandboxRecord } from '../../../src/connector/sandbox.ts'
import { msOf, phoneIndex } from './search.ts'

/** The records of one account. */

export const KINDS = {
  contacts: 'contact',
  companies: 'company',
  deals: 'deal',
  calls: 'call',
  notes: 'note',
  tasks: 'task',
} as const
export type Kind = (typeof KINDS)[keyof typeof KINDS]

export interface Stored {
  id: string
  kind: Kind
  properties: Record<string, string | null>
  /** `<kind>/<id>` of the records it stands on, and of what stands on it. */
  on: Set<string>
  createdAt: number
  updatedAt: number
  searchableAt: number
  /** What HubSpot works out of the numbers: searchable, not writable. */
  phones: Record<string, string>
}

export type Records = ReturnType<typeof createRecords>

export interface RecordOptions {
  now(): number
  nextId(): string
  region: string | undefined
  indexLagMs: number
}

export function createRecords({ now, nextId, region, indexLagMs }: RecordOptions) {
  const all = new Map<string, Stored>()
  /** By the last seven digits of a number, so that a search does not read every contact. */
  const byTail = new Map<string, Set<Stored>>()

  function index(record: Stored): void {
    record.phones = phoneIndex(record, region)
    const { phone: desk, mobilephone: mobile } = record.properties
    for (const phone of [desk, mobile, ...Object.values(record.phones)]) {
      const tail = phoneTail(phone ?? '')
      if (tail !== '') byTail.set(tail, (byTail.get(tail) ?? new Set()).add(record))
    }
  }

  return {
    all,
    byTail,
    of: (kind: Kind, id: string | undefined): Stored | undefined => all.get(`${kind}/${id}`),

    store(kind: Kind, properties: Record<string, string>, searchableAt = now() + indexLagMs): Stored {
      const at = now()
      const id = nextId()
      const on = new Set<string>()
      const times = { createdAt: at, updatedAt: at, searchableAt }
      const record: Stored = { id, kind, properties: { ...properties }, on, ...times, phones: {} }
      all.set(`${kind}/${id}`, record)
      index(record)
      return record
    },

    change(record: Stored, properties: Record<string, string>): Stored {
      Object.assign(record.properties, properties)
      record.updatedAt = now()
      index(record)
      return record
    },

    remove(record: Stored): void {
      all.delete(`${record.kind}/${record.id}`)
      for (const set of byTail.values()) set.delete(record)
      for (const other of all.values()) other.on.delete(`${record.kind}/${record.id}`)
    },

    join(one: Stored, other: Stored): void {
      one.on.add(`${other.kind}/${other.id}`)
      other.on.add(`${one.kind}/${one.id}`)
    },
  }
}

export const idsOn = ({ on }: Stored, kind: Kind | undefined): string[] =>
  [...on].filter((key) => key.startsWith(`${kind}/`)).map((key) => key.split('/')[1] ?? '')

/** Instants come back as ISO 8601, however they were written. */
export function heldBy(record: Stored): Record<string, string | null> {
  const { properties, phones, id, createdAt, updatedAt, kind } = record
  const at = properties.hs_timestamp
  const iso = (ms: number) => new Date(ms).toISOString()
  return {
    createdate: iso(createdAt),
    [kind === 'contact' ? 'lastmodifieddate' : 'hs_lastmodifieddate']: iso(updatedAt),
    ...properties,
    ...(at && !Number.isNaN(msOf(at)) ? { hs_timestamp: iso(msOf(at)) } : {}),
    ...phones,
    hs_object_id: id,
  }
}

/** What a record always shows; everything else only where it is asked for. */
const ALWAYS = ['hs_object_id', 'createdate', 'hs_lastmodifieddate', 'lastmodifieddate']

export function shown(record: Stored, asked: readonly string[], associations = ''): Record<string, unknown> {
  const named: Record<string, { results: { id: string; type: string }[] }> = {}
  for (const type of associations.split(',').filter(Boolean)) {
    const kind = KINDS[type as keyof typeof KINDS]
    const ids = idsOn(record, kind)
    if (ids.length > 0)
      named[type] = { results: ids.map((id) => ({ id, type: `${record.kind}_to_${kind}` })) }
  }
  const held = heldBy(record)
  const names = [...new Set([...ALWAYS, ...asked])].filter((name) => asked.includes(name) || name in held)
  return {
    id: record.id,
    properties: Object.fromEntries(names.map((name) => [name, held[name] ?? null])),
    createdAt: new Date(record.createdAt).toISOString(),
    updatedAt: new Date(record.updatedAt).toISOString(),
    archived: false,
    ...(Object.keys(named).length > 0 ? { associations: named } : {}),
  }
}

export const entryOf = ({ kind, id, properties, on }: Stored): SandboxRecord => ({
  kind,
  id,
  key: keyOf(properties),
  fields: { ...properties, associations: [...on].sort() },
})

function keyOf(properties: Stored['properties']): string | null {
  const body = properties.hs_call_body ?? properties.hs_note_body ?? properties.hs_task_body ?? ''
  return properties.hs_call_external_id ?? /<p>Cordboard ref ([^<]+)<\/p>$/.exec(body)?.[1] ?? null
}
