import type { z } from 'zod'
import type { Call, Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { CheckResult, ConnectorContext } from '../../src/connector/contract.ts'
import type { CrmField, SetUp, WantedField } from '../../src/connector/crm-role.ts'
import { failOn, readBounded } from '../../src/connector/fail-on.ts'
import { asObject, parseJson } from '../../src/connector/json.ts'
import { readAs, readReply } from '../../src/connector/read.ts'
import { CordboardError, type ErrorCode, type Retry } from '../../src/errors.ts'
import { HOLDS_CALLS, isOurs, toCallEvent, zoned } from './map.ts'
import {
  type Config,
  described,
  done,
  errorBody,
  grant,
  handlers,
  isApplication,
  type Statistic,
  scopes,
  statistics,
} from './schema.ts'

type Context = ConnectorContext<Config>
type Params = Record<string, unknown>

const RECORDING_MAX_BYTES = 4 * 1024 ** 3
/** How long after a call a recording that is not there may still come; not documented. */
const MAY_STILL_COME_MS = 3_600_000
const PAGE = 50
/** What the bucket lets through again while we wait; nothing says how long it is closed. */
const BUCKET_PAUSE_MS = 2000
/** A method that used up its time is open again within ten minutes (limits.md, read 2026-11-27). */
const OPERATING_PAUSE_MS = 60_000
const OPERATING_WINDOW_MS = 600_000

/**
 * One method of the REST API. An application's token is renewed once when it is refused, except where the refusal is about
 * rights: a new token would have no more of them.
 */
export async function ask<Schema extends z.ZodType>(
  method: string,
  params: Params,
  schema: Schema,
  ctx: Context,
): Promise<z.output<Schema>> {
  const what = `Bitrix24: ${method}`
  const { webhook } = ctx.config
  if (webhook !== undefined) return read(await send(method, params, null, ctx), schema, what)
  const token = await accessToken(ctx)
  try {
    return read(await send(method, params, token, ctx), schema, what)
  } catch (error) {
    if (!(error instanceof CordboardError) || error.code !== 'auth') throw error
    return read(await send(method, params, await accessToken(ctx, token), ctx), schema, what)
  }
}

async function send(method: string, params: Params, token: string | null, ctx: Context): Promise<unknown> {
  const { baseUrl, webhook } = ctx.config
  const [secret = ''] = /\d{1,20}\/\w{6,128}(?=\/?$)/.exec(webhook ?? '') ?? []
  const path = webhook === undefined ? `/rest/${method}.json` : `/rest/${secret}/${method}.json`
  const headers: Record<string, string> = { 'content-type': 'application/json', accept: 'application/json' }
  if (token !== null) headers.authorization = `Bearer ${token}`
  const response = await ctx.fetch(apiUrl(baseUrl, path), {
    method: 'POST',
    headers,
    body: JSON.stringify(params),
  })
  const what = `Bitrix24: ${method}`
  if (!response.ok) throw await refusal(response, what, ctx)
  const bytes = new Uint8Array(await response.arrayBuffer())
  const body = parsed(bytes)
  if (body === undefined) throw new CordboardError('vendor_down', `${what}: the answer is no JSON`)
  // Some methods refuse with 200.
  if (asObject(body)?.error !== undefined && asObject(body)?.result === undefined) {
    throw await refusal(new Response(bytes as Uint8Array<ArrayBuffer>, { status: 400 }), what, ctx)
  }
  return body
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return parseJson(bytes)
  } catch {
    return undefined
  }
}

/** After a request that may have created something an unknown answer says nothing: it is asked for again first. */
function read<Schema extends z.ZodType>(body: unknown, schema: Schema, what: string): z.output<Schema> {
  try {
    return readAs(schema, body, `${what}: the reply`)
  } catch (cause) {
    if (!(cause instanceof CordboardError)) throw cause
    throw new CordboardError('vendor_down', `${what}: an answer in a form that is not documented`, {
      why: cause.message,
      cause,
    })
  }
}

