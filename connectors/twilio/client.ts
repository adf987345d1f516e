import type { z } from 'zod'
import type { Call, Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import type { CheckResult, ConnectorContext } from '../../src/connector/contract.ts'
import { encodeBase64, utf8 } from '../../src/connector/encoding.ts'
import { failOn, readBounded } from '../../src/connector/fail-on.ts'
import { readReply } from '../../src/connector/read.ts'
import { CordboardError } from '../../src/errors.ts'
import { isFinal, isRecordingStatus, toLegEvent, toRecordingEvent } from './map.ts'
import { account, type Config, callPage, recordingPage } from './schema.ts'

type Context = ConnectorContext<Config>

/** A day of two-channel WAV at 8 kHz is 2.8 GB. */
const RECORDING_MAX_BYTES = 4 * 1024 ** 3
/** How long after a call's end a recording that is not there may still come. */
const MAY_STILL_COME_MS = 3_600_000
const PAGE_SIZE = '500'
/** A call that begins just before the end of what is listed has legs and recordings that begin after it. */
const LEGS_BEHIND_MS = 3_600_000

/** Media may redirect to storage; the credentials stay with Twilio's host. */
export async function fetchRecording(recording: Recording, call: Call, ctx: Context): Promise<Response> {
  const response = await ctx.fetch(mediaUrl(recording, ctx.config), {
    headers: { authorization: credentials(ctx.config) },
    redirects: 3,
    maxBytes: RECORDING_MAX_BYTES,
  })
  const what = 'Twilio: fetch the recording'
  if (response.status !== 404) return failOn(response, { what, now: ctx.now })
  await readBounded(response, 0)
  const endedAt = call.endedAt ?? call.startedAt
  const isRecent = endedAt !== undefined && ctx.now() - Date.parse(endedAt) < MAY_STILL_COME_MS
  throw new CordboardError('not_found', `${what}: HTTP 404`, {
    why: isRecent ? 'The call ended a short while ago: its media may not be there yet' : 'It was deleted',
    retry: isRecent ? 'later' : 'never',
  })
}

/**
 * `RecordingUrl` came from outside: it is used only when it stays with the host that our credentials are for. Otherwise
 * the same address is made of the two SIDs.
 */
function mediaUrl(recording: Recording, config: Config): URL {
  const base = new URL(config.baseUrl)
  const given = recording.url === undefined ? null : URL.parse(recording.url)
  const isOurs = given !== null && given.origin === base.origin && given.search === ''
  const url = isOurs ? given : new URL(`${accountPath(config)}/Recordings/${recording.key}`, base)
  url.pathname = `${url.pathname.replace(/\.(?:wav|mp3|json)$/, '')}.${config.recordingFormat}`
  url.hash = ''
  // Without it a conference recording comes mono; asking it of a mono one is error 16113.
  if (recording.channels === 2) url.searchParams.set('RequestedChannels', '2')
  return url
}

/** Finished legs and their recordings, as the webhooks would have told them. */
export async function* listCalls(since: string, ctx: Context, until?: string): AsyncIterable<CallEvent[]> {
  const from = inSeconds(Date.parse(since))
  const end = until === undefined ? Number.POSITIVE_INFINITY : Date.parse(until)
  const to = until === undefined ? undefined : inSeconds(end + LEGS_BEHIND_MS)
  const calls = { 'StartTime>': from, ...(to ? { 'StartTime<': to } : {}), PageSize: PAGE_SIZE }
  for await (const page of pages('Calls', calls, callPage, ctx)) {
    // A leg still under way is left to its webhook, which knows the moment.
    yield page.calls
      .filter((row) => isFinal(row.status) && !(row.parent === undefined && beginsFrom(row, end)))
      .map((row) => toLegEvent(row, {}, ctx))
  }
  const recordings = { 'DateCreated>': from, ...(to ? { 'DateCreated<': to } : {}), PageSize: PAGE_SIZE }
  for await (const page of pages('Recordings', recordings, recordingPage, ctx)) {
    yield page.recordings
      .filter((row) => isRecordingStatus(row.status))
      .flatMap((row) => toRecordingEvent(row, {}, ctx) ?? [])
  }
}

const beginsFrom = ({ startedAt }: { startedAt?: string | undefined }, ms: number): boolean =>
  startedAt !== undefined && Date.parse(startedAt) >= ms

const inSeconds = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`

async function* pages<Schema extends z.ZodType<{ next_page_uri: string | undefined }>>(
  list: 'Calls' | 'Recordings',
  query: Record<string, string>,
  schema: Schema,
  ctx: Context,
): AsyncIterable<z.output<Schema>> {
  const base = new URL(ctx.config.baseUrl)
  let next: URL | null = new URL(
    `${accountPath(ctx.config)}/${list}.json?${new URLSearchParams(query)}`,
    base,
  )
  while (next) {
    if (next.origin !== base.origin) {
      throw new CordboardError('invalid_payload', `Twilio: the next page of ${list} is on another host`)
    }
    const page: z.output<Schema> = await get(next, schema, `Twilio: list ${list.toLowerCase()}`, ctx)
    yield page
    next = page.next_page_uri === undefined ? null : new URL(page.next_page_uri, base)
  }
}

/**
 * Standard API keys may not read the account itself (https://www.twilio.com/docs/iam/api-keys, read 2026-11-20), so with
 * one the check reads what is needed anyway.
 */
export async function checkAccount(ctx: Context): Promise<CheckResult> {
  const base = new URL(ctx.config.baseUrl)
  const name = `account …${ctx.config.accountSid.slice(-4)}`
  if (ctx.config.apiKeySid !== undefined) {
    const url = new URL(`${accountPath(ctx.config)}/Recordings.json?PageSize=1`, base)
    await get(url, recordingPage, 'Twilio: try the API key', ctx)
    return { says: `${name}: the API key reads recordings` }
  }
  const url = new URL(`${accountPath(ctx.config)}.json`, base)
  const { status, type } = await get(url, account, 'Twilio: read the account', ctx)
  const says = `${name} is ${status}${type ? ` (${type})` : ''}`
  if (status === 'active') return { says }
  return {
    says,
    warnings: [{ what: `The account is ${status}`, fix: 'Reactivate it in the Twilio Console' }],
  }
}

async function get<Schema extends z.ZodType>(url: URL, schema: Schema, what: string, ctx: Context) {
  const headers = { authorization: credentials(ctx.config) }
  const response = await failOn(await ctx.fetch(url, { headers }), { what, now: ctx.now })
  return readReply(response, schema, what)
}

const accountPath = (config: Config) => `/2010-04-01/Accounts/${config.accountSid}`

function credentials({ accountSid, authToken, apiKeySid, apiKeySecret }: Config): string {
  const pair =
    apiKeySid === undefined ? `${accountSid}:${authToken[0]}` : `${apiKeySid}:${apiKeySecret ?? ''}`
  return `Basic ${encodeBase64(utf8(pair))}`
}
