import type { z } from 'zod'
import type { Call, Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { CheckResult, ConnectorContext } from '../../src/connector/contract.ts'
import { encodeBase64, utf8 } from '../../src/connector/encoding.ts'
import { failOn } from '../../src/connector/fail-on.ts'
import { readReply } from '../../src/connector/read.ts'
import { CordboardError } from '../../src/errors.ts'
import { toListedEvents } from './map.ts'
import {
  type AircallCall,
  type Config,
  callPage,
  type ListedWebhook,
  oneCall,
  oneWebhook,
  webhookPage,
} from './schema.ts'

type Context = ConnectorContext<Config>

const RECORDING_MAX_BYTES = 4 * 1024 ** 3
/** How long after a call's end audio that is not there may still come; not documented. */
const MAY_STILL_COME_MS = 3_600_000
const PER_PAGE = 50
/** "10,000 items" can be paged through; then the window moves on (seen in public code, 2026-11). */
const PAGES_PER_WINDOW = 10_000 / PER_PAGE

/** A link is asked for anew each time: it lives for an hour at most, and it needs no credentials of ours. */
export async function fetchRecording(recording: Recording, call: Call, ctx: Context): Promise<Response> {
  const [, kind, id] = /^(recording|voicemail):(\d+)$/.exec(recording.key) ?? []
  if (kind === undefined || id === undefined) {
    throw new CordboardError('not_found', 'Aircall: this recording has no key of Aircall', { retry: 'never' })
  }
  const shown = await get(`/v1/calls/${id}`, {}, oneCall, 'Aircall: ask for the recording’s link', ctx)
  const link = linkIn(shown.call, kind, ctx)
  const what = 'Aircall: fetch the recording'
  if (link === null) throw missing(`${what}: the call has no link to it`, call, ctx)
  // Storage, not the API: it has a budget of its own, which is none.
  const response = await ctx.fetch(link, { redirects: 3, maxBytes: RECORDING_MAX_BYTES, bucket: 'storage' })
  const codeOf = (status: number) => (status === 401 ? 'gone' : undefined)
  if (response.status !== 403 && response.status !== 404)
    return failOn(response, { what, now: ctx.now, codeOf })
  await response.body?.cancel()
  throw missing(`${what}: HTTP ${response.status}`, call, ctx)
}

function linkIn(shown: AircallCall, kind: string, ctx: Context): URL | null {
  const text = kind === 'voicemail' ? shown.voicemail : shown.recording
  if (text === undefined) return null
  const link = URL.parse(text)
  if (link && (link.protocol === 'https:' || link.origin === new URL(ctx.config.baseUrl).origin)) return link
  throw new CordboardError('blocked_address', 'Aircall: the recording’s link is no https address')
}

function missing(message: string, call: Call, ctx: Context): CordboardError {
  const endedAt = call.endedAt ?? call.startedAt
  const isRecent = endedAt !== undefined && ctx.now() - Date.parse(endedAt) < MAY_STILL_COME_MS
  return new CordboardError('not_found', message, {
    why: isRecent ? 'The call ended a short while ago: its audio may not be there yet' : 'It was deleted',
    retry: isRecent ? 'later' : 'never',
  })
}

/** Finished calls, oldest first. What is still going on is left to its webhooks. */
export async function* listCalls(since: string, ctx: Context, until?: string): AsyncIterable<CallEvent[]> {
  let from = Math.floor(Date.parse(since) / 1000)
  const to = until === undefined ? {} : { to: String(Math.ceil(Date.parse(until) / 1000)) }
  for (let page = 1; ; page += 1) {
    const query = { from: String(from), ...to, order: 'asc', per_page: String(PER_PAGE), page: String(page) }
    const { calls, meta } = await get('/v1/calls', query, callPage, 'Aircall: list calls', ctx)
    yield calls.filter((call) => call.status === 'done').flatMap((call) => toListedEvents(call, ctx))
    if (meta?.next_page_link === undefined || calls.length === 0) return
    if (page < PAGES_PER_WINDOW) continue
    const last = Math.floor(Date.parse(calls.at(-1)?.started_at ?? '') / 1000)
    // Calls of the same second come again and say the same; a second with more calls than a window is stepped over.
    from = last > from ? last : from + 1
    page = 0
  }
}

/** Without these two there is neither the end of a call nor its audio. */
const NEEDED = ['call.ended', 'call.comm_assets_generated']
/** What tells the most of a call: the README has the same list. */
const WANTED = [
  ...NEEDED,
  ...['call.created', 'call.ringing_on_agent', 'call.agent_declined', 'call.answered', 'call.transferred'],
  ...['call.voicemail_left', 'call.tagged', 'call.commented'],
]
const WEBHOOK_PAGES = 2

async function listWebhooks(ctx: Context): Promise<ListedWebhook[]> {
  const all: ListedWebhook[] = []
  // "Up to 100 webhooks per company".
  for (let page = 1; page <= WEBHOOK_PAGES; page += 1) {
    const query = { per_page: String(PER_PAGE), page: String(page) }
    const what = 'Aircall: list webhooks'
    const { webhooks, meta } = await get('/v1/webhooks', query, webhookPage, what, ctx)
    all.push(...webhooks)
    if (meta?.next_page_link === undefined) break
  }
  return all
}

const leadsTo =
  (hookUrl: string) =>
  ({ url }: ListedWebhook): boolean =>
    url === hookUrl || url.startsWith(`${hookUrl}/`)

/**
 * Aircall switches a webhook off that was refused too often, and nothing else switches it on again. None is created: its
 * token, which Aircall chooses, would not be in the configuration, and every delivery refused.
 */
export async function tendWebhook(url: string, ctx: Context): Promise<void> {
  const ours = (await listWebhooks(ctx)).filter(leadsTo(url))
  const known = ours.find(({ token }) => ctx.config.webhookToken.includes(token))
  if (known?.webhook_id === undefined) {
    const { what, fix } = ours.length === 0 ? NO_WEBHOOK : WRONG_TOKEN
    throw new CordboardError('config', `Aircall: ${what}`, { fix })
  }
  const events = known.events ?? []
  const isWhole = known.events === undefined || NEEDED.every((name) => events.includes(name))
  if (known.active && isWhole) return
  // "PUT without `events` re-subscribes to ALL events": those that the operator chose are said again.
  const body = JSON.stringify({ active: true, events: [...new Set([...events, ...WANTED])] })
  const what = 'Aircall: switch the webhook on'
  await ask('PUT', `/v1/webhooks/${known.webhook_id}`, {}, oneWebhook, what, ctx, body)
}

/** The list of webhooks proves the key, and shows what is wrong with ours before Aircall switches it off. */
export async function checkWebhook(ctx: Context): Promise<CheckResult> {
  const all = await listWebhooks(ctx)
  const says = `API key accepted, ${all.length} webhooks`
  const { hookUrl } = ctx
  if (hookUrl === undefined) return { says }
  const ours = all.filter(leadsTo(hookUrl))
  const warnings = ours.length === 0 ? [NO_WEBHOOK] : ours.flatMap((one) => warningsOf(one, ctx.config))
  return warnings.length > 0 ? { says, warnings } : { says: `${says}, ours is active` }
}

const NO_WEBHOOK = {
  what: 'No webhook of the account leads to this connection',
  fix: 'Create one for its URL by the API, and put the token of the answer into webhookToken',
}

const WRONG_TOKEN = {
  what: 'The webhook’s token is not in webhookToken: every delivery is refused',
  fix: 'Put its token, as GET /v1/webhooks shows it, into webhookToken',
}

function warningsOf({ active, token, events }: ListedWebhook, config: Config) {
  const warnings: { what: string; fix: string }[] = []
  if (!active) {
    const fix = 'Set subscribe: true, or switch it on again in the dashboard'
    warnings.push({ what: 'The webhook is not active: Aircall sends nothing', fix })
  }
  if (!config.webhookToken.includes(token)) warnings.push(WRONG_TOKEN)
  const lacking = events === undefined ? [] : NEEDED.filter((name) => !events.includes(name))
  if (lacking.length > 0) {
    const what = `The webhook is not subscribed to ${lacking.join(' and ')}`
    warnings.push({ what, fix: 'Add it: PUT /v1/webhooks/{id}?events_action=add' })
  }
  return warnings
}

const get = <Schema extends z.ZodType>(
  path: string,
  query: Record<string, string>,
  schema: Schema,
  what: string,
  ctx: Context,
): Promise<z.output<Schema>> => ask('GET', path, query, schema, what, ctx)

async function ask<Schema extends z.ZodType>(
  method: 'GET' | 'PUT',
  path: string,
  query: Record<string, string>,
  schema: Schema,
  what: string,
  ctx: Context,
  body?: string,
): Promise<z.output<Schema>> {
  const { baseUrl, apiId, apiToken } = ctx.config
  const authorization = `Basic ${encodeBase64(utf8(`${apiId}:${apiToken}`))}`
  const sent =
    body === undefined
      ? { method, headers: { authorization } }
      : { method, headers: { authorization, 'content-type': 'application/json' }, body }
  const response = withRetryAfter(await ctx.fetch(apiUrl(baseUrl, path, query), sent), ctx)
  // "403: invalid API key or Bearer token".
  const codeOf = (status: number) => (status === 403 ? 'auth' : undefined)
  return readReply(await failOn(response, { what, now: ctx.now, codeOf }), schema, what)
}

/** X-AircallApi-Reset is when the window ends; seconds in most reports, milliseconds in one. */
function withRetryAfter(response: Response, ctx: Context): Response {
  const reset = response.headers.get('x-aircallapi-reset')
  if (response.status !== 429 || response.headers.has('retry-after') || !/^\d{10,13}$/.test(reset ?? ''))
    return response
  const resetMs = reset?.length === 13 ? Number(reset) : Number(reset) * 1000
  const headers = { 'retry-after': String(Math.max(1, Math.ceil((resetMs - ctx.now()) / 1000))) }
  return new Response(response.body, { status: 429, headers })
}
