import { z } from 'zod'
import type { ConnectorContext, FetchInit } from '../../../src/connector/contract.ts'
import { failOn, readBounded, scrub } from '../../../src/connector/fail-on.ts'
import { CordboardError, type ErrorCode, type Retry } from '../../../src/errors.ts'
import { type Config, type ErrorBody, errorBody } from '../schema.ts'

/** One request to HubSpot, what it refuses, and its answer. */

interface Asked {
  method: string
  path: string
  /** Sent as JSON. */
  body?: unknown
  bucket?: string
}

/** Of routes that the client library does not know: the path begins behind the base URL. */
export async function ask<Schema extends z.ZodType>(
  ctx: ConnectorContext<Config>,
  schema: Schema,
  { method, path, body, bucket }: Asked,
): Promise<z.output<Schema>> {
  const { text } = await exchange(ctx, ctx.config.baseUrl + path, {
    method,
    headers: {
      ...credentials(ctx.config),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(bucket === undefined ? {} : { bucket }),
  })
  return read(schema, JSON.parse(text))
}

export const credentials = ({ token }: Config): Record<string, string> => ({
  authorization: `Bearer ${token}`,
  accept: 'application/json',
})

/** One part of a path. */
export function segment(value: string): string {
  return encodeURIComponent(value)
}

/** Whether HubSpot refused for good what was asked for: the scope is missing, or it is not there. */
export function isRefusal(error: unknown, ...codes: ErrorCode[]): error is CordboardError {
  return error instanceof CordboardError && codes.includes(error.code)
}

export function read<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  // Nobody knows what was done: `later` asks first (find), then tries again.
  throw new CordboardError('vendor_down', 'HubSpot: an answer in a form that is not documented', {
    why: parsed.error.issues
      .map(({ path, message }) => `${path.join('.')}: ${message}`)
      .slice(0, 3)
      .join('; '),
  })
}

export async function exchange(ctx: ConnectorContext<Config>, url: string, init: FetchInit) {
  const response = await ctx.fetch(url, init)
  // Without the query: it may hold an address.
  const what = `HubSpot: ${init.method} ${new URL(url).pathname}`
  if (!response.ok) throw await refusal(response, what, ctx.now)
  const text = (await response.text()) || 'null'
  if (!isJson(text)) throw new CordboardError('vendor_down', `${what}: the answer is no JSON`)
  return { status: response.status, headers: response.headers, text }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

async function refusal(response: Response, what: string, now: () => number): Promise<CordboardError> {
  const { status, headers } = response
  const text = await readBounded(response, 16_384)
  const said = errorBody.safeParse(isJson(text) ? JSON.parse(text) : null).data ?? {}
  const failed = failOn(new Response(text || null, { status, headers }), {
    what,
    now,
    codeOf: () => codeOf(status, said),
  })
  const error = await failed.then(
    () => new CordboardError('internal', `${what}: HTTP ${status}`),
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof CordboardError)) throw error
  // The sentence for people; the rest of the body is ids.
  const vendorSaid = said.message === undefined ? error.vendorSaid : scrub(said.message)
  const scopes = status === 403 ? missingScopes(said) : []
  const existing = /Existing ID:\s*(\d{1,20})/i.exec(said.message ?? '')?.[1]
  return new CordboardError(error.code, error.message, {
    retry: headers.has('retry-after') ? error.retry : (pauseOf(status, said) ?? error.retry),
    ...(vendorSaid === undefined ? {} : { vendorSaid }),
    ...(scopes.length === 0
      ? {}
      : {
          why: `It lacks ${scopes.length > 1 ? 'one of the scopes' : 'the scope'} ${scopes.join(', ')}`,
          fix: `Grant ${scopes.join(' or ')} to the service key or app in HubSpot, then rerun the call`,
        }),
    ...(status === 409 && existing !== undefined ? { cause: { existingId: existing } } : {}),
  })
}

/** https://developers.hubspot.com/docs/api-reference/error-handling (read 2026-11-20) */
function codeOf(status: number, { policyName }: ErrorBody): ErrorCode | undefined {
  if (status === 429) return policyName === 'DAILY' ? 'quota' : 'rate_limited'
  // The account is being moved to another data centre; Retry-After says how long, up to a day.
  if (status === 477) return 'vendor_down'
  return undefined
}

/** Where HubSpot sends no Retry-After (it documents none for 429): a rolling window has passed by then. */
function pauseOf(status: number, { policyName }: ErrorBody): Retry | undefined {
  if (status === 423) return { afterMs: 2000 }
  if (status !== 429 || policyName === 'DAILY') return undefined
  return { afterMs: policyName === 'TEN_SECONDLY_ROLLING' ? 10_000 : 1000 }
}

/** The names stand under several keys: https://github.com/HubSpot/hubspot-api-nodejs/issues/268 */
function missingScopes({ errors = [] }: ErrorBody): string[] {
  const named = errors
    .flatMap(({ context = {} }) => [context.requiredGranularScopes, context.requiredScopes])
    .flat()
  return named
    .filter((name): name is string => typeof name === 'string' && /^[\w.-]{3,80}$/.test(name))
    .slice(0, 5)
}

/** The record that a refused creation would have doubled. */
export function existingId(error: unknown): string | null {
  if (!(error instanceof CordboardError) || error.code !== 'duplicate') return null
  return z.object({ existingId: z.string() }).safeParse(error.cause).data?.existingId ?? null
}
