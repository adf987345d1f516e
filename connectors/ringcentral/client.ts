import type { z } from 'zod'
import type { Call, Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { CheckResult, ConnectorContext, FetchInit } from '../../src/connector/contract.ts'
import { encodeBase64, utf8 } from '../../src/connector/encoding.ts'
import { failOn, readBounded } from '../../src/connector/fail-on.ts'
import { readReply } from '../../src/connector/read.ts'
import { CordboardError } from '../../src/errors.ts'
import { isFinished, toRecordEvents } from './map.ts'
import { type Config, extension, logPage, subscription, subscriptions, token } from './schema.ts'

type Context = ConnectorContext<Config>

const RECORDING_MAX_BYTES = 4 * 1024 ** 3
/** "A few minutes" until it is there; none shorter than 30 s is kept, which the same 404 says. */
const MAY_STILL_COME_MS = 3_600_000
/** The log goes by the start of a call: one that began so long before may have ended since. */
const LONGEST_CALL_MS = 4 * 3_600_000
const PAGE_SIZE = '250'
const FILTER = '/restapi/v1.0/account/~/telephony/sessions'
/** The longest there is, twenty years: nothing here would renew it. */
const LIFE_S = 630_720_000

// ── Recordings ──────────────────────────────────────────────────────────────────────────────────────────────────────

export async function fetchRecording(recording: Recording, call: Call, ctx: Context): Promise<Response> {
  const what = 'RingCentral: fetch the recording'
  const response = await ask(contentUrl(recording, ctx), ctx, {
    bucket: 'heavy',
    redirects: 3,
    maxBytes: RECORDING_MAX_BYTES,
  })
  if (response.status !== 404) return failOn(response, { what, now: ctx.now })
  await readBounded(response, 0)
  const endedAt = Date.parse(call.endedAt ?? call.startedAt ?? '')
  const isRecent = ctx.now() - endedAt < MAY_STILL_COME_MS
  throw new CordboardError('not_found', `${what}: HTTP 404`, {
    why: isRecent
      ? 'The call ended a short while ago: its recording may not be there yet'
      : 'It was shorter than 30 seconds, or deleted',
    retry: isRecent ? 'later' : 'never',
  })
}

/** `contentUri` of the call log, when it is RingCentral's; events bring the id alone, of which the same address is made. */
function contentUrl({ key, url }: Recording, { config }: Context): URL {
  const base = new URL(config.baseUrl)
  const given = url === undefined ? null : URL.parse(url)
  const domain = base.host.replace(/^platform\./, '')
  const isTheirs =
    given?.protocol === base.protocol && (given.host === domain || given.host.endsWith(`.${domain}`))
  if (isTheirs) return given
  base.host = base.host.replace(/^platform\./, 'media.')
  return new URL(`/restapi/v1.0/account/~/recording/${encodeURIComponent(key)}/content`, base)
}

// ── The call log ────────────────────────────────────────────────────────────────────────────────────────────────────

/** Finished calls, with their recordings under the keys that the webhooks gave them. */
export async function* listCalls(since: string, ctx: Context, until?: string): AsyncIterable<CallEvent[]> {
  const dateFrom = new Date(Date.parse(since) - LONGEST_CALL_MS).toISOString()
  const to = until === undefined ? {} : { dateTo: new Date(until).toISOString() }
  for (let page = 1; ; page++) {
    const query = { view: 'Detailed', type: 'Voice', dateFrom, ...to, perPage: PAGE_SIZE, page: String(page) }
    const path = '/restapi/v1.0/account/~/call-log'
    const { records, navigation } = await get(path, query, logPage, 'RingCentral: list calls', ctx, 'heavy')
    yield records.filter(isFinished).flatMap((row) => toRecordEvents(row, ctx))
    if (!navigation?.nextPage || records.length === 0) return
  }
}

// ── Subscription and check ──────────────────────────────────────────────────────────────────────────────────────────

const SUBSCRIPTION = '/restapi/v1.0/subscription'

/** A dead one is deleted first: "delete the subscription and register a new one" is the only cure of a blacklisting. */
export async function subscribe(url: string, ctx: Context): Promise<void> {
  const own = (await listSubscriptions(ctx)).filter((one) => one.deliveryMode?.address === url)
  if (own.some(isAlive)) return
  for (const { id } of own) {
    const what = 'RingCentral: delete the dead subscription'
    const init = { method: 'DELETE', bucket: 'medium' }
    const response = await ask(
      apiUrl(ctx.config.baseUrl, `${SUBSCRIPTION}/${encodeURIComponent(id)}`),
      ctx,
      init,
    )
    if (response.status !== 404) await failOn(response, { what, now: ctx.now })
    await response.body?.cancel()
  }
  const wish = {
    eventFilters: [FILTER],
    deliveryMode: {
      transportType: 'WebHook',
      address: url,
      verificationToken: ctx.config.verificationToken[0],
    },
    // Not inside of deliveryMode, where it is not read (https://github.com/PipedreamHQ/pipedream/pull/5992, 2026-11-20).
    expiresIn: LIFE_S,
  }
  const what = 'RingCentral: subscribe to telephony sessions'
  const response = await ask(apiUrl(ctx.config.baseUrl, SUBSCRIPTION), ctx, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(wish),
    bucket: 'medium',
  })
  await readReply(await failOn(response, { what, now: ctx.now }), subscription, what)
}

