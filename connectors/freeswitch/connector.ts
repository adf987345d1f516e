import type { CallEvent } from '../../src/call/facts.ts'
import { defineConnector, type InboundRequest, type WebhookSide } from '../../src/connector/contract.ts'
import { decodeBase64, utf8 } from '../../src/connector/encoding.ts'
import { asObject, parseJson } from '../../src/connector/json.ts'
import { readAs } from '../../src/connector/read.ts'
import { childOf, parseXml, type XmlElement } from '../../src/connector/xml.ts'
import { CordboardError } from '../../src/errors.ts'
import { checkAccess, fetchRecording } from './client.ts'
import { toLegEvent } from './map.ts'
import { type Config, cdr, config } from './schema.ts'

const webhook: WebhookSide<Config, CallEvent> = {
  // The modules sign nothing; `cred` is all they can prove. Digest and NTLM would need a challenge first.
  verify: ({ credentials }) => ({
    scheme: 'token',
    place: { basic: 'user:password' },
    secrets: credentials,
  }),
  receive(request, ctx) {
    const read = readAs(cdr, recordIn(request), 'FreeSWITCH: the CDR')
    // `?uuid=` is appended by the module itself, `a_` before it where prefix-a-leg is on.
    const named = request.query.get('uuid')?.replace(/^a_/, '')
    if (named !== undefined && named !== read.variables.uuid) {
      throw new CordboardError('invalid_payload', 'FreeSWITCH: the uuid of the URL is not that of the CDR', {
        fix: 'A URL configured for the module must have no query of its own',
      })
    }
    return { events: [toLegEvent(read, ctx)] }
  },
}

export const connector = defineConnector({
  id: 'freeswitch',
  name: 'FreeSWITCH',
  docs: 'https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Modules/mod_json_cdr_4653451/',
  config,
  check: checkAccess,
  telephony: { webhook, recording: fetchRecording },
})

// ── The body: mod_json_cdr.c, mod_xml_cdr.c and switch_utils.c of signalwire/freeswitch (cc93a683, 2026-11-20) ──────────

const BRACE = 0x7b
const LESS = 0x3c

/**
 * JSON or XML, as it is or behind `cdr=`, there url-encoded, base64 or plain. The content type says which, except where
 * disable-100-continue is on: that replaces it by curl's own. So what the body begins with decides.
 */
function recordIn(request: InboundRequest): unknown {
  const type = request.headers.get('content-type') ?? ''
  let { body } = request
  if (startsWith(body, 'cdr=')) {
    const rest = body.subarray(4)
    const isPlain = rest[0] === BRACE || rest[0] === LESS
    body = isPlain ? rest : /base64/i.test(type) ? fromBase64(rest) : fromPercent(rest)
    if (body[0] !== BRACE && body[0] !== LESS && !/base64/i.test(type)) body = fromBase64(rest)
  }
  if (body[0] === BRACE) return plainValues(parseJson(body))
  if (body[0] === LESS) return fromXml(parseXml(textOf(body)))
  throw unreadable('it begins neither as JSON nor as XML nor with cdr=')
}

const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const startsWith = (bytes: Uint8Array, text: string) => textOf(bytes.subarray(0, text.length)) === text
const unreadable = (why: string) =>
  new CordboardError('invalid_payload', `FreeSWITCH: the body cannot be read: ${why}`, {
    fix: 'Set encode to false in the module’s configuration, as pbx/json_cdr.conf.xml does',
  })

function fromBase64(bytes: Uint8Array): Uint8Array {
  const decoded = decodeBase64(textOf(bytes).trim())
  if (decoded) return decoded
  throw unreadable('what stands behind cdr= is neither url-encoded nor base64')
}

/** Byte by byte: names of callers may be no UTF-8. A `+` stays: the switch writes spaces as %20. */
function fromPercent(bytes: Uint8Array): Uint8Array {
  const decoded = new Uint8Array(bytes.length)
  let size = 0
  for (let at = 0; at < bytes.length; at++) {
    const hex = bytes[at] === 0x25 ? textOf(bytes.subarray(at + 1, at + 3)) : ''
    const isEscape = /^[\da-f]{2}$/i.test(hex)
    decoded[size++] = isEscape ? Number.parseInt(hex, 16) : (bytes[at] ?? 0)
    if (isEscape) at += 2
  }
  return decoded.subarray(0, size)
}

const decoded = (value: string) => (value.includes('%') ? textOf(fromPercent(utf8(value))) : value)

/** With encode-values (the sample has it on) every variable is url-encoded: the space of a time shows it. */
function plainValues(record: unknown): unknown {
  const variables = asObject(asObject(record)?.variables)
  if (!variables || !/%20/.test(String(variables.start_stamp ?? ''))) return record
  const plain = Object.entries(variables).map(([name, value]) => [
    name,
    typeof value === 'string' ? decoded(value) : value,
  ])
  return { ...asObject(record), variables: Object.fromEntries(plain) }
}

/** The same in XML, where variables are always url-encoded and the other texts never. */
function fromXml(root: XmlElement): unknown {
  const texts = (element: XmlElement | undefined, read = (value: string) => value) =>
    Object.fromEntries((element?.children ?? []).map(({ name, text }) => [name, read(text)]))
  const profile = (element: XmlElement | undefined) => {
    const all = (group: string) =>
      (childOf(element, group)?.children ?? [])
        .filter(({ name }) => name === `${group}_caller_profile`)
        .map((one) => texts(one))
    return {
      ...texts(element),
      originator: { originator_caller_profiles: all('originator') },
      originatee: { originatee_caller_profiles: all('originatee') },
    }
  }
  const applications = childOf(root, 'app_log')?.children ?? []
  return {
    variables: texts(childOf(root, 'variables'), decoded),
    callflow: root.children
      .filter(({ name }) => name === 'callflow')
      .map((flow) => ({
        caller_profile: profile(childOf(flow, 'caller_profile')),
        times: texts(childOf(flow, 'times')),
      })),
    app_log: { applications: applications.map(({ attributes }) => ({ ...attributes })) },
  }
}
