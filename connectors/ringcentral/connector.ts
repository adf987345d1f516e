import type { CallEvent } from '../../src/call/facts.ts'
import { defineConnector, type WebhookSide } from '../../src/connector/contract.ts'
import { asObject } from '../../src/connector/json.ts'
import { readAs } from '../../src/connector/read.ts'
import type { VerifiableRequest } from '../../src/connector/verification.ts'
import { CordboardError } from '../../src/errors.ts'
import { checkAccount, fetchRecording, listCalls, subscribe } from './client.ts'
import { toSessionEvents } from './map.ts'
import { type Config, config, notification, session } from './schema.ts'

const MINUTE_MS = 60_000
const VALIDATION = 'validation-token'

const webhook: WebhookSide<Config, CallEvent> = {
  /**
   * Asked while the subscription is being made, before anybody knows its id, and without our token: the same header back,
   * as JSON, in less than 1,024 bytes (https://developers.ringcentral.com/guide/notifications/webhooks/creating-webhooks,
   * read 2026-11-20). Nothing is signed and nothing is done.
   */
  handshake(request) {
    const token = request.headers.get(VALIDATION)
    if (token === null || !/^[\w.-]{1,128}$/.test(token) || isNotification(request)) return null
    return { status: 200, headers: { [VALIDATION]: token, 'content-type': 'application/json' } }
  },
  // RingCentral signs nothing. What it offers is a token of ours in each notification
  // (https://developers.ringcentral.com/guide/notifications/webhooks/receiving, read 2026-11-20). The specification calls it
  // verificationToken, the guide validationToken, and the headers are named after them.
  verify: ({ verificationToken }) => ({
    scheme: 'token',
    place: { header: 'verification-token', or: VALIDATION },
    secrets: verificationToken,
  }),
  reply: { status: 200 },
  receive(request, ctx) {
    const { event, body } = readAs(notification, request.json(), 'RingCentral: the notification')
    if (!/\/telephony\/sessions(?:$|[/?])/.test(event))
      return { ignored: 'it is not about a telephony session' }
    const read = readAs(session, body, 'RingCentral: the telephony session')
    const events = toSessionEvents(read, ctx)
    if (events.length > 0) return { events }
    const codes = read.parties.map(({ status }) => status.code).join(', ')
    return { ignored: codes === '' ? 'it names no party' : `${codes}: the call goes on` }
  },
}

export const connector = defineConnector({
  id: 'ringcentral',
  name: 'RingCentral',
  docs: 'https://developers.ringcentral.com/api-reference',
  config,
  check: checkAccount,
  // Of a user and app (https://developers.ringcentral.com/guide/basics/rate-limits, read 2026-11-20). A request while a
  // limit is exceeded starts its minute anew, so the stricter reading is taken.
  budgets: () => ({
    light: { limit: 50, windowMs: MINUTE_MS, window: 'rolling' },
    medium: { limit: 40, windowMs: MINUTE_MS, window: 'rolling' },
    heavy: { limit: 10, windowMs: MINUTE_MS, window: 'rolling' },
    auth: { limit: 5, windowMs: MINUTE_MS, window: 'rolling' },
  }),
  telephony: {
    webhook,
    recording: fetchRecording,
    calls: listCalls,
    subscribe,
    // Where the event does not name the recording only the call log does, "a few minutes" later.
    recordingWaitMs: 300_000,
  },
})

/** A body that says what happened: then the header is no question. */
function isNotification(request: VerifiableRequest): boolean {
  if (request.body.length === 0) return false
  try {
    return asObject(request.json())?.event !== undefined
  } catch (error) {
    if (error instanceof CordboardError) return true
    throw error
  }
}
