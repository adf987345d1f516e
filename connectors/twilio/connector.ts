import type { CallEvent } from '../../src/call/facts.ts'
import { defineConnector, type WebhookSide } from '../../src/connector/contract.ts'
import { readAs } from '../../src/connector/read.ts'
import { queryOf } from '../../src/connector/request.ts'
import type { Claim, CustomVerification, VerifiableRequest } from '../../src/connector/verification.ts'
import { checkAccount, fetchRecording, listCalls } from './client.ts'
import { isRecordingStatus, isStatus, toHints, toLegEvent, toRecordingEvent } from './map.ts'
import { type Config, config, recordingCallback, statusCallback } from './schema.ts'

const SIGNATURE = 'x-twilio-signature'

const webhook: WebhookSide<Config, CallEvent> = {
  verify: ({ authToken }) => ({
    scheme: 'custom',
    reason:
      'What is signed is the URL in one of several spellings, then the form’s fields sorted by name; a body that is no ' +
      'form is covered by its hash in the query',
    header: SIGNATURE,
    secrets: authToken,
    claims,
    digests,
  }),
  // "200 or 204 with an empty body": anything else makes Twilio log a warning.
  reply: { status: 200 },
  receive(request, ctx) {
    const isGet = request.method === 'GET'
    if (!isGet && !isForm(request))
      return { ignored: 'the body is no form: not a status or recording callback' }
    const fields: Record<string, string> = {}
    // Absent and empty mean the same here.
    for (const [name, value] of isGet ? request.query : request.form()) if (value !== '') fields[name] = value
    const hints = toHints(request.query)
    if (fields.RecordingSid !== undefined && fields.RecordingStatus !== undefined) {
      const data = readAs(recordingCallback, fields, 'Twilio: the recording callback')
      if (!isRecordingStatus(data.status))
        return { ignored: `the recording status ${data.status} is not known` }
      const event = toRecordingEvent(data, hints, ctx)
      if (event) return { events: [event] }
      return {
        ignored: 'the recording of a conference names no call: add ?call=<CallSid> to its callback URL',
      }
    }
    if (fields.CallStatus === undefined) return { ignored: 'neither a call status nor a recording status' }
    const data = readAs(statusCallback, fields, 'Twilio: the status callback')
    if (isStatus(data.status)) return { events: [toLegEvent(data, hints, ctx)] }
    return { ignored: `the call status ${data.status} is not known` }
  },
}

export const connector = defineConnector({
  id: 'twilio',
  name: 'Twilio',
  docs: 'https://www.twilio.com/docs/voice/api',
  config,
  check: checkAccount,
  telephony: { webhook, recording: fetchRecording, calls: listCalls },
})

const isForm = (request: VerifiableRequest): boolean =>
  (request.headers.get('content-type') ?? '').toLowerCase().startsWith('application/x-www-form-urlencoded')

// ── Signature: https://www.twilio.com/docs/usage/security and npm twilio 6.2.0, read 2026-11-20 ────────────────────────

function claims(request: VerifiableRequest): readonly Claim[] | { refused: string } {
  const fields = signedFields(request)
  if (typeof fields !== 'string') return fields
  const given = request.headers.get(SIGNATURE) ?? ''
  const spellings = PLAIN.test(request.url) ? SPELLINGS.slice(0, 2) : SPELLINGS
  return spellings.map((spell) => ({
    hash: 'sha1',
    encoding: 'base64',
    given,
    // The first nearly always fits: the others are only made when they are asked for.
    get signed() {
      return spell(request.url) + fields
    },
  }))
}

/** Names sorted by code unit, each with its value, nothing in between; a value said twice of a name counts once. */
function signedFields(request: VerifiableRequest): string | { refused: string } {
  if (request.body.length === 0 || bodyHashes(request).length > 0) return ''
  if (request.method === 'GET' || !isForm(request)) {
    return { refused: 'the body is no form and bodySHA256 is not in the query: nothing covers it' }
  }
  const pairs = [...request.form()].sort(([a, x], [b, y]) =>
    a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0,
  )
  let text = ''
  let last: readonly string[] = []
  for (const pair of pairs) {
    if (pair[0] !== last[0] || pair[1] !== last[1]) text += pair[0] + pair[1]
    last = pair
  }
  return text
}

const bodyHashes = (request: VerifiableRequest): readonly string[] =>
  request.url.includes('bodySHA256') ? queryOf(request.url).getAll('bodySHA256') : []

const digests: NonNullable<CustomVerification['digests']> = (request) =>
  bodyHashes(request).map((given) => ({ hash: 'sha256', encoding: 'hex', of: request.body, given }))

/** The candidates of Twilio's own libraries: ports and percent-encoding are where signer and receiver differ. */
const SPELLINGS: readonly ((url: string) => string)[] = [
  (url) => url,
  otherPort,
  normalised,
  (url) => otherPort(normalised(url)),
  legacyQuery,
  (url) => otherPort(legacyQuery(url)),
]

/** URLs that every parser writes back as they are; only the port is open then. */
const PLAIN = /^https?:\/\/[a-z\d.-]+(?::\d+)?\/[\w~/-]*(?:\?[\w~.-]+=[\w~.-]*)?$/

/** Without the port where there is one, with the scheme's own where there is none. */
function otherPort(url: string): string {
  const [whole, start = '', port] = /^(https?:\/\/[^/?#]*?)(:\d+)?(?=[/?#]|$)/.exec(url) ?? ['']
  const added = port === undefined && start !== '' ? (start.startsWith('https') ? ':443' : ':80') : ''
  return start + added + url.slice(whole.length)
}

function normalised(url: string): string {
  return URL.parse(url)?.href ?? url
}

/** As Node's querystring module writes a query: `'` stays, a space is %20, repeated names stand together. */
function legacyQuery(url: string): string {
  const whole = normalised(url)
  const at = whole.indexOf('?')
  if (at < 0) return whole
  const byName = Map.groupBy(queryOf(whole), ([name]) => name)
  const pairs = [...byName.values()].flat()
  const query = pairs.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
  return `${whole.slice(0, at)}?${query.join('&')}`
}
