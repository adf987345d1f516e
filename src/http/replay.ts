import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { ID_PREFIXES } from '../call/ids.ts'
import { CordboardError } from '../errors.ts'
import type { Deps } from '../pipeline/deps.ts'
import {
  openReplays,
  type Replay,
  type ReplayFilter,
  replayDeliveries,
  stopReplay,
} from '../pipeline/replay.ts'
import { type Api, needs } from './auth.ts'
import { connectionId, exactly, idOf, instantParameter } from './parameters.ts'
import { always, at, bounded, instantOf, json, unknown } from './responses.ts'

const replayed = z
  .object({
    matched: z.int().describe('deliveries that fit'),
    replayed: z.int().describe('of them, put through today’s code; 0 in a dry run'),
    sample: z.array(z.string()).describe('ids of some of them'),
    replay: z
      .string()
      .optional()
      .describe('the replay that sees to the others, a little at a time; absent when all are on their way'),
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

const replay = z
  .object({
    id: z.string(),
    filter: z.object({
      connection: z.string().nullable(),
      state: z.string().nullable(),
      since: at.nullable(),
    }),
    actor: z.string().describe('role and label of the token that asked for it'),
    startedAt: at,
    matched: z.int().describe('deliveries that fit when it began'),
    replayed: z.int().describe('of them, on their way so far'),
  })
  .openapi('Replay')

const open = createRoute({
  ...needs('viewer'),
  method: 'get',
  path: '/v1/replays',
  operationId: 'listReplays',
  tags: ['Deliveries'],
  summary: 'Replays under way, the oldest first; they go on by themselves, also after a restart',
  responses: {
    ...always,
    200: json(z.object({ items: z.array(replay) }).openapi('Replays'), 'None when all are done'),
  },
})

const stop = createRoute({
  ...needs('operator'),
  method: 'post',
  path: '/v1/replays/{id}/stop',
  operationId: 'stopReplay',
  tags: ['Deliveries'],
  summary: 'Put no more deliveries of a replay on their way',
  request: { params: z.object({ id: idOf(ID_PREFIXES.replay, 'a replay') }) },
  responses: { ...always, ...unknown, ...bounded, 200: json(replay, 'As far as it came') },
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

  app.openapi(open, async (c) => c.json({ items: (await openReplays(deps)).map(shownReplay) }, 200))

  app.openapi(stop, async (c) => {
    const { id } = c.req.valid('param')
    const stopped = await stopReplay(deps, id, c.get('identity'))
    if (!stopped) throw new CordboardError('unknown_object', `There is no replay ${id} under way`)
    return c.json(shownReplay(stopped), 200)
  })
}

function shownReplay({ id, filter: where, actor, startedAt, matched, replayed: reached }: Replay) {
  return {
    id,
    filter: {
      connection: where.connection ?? null,
      state: where.state ?? null,
      since: instantOf(where.since ?? null),
    },
    actor,
    startedAt: instantOf(startedAt),
    matched,
    replayed: reached,
  }
}

/** Without the members that were left out: for the pipeline absent and undefined are not the same. */
function onlyGiven({ connection, state, since }: Omit<z.infer<typeof filter>, 'dryRun'>): ReplayFilter {
  return {
    ...(connection === undefined ? {} : { connection }),
    ...(state === undefined ? {} : { state }),
    ...(since === undefined ? {} : { since }),
  }
}
