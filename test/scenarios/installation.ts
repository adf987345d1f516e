import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectorIds, loadConnector, loadSandbox } from '../../connectors/index.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/model.ts'
import { createMemoryBudgets } from '../../src/connector/budgets.ts'
import type { Log } from '../../src/connector/contract.ts'
import type { HttpFetch } from '../../src/connector/platform.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import type { SampleCall, SandboxWebhook } from '../../src/connector/sandbox.ts'
import { signRequest } from '../../src/connector/sign.ts'
import { openFolderMedia } from '../../src/media/folder.ts'
import { createSigner } from '../../src/node/signer.ts'
import type { Deps } from '../../src/pipeline/deps.ts'
import { createReceiver } from '../../src/pipeline/receive.ts'
import { createRefusals } from '../../src/pipeline/refusals.ts'
import { createWorker, type Worker } from '../../src/pipeline/work.ts'
import type { Queue, Take } from '../../src/queue/port.ts'
import { readCarriedTranscript } from '../../src/sandbox/recordings.ts'
import { loadRecording } from '../../src/sandbox/recordings-node.ts'
import { createSandboxWorld, OWN_PHONE, type SandboxWorld } from '../../src/sandbox/world.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { fetchFrom } from '../kit/in-process.ts'

/** Noon of a winter day: no clock is set back anywhere near it. */
const START = Date.parse('2026-11-20T12:00:00.000Z')
const PUBLIC_URL = 'https://hooks.example.com'

export interface InstallOptions {
  /** Over the sandbox company's configuration file. */
  config?: Record<string, unknown>
  settings?: Record<string, Record<string, unknown>>
  random?: () => number
}

/**
 * A whole Cordboard with the sandbox company around it, in one process: real store, real pipeline, real connectors, the
 * vendors' stand-ins called in-process, and a clock that only the test moves.
 */
export interface Installation {
  deps: Deps
  worker: Worker
  world: SandboxWorld
  /** Every line that was logged, as JSON. */
  logged: string[]
  now(): number
  receive(request: Request): Promise<Response>
  /** Signs a webhook as its vendor would and sends it. */
  send(connection: string, webhook: SandboxWebhook, change?: (body: string) => string): Promise<Response>
  /** Plays a call at a phone system and sends all its webhooks in order. */
  play(connection: string, call: SampleCall): Promise<Response[]>
  /** Works until nothing is due within `horizonMs`, moving the clock from one due moment to the next. */
  settle(horizonMs?: number): Promise<void>
  advance(ms: number): void
  /** How many records of a kind the CRM's stand-in holds. */
  crm(kind: string): number
  [Symbol.asyncDispose](): Promise<void>
}

