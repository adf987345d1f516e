import type { z } from 'zod'
import type { Call, Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { CheckResult, ConnectorContext, FetchInit, VendorFetch } from '../../src/connector/contract.ts'
import { encodeBase64, utf8 } from '../../src/connector/encoding.ts'
import { failOn } from '../../src/connector/fail-on.ts'
import { listEnd } from '../../src/connector/list-end.ts'
import { readJson, readReply } from '../../src/connector/read.ts'
import { CordboardError } from '../../src/errors.ts'
import { toListedEvents, wasAnswered } from './map.ts'
import {
  type Config,
  conversations,
  grantedToken,
  organization,
  recordings,
  type SeenRecording,
  transcoding,
} from './schema.ts'

type Context = ConnectorContext<Config>

const RECORDING_MAX_BYTES = 4 * 1024 ** 3
/** How long after a call's end a recording that is not there may still come: it is transcoded on demand. */
const MAY_STILL_COME_MS = 3_600_000
const TRANSCODING_MS = { least: 1000, usual: 15_000, most: 600_000 } as const
/** Of what ended a shorter while ago agents may still be wrapping up. */
const SETTLED_MS = 600_000
const DAY_MS = 86_400_000
const PAGE_SIZE = 100
/** More pages of one day than any organization fills. */
const MOST_PAGES = 10_000

// ── Recordings ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The link is presigned and goes to storage: it is fetched without our token. */
export async function fetchRecording(recording: Recording, call: Call, ctx: Context): Promise<Response> {
  const what = 'Genesys Cloud: fetch the recording'
  const [, conversationId = '', nth = '1'] = /^([\w-]{1,64})(?:#(\d{1,3}))?$/.exec(recording.key) ?? []
  if (conversationId === '') {
    throw new CordboardError('invalid_payload', `${what}: its key is no id of a conversation`)
  }
  const query = { formatId: ctx.config.recordingFormat.toUpperCase(), maxWaitMs: '5000' }
  const path = `/api/v2/conversations/${conversationId}/recordings`
  const asked = 'Genesys Cloud: ask for the recordings'
  const response = await authorised(path, {}, asked, ctx, query)
  if (response.status === 202) throw await notYet(response, asked)
  const found = audioOf(await readReply(response, recordings, asked))[Number(nth) - 1]
  if (!found) throw missing(call, ctx)
  const media = await ctx.fetch(mediaUri(found), {
    bucket: 'media',
    redirects: 3,
    maxBytes: RECORDING_MAX_BYTES,
  })
  // The link was made a moment ago and our token is not asked for here: a refusal is about the file.
  const codeOf = (status: number) => (status === 401 || status === 403 ? 'gone' : undefined)
  return failOn(media, { what, now: ctx.now, codeOf })
}

/** In the order of their beginnings, so that `#2` is the same one every time. */
const audioOf = (all: readonly SeenRecording[]): SeenRecording[] =>
  all
    .filter(({ media }) => (media ?? 'audio') === 'audio')
    .toSorted((a, b) => {
      const [x, y] = [`${a.startTime ?? '~'} ${a.id}`, `${b.startTime ?? '~'} ${b.id}`]
      return x < y ? -1 : 1
    })

/** "A 202 response means the media is currently transcoding and will be available shortly" (SDK 262.0.0, RecordingApi). */
async function notYet(response: Response, what: string): Promise<CordboardError> {
  const said = transcoding.safeParse(await readJson(response, what).catch(() => null)).data
  const estimates = [said ?? []].flat().map(({ estimatedTranscodeTimeMs: ms }) => ms ?? 0)
  const ms = Math.max(0, ...estimates) || TRANSCODING_MS.usual
  const afterMs = Math.min(Math.max(ms, TRANSCODING_MS.least), TRANSCODING_MS.most)
  return new CordboardError('not_found', `${what}: HTTP 202`, {
    why: 'It is being transcoded',
    retry: { afterMs },
  })
}

function missing(call: Call, ctx: Context): CordboardError {
  const endedAt = call.endedAt ?? call.startedAt
  const isRecent = endedAt !== undefined && ctx.now() - Date.parse(endedAt) < MAY_STILL_COME_MS
  return new CordboardError('not_found', 'Genesys Cloud: the conversation has no such recording', {
    why: isRecent
      ? 'The call ended a short while ago: it may not be there yet'
      : 'It was not recorded, or deleted',
    fix: 'Check the recording policy and the trunk; if calls are not recorded, set recorded: false',
    retry: isRecent ? 'later' : 'never',
  })
}

/** One file, or `S` (both sides in one) beside files of one side each. One side alone would be half a conversation. */
function mediaUri(found: SeenRecording): string {
  const what = 'Genesys Cloud: fetch the recording'
  const state = found.fileState?.toUpperCase()
  if (state === 'ARCHIVED') {
    throw new CordboardError('not_found', `${what}: it is archived`, {
      fix: 'Restore it in Genesys Cloud (restorations are limited), then rerun the call',
    })
  }
  if (state === 'DELETED') throw new CordboardError('gone', `${what}: it was deleted`)
  const uris = Object.entries(found.mediaUris ?? {})
  const only = uris.length === 1 ? uris[0] : uris.find(([name]) => name === 'S')
  if (!only) {
    if (uris.length === 0)
      throw new CordboardError('not_found', `${what}: it has no file yet`, { retry: 'later' })
    throw new CordboardError('rejected', `${what}: it comes in ${uris.length} files, one for each side`, {
      fix: 'Let the trunk record both sides into one file',
    })
  }
  return only[1].mediaUri
}

// ── Analytics ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Finished conversations, a day at a time and the oldest first, as their events would have told them. */
export async function* listCalls(since: string, ctx: Context, until?: string): AsyncIterable<CallEvent[]> {
  const settled = ctx.now() - SETTLED_MS
  const end = Math.min(listEnd(ctx, until), settled)
  for (let from = Date.parse(since); from < end; from += DAY_MS) {
    const to = Math.min(from + DAY_MS, end)
    for (let page = 1; page <= MOST_PAGES; page++) {
      const found = await query(from, to, page, ctx)
      const events: CallEvent[] = []
      for (const one of found) {
        if (!one.conversationEnd || Date.parse(one.conversationEnd) > settled) continue
        const count = ctx.config.recorded && wasAnswered(one) ? await countAudio(one.conversationId, ctx) : 0
        events.push(...toListedEvents(one, count, ctx))
      }
      yield events
      if (found.length < PAGE_SIZE) break
    }
  }
}

async function query(from: number, to: number, pageNumber: number, ctx: Context) {
  const body = {
    interval: `${new Date(from).toISOString()}/${new Date(to).toISOString()}`,
    order: 'asc',
    orderBy: 'conversationStart',
    paging: { pageSize: PAGE_SIZE, pageNumber },
    segmentFilters: [{ type: 'and', predicates: [{ dimension: 'mediaType', value: 'voice' }] }],
  }
  const init = {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  }
  const what = 'Genesys Cloud: list conversations'
  const response = await authorised('/api/v2/analytics/conversations/details/query', init, what, ctx)
  return (await readReply(response, conversations, what)).conversations ?? []
}

async function countAudio(conversationId: string, ctx: Context): Promise<number> {
  const what = 'Genesys Cloud: list recordings'
  const path = `/api/v2/conversations/${conversationId}/recordingmetadata`
  const response = await authorised(path, {}, what, ctx)
  return audioOf(await readReply(response, recordings, what)).length
}

export async function checkOrganization(ctx: Context): Promise<CheckResult> {
  const what = 'Genesys Cloud: read the organization'
  const { id } = await readReply(
    await authorised('/api/v2/organizations/me', {}, what, ctx),
    organization,
    what,
  )
  const says = `organization …${id.slice(-4)} on ${ctx.config.domain}`
  if (id === ctx.config.organizationId) return { says }
  const fix =
    'Set organizationId to the id of the OAuth client’s organization, or use a client of the other one'
  return {
    says,
    warnings: [{ what: 'The OAuth client belongs to another organization than organizationId', fix }],
  }
}

// ── Token ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

async function authorised(
  path: string,
  init: FetchInit,
  what: string,
  ctx: Context,
  query: Record<string, string> = {},
): Promise<Response> {
  const url = apiUrl(base('api', ctx.config), path, query)
  const send = async (token: string) => {
    const headers = { ...init.headers, authorization: `Bearer ${token}` }
    return failOn(await ctx.fetch(url, { ...init, headers }), { what, now: ctx.now })
  }
  const token = await accessToken(ctx)
  try {
    return await send(token)
  } catch (error) {
    if (!(error instanceof CordboardError) || error.code !== 'auth') throw error
    return send(await accessToken(ctx, token))
  }
}

const base = (host: 'api' | 'login', { baseUrl, domain }: Config): string =>
  baseUrl ?? `https://${host}.${domain}`

function accessToken(ctx: Context, refused?: string): Promise<string> {
  const { clientId, clientSecret } = ctx.config
  const fetchNew = async (_previous: unknown, fetch: VendorFetch) => {
    const what = 'Genesys Cloud: log in'
    const response = await fetch(`${base('login', ctx.config).replace(/\/+$/, '')}/oauth/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${encodeBase64(utf8(`${clientId}:${clientSecret}`))}` },
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
      bucket: 'login',
    })
    // A wrong secret may be answered 400 invalid_client, as RFC 6749 §5.2 allows.
    const codeOf = (status: number, said: string) =>
      status === 400 && said.includes('invalid_client') ? ('auth' as const) : undefined
    await failOn(response, { what, now: ctx.now, codeOf })
    const granted: z.output<typeof grantedToken> = await readReply(response, grantedToken, what)
    const expiresInMs = granted.expires_in === undefined ? undefined : granted.expires_in * 1000
    return { token: granted.access_token, ...(expiresInMs === undefined ? {} : { expiresInMs }) }
  }
  return ctx.token('access', fetchNew, { from: [clientSecret], refused })
}
