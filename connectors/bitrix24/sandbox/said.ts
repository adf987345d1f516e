import type { Context } from 'hono'
import { z } from 'zod'
import { asObject } from '../../../src/connector/json.ts'

/** What the portal gets and says, in its own forms. */

export type Fields = Record<string, unknown>
export type Said =
  | { result: unknown; next?: number }
  | { status: 400 | 401 | 403 | 404; error: string; says: string }

export interface Stored {
  kind: string
  id: string
  fields: Fields
  searchableAt: number
  /** The records that a comment, a to-do or the activity of a call is bound to: `contact/7`. */
  on: string[]
}

export const MESSAGE = z.object({
  SIDE: z.enum(['User', 'Client']),
  START_TIME: z.int().min(0),
  STOP_TIME: z.int().min(1),
  MESSAGE: z.string().min(1),
})

export const text = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : ''
export const zoned = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, '+00:00')
export const isZoned = (value: unknown): boolean =>
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$/.test(text(value))
export const refused = (error: string, says: string): Said => ({ status: 400, error, says })
export const unknown = (error: string, says: string): Said => ({ status: 401, error, says })

export function phonesOf({ PHONE }: Fields): string[] {
  return Array.isArray(PHONE) ? PHONE.map((phone) => text(asObject(phone)?.VALUE)) : []
}

export function keyOf(fields: Fields): string | null {
  const said = text(fields.COMMENT) || text(fields.DESCRIPTION)
  return (
    text(fields.EXTERNAL_CALL_ID) ||
    text(fields.ORIGIN_ID) ||
    (/Cordboard ref (\S+)\s*$/.exec(said)?.[1] ?? null)
  )
}

export function answer(c: Context, said: Said): Response {
  if ('status' in said) return c.json({ error: said.error, error_description: said.says }, said.status)
  const seconds = 1773130778
  return c.json({
    ...said,
    time: { start: seconds, finish: seconds, operating_reset_at: seconds + 600, operating: 0 },
  })
}
