import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { ID_PREFIXES } from '../call/ids.ts'
import type { Deps } from '../pipeline/deps.ts'
import { type Api, needs } from './auth.ts'
import { exactly, idCursor, limit } from './parameters.ts'
import { always, at, instantOf, json, pageOf } from './responses.ts'

const entry = z
  .object({
    id: z.string(),
    at,
    actor: z.string().describe('role and label of the token, never the token'),
    action: z.string(),
    subject: z.string().describe('what it was done to'),
    detail: z.string(),
  })
  .openapi('AuditEntry')

const list = createRoute({
  ...needs('admin'),
  method: 'get',
  path: '/v1/audit',
  operationId: 'listAudit',
  tags: ['Audit'],
  summary: 'Who replayed, reran or changed what, newest first',
  request: { query: exactly({ cursor: idCursor(ID_PREFIXES.audit).optional(), limit }) },
  responses: { ...always, 200: json(pageOf(entry, 'AuditPage'), 'A page of the audit') },
})

export function mountAudit(app: OpenAPIHono<Api>, { store }: Pick<Deps, 'store'>): void {
  app.openapi(list, async (c) => {
    const { cursor, limit: size } = c.req.valid('query')
    const rows = await store.db
      .selectFrom('audit')
      .selectAll()
      .$if(cursor !== undefined, (found) => found.where('id', '<', cursor ?? ''))
      .orderBy('id', 'desc')
      .limit(size + 1)
      .execute()
    const items = rows.slice(0, size).map((row) => ({ ...row, at: instantOf(row.at) }))
    return c.json({ items, next: nextOf(rows, size) }, 200)
  })
}

/** One row was read beyond the page: the page's last id is the cursor then. */
export function nextOf(rows: readonly { id: string }[], size: number): string | null {
  return rows.length > size ? (rows[size - 1]?.id ?? null) : null
}
