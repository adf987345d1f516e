import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectorIds, loadConnector } from '../../connectors/index.ts'
import { loadConfig } from '../config/load.ts'
import { freePort } from '../node/free-port.ts'
import { createLog } from '../node/log.ts'
import { type RunningServer, startServer } from '../node/serve.ts'
import { createJourney, type JourneyLine } from './journey.ts'
import { arriving, CUSTOMERS, DEMO_CALLS, type DemoCall, toSampleCall } from './sample-calls.ts'
import { type RunningSandbox, serveSandbox } from './serve.ts'

export interface DemoOptions {
  /** One round, then a summary and the end; else it keeps running with a new call now and then. */
  once: boolean
  /** No colours; the last line is the summary as one JSON object. */
  json: boolean
  /** Of the Cordboard; 0 takes a free one. */
  port: number
  print: (line: string) => void
  /** For what is less important. */
  dim: (text: string) => string
  /** Ends the demo. */
  signal: AbortSignal
}

/** Counted in the store and in the CRM's stand-in, never assumed. */
export interface DemoSummary {
  deliveries: number
  refused: number
  duplicates: number
  calls: number
  analyzed: number
  written: number
  crmRecords: number
  dead: number
  seconds: number
}

const CRM = 'sandbox-hubspot'
const LONGEST_ROUND_MS = 60_000
const NEXT_CALL_MS = 20_000
const LOOK_MS = 100

