import type { z } from 'zod'
import type { Call, Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { CheckResult, ConnectorContext, FetchInit } from '../../src/connector/contract.ts'
import { encodeBase64, utf8 } from '../../src/connector/encoding.ts'
import { failOn, readBounded } from '../../src/connector/fail-on.ts'
import { listEnd } from '../../src/connector/list-end.ts'
import { readReply } from '../../src/connector/read.ts'
import { CordboardError, type ErrorCode } from '../../src/errors.ts'
import { toElementEvents, toRecordingEvent, VOICEMAIL } from './map.ts'
import { type Config, history, historyPage, recordingPage, token, voicemailDetails } from './schema.ts'

type Context = ConnectorContext<Config>

const RECORDING_MAX_BYTES = 4 * 1024 ** 3
const DAY_MS = 86_400_000
/** "One month's worth of data" a request, of "the last six months". */
const WINDOW_MS = 28 * DAY_MS
const OLDEST_MS = 180 * DAY_MS
/** One that began before the end of what is asked for may end so much later. */
const LONGEST_CALL_MS = 4 * 3_600_000
/** A page's token is good for 15 minutes, and each call of it is asked for. */
const PAGE_SIZE = '100'
const AROUND_MS = 3_600_000

// ── Recordings ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** How long a `download_url` stays good is not documented: when it is no longer, the list has another one. */
export async function fetchRecording(recording: Recording, call: Call, ctx: Context): Promise<Response> {
  const what = 'Zoom: fetch the recording'
  const given = theirs(recording.url, ctx)
  const first = given ?? (await findUrl(recording, call, ctx))
  if (first === null) {
    throw new CordboardError('not_found', `${what}: it is not in the account’s list`, {
      why: 'It was deleted, or the call is too long ago',
    })
  }
  let response = await download(first, ctx)
  if (given !== null && [400, 404, 410].includes(response.status)) {
    const next = await findUrl(recording, call, ctx)
    if (next !== null && next.href !== first.href) {
      await readBounded(response, 0)
      response = await download(next, ctx)
    }
  }
  return failOn(response, { what, now: ctx.now, codeOf })
}

/** Media may redirect to storage; the token stays with Zoom's host. */
const download = (url: URL, ctx: Context) =>
  ask(url, ctx, { bucket: 'medium', redirects: 3, maxBytes: RECORDING_MAX_BYTES })

/** The URL came from outside: our token goes to Zoom's own hosts only (`zoom.us` as well as `api.zoom.us`). */
function theirs(text: string | undefined, { config }: Context): URL | null {
  const url = text === undefined ? null : URL.parse(text)
  const base = new URL(config.baseUrl)
  const host = base.host.replace(/^api\./, '')
  const isTheirs = url?.protocol === base.protocol && (url.host === host || url.host.endsWith(`.${host}`))
  return isTheirs ? url : null
}

async function findUrl(recording: Recording, call: Call, ctx: Context): Promise<URL | null> {
  if (recording.key.startsWith(VOICEMAIL)) {
    const path = `/v2/phone/voice_mails/${encodeURIComponent(recording.key.slice(VOICEMAIL.length))}`
    const { download_url } = await get(path, {}, voicemailDetails, 'Zoom: read the voicemail', ctx)
    return theirs(download_url, ctx)
  }
  const began = Date.parse(call.startedAt ?? call.endedAt ?? '')
  if (Number.isNaN(began)) return null
  const from = began - AROUND_MS
  const to = Math.min(Date.parse(call.endedAt ?? call.startedAt ?? '') + AROUND_MS, ctx.now())
  for await (const { recordings } of pages(
    'recordings',
    { ...between(from, to), query_date_type: 'start_time' },
    recordingPage,
    ctx,
  )) {
    const row = recordings.find(({ id }) => id === recording.key)
    if (row) return theirs(row.download_url, ctx)
  }
  return null
}

// ── Lists ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The hops of each call that has ended since, and the recordings, as the webhooks would have told them. */
export async function* listCalls(since: string, ctx: Context, until?: string): AsyncIterable<CallEvent[]> {
  // Both lists go by the end of a call.
  const end = listEnd(ctx, until, LONGEST_CALL_MS)
  const first = Math.max(Date.parse(since), ctx.now() - OLDEST_MS)
  for (let from = first; from < end; from += WINDOW_MS) {
    const range = between(from, Math.min(from + WINDOW_MS, end))
    for await (const page of pages('call_history', { ...range, time_type: 'end_time' }, historyPage, ctx)) {
      for (const { call_history_uuid: historyId } of page.call_history) yield await listHops(historyId, ctx)
    }
    const asked = { ...range, query_date_type: 'end_time' }
    for await (const page of pages('recordings', asked, recordingPage, ctx)) {
      yield page.recordings.map((row) => toRecordingEvent(row, ctx))
    }
  }
}

async function listHops(historyId: string, ctx: Context): Promise<CallEvent[]> {
  const path = `/v2/phone/call_history/${encodeURIComponent(historyId)}`
  const { call_elements } = await get(path, {}, history, 'Zoom: read a call’s history', ctx)
  return call_elements.flatMap((hop) =>
    toElementEvents({ ...hop, historyId: hop.historyId ?? historyId }, ctx),
  )
}

const BUCKETS = { call_history: 'heavy', recordings: 'medium' } as const

async function* pages<Schema extends z.ZodType<{ next_page_token: string | undefined }>>(
  list: keyof typeof BUCKETS,
  query: Record<string, string>,
  schema: Schema,
  ctx: Context,
): AsyncIterable<z.output<Schema>> {
  let next: string | undefined
  const seen = new Set<string>()
  do {
    const asked = { ...query, page_size: PAGE_SIZE, ...(next === undefined ? {} : { next_page_token: next }) }
    const what = `Zoom: list ${list === 'recordings' ? 'recordings' : 'the call history'}`
    const page: z.output<Schema> = await get(`/v2/phone/${list}`, asked, schema, what, ctx, BUCKETS[list])
    yield page
    next = page.next_page_token
    if (next !== undefined && seen.has(next))
      throw new CordboardError('invalid_payload', `${what}: it has no end`)
    if (next !== undefined) seen.add(next)
  } while (next !== undefined)
}

const between = (from: number, to: number) => ({ from: seconds(from), to: seconds(to) })
const seconds = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`

// ── The check, and how all of it is asked ───────────────────────────────────────────────────────────────────────────

const NEEDED = [
  ['call_history', historyPage, 'phone:read:list_call_logs:admin', 'Calls are not fetched again'],
  [
    'recordings',
    recordingPage,
    'phone:read:list_call_recordings:admin',
    'Links to recordings are not renewed',
  ],
] as const

/** The token proves the credentials; the shortest page of each list, its scope. */
export async function checkAccount(ctx: Context): Promise<CheckResult> {
  const warnings: { what: string; fix: string }[] = []
  for (const [list, schema, scope, what] of NEEDED) {
    try {
      await get(
        `/v2/phone/${list}`,
        { page_size: '1' },
        schema,
        `Zoom: try to list ${list}`,
        ctx,
        BUCKETS[list],
      )
    } catch (error) {
      if (!(error instanceof CordboardError) || error.code !== 'forbidden') throw error
      warnings.push({
        what,
        fix: `Add the scope ${scope} to the app, on a plan that has it, and activate it again`,
      })
    }
  }
  const says = `account …${ctx.config.accountId.slice(-4)} gives tokens`
  return warnings.length === 0 ? { says } : { says, warnings }
}

async function get<Schema extends z.ZodType>(
  path: string,
  query: Record<string, string>,
  schema: Schema,
  what: string,
  ctx: Context,
  bucket: 'light' | 'medium' | 'heavy' = 'light',
): Promise<z.output<Schema>> {
  const response = await ask(apiUrl(ctx.config.baseUrl, path, query), ctx, { bucket })
  return readReply(await failOn(response, { what, now: ctx.now, codeOf }), schema, what)
}

/**
 * Both are HTTP 400: a token without the scope (code 4711, https://github.com/JubaerHossain/zoom-laravel/issues/15, read
 * 2026-11-27), and a file that is not there (code 404, page of the download).
 */
function codeOf(status: number, body: string): ErrorCode | undefined {
  if (status !== 400) return undefined
  if (/"code"\s*:\s*4711\b/.test(body)) return 'forbidden'
  return /"code"\s*:\s*404\b/.test(body) ? 'not_found' : undefined
}

/** Once more with another token when this one has ended early. */
async function ask(url: string | URL, ctx: Context, init: FetchInit): Promise<Response> {
  const send = (bearer: string) => ctx.fetch(url, { ...init, headers: { authorization: `Bearer ${bearer}` } })
  const bearer = await accessToken(ctx)
  const response = await send(bearer)
  if (response.status !== 401) return response
  await readBounded(response, 0)
  return send(await accessToken(ctx, bearer))
}

/** Server-to-Server OAuth: an hour's token, no refresh token (https://developers.zoom.us/docs/internal-apps/s2s-oauth/). */
function accessToken(ctx: Context, refused?: string): Promise<string> {
  const { accountId, clientId, clientSecret, baseUrl } = ctx.config
  const base = new URL(baseUrl)
  base.host = base.host.replace(/^api\./, '')
  const what = 'Zoom: ask for a token'
  return ctx.token(
    'access',
    async (_, fetch) => {
      const response = await fetch(apiUrl(base.href, '/oauth/token'), {
        method: 'POST',
        headers: { authorization: `Basic ${encodeBase64(utf8(`${clientId}:${clientSecret}`))}` },
        body: new URLSearchParams({ grant_type: 'account_credentials', account_id: accountId }),
        bucket: 'token',
      })
      // What is wrong with the credentials is a 400 here: `invalid_client`, `unsupported_grant_type`.
      await failOn(response, {
        what,
        now: ctx.now,
        codeOf: (status) => (status === 400 ? 'auth' : undefined),
      })
      const { access_token, expires_in } = await readReply(response, token, what)
      return { token: access_token, expiresInMs: expires_in * 1000 }
    },
    { from: [clientSecret], refused },
  )
}
