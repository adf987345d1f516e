/** Ids of Salesforce: 15 characters whose case counts, or the same with a checksum of three that makes up for lost case. */

const ID = /^[A-Za-z\d]{15}(?:[A-Za-z\d]{3})?$/
const CHECKS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ012345'

/** The form of 18, so that one record has one id; null where it is none. */
export function longId(text: string | null | undefined): string | null {
  if (typeof text !== 'string' || !ID.test(text)) return null
  const id = text.slice(0, 15)
  let checks = ''
  for (let at = 0; at < 15; at += 5) {
    let bits = 0
    for (let i = 0; i < 5; i += 1) if (/[A-Z]/.test(id.charAt(at + i))) bits |= 1 << i
    checks += CHECKS.charAt(bits)
  }
  return id + checks
}

/** The first three characters say what it is: https://help.salesforce.com/s/articleView?id=000385203 */
const PREFIXES: Readonly<Record<string, string>> = {
  '001': 'Account',
  '003': 'Contact',
  '005': 'User',
  '00Q': 'Lead',
  '00T': 'Task',
}

/** Null: another kind of record. */
export const kindOf = (id: string | null | undefined): string | null =>
  PREFIXES[id?.slice(0, 3) ?? ''] ?? null
