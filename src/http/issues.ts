import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { ID_PREFIXES } from '../call/ids.ts'
import { CordboardError } from '../errors.ts'
import { auditRow } from '../pipeline/audit.ts'
import type { Deps } from '../pipeline/deps.ts'
import type { IssueRow } from '../store/schema.ts'
import { nextOf } from './audit.ts'
import { type Api, needs } from './auth.ts'
import { connectionId, exactly, idCursor, idOf, limit } from './parameters.ts'
import { always, at, bounded, instantOf, json, pageOf, unknown } from './responses.ts'

const STATES = ['open', 'acknowledged', 'ignored', 'resolved'] as const
/** `resolved` is not among them: only that it works again resolves an issue. */
const SETTABLE = ['acknowledged', 'ignored', 'open'] as const

const issue = z
  .object({
    id: z.string(),
    kind: z.string().describe('kind of step, or `receive`'),
    code: z.string(),
    connection: z.string(),
    state: z.enum(STATES),
    count: z.int().describe('how often it happened'),
    firstAt: at,
    lastAt: at,
    says: z.string().describe('what happened, the last time'),
    fix: z.string().describe('what to do'),
    callId: z.string().nullable().describe('the call it happened to last'),
    stepId: z.string().nullable(),
    deliveryId: z.string().nullable(),
  })
  .openapi('Issue')

const list = createRoute({
  ...needs('viewer'),
  method: 'get',
  path: '/v1/issues',
  operationId: 'listIssues',
  tags: ['Issues'],
  summary: 'What a person should look at, one per step kind, code and connection',
  request: {
    query: exactly({
      state: z.enum(STATES).optional().openapi({ description: 'only issues in this state' }),
      connection: connectionId.optional(),
      cursor: idCursor(ID_PREFIXES.issue).optional(),
      limit,
    }),
  },
  responses: { ...always, 200: json(pageOf(issue, 'IssuePage'), 'A page of issues, newest kind first') },
})

const change = createRoute({
  ...needs('operator'),
  method: 'post',
  path: '/v1/issues/{id}',
  operationId: 'changeIssue',
  tags: ['Issues'],
  summary: 'Acknowledge an issue, ignore it, or open it again',
  request: {
    params: z.object({ id: idOf(ID_PREFIXES.issue, 'an issue') }),
    body: {
      required: true,
      content: {
        'application/json': { schema: exactly({ state: z.enum(SETTABLE) }).openapi('IssueChange') },
      },
    },
  },
  responses: { ...always, ...unknown, ...bounded, 200: json(issue, 'The issue as it is now') },
})

export function mountIssues(app: OpenAPIHono<Api>, deps: Pick<Deps, 'store' | 'now' | 'random'>): void {
  app.openapi(list, async (c) => {
    const { state, connection, cursor, limit: size } = c.req.valid('query')
    let found = deps.store.db.selectFrom('issues').selectAll()
    if (state !== undefined) found = found.where('state', '=', state)
    if (connection !== undefined) found = found.where('connection', '=', connection)
    if (cursor !== undefined) found = found.where('id', '<', cursor)
    const rows = await found
      .orderBy('id', 'desc')
      .limit(size + 1)
      .execute()
    return c.json({ items: rows.slice(0, size).map(shownIssue), next: nextOf(rows, size) }, 200)
  })

  app.openapi(change, async (c) => {
    const { id } = c.req.valid('param')
    const { state } = c.req.valid('json')
    const { db } = deps.store
    const before = await db.selectFrom('issues').selectAll().where('id', '=', id).executeTakeFirst()
    if (!before) throw new CordboardError('unknown_object', `There is no issue ${id}`)
    await deps.store.atomic(
      [],
      [
        db.updateTable('issues').set({ state }).where('id', '=', id),
        auditRow(
          deps,
          c.get('identity').actor,
          'issue',
          id,
          `${before.state} → ${state} (${before.kind}, ${before.code}, ${before.connection})`,
        ),
      ],
    )
    return c.json(shownIssue({ ...before, state }), 200)
  })
}

function shownIssue(row: IssueRow) {
  return {
    id: row.id,
    kind: row.kind,
    code: row.code,
    connection: row.connection,
    state: row.state,
    count: row.count,
    firstAt: instantOf(row.first_at),
    lastAt: instantOf(row.last_at),
    says: row.says,
    fix: row.fix,
    callId: row.call_id,
    stepId: row.step_id,
    deliveryId: row.delivery_id,
  }
}
