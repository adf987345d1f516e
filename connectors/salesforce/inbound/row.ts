import { asObject } from '../../../src/connector/json.ts'

/** Fields of a record by their API names, however they came: SOQL, SOAP or JSON. Null is told, and empty; absent is not told. */
export type Row = Readonly<Record<string, string | null>>

/** Plain values of a record; what is deeper (`attributes`, relationships) is left out. */
export function rowOf(record: unknown): Row {
  const row: Record<string, string | null> = Object.create(null)
  for (const [name, value] of Object.entries(asObject(record) ?? {})) {
    if (value === null || value === '') row[name] = null
    else if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
      row[name] = String(value)
  }
  return row
}

/** `2026-03-04T11:22:33.000+0000` of the REST API, with `Z` of SOAP and Apex; undefined where it is no instant. */
export function instantOf(text: string | null | undefined): string | undefined {
  if (!text || !/^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text)) return undefined
  const ms = Date.parse(text.replace(/([+-]\d\d)(\d\d)$/, '$1:$2'))
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString()
}
