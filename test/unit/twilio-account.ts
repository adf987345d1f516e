import { connector } from '../../connectors/twilio/connector.ts'
import { createSandbox } from '../../connectors/twilio/sandbox.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { eventsIn, openStandIn, sample as sampleCall } from './stand-in.ts'

export { fold, NOW, silent } from './stand-in.ts'

/** One account for the tests of the connector of Twilio. */

export const TOKEN = '0123456789abcdef0123456789abcdef'
export const SETTINGS = {
  accountSid: 'AC00000000000000000000000000000001',
  authToken: TOKEN,
  ownNumbers: ['+33199001234'],
}
export const { webhook, recording: fetchRecording, calls: listCalls } = connector.telephony ?? {}

export function account(keys: Record<string, unknown> = {}) {
  const settings = { ...SETTINGS, ...keys }
  return openStandIn({
    connector,
    createSandbox,
    account: settings,
    settings,
    baseUrl: 'https://api.twilio.com',
  })
}

/** Its agents are clients by a name of theirs. */
export const sample = (changes: Partial<SampleCall> = {}): SampleCall =>
  sampleCall({ agent: { extension: '101', name: 'alice' }, ...changes })

export const read = (
  fields: Record<string, string>,
  query = '',
  keys: Record<string, unknown> = {},
): CallEvent[] =>
  eventsIn(
    connector,
    { ...SETTINGS, ...keys },
    {
      body: new URLSearchParams(fields).toString(),
      type: 'application/x-www-form-urlencoded',
      path: '/status',
      query,
    },
  )

export const played = (vendor: ReturnType<typeof account>['vendor'], call: SampleCall) =>
  (vendor.place?.(call) ?? []).flatMap(({ body }) => read(Object.fromEntries(new URLSearchParams(body))))
