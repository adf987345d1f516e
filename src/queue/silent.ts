import type { Queue } from './port.ts'

/**
 * The queue of a process that only takes webhooks and has nobody to ring for: workers elsewhere find what is due with their
 * next sweep. With Redis there are bells.
 */
export function createSilentQueue(): Queue {
  return {
    wake: () => undefined,
    work() {
      throw new Error('A process that works needs lanes')
    },
    stop: async () => undefined,
    state: () => ({ ok: true, says: 'no bells: workers look for themselves every few seconds', running: 0 }),
  }
}