// ── Token ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** An hour's token; each renewal brings the next refresh token, good for 180 days (auto-renewal.md, read 2026-11-27). */
function accessToken(ctx: Context, refused?: string): Promise<string> {
  const { authUrl, clientId = '', clientSecret = '', refreshToken = '' } = ctx.config
  const what = 'Bitrix24: renew the token'
  return ctx.token(
    'access',
    async (previous, fetch) => {
      const response = await fetch(
        apiUrl(authUrl, '/oauth/token/', {
          grant_type: 'refresh_token',
          client_id: clientId,
          client_secret: clientSecret,
          refresh_token: previous?.keep ?? refreshToken,
        }),
        { bucket: 'auth' },
      )
      // invalid_grant, invalid_client … come as 400; a trial that is over or an application that was removed is no secret's fault.
      const codeOf = (status: number, body: string): ErrorCode | undefined => {
        if (body.includes('PAYMENT_REQUIRED')) return 'quota'
        return status === 400 ? 'auth' : undefined
      }
      await failOn(response, { what, now: ctx.now, codeOf })
      const { access_token, refresh_token, expires_in } = await readReply(response, grant, what)
      return { token: access_token, expiresInMs: expires_in * 1000, keep: refresh_token }
    },
    { from: [clientSecret, refreshToken], refused },
  )
}

// ── Refusals ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Codes of the REST API itself and of the methods used here (_includes/system-errors.md, read 2026-11-27). */
const CODES: Readonly<Record<string, ErrorCode>> = {
  QUERY_LIMIT_EXCEEDED: 'rate_limited',
  OPERATION_TIME_LIMIT: 'rate_limited',
  OVERLOAD_LIMIT: 'quota',
  PAYMENT_REQUIRED: 'quota',
  INSUFFICIENT_SCOPE: 'forbidden',
  ACCESS_DENIED: 'forbidden',
  USER_ACCESS_ERROR: 'forbidden',
  WRONG_AUTH_TYPE: 'forbidden',
  PORTAL_DELETED: 'forbidden',
  // "Or it is unavailable without the required scope."
  ERROR_METHOD_NOT_FOUND: 'forbidden',
  EXPIRED_TOKEN: 'auth',
  NO_AUTH_FOUND: 'auth',
  INVALID_CREDENTIALS: 'auth',
  NOT_FOUND: 'not_found',
  OWNER_NOT_FOUND: 'not_found',
  INTERNAL_SERVER_ERROR: 'vendor_down',
  ERROR_UNEXPECTED_ANSWER: 'vendor_down',
}

async function refusal(response: Response, what: string, ctx: Context): Promise<CordboardError> {
  const { status, headers } = response
  const text = await readBounded(response, 16_384)
  const said = errorBody.safeParse(parsed(new TextEncoder().encode(text))).data ?? {}
  const code = (said.error ?? '').toUpperCase()
  const isMissing = code === '' && /^not found/i.test(said.error_description ?? '')
  const known = Object.hasOwn(CODES, code) ? CODES[code] : isMissing ? 'not_found' : undefined
  const error = await failOn(new Response(text || null, { status, headers }), {
    what,
    now: ctx.now,
    codeOf: () => known,
  })
    .then(() => new CordboardError('internal', `${what}: HTTP ${status}`))
    .catch((thrown: unknown) => thrown)
  if (!(error instanceof CordboardError)) throw error
  return new CordboardError(error.code, error.message, {
    retry: headers.has('retry-after') ? error.retry : (pauseOf(code, said, ctx.now()) ?? error.retry),
    ...(error.vendorSaid === undefined ? {} : { vendorSaid: error.vendorSaid }),
    ...fixOf(code, error.code, ctx.config),
  })
}

function pauseOf(code: string, { time }: z.output<typeof errorBody>, now: number): Retry | undefined {
  if (code === 'QUERY_LIMIT_EXCEEDED') return { afterMs: BUCKET_PAUSE_MS }
  if (code !== 'OPERATION_TIME_LIMIT') return undefined
  const left = time === undefined ? OPERATING_PAUSE_MS : time.operating_reset_at * 1000 - now
  return { afterMs: Math.min(Math.max(left, BUCKET_PAUSE_MS), OPERATING_WINDOW_MS) }
}

function fixOf(code: string, error: ErrorCode, config: Config): { fix?: string } {
  const who = isApplication(config) ? 'local application' : 'incoming webhook'
  if (code === 'INSUFFICIENT_SCOPE' || code === 'ERROR_METHOD_NOT_FOUND')
    return { fix: `Give the ${who} the scopes of the README in Bitrix24, then rerun the call` }
  if (error === 'auth' && isApplication(config))
    return {
      fix: 'Install the local application again and set its new refreshToken, then run: cordboard doctor',
    }
  return {}
}

/**
 * What was refused behind something that was made: it is no proof that nothing happened, so it is asked for again before
 * anything is sent.
 */
export async function behind<Answer>(work: Promise<Answer>): Promise<Answer> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof CordboardError) || !['rejected', 'not_found', 'duplicate'].includes(error.code))
      throw error
    throw new CordboardError('vendor_down', error.message, {
      cause: error,
      ...(error.vendorSaid === undefined ? {} : { vendorSaid: error.vendorSaid }),
    })
  }
}

