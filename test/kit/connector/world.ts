import type { z } from 'zod'
import { createContext } from '../../../src/connector/context.ts'
import type { ConnectorContext } from '../../../src/connector/contract.ts'
import type { HttpFetch } from '../../../src/connector/platform.ts'
import type { CreateSandbox, SampleTranscript, VendorSandbox } from '../../../src/connector/sandbox.ts'
import { createMemoryTokens } from '../../../src/connector/tokens.ts'
import { asCordboardError, type CordboardError } from '../../../src/errors.ts'
import { fetchFrom } from '../in-process.ts'
import { testSigner } from '../signer.ts'
import type { Settings, Subject } from './fixtures.ts'

/** One connection and a fresh stand-in of its vendor, on a clock that only the test moves. */
export interface World {
  subject: Subject
  settings: Settings
  config: unknown
  sandbox: VendorSandbox
  now(): number
  /** Moves the clock and runs what the vendor had put off until then. */
  advance(ms: number): Promise<void>
  context(signal?: AbortSignal): ConnectorContext
  /** Requests sent so far. */
  requests(): number
  /** The answer to the nth request from now gets lost: the vendor does the work, nobody hears of it. */
  loseAnswer(nth: number): void
  /** Audio answers are replaced by a long one; counts the chunks of it that were asked for. */
  longAudio(): { chunks(): number }
  /** Webhooks that the vendor sent by itself. */
  delivered: { url: string; method: string; headers: Record<string, string>; body: string; at: number }[]
}

export const START = Date.parse('2026-03-04T11:22:33.000Z')
export const HOOK_URL = 'https://hooks.example.com/hooks/acme'

export const SAMPLE: SampleTranscript = {
  transcript:
    '<operator> Good morning, how can I help? <client> My invoice is wrong. <operator> I will call back.',
  language: 'en',
  title: 'Wrong invoice',
  summary: 'The customer reports a wrong invoice; the agent promised to call back.',
  sentiment: 'neutral',
  topics: ['invoice'],
  actions: ['Call the customer back'],
  durationMs: 60_000,
}

export interface WorldOptions {
  /** Stands between us and the stand-in, for who wants to see what they say to each other. */
  through?: (http: HttpFetch) => HttpFetch
}

export async function openWorld(subject: Subject, { through = same }: WorldOptions = {}): Promise<World> {
  const { createSandbox } = (await subject.folder.sandbox()) as { createSandbox: CreateSandbox }
  const { connector } = subject
  const baseUrl = `https://${connector.id}.example.com`
  const settings = hasKey(connector.config, 'baseUrl') ? { ...subject.settings, baseUrl } : subject.settings
  const config = connector.config.parse(settings)
  const delivered: World['delivered'] = []
  let now = START
  let put: { at: number; work: () => void | Promise<void> }[] = []

  const sandbox = createSandbox({
    now: () => now,
    random: seeded(),
    later: (ms, work) => {
      put.push({ at: now + ms, work })
    },
    baseUrl,
    signer: testSigner,
    account: settings,
    hookUrl: HOOK_URL,
    deliver: async (request) => {
      delivered.push({ ...request, at: now })
      return { status: 202 }
    },
    download: async () => new Uint8Array(96_000),
    transcriptOf: () => SAMPLE,
  })

  const direct = through(fetchFrom(sandbox.app))
  let sent = 0
  let lostAt = -1
  let long: { chunks: number } | null = null
  const tokens = createMemoryTokens({ now: () => now })
  const http: HttpFetch = async (url, request) => {
    sent++
    const isLost = sent === lostAt
    const response = await direct(url, request)
    if (isLost) {
      await response.body?.cancel()
      return never(request.signal)
    }
    const type = response.headers.get('content-type') ?? ''
    if (!long || !response.ok || /json|text\//.test(type)) return response
    return new Response(longStream(long), {
      status: response.status,
      headers: { 'content-type': type },
    })
  }

  return {
    subject,
    settings,
    config,
    sandbox,
    delivered,
    now: () => now,
    async advance(ms) {
      const until = now + ms
      for (;;) {
        const next = put.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0]
        if (!next) break
        put = put.filter((other) => other !== next)
        now = Math.max(now, next.at)
        await next.work()
      }
      now = until
    },
    context: (signal = new AbortController().signal) =>
      createContext({
        connection: {
          id: 'acme',
          connector,
          settings: config,
          region: subject.region,
          allowPrivate: [],
          concurrency: 4,
          recordingWaitMs: undefined,
          secrets: [],
        },
        publicUrl: 'https://hooks.example.com',
        http,
        budgets: { take: () => 0 },
        tokens,
        now: () => now,
        random: seeded(),
        log: { debug: silent, info: silent, warn: silent, error: silent },
        signal,
      }),
    requests: () => sent,
    loseAnswer: (nth) => {
      lostAt = sent + nth
    },
    longAudio: () => {
      const counter = { chunks: 0 }
      long = counter
      return { chunks: () => counter.chunks }
    },
  }
}

const silent = () => undefined
const same = (http: HttpFetch) => http

function hasKey(schema: z.ZodType, key: string): boolean {
  return 'shape' in schema && typeof schema.shape === 'object' && schema.shape !== null && key in schema.shape
}

/** mulberry32: the same numbers in every run. */
function seeded(): () => number {
  let state = 0x9e3779b9
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function never(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>()
  const give = () => reject(asCordboardError(signal.reason))
  if (signal.aborted) give()
  signal.addEventListener('abort', give, { once: true })
  return promise
}

const LONG_CHUNKS = 256

function longStream(counter: { chunks: number }): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull(controller) {
      counter.chunks++
      controller.enqueue(new Uint8Array(65_536))
      // Not endless: one who collects it all would never let go of the event loop, and no timeout would end the test.
      if (counter.chunks === LONG_CHUNKS) controller.close()
    },
  })
}

/** Enough turns of the event loop for a request to have reached a stand-in of this process. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve))
}

/** Runs `work` with a signal that aborts once the request hangs, as the pipeline's deadline does. */
export async function cutOff(
  work: (signal: AbortSignal) => Promise<unknown>,
): Promise<CordboardError | null> {
  const deadline = new AbortController()
  const outcome = work(deadline.signal).then(() => null, asCordboardError)
  await settle()
  deadline.abort()
  return outcome
}

/** What `work` fails with; null when it does not. */
export const failureOf = (work: Promise<unknown>): Promise<CordboardError | null> =>
  work.then(() => null, asCordboardError)

export const booked = (world: World): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const { kind } of world.sandbox.book()) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}
