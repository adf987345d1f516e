import { z } from '@hono/zod-openapi'
import { ERRORS, type ErrorCode } from '../errors.ts'

/** The pieces that the descriptions of answers are made of. */

export const problem = z
  .object({
    type: z.string().openapi({ example: 'urn:cordboard:error:bad_request' }),
    title: z.string(),
    status: z.int(),
    detail: z.string().describe('what happened, with what was expected and seen'),
    code: z.string().describe('the same code as in logs, metrics and issues'),
    why: z.string().optional(),
    fix: z.string().describe('what to do'),
    id: z.string().optional().describe('under which the log says more'),
    errors: z
      .array(z.object({ parameter: z.string(), expected: z.string(), seen: z.string() }))
      .optional()
      .describe('the parameters that do not fit'),
  })
  .openapi('Problem')

export const json = <Schema extends z.ZodType>(schema: Schema, description: string) => ({
  description,
  content: { 'application/json': { schema } },
})

const refusal = (...codes: ErrorCode[]) => ({
  description: codes.map((code) => `\`${code}\`: ${ERRORS[code].title}`).join('; '),
  content: { 'application/problem+json': { schema: problem } },
})

/** What any operation under /v1 may answer beside its own. */
export const always = {
  400: refusal('bad_request'),
  401: refusal('unauthorized'),
  403: refusal('role_missing'),
  500: refusal('internal'),
  503: refusal('storage_unavailable', 'overloaded'),
}

export const unknown = { 404: refusal('unknown_object') }
export const bounded = { 413: refusal('too_large') }
export const conflicts = { 409: refusal('conflict') }

export const tooMany = {
  429: {
    ...refusal('rate_limited'),
    description:
      '`rate_limited`: the connection’s `deliveriesPerMinute` are used up; send it again after `Retry-After`',
  },
}

/** Answers of /hooks. */
export const hookRefusals = {
  401: refusal('webhook_signature'),
  404: refusal('unknown_connection', 'not_a_webhook'),
  413: refusal('too_large'),
  ...tooMany,
  503: refusal('storage_unavailable', 'overloaded'),
}

/** A page of a list: `next` is the cursor of the following one, null on the last. */
export const pageOf = <Schema extends z.ZodType>(item: Schema, name: string) =>
  z
    .object({ items: z.array(item), next: z.string().nullable().describe('cursor of the next page') })
    .openapi(name)

/** Milliseconds since 1970 as an instant. */
export function instantOf(ms: number): string
export function instantOf(ms: number | null): string | null
export function instantOf(ms: number | null): string | null {
  return ms === null ? null : new Date(Number(ms)).toISOString()
}

export const at = z.iso.datetime().describe('UTC instant')
