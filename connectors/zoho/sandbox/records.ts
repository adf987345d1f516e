import { asObject } from '../../../src/connector/json.ts'

/** What the organisation holds, and what it says against a record. */

export type Fields = Record<string, unknown>
export interface Stored {
  module: string
  id: string
  fields: Fields
  createdAt: number
  searchableAt: number
}

export interface Refused {
  code: 'INVALID_DATA' | 'MANDATORY_NOT_FOUND' | 'DUPLICATE_DATA'
  details: Record<string, unknown>
  message: string
}

const MANDATORY: Readonly<Record<string, readonly string[]>> = {
  Contacts: ['Last_Name'],
  Leads: ['Last_Name', 'Company'],
  Accounts: ['Account_Name'],
  Calls: ['Subject', 'Call_Type', 'Call_Start_Time', 'Call_Duration'],
  Tasks: ['Subject'],
  Notes: ['Note_Content'],
}
const MOST_TEXT = 32_000

export const text = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : ''

/** What Zoho would say against it; null when it takes it. `self`: the record that is changed. */
export function objection(
  module: string,
  fields: Fields,
  self: Stored | undefined,
  world: { of(module: string): Stored[]; unique: string | undefined; isUser(id: string): boolean },
): Refused | null {
  const invalid = (api_name: string, message = 'invalid data'): Refused => ({
    code: 'INVALID_DATA',
    details: { api_name, expected_data_type: 'text' },
    message,
  })
  for (const name of self ? [] : (MANDATORY[module] ?? [])) {
    const details = { api_name: name }
    if (text(fields[name]) === '')
      return { code: 'MANDATORY_NOT_FOUND', details, message: 'required field not found' }
  }
  for (const [name, value] of Object.entries(fields)) if (text(value).length > MOST_TEXT) return invalid(name)
  if (module === 'Calls') {
    const { Call_Type, Call_Start_Time, Call_Duration, Call_Duration_in_seconds: seconds } = fields
    if (Call_Type !== undefined && !['Inbound', 'Outbound', 'Missed'].includes(text(Call_Type)))
      return invalid('Call_Type')
    if (Call_Start_Time !== undefined && !isZoned(Call_Start_Time)) return invalid('Call_Start_Time')
    if (Call_Duration !== undefined && !/^(?:\d{2}:)?\d{2}:\d{2}$/.test(text(Call_Duration)))
      return invalid('Call_Duration')
    if (seconds !== undefined && !Number.isInteger(seconds)) return invalid('Call_Duration_in_seconds')
  }
  if (fields.Due_Date !== undefined && !/^\d{4}-\d\d-\d\d$/.test(text(fields.Due_Date)))
    return invalid('Due_Date')
  const [who, what, owner] = [fields.Who_Id, fields.What_Id, fields.Owner].map((value) => asObject(value)?.id)
  const exists = (of: string, id: unknown) => world.of(of).some((record) => record.id === id)
  if (who !== undefined && !exists('Contacts', who)) return invalid('Who_Id')
  if (what !== undefined && !exists(text(fields.$se_module), what)) return invalid('What_Id')
  if (owner !== undefined && !world.isUser(text(owner))) return invalid('Owner')
  for (const name of uniqueOf(module, world.unique)) {
    const value = text(fields[name]).toLowerCase()
    const double = world
      .of(module)
      .find((record) => record !== self && text(record.fields[name]).toLowerCase() === value)
    if (value !== '' && double)
      return { code: 'DUPLICATE_DATA', details: { api_name: name, id: double.id }, message: 'duplicate data' }
  }
  return null
}

/** The record that a call or a task stands on, by our name of its module. */
export function holderOf({ Who_Id, What_Id, $se_module }: Fields): { type: string; id: string } | null {
  const who = asObject(Who_Id)?.id
  if (who !== undefined) return { type: 'contact', id: text(who) }
  const type = /^(Lead|Account|Deal)s$/.exec(text($se_module))?.[1]?.toLowerCase()
  const what = asObject(What_Id)?.id
  return type !== undefined && what !== undefined ? { type, id: text(what) } : null
}

const uniqueOf = (module: string, own: string | undefined): string[] => {
  if (module === 'Calls') return own === undefined ? [] : [own]
  return module === 'Contacts' || module === 'Leads' ? ['Email'] : []
}

export const isZoned = (value: unknown): boolean =>
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$/.test(text(value))

/** `(A:equals:x)`, or several of them between `and` or `or`, in brackets; a backslash before brackets and commas. */
export function matches(record: Stored, criteria: string): boolean {
  const bare = /^\(\(/.test(criteria) ? criteria.slice(1, -1) : criteria
  const parts = bare.split(/(?<=[^\\]\))(?:and|or)(?=\()/)
  if (parts.length > 10) return false
  const results = parts.map((part) => holds(record, part.slice(1, -1)))
  return /[^\\]\)and\(/.test(bare) ? results.every(Boolean) : results.some(Boolean)
}

function holds({ fields }: Stored, criterion: string): boolean {
  const [, name = '', operator, said = ''] = /^(\w+):(\w+):(.*)$/s.exec(criterion) ?? []
  // Brackets and commas of a value that nothing escapes break the criteria.
  if (operator !== 'between' && /(?<!\\)[(),]/.test(said)) return false
  const held = fields[name]
  const value = said.replace(/\\(.)/g, '$1')
  const ms = (instant: unknown) => Date.parse(text(instant))
  if (operator === 'between') {
    const [from, to] = said.split(',').map(ms)
    return ms(held) >= Number(from) && ms(held) <= Number(to)
  }
  if (isZoned(value)) return ms(held) === ms(value)
  const own = asObject(held)?.id ?? held
  return text(own) === value
}
