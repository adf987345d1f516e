import { connector } from '../../connectors/amazon-connect/connector.ts'
import { createSandbox } from '../../connectors/amazon-connect/sandbox.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { eventsIn, NOW, openStandIn, sample as sampleCall } from './stand-in.ts'

export { fold, NOW } from './stand-in.ts'

/** One instance for the tests of the connector of Amazon Connect. */

export const INSTANCE = 'arn:aws:connect:eu-west-2:111122223333:instance/1d908e11-3d5f-4cfb-b34d-1e7e0f216898'
export const SETTINGS = {
  instanceArn: INSTANCE,
  token: 'cnct_0123456789',
  accessKeyId: 'AKIDCORDBOARD0000001',
  secretAccessKey: 'invented-secret-of-the-iam-user-0001',
}
export const {
  webhook,
  recording: fetchRecording,
  recordingUrl,
  calls: listCalls,
} = connector.telephony ?? {}

/** `keys` are what the connection has instead, the stand-in's account always the one above. */
export const account = (keys: Record<string, unknown> = {}, answer?: (url: URL) => Response | undefined) =>
  openStandIn({
    connector,
    createSandbox,
    account: SETTINGS,
    settings: { ...SETTINGS, baseUrl: 'https://aws.example.com', ...keys },
    baseUrl: 'https://aws.example.com',
    answer,
  })

export const sample = (changes: Partial<SampleCall> = {}): SampleCall =>
  sampleCall({
    agent: { extension: '101', name: 'Alice Martin' },
    startedAt: NOW - 3_600_000,
    audio: { bytes: new Uint8Array([1, 2, 3]), format: 'wav', durationMs: 60_000 },
    ...changes,
  })

export const read = (body: string): CallEvent[] => eventsIn(connector, SETTINGS, { body })

export const played = (vendor: ReturnType<typeof account>['vendor'], call: SampleCall) =>
  (vendor.place?.(call) ?? []).flatMap(({ body }) => read(body))

export async function listed(ctx: ReturnType<typeof account>['ctx'], since = NOW - 86_400_000 * 2) {
  const events: CallEvent[] = []
  for await (const page of listCalls?.(new Date(since).toISOString(), ctx) ?? []) events.push(...page)
  return events
}
