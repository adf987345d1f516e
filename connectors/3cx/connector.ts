import type { CallEvent } from '../../src/call/facts.ts'
import { defineConnector, type WebhookSide } from '../../src/connector/contract.ts'
import { readAs } from '../../src/connector/read.ts'
import { checkAccess, fetchRecording, listCalls } from './client.ts'
import { isCallType, toJournalEvent } from './map.ts'
import { type Config, config, journal } from './schema.ts'

/** 3CX has no webhooks of its own: what arrives here is posted by the CRM template in pbx/, at the end of each call. */
const webhook: WebhookSide<Config, CallEvent> = {
  // Templates cannot sign. `[ApiKey]:X` is what theirs do with a key; the X stands for the password that there is not.
  verify: ({ apiKey }) => ({
    scheme: 'token',
    place: { basic: 'user:password' },
    secrets: apiKey.map((key) => `${key}:X`),
  }),
  // ResponseType of the template is Json: 3CX reads the answer as such.
  reply: { status: 200, headers: { 'content-type': 'application/json' }, body: '{"ok":true}' },
  receive(request, ctx) {
    const read = readAs(journal, request.json(), '3CX: the journal')
    const type = read.call_type
    if (!isCallType(type)) return { ignored: `${type} is no type of call` }
    return { events: [toJournalEvent(read, type, ctx)] }
  },
}

export const connector = defineConnector({
  id: '3cx',
  name: '3CX',
  docs: 'https://www.3cx.com/docs/crm-template-xml-description/',
  config,
  check: checkAccess,
  telephony: { webhook, recording: fetchRecording, calls: listCalls },
})
