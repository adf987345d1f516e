import type { Token } from './http/auth.ts'
import type { ReadyPart } from './http/health.ts'
import type { Deps } from './pipeline/deps.ts'
import { createReceiver } from './pipeline/receive.ts'

export interface AppDeps extends Deps {
  /** Who may use /v1 and /metrics; with none, nobody may. */
  tokens: readonly Token[]
  /** Further parts of /readyz that the entry knows of. */
  ready?: () => Promise<readonly ReadyPart[]>
}

/**
 * The whole HTTP side as one fetch handler, for every runtime. What is no webhook is loaded and made with the first request
 * that needs it, so that a start which lasts for one webhook does not pay for it. A process that stays calls `load` before it
 * listens: reading all that code in the middle of a burst would hold the burst up, and by then other files may stand there.
 */
export function createApp(deps: AppDeps): {
  fetch(request: Request): Promise<Response>
  load(): Promise<void>
} {
  const receive = createReceiver(deps)
  let made: Promise<App> | undefined
  const api = () => {
    made ??= import('./http/api.ts')
      .then(({ createApi }) => createApi(deps))
      .catch((error: unknown) => {
        // One that failed is not kept: the next request tries again.
        made = undefined
        throw error
      })
    return made
  }
  return {
    load: async () => {
      await api()
    },
    // Vendors hang up after a few seconds and send in bursts: their requests pass no router and no middleware.
    fetch: async (request) => {
      const start = request.url.indexOf('/', request.url.indexOf('://') + 3)
      if (request.url.startsWith('/hooks/', start)) return receive(request)
      return (await api()).fetch(request)
    },
  }
}

interface App {
  fetch(request: Request): Promise<Response> | Response
}