// ── Calls of Bitrix24's own telephony ───────────────────────────────────────────────────────────────────────────────

/** The list knows the recording, the event does not. */
export async function fetchRecording(recording: Recording, call: Call, ctx: Context): Promise<Response> {
  const { result } = await ask(
    'voximplant.statistic.get',
    { FILTER: { CALL_ID: recording.key } },
    statistics,
    ctx,
  )
  const link = result[0]?.CALL_RECORD_URL
  if (link === undefined) {
    const at = Date.parse(call.endedAt ?? call.startedAt ?? '')
    const isRecent = ctx.now() - at < MAY_STILL_COME_MS
    throw new CordboardError('not_found', 'Bitrix24: the call has no recording', {
      why: isRecent
        ? 'The call was a short while ago: it may still come'
        : 'It was not recorded, or was deleted',
      fix: 'Check that calls are recorded in the telephony settings; if they are not, set recorded: false',
      retry: isRecent ? 'later' : 'never',
    })
  }
  // No part of the API: its budget does not count, and our token is none of its business.
  const audio = await ctx.fetch(link, { bucket: 'media', redirects: 3, maxBytes: RECORDING_MAX_BYTES })
  const codeOf = (status: number) => (status === 401 || status === 403 ? 'gone' : undefined)
  return failOn(audio, { what: 'Bitrix24: fetch the recording', now: ctx.now, codeOf })
}

/** The oldest first, so that calls that come meanwhile move no page. */
export async function* listCalls(since: string, ctx: Context, until?: string): AsyncIterable<CallEvent[]> {
  if (!ctx.config.calls) return
  const FILTER = {
    '>=CALL_START_DATE': zoned(since),
    ...(until === undefined ? {} : { '<CALL_START_DATE': zoned(until) }),
  }
  let start = 0
  for (;;) {
    const params = { FILTER, SORT: 'ID', ORDER: 'ASC', start }
    const { result, next } = await ask('voximplant.statistic.get', params, statistics, ctx)
    yield toEvents(result, ctx)
    if (next === undefined || next <= start) return
    start = next
  }
}

export async function lookUp(ids: readonly string[], ctx: Context): Promise<CallEvent[]> {
  const events: CallEvent[] = []
  for (let at = 0; ctx.config.calls && at < ids.length; at += PAGE) {
    const FILTER = { CALL_ID: ids.slice(at, at + PAGE) }
    events.push(...toEvents((await ask('voximplant.statistic.get', { FILTER }, statistics, ctx)).result, ctx))
  }
  return events
}

function toEvents(calls: readonly Statistic[], ctx: Context): CallEvent[] {
  return calls.flatMap((call) => {
    if (isOurs(call)) return []
    const isThere = call.CALL_RECORD_URL !== undefined
    const isRecent = ctx.now() - Date.parse(call.CALL_START_DATE) < MAY_STILL_COME_MS
    const state = isThere ? 'ready' : isRecent ? undefined : 'absent'
    return toCallEvent(call, 'list', ctx, state) ?? []
  })
}

const CALLS = ['ONVOXIMPLANTCALLEND']
const DELETIONS = ['ONCRMCONTACTDELETE', 'ONCRMCOMPANYDELETE', 'ONCRMLEADDELETE', 'ONCRMDEALDELETE']

/** Only an application may; an outgoing webhook is made by hand. */
export async function subscribe(url: string, ctx: Context): Promise<void> {
  if (!isApplication(ctx.config)) {
    throw new CordboardError('rejected', 'Bitrix24: an incoming webhook cannot subscribe to events', {
      fix: 'Make an outgoing webhook in Bitrix24 by hand, as the README says',
    })
  }
  const { result } = await ask('event.get', {}, handlers, ctx)
  const bound = new Set(
    result.filter(({ handler }) => handler === url).map(({ event }) => event.toUpperCase()),
  )
  for (const event of [...(ctx.config.calls ? CALLS : []), ...DELETIONS]) {
    if (!bound.has(event)) await ask('event.bind', { event, handler: url }, done, ctx)
  }
}

// ── Fields of the operator's own ────────────────────────────────────────────────────────────────────────────────────

const TYPES: Readonly<Record<string, CrmField['type']>> = {
  string: 'text',
  url: 'text',
  integer: 'number',
  double: 'number',
  boolean: 'boolean',
  date: 'date',
  datetime: 'datetime',
  enumeration: 'choice',
}

