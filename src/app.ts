import { OpenAPIHono } from '@hono/zod-openapi'
import { bodyLimit } from 'hono/body-limit'
import { CordboardError } from './errors.ts'
import { mountAudit } from './http/audit.ts'
import { type Api, authenticate, type Token } from './http/auth.ts'
import { mountBackfill } from './http/backfill.ts'
import { mountBatches } from './http/batches.ts'
import { mountCalls } from './http/calls.ts'
import { mountConnections } from './http/connections.ts'
import { mountDeliveries } from './http/deliveries.ts'
import { mountDocs } from './http/docs.ts'
import { describeHooks } from './http/document.ts'
import { mountHealth, type ReadyPart } from './http/health.ts'
import { mountIntake, takesLargeBody } from './http/intake.ts'
import { mountIssues } from './http/issues.ts'
import { mountMetrics } from './http/metrics.ts'
import { refuseParameters } from './http/parameters.ts'
import { failure, noSuchPath, wrongMethod } from './http/problem.ts'
import { mountReplay } from './http/replay.ts'
import { routeTable } from './http/route-table.ts'
import { securityHeaders } from './http/security.ts'
import type { Deps } from './pipeline/deps.ts'
import { createReceiver } from './pipeline/receive.ts'

export interface AppDeps extends Deps {
  /** Who may use /v1 and /metrics; with none, nobody may. */
  tokens: readonly Token[]
  /** Further parts of /readyz that the entry knows of. */
  ready?: () => Promise<readonly ReadyPart[]>
}

/** Bodies under /v1 are a few words; deliveries have a limit of their own in the receiver. */
const BODY_BYTES = 64 * 1024

/** The whole HTTP side as one fetch handler, for every runtime. */
export function createApp(deps: AppDeps): { fetch(request: Request): Promise<Response> | Response } {
  const receive = createReceiver(deps)
  // Made with the first request that needs it: where an app lives for one request, webhooks do not pay for it.
  let api: OpenAPIHono<Api> | undefined
  return {
    // Vendors hang up after a few seconds and send in bursts: their requests pass no router and no middleware.
    fetch: (request) => {
      const start = request.url.indexOf('/', request.url.indexOf('://') + 3)
      if (request.url.startsWith('/hooks/', start)) return receive(request)
      api ??= createApi(deps)
      return api.fetch(request)
    },
  }
}

/** What a process answers that only works: is it up, is it ready, how much has it done. */
export function createProbe(deps: AppDeps): { fetch(request: Request): Promise<Response> | Response } {
  const app = new OpenAPIHono<Api>({ defaultHook: refuseParameters })
  app.use(securityHeaders)
  app.use('/metrics', authenticate(deps.tokens, deps.signer))
  mountHealth(app, deps)
  mountMetrics(app, deps)
  return answering(app, deps)
}

/** Everything but /hooks; also what the OpenAPI document is generated from. */
export function createApi(deps: AppDeps): OpenAPIHono<Api> {
  const app = new OpenAPIHono<Api>({ defaultHook: refuseParameters })
  const authenticated = authenticate(deps.tokens, deps.signer)
  app.use(securityHeaders)
  app.use('/metrics', authenticated)
  app.use('/v1/*', authenticated)
  const small = bodyLimit({ maxSize: BODY_BYTES, onError: tooLarge })
  app.use('/v1/*', (c, next) => (takesLargeBody(c.req.method, c.req.path) ? next() : small(c, next)))

  mountCalls(app, deps)
  mountIntake(app, deps)
  mountBatches(app, deps)
  mountDeliveries(app, deps)
  mountReplay(app, deps)
  mountConnections(app, deps)
  mountBackfill(app, deps)
  mountIssues(app, deps)
  mountAudit(app, deps)
  mountHealth(app, deps)
  mountMetrics(app, deps)
  describeHooks(app)
  mountDocs(app, deps)
  return answering(app, deps)
}

/** Unknown paths, wrong methods and whatever is thrown, in the words of the API. */
function answering(app: OpenAPIHono<Api>, deps: AppDeps): OpenAPIHono<Api> {
  const table = routeTable(app.routes)
  app.notFound((c) => {
    const allowed = table.methods(c.req.path)
    return allowed.length === 0 ? noSuchPath(c) : wrongMethod(c, allowed)
  })
  app.onError((error, c) => {
    const route = table.pattern(c.req.path) ?? 'unknown'
    const sentToken = c.req.header('authorization') !== undefined
    return failure(error, deps, { method: c.req.method, route, sentToken })
  })
  return app
}

function tooLarge(): never {
  throw new CordboardError('too_large', `Body: expected at most ${BODY_BYTES / 1024} KB, seen more`, {
    fix: 'Send less',
  })
}
