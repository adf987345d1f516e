import type { CallEvent } from '../../src/call/facts.ts'
import { defineConnector, type WebhookSide } from '../../src/connector/contract.ts'
import { readAs } from '../../src/connector/read.ts'
import { check } from './client/check.ts'
import { match, recordUrl } from './client/match.ts'
import { fields, setUp } from './client/set-up.ts'
import { calls, lookUp, recording, recordingUrl } from './client/source.ts'
import { find, write } from './client/write.ts'
import { receiveChanges } from './map/changes.ts'
import { verification } from './map/signature.ts'
import { newContact, plan } from './map.ts'
import { type Config, changes, config } from './schema.ts'

/** An app has one address for all its subscriptions: what happened to calls and to those they are with comes together. */
const webhook: WebhookSide<Config, CallEvent> = {
  verify: verification,
  receive: (request, ctx) =>
    receiveChanges(readAs(changes, request.json(), 'HubSpot: the list of changes'), ctx.config),
}

export const connector = defineConnector({
  id: 'hubspot',
  name: 'HubSpot',
  docs: 'https://developers.hubspot.com/docs/api-reference/latest/crm/activities/calls/guide',
  config,
  check,
  budgets: ({ requestsPer10s, searchPerSecond }) => ({
    default: { limit: requestsPer10s, windowMs: 10_000, window: 'rolling' },
    search: { limit: searchPerSecond, windowMs: 1000, window: 'rolling' },
  }),
  telephony: { webhook, lookUp, calls, recording, recordingUrl },
  crm: {
    // "A few moments" by the search guide; users report up to 30 s (HubSpot/hubspot-api-nodejs#545).
    indexLagMs: 30_000,
    match,
    plan,
    newContact,
    write,
    find,
    fields,
    setUp,
    recordUrl,
  },
})
