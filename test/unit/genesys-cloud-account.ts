import { connector } from '../../connectors/genesys-cloud/connector.ts'
import { createSandbox } from '../../connectors/genesys-cloud/sandbox.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { eventsIn, NOW, openStandIn, sample as sampleCall } from './stand-in.ts'

export { fold, NOW } from './stand-in.ts'

/** One organization for the tests of the connector of Genesys Cloud. */

const QUEUE = 'c677a7a5-0000-4000-8000-000000000001'
export const SETTINGS = {
  organizationId: '32aa07aa-db1b-4987-abd0-9483601ec29d',
  token: 'gc_shared_0123456789',
  domain: 'mypurecloud.ie',
  clientId: '5ab1c2d3-0000-4000-8000-000000000001',
  clientSecret: 'invented-client-secret-0001',
  queues: { [QUEUE]: 'Support', 'c677a7a5-1d56-4ce3-a890-79fc53f7fe3f': 'Support' },
}
export const { webhook, recording: fetchRecording, calls: listCalls } = connector.telephony ?? {}

export type Answer = (url: URL, nth: number) => Response | undefined

/** `keys` are what the connection has instead, the stand-in's account always the one above. */
export const account = (keys: Record<string, unknown> = {}, answer?: Answer) =>
  openStandIn({
    connector,
    createSandbox,
    account: SETTINGS,
    settings: { ...SETTINGS, ...keys },
    baseUrl: 'https://genesys.example.com',
    answer,
  })

export const sample = (changes: Partial<SampleCall> = {}): SampleCall =>
  sampleCall({
    agent: { extension: '101', name: 'Alice Martin' },
    startedAt: NOW - 3_600_000,
    audio: { bytes: new Uint8Array([1, 2, 3]), format: 'wav', durationMs: 60_000 },
    ...changes,
  })
export const missed = (changes: Partial<SampleCall> = {}): SampleCall => {
  const { audio: _, ...rest } = sample({ result: 'no_answer', ...changes })
  return rest
}

export const read = (body: string, keys: Record<string, unknown> = {}): CallEvent[] =>
  eventsIn(connector, { ...SETTINGS, ...keys }, { body })

export const played = (vendor: ReturnType<typeof account>['vendor'], call: SampleCall) =>
  (vendor.place?.(call) ?? []).flatMap(({ body }) => read(body))
