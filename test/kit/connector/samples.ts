import type { Analysis } from '../../../src/call/analysis.ts'
import { type Call, call, type Recording } from '../../../src/call/call.ts'
import type { CallEvent } from '../../../src/call/facts.ts'
import { foldEvents } from '../../../src/call/merge.ts'
import type { AudioFormat, AudioSource, SubmitRequest, WebhookSide } from '../../../src/connector/contract.ts'
import { utf8 } from '../../../src/connector/encoding.ts'
import { inboundRequest, type RawRequest } from '../../../src/connector/request.ts'
import type { SampleCall, SandboxWebhook } from '../../../src/connector/sandbox.ts'
import { signRaw } from '../../../src/connector/sign.ts'
import { verifyRequest } from '../../../src/connector/verify.ts'
import { testSigner, verifier } from '../signer.ts'
import { sideOf } from './fixtures.ts'
import { HOOK_URL, START, type World } from './world.ts'

/** One ordinary call, as the phone system, the analysis service and the CRM get to see it. Numbers: ranges for fiction. */

export const CUSTOMER = '+33639980142'
const OWN = '+33199001234'
const RING_MS = 8000
const TALK_MS = 60_000

export function sampleAudio(format: AudioFormat): Uint8Array {
  const bytes = new Uint8Array(96_000).fill(0x55)
  const head =
    format === 'wav'
      ? utf8('RIFF\u0000\u0000\u0000\u0000WAVEfmt ')
      : utf8('ID3\u0004\u0000\u0000\u0000\u0000\u0000\u0000')
  bytes.set(head)
  // Behind the tag: the first frame of an MPEG-1 layer III stream.
  if (format !== 'wav') bytes.set([0xff, 0xfb, 0x90, 0x64], head.length)
  return bytes
}

export const sampleCall = (): SampleCall => ({
  id: 'kit-call-1',
  direction: 'inbound',
  customerPhone: CUSTOMER,
  ownPhone: OWN,
  agent: { extension: '101', name: 'Alice Martin' },
  result: 'answered',
  startedAt: START - 120_000,
  ringMs: RING_MS,
  talkMs: TALK_MS,
  audio: { bytes: sampleAudio('mp3'), format: 'mp3', durationMs: TALK_MS },
})

const at = (ms: number): string => new Date(START - 120_000 + ms).toISOString()

/** A finished call that some phone system told of. */
export function commonCall(recordings: Recording[] = []): Call {
  return call.parse({
    id: 'call_01KJT0QZ5M0000000000000KIT',
    source: { connection: 'pbx', callId: 'kit-call-1' },
    direction: 'inbound',
    result: 'answered',
    startedAt: at(0),
    answeredAt: at(RING_MS),
    endedAt: at(RING_MS + TALK_MS),
    ringMs: RING_MS,
    talkMs: TALK_MS,
    totalMs: RING_MS + TALK_MS,
    from: { phone: CUSTOMER, phoneRaw: CUSTOMER },
    dialed: { phone: OWN, phoneRaw: OWN },
    customer: { phone: CUSTOMER, phoneRaw: CUSTOMER, name: 'Jean Dupont' },
    agent: { id: '101', extension: '101', name: 'Alice Martin', email: 'alice.martin@example.com' },
    language: 'en',
    segment: 'support',
    recordings,
  })
}

export const SAMPLE_ANALYSIS: Analysis = {
  language: 'en',
  title: 'Wrong invoice',
  summary: 'The customer reports a wrong invoice; the agent promised to call back.',
  sentiment: 'neutral',
  scores: { politeness: { value: 9, scale: { min: 0, max: 10 } } },
  checklist: [{ question: 'Did the agent greet?', answer: 'Yes' }],
  topics: ['invoice'],
  actions: ['Call the customer back', 'Send the corrected invoice'],
  transcript: {
    turns: [
      { party: 'agent', text: 'Good morning, how can I help?' },
      { party: 'customer', text: 'My invoice is wrong.' },
    ],
  },
}

/** What the pipeline hands to an analysis connection, in the first form that it accepts. */
export function submitRequest(world: World): SubmitRequest {
  const accepts = world.subject.connector.analysis?.accepts(world.config)
  const request = { submissionId: 'sub_01KJT0QZ5M0000000000000KIT', name: 'sub_0000000000000KIT' }
  if (!accepts?.audio) {
    return { ...request, call: commonCall(), text: SAMPLE_ANALYSIS.transcript ?? { turns: [] } }
  }
  const format = accepts.audio.formats[0] ?? 'mp3'
  const bytes = sampleAudio(format)
  const recording: Recording = {
    key: 'kit-recording-1',
    format,
    bytes: bytes.length,
    durationMs: TALK_MS,
    channels: 2,
    state: 'ready',
  }
  const byUrl = accepts.audio.by.includes('url')
  const audio: AudioSource = {
    recording,
    format,
    fileName: `${request.submissionId}.${format}`,
    open: async () => ({
      body: inChunks(bytes),
      bytes: bytes.length,
      contentType: format === 'wav' ? 'audio/wav' : 'audio/mpeg',
    }),
    url: async () => (byUrl ? `https://media.example.com/kit-recording-1.${format}` : null),
  }
  return { ...request, call: commonCall([recording]), audio }
}

/** The request as one of several. */
export function memberOf(request: SubmitRequest, nth: string): SubmitRequest {
  const { audio } = request
  const submissionId = `${request.submissionId}${nth}`
  const name = `${request.name}${nth}`
  if (!audio) return { ...request, submissionId, name }
  return { ...request, submissionId, name, audio: { ...audio, fileName: `${name}.${audio.format}` } }
}

function inChunks(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let at = 0
  return new ReadableStream({
    pull(controller) {
      controller.enqueue(bytes.subarray(at, at + 16_384))
      at += 16_384
      if (at >= bytes.length) controller.close()
    },
  })
}

/** A webhook as it reaches us. */
export function rawWebhook(webhook: SandboxWebhook, now: number): RawRequest {
  const query = webhook.query ? `?${webhook.query}` : ''
  return {
    method: webhook.method,
    url: `${HOOK_URL}${webhook.path}${query}`,
    path: webhook.path,
    headers: Object.entries(webhook.headers),
    body: utf8(webhook.body),
    receivedAt: new Date(now).toISOString(),
  }
}

/** The stand-in's webhooks of the sample call, signed, verified and read. */
export async function playSampleCall(
  world: World,
): Promise<{ call: Call; events: CallEvent[]; refused: string[] }> {
  const side = sideOf(world.subject.connector, 'telephony') as WebhookSide<unknown, CallEvent> | undefined
  const webhooks = world.sandbox.place?.(sampleCall())
  if (!side || !webhooks) throw new Error('a telephony stand-in has `place`')
  const now = world.now()
  const context = { connection: 'acme', config: world.config, region: world.subject.region }
  const verification = side.verify(world.config)
  const events: CallEvent[] = []
  const refused: string[] = []
  for (const webhook of webhooks) {
    const signed = await signRaw(rawWebhook(webhook, now), verification, { now, signer: testSigner })
    const verified = await verifyRequest(inboundRequest(signed), verification, { now, signer: verifier })
    if (!verified.ok) refused.push(`${webhook.says}: ${verified.reason}`)
    const received = side.receive(inboundRequest(signed), context)
    if (!('events' in received)) continue
    events.push(...received.events)
    const { lookUp } = world.subject.connector.telephony ?? {}
    if (received.lookUp && lookUp) events.push(...(await lookUp(received.lookUp, world.context())))
  }
  return { call: foldEvents(events, { id: 'call_kit', connection: 'acme' }), events, refused }
}
