import type { CallEvent } from '../../src/call/facts.ts'
import { defineConnector, type WebhookSide } from '../../src/connector/contract.ts'
import { asObject } from '../../src/connector/json.ts'
import { readAs } from '../../src/connector/read.ts'
import { checkAccount, fetchRecording, listCalls } from './client.ts'
import { isStatus, toLegEvents, toMachineEvent, toRecordingEvent } from './map.ts'
import { type Config, config, recordEvent, statusEvent, transferEvent } from './schema.ts'

const webhook: WebhookSide<Config, CallEvent> = {
  // https://developer.vonage.com/en/getting-started/concepts/webhooks#decoding-signed-webhooks and npm @vonage/jwt 1.14.0,
  // read 2026-11-27. The tokens have no `exp`, and the library checks neither their age nor the body.
  verify: ({ signatureSecret }) => ({
    scheme: 'jwt',
    place: { header: 'authorization' },
    algorithms: ['HS256'],
    secrets: signatureSecret,
    issuer: 'Vonage',
    maxAgeMs: 300_000,
    bodyHashClaim: { claim: 'payload_hash', hash: 'sha256', encoding: 'hex' },
  }),
  // An answer with a body might be taken for a call control object.
  reply: { status: 204 },
  receive(request, ctx) {
    if (request.method === 'GET') {
      return {
        ignored: 'its fields are in the query, which nothing signs: set the event URL’s method to POST',
      }
    }
    const event = asObject(request.json()) ?? {}
    if (event.recording_url !== undefined) {
      return { events: [toRecordingEvent(readAs(recordEvent, event, 'Vonage: the record event'), ctx)] }
    }
    if (event.conversation_uuid_to !== undefined) {
      const read = readAs(transferEvent, event, 'Vonage: the transfer event')
      const { uuid, conversation_uuid_from: from, conversation_uuid_to: to, timestamp: at } = read
      const key = `${uuid}:transfer:${from}:${to}`
      const moved = { key, callId: from, alsoKnownAs: [to], phase: 'ringing' as const, facts: {} }
      return { events: [at ? { ...moved, at } : moved] }
    }
    for (const [field, why] of ELSEWHERE) if (event[field] !== undefined) return { ignored: why }
    if (event.status === undefined) return { ignored: 'the event has no status: it says nothing of a leg' }
    const seen = readAs(statusEvent, event, 'Vonage: the event')
    if (seen.status === 'human' || seen.status === 'machine') {
      const machine = toMachineEvent(seen, ctx)
      return machine ? { events: [machine] } : { ignored: 'no machine answered on the customer’s side' }
    }
    if (isStatus(seen.status)) return { events: toLegEvents(seen, ctx) }
    return { ignored: `the status ${seen.status} says nothing that is kept of a call` }
  },
}

const ELSEWHERE = [
  ['transcription_url', 'transcriptions of a record action are not read'],
  ['dtmf', 'input says nothing that is kept of a call'],
  ['speech', 'input says nothing that is kept of a call'],
  ['reason', 'an error of the application’s own instructions: Vonage’s logs explain it'],
] as const

export const connector = defineConnector({
  id: 'vonage',
  name: 'Vonage',
  docs: 'https://developer.vonage.com/en/voice/voice-api/webhook-reference',
  config,
  check: checkAccount,
  telephony: { webhook, recording: fetchRecording, calls: listCalls },
})
