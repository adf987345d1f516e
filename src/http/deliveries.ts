import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { sql } from 'kysely'
import { ID_PREFIXES, newId } from '../call/ids.ts'
import { maskSecrets } from '../connector/mask.ts'
import { CordboardError } from '../errors.ts'
import { DELIVERY_STEPS } from '../pipeline/delivery.ts'
import type { Deps } from '../pipeline/deps.ts'
import type { DeliveryRow } from '../store/schema.ts'
import { nextOf } from './audit.ts'
import { type Api, needs } from './auth.ts'
import { shownBody, shownHeaders } from './delivery-bytes.ts'
import { connectionId, exactly, idCursor, idOf, instantParameter, limit } from './parameters.ts'
import { always, at, instantOf, json, pageOf, unknown } from './responses.ts'

const STATES = ['new', 'used', 'ignored', 'unreadable'] as const

const delivery = z
  .object({
    id: z.string(),
    connection: z.string(),
    role: z
      .enum(['telephony', 'analysis', 'crm', 'list'])
      .describe('`list`: no request, but what the vendor’s own list told of a call'),
    receivedAt: at,
    method: z.string(),
    path: z.string().describe('behind /hooks/<connection>, secrets masked'),
    bytes: z.int(),
    repeats: z.int().describe('how often it was sent again'),
    state: z.enum(STATES),
    reason: z.string().nullable().describe('why it was ignored or cannot be read'),
  })
  .openapi('Delivery')

const detail = delivery
  .extend({
    url: z.string().nullable().describe('as the sender called it, secrets masked'),
    headers: z
      .array(z.tuple([z.string(), z.string()]))
      .nullable()
      .describe('credentials and secrets masked'),
    body: z
      .object({
        encoding: z.enum(['text', 'base64']),
        content: z.string().describe('secrets masked'),
        truncated: z.boolean().describe('only the first megabyte is shown'),
      })
      .nullable(),
    withheld: z.string().nullable().describe('why headers and body are not shown'),
    steps: z.array(
      z.object({
        id: z.string(),
        kind: z.string(),
        state: z.string(),
        callId: z.string().nullable(),
        dueAt: at,
        code: z.string().nullable(),
        reason: z.string().nullable(),
      }),
    ),
  })
  .openapi('DeliveryDetail')

const list = createRoute({
  ...needs('viewer'),
  method: 'get',
  path: '/v1/deliveries',
  operationId: 'listDeliveries',
  tags: ['Deliveries'],
  summary: 'Stored inbound requests, newest first',
  request: {
    query: exactly({
      connection: connectionId.optional(),
      state: z.enum(STATES).optional().openapi({ description: 'what became of it' }),
      since: instantParameter('received then or later').optional(),
      cursor: idCursor(ID_PREFIXES.delivery).optional(),
      limit,
    }),
  },
  responses: {
    ...always,
    200: json(
      pageOf(delivery, 'DeliveryPage'),
      'A page of deliveries. It may hold fewer than `limit` although there are more: go on until `next` is null',
    ),
  },
})

const show = createRoute({
  ...needs('operator'),
  method: 'get',
  path: '/v1/deliveries/{id}',
  operationId: 'getDelivery',
  tags: ['Deliveries'],
  summary: 'One delivery with its headers and body as they came, secrets masked',
  request: { params: z.object({ id: idOf(ID_PREFIXES.delivery, 'a delivery') }), query: exactly({}) },
  responses: { ...always, ...unknown, 200: json(detail, 'The delivery') },
})

const SUMMARY = [
  'id',
  'connection',
  'role',
  'received_at',
  'method',
  'path',
  'bytes',
  'repeats',
  'state',
  'reason',
] as const

/** Deliveries that one page looks at, where no index leads to those that are asked for. */
const WALK = 10_000

