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

/** The whole HTTP side as one fetch handler, for every runtime. */
export function createApp(deps: AppDeps): { fetch(request: Request): Promise<Response> } {
  const receive = createReceiver(deps)
  // Loaded and made with the first request that needs it: a start and webhooks do not pay for it.
  let making: Promise<App> | undefined
  return {
    // Vendors hang up after a few seconds and send in bursts: their requests pass no router and no middleware.
    fetch: async (request) => {
      const start = request.url.indexOf('/', request.url.indexOf('://') + 3)
      if (request.url.startsWith('/hooks/', start)) return receive(request)
      making ??= import('./http/api.ts').then(({ createApi }) => createApi(deps))
      return (await making).fetch(request)
    },
  }
}

interface App {
  fetch(request: Request): Promise<Response> | Response
}
