import type { AppDeps } from './http/api.ts'
import { createReceiver } from './pipeline/receive.ts'

type Fetch = (request: Request) => Promise<Response> | Response

/** The whole HTTP side as one fetch handler, for every runtime. */
export function createApp(deps: AppDeps): { fetch: Fetch } {
  const receive = createReceiver(deps)
  // Loaded with the first request that needs it: a third of what a Worker has to evaluate when it starts are the forms of
  // the API. Made anew for each app: on Workers one lives for one request, and webhooks do not pay for it.
  let api: Promise<{ fetch: Fetch }> | undefined
  return {
    // Vendors hang up after a few seconds and send in bursts: their requests pass no router and no middleware.
    fetch: async (request) => {
      const start = request.url.indexOf('/', request.url.indexOf('://') + 3)
      if (request.url.startsWith('/hooks/', start)) return receive(request)
      api ??= import('./http/api.ts').then(({ createApi }) => createApi(deps))
      return (await api).fetch(request)
    },
  }
}
