import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { connectorIds, loadConnector, loadSandbox } from '../../connectors/index.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { HttpFetch } from '../../src/connector/platform.ts'
import { createHttpFetch } from '../../src/node/http-fetch.ts'
import { createLog } from '../../src/node/log.ts'
import { type OpenDeps, openDeps } from '../../src/node/open.ts'
import { createSigner } from '../../src/node/signer.ts'
import { createReceiver } from '../../src/pipeline/receive.ts'
import { createWorker } from '../../src/pipeline/work.ts'
import { readCarriedTranscript } from '../../src/sandbox/recordings.ts'
import { loadRecording } from '../../src/sandbox/recordings-node.ts'
import { serveSandbox } from '../../src/sandbox/serve.ts'
import { signWebhook } from '../../src/sandbox/webhook.ts'
import { createSandboxWorld, OWN_PHONE, type SandboxWorld } from '../../src/sandbox/world.ts'
import { fetchFrom } from '../kit/in-process.ts'

/**
 * Calls a second from stored deliveries to CRM records, against stand-ins that take no time of their own: first called
 * in-process, then over loopback. Each call is two webhooks, a recording of 40 KB carried to the service, a result found by
 * polling, and a call, a note and its tasks in the CRM; all of it by the real connectors.
 */
const CALLS = 3_000
const LOOPBACK_CALLS = 400
/** The vendors' own limits are lifted: what is measured is us. */
const SETTINGS = {
  'sandbox-transcripto': { pollMs: 2_000 },
  'sandbox-hubspot': {
    requestsPer10s: 1_000_000,
    searchPerSecond: 1_000_000,
    owners: { map: { '101': '1' } },
  },
}
const PUBLIC_URL = 'https://hooks.example.com'

interface Result {
  callsPerSecond: number
  cpuMsPerCall: number
}

export async function run(args: string[]): Promise<void> {
  if (args.join(' ').includes('--profile cluster')) {
    const { runCluster } = await import('./pipeline-cluster.ts')
    return runCluster()
  }
  const only = args.includes('--in-process')
  const inProcess = await measure(CALLS, inProcessWorld)
  console.error(
    `in-process: ${inProcess.callsPerSecond} calls/s, ${inProcess.cpuMsPerCall} ms CPU per call (stand-ins included)`,
  )
  const loopback = only ? null : await measure(LOOPBACK_CALLS, loopbackWorld)
  if (loopback)
    console.error(
      `loopback:   ${loopback.callsPerSecond} calls/s, ${loopback.cpuMsPerCall} ms CPU per call (stand-ins included)`,
    )
  console.log(JSON.stringify({ ...inProcess, loopback }))
}

interface Surroundings {
  world: SandboxWorld
  http: HttpFetch
  stop(): Promise<void>
}

async function inProcessWorld(): Promise<Surroundings> {
  const world = await createSandboxWorld({
    now: Date.now,
    random: Math.random,
    signer: createSigner(),
    later: (_ms, work) => {
      setImmediate(() => void work())
    },
    loadSandbox,
    baseUrlOf: (id) => `https://${id}.example.com`,
    publicUrl: PUBLIC_URL,
    deliver: async () => ({ status: 200 }),
    transcriptOf: readCarriedTranscript,
    settings: SETTINGS,
  })
  const fetches = new Map([...world.vendors].map(([id, vendor]) => [id, fetchFrom(vendor.app)]))
  return {
    world,
    http: (url, request) => {
      const fetch = fetches.get(url.hostname.split('.')[0] ?? '')
      if (!fetch) throw new RangeError(`nobody stands in for ${url.hostname}`)
      return fetch(url, request)
    },
    stop: async () => undefined,
  }
}

async function loopbackWorld(): Promise<Surroundings> {
  const sandbox = await serveSandbox({ port: 0, publicUrl: PUBLIC_URL, settings: SETTINGS })
  return { world: sandbox.world, http: createHttpFetch(), stop: () => sandbox.stop() }
}

