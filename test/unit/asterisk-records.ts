import { connector } from '../../connectors/asterisk/connector.ts'
import { config } from '../../connectors/asterisk/schema.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { inboundRequest } from '../../src/connector/request.ts'

/** The records that a PBX sends, as the connector of Asterisk reads them. */

export const FOLDER = new URL('../../connectors/asterisk/', import.meta.url)
export const SECRET = '4f7c1d0a9b3e5c2f8d6a1b0c'
export const SETTINGS = { secret: SECRET, trunks: ['provider', 'DAHDI/i1'], timeZone: 'Europe/Paris' }
export const NOW = Date.parse('2026-03-04T11:30:00.000Z')
export const { webhook, recording: fetchRecording } = connector.telephony ?? {}

export function read(body: string, keys: Record<string, unknown> = {}): CallEvent[] {
  const request = inboundRequest({
    method: 'POST',
    url: 'https://hooks.example.com/hooks/pbx',
    path: '',
    headers: [['content-type', 'application/json']],
    body: new TextEncoder().encode(body),
    receivedAt: new Date(NOW).toISOString(),
  })
  const context = { connection: 'pbx', config: config.parse({ ...SETTINGS, ...keys }), region: 'FR' }
  const received = webhook?.receive(request, context)
  return received && 'events' in received ? received.events : []
}
