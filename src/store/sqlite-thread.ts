import { Worker } from 'node:worker_threads'
import { CordboardError } from '../errors.ts'
import type { Answer, Job, WriterOptions } from './sqlite-protocol.ts'

/** How long after a crash the writer is started again; doubled while it keeps failing. */
const RESTART_MS = 250
const RESTART_MAX_MS = 5_000

/** The main thread's end of the writer thread: jobs in, answers out, in order; restarted when it dies. */
export interface WriterThread {
  /** False from a crash until the new thread has the file open. */
  up(): boolean
  /** Rejects with `storage_unavailable` when the storage fails or the thread dies before it has answered. */
  send(job: Job, hand?: readonly ArrayBuffer[]): Promise<Answer>
  /** Ends the thread, also one that is just being started again. */
  end(): Promise<void>
}

interface Pending {
  resolve(answer: Answer): void
  reject(error: CordboardError): void
}

export async function startWriterThread(options: WriterOptions): Promise<WriterThread> {
  // The published package is compiled: the file beside this one ends as this one does.
  const script = new URL(
    import.meta.url.endsWith('.ts') ? './sqlite-writer.ts' : './sqlite-writer.js',
    import.meta.url,
  )
  let pending: Pending[] = []
  let worker: Worker | null = null
  let up = false
  let ending = false
  let restartMs = RESTART_MS
  let onExit = (): void => {}

  function start(): Promise<Answer> {
    const made = new Worker(script, { workerData: options, name: 'store writer' })
    let reason: unknown
    worker = made
    made.on('message', (answer: Answer) => {
      const next = pending.shift()
      if (pending.length === 0) made.unref()
      if ('down' in answer) next?.reject(unavailable(answer.down))
      else next?.resolve(answer)
    })
    made.on('error', (error) => {
      reason = error
    })
    made.on('exit', () => {
      worker = null
      up = false
      const waiting = pending
      pending = []
      for (const one of waiting) one.reject(unavailable('the writer thread ended', reason))
      onExit()
    })
    return new Promise<Answer>((resolve, reject) => pending.push({ resolve, reject })).then((answer) => {
      up = true
      restartMs = RESTART_MS
      return answer
    })
  }

  function restartLater(): void {
    if (ending) return
    // Out of the way of requests; nothing waits for it, so it keeps no process alive.
    setTimeout(() => {
      if (!ending) start().catch(() => undefined)
    }, restartMs).unref()
    restartMs = Math.min(restartMs * 2, RESTART_MAX_MS)
  }

  await start()
  onExit = restartLater

  return {
    up: () => up,
    send(job, hand = []) {
      const target = worker
      if (target === null || !up) return Promise.reject(unavailable('the writer thread is being restarted'))
      // Alive while something is under way, so that a process neither ends before its commit nor hangs after it.
      if (pending.length === 0) target.ref()
      return new Promise((resolve, reject) => {
        target.postMessage(job, [...hand])
        pending.push({ resolve, reject })
      })
    },
    async end() {
      ending = true
      await worker?.terminate()
    },
  }
}

export function unavailable(why: string, cause?: unknown): CordboardError {
  return new CordboardError('storage_unavailable', 'The SQLite file cannot be written', { why, cause })
}
