import type { Store } from '../store/port.ts'

/** Clocks that only count drift by less than this machine is asked to bear in so long. */
const SYNC_MS = 10_000

export interface StoreClock {
  /** Milliseconds since 1970, as the store counts them. */
  now(): number
  close(): void
}

/**
 * The store's time in this process, without asking for it each time. Workers compare what others wrote down: when a request
 * may have been sent, since when somebody is waiting. A machine whose clock is ten minutes off would send again what
 * another one has just sent. So the clock of this machine is not looked at: the store's is carried on with the counter
 * that nobody sets.
 */
export async function createStoreClock(
  store: Pick<Store, 'now'>,
  count: () => number = () => performance.now(),
): Promise<StoreClock> {
  let at = 0
  let counted = 0

  async function sync(): Promise<void> {
    const before = count()
    const told = await store.now()
    const after = count()
    at = told
    // The answer was true somewhere on its way.
    counted = (before + after) / 2
  }

  await sync()
  const timer = setInterval(() => {
    // A store that is away tells the time again when it is back; until then the counter does.
    sync().catch(() => undefined)
  }, SYNC_MS)
  timer.unref()
  return { now: () => Math.trunc(at + count() - counted), close: () => clearInterval(timer) }
}
