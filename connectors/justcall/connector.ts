import type { CallEvent } from '../../src/call/facts.ts'
import { toInstant } from '../../src/call/zone.ts'
import { defineConnector, type WebhookSide } from '../../src/connector/contract.ts'
import { asObject } from '../../src/connector/json.ts'
import { readAs } from '../../src/connector/read.ts'
import type { Claim, VerifiableRequest } from '../../src/connector/verification.ts'
import { CordboardError } from '../../src/errors.ts'
import { checkAccount, fetchRecording, listCalls } from './client.ts'
import { CALL_EVENTS } from './map.ts'
import { type Config, config, envelope, justCall } from './schema.ts'

const SIGNATURE = 'x-justcall-signature'
const VERSION = 'x-justcall-signature-version'
const TIMESTAMP = 'x-justcall-request-timestamp'
const MINUTE_MS = 60_000

const webhook: WebhookSide<Config, CallEvent> = {
  /** When the URL is added, JustCall sends a request without a type and an id; it says nothing and wants a 200. */
  handshake: (request) => (request.method === 'POST' && isProbe(request) ? { status: 200 } : null),
  verify: ({ apiSecret, maxAgeMs, timestampZone }) => ({
    scheme: 'custom',
    reason:
      'The signed text begins with the secret itself, then come the registered URL as encodeURIComponent writes it, the ' +
      'type from the body and the time from a header',
    header: SIGNATURE,
    secrets: apiSecret,
    ...(maxAgeMs === false
      ? {}
      : {
          freshness: { header: TIMESTAMP, unit: 'clock', timeZone: timestampZone, toleranceMs: maxAgeMs },
        }),
    claims: (request) => claims(request, apiSecret),
  }),
  reply: { status: 200 },
  receive(request, ctx) {
    const { type, request_id: requestId, data } = readAs(envelope, request.json(), 'JustCall: the webhook')
    const toEvents = Object.hasOwn(CALL_EVENTS, type) ? CALL_EVENTS[type] : undefined
    if (!toEvents) return { ignored: `${type.slice(0, 64)} is no event of a call that is read` }
    const at = timeOf(request.headers.get(TIMESTAMP), ctx.config)
    const events = toEvents(readAs(justCall, data, `JustCall: ${type}`), { requestId, at }, ctx)
    return events.length > 0 ? { events } : { ignored: `${type} of a call that goes on` }
  },
}

export const connector = defineConnector({
  id: 'justcall',
  name: 'JustCall',
  docs: 'https://developer.justcall.io/docs',
  config,
  check: checkAccount,
  // 30 a minute and 1,800 an hour on the plan Team, more on others: half an hour's worth is never used up at 30 a minute.
  budgets: () => ({ default: { limit: 30, windowMs: MINUTE_MS, window: 'rolling' } }),
  telephony: {
    webhook,
    recording: fetchRecording,
    calls: listCalls,
    // `recording` may be empty at the end and come with call.updated; how much later is not documented.
    recordingWaitMs: 10 * MINUTE_MS,
  },
})

const PROBE_BYTES = 16_384

function isProbe(request: VerifiableRequest): boolean {
  if (request.body.length > PROBE_BYTES) return false
  try {
    const body = asObject(request.json())
    return body !== null && !body.type && !body.request_id
  } catch (error) {
    if (error instanceof CordboardError) return false
    throw error
  }
}

/** Digits of a clock; anything else orders nothing. */
function timeOf(value: string | null, { timestampZone }: Config): string | undefined {
  if (value === null || !/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/.test(value)) return undefined
  return Number.isNaN(Date.parse(`${value.replace(' ', 'T')}Z`)) ? undefined : toInstant(value, timestampZone)
}

// ── Signature: https://developer.justcall.io/docs/dynamic-webhook-signatures, read 2026-11-27 ──────────────────────────

function claims(
  request: VerifiableRequest,
  secrets: readonly string[],
): readonly Claim[] | { refused: string } {
  const version = request.headers.get(VERSION)
  if (version !== null && version !== 'v1') return { refused: 'the version of the signature is not v1' }
  const time = request.headers.get(TIMESTAMP)
  if (!time) return { refused: `the header ${TIMESTAMP}, which is signed, is missing` }
  const { webhook_url: url, type } = asObject(request.json()) ?? {}
  if (typeof url !== 'string' || typeof type !== 'string' || type === '') {
    return { refused: 'the fields webhook_url and type, which are signed, are missing' }
  }
  // The URL in the body is anybody's: only when it is ours, the signature was made for us.
  if (!isSameUrl(url, request.url)) {
    return {
      refused: 'webhook_url in the body is another address than the one that was called under publicUrl',
    }
  }
  const given = request.headers.get(SIGNATURE) ?? ''
  return secrets.map((secret) => ({
    hash: 'sha256',
    encoding: 'hex',
    signed: `${secret}|${encodeURIComponent(url)}|${type}|${time}`,
    given,
  }))
}

function isSameUrl(one: string, other: string): boolean {
  const [a, b] = [URL.parse(one), URL.parse(other)]
  // encodeURIComponent throws for half a surrogate pair.
  return a !== null && b !== null && one.isWellFormed() && a.href === b.href
}
