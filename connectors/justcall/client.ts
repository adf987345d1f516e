import type { z } from 'zod'
import type { Call, Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { CheckResult, ConnectorContext } from '../../src/connector/contract.ts'
import { failOn } from '../../src/connector/fail-on.ts'
import { readReply } from '../../src/connector/read.ts'
import { CordboardError } from '../../src/errors.ts'
import { toListedEvents } from './map.ts'
import { anyPage, type Config, callPage, oneCall } from './schema.ts'

type Context = ConnectorContext<Config>

const RECORDING_MAX_BYTES = 4 * 1024 ** 3
/** How long after a call's start a recording that is not there may still come; not documented. */
const MAY_STILL_COME_MS = 3_600_000
const HOUR_MS = 3_600_000
/** Zones reach twelve hours behind UTC. */
const FURTHEST_BEHIND_MS = 12 * HOUR_MS
const PER_PAGE = 100

export async function fetchRecording(recording: Recording, call: Call, ctx: Context): Promise<Response> {
  const [, kind, id] = /^(recording|recording_child):(\d+)$/.exec(recording.key) ?? []
  if (kind === undefined || id === undefined) {
    throw new CordboardError('not_found', 'JustCall: this recording has no key of JustCall', {
      retry: 'never',
    })
  }
  const shown = await get(`/v2.1/calls/${id}`, {}, oneCall, 'JustCall: ask for the recording’s link', ctx)
  const { recording: first, recording_child: child } = shown.data.call_info
  const text = kind === 'recording' ? first : child
  const what = 'JustCall: fetch the recording'
  if (text === undefined) throw missing(`${what}: the call has no link to it`, call, ctx)
  const link = URL.parse(text)
  const isOwn = link?.origin === new URL(ctx.config.baseUrl).origin
  if (!link || (link.protocol !== 'https:' && !isOwn)) {
    throw new CordboardError('blocked_address', `${what}: its link is no https address`)
  }
  const response = await fetchLink(link, isOwn || /(?:^|\.)justcall\.io$/.test(link.hostname), ctx)
  // The key was accepted a moment ago: a refusal is about the link.
  const codeOf = (status: number) => (status === 401 || status === 403 ? 'gone' : undefined)
  if (response.status !== 404) return failOn(response, { what, now: ctx.now, codeOf })
  await response.body?.cancel()
  throw missing(`${what}: HTTP 404`, call, ctx)
}

/**
 * Whether links need credentials is not documented: first without, then with them, and those only to JustCall's own hosts.
 * On the way to another one ctx.fetch drops them.
 */
async function fetchLink(link: URL, isTheirs: boolean, ctx: Context): Promise<Response> {
  const init = { redirects: 3, maxBytes: RECORDING_MAX_BYTES, bucket: 'recordings' }
  const response = await ctx.fetch(link, init)
  if (!isTheirs || (response.status !== 401 && response.status !== 403)) return response
  await response.body?.cancel()
  return ctx.fetch(link, { ...init, headers: credentials(ctx.config) })
}

function missing(message: string, call: Call, ctx: Context): CordboardError {
  const startedAt = Date.parse(call.startedAt ?? '')
  const isRecent = ctx.now() - startedAt - (call.totalMs ?? 0) < MAY_STILL_COME_MS
  return new CordboardError('not_found', message, {
    why: isRecent ? 'The call ended a short while ago: its recording may not be there yet' : 'It was deleted',
    retry: isRecent ? 'later' : 'never',
  })
}

/**
 * Finished calls. `from_datetime` is read in the zone of the key's user, which nothing tells: half a day more is asked for,
 * and left out of the answer.
 */
export async function* listCalls(since: string, ctx: Context): AsyncIterable<CallEvent[]> {
  const from = new Date(Date.parse(since) - FURTHEST_BEHIND_MS).toISOString().slice(0, 19).replace('T', ' ')
  for (let page = 0; ; page += 1) {
    const query = { from_datetime: from, page: String(page), per_page: String(PER_PAGE) }
    const { data } = await get('/v2.1/calls', query, callPage, 'JustCall: list calls', ctx)
    const wanted = data.filter((call) => Date.parse(call.startedAt) >= Date.parse(since))
    yield wanted.flatMap((call) => toListedEvents(call, ctx))
    if (data.length < PER_PAGE) return
  }
}

/** Reads what is needed anyway. */
export async function checkAccount(ctx: Context): Promise<CheckResult> {
  const query = { page: '0', per_page: '1' }
  await get('/v2.1/calls', query, anyPage, 'JustCall: try the API key', ctx)
  if (ctx.config.maxAgeMs !== false) return { says: 'API key accepted, it reads calls' }
  const what = 'The time of webhooks is not looked at: whoever saw one can send others like it for ever'
  return {
    says: 'API key accepted, it reads calls',
    warnings: [{ what, fix: 'Set maxAgeMs, and timestampZone to the zone that the header’s time is of' }],
  }
}

async function get<Schema extends z.ZodType>(
  path: string,
  query: Record<string, string>,
  schema: Schema,
  what: string,
  ctx: Context,
): Promise<z.output<Schema>> {
  const response = await ctx.fetch(apiUrl(ctx.config.baseUrl, path, query), {
    headers: credentials(ctx.config),
  })
  return readReply(await failOn(response, { what, now: ctx.now }), schema, what)
}

/** Key and secret as they are: neither a scheme nor base64. */
function credentials({ apiKey, apiSecret }: Config): Record<string, string> {
  return { authorization: `${apiKey}:${apiSecret[0]}` }
}
