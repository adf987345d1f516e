import { OpenAPIHono } from '@hono/zod-openapi'
import { bodyLimit } from 'hono/body-limit'
import type { AppDeps } from '../app.ts'
import { CordboardError } from '../errors.ts'
import { mountAudit } from './audit.ts'
import { type Api, authenticate } from './auth.ts'
import { mountBackfill } from './backfill.ts'
import { mountBatches } from './batches.ts'
import { mountCalls } from './calls.ts'
import { mountConnections } from './connections.ts'
import { mountDeliveries } from './deliveries.ts'
import { mountDocs } from './docs.ts'
import { describeHooks } from './document.ts'
import { mountHealth } from './health.ts'
import { mountIntake, takesLargeBody } from './intake.ts'
import { mountIssues } from './issues.ts'
import { mountMetrics } from './metrics.ts'
import { refuseParameters } from './parameters.ts'
import { failure, noSuchPath, wrongMethod } from './problem.ts'
import { mountReplay } from './replay.ts'
import { routeTable } from './route-table.ts'
import { securityHeaders } from './security.ts'

/** Bodies under /v1 are a few words; deliveries have a limit of their own in the receiver. */
const BODY_BYTES = 64 * 1024

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
