import { type ChildProcess, fork } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { LogLevel } from '../../src/node/log.ts'
import type { Services } from '../../src/node/services.ts'
import { within } from './within.ts'

/** What cordboard-child.ts is started with. */
export interface ChildOptions {
  /** Secrets stand in it in plain. */
  configFile: string
  dataDir: string
  port: number
  /**
   * `worker`: no webhooks and no lock, so that two can work on one store. `web`: webhooks only, which takes a database.
   * Default: the whole program.
   */
  role?: 'worker' | 'web'
  /** The servers of a cluster; default none. */
  services?: Services
  /** Its clock is wrong by this much; the store's stays right. */
  skewMs?: number
  /** Instead of the index lag that the CRM's connector names. */
  crmLagMs?: number
  /** Vendors allow so many times the requests that they do: where what takes minutes is not to be waited for. */
  budgetsTimes?: number
  /** Vendors get at most this long for an answer. */
  vendorTimeoutMs?: number
  /** Whoever asks a vendor for a URL with this text in it dies of it. */
  poison?: string
  leaseMs: number
  sweepMs: number
  graceMs: number
  log?: LogLevel
  /** Where its log lines go instead of to the terminal: where faults are the rule they would drown everything. */
  logFile?: string
}

/** Of the administrator: these processes take requests from this machine, and end with their test. */
export const TOKEN = 'token-of-the-fault-tests'

export type ChildAsks = 'go' | 'stats'
export interface ChildStats {
  rssBytes: number
  /** Steps under way. */
  running: number
}
export type ChildSays = 'loaded' | { listening: string } | { failed: string } | ChildStats

export interface Child {
  readonly pid: number
  /** Resolves when it listens (or works). */
  go(): Promise<void>
  stats(): Promise<ChildStats>
  signal(name: NodeJS.Signals): void
  /** Resolves with the exit code, or the name of the signal that ended it. */
  readonly ended: Promise<number | string>
  /** SIGKILL, and gone when it resolves. */
  kill(): Promise<void>
}

const SCRIPT = fileURLToPath(new URL('./cordboard-child.ts', import.meta.url))
/** Fresh processes are the expensive part of these tests: they share what was compiled. */
const COMPILED = join(tmpdir(), 'cordboard-test-compiled')

/** Starts a process and waits until it is loaded. */
export async function startChild(options: ChildOptions): Promise<Child> {
  const child = fork(SCRIPT, [JSON.stringify(options)], {
    execArgv: [],
    env: { ...process.env, NODE_COMPILE_CACHE: COMPILED, NODE_OPTIONS: '' },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const ended = new Promise<number | string>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'unknown'))
  })
  await heard(child, (message) => message === 'loaded')
  const { pid } = child
  if (pid === undefined) throw new Error('the process did not start')
  return {
    pid,
    ended,
    async go() {
      const listening = heard(child, (message) => typeof message === 'object' && 'listening' in message)
      child.send('go' satisfies ChildAsks)
      await listening
    },
    async stats() {
      const answer = heard(child, (message) => typeof message === 'object' && 'rssBytes' in message)
      child.send('stats' satisfies ChildAsks)
      return (await within('the process tells its figures', answer, 10_000)) as ChildStats
    },
    signal(name) {
      child.kill(name)
    },
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** The next message that fits; rejects when the process says that it failed, or ends. */
function heard(child: ChildProcess, fits: (message: ChildSays) => boolean): Promise<ChildSays> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: ChildSays) => {
      if (typeof message === 'object' && 'failed' in message) end(() => reject(new Error(message.failed)))
      else if (fits(message)) end(() => resolve(message))
    }
    const onExit = (code: number | null, signal: string | null) =>
      end(() => reject(new Error(`the process ended with ${code ?? signal}`)))
    function end(settle: () => void) {
      child.off('message', onMessage).off('exit', onExit)
      settle()
    }
    child.on('message', onMessage).on('exit', onExit)
  })
}
