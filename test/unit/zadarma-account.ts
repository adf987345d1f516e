import { connector } from '../../connectors/zadarma/connector.ts'
import { createSandbox } from '../../connectors/zadarma/sandbox.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { eventsIn, NOW, openStandIn } from './stand-in.ts'

export { fold, NOW, sample } from './stand-in.ts'

/** One account for the tests of the connector of Zadarma. */

export const SETTINGS = {
  key: 'a1b2c3d4e5f6a7b8c9d0',
  secret: '0f1e2d3c4b5a69788796',
  timeZone: 'Europe/Paris',
}
export const {
  webhook,
  recording: fetchRecording,
  recordingUrl,
  calls: listCalls,
} = connector.telephony ?? {}

/** `keys` are what the connection has instead, the stand-in's account always the one above. */
export const account = (keys: Record<string, unknown> = {}, answer?: (url: URL) => Promise<Response>) =>
  openStandIn({
    connector,
    createSandbox,
    account: SETTINGS,
    settings: { ...SETTINGS, ...keys },
    baseUrl: 'https://api.zadarma.com',
    answer,
  })

export const read = (body: string): CallEvent[] =>
  eventsIn(connector, SETTINGS, {
    body,
    type: 'application/x-www-form-urlencoded',
    receivedAt: NOW - 592_000,
  })

export const played = (vendor: ReturnType<typeof account>['vendor'], call: SampleCall) =>
  (vendor.place?.(call) ?? []).flatMap(({ body }) => read(body))
