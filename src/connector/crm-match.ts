import type { Preference } from './crm-role.ts'

/** What every CRM says of the records that carry a number, and when it tells them apart. */

/** Of more records than these nobody chooses by a rule: what costs requests of its own is not asked for. */
const MOST_TO_TELL_APART = 20

/** Whether a fact of so many records is worth its requests: the rule looks at it, and there is something to decide. */
export const asks =
  (records: number, asked: readonly Preference[]) =>
  (...facts: Preference[]): boolean =>
    records > 1 && records <= MOST_TO_TELL_APART && facts.some((fact) => asked.includes(fact))

/** Why a record is a candidate, where the phone system brought its id. */
export const NAMED = 'the phone system named this record'

/** Why it is one, where several carry the number. */
export const sameNumber = (records: number): string =>
  records === 1 ? 'same number' : `same number as ${records - 1} more`
