import type { CrmChange } from '../../../src/connector/crm-role.ts'
import { kindOf, longId } from './id.ts'

/** Kinds of records that calls are written on, and how `match` names them. */
const TYPES: Readonly<Record<string, string>> = { Contact: 'contact', Lead: 'lead', Account: 'account' }

/** A record that is gone; null where no call could stand on it. */
export function changeOf({
  change,
  id,
  into,
}: {
  change: CrmChange['change']
  id: string
  into: string | null
}): CrmChange | null {
  const gone = longId(id)
  const type = TYPES[kindOf(gone) ?? '']
  if (gone === null || type === undefined) return null
  if (change !== 'merged') return { change, type, id: gone }
  // Merged into nobody knows what: its calls are matched anew.
  return into === null ? { change: 'deleted', type, id: gone } : { change, type, id: gone, into }
}
