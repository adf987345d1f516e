import { z } from 'zod'
import type { ConnectorContext, FetchInit } from '../../src/connector/contract.ts'
import { failOn, readBounded, scrub } from '../../src/connector/fail-on.ts'
import { parseJson } from '../../src/connector/json.ts'
import { readAs, readJson } from '../../src/connector/read.ts'
import { CordboardError, type ErrorCode } from '../../src/errors.ts'
import {
  type Config,
  errorBody,
  found,
  grant,
  grantRefusal,
  type Outcome,
  outcomes,
  userList,
} from './schema.ts'

type Context = ConnectorContext<Config>

const VERSION = 'v8'
/** "Up to ten access tokens in a span of ten minutes" (accounts/protocol/oauth, read 2026-11-27). */
const TOKEN_PAUSE_MS = 600_000

// ── Requests ────────────────────────────────────────────────────────────────────────────────────────────────────────

interface Asked extends Pick<FetchInit, 'method' | 'headers'> {
  query?: Record<string, string>
  json?: unknown
  /** Made anew for each try: a stream is read only once. */
  body?: () => NonNullable<FetchInit['body']>
}

/** JSON of an answer; null where Zoho says 204: there is nothing. A refused token is renewed once. */
async function ask(path: string, asked: Asked, what: string, ctx: Context): Promise<unknown> {
  const access = await accessToken(ctx)
  try {
    return await send(access, path, asked, what, ctx)
  } catch (error) {
    if (!(error instanceof CordboardError) || error.code !== 'auth') throw error
    return send(await accessToken(ctx, access), path, asked, what, ctx)
  }
}

async function send(
  access: string,
  path: string,
  asked: Asked,
  what: string,
  ctx: Context,
): Promise<unknown> {
  const [domain = '', token = ''] = access.split(' ')
  const query = new URLSearchParams(asked.query).toString()
  const url = `${ctx.config.baseUrl ?? domain}/crm/${VERSION}${path}${query && `?${query}`}`
  const headers: Record<string, string> = { ...asked.headers, authorization: `Zoho-oauthtoken ${token}` }
  if (asked.json !== undefined) headers['content-type'] = 'application/json'
  const body = asked.body?.() ?? (asked.json === undefined ? undefined : JSON.stringify(asked.json))
  const response = await ctx.fetch(url, {
    method: asked.method ?? 'GET',
    headers,
    ...(body === undefined ? {} : { body }),
  })
  if (response.status === 204) return null
  if (!response.ok) throw await refusal(response, what, ctx)
  return readJson(response, what).catch((cause: unknown) => {
    throw new CordboardError('vendor_down', `${what}: the answer is no JSON`, { cause })
  })
}

/** What was sent may have been carried out: an answer in another form is asked for again first. */
function read<Schema extends z.ZodType>(body: unknown, schema: Schema, what: string): z.output<Schema> {
  try {
    return readAs(schema, body, `${what}: the reply`)
  } catch (cause) {
    if (!(cause instanceof CordboardError)) throw cause
    const why = cause.message
    throw new CordboardError('vendor_down', `${what}: an answer in a form that is not documented`, {
      why,
      cause,
    })
  }
}

export async function get<Schema extends z.ZodType>(
  path: string,
  query: Record<string, string>,
  schema: Schema,
  what: string,
  ctx: Context,
): Promise<z.output<Schema> | null> {
  const body = await ask(path, { query }, `Zoho: ${what}`, ctx)
  return body === null ? null : read(body, schema, `Zoho: ${what}`)
}

/** JSON of the API outside of records: notification channels. */
export async function put<Schema extends z.ZodType>(
  method: 'POST' | 'PUT',
  path: string,
  json: unknown,
  schema: Schema,
  what: string,
  ctx: Context,
): Promise<z.output<Schema>> {
  return read(await ask(path, { method, json }, `Zoho: ${what}`, ctx), schema, `Zoho: ${what}`)
}

