import type { CallEvent } from '../../src/call/facts.ts'
import { defineConnector, type WebhookSide } from '../../src/connector/contract.ts'
import { readAs } from '../../src/connector/read.ts'
import { checkOrganization, fetchRecording, listCalls } from './client.ts'
import { isMoment, toMomentEvents } from './map.ts'
import { busEvent, type Config, config, detail } from './schema.ts'

const TOPIC = 'v2.detail.events.conversation.{id}.'

const webhook: WebhookSide<Config, CallEvent> = {
  // Neither Genesys Cloud nor EventBridge signs: an API destination sends the API key of its connection.
  verify: ({ token }) => ({
    scheme: 'token',
    place: { header: 'authorization', prefix: 'Bearer ' },
    secrets: token,
  }),
  receive(request, ctx) {
    const event = readAs(busEvent, request.json(), 'Genesys Cloud: the event')
    // `aws.partner/genesys.com/cloud/<organization>/<suffix>`
    const [, organization] = /^aws\.partner\/genesys\.com[\w.]*\/cloud\/([^/]+)\/./.exec(event.source) ?? []
    if (organization !== ctx.config.organizationId) {
      return { ignored: 'its source is not the organization of organizationId' }
    }
    const type = event['detail-type']
    const name = type.startsWith(TOPIC) ? type.slice(TOPIC.length) : ''
    if (!isMoment(name)) return { ignored: `${type} says nothing of a call` }
    const { mediaType, seen } = readAs(detail, event.detail, `Genesys Cloud: ${name}`)
    if (mediaType !== 'VOICE') return { ignored: `a conversation by ${mediaType} is no call` }
    const events = toMomentEvents({ ...seen, name }, ctx)
    return events.length > 0 ? { events } : { ignored: `this ${name} says nothing of the call` }
  },
}

const MINUTE_MS = 60_000

export const connector = defineConnector({
  id: 'genesys-cloud',
  name: 'Genesys Cloud',
  docs: 'https://developer.genesys.cloud/',
  config,
  check: checkOrganization,
  // client.credentials.token.rate.per.minute: 300 (https://developer.genesys.cloud/organization/organization/limits, as
  // quoted in the vendor's community, read 2026-11-27). Of the clock or any sixty seconds is not said: the stricter.
  budgets: () => ({ default: { limit: 300, windowMs: MINUTE_MS, window: 'rolling' } }),
  telephony: { webhook, recording: fetchRecording, calls: listCalls },
})
