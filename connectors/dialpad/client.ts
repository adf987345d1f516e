import type { z } from 'zod'
import type { Call, Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { CheckResult, ConnectorContext } from '../../src/connector/contract.ts'
import { failOn } from '../../src/connector/fail-on.ts'
import { parseJson } from '../../src/connector/json.ts'
import { readAs } from '../../src/connector/read.ts'
import { CordboardError } from '../../src/errors.ts'
import { endedEvents, STATES } from './map.ts'
import {
  type Config,
  callPage,
  oneWebhook,
  subscription,
  subscriptionPage,
  type Webhook,
  webhookPage,
} from './schema.ts'

type Context = ConnectorContext<Config>

const RECORDING_MAX_BYTES = 4 * 1024 ** 3
/** The list goes by the start of a call: one that began so long before may have ended since. */
const LONGEST_CALL_MS = 4 * 3_600_000

/**
 * Which header a recording is asked with is not documented; keys without the scope meet a 403, or are led to the login
 * page (https://developers.dialpad.com/discuss/627b0f4a52ae2600404797e9, read 2026-11-20). A page is no recording.
 */
export async function fetchRecording(recording: Recording, _: Call, ctx: Context): Promise<Response> {
  const what = 'Dialpad: fetch the recording'
  const url = theirs(recording.url, ctx)
  if (url === null) {
    throw new CordboardError('blocked_address', `${what}: its URL is none of Dialpad’s`, {
      fix: 'If it is your company’s own Dialpad, set its address as baseUrl of the connection',
    })
  }
  const headers = { authorization: `Bearer ${ctx.config.apiKey}` }
  const response = await ctx.fetch(url, { headers, redirects: 3, maxBytes: RECORDING_MAX_BYTES })
  await failOn(response, { what, now: ctx.now })
  const type = response.headers.get('content-type') ?? ''
  if (!/^text\/|json/i.test(type)) return response
  await response.body?.cancel()
  throw new CordboardError('forbidden', `${what}: a page came in place of audio`, {
    why: 'The API key lacks the scope recordings_export, or this kind of recording is only shown on a page',
  })
}

/** The URL came from outside: the key goes to Dialpad's hosts only. */
function theirs(text: string | undefined, { config }: Context): URL | null {
  const url = text === undefined ? null : URL.parse(text)
  const base = new URL(config.baseUrl)
  if (url === null || url.origin === base.origin) return url
  return url.protocol === 'https:' && /(?:^|\.)dialpad\.com$/.test(url.host) ? url : null
}

/** Concluded calls, newest first, as their last webhooks would have told them. */
export async function* listCalls(since: string, ctx: Context, until?: string): AsyncIterable<CallEvent[]> {
  const started_after = String(Date.parse(since) - LONGEST_CALL_MS)
  // The parts of a call are rows of their own, which begin later than the first.
  const range = until === undefined ? {} : { started_before: String(Date.parse(until) + LONGEST_CALL_MS) }
  for await (const { items } of pages(
    '/api/v2/call',
    { started_after, ...range },
    callPage,
    'Dialpad: list calls',
    ctx,
  )) {
    yield items.flatMap((row) => endedEvents(row, ctx))
  }
}

/** A webhook for the URL, with our secret, and a subscription to what is read; what is there already stays. */
export async function subscribe(url: string, ctx: Context): Promise<void> {
  const secret = ctx.config.webhookSecret[0] ?? ''
  const webhook = await webhookFor(url, secret, ctx)
  for await (const { items } of pages(
    SUBSCRIPTIONS,
    {},
    subscriptionPage,
    'Dialpad: list subscriptions',
    ctx,
  )) {
    if (items.some((one) => one.webhook?.id === webhook.id)) return
  }
  // The id has 64 bits: it is written as it was read.
  const body = `{"endpoint_id":${webhook.id},"call_states":${JSON.stringify(STATES)},"enabled":true}`
  await ask('POST', SUBSCRIPTIONS, {}, subscription, 'Dialpad: subscribe to calls', ctx, { body })
}

const SUBSCRIPTIONS = '/api/v2/subscriptions/call'
const WEBHOOKS = '/api/v2/webhooks'

async function webhookFor(url: string, secret: string, ctx: Context): Promise<Webhook> {
  const body = JSON.stringify({ hook_url: url, secret })
  for await (const { items } of pages(WEBHOOKS, {}, webhookPage, 'Dialpad: list webhooks', ctx)) {
    const known = items.find(({ hook_url }) => hook_url === url)
    if (known?.signature?.secret === secret) return known
    if (known) {
      const what = 'Dialpad: give the webhook its secret'
      return ask('PATCH', `${WEBHOOKS}/${known.id}`, {}, oneWebhook, what, ctx, { body })
    }
  }
  return ask('POST', WEBHOOKS, {}, oneWebhook, 'Dialpad: create the webhook', ctx, {
    body,
    bucket: 'webhooks',
  })
}

/** The shortest list there is; without its scope that of webhooks proves the key. */
export async function checkAccount(ctx: Context): Promise<CheckResult> {
  try {
    const query = { started_after: String(ctx.now()) }
    await ask('GET', '/api/v2/call', query, callPage, 'Dialpad: try to list calls', ctx)
    return { says: 'API key accepted, it lists calls' }
  } catch (error) {
    if (!(error instanceof CordboardError) || error.code !== 'forbidden') throw error
    await ask('GET', WEBHOOKS, {}, webhookPage, 'Dialpad: try the API key', ctx)
    const what = 'The API key may not list calls: what no webhook told stays unknown'
    const fix = 'Use a company admin’s key with the scope calls:list, or do not reconcile this connection'
    return { says: 'API key accepted', warnings: [{ what, fix }] }
  }
}

async function* pages<Schema extends z.ZodType<{ cursor: string | undefined }>>(
  path: string,
  query: Record<string, string>,
  schema: Schema,
  what: string,
  ctx: Context,
): AsyncIterable<z.output<Schema>> {
  let cursor: string | undefined
  const seen = new Set<string>()
  do {
    const asked = { ...query, ...(cursor === undefined ? {} : { cursor }) }
    const page: z.output<Schema> = await ask('GET', path, asked, schema, what, ctx)
    yield page
    cursor = page.cursor
    if (cursor !== undefined && seen.has(cursor))
      throw new CordboardError('invalid_payload', `${what}: it has no end`)
    if (cursor !== undefined) seen.add(cursor)
  } while (cursor !== undefined)
}

async function ask<Schema extends z.ZodType>(
  method: 'GET' | 'POST' | 'PATCH',
  path: string,
  query: Record<string, string>,
  schema: Schema,
  what: string,
  ctx: Context,
  { body, bucket = 'default' }: { body?: string; bucket?: string } = {},
): Promise<z.output<Schema>> {
  const headers = {
    authorization: `Bearer ${ctx.config.apiKey}`,
    accept: 'application/json',
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  }
  const sent = { method, headers, bucket, ...(body === undefined ? {} : { body }) }
  const response = await failOn(await ctx.fetch(apiUrl(ctx.config.baseUrl, path, query), sent), {
    what,
    now: ctx.now,
  })
  return readAs(schema, parseJson(new Uint8Array(await response.arrayBuffer())), `${what}: the reply`)
}
