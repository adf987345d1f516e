import type { CallEvent } from '../../src/call/facts.ts'
import { defineConnector, type Received, type WebhookSide } from '../../src/connector/contract.ts'
import { readAs } from '../../src/connector/read.ts'
import { queryOf } from '../../src/connector/request.ts'
import type { Claim, VerifiableRequest } from '../../src/connector/verification.ts'
import { checkAccount, fetchRecording, listCalls } from './client.ts'
import { isDialAction, isStatus, seenDial, toDialEvent, toNoticeEvents, toRecordingEvent } from './map.ts'
import { type Config, callNotice, config, dialNotice, recordingNotice, transcription } from './schema.ts'

const SIGNATURE = 'x-plivo-signature-v3'
/** By the main account's token, where the call is a subaccount's. */
const OF_MAIN_ACCOUNT = 'x-plivo-signature-ma-v3'
const NONCE = 'x-plivo-signature-v3-nonce'

const webhook: WebhookSide<Config, CallEvent> = {
  verify: ({ authToken }) => ({
    scheme: 'custom',
    reason:
      'What is signed is the URL with its query sorted and decoded, then the form’s fields sorted by name, then a nonce; ' +
      'several signatures may stand in one header',
    header: SIGNATURE,
    secrets: authToken,
    claims,
  }),
  // "Plivo retries when HTTP 200 is not returned"
  reply: { status: 200 },
  receive(request, ctx) {
    const fields: Record<string, string> = {}
    // Absent and empty mean the same here.
    for (const pairs of [request.query, request.method === 'GET' ? [] : request.form()]) {
      for (const [name, value] of pairs) if (value !== '') fields[name] = value
    }
    return toEvents(fields, ctx)
  },
}

function toEvents(
  fields: Record<string, string>,
  ctx: Parameters<typeof webhook.receive>[1],
): Received<CallEvent> {
  if (fields.RecordingID !== undefined && fields.RecordUrl !== undefined) {
    const seen = readAs(recordingNotice, fields, 'Plivo: the recording callback')
    const { call } = seen
    if (call === undefined) return { ignored: 'the recording names no call: the list of recordings does' }
    return { events: [toRecordingEvent({ ...seen, call }, ctx)] }
  }
  if (fields.transcription !== undefined && fields.call_uuid !== undefined) {
    const read = readAs(transcription, fields, 'Plivo: the transcription callback')
    const turns = [{ party: 'other' as const, text: read.transcription }]
    const key = `transcription:${read.recording_id}`
    return { events: [{ key, callId: read.call_uuid, phase: 'recorded', facts: { transcript: { turns } } }] }
  }
  if (fields.DialAction !== undefined) {
    const read = readAs(dialNotice, fields, 'Plivo: the callback of <Dial>')
    const call = read.DialALegUUID ?? read.CallUUID
    if (!isDialAction(read.DialAction))
      return { ignored: `the dial action ${read.DialAction} says nothing of a leg` }
    if (call === undefined) return { ignored: 'the callback of <Dial> names no A leg' }
    return { events: [toDialEvent(seenDial(read, read.DialAction, call), ctx)] }
  }
  for (const [field, what] of ELSEWHERE) if (fields[field] !== undefined) return { ignored: what }
  if (fields.CallStatus === undefined) return { ignored: 'neither a call’s status, a leg nor a recording' }
  const seen = readAs(callNotice, fields, 'Plivo: the callback of a call')
  if (!isStatus(seen.status ?? '')) return { ignored: `the call status ${seen.status} is not known` }
  return { events: toNoticeEvents(seen, ctx) }
}

const ELSEWHERE = [
  ['DialStatus', 'the action URL of <Dial> is asked for instructions: its callbackUrl tells of the leg'],
  ['ConferenceAction', 'conferences are told by their recordings only'],
  ['MPCUUID', 'multiparty calls have callbacks of their own, which are not read'],
  ['MessageUUID', 'a message is no call'],
] as const

export const connector = defineConnector({
  id: 'plivo',
  name: 'Plivo',
  docs: 'https://docs.plivo.com/docs/voice/xml/request',
  config,
  check: checkAccount,
  telephony: { webhook, recording: fetchRecording, calls: listCalls },
})

// ── Signature V3: https://docs.plivo.com/docs/voice/xml/request/validation and npm plivo 4.79.0, read 2026-11-27 ───────

const MOST_SIGNATURES = 8

function claims(request: VerifiableRequest): readonly Claim[] | { refused: string } {
  const nonce = request.headers.get(NONCE)
  if (!nonce || nonce.length > 256)
    return { refused: `the header ${NONCE}, which is signed, is missing or too long` }
  const hasBody = request.body.length > 0
  const isForm = /^application\/x-www-form-urlencoded\b/i.test(request.headers.get('content-type') ?? '')
  if (hasBody && (request.method === 'GET' || !isForm)) {
    return { refused: 'the body is no form: nothing covers it' }
  }
  const signed = `${signedText(request)}.${nonce}`
  const given = [SIGNATURE, OF_MAIN_ACCOUNT].flatMap((name) =>
    (request.headers.get(name) ?? '').split(',', MOST_SIGNATURES).map((text) => text.trim()),
  )
  return given.map((one) => ({ hash: 'sha256', encoding: 'base64', signed, given: one }))
}

/** The question mark is always there when there are fields; the point before them only when there is a query. */
function signedText(request: VerifiableRequest): string {
  const [base = ''] = request.url.split(/[?#]/, 1)
  const query = sorted(queryOf(request.url), '=').join('&')
  const fields = request.method === 'GET' ? [] : sorted(request.form(), '')
  if (fields.length === 0) return query === '' ? base : `${base}?${query}`
  return `${base}?${query}${query === '' ? '' : '.'}${fields.join('')}`
}

/** By name, then by value, in code units; decoded. */
const sorted = (pairs: URLSearchParams, between: string): string[] =>
  [...pairs]
    .sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0))
    .map(([name, value]) => `${name}${between}${value}`)
