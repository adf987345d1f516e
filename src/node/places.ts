import { asCordboardError } from '../errors.ts'

/** So many may be at it at once; whoever comes later waits, in order. */
export interface Places {
  /** Resolves with what gives the place back; rejects when the signal aborts first. */
  enter(signal: AbortSignal): Promise<() => void>
}

export function createPlaces(count: number): Places {
  const waiting = new Set<() => void>()
  let free = count
  const leave = () => {
    const [next] = waiting
    if (!next) free += 1
    else {
      waiting.delete(next)
      next()
    }
  }
  const once = () => {
    let isGiven = false
    return () => {
      if (!isGiven) leave()
      isGiven = true
    }
  }
  return {
    async enter(signal) {
      if (signal.aborted) throw asCordboardError(signal.reason)
      if (free > 0) {
        free -= 1
        return once()
      }
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const stop = () => {
        waiting.delete(resolve)
        reject(asCordboardError(signal.reason))
      }
      waiting.add(resolve)
      signal.addEventListener('abort', stop, { once: true })
      await promise
      signal.removeEventListener('abort', stop)
      return once()
    },
  }
}
