/**
 * The real Cordboard as a process that tests may kill, stop and starve: `cordboard-child.ts <options as JSON>`. It loads
 * everything, says `loaded`, and opens its data folder only at `go`, so that a new one stands ready while the old one
 * dies. It ends with its parent.
 */
import { onStopSignal } from '../../src/cli/until-stopped.ts'
import { createLog } from '../../src/node/log.ts'
import { openDeps } from '../../src/node/open.ts'
import { startServer } from '../../src/node/serve.ts'
import { createWorker, type WorkOptions } from '../../src/pipeline/work.ts'
import type { Queue } from '../../src/queue/port.ts'
import { type ChildAsks, type ChildOptions, type ChildSays, TOKEN } from './child.ts'
import { readPlainConfig } from './plain-config.ts'

const options = JSON.parse(process.argv[2] ?? '{}') as ChildOptions
const say = (message: ChildSays) => process.send?.(message)

process.on('disconnect', () => process.exit(0))
// Where the size of files is limited, the write that goes beyond it fails instead of ending the process.
if (process.platform !== 'win32') process.on('SIGXFSZ', () => undefined)

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
  const config = await readPlainConfig(options.configFile)
  const work: WorkOptions = { leaseMs: options.leaseMs, sweepMs: options.sweepMs }
  const log = createLog({ level: options.log ?? 'error', pretty: false })
  const common = { config, dataDir: options.dataDir, log }
  if (options.role === 'worker') {
    // A second worker on the same file: the lock of the data folder would refuse it.
    const deps = await openDeps(common)
    queue = deps.queue
    createWorker(deps, work).start()
    say({ listening: '' })
    return
  }
  const tokens = [{ role: 'admin' as const, token: TOKEN }]
  const server = await startServer({ ...common, port: options.port, tokens, work })
  queue = server.deps.queue
  onStopSignal(() => {
    server.stop(options.graceMs).then(
      () => process.exit(0),
      (error: unknown) => {
        say({ failed: String(error) })
        process.exit(1)
      },
    )
  })
  say({ listening: server.url })
}