/**
 * A whole installation in a temporary folder: the real pipeline, only the ends are stand-ins. Answers the exit code: 0
 * when every expected record is in the CRM exactly once.
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const startedAt = Date.now()
  const dataDir = await mkdtemp(join(tmpdir(), 'cordboard-demo-'))
  const port = options.port === 0 ? await freePort() : options.port
  const publicUrl = `http://127.0.0.1:${port}`
  const sandbox = await serveSandbox({
    port: 0,
    publicUrl,
    settings: { 'sandbox-transcripto': { pollMs: 2_000 } },
  })
  try {
    const token = `demo-${crypto.randomUUID()}`
    const server = await startCordboard(sandbox, dataDir, port, token)
    try {
      for (const customer of CUSTOMERS) sandbox.world.vendor(CRM).addContact?.(customer)
      const demo = new Demo(options, sandbox, server)
      demo.head(token)
      await demo.round()
      const { summary, wrong } = await demo.summary(startedAt)
      if (options.once) {
        demo.end(summary, wrong)
        return wrong.length === 0 ? 0 : 1
      }
      await demo.keepGoing()
      return 0
    } finally {
      await server.stop(2_000)
    }
  } finally {
    await sandbox.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}

async function startCordboard(
  sandbox: RunningSandbox,
  dataDir: string,
  port: number,
  token: string,
): Promise<RunningServer> {
  const loaded = await loadConfig(sandbox.world.configFile(), {
    connectors: { ids: connectorIds, load: loadConnector },
    resolveSecret: () => undefined,
    plainSecrets: true,
  })
  if ('problems' in loaded)
    throw new Error(`the demo's own configuration is wrong: ${JSON.stringify(loaded.problems)}`)
  return startServer({
    config: loaded.config,
    dataDir,
    port,
    tokens: [{ role: 'admin', token }],
    // What is made to fail is shown in the journeys; only what nobody planned belongs on the screen.
    log: createLog({ level: 'error' }),
  })
}

class Demo {
  readonly #options: DemoOptions
  readonly #sandbox: RunningSandbox
  readonly #server: RunningServer
  readonly #journey: () => Promise<JourneyLine[]>
  #played = 0

  constructor(options: DemoOptions, sandbox: RunningSandbox, server: RunningServer) {
    this.#options = options
    this.#sandbox = sandbox
    this.#server = server
    this.#journey = createJourney(server.deps)
  }

  head(token: string): void {
    const { print, once } = this.#options
    print(`Cordboard  ${this.#server.url}        everything here is a stand-in, except the pipeline`)
    if (once) return
    print(`API        ${this.#server.url}/docs   token: ${token}`)
  }

  /** Plays the whole round and shows what becomes of it, until nothing is left to do. */
  async round(): Promise<void> {
    for (const call of DEMO_CALLS) {
      await this.play(call)
      await this.#show()
    }
    const until = Date.now() + LONGEST_ROUND_MS
    while (Date.now() < until && !this.#options.signal.aborted) {
      await this.#show()
      if (await this.#settled()) break
      await pause(LOOK_MS, this.#options.signal)
    }
    await this.#show()
  }

  async play(demo: DemoCall): Promise<void> {
    this.#played += 1
    this.#options.print(`\n${this.#options.dim('call')} ${this.#played}  ${demo.title}`)
    for (const { connection, rule } of demo.faults ?? []) this.#sandbox.world.vendor(connection).fail(rule)
    const call = await toSampleCall(demo, `demo-${this.#played}`, Date.now())
    const webhooks = this.#sandbox.world.vendor(demo.connection).place?.(call) ?? []
    const tampered = demo.arrival === 'tampered'
    for (const webhook of tampered ? webhooks.slice(-1) : arriving(webhooks, demo.arrival)) {
      const status = await this.#sandbox.send(
        demo.connection,
        webhook,
        tampered ? (body) => `${body}&Forged=1` : undefined,
      )
      this.#line({
        at: Date.now(),
        stage: 'webhook',
        connection: demo.connection,
        says: `${webhook.says} → ${status}`,
        id: '',
      })
    }
  }

  async summary(startedAt: number): Promise<{ summary: DemoSummary; wrong: string[] }> {
    const { deps } = this.#server
    await deps.refusals.flush()
    const { db } = deps.store
    const one = async (query: Promise<{ n: number | string | bigint | null }[]>) =>
      Number((await query)[0]?.n ?? 0)
    const crm = this.#sandbox.world
      .vendor(CRM)
      .book()
      .filter((record) => record.kind === 'call')
    const summary: DemoSummary = {
      deliveries: await one(
        db
          .selectFrom('deliveries')
          .select((eb) => eb.fn.countAll().as('n'))
          .execute(),
      ),
      refused: await one(
        db
          .selectFrom('refusals')
          .select((eb) => eb.fn.sum('count').as('n'))
          .execute(),
      ),
      duplicates: await one(
        db
          .selectFrom('deliveries')
          .select((eb) => eb.fn.sum('repeats').as('n'))
          .execute(),
      ),
      calls: await one(
        db
          .selectFrom('calls')
          .select((eb) => eb.fn.countAll().as('n'))
          .where('joined_into', 'is', null)
          .execute(),
      ),
      analyzed: await one(
        db
          .selectFrom('calls')
          .select((eb) => eb.fn.countAll().as('n'))
          .where('analysis', 'is not', null)
          .execute(),
      ),
      written: await one(
        db
          .selectFrom('writebacks')
          .select((eb) => eb.fn.countAll().as('n'))
          .where('state', '=', 'written')
          .execute(),
      ),
      crmRecords: crm.length,
      dead: await one(
        db
          .selectFrom('steps')
          .select((eb) => eb.fn.countAll().as('n'))
          .where('state', '=', 'dead')
          .execute(),
      ),
      seconds: Math.round((Date.now() - startedAt) / 100) / 10,
    }
    return {
      summary,
      wrong: await this.#wrong(
        summary,
        crm.map((record) => record.key),
      ),
    }
  }

  /** What is not as it should be: every call of the round but the forged one, in the CRM exactly once. */
  async #wrong(summary: DemoSummary, keys: readonly (string | null)[]): Promise<string[]> {
    const forged = DEMO_CALLS.filter((demo) => demo.arrival === 'tampered').length
    const expected = DEMO_CALLS.length - forged
    const withAudio = DEMO_CALLS.filter(
      (demo) => demo.arrival !== 'tampered' && demo.call.recording !== null,
    ).length
    const writebacks = await this.#server.deps.store.db
      .selectFrom('writebacks')
      .select(['id', 'call_id'])
      .execute()
    const once = writebacks.filter((row) => keys.filter((key) => key?.startsWith(row.id)).length === 1)
    const checks: [string, number, number][] = [
      ['calls', summary.calls, expected],
      ['calls with an analysis', summary.analyzed, withAudio],
      ['records in the CRM', summary.crmRecords, expected],
      ['calls that are in the CRM exactly once', new Set(once.map((row) => row.call_id)).size, expected],
      ['forged webhooks refused', summary.refused, forged],
      ['dead steps', summary.dead, 0],
    ]
    return checks
      .filter(([, seen, want]) => seen !== want)
      .map(([what, seen, want]) => `${what}: ${seen}, expected ${want}`)
  }

  end(summary: DemoSummary, wrong: readonly string[]): void {
    const { print, json } = this.#options
    print('')
    for (const line of wrong) print(`✖ ${line}`)
    if (!json)
      print(
        `${summary.calls} calls, ${summary.crmRecords} records in the CRM, each once: ${wrong.length === 0 ? 'yes' : 'no'}; ${summary.seconds} s`,
      )
    else print(JSON.stringify(summary))
  }

  /** A new call now and then, one in ten failing on purpose, until the demo is ended. */
  async keepGoing(): Promise<void> {
    const { print, signal } = this.#options
    print(`\nIt keeps running, with a new call every ${NEXT_CALL_MS / 1000} s. End it with Ctrl-C.`)
    print(`Next   look:           curl -H "Authorization: Bearer <token>" ${this.#server.url}/v1/calls`)
    print('       your own PBX:   cordboard init')
    const ordinary = DEMO_CALLS.filter((demo) => demo.arrival === undefined)
    while (!signal.aborted) {
      const until = Date.now() + NEXT_CALL_MS
      while (Date.now() < until && !signal.aborted) {
        await this.#show()
        await pause(LOOK_MS * 5, signal)
      }
      const next = ordinary[this.#played % ordinary.length]
      if (!next || signal.aborted) return
      const { faults: _planned, ...plain } = next
      const failing = this.#played % 10 === 9
      await this.play(
        failing ? { ...plain, title: `${plain.title}; the CRM refuses it`, faults: [REFUSAL] } : plain,
      )
    }
  }

  async #show(): Promise<void> {
    for (const line of await this.#journey()) this.#line(line)
  }

  #line({ at, stage, connection, says, id }: JourneyLine): void {
    const time = new Date(at).toISOString().slice(11, 19)
    this.#options.print(
      `  ${this.#options.dim(time)}  ${stage.padEnd(10)} ${connection.padEnd(20)} ${says}${id === '' ? '' : `  ${this.#options.dim(id)}`}`,
    )
  }

  async #settled(): Promise<boolean> {
    const { db } = this.#server.deps.store
    const steps = await db
      .selectFrom('steps')
      .select('id')
      .where('state', 'in', ['waiting', 'working'])
      // What waits for a result, and what comes again and again, is not waited for.
      .where('kind', 'not in', ['poll', 'list', 'subscribe'])
      .limit(1)
      .execute()
    const calls = await db
      .selectFrom('calls')
      .select('id')
      .where('state', 'in', ['open', 'waiting', 'working'])
      .limit(1)
      .execute()
    return steps.length === 0 && calls.length === 0
  }
}

const REFUSAL = {
  connection: CRM,
  rule: {
    fault: {
      kind: 'status',
      status: 400,
      body: { category: 'VALIDATION_ERROR', message: 'Property values were not valid' },
    },
    times: 1,
    method: 'POST',
    path: 'calls',
  },
} as const

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(end, ms)
    function end() {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    signal.addEventListener('abort', end, { once: true })
  })
}