async function measure(calls: number, surroundings: () => Promise<Surroundings>): Promise<Result> {
  const dataDir = await mkdtemp(join(tmpdir(), 'cordboard-bench-'))
  const { world, http, stop } = await surroundings()
  const deps = await open(world, http, dataDir)
  try {
    await deliver(deps, world, calls)
    const worker = createWorker(deps)
    const cpu = process.cpuUsage()
    const startedAt = performance.now()
    worker.start()
    const crm = world.vendor('sandbox-hubspot')
    // The store says when nothing is left to do; the CRM's book, which is slow to read, is counted once at the end.
    while (!(await isIdle(deps))) {
      await new Promise((resolve) => setTimeout(resolve, 20))
      if (performance.now() - startedAt > 120_000) {
        throw new Error('the calls did not all arrive within two minutes')
      }
    }
    const seconds = (performance.now() - startedAt) / 1000
    const { user, system } = process.cpuUsage(cpu)
    await worker.stop(5_000)
    const written = crm.book().filter((record) => record.kind === 'call').length
    if (written !== calls) throw new Error(`${calls} calls, ${written} records in the CRM`)
    return {
      callsPerSecond: Math.round(calls / seconds),
      cpuMsPerCall: Math.round((user + system) / 10 / calls) / 100,
    }
  } finally {
    await deps.close()
    await stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}

async function open(world: SandboxWorld, http: HttpFetch, dataDir: string): Promise<OpenDeps> {
  const file = world.configFile({
    flows: [
      {
        name: 'all',
        from: ['sandbox-twilio'],
        analyze: ['sandbox-transcripto'],
        write: ['sandbox-hubspot'],
        unknownCaller: 'create',
      },
    ],
  })
  const connections = Object.fromEntries(
    Object.entries(file.connections as Record<string, object>).map(([id, keys]) => [
      id,
      { ...keys, concurrency: 64 },
    ]),
  )
  const loaded = await loadConfig(
    { ...file, connections },
    {
      connectors: { ids: connectorIds, load: loadConnector },
      resolveSecret: () => undefined,
      plainSecrets: true,
    },
  )
  if ('problems' in loaded) throw new Error(JSON.stringify(loaded.problems))
  return openDeps({ config: loaded.config, dataDir, http, log: createLog({ level: 'error' }) })
}

/** Stores the deliveries of `calls` calls of a hundred customers; nothing works on them yet. */
async function deliver(deps: OpenDeps, world: SandboxWorld, calls: number): Promise<void> {
  const receive = createReceiver(deps)
  const twilio = deps.config.connections.get('sandbox-twilio')
  if (!twilio) throw new RangeError('sandbox-twilio is not configured')
  const bytes = await loadRecording('support-invoice.mp3')
  const phones = Array.from({ length: 100 }, (_, index) => `+336399800${String(index).padStart(2, '0')}`)
  for (const phone of phones) world.vendor('sandbox-hubspot').addContact?.({ name: 'Customer', phone })
  const accept = async (index: number) => {
    const webhooks = world.vendor('sandbox-twilio').place?.({
      id: `bench-${index}`,
      direction: 'inbound',
      customerPhone: phones[index % phones.length] ?? '',
      ownPhone: OWN_PHONE,
      agent: { extension: '101', name: 'Alice Martin' },
      result: 'answered',
      startedAt: Date.now() - 60_000,
      ringMs: 4_000,
      talkMs: 17_000,
      audio: { bytes, format: 'mp3', durationMs: 17_000 },
    })
    // The last two of the parent leg: its end, and the recording.
    for (const webhook of (webhooks ?? []).slice(-2)) {
      const signed = await signWebhook(twilio, webhook, PUBLIC_URL, { now: Date.now(), signer: deps.signer })
      const response = await receive(
        new Request(signed.url, { method: signed.method, headers: signed.headers, body: signed.body }),
      )
      if (!response.ok) throw new Error(`a webhook was refused: ${response.status} ${await response.text()}`)
    }
  }
  for (let index = 0; index < calls; index += 50) {
    await Promise.all(
      Array.from({ length: Math.min(50, calls - index) }, (_, offset) => accept(index + offset)),
    )
  }
}

/** Asked state by state, so that the partial indexes answer. */
async function isIdle({ store }: OpenDeps): Promise<boolean> {
  for (const state of ['waiting', 'working'] as const) {
    const busy = store.db
      .selectFrom('steps')
      .select('id')
      .where('state', '=', sql.lit(state))
      .where('kind', 'not in', ['list', 'subscribe'])
      .limit(1)
    if ((await busy.execute()).length > 0) return false
  }
  return true
}
