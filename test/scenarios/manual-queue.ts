import type { Queue, Take } from '../../src/queue/port.ts'
import type { Store } from '../../src/store/port.ts'

/** A queue without a clock: the test says when work is done. Lanes run side by side, as the real ones do. */
export interface ManualQueue {
  port: Queue
  /**
   * Starts what is due and waits until all that runs has ended or hangs (as `held` counts). Answers whether anything moved.
   */
  drain(db: Store['db'], at: number, held: () => number): Promise<boolean>
  /** Takes from one lane now; for tests that play several workers. */
  take(lane: string, room: number): Promise<readonly Promise<void>[]>
  running(): number
  /** Resolves when nothing runs any more. */
  idle(): Promise<void>
  /** Counts a piece of work of another kind as running. */
  join(work: Promise<void>): void
}

const CONCURRENCY = 8

export function manualQueue(): ManualQueue {
  let take: Take | undefined
  const abort = new AbortController()
  const lanes = new Map<string, number>()
  const running = new Set<Promise<void>>()
  let ended = 0

  const join = (work: Promise<void>, done: () => void = () => undefined): void => {
    const mine: Promise<void> = work.finally(() => {
      running.delete(mine)
      done()
    })
    running.add(mine)
  }

  return {
    port: {
      wake: () => undefined,
      work: (given) => {
        take = given
      },
      stop: async () => {
        abort.abort(new DOMException('the worker is stopping', 'AbortError'))
        await Promise.all(running)
      },
      state: () => ({ ok: true, says: 'manual', running: running.size }),
    },
    join: (work) => join(work),
    running: () => running.size,
    idle: async () => {
      await Promise.all(running)
    },
    take: async (lane, room) => (await take?.(lane, room, abort.signal)) ?? [],
    async drain(db, at, held) {
      const before = ended
      let moved = false
      const due = await db
        .selectFrom('steps')
        .select('lane')
        .distinct()
        .where('state', '=', 'waiting')
        .where('due_at', '<=', at)
        .execute()
      for (const { lane } of due) {
        const room = CONCURRENCY - (lanes.get(lane) ?? 0)
        const taken = room > 0 ? ((await take?.(lane, room, abort.signal)) ?? []) : []
        lanes.set(lane, (lanes.get(lane) ?? 0) + taken.length)
        for (const step of taken) {
          join(step, () => {
            ended += 1
            lanes.set(lane, (lanes.get(lane) ?? 1) - 1)
          })
        }
        moved ||= taken.length > 0
      }
      // Requests are answered in-process: whatever runs ends by itself, unless a request of it is held.
      while (running.size > held()) await new Promise((resolve) => setImmediate(resolve))
      return moved || ended > before
    },
  }
}
