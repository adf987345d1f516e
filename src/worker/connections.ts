import { asCordboardError } from '../errors.ts'

/**
 * The outgoing connections of one invocation. Cloudflare lets it have six at once and may cut one off when it wants more
 * and none moves, so the seventh waits here. A connection counts until its answer is read or given up.
 */
export interface Connections {
  /**
   * Waits for a free one; answers how to give it back. `forStream`: what will be sent is a stream, most likely the answer
   * over another connection.
   */
  take(forStream: boolean, signal: AbortSignal): Promise<() => void>
}

/** One for each invocation: what belongs to a request must not be touched from another on Workers. */
export function createConnections(most = 6): Connections {
  const waiting: { forStream: boolean; start(): void }[] = []
  let open = 0

  // The last one is kept for streams, and they come first. Otherwise downloads could hold all of them, each waiting for
  // the upload that it feeds.
  const isFree = (forStream: boolean) => open < (forStream ? most : most - 1)

  function startNext(): void {
    const next =
      waiting.find(({ forStream }) => forStream && isFree(true)) ??
      waiting.find(({ forStream }) => isFree(forStream))
    if (!next) return
    waiting.splice(waiting.indexOf(next), 1)
    next.start()
  }

  function taken(): () => void {
    open += 1
    let given = false
    return () => {
      if (given) return
      given = true
      open -= 1
      startNext()
    }
  }

  return {
    async take(forStream, signal) {
      signal.throwIfAborted()
      if (isFree(forStream)) return taken()
      return new Promise((resolve, reject) => {
        const giveUp = () => {
          waiting.splice(waiting.indexOf(one), 1)
          reject(asCordboardError(signal.reason))
        }
        const one = {
          forStream,
          start() {
            signal.removeEventListener('abort', giveUp)
            resolve(taken())
          },
        }
        waiting.push(one)
        signal.addEventListener('abort', giveUp, { once: true })
      })
    },
  }
}
