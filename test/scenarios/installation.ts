import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Config } from '../../src/config/model.ts'
import { createMemoryBudgets } from '../../src/connector/budgets.ts'
import type { Log } from '../../src/connector/contract.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import type { FaultRule, SampleCall, SandboxRecord, SandboxWebhook } from '../../src/connector/sandbox.ts'
import { signRequest } from '../../src/connector/sign.ts'
import { openFolderMedia } from '../../src/media/folder.ts'
import { createSigner } from '../../src/node/signer.ts'
import type { Deps } from '../../src/pipeline/deps.ts'
import { createReceiver } from '../../src/pipeline/receive.ts'
import { createRefusals } from '../../src/pipeline/refusals.ts'
import { createTokens } from '../../src/pipeline/tokens.ts'
import { createWorker, type Worker } from '../../src/pipeline/work.ts'
import { readCarriedTranscript } from '../../src/sandbox/recordings.ts'
import { loadRecording } from '../../src/sandbox/recordings-node.ts'
import { OWN_PHONE } from '../../src/sandbox/world.ts'
import { openSqliteStore, type SqliteStore } from '../../src/store/sqlite.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { createCanaries } from './canary.ts'
import { type Company, createCompany, flowFrom, sandboxVendors, usesOf, type Vendors } from './company.ts'
import { type ManualQueue, manualQueue } from './manual-queue.ts'
import { createWire, type Wire } from './wire.ts'

/** Noon of a winter day: no clock is set back anywhere near it. */
const START = Date.parse('2026-11-20T12:00:00.000Z')
const PUBLIC_URL = 'https://hooks.example.com'
const LEASE_MS = 20_000

export interface InstallOptions {
  /** Default: the sandbox company's. */
  vendors?: Vendors
  /** Default: one per phone system, to every analysis service and every CRM there is. */
  flows?: Record<string, unknown>[]
  /** Over the configuration file. */
  config?: Record<string, unknown>
  /** Further keys of a connection. */
  settings?: Record<string, Record<string, unknown>>
  random?: () => number
  /** The clock stops only at multiples of this, in ms: a crowd's due moments come together. Default 1. */
  tickMs?: number
  /** How many workers take steps from the one store, each with a queue of its own. Default 1. */
  workers?: number
  /** Begins with a copy of this store instead of an empty one, and at this time instead of noon. */
  goesOn?: { store: string; at: number }
}

/**
 * A whole Cordboard with a company around it, in one process: real store, real pipeline, real connectors, the vendors'
 * stand-ins called in-process, and a clock that only the test moves. When it is disposed of, nothing that people read may
 * hold a number, a name, a secret or a word of a conversation.
 */
export interface Installation {
  deps: Deps
  store: SqliteStore
  /** Where the store is. */
  file: string
  worker: Worker
  queue: ManualQueue
  wire: Wire
  vendor: Company['vendor']
  /** Every line that was logged, as JSON. */
  logged: string[]
  now(): number
  receive(request: Request): Promise<Response>
  /** Signs a webhook as its vendor would and sends it. */
  send(connection: string, webhook: SandboxWebhook, change?: (body: string) => string): Promise<Response>
  /** Plays a call at a phone system; answers its webhooks in order, none of them sent. */
  place(connection: string, call: SampleCall): SandboxWebhook[]
  /** Plays a call at a phone system and sends all its webhooks in order. */
  play(connection: string, call: SampleCall): Promise<Response[]>
  /** Makes the next matching requests to a connection fail. */
  fail(connection: string, rule: FaultRule): void
  /** Works until nothing is due within `horizonMs`, moving the clock from one due moment to the next. */
  settle(horizonMs?: number): Promise<void>
  /** Lets this much time pass, working on whatever becomes due. */
  pass(ms: number): Promise<void>
  /** Works on what is due now, without moving the clock. */
  work(): Promise<void>
  advance(ms: number): void
  /** What a vendor's stand-in holds of a kind. */
  held(connection: string, kind: string): SandboxRecord[]
  /** How many records of a kind the CRM's stand-in holds. */
  crm(kind: string): number
  /** A restart with another configuration: the same store, a new worker. */
  restart(config?: Record<string, unknown>): Promise<void>
  /** The process dies in the middle of whatever hangs, or only freezes, and another one starts. */
  crash(how?: { keepsWaiting: boolean }): Promise<void>
  /** States and reasons of all calls. */
  calls(): Promise<[string, string | null][]>
  [Symbol.asyncDispose](): Promise<void>
}

