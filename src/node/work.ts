import { createProbe } from '../http/api.ts'
import type { Token } from '../http/auth.ts'
import type { Deps } from '../pipeline/deps.ts'
import { createWorker, type Worker, type WorkOptions } from '../pipeline/work.ts'
import { listen } from './listen.ts'
import { type OpenOptions, openDeps } from './open.ts'

export interface WorkerOptions extends Omit<OpenOptions, 'works'> {
  /** Who may read /metrics; with none, nobody may. */
  tokens: readonly Token[]
  host?: string
  port?: number
  work?: WorkOptions
}

export interface RunningWorker {
  /** Where /healthz, /readyz and /metrics are. */
  url: string
  deps: Deps
  worker: Worker
  /** No new steps; those under way finish within `graceMs` or go back to be taken by others. */
  stop(graceMs: number): Promise<void>
}

/** The work without the webhooks: any number of these share one database. */
export async function startWorker(options: WorkerOptions): Promise<RunningWorker> {
  const { host = '127.0.0.1', port = 8080, tokens } = options
  const deps = await openDeps({ ...options, works: true })
  try {
    const { fetch } = createProbe({ ...deps, tokens })
    const listener = await listen({ fetch, host, port })
    const worker = createWorker(deps, options.work)
    worker.start()
    let stopping: Promise<void> | null = null
    return {
      url: listener.url,
      deps,
      worker,
      stop: (graceMs) => {
        if (stopping) listener.cut()
        // The probe answers until the last step has ended: an orchestrator sees that it is still alive.
        stopping ??= worker
          .stop(graceMs)
          .then(() => listener.drain(1_000))
          .then(() => deps.close())
        return stopping
      },
    }
  } catch (error) {
    await deps.queue.stop(0)
    await deps.close()
    throw error
  }
}
