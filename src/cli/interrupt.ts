import { EXIT } from './exit.ts'
import type { Io } from './io.ts'

/** Aborts at the first Ctrl-C or SIGTERM; a second one ends the process at once. */
export function untilInterrupted(): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(EXIT.interrupted)
      controller.abort()
    })
  }
  return controller.signal
}

/** Runs until then, and stops; answers the exit code. */
export function untilStopped(stop: () => Promise<void>, io: Io): Promise<number> {
  const signal = untilInterrupted()
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => {
      io.err('Finishing what is under way; once more stops at once')
      stop().then(() => resolve(EXIT.ok), reject)
    })
  })
}
