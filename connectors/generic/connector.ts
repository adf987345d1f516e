import { defineConnector } from '../../src/connector/contract.ts'
import { check, fetchRecording, publicUrl } from './client.ts'
import { toEvents } from './map.ts'
import { config } from './schema.ts'

/** Any system that can send signed JSON. The example to copy: a whole connector with one role. */
export const connector = defineConnector({
  id: 'generic',
  name: 'Generic webhook',
  docs: 'https://www.standardwebhooks.com',
  config,
  check,
  telephony: {
    webhook: {
      // https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (read 2026-11-20)
      verify: ({ secret }) => ({
        scheme: 'hmac',
        hash: 'sha256',
        encoding: 'base64',
        header: 'webhook-signature',
        prefix: 'v1,',
        separator: ' ',
        signed: [
          { header: 'webhook-id' },
          { text: '.' },
          { header: 'webhook-timestamp' },
          { text: '.' },
          { body: true },
        ],
        secrets: secret.map((value) => value.replace(/^whsec_/, '')),
        secretEncoding: 'base64',
        freshness: { header: 'webhook-timestamp', unit: 's', toleranceMs: 300_000 },
      }),
      dedupe: { header: 'webhook-id' },
      receive: (request, { region }) => toEvents(request.json(), region),
    },
    recording: (recording, _call, ctx) => fetchRecording(recording, ctx),
    recordingUrl: async (recording, _call, ctx) => publicUrl(recording, ctx.config),
  },
})
