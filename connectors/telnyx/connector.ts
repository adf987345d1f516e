import type { CallEvent } from '../../src/call/facts.ts'
import { defineConnector, type Received, type WebhookSide } from '../../src/connector/contract.ts'
import { readAs } from '../../src/connector/read.ts'
import { checkAccount, fetchRecording, listCalls } from './client.ts'
import { isLegEvent, type Told, toLegEvents, toMachineEvent, toQueueEvent, toRecordingEvent } from './map.ts'
import {
  type Config,
  config,
  envelope,
  legPayload,
  recordingError,
  recordingPayload,
  transcription,
} from './schema.ts'

const TIMESTAMP = 'telnyx-timestamp'

const webhook: WebhookSide<Config, CallEvent> = {
  // https://developers.telnyx.com/development/api-fundamentals/webhooks/receiving-webhooks and npm telnyx 7.24.0
  // (lib/webhooks, which allows 300 s as well), read 2026-11-27.
  verify: ({ publicKey }) => ({
    scheme: 'ed25519',
    header: 'telnyx-signature-ed25519',
    encoding: 'base64',
    signed: [{ header: TIMESTAMP }, { text: '|' }, { body: true }],
    publicKeys: publicKey,
    freshness: { header: TIMESTAMP, unit: 's', toleranceMs: 300_000 },
  }),
  // "The server must return an HTTP 200, otherwise we will reattempt delivery at the failover webhook URL."
  reply: { status: 200 },
  receive(request, ctx) {
    if (/form/i.test(request.headers.get('content-type') ?? '')) {
      return { ignored: 'the body is a form: TeXML applications speak another language than the Voice API' }
    }
    const { data } = readAs(envelope, request.json(), 'Telnyx: the webhook')
    const { event_type: name, id, occurred_at: at, payload } = data
    return toEvents({ name, id, at }, payload, ctx)
  },
}

function toEvents(
  told: Told,
  payload: Record<string, unknown>,
  ctx: Parameters<typeof webhook.receive>[1],
): Received<CallEvent> {
  const { name, at } = told
  const what = `Telnyx: the payload of ${name}`
  if (isLegEvent(name)) return { events: toLegEvents(told, readAs(legPayload, payload, what), ctx) }
  switch (name) {
    case 'call.enqueued':
      return { events: [toQueueEvent(told, readAs(legPayload, payload, what))] }
    case 'call.machine.detection.ended':
    case 'call.machine.premium.detection.ended': {
      const event = toMachineEvent(told, readAs(legPayload, payload, what), ctx)
      return event ? { events: [event] } : { ignored: 'no machine answered on the customer’s side' }
    }
    case 'call.recording.saved':
    case 'conference.recording.saved': {
      const seen = readAs(recordingPayload, payload, what)
      if (seen.leg === undefined && seen.id === undefined) {
        return { ignored: 'the recording has neither a leg nor an id: it cannot be fetched' }
      }
      return { events: [toRecordingEvent(seen, ctx)] }
    }
    case 'call.recording.error': {
      const seen = readAs(recordingError, payload, what)
      const why = seen.reason ?? seen.result
      const facts = { recordingExpected: false, ...(why ? { meta: { recordingError: why } } : {}) }
      return { events: [eventOf(told, seen.call_session_id, facts)] }
    }
    case 'call.recording.transcription.saved': {
      const seen = readAs(transcription, payload, what)
      const text = seen.transcription_text.trim()
      if (text === '') return { ignored: 'the transcription is empty' }
      const transcript = { turns: [{ party: 'other' as const, text }] }
      const id = seen.recording_transcription_id ?? told.id
      return { events: [eventOf({ name, id, at }, seen.call_session_id, { transcript })] }
    }
    default:
      return {
        ignored: /^(?:call|conference)\./.test(name)
          ? `${name.slice(0, 64)} says nothing that is kept of a call`
          : `${name.slice(0, 64)} is no event of a call`,
      }
  }
}

const eventOf = ({ name, id, at }: Told, callId: string, facts: CallEvent['facts']): CallEvent => ({
  key: `${name}:${id}`,
  callId,
  phase: 'recorded',
  ...(at ? { at } : {}),
  facts,
})

export const connector = defineConnector({
  id: 'telnyx',
  name: 'Telnyx',
  docs: 'https://developers.telnyx.com/docs/voice/programmable-voice/voice-api-webhooks',
  config,
  check: checkAccount,
  telephony: { webhook, recording: fetchRecording, calls: listCalls },
})