const isAlive = ({ status }: z.output<typeof subscription>) => status === 'Active'

const listSubscriptions = async (ctx: Context) =>
  (await get(SUBSCRIPTION, {}, subscriptions, 'RingCentral: list subscriptions', ctx)).records

/** The user behind the credentials, and whether anything is sent to us: RingCentral gives up a URL that failed, for good. */
export async function checkAccount(ctx: Context): Promise<CheckResult> {
  const path = '/restapi/v1.0/account/~/extension/~'
  const { extensionNumber } = await get(path, {}, extension, 'RingCentral: read the extension', ctx)
  const says = `credentials accepted${extensionNumber ? `, extension ${extensionNumber}` : ''}`
  if (ctx.hookUrl === undefined) return { says }
  const hookUrl = ctx.hookUrl
  const own = (await listSubscriptions(ctx)).filter((one) => one.deliveryMode?.address?.startsWith(hookUrl))
  if (own.some(isAlive)) return { says }
  const [dead] = own
  const what = dead
    ? `The subscription for this connection is ${dead.status ?? 'not active'}: no calls arrive`
    : 'The credentials see no subscription for this connection: no calls arrive'
  const fix = dead ? 'Delete it and make a new one, as the README says' : 'Make one, as the README says'
  return { says, warnings: [{ what, fix }] }
}

// ── How all of it is asked ──────────────────────────────────────────────────────────────────────────────────────────

async function get<Schema extends z.ZodType>(
  path: string,
  query: Record<string, string>,
  schema: Schema,
  what: string,
  ctx: Context,
  bucket = 'light',
): Promise<z.output<Schema>> {
  const response = await ask(apiUrl(ctx.config.baseUrl, path, query), ctx, { bucket })
  return readReply(await failOn(response, { what, now: ctx.now }), schema, what)
}

/** Once more with another token when this one has ended early. */
async function ask(url: string | URL, ctx: Context, init: FetchInit): Promise<Response> {
  const send = (bearer: string) =>
    ctx.fetch(url, { ...init, headers: { ...init.headers, authorization: `Bearer ${bearer}` } })
  const bearer = await accessToken(ctx)
  const response = await send(bearer)
  if (response.status !== 401) return response
  await readBounded(response, 0)
  return send(await accessToken(ctx, bearer))
}

/** The JWT stands in place of a password and does not change (https://developers.ringcentral.com/guide/authentication/jwt-flow). */
function accessToken(ctx: Context, refused?: string): Promise<string> {
  const { clientId, clientSecret, jwt, baseUrl } = ctx.config
  const what = 'RingCentral: ask for a token'
  return ctx.token(
    'access',
    async (_, fetch) => {
      const response = await fetch(apiUrl(baseUrl, '/restapi/oauth/token'), {
        method: 'POST',
        headers: { authorization: `Basic ${encodeBase64(utf8(`${clientId}:${clientSecret}`))}` },
        body: new URLSearchParams({
          grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
          assertion: jwt,
        }),
        bucket: 'auth',
      })
      // A JWT that was revoked, or is another app's, is a 400 here: `invalid_grant`.
      await failOn(response, {
        what,
        now: ctx.now,
        codeOf: (status) => (status === 400 ? 'auth' : undefined),
      })
      const { access_token, expires_in } = await readReply(response, token, what)
      return { token: access_token, expiresInMs: expires_in * 1000 }
    },
    { from: [clientSecret, jwt], refused },
  )
}
