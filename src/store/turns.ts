// Waiting, with an end to it.

/** Rejects when it takes longer; what it waited for may still happen. */
export async function within<T>(ms: number, work: Promise<T>, late: () => Error): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(late()), ms)
  try {
    return await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
  }
}

/** At most so many at once; the others wait for their turn, first come, first served, and are told when it takes too long. */
export function createTurns({ most, patienceMs, late }: { most: number; patienceMs: number; late(): Error }) {
  let free = most
  const waiting = new Set<() => void>()
  return {
    waiting: () => waiting.size,
    take(): Promise<void> {
      if (free > 0) {
        free -= 1
        return Promise.resolve()
      }
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(go)
          reject(late())
        }, patienceMs)
        const go = () => {
          clearTimeout(timer)
          resolve()
        }
        waiting.add(go)
      })
    },
    give() {
      const [next] = waiting
      if (next === undefined) free += 1
      else {
        waiting.delete(next)
        next()
      }
    },
  }
}
