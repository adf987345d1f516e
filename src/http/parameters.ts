import { z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { CordboardError } from '../errors.ts'
import { problemResponse, shown } from './problem.ts'

/** The parameters that operations share, and what is said when one cannot be read. */

/**
 * Query parameters or the members of a body, these and no others: a misspelt filter must not answer everything.
 */
export function exactly<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys' ? `expected one of ${Object.keys(shape).join(', ')}` : undefined,
  })
}

const LARGEST_PAGE = 200

export const limit = z
  .string()
  .refine((text) => /^\d{1,3}$/.test(text) && Number(text) >= 1 && Number(text) <= LARGEST_PAGE, {
    error: `expected a whole number from 1 to ${LARGEST_PAGE}`,
  })
  .transform(Number)
  .default(50)
  .openapi({
    type: 'integer',
    minimum: 1,
    maximum: LARGEST_PAGE,
    default: 50,
    description: 'how many at most',
  })

/** Milliseconds since 1970 from an instant or a day (its start in UTC). */
const instant = z
  .string()
  .refine((text) => INSTANT.test(text) && !Number.isNaN(Date.parse(text)), {
    error: 'expected a day (2026-10-01) or an instant (2026-10-01T09:30:00Z)',
  })
  .transform((text) => Date.parse(text))

// `Date.parse` takes much more than ISO 8601, and reads an instant without a zone in the server's own.
const INSTANT = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d))?$/

export const instantParameter = (description: string) =>
  instant.openapi({ type: 'string', format: 'date-time', description, example: '2026-10-01T09:30:00Z' })

/** A connection's id as written in the configuration. */
export const connectionId = z
  .string()
  .min(1)
  .max(128)
  .openapi({ description: 'id of a connection', example: 'support-paris' })

export const idOf = (prefix: string, what: string) =>
  z
    .string()
    .regex(new RegExp(`^${prefix}_[0-9A-Za-z]{1,64}$`), { error: `expected the id of ${what}: ${prefix}_…` })
    .openapi({ description: `id of ${what}`, example: `${prefix}_01JDX3M8E0W5H4ZK6R2T9QYBVC` })

/** The cursor of lists that are ordered by id. */
export const idCursor = (prefix: string) =>
  z
    .string()
    .regex(new RegExp(`^${prefix}_[0-9A-Za-z]{1,64}$`), { error: 'expected `next` of the page before' })
    .openapi({ description: '`next` of the page before' })

interface Problem {
  parameter: string
  expected: string
  seen: string
}

/** Answer to parameters or a body that do not fit: each named, with what was expected and what came. */
export async function refuseParameters(
  result: { success: boolean; target: string; error?: z.core.$ZodError },
  c: Context,
): Promise<Response | undefined> {
  if (result.success || !result.error) return undefined
  const errors = problemsIn(result.error, await givenTo(c, result.target), result.target)
  return problemResponse(unfit(errors), { members: { errors: errors.slice(0, 20) } })
}

/** Of what was `given`, what does not fit. `target` is named where the whole of it is meant. */
export function problemsIn(error: z.core.$ZodError, given: unknown, target: string): Problem[] {
  return error.issues.flatMap((issue): Problem[] => {
    // Unless the schema says which names there are.
    const isUnsaid = issue.code === 'unrecognized_keys' && issue.message.startsWith('Unrecognized key')
    const expected = isUnsaid ? 'expected no such member' : issue.message.replace(/^[A-Z][\w ]*: /, '')
    const path = issue.path.map(String)
    const names = issue.code === 'unrecognized_keys' ? issue.keys : [path.join('.') || target]
    return names.map((name) => ({
      parameter: name,
      expected,
      seen: issue.code === 'unrecognized_keys' ? name.slice(0, 80) : shown(path.reduce(member, given)),
    }))
  })
}

export function unfit(problems: readonly Problem[]): CordboardError {
  const words = problems.map(
    ({ parameter, expected, seen }) => `${shown(parameter)}: ${expected}, seen ${seen}`,
  )
  return new CordboardError('bad_request', words.slice(0, 5).join('; '))
}

async function givenTo(c: Context, target: string): Promise<unknown> {
  if (target === 'query') return c.req.query()
  if (target === 'param') return c.req.param()
  return c.req.json().catch(() => undefined)
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  return Object.getOwnPropertyDescriptor(value, name)?.value
}
