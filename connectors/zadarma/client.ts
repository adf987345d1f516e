import type { z } from 'zod'
import type { Call, Recording } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { toInstant, toWallClock } from '../../src/call/zone.ts'
import { apiUrl } from '../../src/connector/api-url.ts'
import type { CheckResult, ConnectorContext } from '../../src/connector/contract.ts'
import { encodeAs, encodeHex, utf8 } from '../../src/connector/encoding.ts'
import { failOn, scrub } from '../../src/connector/fail-on.ts'
import { asObject, parseJson } from '../../src/connector/json.ts'
import { listEnd } from '../../src/connector/list-end.ts'
import { readAs } from '../../src/connector/read.ts'
import { CordboardError, type ErrorCode } from '../../src/errors.ts'
import { toListedEvents } from './map.ts'
import { accountClock, type Config, recordLink, type StatisticsRow, statistics } from './schema.ts'

type Context = ConnectorContext<Config>

const RECORDING_MAX_BYTES = 4 * 1024 ** 3
/** "Wait 40 seconds after NOTIFY_END"; how much longer it may take is not documented. */
const FILE_DELAY_MS = 40_000
const MAY_STILL_COME_MS = 900_000
const DAY_MS = 86_400_000
const ROWS_PER_REQUEST = 1000

/** A link that works without our key: whoever has it hears the call, until it expires. */
export async function linkTo(recording: Recording, call: Call, ctx: Context): Promise<string> {
  const what = 'Zadarma: ask for the recording’s link'
  const query = { call_id: recording.key, lifetime: String(ctx.config.linkLifetimeMs / 1000) }
  const endedAt = Date.parse(call.startedAt ?? '') + (call.totalMs ?? 0)
  const isRecent = ctx.now() - endedAt < MAY_STILL_COME_MS
  let read: z.output<typeof recordLink>
  try {
    read = await get('/v1/pbx/record/request/', query, recordLink, what, ctx, { refusal: 'not_found' })
  } catch (error) {
    if (!(error instanceof CordboardError) || error.code !== 'not_found' || !isRecent) throw error
    throw new CordboardError('not_found', error.message, {
      why: 'The call ended a short while ago: its file may not be there yet',
      retry: 'later',
      cause: error,
      ...(error.vendorSaid === undefined ? {} : { vendorSaid: error.vendorSaid }),
    })
  }
  const link = new URL(read.link)
  const isTheirs = link.protocol === 'https:' && /(?:^|\.)zadarma\.com$/.test(link.hostname)
  if (link.origin === new URL(ctx.config.baseUrl).origin || isTheirs) return link.href
  throw new CordboardError('blocked_address', `${what}: it leads to another host (${link.hostname})`, {
    fix: 'If this is your reseller’s host, set it as baseUrl of the connection',
  })
}

export async function fetchRecording(recording: Recording, call: Call, ctx: Context): Promise<Response> {
  const link = await linkTo(recording, call, ctx)
  const response = await ctx.fetch(link, { maxBytes: RECORDING_MAX_BYTES, redirects: 3 })
  return failOn(response, {
    what: 'Zadarma: fetch the recording',
    now: ctx.now,
    // The link was made a moment ago and our key is not asked for here: a refusal is about the file.
    codeOf: (status) => (status === 401 || status === 403 ? 'gone' : undefined),
  })
}

/** Finished calls, a day at a time: the statistics allow a month and 1,000 rows a request, three requests a minute. */
export async function* listCalls(since: string, ctx: Context, until?: string): AsyncIterable<CallEvent[]> {
  const to = listEnd(ctx, until)
  for (let from = Date.parse(since); from < to; from += DAY_MS) {
    const rows = await listRows(from, Math.min(from + DAY_MS - 1000, to), ctx)
    const calls = Map.groupBy(rows, (row) => row.pbx_call_id)
    // The parts of one call stand in rows of their own. What ended just now is left to its webhook.
    const finished = [...calls.values()].filter((call) => call.every((row) => isSettled(row, ctx)))
    yield finished.flatMap((call) => toListedEvents(call, ctx))
  }
}

function isSettled(row: StatisticsRow, ctx: Context): boolean {
  const startedAt = Date.parse(toInstant(row.callstart, ctx.config.timeZone))
  return startedAt + row.seconds * 1000 + FILE_DELAY_MS < ctx.now()
}

async function listRows(from: number, to: number, ctx: Context): Promise<StatisticsRow[]> {
  const { timeZone } = ctx.config
  const rows: StatisticsRow[] = []
  // In autumn the clock goes back within what is asked for: then the hour is asked for as a whole.
  const backMs = Math.max(0, to - from - (wallMs(to, timeZone) - wallMs(from, timeZone)))
  const aroundMs = backMs < 60_000 ? 0 : backMs
  for (;;) {
    const query = {
      start: toWallClock(from - aroundMs, timeZone),
      end: toWallClock(to + aroundMs, timeZone),
      version: '2',
      skip: String(rows.length),
      limit: String(ROWS_PER_REQUEST),
    }
    const what = 'Zadarma: list calls'
    const { stats } = await get('/v1/statistics/pbx/', query, statistics, what, ctx, { bucket: 'statistics' })
    rows.push(...stats)
    if (stats.length < ROWS_PER_REQUEST) return rows
  }
}

