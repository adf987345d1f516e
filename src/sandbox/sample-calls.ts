import type { FaultRule, SampleCall, SandboxWebhook } from '../connector/sandbox.ts'
import { SAMPLES } from './recordings.ts'
import { loadRecording } from './recordings-node.ts'
import { OWN_PHONE } from './world.ts'

/** One call of the demo: what happens, how its webhooks come in, and what is made to fail meanwhile. */
export interface DemoCall {
  title: string
  connection: string
  call: Omit<SampleCall, 'id' | 'startedAt' | 'ownPhone' | 'audio'> & { recording: string | null }
  /** How the webhooks come in; default one after the other, as the vendor sends them. */
  arrival?: 'twice' | 'reversed' | 'tampered'
  faults?: readonly { connection: string; rule: FaultRule }[]
}

export const CUSTOMERS = [
  { name: 'Camille Durand', phone: '+33639980001' },
  { name: 'Noah Bernard', phone: '+33639980002' },
  { name: 'Inès Moreau', phone: '+33639980003' },
] as const

const ALICE = { extension: '101', name: 'Alice Martin' }
const HUGO = { extension: '102', name: 'Hugo Petit' }

const answered = (customerPhone: string, recording: string, agent = ALICE): DemoCall['call'] => ({
  direction: 'inbound',
  customerPhone,
  agent,
  result: 'answered',
  ringMs: 4_000,
  talkMs: 17_000,
  recording,
})

/** The round that the demo plays first, and that `--once` checks. */
export const DEMO_CALLS: readonly DemoCall[] = [
  {
    title: 'an answered call; the result comes by webhook',
    connection: 'sandbox-twilio',
    call: answered('+33639980001', 'support-invoice.mp3'),
  },
  {
    title: 'an answered call at the other phone system; the result is found by polling',
    connection: 'sandbox-zadarma',
    call: answered('+33639980002', 'complaint-delivery.mp3', HUGO),
  },
  {
    title: 'a missed call: nothing to analyse, written at once',
    connection: 'sandbox-twilio',
    call: { ...answered('+33639980003', ''), result: 'no_answer', talkMs: 0, recording: null },
  },
  {
    title: 'every webhook twice',
    connection: 'sandbox-twilio',
    call: answered('+33639980003', 'sales-enquiry.mp3'),
    arrival: 'twice',
  },
  {
    title: 'webhooks in the wrong order: the recording before the end of the call',
    connection: 'sandbox-zadarma',
    call: answered('+33639980001', 'appointment-change.mp3', HUGO),
    arrival: 'reversed',
  },
  {
    title: 'a forged webhook: its body was changed after signing',
    connection: 'sandbox-twilio',
    call: answered('+33639980009', 'very-short.mp3'),
    arrival: 'tampered',
  },
  {
    title: 'an unknown caller: a contact is made',
    connection: 'sandbox-zadarma',
    call: answered('+33639980042', 'russian-tariff.mp3'),
  },
  {
    title: 'the analysis service fails twice, then recovers',
    connection: 'sandbox-twilio',
    call: answered('+33639980002', 'sales-enquiry.mp3', HUGO),
    faults: [
      {
        connection: 'sandbox-xosum',
        rule: {
          fault: { kind: 'status', status: 503, retryAfter: '1' },
          times: 2,
          path: 'createTranscription',
        },
      },
    ],
  },
  {
    title: 'an outgoing call; the CRM says "too many requests" first',
    connection: 'sandbox-zadarma',
    call: { ...answered('+33639980001', 'support-invoice.mp3'), direction: 'outbound' },
    faults: [
      {
        connection: 'sandbox-hubspot',
        rule: {
          fault: { kind: 'status', status: 429, retryAfter: '1' },
          times: 1,
          method: 'POST',
          path: 'calls',
        },
      },
    ],
  },
]

/** The sample call with its audio, as a phone system's stand-in plays it. */
export async function toSampleCall({ call }: DemoCall, id: string, now: number): Promise<SampleCall> {
  const { recording, ...rest } = call
  const sample = SAMPLES.find((candidate) => candidate.file === recording)
  const lengthMs = rest.ringMs + (sample?.durationMs ?? rest.talkMs)
  return {
    ...rest,
    id,
    ownPhone: OWN_PHONE,
    startedAt: now - lengthMs,
    talkMs: sample?.durationMs ?? rest.talkMs,
    ...(sample
      ? { audio: { bytes: await loadRecording(sample.file), format: 'mp3', durationMs: sample.durationMs } }
      : {}),
  }
}

/** The webhooks in the order in which they come in. */
export function arriving(
  webhooks: readonly SandboxWebhook[],
  arrival: DemoCall['arrival'],
): SandboxWebhook[] {
  if (arrival === 'twice') return webhooks.flatMap((webhook) => [webhook, webhook])
  if (arrival === 'reversed') return [...webhooks].reverse()
  return [...webhooks]
}
