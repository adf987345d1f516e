/**
 * The real Cordboard as a process that tests may kill, stop and starve: `cordboard-child.ts <options as JSON>`. It loads
 * everything, says `loaded`, and opens its data folder only at `go`, so that a new one stands ready while the old one
 * dies. It ends with its parent.
 */
import { appendFileSync } from 'node:fs'
import { onStopSignal } from '../../src/cli/until-stopped.ts'
import type { Config, Connection } from '../../src/config/model.ts'
import type { HttpFetch } from '../../src/connector/platform.ts'
import { createHttpFetch } from '../../src/node/http-fetch.ts'
import { createLog } from '../../src/node/log.ts'
import { openDeps } from '../../src/node/open.ts'
import { startServer } from '../../src/node/serve.ts'
import { EMBEDDED } from '../../src/node/services.ts'
import { startWorker } from '../../src/node/work.ts'
import { createWorker, type WorkOptions } from '../../src/pipeline/work.ts'
import type { Queue } from '../../src/queue/port.ts'
import { type ChildAsks, type ChildOptions, type ChildSays, TOKEN } from './child.ts'
import { readPlainConfig } from './plain-config.ts'

const options = JSON.parse(process.argv[2] ?? '{}') as ChildOptions
const say = (message: ChildSays) => process.send?.(message)

process.on('disconnect', () => process.exit(0))
// Where the size of files is limited, the write that goes beyond it fails instead of ending the process.
if (process.platform !== 'win32') process.on('SIGXFSZ', () => undefined)

const { skewMs = 0 } = options
if (skewMs !== 0) {
  const right = Date.now
  // As a machine whose clock was set wrong: whoever asks for the time here is told this one.
  globalThis.Date = class extends Date {
    constructor(...given: [] | [number | string | Date]) {
      super(...((given.length === 0 ? [right() + skewMs] : given) as [number]))
    }
    static override now = () => right() + skewMs
  } as DateConstructor
}

let queue: Queue | null = null
process.on('message', (asked: ChildAsks) => {
  if (asked === 'go') {
    start().catch((error: unknown) => say({ failed: String(error instanceof Error ? error.stack : error) }))
  } else {
    say({ rssBytes: process.memoryUsage.rss(), running: queue?.state().running ?? 0 })
  }
})
say('loaded')

async function start(): Promise<void> {
  const { role, services = EMBEDDED, dataDir, port } = options
  const config = changed(await readPlainConfig(options.configFile))
  const work: WorkOptions = { leaseMs: options.leaseMs, sweepMs: options.sweepMs }
  const { logFile } = options
  const write = logFile === undefined ? {} : { write: (line: string) => appendFileSync(logFile, `${line}\n`) }
  const log = createLog({ level: options.log ?? 'error', pretty: false, ...write })
  const common = { config, dataDir, services, log, http: vendors() }
  const tokens = [{ role: 'admin' as const, token: TOKEN }]
  const isCluster = services.databaseUrl !== null
  if (role === 'worker' && !isCluster) {
    // A second worker on the same file: the lock of the data folder would refuse it.
    const deps = await openDeps(common)
    queue = deps.queue
    createWorker(deps, work).start()
    say({ listening: '' })
    return
  }
  const running =
    role === 'worker'
      ? await startWorker({ ...common, port: 0, tokens, work })
      : await startServer({ ...common, port, tokens, work })
  queue = running.deps.queue
  onStopSignal(() => {
    running.stop(options.graceMs).then(
      () => process.exit(0),
      (error: unknown) => {
        say({ failed: String(error) })
        process.exit(1)
      },
    )
  })
  say({ listening: running.url })
}

/** The vendors' network as this process sees it: with less patience, and with what it dies of. */
function vendors(): HttpFetch {
  const { vendorTimeoutMs = Number.POSITIVE_INFINITY, poison } = options
  const http = createHttpFetch()
  return (url, init) => {
    if (poison !== undefined && url.href.includes(poison)) process.kill(process.pid, 'SIGKILL')
    return http(url, { ...init, timeoutMs: Math.min(init.timeoutMs, vendorTimeoutMs) })
  }
}

/** The company as its configuration says, but for what the test wants otherwise of its vendors. */
function changed(config: Config): Config {
  const { crmLagMs, budgetsTimes = 1 } = options
  const connections = [...config.connections].map(([id, connection]): [string, Connection] => {
    const { connector } = connection
    const budgets = connector.budgets?.(connection.settings) ?? {}
    const raised = Object.entries(budgets).map(([bucket, budget]) => [
      bucket,
      { ...budget, limit: budget.limit * budgetsTimes },
    ])
    const crm =
      connector.crm && crmLagMs !== undefined ? { crm: { ...connector.crm, indexLagMs: crmLagMs } } : {}
    return [
      id,
      { ...connection, connector: { ...connector, budgets: () => Object.fromEntries(raised), ...crm } },
    ]
  })
  return { ...config, connections: new Map(connections) }
}
