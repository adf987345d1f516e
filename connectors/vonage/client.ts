import type { z } from 'zod'
import type { Call, Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { CheckResult, ConnectorContext } from '../../src/connector/contract.ts'
import { encodeBase64Url, utf8 } from '../../src/connector/encoding.ts'
import { failOn, readBounded } from '../../src/connector/fail-on.ts'
import { listEnd } from '../../src/connector/list-end.ts'
import { readReply } from '../../src/connector/read.ts'
import { CordboardError } from '../../src/errors.ts'
import { isFinal, toLegEvents } from './map.ts'
import { type Config, callPage, privateKeyBytes } from './schema.ts'

type Context = ConnectorContext<Config>

const RECORDING_MAX_BYTES = 2 * 1024 ** 3
/** How long after a call's end a recording that is not there may still come: not documented. */
const MAY_STILL_COME_MS = 900_000
/** Further legs of a call that begins just before the end of what is asked for begin after it. */
const LEGS_BEHIND_MS = 3_600_000
const TOKEN_LIFE_S = 300
/** "maximum: 100" */
const PAGE_SIZE = 100

/** The link keeps working, for us: it wants the token of the application that recorded. It is sent to Vonage's hosts alone. */
export async function fetchRecording(recording: Recording, call: Call, ctx: Context): Promise<Response> {
  const what = 'Vonage: fetch the recording'
  const url = URL.parse(recording.url ?? '')
  if (!url || !isTheirs(url, ctx.config)) {
    throw new CordboardError('blocked_address', `${what}: its link leads to another host than Vonage’s`, {
      fix: 'If it is the API of your region, set it as baseUrl of the connection',
    })
  }
  const headers = { authorization: await authorization(ctx) }
  const response = await ctx.fetch(url, { headers, redirects: 3, maxBytes: RECORDING_MAX_BYTES })
  if (response.status !== 404) return failOn(response, { what, now: ctx.now })
  await readBounded(response, 0)
  const endedAt = call.endedAt ?? call.startedAt
  const isRecent = endedAt !== undefined && ctx.now() - Date.parse(endedAt) < MAY_STILL_COME_MS
  throw new CordboardError('not_found', `${what}: it is not there`, {
    why: isRecent
      ? 'The call ended a short while ago: it may not be there yet'
      : 'Recordings are deleted after 30 days',
    retry: isRecent ? 'later' : 'never',
  })
}

const isTheirs = (url: URL, { baseUrl }: Config): boolean =>
  url.origin === new URL(baseUrl).origin ||
  (url.protocol === 'https:' && url.port === '' && /\.(?:nexmo|vonage)\.com$/.test(url.hostname))

/** Finished legs. There is no list of recordings: one whose event was lost stays unknown. */
export async function* listCalls(since: string, ctx: Context, until?: string): AsyncIterable<CallEvent[]> {
  // With both ends, and the oldest first, the list stays the same while it is read.
  const query = {
    date_start: new Date(since).toISOString(),
    date_end: new Date(listEnd(ctx, until, LEGS_BEHIND_MS)).toISOString(),
    order: 'asc',
    page_size: String(PAGE_SIZE),
  }
  for (let index = 0; ; index += PAGE_SIZE) {
    const asked = { ...query, record_index: String(index) }
    const { _embedded: page } = await get('/v1/calls', asked, callPage, 'Vonage: list calls', ctx)
    // A leg still under way is left to its webhook, which knows the moment.
    yield page.calls.filter(({ status }) => isFinal(status)).flatMap((row) => toLegEvents(row, ctx))
    if (page.calls.length < PAGE_SIZE) return
  }
}

export async function checkAccount(ctx: Context): Promise<CheckResult> {
  const { count } = await get(
    '/v1/calls',
    { page_size: '1' },
    callPage,
    'Vonage: read the list of calls',
    ctx,
  )
  const many = count === undefined ? '' : ` (${count} calls so far)`
  return { says: `application …${ctx.config.applicationId.slice(-4)} reads its calls${many}` }
}

async function get<Schema extends z.ZodType>(
  path: string,
  query: Record<string, string>,
  schema: Schema,
  what: string,
  ctx: Context,
): Promise<z.output<Schema>> {
  const headers = { authorization: await authorization(ctx) }
  const response = await ctx.fetch(apiUrl(ctx.config.baseUrl, path, query), { headers })
  return readReply(await failOn(response, { what, now: ctx.now }), schema, what)
}

/** RS256 by the application's key, as npm @vonage/jwt 1.14.0 makes it. */
async function authorization({ config, now, random }: Context): Promise<string> {
  const iat = Math.floor(now() / 1000)
  const jti = Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16)).join('')
  const claims = { application_id: config.applicationId, iat, exp: iat + TOKEN_LIFE_S, jti }
  const part = (value: unknown) => encodeBase64Url(utf8(JSON.stringify(value)))
  const signed = `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}`
  const key = await signingKey(config.privateKey)
  const signature = await crypto.subtle.sign('RSASSA-PKCS1-v1_5', key, new Uint8Array(utf8(signed)))
  return `Bearer ${signed}.${encodeBase64Url(new Uint8Array(signature))}`
}

async function signingKey(text: string): Promise<CryptoKey> {
  const bytes = new Uint8Array(privateKeyBytes(text) ?? [])
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
  try {
    return await crypto.subtle.importKey('pkcs8', bytes, algorithm, false, ['sign'])
  } catch {
    // The cause might quote the key.
    throw new CordboardError('config', 'Vonage: the private key of the application cannot be read', {
      fix: 'Generate a new one in the application’s settings and give it whole, from BEGIN to END',
    })
  }
}
