import type { z } from 'zod'
import type { Call, Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { CheckResult, ConnectorContext } from '../../src/connector/contract.ts'
import { failOn } from '../../src/connector/fail-on.ts'
import { listEnd } from '../../src/connector/list-end.ts'
import { readReply } from '../../src/connector/read.ts'
import { CordboardError } from '../../src/errors.ts'
import { recordingKey, toListedEvents } from './map.ts'
import { type Config, oneRecording, type RecordingRow, recordingPage } from './schema.ts'

type Context = ConnectorContext<Config>

/** "Max 14400 s": four hours of two-channel WAV are far below. */
const RECORDING_MAX_BYTES = 2 * 1024 ** 3
/** How long a recording takes to be listed is not documented: so long after the call's end it may still come. */
const MAY_STILL_COME_MS = 900_000
/** A recording that ended so long ago was ended by its call, or the call's own webhook says better. */
const PAST_MS = 3_600_000
/** A recording is made when it ends: that of a call which began before the end of what is asked for, so much later. */
const LONGEST_CALL_MS = 4 * 3_600_000
const PAGE_SIZE = '250'

/**
 * The links in webhooks are good for ten minutes, so none is kept: a new one is asked for. It carries its own proof, and
 * storage refuses a request that has two (https://developers.telnyx.com/docs/voice/programmable-voice/storing-call-recordings,
 * read 2026-11-27).
 */
export async function fetchRecording(recording: Recording, call: Call, ctx: Context): Promise<Response> {
  const row = await findRow(recording, ctx)
  const { mp3, wav } = row?.download_urls ?? {}
  const link = recording.format === 'wav' ? wav : recording.format === 'mp3' ? mp3 : (mp3 ?? wav)
  if (!link) throw missing(recording, row !== undefined, call, ctx)
  const response = await ctx.fetch(link, { redirects: 3, maxBytes: RECORDING_MAX_BYTES })
  return failOn(response, {
    what: 'Telnyx: fetch the recording',
    now: ctx.now,
    // The link was made a moment ago and our key is not asked for here: a refusal is about the file.
    codeOf: (status) => (status === 401 || status === 403 ? 'gone' : undefined),
  })
}

/** By its leg and start; what began at no known second is the leg's only one; a conference's is known by its id. */
async function findRow(recording: Recording, ctx: Context): Promise<RecordingRow | undefined> {
  const what = 'Telnyx: look up the recording'
  const [, leg = recording.key] = /^(.*?):\d{4}-/.exec(recording.key) ?? []
  const query = { 'filter[call_leg_id]': leg, 'page[size]': PAGE_SIZE }
  const { data } = await get('/v2/recordings', query, recordingPage, what, ctx)
  const found = data.find(
    (row) =>
      leg === recording.key ||
      recording.key ===
        recordingKey({ id: row.id, leg: row.call_leg_id, startedAt: row.recording_started_at }),
  )
  if (found) return found
  if (leg !== recording.key) return nearest(recording, leg, data)
  try {
    const path = `/v2/recordings/${encodeURIComponent(recording.key)}`
    return (await get(path, {}, oneRecording, what, ctx)).data
  } catch (error) {
    if (error instanceof CordboardError && error.code === 'not_found') return undefined
    throw error
  }
}

/** Whether webhook and list say the same start to the second is not documented. */
const MOST_OFF_MS = 2000

function nearest(recording: Recording, leg: string, rows: readonly RecordingRow[]): RecordingRow | undefined {
  const startedAt = Date.parse(recording.key.slice(leg.length + 1))
  const off = (row: RecordingRow) =>
    Math.abs(startedAt - Date.parse(row.recording_started_at?.slice(0, 19).concat('Z') ?? ''))
  return rows
    .filter((row) => row.call_leg_id === leg && off(row) <= MOST_OFF_MS)
    .sort((a, b) => off(a) - off(b))[0]
}

function missing(recording: Recording, isListed: boolean, call: Call, ctx: Context): CordboardError {
  const what = 'Telnyx: look up the recording'
  if (isListed) {
    return new CordboardError(
      'not_found',
      `${what}: it is there, but not as ${recording.format ?? 'mp3 or wav'}`,
    )
  }
  const endedAt = call.endedAt ?? call.startedAt
  const isRecent = endedAt !== undefined && ctx.now() - Date.parse(endedAt) < MAY_STILL_COME_MS
  return new CordboardError('not_found', `${what}: it is not in the list`, {
    why: isRecent ? 'The call ended a short while ago: it may not be listed yet' : 'It was deleted',
    retry: isRecent ? 'later' : 'never',
  })
}

/** Recordings, page by page. There is no list of calls: a call that was not recorded is known by its webhooks alone. */
export async function* listCalls(since: string, ctx: Context, until?: string): AsyncIterable<CallEvent[]> {
  const now = ctx.now()
  // With both ends the list stays the same while it is read.
  const query = {
    'filter[created_at][gte]': new Date(since).toISOString(),
    'filter[created_at][lte]': new Date(listEnd(ctx, until, LONGEST_CALL_MS)).toISOString(),
    'page[size]': PAGE_SIZE,
  }
  for (let page = 1, last = 1; page <= last; page++) {
    const asked = { ...query, 'page[number]': String(page) }
    const { data, meta } = await get('/v2/recordings', asked, recordingPage, 'Telnyx: list recordings', ctx)
    last = meta.total_pages
    yield data.flatMap((row) => {
      const isPast = now - Date.parse(row.recording_ended_at ?? '') > PAST_MS
      return toListedEvents(row, isPast, ctx)
    })
    if (data.length === 0) return
  }
}

export async function checkAccount(ctx: Context): Promise<CheckResult> {
  const what = 'Telnyx: read the list of recordings'
  const { meta } = await get('/v2/recordings', { 'page[size]': '1' }, recordingPage, what, ctx)
  const count = meta.total_results ?? meta.total_pages
  const says = `the API key reads recordings (${count} so far)`
  if (ctx.config.ownNumbers.length > 0) return { says }
  const fix = 'Set ownNumbers of the connection to your numbers at Telnyx'
  return {
    says,
    warnings: [{ what: 'ownNumbers is empty: only call.initiated tells inbound from outbound', fix }],
  }
}

async function get<Schema extends z.ZodType>(
  path: string,
  query: Record<string, string>,
  schema: Schema,
  what: string,
  ctx: Context,
): Promise<z.output<Schema>> {
  const headers = { authorization: `Bearer ${ctx.config.apiKey}` }
  const response = await ctx.fetch(apiUrl(ctx.config.baseUrl, path, query), { headers })
  return readReply(await failOn(withRetryAfter(response), { what, now: ctx.now }), schema, what)
}

/**
 * "x-ratelimit-reset shows the time in seconds until the rate limit resets"
 * (https://developers.telnyx.com/development/api-fundamentals/reliability/rate-limiting, read 2026-11-27).
 */
function withRetryAfter(response: Response): Response {
  const reset = response.headers.get('x-ratelimit-reset')
  if (response.status !== 429 || reset === null || response.headers.has('retry-after')) return response
  return new Response(response.body, { status: 429, headers: { 'retry-after': reset } })
}
