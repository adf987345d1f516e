import type { z } from 'zod'
import type { Call, Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { CheckResult, ConnectorContext } from '../../src/connector/contract.ts'
import { failOn, scrub } from '../../src/connector/fail-on.ts'
import { asObject, parseJson } from '../../src/connector/json.ts'
import { listEnd } from '../../src/connector/list-end.ts'
import { readAs } from '../../src/connector/read.ts'
import { CordboardError, type ErrorCode, type Retry } from '../../src/errors.ts'
import { toCompletedEvent, whyNoCall } from './map.ts'
import { type CallDetails, type Config, callList, recordLink } from './schema.ts'

type Context = ConnectorContext<Config>

const RECORDING_MAX_BYTES = 4 * 1024 ** 3
const LIST_MAX_BYTES = 32 * 1024 ** 2
/** How long after a call's end a record that is not there may still be uploaded; not documented. */
const MAY_STILL_COME_MS = 3_600_000
/** Before that much has passed it is not worth asking again: an integrator waits so long before the first time. */
const UPLOAD_MS = 120_000
/** "No more than 24 hours" (official sample of the statistics, example 5). */
const DAY_MS = 86_400_000

/** A link of Binotel's storage that is good for 15 minutes and needs no key: whoever has it hears the call. */
export async function linkTo(recording: Recording, call: Call, ctx: Context): Promise<string> {
  const what = 'Binotel: ask for the recording'
  try {
    const { url } = await ask('stats/call-record', { generalCallID: recording.key }, recordLink, what, ctx)
    return url
  } catch (error) {
    throw error instanceof CordboardError && error.code === 'not_found' ? notYet(error, call, ctx) : error
  }
}

export async function fetchRecording(recording: Recording, call: Call, ctx: Context): Promise<Response> {
  const link = await linkTo(recording, call, ctx)
  // The storage is no part of the API's budget, and our key and secret are none of its business.
  const audio = await ctx.fetch(link, { bucket: 'storage', maxBytes: RECORDING_MAX_BYTES, redirects: 3 })
  try {
    return await failOn(audio, {
      what: 'Binotel: fetch the recording',
      now: ctx.now,
      // The link was made a moment ago: a refusal is about the file.
      codeOf: (status) => (status === 401 || status === 403 || status === 404 ? 'not_found' : undefined),
    })
  } catch (error) {
    throw error instanceof CordboardError && error.code === 'not_found' ? notYet(error, call, ctx) : error
  }
}

/** Code 104 is "wrong data" and "there is no record", which of a fresh call means "not yet". */
function notYet(error: CordboardError, call: Call, ctx: Context): CordboardError {
  const age = Math.max(0, ctx.now() - Date.parse(call.endedAt ?? call.startedAt ?? ''))
  const isRecent = age < MAY_STILL_COME_MS
  return new CordboardError('not_found', error.message, {
    why: isRecent
      ? 'The call ended a short while ago: its record may still be uploaded'
      : 'There is no record of this call: it was not recorded, or was deleted',
    retry: age < UPLOAD_MS ? { afterMs: UPLOAD_MS - age } : isRecent ? 'later' : 'never',
    ...(error.vendorSaid === undefined ? {} : { vendorSaid: error.vendorSaid }),
  })
}

/** Finished calls, a day at a time; the list has no pages. */
export async function* listCalls(since: string, ctx: Context, until?: string): AsyncIterable<CallEvent[]> {
  const end = listEnd(ctx, until)
  for (let from = Date.parse(since); from < end; from += DAY_MS) {
    const period = {
      startTime: Math.floor(from / 1000),
      stopTime: Math.floor(Math.min(from + DAY_MS - 1000, end) / 1000),
    }
    const { callDetails } = await ask(
      'stats/list-of-calls-for-period',
      period,
      callList,
      'Binotel: list calls',
      ctx,
    )
    // What ended just now, or goes on, is left to its webhook.
    const finished = callDetails.filter((call) => isSettled(call, ctx) && whyNoCall(call, ctx) === null)
    yield finished.map((call) => toCompletedEvent(call, ctx))
  }
}

const isSettled = ({ startTime, waitsec, billsec }: CallDetails, ctx: Context): boolean =>
  (startTime + waitsec + billsec) * 1000 + UPLOAD_MS < ctx.now()

/** The calls of this moment: the shortest answer that needs key and secret. */
export async function checkAccount(ctx: Context): Promise<CheckResult> {
  await post('stats/online-calls', {}, 'Binotel: ask for the calls of this moment', ctx)
  return { says: 'key and secret accepted' }
}

async function ask<Schema extends z.ZodType>(
  method: string,
  params: Record<string, string | number>,
  schema: Schema,
  what: string,
  ctx: Context,
): Promise<z.output<Schema>> {
  return readAs(schema, await post(method, params, what, ctx), `${what}: the reply`)
}

/** API 4.0: key and secret travel in the body, nothing is signed (https://developers.binotel.ua, archived 2024-02-27). */
async function post(
  method: string,
  params: Record<string, string | number>,
  what: string,
  ctx: Context,
): Promise<unknown> {
  const { key, secret, baseUrl } = ctx.config
  const response = await ctx.fetch(apiUrl(baseUrl, `/api/4.0/${method}.json`), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...params, key, secret }),
    maxBytes: LIST_MAX_BYTES,
  })
  await failOn(response, { what, now: ctx.now, codeOf })
  const bytes = new Uint8Array(await response.arrayBuffer())
  let reply: Record<string, unknown> | null
  try {
    reply = asObject(parseJson(bytes, LIST_MAX_BYTES))
  } catch {
    // In outages a page of HTML comes with HTTP 200: seen by others, "Something went wrong (exception)".
    throw new CordboardError('vendor_down', `${what}: the answer is no JSON`)
  }
  if (reply?.status === 'success') return reply
  const code = Number(reply?.code)
  const retry: Retry | undefined = code === TOO_FREQUENT ? { afterMs: 12_000 } : undefined
  throw new CordboardError(errorOf(code), `${what}: the answer is the error ${code || 'without a code'}`, {
    vendorSaid: scrub(String(reply?.message ?? '')),
    ...(retry === undefined ? {} : { retry }),
  })
}

const TOO_FREQUENT = 106

function codeOf(_status: number, body: string): ErrorCode | undefined {
  const [, code] = /"code"\s*:\s*"?(1\d\d)\b/.exec(body) ?? []
  return code === undefined ? undefined : errorOf(Number(code))
}

/** The vendor's list of errors: 102 and 103 are ours, 105 is not explained, 150 and 151 are internal. */
function errorOf(code: number): ErrorCode {
  if (code === 104) return 'not_found'
  if (code === TOO_FREQUENT) return 'rate_limited'
  if (code === 120) return 'forbidden'
  if (code === 121) return 'auth'
  return code === 150 || code === 151 ? 'vendor_down' : 'rejected'
}
