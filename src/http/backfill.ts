import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { ID_PREFIXES } from '../call/ids.ts'
import { CordboardError } from '../errors.ts'
import { type Backfill, readBackfill, startBackfill, stopBackfill } from '../pipeline/backfill.ts'
import type { Deps } from '../pipeline/deps.ts'
import { type Api, needs } from './auth.ts'
import { connectionId, exactly, idOf, instantParameter } from './parameters.ts'
import { always, at, bounded, conflicts, instantOf, json, unknown } from './responses.ts'

const backfill = z
  .object({
    id: z.string(),
    connection: z.string(),
    state: z
      .enum(['running', 'stuck', 'stopped', 'done'])
      .describe(
        '`stuck`: see code and reason; asked for again, it goes on where it was. `stopped`: by a person',
      ),
    since: at,
    until: at,
    reachedAt: at.describe('what begins before this has been listed'),
    listed: z.int().describe('calls that have ended'),
    new: z.int().describe('of them, those that nobody had told of'),
    known: z.int(),
    events: z.int().describe('stored: what was said before is not'),
    startedAt: at,
    endedAt: at.nullable(),
    code: z.string().nullable().describe('what keeps it from going on, or did last'),
    reason: z.string().nullable(),
  })
  .openapi('Backfill')

const wish = exactly({
  since: instantParameter('calls from then on'),
  until: instantParameter('and before this; default now').optional(),
}).openapi('BackfillWish')

const start = createRoute({
  ...needs('operator'),
  method: 'post',
  path: '/v1/connections/{id}/backfill',
  operationId: 'startBackfill',
  tags: ['Connections'],
  summary: 'Read the vendor’s own list of calls; what is new goes the way of a webhook',
  request: {
    params: z.object({ id: connectionId }),
    body: { required: true, content: { 'application/json': { schema: wish } } },
  },
  responses: {
    ...always,
    ...unknown,
    ...bounded,
    ...conflicts,
    202: json(backfill, 'It is under way; the same one, when it was already'),
  },
})

const read = createRoute({
  ...needs('viewer'),
  method: 'get',
  path: '/v1/backfills/{id}',
  operationId: 'getBackfill',
  tags: ['Connections'],
  summary: 'How far a backfill has come; it goes on by itself, also after a restart',
  request: { params: z.object({ id: idOf(ID_PREFIXES.backfill, 'a backfill') }) },
  responses: { ...always, ...unknown, 200: json(backfill, 'The backfill') },
})

const stop = createRoute({
  ...needs('operator'),
  method: 'post',
  path: '/v1/backfills/{id}/stop',
  operationId: 'stopBackfill',
  tags: ['Connections'],
  summary: 'List no more of a backfill; the calls that it has brought are worked on',
  request: { params: z.object({ id: idOf(ID_PREFIXES.backfill, 'a backfill') }) },
  responses: { ...always, ...unknown, ...bounded, 200: json(backfill, 'As far as it came') },
})

export function mountBackfill(app: OpenAPIHono<Api>, deps: Deps): void {
  app.openapi(start, async (c) => {
    const { id } = c.req.valid('param')
    const { since, until } = c.req.valid('json')
    const connection = deps.config.connections.get(id)
    if (!connection) throw new CordboardError('unknown_object', `There is no connection ${id}`)
    return c.json(shown(await startBackfill(deps, connection, { since, until }, c.get('identity'))), 202)
  })

  app.openapi(read, async (c) => {
    const { id } = c.req.valid('param')
    const found = await readBackfill(deps.store, id)
    if (!found) throw new CordboardError('unknown_object', `There is no backfill ${id}`)
    return c.json(shown(found), 200)
  })

  app.openapi(stop, async (c) => {
    const { id } = c.req.valid('param')
    const stopped = await stopBackfill(deps, id, c.get('identity'))
    if (!stopped) throw new CordboardError('unknown_object', `There is no backfill ${id} under way`)
    return c.json(shown(stopped), 200)
  })
}

function shown({ id, connection, state, since, until, at: reached, counts, ...rest }: Backfill) {
  return {
    id,
    connection,
    state,
    since: instantOf(since),
    until: instantOf(until),
    reachedAt: instantOf(reached),
    ...counts,
    startedAt: instantOf(rest.startedAt),
    endedAt: instantOf(rest.endedAt),
    code: rest.code,
    reason: rest.reason,
  }
}
