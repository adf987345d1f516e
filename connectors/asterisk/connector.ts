import type { CallEvent } from '../../src/call/facts.ts'
import { defineConnector, type WebhookSide } from '../../src/connector/contract.ts'
import { readAs } from '../../src/connector/read.ts'
import { checkAccess, fetchRecording } from './client.ts'
import { toRecordEvents, toRecordedEvent } from './map.ts'
import { type Config, config, post } from './schema.ts'

const TIMESTAMP = 'x-cordboard-timestamp'

/** Asterisk sends nothing by itself: what arrives here is what `pbx/cordboard-asterisk.sh` posts, in a form of our own. */
const webhook: WebhookSide<Config, CallEvent> = {
  verify: ({ secret }) => ({
    scheme: 'hmac',
    hash: 'sha256',
    encoding: 'hex',
    header: 'x-cordboard-signature',
    signed: [{ header: TIMESTAMP }, { text: '.' }, { body: true }],
    secrets: secret,
    freshness: { header: TIMESTAMP, unit: 's', toleranceMs: 300_000 },
  }),
  receive(request, ctx) {
    const { tz, rows, recordings } = readAs(post, request.json(), 'Asterisk: the post')
    const events = [
      ...rows.flatMap((row) => toRecordEvents(row, tz, ctx)),
      ...recordings.map((one) => toRecordedEvent(one, ctx)),
    ]
    return events.length > 0 ? { events } : { ignored: 'neither rows nor recordings' }
  },
}

export const connector = defineConnector({
  id: 'asterisk',
  name: 'Asterisk and FreePBX',
  docs: 'https://docs.asterisk.org/Configuration/Reporting/Call-Detail-Records-CDR/CDR-Specification/',
  config,
  check: checkAccess,
  telephony: { webhook, recording: fetchRecording },
})