export async function install(options: InstallOptions = {}): Promise<Installation> {
  const directory = await mkdtemp(join(tmpdir(), 'cordboard-test-'))
  let clock = START
  const now = () => clock
  const random = options.random ?? seeded(1)
  const signer = createSigner()
  const logged: string[] = []
  const timers: { at: number; work: () => void | Promise<void> }[] = []

  let receive: (request: Request) => Promise<Response> = async () => new Response(null, { status: 503 })
  const world = await createSandboxWorld({
    now,
    random,
    signer,
    later: (ms, work) => timers.push({ at: clock + Math.ceil(ms), work }),
    loadSandbox,
    baseUrlOf: (connection) => `https://${connection}.example.com`,
    publicUrl: PUBLIC_URL,
    deliver: async ({ url, method, headers, body }) => {
      const response = await receive(new Request(url, { method, headers, body }))
      return { status: response.status }
    },
    download: async (url) => {
      const response = await http(new URL(url), {
        method: 'GET',
        headers: {},
        signal: AbortSignal.timeout(5_000),
        timeoutMs: 5_000,
        maxBytes: 1e8,
        redirects: 3,
        allowPrivate: [],
      })
      return response.ok ? new Uint8Array(await response.arrayBuffer()) : null
    },
    transcriptOf: readCarriedTranscript,
    ...(options.settings === undefined ? {} : { settings: options.settings }),
  })
  const http: HttpFetch = (url, request) =>
    fetchFrom(world.vendor(url.hostname.split('.')[0] ?? '').app)(url, request)

  const store = await openSqliteStore({ file: join(directory, 'cordboard.db'), clock: now })
  await store.migrate()
  const queue = manualQueue()
  const deps: Deps = {
    config: await configOf(world.configFile(options.config)),
    store,
    queue: queue.port,
    media: await openFolderMedia(join(directory, 'media')),
    http,
    signer,
    budgets: createMemoryBudgets({ now }),
    now,
    random,
    log: collect(logged),
    metrics: createMetrics(),
    refusals: createRefusals({ store, now }),
  }
  receive = createReceiver(deps)
  const worker = createWorker(deps, { every: () => () => undefined })
  worker.start()

  const send: Installation['send'] = async (id, webhook, change = (body) => body) => {
    const request = await signedRequest(deps, id, webhook)
    const body = change(webhook.body)
    return receive(
      new Request(request.url, {
        method: webhook.method,
        headers: request.headers,
        ...(webhook.method === 'GET' ? {} : { body }),
      }),
    )
  }

  const settle: Installation['settle'] = async (horizonMs = 3_600_000) => {
    const until = clock + horizonMs
    for (;;) {
      for (const timer of timers.filter((entry) => entry.at <= clock)) {
        timers.splice(timers.indexOf(timer), 1)
        await timer.work()
      }
      await worker.sweep()
      if (await queue.drain(store.db, clock)) continue
      const steps = await store.db
        .selectFrom('steps')
        .select((eb) => eb.fn.min('due_at').as('at'))
        .where('state', '=', 'waiting')
        .where('due_at', '>', clock)
        .executeTakeFirst()
      const waits = await store.db
        .selectFrom('calls')
        .select((eb) => eb.fn.min('wait_until').as('at'))
        .where('state', '=', 'waiting')
        .executeTakeFirst()
      const breakers = await store.db
        .selectFrom('breakers')
        .select((eb) => eb.fn.min('retry_at').as('at'))
        .where('state', '=', 'open')
        .where('retry_at', '>', clock)
        .executeTakeFirst()
      const next = Math.min(
        ...[steps?.at, waits?.at, breakers?.at, ...timers.map((timer) => timer.at)].flatMap((at) =>
          at == null ? [] : [at],
        ),
      )
      if (!Number.isFinite(next) || next > until) return
      clock = Math.max(clock, next)
    }
  }

  return {
    deps,
    worker,
    world,
    logged,
    now,
    receive: (request) => receive(request),
    send,
    play: async (id, call) => {
      const webhooks = world.vendor(id).place?.(call) ?? []
      const responses: Response[] = []
      for (const webhook of webhooks) responses.push(await send(id, webhook))
      return responses
    },
    settle,
    advance: (ms) => {
      clock += ms
    },
    crm: (kind) =>
      world
        .vendor('sandbox-hubspot')
        .book()
        .filter((record) => record.kind === kind).length,
    async [Symbol.asyncDispose]() {
      await worker.stop(1_000)
      await store.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function configOf(file: Record<string, unknown>): Promise<Config> {
  const loaded = await loadConfig(file, {
    connectors: { ids: connectorIds, load: loadConnector },
    resolveSecret: () => undefined,
    plainSecrets: true,
  })
  if ('problems' in loaded) throw new Error(JSON.stringify(loaded.problems, null, 1))
  return loaded.config
}

/** The request a vendor would send: its webhook with a true signature. */
export async function signedRequest(
  deps: Pick<Deps, 'config' | 'signer' | 'now'>,
  id: string,
  webhook: SandboxWebhook,
): Promise<{ url: string; headers: Record<string, string> }> {
  const connection = deps.config.connections.get(id)
  const side =
    connection?.connector.telephony?.webhook ??
    connection?.connector.analysis?.callback ??
    connection?.connector.crm?.callback
  if (!connection || !side) throw new RangeError(`${id} takes no webhooks`)
  const url = `${deps.config.publicUrl}/hooks/${id}${webhook.path}${webhook.query ? `?${webhook.query}` : ''}`
  const unsigned = inboundRequest({
    method: webhook.method,
    url,
    path: webhook.path,
    headers: Object.entries(webhook.headers),
    body: new TextEncoder().encode(webhook.body),
    receivedAt: new Date(deps.now()).toISOString(),
  })
  const signature = await signRequest(unsigned, side.verify(connection.settings), {
    now: deps.now(),
    signer: deps.signer,
  })
  return { url, headers: { ...webhook.headers, ...signature } }
}

/** A queue without a clock: the test says when work is done. */
function manualQueue() {
  let take: Take | undefined
  const port: Queue = {
    wake: () => undefined,
    work: (given) => {
      take = given
    },
    stop: async () => undefined,
    state: () => ({ ok: true, says: 'manual', running: 0 }),
  }
  return {
    port,
    /** Runs what is due now; false when nothing was. */
    async drain(db: Deps['store']['db'], at: number): Promise<boolean> {
      const lanes = await db
        .selectFrom('steps')
        .select('lane')
        .distinct()
        .where('state', '=', 'waiting')
        .where('due_at', '<=', at)
        .execute()
      let took = 0
      for (const { lane } of lanes) {
        const running = (await take?.(lane, 8, new AbortController().signal)) ?? []
        took += running.length
        await Promise.all(running)
      }
      return took > 0
    },
  }
}

function collect(lines: string[]): Log {
  const line = (level: string) => (message: string, fields?: Record<string, unknown>) => {
    lines.push(JSON.stringify({ level, message, ...fields }))
  }
  return { debug: () => undefined, info: line('info'), warn: line('warn'), error: line('error') }
}

/** Repeatable randomness (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

let made = 0

/** An answered inbound call of a known or unknown customer, with a sample recording. */
export async function sampleCall(now: number, overrides: Partial<SampleCall> = {}): Promise<SampleCall> {
  made += 1
  return {
    id: `sample-${made}`,
    direction: 'inbound',
    customerPhone: '+33639980001',
    ownPhone: OWN_PHONE,
    agent: { extension: '101', name: 'Alice Martin' },
    result: 'answered',
    startedAt: now - 60_000,
    ringMs: 4_000,
    talkMs: 50_000,
    audio: { bytes: await loadRecording('support-invoice.mp3'), format: 'mp3', durationMs: 17_000 },
    ...overrides,
  }
}
