import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chownSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A folder of a throw-away server. It and its server end with this process, however this process ends. */
export interface Home {
  path: string
  /** Who the server runs as: PostgreSQL refuses root. Null is whoever runs the tests. */
  user: User | null
  /** Ends what still runs there and removes the folder. */
  remove(): Promise<void>
}

export interface User {
  uid: number
  gid: number
}

/**
 * Waits on a pipe that only this process holds open. `kill -9` closes it as well, so no server outlives its tests.
 * A server has a moment to end by itself: PostgreSQL gives its shared memory back then.
 */
const KEEPER = `
cat >/dev/null
if pid=$(cat "$1/pid" 2>/dev/null); then
  kill -s "$2" "$pid" 2>/dev/null
  turns=0
  while kill -0 "$pid" 2>/dev/null && [ $turns -lt 100 ]; do sleep 0.05; turns=$((turns+1)); done
  kill -s KILL "$pid" 2>/dev/null
fi
rm -rf "$1"
`

/** `signal` is the quickest one that leaves nothing behind. */
export function createHome(name: string, signal: 'QUIT' | 'KILL', user: User | null): Home {
  const path = mkdtempSync(join(tmpdir(), `cordboard-${name}-`))
  if (user) chownSync(path, user.uid, user.gid)
  // In a process group of its own: Ctrl-C would end the keeper before its work.
  const keeper = spawn('sh', ['-c', KEEPER, 'keeper', path, signal], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  const gone = new Promise<void>((resolve, reject) => {
    keeper.once('exit', () => resolve())
    keeper.once('error', reject)
  })
  gone.catch(() => undefined)
  keeper.unref()
  const pipe = keeper.stdin as typeof keeper.stdin & { unref?(): void }
  pipe.unref?.()
  return {
    path,
    user,
    async remove() {
      keeper.ref()
      keeper.stdin.end()
      await gone
    },
  }
}

/** One run of a server's program. */
export interface Running {
  pid: number
  /** Sends the signal, and resolves when the process is gone. */
  end(signal: NodeJS.Signals): Promise<void>
}

/**
 * Starts the program in its home and waits until `answers` no longer throws. The shell writes its own id before it
 * becomes the server, so that the keeper knows of it at once.
 */
export async function run(
  home: Home,
  command: readonly string[],
  answers: () => Promise<void>,
  env: NodeJS.ProcessEnv = {},
): Promise<Running> {
  const log = join(home.path, 'log')
  const script = 'echo $$ >"$0/pid"; exec "$@" >"$0/log" 2>&1'
  const child = spawn('sh', ['-c', script, home.path, ...command], {
    cwd: home.path,
    detached: true,
    stdio: 'ignore',
    env: { ...process.env, ...env },
    ...(home.user ?? {}),
  })
  const ended = exit(child).finally(() => rmSync(join(home.path, 'pid'), { force: true }))
  let isOver = false
  ended.then(
    () => {
      isOver = true
    },
    () => {
      isOver = true
    },
  )
  child.unref()
  const deadline = Date.now() + START_WITHIN_MS
  for (;;) {
    try {
      await answers()
      break
    } catch (cause) {
      if (isOver) throw new Error(`${command[0]} ended at its start: ${tail(log)}`, { cause })
      if (Date.now() > deadline) {
        child.kill('SIGKILL')
        throw new Error(`${command[0]} does not answer: ${tail(log)}`, { cause })
      }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  return {
    pid: child.pid ?? 0,
    async end(signal) {
      if (isOver) return
      child.ref()
      child.kill(signal)
      await ended
    },
  }
}

const START_WITHIN_MS = 30_000

function exit(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('exit', () => resolve())
    child.once('error', reject)
  })
}

function tail(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim().split('\n').slice(-5).join(' | ')
  } catch {
    return 'it wrote no log'
  }
}

/** Outside of the range the system gives to clients: one that reconnects could otherwise meet itself there. */
const PORTS = { from: 20_000, count: 12_000 }

/** Between the look and the start somebody else may take the port. */
export async function onFreePort(start: (port: number) => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await start(await freePort())
    } catch (error) {
      if (tries === 3) throw error
    }
  }
}

async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries += 1) {
    const port = PORTS.from + Math.floor(Math.random() * PORTS.count)
    if (await isFree(port)) return port
  }
  throw new Error('No port of 127.0.0.1 is free between 20000 and 32000')
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** The first of these users that the system has, where the tests run as root; else null. */
export function unprivileged(names: readonly string[]): User | null {
  if (process.getuid?.() !== 0) return null
  for (const name of names) {
    try {
      const ask = (what: string) =>
        Number(execFileSync('id', [what, name], { encoding: 'utf8', stdio: 'pipe' }))
      return { uid: ask('-u'), gid: ask('-g') }
    } catch {
      // The next name.
    }
  }
  throw new Error(`PostgreSQL does not run as root, and there is no user ${names.join(' or ')}`)
}
