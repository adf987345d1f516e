import { z } from 'zod'
import { nationalForm, normalisePhone, phoneTail } from '../../../src/call/phone.ts'
import type { Records, Stored } from './records.ts'

/** HubSpot's search (search guide, read 2026-11-20). */

const FILTER = z.discriminatedUnion('operator', [
  z.object({ propertyName: z.string(), operator: z.enum(['EQ', 'CONTAINS_TOKEN']), value: z.string() }),
  z.object({
    propertyName: z.string(),
    operator: z.literal('BETWEEN'),
    value: z.string(),
    highValue: z.string(),
  }),
  z.object({ propertyName: z.string(), operator: z.literal('IN'), values: z.array(z.string()).min(1) }),
])
type Filter = z.output<typeof FILTER>

export const SEARCH = z.object({
  filterGroups: z.array(z.object({ filters: z.array(FILTER).min(1).max(6) })).max(5),
  properties: z.array(z.string()).default([]),
  sorts: z.array(z.string()).max(1).default([]),
  limit: z.int().min(1).max(200).default(10),
  after: z.string().regex(/^\d+$/).default('0'),
})
type Groups = z.output<typeof SEARCH>['filterGroups']

/** Area code and local number, without the country code: how the search guide describes the phone index. */
export function phoneIndex(
  { kind, properties }: Pick<Stored, 'kind' | 'properties'>,
  region: string | undefined,
): Record<string, string> {
  if (kind !== 'contact') return {}
  const national = (phone: string | null | undefined) => {
    const { e164 } = normalisePhone(phone, region)
    return (e164 && nationalForm(e164)) ?? phone?.replace(/\D/g, '') ?? ''
  }
  return {
    hs_searchable_calculated_phone_number: national(properties.phone),
    hs_searchable_calculated_mobile_number: national(properties.mobilephone),
  }
}

/** All records that a search might mean: those with the end of a number, where it looks for numbers only. */
export function candidates({ all, byTail }: Records, groups: Groups): Iterable<Stored> {
  const tails = groups.flatMap(({ filters }) => filters.flatMap(tailsOf))
  if (tails.length === 0 || tails.some((tail) => tail.length < 7)) return all.values()
  return new Set(tails.flatMap((tail) => [...(byTail.get(tail) ?? [])]))
}

function tailsOf(filter: Filter): string[] {
  if (filter.operator === 'BETWEEN') return ['']
  return filter.operator === 'IN' ? filter.values.map(phoneTail) : [phoneTail(filter.value)]
}

export function matches(held: Readonly<Record<string, string | null>>, groups: Groups): boolean {
  return groups.some(({ filters }) =>
    filters.every((filter) => fits(held[filter.propertyName] ?? '', filter)),
  )
}

function fits(held: string, filter: Filter): boolean {
  if (held === '') return false
  const text = held.toLowerCase()
  if (filter.operator === 'EQ') return text === filter.value.toLowerCase()
  // As the guide says: values of text must be lower case here, whatever stands in the field.
  if (filter.operator === 'IN') return filter.values.includes(text)
  if (filter.operator === 'BETWEEN') {
    const at = msOf(held)
    return at >= Number(filter.value) && at <= Number(filter.highValue)
  }
  const { value } = filter
  const wanted = value.toLowerCase().replaceAll('*', '')
  return text
    .split(/[^\p{L}\p{N}]+/u)
    .some(
      (token) =>
        token === wanted ||
        (value.startsWith('*') && token.endsWith(wanted)) ||
        (value.endsWith('*') && token.startsWith(wanted)),
    )
}

export const msOf = (held: string): number => (/^\d+$/.test(held) ? Number(held) : Date.parse(held))
