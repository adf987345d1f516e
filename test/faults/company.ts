import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { SampleCall } from '../../src/connector/sandbox.ts'
import { freePort } from '../../src/node/free-port.ts'
import { STORE_FILE } from '../../src/node/open.ts'
import { SAMPLES } from '../../src/sandbox/recordings.ts'
import { loadRecording } from '../../src/sandbox/recordings-node.ts'
import { type RunningSandbox, type ServeSandboxOptions, serveSandbox } from '../../src/sandbox/serve.ts'
import { OWN_PHONE } from '../../src/sandbox/world.ts'
import { type Child, type ChildOptions, startChild } from './child.ts'
import { pause } from './within.ts'

/** The vendors' stand-ins in this process, where their books survive whatever happens to Cordboard, and its data folder. */
export interface Company {
  sandbox: RunningSandbox
  publicUrl: string
  port: number
  dataDir: string
  configFile: string
  /** A Cordboard that is loaded and waits for `go`. */
  child(options?: Partial<ChildOptions>): Promise<Child>
  /** Reads the store's file, whether somebody writes to it or not. */
  rows(sql: string, ...binds: (string | number)[]): Record<string, unknown>[]
  [Symbol.asyncDispose](): Promise<void>
}

export interface CompanyOptions {
  settings?: ServeSandboxOptions['settings']
  /** How result webhooks are sent, given the public URL; default again and again until they are taken. */
  deliver?: ServeSandboxOptions['deliver']
  /** Over the configuration of the stand-ins' company. */
  config?: (file: Record<string, unknown>) => Record<string, unknown>
}

/** So many that only faults slow the work down, and results come while somebody waits for them. */
const SETTINGS: NonNullable<ServeSandboxOptions['settings']> = {
  // Searches of the stand-in lag behind as HubSpot's do.
  'sandbox-hubspot': { requestsPer10s: 1_000_000, searchPerSecond: 1_000_000, indexLagMs: 1_500 },
  'sandbox-transcripto': { pollMs: 2_000 },
  'sandbox-xosum': { requestsPerMinute: 1_000_000 },
}

export async function openCompany(options: CompanyOptions = {}): Promise<Company> {
  const dataDir = await mkdtemp(join(tmpdir(), 'cordboard-faults-'))
  const port = await freePort()
  const publicUrl = `http://127.0.0.1:${port}`
  const closed = new AbortController()
  const sandbox = await serveSandbox({
    port: 0,
    publicUrl,
    settings: { ...SETTINGS, ...options.settings },
    deliver: options.deliver ?? patiently(closed.signal),
  })
  const configFile = join(dataDir, 'config.json')
  const file = sandbox.world.configFile()
  await writeFile(configFile, JSON.stringify(options.config?.(file) ?? file))
  const children: Child[] = []
  return {
    sandbox,
    publicUrl,
    port,
    dataDir,
    configFile,
    async child(own = {}) {
      const usual = { configFile, dataDir, port, leaseMs: 1_000, sweepMs: 250, graceMs: 10_000 }
      const child = await startChild({ ...usual, ...own })
      children.push(child)
      return child
    },
    rows(sql, ...binds) {
      const db = new DatabaseSync(join(dataDir, STORE_FILE), { timeout: 5_000 })
      try {
        return db.prepare(sql).all(...binds)
      } finally {
        db.close()
      }
    },
    async [Symbol.asyncDispose]() {
      closed.abort()
      await Promise.all(children.map((child) => child.kill()))
      await sandbox.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** As a vendor with retries: until somebody says 2xx. */
function patiently(closed: AbortSignal): NonNullable<ServeSandboxOptions['deliver']> {
  return async ({ url, ...init }) => {
    for (;;) {
      const status = await post(url, init)
      if ((status >= 200 && status < 300) || closed.aborted) return { status }
      await pause(200)
    }
  }
}

/** The status of the answer; 0 when there was none. */
export async function post(
  url: string,
  init: { method: string; headers: Record<string, string>; body: string },
): Promise<number> {
  try {
    const { method, headers, body } = init
    const signal = AbortSignal.timeout(10_000)
    const withBody = method === 'GET' ? {} : { body }
    const response = await fetch(url, { method, headers, ...withBody, redirect: 'manual', signal })
    await response.arrayBuffer()
    return response.status
  } catch {
    return 0
  }
}

/** Each promises at least one task, which Transcripto's stand-in hands on and Xosum's does not. */
const RECORDINGS = SAMPLES.filter(({ file }) => file.endsWith('.mp3') && file !== 'very-short.mp3')

/** From the French numbers reserved for fiction. */
export const fictionalPhone = (at: number) => `+3363998${String(1_000 + (at % 8_000)).padStart(4, '0')}`

/** Answered calls carry one of the sample recordings. */
export async function callNo(at: number, change: Partial<SampleCall> = {}): Promise<SampleCall> {
  const sample = RECORDINGS[at % RECORDINGS.length]
  const answered = (change.result ?? 'answered') === 'answered'
  const talkMs = answered ? (sample?.durationMs ?? 0) : 0
  const audio =
    answered && sample
      ? {
          audio: {
            bytes: await loadRecording(sample.file),
            format: 'mp3' as const,
            durationMs: sample.durationMs,
          },
        }
      : {}
  return {
    id: `fault-${at}`,
    direction: at % 4 === 3 ? 'outbound' : 'inbound',
    customerPhone: fictionalPhone(at),
    ownPhone: OWN_PHONE,
    agent: { extension: '101', name: 'Alice Martin' },
    result: 'answered',
    startedAt: Date.now() - 4_000 - talkMs,
    ringMs: 4_000,
    talkMs,
    ...audio,
    ...change,
  }
}