/** Writes one record. Its outcome stands in the body, whatever the status says. */
export async function writeOne(
  method: 'POST' | 'PUT',
  path: string,
  record: Record<string, unknown>,
  what: string,
  ctx: Context,
): Promise<Outcome> {
  // Notes set nothing off, and their requests are documented without it.
  const isNote = /(?:^|\/)Notes(?:\/|$)/.test(path)
  const json = { data: [record], ...(isNote ? {} : { trigger: ctx.config.trigger }) }
  return one(await ask(path, { method, json }, `Zoho: ${what}`, ctx), what)
}

export async function upload(
  path: string,
  form: () => FormData,
  what: string,
  ctx: Context,
): Promise<Outcome> {
  return one(await ask(path, { method: 'POST', body: form }, `Zoho: ${what}`, ctx), what)
}

function one(body: unknown, what: string): Outcome {
  const [outcome] = read(body, outcomes, `Zoho: ${what}`).data
  if (outcome) return outcome
  throw new CordboardError('vendor_down', `Zoho: ${what}: the answer names no record`)
}

/** The id of a record that was written; anything else is an error. */
export function idOf(outcome: Outcome, what: string): string {
  const { code, details, message } = outcome
  if (code === 'SUCCESS' && details?.id !== undefined) return details.id
  const isUnclear = code === 'SUCCESS'
  throw new CordboardError(
    isUnclear ? 'vendor_down' : (codeOf(outcome) ?? 'rejected'),
    `Zoho: ${what}: ${code}`,
    {
      vendorSaid: scrub([message, details?.api_name].filter(Boolean).join(': ')),
      ...(code === 'DUPLICATE_DATA' ? { cause: duplicateOf(outcome) } : {}),
    },
  )
}

/** The record that a refused one would have doubled, and the field in which. */
const duplicateOf = ({ code, details }: Outcome): z.output<typeof double> | undefined => {
  const id = details?.duplicate_record?.id ?? details?.id
  return code === 'DUPLICATE_DATA' && id !== undefined
    ? { existingId: id, field: details?.api_name }
    : undefined
}

const double = z.object({ existingId: z.string(), field: z.string().optional() })

/** What an error of the code `duplicate` says of the record that is there. */
export function doubledBy(error: unknown): z.output<typeof double> | null {
  if (!(error instanceof CordboardError) || error.code !== 'duplicate') return null
  return double.safeParse(error.cause).data ?? null
}

interface Page<Item> {
  data: Item[]
  info?: { more_records?: boolean | undefined } | undefined
}

/** All pages of a list, at most `mostPages` of 200. */
export async function pages<Item>(
  path: string,
  query: Record<string, string>,
  schema: z.ZodType<Page<Item>>,
  what: string,
  ctx: Context,
  mostPages = 1,
): Promise<Item[]> {
  const items: Item[] = []
  for (let page = 1; page <= mostPages; page++) {
    const asked = { ...query, page: String(page), per_page: '200' }
    const answer = await get(path, asked, schema, what, ctx)
    items.push(...(answer?.data ?? []))
    if (!answer?.info?.more_records) break
  }
  return items
}

/** By an e-mail address; null when no active user has it. */
export async function userIdOf(email: string, ctx: Context): Promise<string | null> {
  for (let page = 1; page <= 10; page++) {
    const query = { type: 'ActiveUsers', page: String(page), per_page: '200' }
    const answer = await get('/users', query, userList, 'read the users', ctx)
    const same = answer?.users.find((user) => user.email?.toLowerCase() === email.toLowerCase())
    if (same) return same.id
    if (!answer?.info?.more_records) return null
  }
  return null
}

export const searchFound = (module: string, criteria: string, ctx: Context, mostPages = 1) =>
  pages(`/${module}/search`, { criteria }, found, `search ${module}`, ctx, mostPages)

/** "When you use parentheses or comma in the value for a criteria, you must escape them using a backslash." */
export const escaped = (value: string): string => value.replace(/[\\(),]/g, (char) => `\\${char}`)

