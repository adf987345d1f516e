import type { z } from 'zod'
import type { Call, Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { CheckResult, ConnectorContext } from '../../src/connector/contract.ts'
import { encodeBase64, utf8 } from '../../src/connector/encoding.ts'
import { failOn, readBounded } from '../../src/connector/fail-on.ts'
import { listEnd } from '../../src/connector/list-end.ts'
import { readReply } from '../../src/connector/read.ts'
import { CordboardError } from '../../src/errors.ts'
import { toListedEvents, toRecordingEvent } from './map.ts'
import { account, type Config, callPage, oneRecording, recordingPage } from './schema.ts'

type Context = ConnectorContext<Config>

/** A day of two-channel WAV at 8 kHz is 2.8 GB. */
const RECORDING_MAX_BYTES = 4 * 1024 ** 3
/** How long after a call's end a recording that is not there may still come: not documented. */
const MAY_STILL_COME_MS = 900_000
const DAY_MS = 86_400_000
/** "Up to 30 days of search boundary", else 400; "calls made only in the last 90 days" (read 2026-11-27). */
const WINDOW_MS = 28 * DAY_MS
const KEPT_MS = 90 * DAY_MS
const PAGE_SIZE = 20

/** Files lie with Plivo, behind Basic authentication where the account demands it, or in storage that anybody may read. */
export async function fetchRecording(recording: Recording, call: Call, ctx: Context): Promise<Response> {
  const what = 'Plivo: fetch the recording'
  const url = new URL(recording.url ?? (await lookUp(recording, call, ctx)))
  const ours = new URL(ctx.config.baseUrl).origin
  // The page's own example has http, for an address that answers to https.
  if (url.origin !== ours) url.protocol = 'https:'
  const isTheirs = url.origin === ours || url.origin === 'https://media.plivo.com'
  const response = await ctx.fetch(url, {
    headers: isTheirs ? { authorization: credentials(ctx.config) } : {},
    redirects: 3,
    maxBytes: RECORDING_MAX_BYTES,
  })
  if (response.status === 404) {
    await readBounded(response, 0)
    throw missing(what, call, ctx)
  }
  const codeOf = (status: number) => (!isTheirs && (status === 401 || status === 403) ? 'gone' : undefined)
  return failOn(response, { what, now: ctx.now, codeOf })
}

async function lookUp(recording: Recording, call: Call, ctx: Context): Promise<string> {
  const what = 'Plivo: look up the recording'
  const path = `Recording/${encodeURIComponent(recording.key)}/`
  try {
    const { url } = await get(path, {}, oneRecording, what, ctx)
    if (url !== undefined && URL.canParse(url)) return url
  } catch (error) {
    if (!(error instanceof CordboardError) || error.code !== 'not_found') throw error
  }
  throw missing(what, call, ctx)
}

function missing(what: string, call: Call, ctx: Context): CordboardError {
  const endedAt = call.endedAt ?? call.startedAt
  const isRecent = endedAt !== undefined && ctx.now() - Date.parse(endedAt) < MAY_STILL_COME_MS
  return new CordboardError('not_found', `${what}: it is not there`, {
    why: isRecent ? 'The call ended a short while ago: its file may not be there yet' : 'It was deleted',
    retry: isRecent ? 'later' : 'never',
  })
}

/** One that began before the end of what is asked for may end so much later. */
const LONGEST_CALL_MS = 4 * 3_600_000

/** Finished legs and their recordings, as the webhooks would have told them. */
export async function* listCalls(since: string, ctx: Context, until?: string): AsyncIterable<CallEvent[]> {
  // Both lists go by what comes after the end of a call.
  const end = listEnd(ctx, until, LONGEST_CALL_MS)
  for (const query of windows('end_time', since, end, ctx)) {
    for await (const { objects } of pages('Call/', query, callPage, 'Plivo: list calls', ctx)) {
      yield objects.flatMap((row) => toListedEvents(row, ctx))
    }
  }
  for (const query of windows('add_time', since, end, ctx)) {
    for await (const { objects } of pages(
      'Recording/',
      query,
      recordingPage,
      'Plivo: list recordings',
      ctx,
    )) {
      yield objects.flatMap((row) =>
        row.call === undefined ? [] : [toRecordingEvent({ ...row, call: row.call }, ctx)],
      )
    }
  }
}

/** Both ends are given, so that the pages stay the same while they are read. Times are UTC. */
function* windows(
  field: string,
  since: string,
  end: number,
  ctx: Context,
): Generator<Record<string, string>> {
  const write = (ms: number) => new Date(ms).toISOString().slice(0, 19).replace('T', ' ')
  for (let from = Math.max(Date.parse(since), ctx.now() - KEPT_MS + DAY_MS); from < end; from += WINDOW_MS) {
    yield { [`${field}__gte`]: write(from), [`${field}__lt`]: write(Math.min(from + WINDOW_MS, end)) }
  }
}

async function* pages<Schema extends z.ZodType<{ objects: unknown[] }>>(
  path: string,
  query: Record<string, string>,
  schema: Schema,
  what: string,
  ctx: Context,
): AsyncIterable<z.output<Schema>> {
  for (let offset = 0; ; offset += PAGE_SIZE) {
    const asked = { ...query, limit: String(PAGE_SIZE), offset: String(offset) }
    const page: z.output<Schema> = await get(path, asked, schema, what, ctx)
    yield page
    if (page.objects.length < PAGE_SIZE) return
  }
}

export async function checkAccount(ctx: Context): Promise<CheckResult> {
  const { auth_id: id, account_type: type } = await get('', {}, account, 'Plivo: read the account', ctx)
  return { says: `account …${id.slice(-4)} answers${type ? ` (${type})` : ''}` }
}

async function get<Schema extends z.ZodType>(
  path: string,
  query: Record<string, string>,
  schema: Schema,
  what: string,
  ctx: Context,
): Promise<z.output<Schema>> {
  const { baseUrl, authId } = ctx.config
  const headers = { authorization: credentials(ctx.config) }
  const response = await ctx.fetch(apiUrl(baseUrl, `/v1/Account/${authId}/${path}`, query), { headers })
  return readReply(await failOn(response, { what, now: ctx.now }), schema, what)
}

const credentials = ({ authId, authToken }: Config): string =>
  `Basic ${encodeBase64(utf8(`${authId}:${authToken[0]}`))}`