const wallMs = (ms: number, timeZone: string): number =>
  Date.parse(`${toWallClock(ms, timeZone).replace(' ', 'T')}Z`)

/** The account's clock proves the key and shows whether the configured zone is the account's. */
export async function checkAccount(ctx: Context): Promise<CheckResult> {
  const what = 'Zadarma: read the account’s time zone'
  const clock = await get('/v1/info/timezone/', {}, accountClock, what, ctx)
  const { timeZone } = ctx.config
  const says = `key accepted, account on ${clock.timezone}`
  if (toWallClock(clock.unixtime * 1000, timeZone) === clock.datetime) return { says }
  const fix =
    'Set timeZone of the connection to the zone of the account’s profile: every call’s time depends on it'
  return { says, warnings: [{ what: `The account’s clock is not that of ${timeZone}`, fix }] }
}

interface Asked {
  bucket?: string
  /** What `status: error` means of this method. */
  refusal?: ErrorCode
}

async function get<Schema extends z.ZodType>(
  path: string,
  query: Record<string, string>,
  schema: Schema,
  what: string,
  ctx: Context,
  { bucket = 'default', refusal = 'rejected' }: Asked = {},
): Promise<z.output<Schema>> {
  const params = new URLSearchParams(query)
  params.sort()
  const text = params.toString()
  const url = apiUrl(ctx.config.baseUrl, path, Object.fromEntries(params))
  const response = await ctx.fetch(url, {
    headers: { authorization: await authorization(path, text, ctx) },
    bucket,
  })
  const codeOf = (status: number) => (status === 400 || status === 404 ? refusal : undefined)
  await failOn(response, { what, now: ctx.now, codeOf })
  const reply = readReply(new Uint8Array(await response.arrayBuffer()))
  const { status, message } = asObject(reply) ?? {}
  if (status === 'error') {
    throw new CordboardError(refusal, `${what}: the answer is an error`, {
      vendorSaid: scrub(String(message ?? '')),
    })
  }
  return readAs(schema, reply, `${what}: the reply`)
}

/** Ids of recordings are documented as JSON numbers: read as such, 1772623353.75280 would lose its last digit. */
function readReply(bytes: Uint8Array): unknown {
  const text = new TextDecoder().decode(bytes)
  return parseJson(utf8(text.replaceAll(/("call_id"\s*:\s*)(\d[\d.]*)/g, '$1"$2"')))
}

/** base64 of the hex HMAC-SHA1 over path, query and the query's MD5 (https://zadarma.com/en/support/api/, 2026-11-20). */
export async function authorization(path: string, query: string, { config }: Pick<Context, 'config'>) {
  const secret = utf8(config.secret[0] ?? '')
  const hmac = { name: 'HMAC', hash: 'SHA-1' }
  const key = await crypto.subtle.importKey('raw', new Uint8Array(secret), hmac, false, ['sign'])
  const text = new Uint8Array(utf8(path + query + encodeHex(md5(utf8(query)))))
  const mac = new Uint8Array(await crypto.subtle.sign('HMAC', key, text))
  return `${config.key}:${encodeAs('base64-of-hex', mac)}`
}

const ROTATIONS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21]
const SINES = Array.from({ length: 64 }, (_, i) => Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32))

/** RFC 1321. WebCrypto has no MD5, and what it is used for here (a part of what is signed) needs no strength of it. */
export function md5(message: Uint8Array): Uint8Array {
  const padded = new Uint8Array(((message.length + 72) >> 6) << 6)
  padded.set(message)
  padded[message.length] = 0x80
  const words = new DataView(padded.buffer)
  words.setUint32(padded.length - 8, message.length << 3, true)
  words.setUint32(padded.length - 4, message.length >>> 29, true)
  const state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476]
  for (let block = 0; block < padded.length; block += 64) {
    let [a = 0, b = 0, c = 0, d = 0] = state
    for (let i = 0; i < 64; i++) {
      const round = i >> 4
      const mix =
        round === 0
          ? (b & c) | (~b & d)
          : round === 1
            ? (d & b) | (~d & c)
            : round === 2
              ? b ^ c ^ d
              : c ^ (b | ~d)
      const at = [i, 5 * i + 1, 3 * i + 5, 7 * i][round] ?? 0
      const sum = (a + mix + (SINES[i] ?? 0) + words.getUint32(block + (at % 16) * 4, true)) | 0
      const turn = ROTATIONS[round * 4 + (i % 4)] ?? 0
      ;[a, d, c, b] = [d, c, b, (b + ((sum << turn) | (sum >>> (32 - turn)))) | 0]
    }
    for (const [i, value] of [a, b, c, d].entries()) state[i] = ((state[i] ?? 0) + value) | 0
  }
  const digest = new DataView(new ArrayBuffer(16))
  for (const [i, value] of state.entries()) digest.setInt32(i * 4, value, true)
  return new Uint8Array(digest.buffer)
}