// ── Token ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The token behind the address of its data centre, with a space between: another address knows nothing of it. */
function accessToken(ctx: Context, refused?: string): Promise<string> {
  const { accountsUrl, clientId, clientSecret, refreshToken } = ctx.config
  const what = 'Zoho: renew the token'
  return ctx.token(
    'access',
    async (_, fetch) => {
      const response = await fetch(`${accountsUrl}/oauth/v2/token`, {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'refresh_token',
          client_id: clientId,
          client_secret: clientSecret,
          refresh_token: refreshToken,
        }),
        bucket: 'auth',
      })
      const codeOfStatus = (status: number) => (status === 400 ? 'auth' : undefined)
      const body = await readJson(await failOn(response, { what, now: ctx.now, codeOf: codeOfStatus }), what)
      // Refusals come with 200 as well.
      const refusal = grantRefusal.safeParse(body).data
      if (refusal) throw tokenRefusal(refusal.error, refusal.error_description, what)
      const { access_token, api_domain, expires_in } = readAs(grant, body, `${what}: the reply`)
      const token = `${api_domain.replace(/\/+$/, '')} ${access_token}`
      return { token, expiresInMs: expires_in * 1000 }
    },
    { from: [clientSecret, refreshToken], refused },
  )
}

function tokenRefusal(error: string, description = '', what: string): CordboardError {
  const isThrottled = /too many|access.?denied/i.test(`${error} ${description}`)
  return new CordboardError(isThrottled ? 'rate_limited' : 'auth', `${what}: ${error.slice(0, 60)}`, {
    ...(isThrottled ? { retry: { afterMs: TOKEN_PAUSE_MS } } : {}),
    ...(description === '' ? {} : { vendorSaid: scrub(description) }),
  })
}

// ── Refusals ────────────────────────────────────────────────────────────────────────────────────────────────────────

const CODES: Readonly<Record<string, ErrorCode>> = {
  INVALID_TOKEN: 'auth',
  AUTHENTICATION_FAILURE: 'auth',
  OAUTH_SCOPE_MISMATCH: 'forbidden',
  NO_PERMISSION: 'forbidden',
  AUTHORIZATION_FAILED: 'forbidden',
  TOO_MANY_REQUESTS: 'rate_limited',
  LIMIT_EXCEEDED: 'quota',
  MANDATORY_NOT_FOUND: 'rejected',
  INVALID_DATA: 'rejected',
  DUPLICATE_DATA: 'duplicate',
  INTERNAL_ERROR: 'vendor_down',
  INTERNAL_SERVER_ERROR: 'vendor_down',
}

function codeOf({ code, details, message }: Outcome): ErrorCode | undefined {
  // The id of a record that was deleted is invalid data like any other.
  const isOfId = details?.api_name === 'id' || /\bid given seems to be invalid/i.test(message ?? '')
  if (code === 'INVALID_DATA' && isOfId) return 'not_found'
  return Object.hasOwn(CODES, code) ? CODES[code] : undefined
}

async function refusal(response: Response, what: string, ctx: Context): Promise<CordboardError> {
  const { status, headers } = response
  const text = await readBounded(response, 16_384)
  const outcome = outcomeIn(text)
  const known = outcome && codeOf(outcome)
  const error = await failOn(new Response(text || null, { status, headers }), {
    what,
    now: ctx.now,
    codeOf: () => known,
  })
    .then(() => new CordboardError('internal', `${what}: HTTP ${status}`))
    .catch((thrown: unknown) => thrown)
  if (!(error instanceof CordboardError)) throw error
  const existing = outcome && duplicateOf(outcome)
  if (existing === undefined && outcome?.code !== 'OAUTH_SCOPE_MISMATCH') return error
  return new CordboardError(error.code, error.message, {
    retry: error.retry,
    ...(error.vendorSaid === undefined ? {} : { vendorSaid: error.vendorSaid }),
    ...(existing === undefined
      ? { fix: 'Make a refresh token with all scopes of the README, then run: cordboard doctor' }
      : { cause: existing }),
  })
}

function outcomeIn(text: string): Outcome | undefined {
  try {
    return errorBody.safeParse(parseJson(new TextEncoder().encode(text))).data?.data[0]
  } catch {
    return undefined
  }
}