export function mountDeliveries(app: OpenAPIHono<Api>, deps: Pick<Deps, 'store' | 'config' | 'media'>): void {
  app.openapi(list, async (c) => {
    const { connection, state, since, cursor, limit: size } = c.req.valid('query')
    let found = deps.store.db.selectFrom('deliveries').select(SUMMARY)
    if (connection !== undefined) found = found.where('connection', '=', connection)
    if (state !== undefined) found = found.where('state', '=', state)
    // The rare states have a partial index, which SQLite takes only when its own condition stands in the query.
    if (state === 'unreadable' || state === 'ignored') {
      found = found.where(sql<boolean>`state in ('unreadable', 'ignored')`)
    }
    // The lowest id of that millisecond ends the walk down the ids; the column beside it decides.
    const lowest = since === undefined ? '' : lowestId(since)
    if (since !== undefined) found = found.where('id', '>=', lowest).where('received_at', '>=', since)
    if (cursor !== undefined) found = found.where('id', '<', cursor)
    // No index leads to the other two: of millions of deliveries there may be none in this state.
    const isWalk = state === 'new' || state === 'used'
    const end = isWalk ? await endOfWalk({ connection, cursor }) : undefined
    if (end !== undefined) found = found.where('id', '>=', end)
    const rows = await found
      .orderBy('id', 'desc')
      .limit(size + 1)
      .execute()
    const next = nextOf(rows, size) ?? (end !== undefined && end >= lowest ? end : null)
    return c.json({ items: rows.slice(0, size).map(summary), next }, 200)
  })

  app.openapi(show, async (c) => {
    const { id } = c.req.valid('param')
    const { db } = deps.store
    const [row, steps] = await Promise.all([
      db.selectFrom('deliveries').selectAll().where('id', '=', id).executeTakeFirst(),
      db
        .selectFrom('steps')
        .select(['id', 'kind', 'state', 'call_id', 'due_at', 'code', 'reason'])
        .where('kind', 'in', DELIVERY_STEPS)
        .where('subject', '=', id)
        .orderBy('generation')
        .execute(),
    ])
    if (!row) throw new CordboardError('unknown_object', `There is no delivery ${id}`)
    const secrets = deps.config.connections.get(row.connection)?.secrets
    const raw = secrets
      ? {
          url: maskSecrets(row.url, secrets),
          headers: shownHeaders(row, secrets),
          body: await shownBody(row, deps.media, secrets),
          withheld: null,
        }
      : { url: null, headers: null, body: null, withheld: GONE }
    const shownSteps = steps.map((step) => ({
      id: step.id,
      kind: step.kind,
      state: step.state,
      callId: step.call_id,
      dueAt: instantOf(step.due_at),
      code: step.code,
      reason: step.reason,
    }))
    return c.json({ ...summary(row), ...raw, steps: shownSteps }, 200)
  })

  /** How far one page looks; undefined: to the end. The next page goes on there. */
  async function endOfWalk(from: { connection?: string | undefined; cursor?: string | undefined }) {
    let ids = deps.store.db.selectFrom('deliveries').select('id')
    if (from.connection !== undefined) ids = ids.where('connection', '=', from.connection)
    if (from.cursor !== undefined) ids = ids.where('id', '<', from.cursor)
    const last = await ids.orderBy('id', 'desc').limit(1).offset(WALK).executeTakeFirst()
    return last?.id
  }

  function summary(row: Pick<DeliveryRow, (typeof SUMMARY)[number]>) {
    const secrets = deps.config.connections.get(row.connection)?.secrets
    return {
      id: row.id,
      connection: row.connection,
      role: row.role,
      receivedAt: instantOf(row.received_at),
      method: row.method,
      path: secrets ? maskSecrets(row.path, secrets) : '',
      bytes: row.bytes,
      repeats: row.repeats,
      state: row.state,
      reason: row.reason,
    }
  }
}

/** Fails closed: what cannot be masked is not shown. */
const GONE = 'This connection is not in the configuration, so its secrets are not known and cannot be masked'

function lowestId(ms: number): string {
  return newId(ID_PREFIXES.delivery, Math.max(0, ms), () => 0)
}
