import { readFileSync } from 'node:fs'
import { connector } from '../../connectors/ringcentral/connector.ts'
import { createSandbox } from '../../connectors/ringcentral/sandbox.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { eventsIn, openStandIn, sample as sampleCall } from './stand-in.ts'

export { fold, HOOK, NOW } from './stand-in.ts'

/** One account for the tests of the connector of RingCentral. */

export const FOLDER = new URL('../../connectors/ringcentral/fixtures/', import.meta.url)
export const SETTINGS = JSON.parse(readFileSync(new URL('connection.json', FOLDER), 'utf8')).config
export const { webhook, recording: fetchRecording, calls: listCalls, subscribe } = connector.telephony ?? {}

export function account(keys: Record<string, unknown> = {}) {
  const delivered: { url: string; headers: Record<string, string> }[] = []
  const world = openStandIn({
    connector,
    createSandbox,
    account: SETTINGS,
    settings: { ...SETTINGS, ...keys },
    baseUrl: 'https://platform.ringcentral.com',
    publicUrl: 'https://hooks.example.com',
    deliver: async (request) => {
      delivered.push(request)
      return { status: 200 }
    },
  })
  return { ...world, delivered }
}
export type Account = ReturnType<typeof account>

export const sample = (changes: Partial<SampleCall> = {}): SampleCall =>
  sampleCall({ agent: { extension: '101', name: 'Alice Martin' }, ...changes })

export const read = (body: string, keys: Record<string, unknown> = {}): CallEvent[] =>
  eventsIn(connector, { ...SETTINGS, ...keys }, { body })

export const played = ({ vendor }: Account, call: SampleCall) =>
  (vendor.place?.(call) ?? []).flatMap(({ body }) => read(body))
