import type { CallEvent } from '../../src/call/facts.ts'
import { defineConnector, type WebhookSide } from '../../src/connector/contract.ts'
import { utf8 } from '../../src/connector/encoding.ts'
import { parseJson } from '../../src/connector/json.ts'
import { readAs } from '../../src/connector/read.ts'
import { pathOf } from '../../src/connector/request.ts'
import { CordboardError } from '../../src/errors.ts'
import { checkAccount, fetchRecording, listCalls } from './client.ts'
import {
  LEG_STATES,
  type LegState,
  RECORDING_STATES,
  toAddedEvent,
  toLegEvent,
  toRecordingEvent,
  toSummaryEvents,
} from './map.ts'
import { type Config, config, legNotice, recordAdded, recordingNotice, summary } from './schema.ts'

const isLegState = (state: string): state is LegState => Object.hasOwn(LEG_STATES, state)

const webhook: WebhookSide<Config, CallEvent> = {
  /**
   * What the cabinet's button «Проверить подключение» sends is not documented; receivers of others met an empty request
   * and one to /ping, both unsigned. They are told that somebody is here, and nothing else.
   */
  handshake(request) {
    const isPing = /\/ping\/?$/.test(pathOf(request.url))
    return isPing || request.body.length === 0 ? { status: 200 } : null
  },
  // sign = sha256(vpbx_api_key + json + vpbx_api_salt): API document 1.9, §2.4.3, read 2026-11-27. The configured key is
  // hashed and not the one of the form, which could be cut anywhere: so nothing hangs on that field.
  verify: ({ apiKey, apiSalt }) => ({
    scheme: 'hash',
    hash: 'sha256',
    encoding: 'hex',
    place: { field: 'sign' },
    signed: [{ text: apiKey }, { field: 'json' }, { secret: true }],
    secrets: apiSalt,
  }),
  // "The only information taken from the answer is the HTTP status."
  reply: { status: 200 },
  receive(request, ctx) {
    const [, name = ''] = /\/((?:events|result|vpbx)(?:\/[\w-]{1,32}){1,3})\/?$/.exec(request.path) ?? []
    const read = READERS[name]
    if (!read) return { ignored: `${name || 'a path of none of the events'} is no event of a call` }
    const json = request.form().get('json')
    if (json === null) throw new CordboardError('invalid_payload', 'Mango Office: the form has no field json')
    return read(parseJson(utf8(json)), ctx)
  },
}

type Read = (value: unknown, ctx: Parameters<typeof webhook.receive>[1]) => ReturnType<typeof webhook.receive>

const READERS: Readonly<Record<string, Read | undefined>> = {
  'events/summary': (value, ctx) => ({
    events: toSummaryEvents(readAs(summary, value, 'Mango Office: events/summary'), ctx),
  }),
  'events/record/added': (value, ctx) => ({
    events: [toAddedEvent(readAs(recordAdded, value, 'Mango Office: events/record/added'), ctx)],
  }),
  'events/call'(value, ctx) {
    const read = readAs(legNotice, value, 'Mango Office: events/call')
    if (!isLegState(read.call_state))
      return { ignored: `the state ${read.call_state} of a leg tells nothing` }
    return { events: [toLegEvent(read.call_state, read, ctx)] }
  },
  'events/recording'(value, ctx) {
    const read = readAs(recordingNotice, value, 'Mango Office: events/recording')
    if (RECORDING_STATES.includes(read.recording_state)) return { events: [toRecordingEvent(read, ctx)] }
    return { ignored: `the recording state ${read.recording_state} is not known` }
  },
}

export const connector = defineConnector({
  id: 'mango-office',
  name: 'Mango Office',
  docs: 'https://www.mango-office.ru/support/integratsiya-api/',
  config,
  check: checkAccount,
  // §1.4.2: ten requests a second per product, one start of statistics in two seconds. Whether the second counts within
  // the first is not documented: the stricter. Asking whether the statistics are ready goes by the same pace.
  budgets: () => ({
    default: { limit: 9, windowMs: 1000, window: 'rolling' },
    statistics: { limit: 1, windowMs: 2000, window: 'rolling' },
  }),
  telephony: { webhook, recording: fetchRecording, calls: listCalls },
})