export async function install(options: InstallOptions = {}): Promise<Installation> {
  const directory = await mkdtemp(join(tmpdir(), 'cordboard-test-'))
  let clock = options.goesOn?.at ?? START
  const now = () => clock
  const random = options.random ?? seeded(1)
  const { tickMs = 1 } = options
  const signer = createSigner()
  const logged: string[] = []
  const canaries = createCanaries()
  const timers: { at: number; work: () => void | Promise<void> }[] = []
  const vendors = options.vendors ?? sandboxVendors('twilio', 'zadarma', 'xosum', 'transcripto', 'hubspot')
  const phones = usesOf(vendors, 'twilio', 'zadarma', 'generic')

  let receive: (request: Request) => Promise<Response> = async () => new Response(null, { status: 503 })
  const company = await createCompany(vendors, {
    now,
    random,
    signer,
    publicUrl: PUBLIC_URL,
    flows: options.flows ?? phones.map((id) => flowFrom(vendors, id)),
    later: (ms, work) => timers.push({ at: clock + Math.ceil(ms), work }),
    deliver: async ({ url, method, headers, body }) => {
      const response = await receive(new Request(url, { method, headers, body }))
      return { status: response.status }
    },
    transcriptOf: readCarriedTranscript,
    ...(options.settings === undefined ? {} : { settings: options.settings }),
  })
  const wire = createWire(company.vendor, now)
  const file = join(directory, 'cordboard.db')
  if (options.goesOn) await copyFile(options.goesOn.store, file)
  const store = await openSqliteStore({ file, clock: now })
  await store.migrate()
  let queue = manualQueue()
  const deps: Deps = {
    config: await company.config(options.config),
    store,
    queue: queue.port,
    media: await openFolderMedia(join(directory, 'media')),
    http: wire.http,
    signer,
    budgets: createMemoryBudgets({ now }),
    vendorTokens: createTokens({ store, now, random, log: collect(logged) }),
    now,
    random,
    log: collect(logged),
    metrics: createMetrics(),
    refusals: createRefusals({ store, now }),
    wait: async () => undefined,
  }
  const learn = (config: Config) => {
    for (const connection of config.connections.values())
      for (const secret of connection.secrets) canaries.add('secret', secret)
  }
  let worker: Worker
  let others: { worker: Worker; queue: ManualQueue }[] = []
  const working = (mine: Deps) => {
    const one = createWorker(mine, { every: () => () => undefined, leaseMs: LEASE_MS })
    one.start()
    return one
  }
  const boot = () => {
    learn(deps.config)
    receive = createReceiver(deps)
    worker = working(deps)
    others = Array.from({ length: (options.workers ?? 1) - 1 }, () => {
      const own = manualQueue()
      return { queue: own, worker: working({ ...deps, queue: own.port }) }
    })
  }
  boot()

  /** One round of everything that would happen now; false when nothing did. */
  const round = async (): Promise<boolean> => {
    let moved = false
    for (const timer of timers.filter((entry) => entry.at <= clock)) {
      timers.splice(timers.indexOf(timer), 1)
      await timer.work()
      moved = true
    }
    wire.tick()
    await worker.renew()
    await worker.sweep()
    for (const other of others) await other.worker.renew()
    const queues = [queue, ...others.map((other) => other.queue)]
    const running = () => queues.reduce((sum, one) => sum + one.running(), 0)
    const before = running()
    queue.join(worker.check())
    const drained = await Promise.all(queues.map((one) => one.drain(store.db, clock, wire.held)))
    while (running() > wire.held()) await new Promise((resolve) => setImmediate(resolve))
    return drained.includes(true) || running() < before || moved
  }

  const nextMoment = async (): Promise<number> => {
    const { db } = store
    const least = (at: { at: number | null } | undefined) => at?.at ?? Number.POSITIVE_INFINITY
    const steps = await db
      .selectFrom('steps')
      .select((eb) => eb.fn.min('due_at').as('at'))
      .where('state', '=', 'waiting')
      .where('due_at', '>', clock)
      .executeTakeFirst()
    const waits = await db
      .selectFrom('calls')
      .select((eb) => eb.fn.min('wait_until').as('at'))
      .where('state', '=', 'waiting')
      .executeTakeFirst()
    const breakers = await db
      .selectFrom('breakers')
      .select((eb) => eb.fn.min('retry_at').as('at'))
      .where('state', '=', 'open')
      .where('retry_at', '>', clock)
      .executeTakeFirst()
    const held = wire.nextAt()
    // Whatever hangs keeps its lease: the worker renews it every third of its length.
    const renewal = held === null ? Number.POSITIVE_INFINITY : clock + LEASE_MS / 3
    const others = [...timers.map((timer) => timer.at), held ?? Number.POSITIVE_INFINITY]
    return Math.min(least(steps), least(waits), least(breakers), renewal, ...others)
  }

  const it: Installation = {
    deps,
    store,
    file,
    get worker() {
      return worker
    },
    get queue() {
      return queue
    },
    wire,
    vendor: company.vendor,
    logged,
    now,
    receive: (request) => receive(request),
    send: async (id, webhook, change = (body) => body) => {
      const request = await signedRequest(deps, id, webhook)
      const body = change(webhook.body)
      return receive(
        new Request(request.url, {
          method: webhook.method,
          headers: request.headers,
          ...(webhook.method === 'GET' ? {} : { body }),
        }),
      )
    },
    place: (id, call) => {
      canaries.add('number', call.customerPhone.slice(-9))
      canaries.add('name', call.agent.name)
      for (const line of call.audio
        ? (readCarriedTranscript(call.audio.bytes)?.transcript ?? '').split('\n')
        : [])
        canaries.add('word of a conversation', line.replaceAll(/<[^>]*>/g, '').trim())
      return company.vendor(id).place?.(call) ?? []
    },
    play: async (id, call) => {
      const responses: Response[] = []
      for (const webhook of it.place(id, call)) responses.push(await it.send(id, webhook))
      return responses
    },
    fail: wire.fail,
    work: async () => {
      // What a check has found out shows in the round after it.
      for (let quiet = 0; quiet < 2; ) quiet = (await round()) ? 0 : quiet + 1
    },
    settle: async (horizonMs = 3_600_000) => {
      const until = clock + horizonMs
      for (;;) {
        await it.work()
        const next = await nextMoment()
        if (!Number.isFinite(next) || next > until) return
        clock = Math.max(clock, Math.ceil(next / tickMs) * tickMs)
      }
    },
    pass: async (ms) => {
      const until = clock + ms
      await it.settle(ms)
      clock = Math.max(clock, until)
      await it.work()
    },
    advance: (ms) => {
      clock += ms
    },
    held: (id, kind) =>
      company
        .vendor(id)
        .book()
        .filter((record) => record.kind === kind),
    crm: (kind) => it.held('sandbox-hubspot', kind).length,
    restart: async (config) => {
      await worker.stop(0)
      for (const other of others) await other.worker.stop(0)
      queue = manualQueue()
      deps.queue = queue.port
      deps.config = await company.config({ ...options.config, ...config })
      boot()
    },
    crash: async ({ keepsWaiting } = { keepsWaiting: false }) => {
      wire.abandon(keepsWaiting)
      queue = manualQueue()
      deps.queue = queue.port
      boot()
    },
    calls: async () => {
      const rows = await store.db
        .selectFrom('calls')
        .select(['state', 'reason'])
        .where('joined_into', 'is', null)
        .orderBy('id')
        .execute()
      return rows.map((row) => [row.state, row.reason])
    },
    async [Symbol.asyncDispose]() {
      try {
        await worker.stop(0)
        for (const other of others) await other.worker.stop(0)
        await deps.refusals.flush()
        await canaries.check(logged, store.db)
      } finally {
        await store.close()
        await rm(directory, { recursive: true, force: true })
      }
    },
  }
  return it
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
