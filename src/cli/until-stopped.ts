import { EXIT } from './exit.ts'
import type { Io } from './io.ts'

/** What is cut off then gets a second to end, and has its place in the store given back: 30 s in all. */
export const GRACE_MS = 27_000

/** The first Ctrl-C or SIGTERM ends what is under way in order; the second one ends the process at once. */
export function onStopSignal(stop: () => void): void {
  let isStopping = false
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (isStopping) process.exit(EXIT.interrupted)
      isStopping = true
      stop()
    })
  }
}

/** Aborts at that signal. */
export function untilInterrupted(): AbortSignal {
  const controller = new AbortController()
  onStopSignal(() => controller.abort())
  return controller.signal
}

/** Runs until then, and stops; answers the exit code. */
export function untilStopped(stop: () => Promise<void>, io: Io): Promise<number> {
  return new Promise((resolve, reject) => {
    onStopSignal(() => {
      io.err('Finishing what is under way; once more stops at once')
      stop().then(() => resolve(EXIT.ok), reject)
    })
  })
}
