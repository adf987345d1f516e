import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { sql } from 'kysely'
import { idTime } from '../call/ids.ts'
import type { Connection } from '../config/model.ts'
import type { Verification } from '../connector/verification.ts'
import { weaknessOf } from '../connector/weakness.ts'
import type { Deps } from '../pipeline/deps.ts'
import { compared, type Missed } from '../pipeline/missed.ts'
import type { Store } from '../store/port.ts'
import { type Api, needs } from './auth.ts'
import { exactly } from './parameters.ts'
import { always, at, instantOf, json } from './responses.ts'
import { countRefusals, countSteps, DAY_MS } from './work.ts'

const ROLES = ['telephony', 'analysis', 'crm'] as const

const webhook = z.object({
  role: z.enum(ROLES),
  scheme: z.string().describe('how a delivery proves who sent it'),
  reason: z.string().nullable().describe('why this scheme, where it is not a usual one'),
})

const connection = z
  .object({
    id: z.string(),
    connector: z.string(),
    name: z.string().describe('of the vendor'),
    roles: z.array(z.enum(ROLES)),
    webhooks: z.array(webhook),
    warnings: z.array(z.string()),
    hookUrl: z
      .string()
      .nullable()
      .describe('what to enter at the vendor; null without webhooks or publicUrl'),
    breaker: z.object({
      state: z.enum(['closed', 'open']),
      code: z.string().nullable(),
      says: z.string().nullable(),
      openedAt: at.nullable(),
      retryAt: at.nullable(),
    }),
    lastDeliveryAt: at.nullable(),
    reconciliation: z
      .object({
        everyMs: z.int(),
        overMs: z.int(),
        lastAt: at.nullable().describe('when the vendor’s list was last read to its end'),
        missed: z.int().describe('calls that only the list told of'),
        lastMissedAt: at.nullable(),
      })
      .nullable()
      .describe('the comparison with the vendor’s own list of calls; null: there is none'),
    refusals: z.object({
      lastDay: z.int().describe('refused requests of the last 24 hours'),
      byCode: z.record(z.string(), z.int()),
      lastAt: at.nullable(),
    }),
    steps: z.object({ waiting: z.int(), working: z.int(), parked: z.int(), dead: z.int() }),
  })
  .openapi('Connection')

const list = createRoute({
  ...needs('viewer'),
  method: 'get',
  path: '/v1/connections',
  operationId: 'listConnections',
  tags: ['Connections'],
  summary: 'The configured connections and how they are doing; no secrets',
  request: { query: exactly({}) },
  responses: {
    ...always,
    200: json(z.object({ items: z.array(connection) }).openapi('Connections'), 'All connections'),
  },
})

export function mountConnections(app: OpenAPIHono<Api>, deps: Pick<Deps, 'store' | 'config' | 'now'>): void {
  const { store, config, now } = deps
  app.openapi(list, async (c) => {
    const ids = [...config.connections.keys()]
    const connections = [...config.connections.values()]
    const [steps, breakers, refusals, last, { lists, missed }] = await Promise.all([
      countSteps(store),
      store.db.selectFrom('breakers').selectAll().execute(),
      countRefusals(store, now() - DAY_MS),
      lastDeliveries(store, ids),
      // Where nothing is compared there is nothing to ask for.
      connections.some(({ reconcile }) => reconcile)
        ? compared(store)
        : { lists: [], missed: new Map<string, Missed>() },
    ])
    const items = connections.map((one) => {
      const breaker = breakers.find((row) => row.connection === one.id)
      const refused = refusals.filter((row) => row.connection === one.id)
      const count = (state: string) =>
        steps.find((row) => row.lane === one.id && row.state === state)?.count ?? 0
      return {
        ...described(one, config.publicUrl),
        breaker: {
          state: breaker?.state ?? ('closed' as const),
          code: breaker?.code ?? null,
          says: breaker?.says ?? null,
          openedAt: instantOf(breaker?.opened_at ?? null),
          retryAt: instantOf(breaker?.retry_at ?? null),
        },
        lastDeliveryAt: instantOf(last.get(one.id) ?? null),
        reconciliation: one.reconcile
          ? {
              ...one.reconcile,
              lastAt: instantOf(lists.find((list) => list.id === one.id)?.lastAt ?? null),
              missed: missed.get(one.id)?.count ?? 0,
              lastMissedAt: instantOf(missed.get(one.id)?.lastAt ?? null),
            }
          : null,
        refusals: {
          lastDay: refused.reduce((sum, row) => sum + Number(row.count), 0),
          byCode: Object.fromEntries(refused.map((row) => [row.code, Number(row.count)])),
          lastAt:
            refused.length === 0 ? null : instantOf(Math.max(...refused.map((row) => Number(row.lastAt)))),
        },
        steps: {
          waiting: count('waiting'),
          working: count('working'),
          parked: count('parked'),
          dead: count('dead'),
        },
      }
    })
    return c.json({ items }, 200)
  })
}

/** What the configuration alone says of it. */
function described({ id, connector, settings }: Connection, publicUrl: string | undefined) {
  const sides = [
    { role: 'telephony' as const, side: connector.telephony?.webhook },
    { role: 'analysis' as const, side: connector.analysis?.callback },
    { role: 'crm' as const, side: connector.crm?.callback },
  ]
  const webhooks = sides.flatMap(({ role, side }) => {
    const scheme = side?.verify(settings)
    return scheme ? [{ role, scheme: scheme.scheme, reason: reasonOf(scheme) }] : []
  })
  const warnings = sides.flatMap(({ role, side }) => {
    const weak = side && weaknessOf(side.verify(settings))
    return weak ? [`${role}: ${weak.says}`] : []
  })
  if (webhooks.length > 0 && publicUrl === undefined) {
    warnings.push(
      'No publicUrl is configured: the vendor’s signed URL cannot be checked and no hook URL can be named',
    )
  }
  return {
    id,
    connector: connector.id,
    name: connector.name,
    roles: ROLES.filter((role) => connector[role] !== undefined),
    webhooks,
    warnings,
    hookUrl: webhooks.length > 0 && publicUrl !== undefined ? `${publicUrl}/hooks/${id}` : null,
  }
}

function reasonOf(scheme: Verification): string | null {
  return scheme.scheme === 'nothing' || scheme.scheme === 'custom' ? scheme.reason : null
}

/** A row may have at most 100 columns and a statement 100 parameters on D1. */
const AT_ONCE = 90

/**
 * When each connection last got a delivery, from the time in its newest id. One row with a subquery per connection,
 * each one look into the index, where a GROUP BY would read every delivery there is.
 */
async function lastDeliveries(
  { db }: Pick<Store, 'db'>,
  ids: readonly string[],
): Promise<Map<string, number>> {
  const newest = new Map<string, number>()
  for (let from = 0; from < ids.length; from += AT_ONCE) {
    const some = ids.slice(from, from + AT_ONCE)
    const columns = some.map(
      (id, index) =>
        sql`(select max(id) from deliveries where connection = ${id} and role <> 'list') as ${sql.id(`c${index}`)}`,
    )
    const { rows } = await sql<Record<string, string | null>>`select ${sql.join(columns)}`.execute(db)
    for (const [index, id] of some.entries()) {
      const last = rows[0]?.[`c${index}`]
      if (typeof last === 'string') newest.set(id, idTime(last))
    }
  }
  return newest
}
