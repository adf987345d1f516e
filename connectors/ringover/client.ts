import type { Call, Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { CheckResult, ConnectorContext } from '../../src/connector/contract.ts'
import { failOn } from '../../src/connector/fail-on.ts'
import { listEnd } from '../../src/connector/list-end.ts'
import { readReply } from '../../src/connector/read.ts'
import { CordboardError } from '../../src/errors.ts'
import { toListedEvents } from './map.ts'
import { type Config, callPage, type Row } from './schema.ts'

type Context = ConnectorContext<Config>

const RECORDING_MAX_BYTES = 4 * 1024 ** 3
/** How long after a call's end a recording that is not there may still come; not documented. */
const MAY_STILL_COME_MS = 3_600_000
const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
/** "15 days" at most may be asked for at once, and 1,000 calls (seen in public code, 2026-11). */
const LONGEST_SPAN_MS = 14 * DAY_MS
const MOST_CALLS = 1000

/** Whoever has the link hears the call: it needs no credentials. */
export async function linkTo(recording: Recording, call: Call, ctx: Context): Promise<string | null> {
  const text = recording.url ?? (await freshLink(recording, call, ctx))
  return text === null ? null : checked(text, ctx).href
}

/** By the link that was told; where it has ended, by the one that the list shows now. */
export async function fetchRecording(recording: Recording, call: Call, ctx: Context): Promise<Response> {
  const what = 'Ringover: fetch the recording'
  const told = recording.url
  const first = told === undefined ? null : await fetchLink(told, ctx)
  if (first && !hasEnded(first.status)) return failOn(first, { what, now: ctx.now })
  await first?.body?.cancel()
  const link = await freshLink(recording, call, ctx)
  const again = link === null || link === told ? null : await fetchLink(link, ctx)
  if (again && !hasEnded(again.status)) return failOn(again, { what, now: ctx.now })
  await again?.body?.cancel()
  const endedAt = call.endedAt ?? call.startedAt
  const isRecent = endedAt !== undefined && ctx.now() - Date.parse(endedAt) < MAY_STILL_COME_MS
  throw new CordboardError('not_found', `${what}: no link of the call leads to it`, {
    why: isRecent ? 'The call ended a short while ago: it may not be there yet' : 'It was deleted',
    retry: isRecent ? 'later' : 'never',
  })
}

const hasEnded = (status: number): boolean => [401, 403, 404, 410].includes(status)

async function fetchLink(text: string, ctx: Context): Promise<Response> {
  const response = await ctx.fetch(checked(text, ctx), { redirects: 3, maxBytes: RECORDING_MAX_BYTES })
  if (!response.ok || response.headers.has('content-type')) return response
  // The CDN names no type (reported 2026-11); voicemails and recordings alike are mp3.
  const headers = new Headers(response.headers)
  headers.set('content-type', 'audio/mpeg')
  return new Response(response.body, { status: response.status, headers })
}

function checked(text: string, ctx: Context): URL {
  const link = URL.parse(text)
  const isOwn = link?.origin === new URL(ctx.config.baseUrl).origin
  if (link && (link.protocol === 'https:' || isOwn)) return link
  throw new CordboardError('blocked_address', 'Ringover: the recording’s link is no https address')
}

async function freshLink(recording: Recording, call: Call, ctx: Context): Promise<string | null> {
  const startedAt = Date.parse(call.startedAt ?? '')
  if (Number.isNaN(startedAt)) return null
  // The list is by start; a minute both ways for what clocks may differ.
  for await (const rows of pagesOf(startedAt - MINUTE_MS, startedAt + MINUTE_MS, ctx)) {
    for (const row of rows) {
      const own = toListedEvents(row, ctx).flatMap(({ facts }) => facts.recordings ?? [])
      const found = own.find(({ key, url }) => key === recording.key && url !== undefined)
      if (found?.url !== undefined) return found.url
    }
  }
  return null
}

/** Finished calls, a span at a time. */
export async function* listCalls(since: string, ctx: Context, until?: string): AsyncIterable<CallEvent[]> {
  const end = listEnd(ctx, until)
  for (let from = Date.parse(since); from < end; from += LONGEST_SPAN_MS) {
    for await (const rows of pagesOf(from, Math.min(from + LONGEST_SPAN_MS, end), ctx)) {
      // What goes on has no end; it is left to its webhooks.
      yield rows.filter((row) => row.end_time !== undefined).flatMap((row) => toListedEvents(row, ctx))
    }
  }
}

async function* pagesOf(from: number, to: number, ctx: Context): AsyncIterable<Row[]> {
  for (let offset = 0; ; offset += MOST_CALLS) {
    const query = {
      start_date: new Date(from).toISOString(),
      end_date: new Date(to).toISOString(),
      limit_count: String(MOST_CALLS),
      limit_offset: String(offset),
    }
    const rows = await list(query, 'Ringover: list calls', ctx)
    yield rows
    if (rows.length < MOST_CALLS) return
  }
}

/** Reads what is needed anyway. */
export async function checkAccount(ctx: Context): Promise<CheckResult> {
  const rows = await list({ limit_count: '1' }, 'Ringover: try the API key', ctx)
  return { says: `API key accepted, it reads calls${rows.length === 0 ? '; there are none' : ''}` }
}

async function list(query: Record<string, string>, what: string, ctx: Context): Promise<Row[]> {
  const { baseUrl, apiKey } = ctx.config
  // The key as it is, without a scheme.
  const response = await ctx.fetch(apiUrl(baseUrl, '/v2/calls', query), {
    headers: { authorization: apiKey },
  })
  await failOn(response, { what, now: ctx.now })
  // 204 where there are none.
  if (response.status === 204) return []
  return (await readReply(response, callPage, what)).call_list ?? []
}
