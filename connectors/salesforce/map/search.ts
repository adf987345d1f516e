import { nationalForm, phoneSpellings } from '../../../src/call/phone.ts'
import type { Config } from '../schema.ts'

/** How Salesforce is asked for a number. */

/**
 * Reserved in a search: each needs a backslash before it.
 * https://developer.salesforce.com/docs/platform/salesforce-soql-sosl/guide/sforce-api-calls-sosl-examples.md (read 2026-11-20)
 */
const RESERVED = /[&|!(){}[\]^"~*?:\\'+-]/g

/** A text inside FIND { }, where nothing of it is a sign of the language. */
export function escaped(text: string): string {
  return text.replaceAll(RESERVED, '\\$&')
}

const COMMON = 'Id, Name, OwnerId, LastActivityDate, CreatedDate'
/** Far more than share one number; beyond it nobody could choose anyhow. */
const MOST = 50

/** The fields of each object that a record is matched by, which no org lacks; those of persons only where it says so. */
export function fieldsOf(
  type: 'Contact' | 'Lead' | 'Account',
  { personAccounts }: Pick<Config, 'personAccounts'>,
) {
  if (type === 'Contact') return `${COMMON}, Phone, MobilePhone, HomePhone, OtherPhone`
  if (type === 'Lead') return `${COMMON}, Phone, MobilePhone, IsConverted`
  const person = 'IsPersonAccount, PersonContactId, PersonMobilePhone, PersonHomePhone, PersonOtherPhone'
  return personAccounts ? `${COMMON}, Phone, ${person}` : `${COMMON}, Phone`
}

/**
 * All spellings of a number at once, each as a phrase, and its national digits behind a wildcard for whoever wrote a trunk 0
 * or a country code before them. What the index makes of a number is not documented: whoever is found is compared here.
 */
export function phoneSearch(e164: string, config: Pick<Config, 'personAccounts'>): string {
  const phrases = phoneSpellings(e164).map((spelling) => `"${escaped(spelling)}"`)
  const digits = nationalForm(e164) ?? e164.replace(/\D/g, '')
  const returning = [
    `Contact(${fieldsOf('Contact', config)} LIMIT ${MOST})`,
    `Lead(${fieldsOf('Lead', config)} WHERE IsConverted = false LIMIT ${MOST})`,
    `Account(${fieldsOf('Account', config)} LIMIT ${MOST})`,
  ]
  return `FIND {${[...phrases, `*${digits}`].join(' OR ')}} IN PHONE FIELDS RETURNING ${returning.join(', ')}`
}
