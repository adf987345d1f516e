import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { CordboardError } from '../errors.ts'

/** Where the running server of a data folder says how it is reached; only meaningful while the lock is held. */
const STATE_FILE = 'server.json'
const LOCK_FILE = 'server.lock'

export interface RunningServerState {
  pid: number
  url: string
  startedAt: string
}

export interface ServerLock {
  announce(url: string): void
  release(): void
}

/**
 * One server per data folder. The lock is SQLite's own on an empty database, so the system frees it with the process,
 * however that ends: no stale file, no guess whether a process id is still the same program.
 */
export function lockDataDir(dataDir: string): ServerLock {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  // Long enough for a command that looks whether a server runs.
  const held = tryLock(dataDir, 500)
  if (!held) {
    const other = readState(dataDir)
    throw new CordboardError('config', `Another server uses the data folder ${dataDir}`, {
      ...(other
        ? { why: `Process ${other.pid} has been serving ${other.url} since ${other.startedAt}` }
        : {}),
      fix: 'Stop it, or give this one its own folder: --data DIR',
    })
  }
  return {
    announce(url) {
      const state: RunningServerState = { pid: process.pid, url, startedAt: new Date().toISOString() }
      writeFileSync(join(dataDir, STATE_FILE), `${JSON.stringify(state)}\n`, { mode: 0o600 })
    },
    release: () => held.close(),
  }
}

/** The server that holds the folder right now; null when none does. */
export function runningServer(dataDir: string): RunningServerState | null {
  if (!existsSync(join(dataDir, LOCK_FILE))) return null
  try {
    const free = tryLock(dataDir, 0)
    if (!free) return readState(dataDir)
    free.close()
  } catch {
    // Not ours to write: then no server of ours runs on it.
  }
  return null
}

function tryLock(dataDir: string, timeout: number): DatabaseSync | null {
  const file = join(dataDir, LOCK_FILE)
  // Whoever may read it may hold it: in a folder that was there before, another user could keep the server from starting.
  // One that is there is left closed: closing it here would free what this process holds of it.
  if (!existsSync(file)) closeSync(openSync(file, 'a', 0o600))
  const lock = new DatabaseSync(file, { timeout })
  try {
    lock.exec('begin exclusive')
    return lock
  } catch (error) {
    lock.close()
    if (error instanceof Error && /locked|busy/i.test(error.message)) return null
    throw error
  }
}

function readState(dataDir: string): RunningServerState | null {
  try {
    return JSON.parse(readFileSync(join(dataDir, STATE_FILE), 'utf8')) as RunningServerState
  } catch {
    return null
  }
}
