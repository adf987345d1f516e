import { AwsV4Signer } from 'aws4fetch'
import type { z } from 'zod'
import type { Call, Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import type { CheckResult, ConnectorContext, FetchInit } from '../../src/connector/contract.ts'
import { failOn, readBounded } from '../../src/connector/fail-on.ts'
import { listEnd } from '../../src/connector/list-end.ts'
import { readReply } from '../../src/connector/read.ts'
import { CordboardError, type ErrorCode } from '../../src/errors.ts'
import { isListening, isThirdParty, toContactEvents, toLastEvent } from './map.ts'
import {
  type Config,
  describedContact,
  describedQueue,
  describedUser,
  foundContacts,
  instanceOf,
  type SeenContact,
} from './schema.ts'

type Context = ConnectorContext<Config>

/** A day of two-channel WAV at 8 kHz is 2.8 GB. */
const RECORDING_MAX_BYTES = 4 * 1024 ** 3
/** How long after a call's end a recording that is not there may still come. */
const MAY_STILL_COME_MS = 3_600_000
/** Of what ended a shorter while ago the record is still to come: it is left to the webhook. */
const SETTLED_MS = 600_000
const DAY_MS = 86_400_000
/** The list goes by the end of a contact: one that began before the end of what is asked for may end so much later. */
const LONGEST_CALL_MS = 4 * 3_600_000
const CONTACTS_PER_PAGE = 100

// ── Recordings: objects in a bucket of the customer's ─────────────────────────────────────────────────────────────────

export async function fetchRecording(recording: Recording, call: Call, ctx: Context): Promise<Response> {
  const { headers, url } = await signed(objectUrl(recording, ctx.config), { service: 's3' }, ctx)
  const response = await ctx.fetch(url, { headers, bucket: 'storage', maxBytes: RECORDING_MAX_BYTES })
  const what = 'Amazon Connect: fetch the recording'
  if (response.status !== 404) return failOn(response, { what, now: ctx.now, codeOf })
  await readBounded(response, 0)
  const endedAt = call.endedAt ?? call.startedAt
  const isRecent = endedAt !== undefined && ctx.now() - Date.parse(endedAt) < MAY_STILL_COME_MS
  throw new CordboardError('not_found', `${what}: HTTP 404`, {
    why: isRecent ? 'The call ended a short while ago: its file may not be there yet' : 'It was deleted',
    retry: isRecent ? 'later' : 'never',
  })
}

/** A presigned link: whoever has it hears the call, until it expires. */
export async function linkTo(recording: Recording, _call: Call, ctx: Context): Promise<string> {
  const url = objectUrl(recording, ctx.config)
  url.searchParams.set('X-Amz-Expires', String(Math.floor(ctx.config.linkLifetimeMs / 1000)))
  return (await signed(url, { service: 's3', inQuery: true }, ctx)).url.href
}

/**
 * A record names `bucket/key`, without a scheme; the key has a colon in it. The bucket is part of a host name: nothing but
 * what a bucket may be called gets there. Names with a dot fit no certificate, so theirs stand in the path.
 */
function objectUrl({ key: location }: Recording, config: Config): URL {
  const [, bucket = '', key = ''] = /^([a-z\d][a-z\d.-]{1,61}[a-z\d])\/(.+)$/s.exec(location) ?? []
  if (key === '' || key.split('/').some((part) => part === '.' || part === '..')) {
    throw new CordboardError('invalid_payload', 'Amazon Connect: the recording’s location is no bucket/key')
  }
  const path = key.split('/').map(encodeURIComponent).join('/')
  if (config.baseUrl) return new URL(`${config.baseUrl.replace(/\/+$/, '')}/${bucket}/${path}`)
  const host = `s3.${bucketRegion(config)}.${instanceOf(config).domain}`
  return new URL(
    bucket.includes('.') ? `https://${host}/${bucket}/${path}` : `https://${bucket}.${host}/${path}`,
  )
}

const bucketRegion = (config: Config): string => config.bucketRegion ?? instanceOf(config).region

// ── Contacts: https://docs.aws.amazon.com/connect/latest/APIReference/ and @aws-sdk/client-connect 3.1136.0, 2026-11-27 ─

/**
 * Contacts that have ended, a day at a time and the oldest first, as their records would have told them: the key is the
 * same, so what came by webhook is not told twice.
 */
export async function* listCalls(since: string, ctx: Context, until?: string): AsyncIterable<CallEvent[]> {
  const names = createNames(ctx)
  const end = Math.min(listEnd(ctx, until, LONGEST_CALL_MS), ctx.now() - SETTLED_MS)
  const behind = new Map<string, Found[]>()
  for (let from = Date.parse(since); from < end; from += DAY_MS) {
    let next: string | undefined
    do {
      const page = await search(from, Math.min(from + DAY_MS, end), CONTACTS_PER_PAGE, next, ctx)
      if (page.NextToken !== undefined && page.NextToken === next) {
        throw new CordboardError(
          'invalid_payload',
          'Amazon Connect: list contacts: the same page comes again',
        )
      }
      for (const found of page.Contacts) {
        const { PreviousContactId: previous } = found
        if (previous !== undefined) behind.set(previous, [...(behind.get(previous) ?? []), found])
      }
      const events: CallEvent[] = []
      for (const { Id } of page.Contacts) {
        const seen = await describe(Id, ctx)
        if (!seen || isListening(seen.method)) continue
        const { hasNext, isLast } = followersOf(seen, behind.get(Id) ?? [])
        events.push(...toContactEvents(await names({ ...seen, hasNext }), ctx))
        if (hasNext && isLast) events.push(toLastEvent(seen))
      }
      yield events
      next = page.NextToken
    } while (next !== undefined)
  }
}

type Found = z.output<typeof foundContacts>['Contacts'][number]

/**
 * Who follows a contact, and whether the call goes on with them: not with a third party, which is a next contact as well. Of
 * those that were called by a quick connect the contact itself tells it, of the others their method, and they ended before.
 */
function followersOf(seen: SeenContact, behind: readonly Found[]): { hasNext: boolean; isLast: boolean } {
  const called = behind.filter(({ InitiationMethod: method, PreviousContactId: previousId }) =>
    isThirdParty({ method: method?.toUpperCase(), previousId }),
  )
  const next = seen.next?.filter((one) => !one.isThirdParty) ?? []
  const unknown = called.filter(({ Id }) => seen.next?.every(({ id }) => id !== Id) ?? true).length
  const nextIds = next.filter(({ id }) => id !== undefined && called.every(({ Id }) => Id !== id)).length
  const unnamed = next.filter(({ id }) => id === undefined).length
  const isLast = behind.length === called.length && nextIds === 0 && unnamed <= unknown
  return { hasNext: seen.hasNext || behind.length > 0, isLast: isLast && !isThirdParty(seen) }
}

function search(from: number, to: number, most: number, token: string | undefined, ctx: Context) {
  const query = {
    InstanceId: instanceOf(ctx.config).id,
    TimeRange: { Type: 'DISCONNECT_TIMESTAMP', StartTime: from / 1000, EndTime: to / 1000 },
    SearchCriteria: { Channels: ['VOICE'] },
    Sort: { FieldName: 'DISCONNECT_TIMESTAMP', Order: 'ASCENDING' },
    MaxResults: most,
    ...(token === undefined ? {} : { NextToken: token }),
  }
  const init = { method: 'POST', body: JSON.stringify(query), bucket: 'search' }
  return ask('/search-contacts', init, foundContacts, 'list contacts', ctx)
}

/** Null for one that is no longer kept (24 months). */
function describe(id: string, ctx: Context): Promise<SeenContact | null> {
  const path = `/contacts/${instanceOf(ctx.config).id}/${encodeURIComponent(id)}`
  return orNull(ask(path, {}, describedContact, 'read a contact', ctx))
}

/** Contacts name agents and queues by their ids only; each is asked for once. What was deleted stays without a name. */
function createNames(ctx: Context): (seen: SeenContact) => Promise<SeenContact> {
  const instance = instanceOf(ctx.config).id
  const init = { bucket: 'names' }
  const user = remember((id) =>
    orNull(ask(`/users/${instance}/${encodeURIComponent(id)}`, init, describedUser, 'read an agent', ctx)),
  )
  const queue = remember((id) =>
    orNull(ask(`/queues/${instance}/${encodeURIComponent(id)}`, init, describedQueue, 'read a queue', ctx)),
  )
  return async (seen) => {
    const found = seen.agent?.id === undefined ? null : await user(seen.agent.id)
    const group = seen.queueId === undefined ? null : await queue(seen.queueId)
    const named = { name: found?.User.Username, email: found?.User.IdentityInfo?.Email }
    return {
      ...seen,
      agent: seen.agent && { ...seen.agent, ...named },
      queue: group?.Queue.Name,
    }
  }
}

function remember<Value>(ask: (id: string) => Promise<Value>): (id: string) => Promise<Value> {
  const known = new Map<string, Promise<Value>>()
  return (id) => {
    const answer = known.get(id) ?? ask(id)
    known.set(id, answer)
    return answer
  }
}

function orNull<Value>(asked: Promise<Value>): Promise<Value | null> {
  return asked.catch((error: unknown) => {
    if (error instanceof CordboardError && error.code === 'not_found') return null
    throw error
  })
}

/** Asks for one contact of the last hour: the key, the instance and the permission that the backfill needs. */
export async function checkInstance(ctx: Context): Promise<CheckResult> {
  await search(ctx.now() - 3_600_000, ctx.now(), 1, undefined, ctx)
  const { id, region } = instanceOf(ctx.config)
  return { says: `instance …${id.slice(-4)} in ${region}: its contacts can be read` }
}

async function ask<Schema extends z.ZodType>(
  path: string,
  { method = 'GET', body, bucket = 'default' }: { method?: string; body?: string; bucket?: string },
  schema: Schema,
  asked: string,
  ctx: Context,
): Promise<z.output<Schema>> {
  const { config } = ctx
  const { region, domain } = instanceOf(config)
  const base = config.baseUrl?.replace(/\/+$/, '') ?? `https://connect.${region}.${domain}`
  const { url, headers } = await signed(new URL(`${base}${path}`), { method, body, service: 'connect' }, ctx)
  const init: FetchInit = { method, headers, bucket, ...(body === undefined ? {} : { body }) }
  const response = await ctx.fetch(url, init)
  const what = `Amazon Connect: ${asked}`
  // The kind of error stands in a header; the body has only words.
  const type = response.headers.get('x-amzn-errortype') ?? ''
  await failOn(response, { what, now: ctx.now, codeOf: (status, said) => codeOf(status, `${type} ${said}`) })
  return readReply(response, schema, what)
}

interface ToSign {
  method?: string
  body?: string | undefined
  service: 's3' | 'connect'
  inQuery?: boolean
}

async function signed(target: URL, { method = 'GET', body, service, inQuery }: ToSign, ctx: Context) {
  const { accessKeyId, secretAccessKey } = ctx.config
  const signer = new AwsV4Signer({
    method,
    url: target.href,
    ...(body === undefined ? {} : { body, headers: { 'content-type': 'application/json' } }),
    accessKeyId,
    secretAccessKey,
    service,
    region: service === 's3' ? bucketRegion(ctx.config) : instanceOf(ctx.config).region,
    datetime: new Date(ctx.now()).toISOString().replaceAll(/[:-]|\.\d{3}/g, ''),
    ...(inQuery ? { signQuery: true } : {}),
  })
  const { url, headers } = await signer.sign()
  return { url, headers: Object.fromEntries(headers) }
}

/** AWS answers 403 and 400 for what has codes of its own here. */
function codeOf(status: number, said: string): ErrorCode | undefined {
  if (status !== 400 && status !== 403) return undefined
  if (/Throttl|TooManyRequests/.test(said)) return 'rate_limited'
  if (
    /UnrecognizedClient|InvalidSignature|SignatureDoesNotMatch|InvalidAccessKeyId|InvalidClientTokenId|ExpiredToken|RequestTimeTooSkewed/.test(
      said,
    )
  )
    return 'auth'
  return undefined
}
