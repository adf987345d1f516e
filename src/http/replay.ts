import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { ID_PREFIXES } from '../call/ids.ts'
import { CordboardError } from '../errors.ts'
import type { Deps } from '../pipeline/deps.ts'
import { type ReplayFilter, replayDeliveries } from '../pipeline/replay.ts'
import { type Api, needs } from './auth.ts'
import { connectionId, exactly, idOf, instantParameter } from './parameters.ts'
import { always, bounded, json, unknown } from './responses.ts'

const replayed = z
  .object({
    matched: z.int().describe('deliveries that fit'),
    replayed: z.int().describe('of them, put through today’s code; 0 in a dry run'),
    sample: z.array(z.string()).describe('ids of some of them'),
  })
  .openapi('Replayed')

const filter = exactly({
  connection: connectionId.optional(),
  state: z.enum(['new', 'used', 'ignored', 'unreadable']).optional(),
  since: instantParameter('received then or later').optional(),
  dryRun: z.boolean().default(false).describe('only count'),
})
  // Everything ever received is never what was meant by leaving the filter out.
  .refine(({ dryRun: _, ...given }) => Object.values(given).some((value) => value !== undefined), {
    error: 'expected at least one of connection, state, since',
  })
  .openapi('ReplayFilter')

const one = createRoute({
  ...needs('operator'),
  method: 'post',
  path: '/v1/deliveries/{id}/replay',
  operationId: 'replayDelivery',
  tags: ['Deliveries'],
  summary: 'Put one stored delivery through today’s code',
  request: { params: z.object({ id: idOf(ID_PREFIXES.delivery, 'a delivery') }) },
  responses: { ...always, ...unknown, ...bounded, 202: json(replayed, 'It is on its way') },
})

const many = createRoute({
  ...needs('operator'),
  method: 'post',
  path: '/v1/deliveries/replay',
  operationId: 'replayDeliveries',
  tags: ['Deliveries'],
  summary: 'Put all stored deliveries that fit a filter through today’s code',
  request: { body: { required: true, content: { 'application/json': { schema: filter } } } },
  responses: {
    ...always,
    ...bounded,
    200: json(replayed, 'What a dry run found'),
    202: json(replayed, 'They are on their way'),
  },
})

export function mountReplay(app: OpenAPIHono<Api>, deps: Deps): void {
  app.openapi(one, async (c) => {
    const { id } = c.req.valid('param')
    const { actor } = c.get('identity')
    const answer = await replayDeliveries(deps, { ids: [id] }, { actor, dryRun: false })
    if (answer.matched === 0) throw new CordboardError('unknown_object', `There is no delivery ${id}`)
    return c.json(answer, 202)
  })

  app.openapi(many, async (c) => {
    const { dryRun, ...where } = c.req.valid('json')
    const answer = await replayDeliveries(deps, onlyGiven(where), { actor: c.get('identity').actor, dryRun })
    return c.json(answer, dryRun ? 200 : 202)
  })
}

/** Without the members that were left out: for the pipeline absent and undefined are not the same. */
function onlyGiven({ connection, state, since }: Omit<z.infer<typeof filter>, 'dryRun'>): ReplayFilter {
  return {
    ...(connection === undefined ? {} : { connection }),
    ...(state === undefined ? {} : { state }),
    ...(since === undefined ? {} : { since }),
  }
}
