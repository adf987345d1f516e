import { defineConnector } from '../../src/connector/contract.ts'
import { fetchRecording } from './client.ts'
import { toEvents } from './map.ts'
import { config } from './schema.ts'

/** Calls that people and programs hand in over our own API: files, links, transcripts, chats, vCons. */
export const connector = defineConnector({
  id: 'intake',
  name: 'Intake API',
  docs: 'https://datatracker.ietf.org/doc/draft-ietf-vcon-vcon-core/',
  config,
  check: async () => ({ says: 'takes calls at POST /v1/calls and POST /v1/vcons' }),
  telephony: {
    intake: { receive: (request, ctx) => toEvents(request.json(), ctx) },
    recording: (recording, _call, ctx) => fetchRecording(recording, ctx),
    recordingUrl: async ({ url }) => url ?? null,
  },
})
