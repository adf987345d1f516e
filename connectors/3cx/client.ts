import type { z } from 'zod'
import type { Call, Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { CheckResult, ConnectorContext, VendorFetch } from '../../src/connector/contract.ts'
import { failOn, readBounded } from '../../src/connector/fail-on.ts'
import { listEnd } from '../../src/connector/list-end.ts'
import { readReply } from '../../src/connector/read.ts'
import { CordboardError } from '../../src/errors.ts'
import { endOf, RECORDING_KEY, recordingsOf, SLACK_MS, toLoggedEvent } from './map.ts'
import { type Config, callLog, type LogRow, recordings, token } from './schema.ts'

type Context = ConnectorContext<Config>

const RECORDING_MAX_BYTES = 4 * 1024 ** 3
/** When a recording shows up after its call is not documented. */
const MAY_STILL_COME_MS = 900_000
const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
/** What just ended is left to the journal. */
const SETTLED_MS = 60_000
/** The log refuses more than 500 at once; a report ends at 20,000 rows unless the phone system is told otherwise. */
const ROWS_PER_PAGE = 500
const MOST_ROWS = 20_000

/**
 * The API knows no call of the journal, so its recording is the one of that time and number. `GET /Recordings({id})` is said
 * to answer 404 in V20: the list is filtered. https://github.com/3cx/xapi-tutorial (swagger.yaml, 1c6947c6, 2026-11-20)
 */
export async function fetchRecording(recording: Recording, call: Call, ctx: Context): Promise<Response> {
  const nth = Number(RECORDING_KEY.exec(recording.key)?.[1])
  const startMs = Date.parse(call.startedAt ?? '')
  const what = '3CX: find the recording'
  if (!nth || Number.isNaN(startMs)) throw missing(what, 'The call has no time to find it by', 'never')
  const endMs = Date.parse(call.endedAt ?? call.startedAt ?? '')
  const isRecent = ctx.now() - endMs < MAY_STILL_COME_MS
  const retry = isRecent ? 'later' : 'never'
  const at = (ms: number) => new Date(ms).toISOString()
  const filter = `StartTime ge ${at(startMs - SLACK_MS)} and StartTime le ${at(endMs + SLACK_MS)}`
  const query = { $filter: filter, $orderby: 'Id asc', $top: '100' }
  const { value } = await get(apiUrl(base(ctx), '/xapi/v1/Recordings', query), recordings, what, ctx)
  const found = recordingsOf(call, value, ctx)[nth - 1]
  if (!found) {
    const why = isRecent ? 'The call ended a short while ago' : 'It is archived elsewhere, or was deleted'
    throw missing(what, why, retry)
  }
  const path = `/xapi/v1/Recordings/Pbx.DownloadRecording(recId=${found.Id})`
  const response = await authorized(apiUrl(base(ctx), path), ctx, {
    maxBytes: RECORDING_MAX_BYTES,
    redirects: 3,
  })
  const download = '3CX: download the recording'
  if (response.status !== 404 && response.status !== 400)
    return failOn(response, { what: download, now: ctx.now })
  const said = await readBounded(response, 4096)
  if (response.status === 400 && !said.includes('FILE_NOT_FOUND')) {
    throw new CordboardError('rejected', `${download}: HTTP 400`)
  }
  throw missing(`${download}: HTTP ${response.status}`, 'Its file is not there', retry)
}

const missing = (what: string, why: string, retry: 'later' | 'never') =>
  new CordboardError('not_found', `${what}: there is none`, { why, retry })

/** Finished calls with the outside, a day at a time; a call belongs to the day that it begins on. */
export async function* listCalls(since: string, ctx: Context, until?: string): AsyncIterable<CallEvent[]> {
  const now = ctx.now()
  const end = listEnd(ctx, until)
  for (let from = Date.parse(since); from < end; from += DAY_MS) {
    const next = Math.min(from + DAY_MS, end)
    // An hour more, for the later parts of calls that begin at the day's end.
    const rows = await listRows(from, Math.min(next + HOUR_MS, now), ctx)
    const calls = [...Map.groupBy(rows, (row) => row.MainCallHistoryId).values()]
    yield calls
      .filter((call) => Math.min(...call.map((row) => row.StartTime)) < next)
      .filter((call) => endOf(call) + SETTLED_MS < now)
      .flatMap((call) => toLoggedEvent(call, ctx) ?? [])
      // Of a withheld number nothing joins it with the journal's call: it would be a second one.
      .filter((event) => event.alsoKnownAs !== undefined)
  }
}

/** No `$orderby` and no `$filter`: both are said to lose rows. The argument of times is written as 3CX's own client does. */
async function listRows(from: number, to: number, ctx: Context): Promise<LogRow[]> {
  const args = [
    `periodFrom=${new Date(from).toISOString()}`,
    `periodTo=${new Date(to).toISOString()}`,
    "sourceType=0,sourceFilter='',destinationType=0,destinationFilter=''",
    "callsType=0,callTimeFilterType=0,callTimeFilterFrom='0:00:0',callTimeFilterTo='0:00:0',hidePcalls=true",
  ]
  const path = `/xapi/v1/ReportCallLogData/Pbx.GetCallLogData(${args.join()})`
  const rows: LogRow[] = []
  while (rows.length < MOST_ROWS) {
    const query = { $top: String(ROWS_PER_PAGE), $skip: String(rows.length) }
    const { value } = await get(apiUrl(base(ctx), path, query), callLog, '3CX: list calls', ctx)
    rows.push(...value)
    if (value.length < ROWS_PER_PAGE) return rows
  }
  throw new CordboardError('too_large', `3CX: a day has more than ${MOST_ROWS} rows`, {
    fix: 'Ask from a later time on: what is missing could not be told from what is not there',
  })
}

export async function checkAccess(ctx: Context): Promise<CheckResult> {
  if (ctx.config.baseUrl === undefined) {
    const what = 'Recordings and the call log cannot be fetched: there is no API client'
    return {
      says: 'takes the call journal',
      warnings: [{ what, fix: 'Set baseUrl, clientId, clientSecret' }],
    }
  }
  const what = '3CX: ask for recordings'
  const { value } = await get(apiUrl(base(ctx), '/xapi/v1/Recordings', { $top: '1' }), recordings, what, ctx)
  return { says: `the API lists recordings${value.length === 0 ? ' (there is none yet)' : ''}` }
}

function base({ config: { baseUrl } }: Context): string {
  if (baseUrl !== undefined) return baseUrl
  throw new CordboardError('config', '3CX: there is no API client', {
    fix: 'Set baseUrl, clientId and clientSecret of the connection',
  })
}

async function get<Schema extends z.ZodType>(url: string, schema: Schema, what: string, ctx: Context) {
  const response = await authorized(url, ctx)
  return readReply(await failOn(response, { what, now: ctx.now }), schema, what)
}

/** Only the newest token of a client is good (users' reports): one is shared by all, and replaced when it is refused. */
async function authorized(
  url: string,
  ctx: Context,
  init: { maxBytes?: number; redirects?: number } = {},
): Promise<Response> {
  const from = [ctx.config.clientSecret ?? '']
  const ask = (access: string) => ctx.fetch(url, { ...init, headers: { authorization: `Bearer ${access}` } })
  const access = await ctx.token('access', (_, fetch) => newToken(fetch, ctx), { from })
  const response = await ask(access)
  if (response.status !== 401) return response
  await readBounded(response, 0)
  return ask(await ctx.token('access', (_, fetch) => newToken(fetch, ctx), { from, refused: access }))
}

async function newToken(fetch: VendorFetch, ctx: Context) {
  const { clientId = '', clientSecret = '' } = ctx.config
  const what = '3CX: get a token'
  const response = await fetch(apiUrl(base(ctx), '/connect/token'), {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: clientId,
      client_secret: clientSecret,
    }),
  })
  // OAuth 2.0 (RFC 6749 §5.2) refuses a client with 400 as well.
  const codeOf = (status: number, body: string) =>
    status === 400 && body.includes('invalid_client') ? ('auth' as const) : undefined
  const read = await readReply(await failOn(response, { what, now: ctx.now, codeOf }), token, what)
  return {
    token: read.access_token,
    ...(read.expires_in === undefined ? {} : { expiresInMs: read.expires_in * 1000 }),
  }
}
