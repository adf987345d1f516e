import { readFileSync } from 'node:fs'
import { createSandbox } from '../../connectors/transcripto/sandbox.ts'
import { config } from '../../connectors/transcripto/schema.ts'
import { call } from '../../src/call/call.ts'
import type { AudioSource, FetchInit, SubmitContext } from '../../src/connector/contract.ts'
import { readCarriedTranscript } from '../../src/sandbox/recordings.ts'
import { fetchFrom } from '../kit/in-process.ts'
import { testSigner } from '../kit/signer.ts'

const file = (name: string) => new URL(`../../src/sandbox/recordings/${name}`, import.meta.url)
export const sample = new Uint8Array(readFileSync(file('support-invoice.mp3')))
export const aCall = call.parse({
  id: 'call_1',
  source: { connection: 'pbx', callId: '1' },
  direction: 'inbound',
  startedAt: '2026-11-20T08:59:30.250Z',
  customer: { id: 'C-42', phone: '+37400000000', phoneRaw: '+37400000000' },
  agent: { extension: '101', name: 'Իվան' },
})
export const settings = { baseUrl: 'https://transcripto.example.com', token: 'token' }
export const parsed = (keys: object = {}) => config.parse({ ...settings, ...keys })

/** One account with a stand-in behind it; `tick` lets the vendor do what is due. */
export function account(keys: Record<string, unknown> = {}) {
  let now = Date.parse('2026-11-20T09:00:10.000Z')
  let seed = 7
  const due: (() => void | Promise<void>)[] = []
  const random = () => {
    seed = (seed * 16807) % 2147483647
    return seed / 2147483647
  }
  const vendor = createSandbox({
    now: () => now,
    random,
    later: (_, work) => void due.push(work),
    baseUrl: settings.baseUrl,
    signer: testSigner,
    account: { ...settings, ...keys },
    deliver: async () => ({ status: 200 }),
    download: async (url) => (url.endsWith('/gone.mp3') ? null : sample),
    transcriptOf: readCarriedTranscript,
  })
  const http = fetchFrom(vendor.app)
  const signal = new AbortController().signal
  const asked: string[] = []
  const ctx: SubmitContext<ReturnType<typeof config.parse>> = {
    connection: 'acme',
    config: parsed(keys),
    region: 'AM',
    hookUrl: undefined,
    now: () => now,
    random,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    signal,
    token: () => Promise.reject(new Error('this vendor knows no tokens that end')),
    fetch: (url, { method = 'GET', headers = {}, body }: FetchInit = {}) => {
      asked.push(`${method} ${new URL(url).pathname}`)
      const request = {
        method,
        headers,
        signal,
        timeoutMs: 500,
        maxBytes: 1e7,
        redirects: 0,
        allowPrivate: [],
      }
      return http(new URL(url), body === undefined ? request : { ...request, body })
    },
    checkpoint: async () => undefined,
  }
  const tick = async () => {
    now += 1000
    for (const work of due.splice(0)) await work()
    now += 1000
  }
  return { vendor, ctx, asked, tick }
}

export const audio = (
  fileName = 'sub_1.mp3',
  url: string | null = null,
  bytes: Uint8Array = sample,
): AudioSource => ({
  recording: { key: 'rec', state: 'ready' },
  fileName,
  format: 'mp3',
  open: async () => ({
    body: new Blob([new Uint8Array(bytes)]).stream(),
    bytes: bytes.length,
    contentType: 'audio/mpeg',
  }),
  url: async () => url,
})
export const request = (source = audio(), submissionId = 'sub_1') => ({
  submissionId,
  name: submissionId,
  call: aCall,
  audio: source,
})
