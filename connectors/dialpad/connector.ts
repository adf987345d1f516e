import type { CallEvent } from '../../src/call/facts.ts'
import { defineConnector, type WebhookSide } from '../../src/connector/contract.ts'
import { parseJson } from '../../src/connector/json.ts'
import { claimsOf } from '../../src/connector/jwt.ts'
import { readAs } from '../../src/connector/read.ts'
import { checkAccount, fetchRecording, listCalls, subscribe } from './client.ts'
import { STATES, toEvents } from './map.ts'
import { type Config, callObject, config } from './schema.ts'

const MINUTE_MS = 60_000

const webhook: WebhookSide<Config, CallEvent> = {
  // "If a secret is provided, the webhook events will be encoded and signed in the JWT format" with HS256; without one they
  // are plain JSON, which is refused (https://developers.dialpad.com/reference/webhookscreate, read 2026-11-20).
  verify: ({ webhookSecret }) => ({
    scheme: 'jwt',
    place: { body: true },
    algorithms: ['HS256'],
    secrets: webhookSecret,
  }),
  reply: { status: 200 },
  receive(request, ctx) {
    // Ids have 64 bits.
    const read = readAs(callObject, parseJson(claimsOf(request.body)), 'Dialpad: the call event')
    const { state } = read
    if (state === undefined) return { ignored: 'it has no state of a call' }
    if (!STATES.includes(state))
      return { ignored: IGNORED.get(state) ?? `the state ${state.slice(0, 64)} is not read` }
    const events = toEvents({ ...read, state }, ctx)
    if (events.length > 0) return { events }
    return {
      ignored: `${state} without a URL: the API key that made the subscription lacks the scope recordings_export`,
    }
  },
}

const IGNORED: ReadonlyMap<string, string> = new Map([
  ['hold', 'the call goes on'],
  ['parked', 'the call goes on'],
  ['merged', 'the call goes on'],
  ['barge', 'a supervisor joined: the call goes on'],
  ['monitor', 'a supervisor listens: the call goes on'],
  ['eavesdrop', 'a supervisor listens: the call goes on'],
  ['takeover', 'the call goes on with another call object'],
  ['transcription', 'transcripts are made by the analysis connection'],
  ['call_transcription', 'transcripts are made by the analysis connection'],
])

export const connector = defineConnector({
  id: 'dialpad',
  name: 'Dialpad',
  docs: 'https://developers.dialpad.com/',
  config,
  check: checkAccount,
  // Of each method for itself, by the pages of the reference, read 2026-11-20; whether a minute is of the clock is not said.
  budgets: () => ({
    default: { limit: 1200, windowMs: MINUTE_MS, window: 'rolling' },
    webhooks: { limit: 100, windowMs: MINUTE_MS, window: 'rolling' },
  }),
  telephony: { webhook, recording: fetchRecording, calls: listCalls, subscribe },
})
