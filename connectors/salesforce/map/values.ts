import { isTimeZone, toWallClock } from '../../../src/call/zone.ts'
import type { CrmField } from '../../../src/connector/crm-role.ts'
import { cut, cutText } from '../../../src/connector/crm-text.ts'
import type { Field } from '../schema.ts'

/** What is planned is text; an org takes numbers, dates and what its own fields allow. */

type Values = Record<string, string | number | boolean>

const WHOLE = ['int', 'long']
const FRACTIONAL = ['double', 'currency', 'percent']
/** Written as they are: nothing of them can be cut off. */
const UNCUT = ['id', 'reference', 'picklist', 'multipicklist', 'url', 'email']
/** Several values in one, files, and what Salesforce works out. */
const NOT_WRITTEN = ['address', 'location', 'base64', 'anyType', 'complexvalue', 'JunctionIdList']

/**
 * The values as the object takes them: what it has no field for, what may not be written there, and what the field refuses is
 * left out and named. Longer texts are cut: since version 15 a text that is too long fails the whole record.
 * https://developer.salesforce.com/docs/atlas.en-us.262.0.api.meta/api/sforce_api_calls_upsert.htm (read 2026-11-20)
 */
export function fitted(
  planned: Readonly<Record<string, string>>,
  fields: readonly Field[],
  way: 'createable' | 'updateable',
  timeZone: string,
): { values: Values; leftOut: string[] } {
  const known = new Map(fields.map((field) => [field.name, field]))
  const values: Values = {}
  const leftOut: string[] = []
  for (const [name, text] of Object.entries(planned)) {
    const field = known.get(name)
    const value = field?.[way] ? written(text, field, timeZone) : null
    if (value === null) leftOut.push(name)
    else values[name] = value
  }
  return { values, leftOut }
}

/** Null: the field does not take it. */
function written(text: string, field: Field, timeZone: string): string | number | boolean | null {
  const { type, length, restrictedPicklist, picklistValues } = field
  if (NOT_WRITTEN.includes(type)) return null
  if (WHOLE.includes(type) || FRACTIONAL.includes(type)) {
    const number = text.trim() === '' ? Number.NaN : Number(text)
    if (!Number.isFinite(number)) return null
    return WHOLE.includes(type) ? Math.round(number) : number
  }
  if (type === 'boolean') return text === 'true' ? true : text === 'false' ? false : null
  if (type === 'date') return dateOf(text, timeZone)
  if (type === 'datetime') {
    const at = Date.parse(text)
    return Number.isNaN(at) ? null : new Date(at).toISOString()
  }
  if (restrictedPicklist && type === 'picklist' && !picklistValues.includes(text)) return null
  if (length === 0 || text.length <= length) return text
  if (UNCUT.includes(type)) return null
  return type === 'textarea' ? cutText(text, length) : cut(text, length)
}

/** A date stands as it is; an instant becomes the day that it is in the owner's zone. */
function dateOf(text: string, timeZone: string): string | null {
  if (/^\d{4}-\d\d-\d\d$/.test(text)) return text
  const at = Date.parse(text)
  if (Number.isNaN(at)) return null
  return toWallClock(at, isTimeZone(timeZone) ? timeZone : 'UTC').slice(0, 10)
}

/** A field as a mapping may name it. `ours`: those that a call is written with anyway. */
export function asCrmField(field: Field, ours: readonly string[]): CrmField {
  const { name, label, type, length, createable, updateable, restrictedPicklist, picklistValues } = field
  const readOnly = NOT_WRITTEN.includes(type)
    ? `fields of the type ${type} are not written`
    : ours.includes(name)
      ? 'written with every call'
      : createable && updateable
        ? undefined
        : 'Salesforce fills it, or this user may not'
  return {
    name,
    label: label || name,
    type: typeOf(field),
    ...(length > 0 ? { maxLength: length } : {}),
    ...(type === 'picklist' && restrictedPicklist ? { choices: picklistValues } : {}),
    ...(readOnly === undefined ? {} : { readOnly }),
  }
}

function typeOf({ type, restrictedPicklist }: Field): CrmField['type'] {
  if (WHOLE.includes(type) || FRACTIONAL.includes(type)) return 'number'
  if (type === 'boolean' || type === 'date' || type === 'datetime') return type
  return type === 'picklist' && restrictedPicklist ? 'choice' : 'text'
}