/** UF_CRM_… of contacts, companies and leads: a mapped field is written where the record's type has it. */
export async function describeFields(ctx: Context): Promise<readonly CrmField[]> {
  const fields = new Map<string, CrmField & { on: string[] }>()
  for (const type of HOLDS_CALLS) {
    const { result } = await ask(`crm.${type}.fields`, {}, described, ctx)
    for (const [name, told] of Object.entries(result)) {
      const kind = TYPES[told.type]
      if (!name.startsWith('UF_') || kind === undefined) continue
      const readOnly = whyReadOnly(told)
      const known = fields.get(name) ?? {
        name,
        label: told.formLabel ?? told.title ?? name,
        type: kind,
        on: [],
        ...(readOnly === undefined ? {} : { readOnly }),
      }
      known.on.push(type)
      fields.set(name, known)
    }
  }
  return [...fields.values()].map(({ on, label, ...field }) => ({
    ...field,
    label: `${label} (${on.join(', ')})`,
  }))
}

function whyReadOnly(told: {
  type: string
  isReadOnly?: boolean | undefined
  isMultiple?: boolean | undefined
}) {
  if (told.isReadOnly) return 'Bitrix24 fills it by itself'
  if (told.isMultiple) return 'it takes several values'
  return told.type === 'enumeration' ? 'it takes ids of its list, and no words' : undefined
}

const USER_TYPES = { text: 'string', number: 'double', boolean: 'boolean' }
/** "The system limit for the field code is 20 characters", the prefix counted (crm.contact.userfield.add, read 2026-11-27). */
const FIELD_NAME = /^UF_CRM_[A-Z0-9_]{1,13}$/

export async function setUpFields(wanted: readonly WantedField[], ctx: Context): Promise<readonly SetUp[]> {
  const said: SetUp[] = []
  for (const type of HOLDS_CALLS) {
    if (wanted.length === 0) break
    const { result } = await ask(`crm.${type}.fields`, {}, described, ctx)
    for (const { name, label, type: kind } of wanted) {
      const what = `the field ${name} of a ${type}`
      if (Object.hasOwn(result, name)) said.push({ what, state: 'was there' })
      else if (!FIELD_NAME.test(name)) {
        const fix = 'Choose a name of UF_CRM_ and at most 13 capital letters, digits and _'
        said.push({ what, state: 'by hand', fix })
      } else
        said.push(
          await makeField(
            type,
            what,
            { FIELD_NAME: name, LABEL: label, USER_TYPE_ID: USER_TYPES[kind] },
            ctx,
          ),
        )
    }
  }
  return said
}

async function makeField(
  type: string,
  what: string,
  fields: Record<string, string>,
  ctx: Context,
): Promise<SetUp> {
  try {
    await ask(`crm.${type}.userfield.add`, { fields }, done, ctx)
    return { what, state: 'made' }
  } catch (error) {
    if (!(error instanceof CordboardError) || error.code !== 'forbidden') throw error
    return {
      what,
      state: 'by hand',
      fix: 'Only an administrator may make it: in the settings of CRM, custom fields',
    }
  }
}

// ── Check ───────────────────────────────────────────────────────────────────────────────────────────────────────────

export async function checkPortal(ctx: Context): Promise<CheckResult> {
  const { config } = ctx
  const { result } = await ask('scope', {}, scopes, ctx)
  const warnings: { what: string; fix: string }[] = []
  const warn = (what: string, fix: string) => warnings.push({ what, fix })
  const grant = (scope: string) => `Give it the scope ${scope} in Bitrix24`
  if (!result.includes('crm')) warn('CRM records cannot be read or written', grant('crm'))
  if (!result.includes('telephony')) warn('Calls cannot be read or registered', grant('telephony'))
  if (!result.some((scope) => /^user(?:_basic)?$/.test(scope)))
    warn('Users cannot be found by e-mail address: calls go to owners.fallback', grant('user_basic'))
  if (!isApplication(config)) {
    warn(
      'An incoming webhook may not register calls: they are written as comments, without a place in the statistics',
      'Make a local application and set clientId, clientSecret and refreshToken instead of webhook',
    )
  } else if (config.owners.fallback === undefined) {
    warn('A call whose agent is no user cannot be registered', 'Set owners.fallback to the id of a user')
  }
  if (config.calls && config.applicationToken === undefined)
    warn(
      'Events are refused: there is no applicationToken',
      'Set it to the token that Bitrix24 shows or sends',
    )
  if (ctx.region === undefined)
    warn('Numbers that Bitrix24 holds without a country code are not matched', 'Set region, such as "DE"')
  const says = `${isApplication(config) ? 'application' : 'incoming webhook'} on ${new URL(config.baseUrl).hostname}`
  return { says, warnings }
}
