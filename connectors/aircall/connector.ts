import type { CallEvent } from '../../src/call/facts.ts'
import { defineConnector, type WebhookSide } from '../../src/connector/contract.ts'
import { readAs } from '../../src/connector/read.ts'
import { checkWebhook, fetchRecording, listCalls, tendWebhook } from './client.ts'
import { CALL_EVENTS } from './map.ts'
import { aircallCall, type Config, config, envelope } from './schema.ts'

const MINUTE_MS = 60_000

const webhook: WebhookSide<Config, CallEvent> = {
  // "Token associated to the webhook … what you verify against": there is no signature, whatever some public code says
  // (developer.aircall.io/api-references, as quoted by hookdeck/webhook-skills, read 2026-11-27).
  verify: ({ webhookToken }) => ({ scheme: 'token', place: { field: 'token' }, secrets: webhookToken }),
  // "Always answers 200", within five seconds; each other answer counts towards switching the webhook off.
  reply: { status: 200 },
  receive(request, ctx) {
    const { event, timestamp, data } = readAs(envelope, request.json(), 'Aircall: the webhook')
    const toEvents = Object.hasOwn(CALL_EVENTS, event) ? CALL_EVENTS[event] : undefined
    if (!toEvents) return { ignored: `${event.slice(0, 64)} says nothing of a call that is kept` }
    const events = toEvents(readAs(aircallCall, data, `Aircall: ${event}`), timestamp, ctx)
    return events.length > 0 ? { events } : { ignored: `${event} without what it is about` }
  },
}

export const connector = defineConnector({
  id: 'aircall',
  name: 'Aircall',
  docs: 'https://developer.aircall.io/api-references/',
  config,
  check: checkWebhook,
  // 120 a minute per company by the reference, 60 by the help centre, shared with every other integration: the lower.
  // Audio comes from storage and counts nowhere.
  budgets: () => ({ default: { limit: 60, windowMs: MINUTE_MS, window: 'rolling' } }),
  telephony: {
    webhook,
    recording: fetchRecording,
    calls: listCalls,
    subscribe: tendWebhook,
    // The end does not say whether a recording comes, call.comm_assets_generated does when it is there. How long that
    // takes is not documented.
    recordingWaitMs: 10 * MINUTE_MS,
  },
})
