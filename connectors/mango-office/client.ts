import type { z } from 'zod'
import type { Call, Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { toWallClock } from '../../src/call/zone.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { CheckResult, ConnectorContext } from '../../src/connector/contract.ts'
import { encodeHex, utf8 } from '../../src/connector/encoding.ts'
import { failOn, readBounded, scrub } from '../../src/connector/fail-on.ts'
import { asObject } from '../../src/connector/json.ts'
import { listEnd } from '../../src/connector/list-end.ts'
import { readAs, readJson } from '../../src/connector/read.ts'
import { CordboardError, type ErrorCode } from '../../src/errors.ts'
import { toListedEvents } from './map.ts'
import { type Config, type ListedCall, statisticsKey, statisticsPage } from './schema.ts'

type Context = ConnectorContext<Config>

const RECORDING_MAX_BYTES = 4 * 1024 ** 3
/** "Saving takes some time: repeat, for instance after a minute" (§3.5); how long at most is not documented. */
const MAY_STILL_COME_MS = 900_000
/** The statistics take a month at most, and these numbers of rows: 1, 5, 10, 20, 50, 100, 500, 1000, 2000, 5000. */
const WINDOW_MS = 7 * 86_400_000
const ROWS_PER_REQUEST = 500
const MOST_POLLS = 30

/**
 * The API answers with a link that is good for one access (API document 1.9, §3.5.1, read 2026-11-27). It is fetched by a
 * request of its own, with nothing of the first: a client that repeats the POST would hand the signed form to the file
 * server.
 */
export async function fetchRecording(recording: Recording, call: Call, ctx: Context): Promise<Response> {
  const what = 'Mango Office: ask for the recording'
  const asked = { recording_id: recording.key, action: 'download' }
  const response = await post('/vpbx/queries/recording/post', asked, ctx)
  const location = response.headers.get('location')
  if (response.status < 300 || response.status > 399 || location === null) {
    throw await noLink(response, what, call, ctx)
  }
  await response.body?.cancel()
  const link = linkOf(location, what, ctx.config)
  const audio = await ctx.fetch(link, { maxBytes: RECORDING_MAX_BYTES, redirects: 3 })
  return failOn(audio, {
    what: 'Mango Office: fetch the recording',
    now: ctx.now,
    // The link was made a moment ago and our key is not asked for here: a refusal is about the file.
    codeOf: (status) => (status === 401 || status === 403 || status === 404 ? 'gone' : undefined),
  })
}

function linkOf(location: string, what: string, config: Config): URL {
  const link = URL.parse(location, config.baseUrl)
  const isTheirs = link?.protocol === 'https:' && /(?:^|\.)mango-office\.ru$/.test(link.hostname)
  if (link && (isTheirs || link.origin === new URL(config.baseUrl).origin)) return link
  throw new CordboardError(
    'blocked_address',
    `${what}: it leads to another host (${link?.hostname ?? 'none'})`,
    {
      fix: 'If this is your reseller’s host, set it as baseUrl of the connection',
    },
  )
}

/** Errors of the API come with HTTP 200 as well. One about a fresh recording may mean that it is not saved yet. */
async function noLink(response: Response, what: string, call: Call, ctx: Context): Promise<unknown> {
  const error = await failureOf(response, what, ctx)
  const endedAt = Date.parse(call.endedAt ?? call.startedAt ?? '')
  if (error.code !== 'not_found' || !(ctx.now() - endedAt < MAY_STILL_COME_MS)) return error
  return new CordboardError('not_found', error.message, {
    why: 'The call ended a short while ago: its recording may not be saved yet',
    retry: 'later',
    ...(error.vendorSaid === undefined ? {} : { vendorSaid: error.vendorSaid }),
  })
}

async function failureOf(response: Response, what: string, ctx: Context): Promise<CordboardError> {
  if (response.ok) {
    const said = await readBounded(response, 4096)
    const code = codeIn(said)
    return new CordboardError(
      code === null ? 'invalid_payload' : errorOf(code),
      `${what}: the answer is ${code === null ? 'no redirect' : `the result ${code}`}`,
      { vendorSaid: scrub(said) },
    )
  }
  try {
    await failOn(response, { what, now: ctx.now, codeOf })
  } catch (error) {
    if (error instanceof CordboardError) return error
    throw error
  }
  return new CordboardError('internal', `${what}: it did not fail`)
}

/** Finished calls, a week at a time: statistics are ordered, then asked for until they are ready. */
export async function* listCalls(since: string, ctx: Context, until?: string): AsyncIterable<CallEvent[]> {
  const end = listEnd(ctx, until)
  for (let from = Date.parse(since); from < end; from += WINDOW_MS) {
    const to = Math.min(from + WINDOW_MS - 1000, end)
    for (let offset = 0; ; offset += ROWS_PER_REQUEST) {
      const rows = await listRows(from, to, offset, ctx)
      // What ended just now is left to its webhooks: its recording may still be on its way to the storage.
      yield rows.filter((row) => isSettled(row, ctx)).flatMap((row) => toListedEvents(row, ctx))
      if (rows.length < ROWS_PER_REQUEST) break
    }
  }
}

const isSettled = (row: ListedCall, ctx: Context): boolean =>
  (row.context_start_time + (row.duration ?? 0)) * 1000 + MAY_STILL_COME_MS < ctx.now()

async function listRows(from: number, to: number, offset: number, ctx: Context): Promise<ListedCall[]> {
  const order = {
    start_date: dateIn(from, ctx.config),
    end_date: dateIn(to, ctx.config),
    limit: String(ROWS_PER_REQUEST),
    offset: String(offset),
  }
  const { key } = await ask('/vpbx/stats/calls/request/', order, statisticsKey, 'order the statistics', ctx)
  for (let polls = 0; polls < MOST_POLLS; polls++) {
    const what = 'read the statistics'
    const page = await ask('/vpbx/stats/calls/result/', { key }, statisticsPage.nullable(), what, ctx)
    if (page?.status === 'complete') return page.data
    if (page === null || page.status === 'work' || page.status === 'request') continue
    throw new CordboardError('vendor_down', `Mango Office: ${what}: their state is ${scrub(page.status)}`)
  }
  throw new CordboardError('timeout', 'Mango Office: the statistics were not ready in time')
}

/** `31.10.2019 00:00:00`, as in the document's example. */
function dateIn(ms: number, { timeZone }: Config): string {
  const [date = '', time = ''] = toWallClock(ms, timeZone).split(' ')
  return `${date.split('-').toReversed().join('.')} ${time}`
}

/** The balance is the cheapest question that needs the key and a true signature. */
export async function checkAccount(ctx: Context): Promise<CheckResult> {
  const what = 'Mango Office: read the balance'
  await readResult(await post('/vpbx/account/balance', {}, ctx), what, ctx)
  return { says: 'key and signature accepted' }
}

async function ask<Schema extends z.ZodType>(
  path: string,
  body: Record<string, string>,
  schema: Schema,
  doing: string,
  ctx: Context,
): Promise<z.output<Schema>> {
  const what = `Mango Office: ${doing}`
  return readAs(
    schema,
    await readResult(await post(path, body, ctx, 'statistics'), what, ctx),
    `${what}: the reply`,
  )
}

/** Null for "not ready" (204, documented of the older statistics). */
async function readResult(response: Response, what: string, ctx: Context): Promise<unknown> {
  await failOn(response, { what, now: ctx.now, codeOf })
  if (response.status === 204) return null
  const reply = await readJson(response, what)
  const { result } = asObject(reply) ?? {}
  const code = result === undefined ? SUCCESS : Number(result)
  if (Math.floor(code / 1000) === 1) return reply
  throw new CordboardError(errorOf(code), `${what}: the answer is the result ${code}`)
}

async function post(
  path: string,
  body: Record<string, string>,
  ctx: Context,
  bucket = 'default',
): Promise<Response> {
  const json = JSON.stringify(body)
  const form = { vpbx_api_key: ctx.config.apiKey, sign: await signatureOf(json, ctx.config), json }
  return ctx.fetch(apiUrl(ctx.config.baseUrl, path), {
    method: 'POST',
    body: new URLSearchParams(form),
    bucket,
  })
}

/** Over the very text that is sent; the same rule as for what they send. */
export async function signatureOf(json: string, { apiKey, apiSalt }: Pick<Config, 'apiKey' | 'apiSalt'>) {
  const text = new Uint8Array(utf8(apiKey + json + (apiSalt[0] ?? '')))
  return encodeHex(new Uint8Array(await crypto.subtle.digest('SHA-256', text)))
}

const SUCCESS = 1000

/** "An error code of the API, in JSON": the member's name is not documented, examples have `result`. */
function codeIn(body: string): number | null {
  const [, digits] = /"(?:result|code)"\s*:\s*"?(\d{4})\b/.exec(body) ?? []
  return digits === undefined ? null : Number(digits)
}

/**
 * The API's own code says more than the status, which is 2xx, 4xx or 5xx by the kind of mistake. Without one the status
 * counts: 401 is also the answer to everybody who sent two wrong requests within two minutes (§1.4.1).
 */
function codeOf(_status: number, body: string): ErrorCode | undefined {
  const code = codeIn(body)
  return code === null ? undefined : errorOf(code)
}

function errorOf(code: number): ErrorCode {
  // The signature does not fit; the key is not known.
  if (code === 3102 || code === 3105) return 'auth'
  if (Math.floor(code / 100) === 33) return 'not_found'
  if (code === 4290) return 'rate_limited'
  const kind = Math.floor(code / 1000)
  return kind === 2 ? 'quota' : kind === 5 ? 'vendor_down' : 'rejected'
}
