import type { CallEvent } from '../../src/call/facts.ts'
import { defineConnector, type WebhookSide } from '../../src/connector/contract.ts'
import { readAs } from '../../src/connector/read.ts'
import { queryOf } from '../../src/connector/request.ts'
import type { Claim, VerifiableRequest } from '../../src/connector/verification.ts'
import { CordboardError } from '../../src/errors.ts'
import { checkAccount, fetchRecording, linkTo, listCalls } from './client.ts'
import { CALL_EVENTS, type CallEventName, toCallEvent, toRecordEvent } from './map.ts'
import { type Config, callNotice, config, recordNotice } from './schema.ts'

const SIGNATURE = 'signature'
const MINUTE_MS = 60_000

const webhook: WebhookSide<Config, CallEvent> = {
  /** Asked when the URL is saved in the account; documented as GET, seen as POST too. */
  handshake(request) {
    const token = echoed(request)
    if (token === null || !/^[\w-]{1,128}$/.test(token)) return null
    return { status: 200, headers: { 'content-type': 'text/plain' }, body: token }
  },
  verify: ({ secret }) => ({
    scheme: 'custom',
    reason:
      'Which fields are signed depends on the event, and the vendor’s own libraries disagree on the encoding: base64 of ' +
      'the hex text (PHP, documented) or of the bytes (TypeScript)',
    header: SIGNATURE,
    secrets: secret,
    claims,
  }),
  // START and IVR take routing commands as the answer: an empty one leaves the routing alone.
  reply: { status: 200 },
  receive(request, ctx) {
    // Of a field that is there twice the first one counts, as it does for the signature. Empty ones say nothing.
    const first = Object.fromEntries([...request.form()].toReversed())
    const fields = Object.fromEntries(Object.entries(first).filter(([, value]) => value !== ''))
    const { event } = fields
    if (event === undefined)
      throw new CordboardError('invalid_payload', 'Zadarma: the form has no field event')
    if (event === 'NOTIFY_RECORD') {
      return { events: [toRecordEvent(readAs(recordNotice, fields, `Zadarma: ${event}`), ctx)] }
    }
    if (!isCallEvent(event)) return { ignored: `${event.slice(0, 64)} is no event of a call` }
    const notice = readAs(callNotice, fields, `Zadarma: ${event}`)
    return { events: [toCallEvent(event, notice, request.receivedAt, ctx)] }
  },
}

export const connector = defineConnector({
  id: 'zadarma',
  name: 'Zadarma',
  docs: 'https://zadarma.com/en/support/api/',
  config,
  check: checkAccount,
  // "100 requests/min general; 3 requests/min for statistics" (vendor’s OpenAPI file, read 2026-11-20). Whether a minute
  // is of the clock or any sixty seconds is not documented, nor whether the three count among the hundred: the stricter.
  budgets: () => ({
    default: { limit: 97, windowMs: MINUTE_MS, window: 'rolling' },
    statistics: { limit: 3, windowMs: MINUTE_MS, window: 'rolling' },
  }),
  telephony: { webhook, recording: fetchRecording, recordingUrl: linkTo, calls: listCalls },
})

const isCallEvent = (name: string): name is CallEventName => Object.hasOwn(CALL_EVENTS, name)

function echoed(request: VerifiableRequest): string | null {
  if (request.url.includes('zd_echo=')) return queryOf(request.url).get('zd_echo')
  if (request.method !== 'POST' || request.body.length > 1024) return null
  const form = request.form()
  return form.has('event') ? null : form.get('zd_echo')
}

// ── Signature: https://zadarma.com/en/support/api/ and github.com/zadarma/user-api-v1, read 2026-11-20 ─────────────────

const INBOUND = ['caller_id', 'called_did', 'call_start']
const OUTBOUND = ['internal', 'destination', 'call_start']
const SIGNED: Readonly<Record<string, readonly string[]>> = {
  NOTIFY_START: INBOUND,
  NOTIFY_INTERNAL: INBOUND,
  NOTIFY_END: INBOUND,
  NOTIFY_IVR: INBOUND,
  NOTIFY_ANSWER: ['caller_id', 'destination', 'call_start'],
  NOTIFY_OUT_START: OUTBOUND,
  NOTIFY_OUT_END: OUTBOUND,
  NOTIFY_RECORD: ['pbx_call_id', 'call_id_with_rec'],
  SPEECH_RECOGNITION: ['result'],
  NUMBER_LOOKUP: ['result'],
  CALL_TRACKING: ['result'],
  SMS: ['result'],
}

function claims(request: VerifiableRequest): readonly Claim[] | { refused: string } {
  const form = request.form()
  const event = form.get('event')
  if (event === null) return { refused: 'the form has no field event, which says what is signed' }
  // What an event signs that is not documented can only be tried; it is ignored afterwards in any case.
  const names = Object.hasOwn(SIGNED, event) ? SIGNED[event] : INBOUND
  let signed = ''
  for (const name of names ?? INBOUND) signed += form.get(name) ?? ''
  if (signed === '') return { refused: `the fields that sign ${event.slice(0, 64)} are missing` }
  const given = request.headers.get(SIGNATURE) ?? ''
  return [
    { hash: 'sha1', encoding: 'base64-of-hex', signed, given },
    { hash: 'sha1', encoding: 'base64', signed, given },
  ]
}
