import type { CallEvent } from '../../src/call/facts.ts'
import { defineConnector, type MapContext, type WebhookSide } from '../../src/connector/contract.ts'
import { asObject } from '../../src/connector/json.ts'
import { readAs } from '../../src/connector/read.ts'
import type { VerifiableRequest } from '../../src/connector/verification.ts'
import { CordboardError } from '../../src/errors.ts'
import { checkAccount, fetchRecording, linkTo, listCalls } from './client.ts'
import { AFTER_EVENTS, CALL_EVENTS } from './map.ts'
import { afterEvent, type Config, callEvent, config, envelope } from './schema.ts'

const MINUTE_MS = 60_000

const webhook: WebhookSide<Config, CallEvent> = {
  /** The dashboard tries a URL and wants a 200; with what is not documented. What names no event says nothing. */
  handshake: (request) => (namesNoEvent(request) ? { status: 200 } : null),
  // The header is a token that holds the whole event once more (github.com/ringover/ringover-webhooks-php 9deeb6c0, read
  // 2026-11-27). The vendor's SDK checks the token and reads the body: here the two must say the same.
  verify: ({ webhookKey }) => ({
    scheme: 'jwt',
    place: { header: 'x-ringover-webhook-signature', prefix: '' },
    algorithms: ['HS512'],
    secrets: webhookKey,
    bodyClaim: 'payload',
    urlClaim: 'url',
  }),
  reply: { status: 200 },
  receive(request, ctx) {
    const body = request.json()
    const { resource, ressource, event, timestamp } = readAs(envelope, body, 'Ringover: the webhook')
    const of = resource ?? ressource ?? 'nothing'
    const name = `${of.slice(0, 64)} ${event}`
    const events = eventsOf(of, event, timestamp, body, ctx)
    if (events === null) return { ignored: `${name} is no event of a call that is read` }
    return events.length > 0 ? { events } : { ignored: `${name} without what it is about` }
  },
}

const TRY_BYTES = 16_384

function namesNoEvent(request: VerifiableRequest): boolean {
  if (request.body.length === 0) return true
  if (request.body.length > TRY_BYTES) return false
  try {
    const body = asObject(request.json())
    return body !== null && !body.event
  } catch (error) {
    if (error instanceof CordboardError) return false
    throw error
  }
}

function eventsOf(
  resource: string,
  event: string,
  timestamp: string | undefined,
  body: unknown,
  ctx: MapContext<Config>,
): CallEvent[] | null {
  if (resource === 'call' && Object.hasOwn(CALL_EVENTS, event))
    return CALL_EVENTS[event]?.(readAs(callEvent, body, `Ringover: ${event}`).data, ctx) ?? null
  if (resource === 'aftercall' && Object.hasOwn(AFTER_EVENTS, event))
    return AFTER_EVENTS[event]?.(readAs(afterEvent, body, `Ringover: ${event}`).data, timestamp, ctx) ?? null
  return null
}

export const connector = defineConnector({
  id: 'ringover',
  name: 'Ringover',
  docs: 'https://developer.ringover.com/',
  config,
  check: checkAccount,
  telephony: {
    webhook,
    recording: fetchRecording,
    recordingUrl: linkTo,
    calls: listCalls,
    // record_available says when it is there; how long after the hangup is not documented.
    recordingWaitMs: 10 * MINUTE_MS,
  },
})
