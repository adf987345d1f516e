import { nationalForm, phoneSpellings } from '../../../src/call/phone.ts'
import { COMPANY_PROPERTIES, CONTACT_PROPERTIES } from '../map/match.ts'
import type { Filter, Search } from '../schema.ts'

/** Far more than share one number; beyond it nobody could choose anyhow. */
const MAX_FOUND = 100

const search = (filters: Filter[], properties: string[], limit = MAX_FOUND): Search => ({
  filterGroups: filters.map((filter) => ({ filters: [filter] })),
  properties,
  limit,
})

const token = (propertyName: string, national: string): Filter => ({
  propertyName,
  operator: 'CONTAINS_TOKEN',
  // With a wildcard, for whoever wrote the trunk 0 and was not understood.
  value: `*${national}`,
})
const spelt = (propertyName: string, e164: string): Filter => ({
  propertyName,
  operator: 'IN',
  values: phoneSpellings(e164),
})

/**
 * Every spelling of a number, in the five groups a search may have. HubSpot indexes numbers as area code and local
 * number without the country code (search guide); the property names of that index are only known from other users,
 * so `plain` searches without them. https://developers.hubspot.com/docs/api-reference/latest/crm/search-the-crm
 */
export function contactSearch(e164: string, spelling: 'indexed' | 'plain'): Search {
  const national = nationalForm(e164) ?? e164.slice(1)
  const indexed = [
    token('hs_searchable_calculated_phone_number', national),
    token('hs_searchable_calculated_mobile_number', national),
  ]
  return search(
    [
      token('phone', national),
      token('mobilephone', national),
      spelt('phone', e164),
      ...(spelling === 'indexed' ? indexed : [spelt('mobilephone', e164)]),
    ],
    CONTACT_PROPERTIES,
  )
}

export function companySearch(e164: string): Search {
  const national = nationalForm(e164) ?? e164.slice(1)
  return search([spelt('phone', e164), token('phone', national)], COMPANY_PROPERTIES)
}

export function emailSearch(email: string): Search {
  return search([{ propertyName: 'email', operator: 'EQ', value: email }], CONTACT_PROPERTIES)
}

/** Activities of one instant: it is ours to choose, so few others share it, and no word has to be indexed. */
export function instantSearch(at: string, properties: string[]): Search {
  const ms = Date.parse(at)
  return search(
    [
      {
        propertyName: 'hs_timestamp',
        operator: 'BETWEEN',
        value: String(ms - 1000),
        highValue: String(ms + 1000),
      },
    ],
    properties,
    200,
  )
}

/** Calls that took place between two instants, or were changed then: whoever logs a call late writes an old time. */
export function windowSearch(from: number, to: number, properties: string[]): Search {
  const within = (propertyName: string): Filter => ({
    propertyName,
    operator: 'BETWEEN',
    value: String(from),
    highValue: String(to),
  })
  const found = search([within('hs_timestamp'), within('hs_lastmodifieddate')], properties, 200)
  return { ...found, sorts: ['hs_timestamp'] }
}
