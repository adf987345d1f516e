import type { CallEvent } from '../../src/call/facts.ts'
import {
  defineConnector,
  type MapContext,
  type Received,
  type Reply,
  type WebhookSide,
} from '../../src/connector/contract.ts'
import { encodeHex } from '../../src/connector/encoding.ts'
import { asObject } from '../../src/connector/json.ts'
import type { Signer } from '../../src/connector/platform.ts'
import { readAs } from '../../src/connector/read.ts'
import type { VerifiableRequest } from '../../src/connector/verification.ts'
import { CordboardError } from '../../src/errors.ts'
import { checkAccount, fetchRecording, listCalls } from './client.ts'
import {
  LIVE,
  type LiveName,
  toElementEvents,
  toLiveEvent,
  toPausedEvent,
  toProgressEvent,
  toRecordingEvent,
  toVoicemailEvent,
} from './map.ts'
import {
  type Config,
  config,
  elements,
  liveCall,
  notification,
  recordingProgress,
  recordings,
  voicemail,
} from './schema.ts'

const TIMESTAMP = 'x-zm-request-timestamp'
const CHALLENGE = 'endpoint.url_validation'

const webhook: WebhookSide<Config, CallEvent> = {
  handshake: answerChallenge,
  // https://developers.zoom.us/docs/api/webhooks and npm @zoom/rivet 0.4.0, read 2026-11-20. Over the bytes that came:
  // Zoom's samples hash what they parsed and wrote again, which is the same only as long as Zoom writes as they do.
  verify: ({ secretToken, toleranceMs }) => ({
    scheme: 'hmac',
    hash: 'sha256',
    encoding: 'hex',
    header: 'x-zm-signature',
    prefix: 'v0=',
    signed: [{ text: 'v0:' }, { header: TIMESTAMP }, { text: ':' }, { body: true }],
    secrets: secretToken,
    freshness: { header: TIMESTAMP, unit: 's', toleranceMs },
  }),
  // "200 or 204 within three seconds" (https://developers.zoom.us/blog/webhook-delays, read 2026-11-20).
  reply: { status: 200 },
  receive(request, ctx) {
    const { event, payload } = readAs(notification, request.json(), 'Zoom: the notification')
    return read(event, payload.object, ctx)
  },
}

export const connector = defineConnector({
  id: 'zoom-phone',
  name: 'Zoom Phone',
  docs: 'https://developers.zoom.us/docs/phone/',
  config,
  check: checkAccount,
  // Of the Pro plan, for the whole account and all its apps (https://developers.zoom.us/docs/api/rate-limits, read
  // 2026-11-20); Business has twice as much. A day's HEAVY requests are counted by Zoom alone.
  budgets: () => ({
    light: { limit: 20, windowMs: 1000, window: 'rolling' },
    medium: { limit: 10, windowMs: 1000, window: 'rolling' },
    heavy: { limit: 5, windowMs: 1000, window: 'rolling' },
  }),
  telephony: {
    webhook,
    recording: fetchRecording,
    calls: listCalls,
    // How long a recording takes is not documented, and a hop without a recording_id may still get one.
    recordingWaitMs: 600_000,
  },
})

const isLive = (event: string): event is LiveName => Object.hasOwn(LIVE, event)

const COMPLETED = /^phone\.calle[er]_call_(?:element|history)_completed$/

/** What the events are: https://developers.zoom.us/docs/api/phone/events/, read 2026-11-20. */
function read(event: string, object: unknown, ctx: MapContext<Config>): Received<CallEvent> {
  const what = `Zoom: ${event.slice(0, 64)}`
  if (isLive(event)) return { events: [toLiveEvent(event, readAs(liveCall, object, what), ctx)] }
  if (COMPLETED.test(event)) {
    return { events: readAs(elements, object, what).flatMap((hop) => toElementEvents(hop, ctx)) }
  }
  if (event === 'phone.recording_completed') {
    const rows = readAs(recordings, object, what).recordings
    return { events: rows.map((row) => toRecordingEvent(row, ctx)) }
  }
  if (event === 'phone.recording_started' || event === 'phone.recording_failed') {
    const state = event === 'phone.recording_started' ? 'pending' : 'failed'
    return { events: [toProgressEvent(state, readAs(recordingProgress, object, what), ctx)] }
  }
  // What this event's object holds is shown nowhere that was read: where it is as its siblings', the call is tagged.
  const paused = event === 'phone.recording_paused' ? recordingProgress.safeParse(object).data : undefined
  if (paused) return { events: [toPausedEvent(paused)] }
  if (event === 'phone.voicemail_received') {
    return { events: [toVoicemailEvent(readAs(voicemail, object, what), ctx)] }
  }
  return { ignored: IGNORED.get(event) ?? `${event.slice(0, 64)} is no event that is read` }
}

const IGNORED: ReadonlyMap<string, string> = new Map([
  ['phone.caller_call_log_completed', 'call logs are the form of before 2023: subscribe to call elements'],
  ['phone.callee_call_log_completed', 'call logs are the form of before 2023: subscribe to call elements'],
  ['phone.recording_completed_for_access_member', 'the same recording again, for one who may hear it'],
  ['phone.recording_paused', 'the recording goes on or is completed later'],
  ['phone.recording_resumed', 'the recording is completed later'],
  ['phone.recording_stopped', 'the recording is completed later'],
  ['phone.recording_transcript_completed', 'transcripts are made by the analysis connection'],
  ['phone.voicemail_transcript_completed', 'transcripts are made by the analysis connection'],
])

/**
 * Asked when the URL is saved and every 72 hours after that
 * (https://developers.zoom.us/changelog/platform/webhook-url-validation, read 2026-11-20). The key is the one that signs
 * webhooks, so whoever asks gets something signed: a token that could be a signed text (`v0:…`) is none.
 */
async function answerChallenge(
  request: VerifiableRequest,
  { config: { secretToken } }: MapContext<Config>,
  signer: Signer,
): Promise<Reply | null> {
  const plainToken = challengeOf(request)
  if (plainToken === null) return null
  const mac = await signer.hmac('sha256', secretToken[0] ?? '', plainToken)
  return {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ plainToken, encryptedToken: encodeHex(mac) }),
  }
}

function challengeOf(request: VerifiableRequest): string | null {
  if (request.method !== 'POST' || request.body.length > 1024) return null
  let body: Record<string, unknown> | null
  try {
    body = asObject(request.json())
  } catch (error) {
    if (error instanceof CordboardError) return null
    throw error
  }
  if (body?.event !== CHALLENGE) return null
  const token = asObject(body.payload)?.plainToken
  return typeof token === 'string' && /^[\w+/=-]{1,128}$/.test(token) ? token : null
}
