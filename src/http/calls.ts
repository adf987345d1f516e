import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { type Call, DIRECTIONS, RESULTS } from '../call/call.ts'
import { ID_PREFIXES } from '../call/ids.ts'
import { phoneSearchKeys } from '../call/phone.ts'
import { VCON_JSON_TYPE } from '../call/vcon.ts'
import { callOf } from '../pipeline/call-row.ts'
import { chooseRecord } from '../pipeline/choose-record.ts'
import type { Deps } from '../pipeline/deps.ts'
import { explainFlow } from '../pipeline/explain.ts'
import { rerunCall } from '../pipeline/rerun.ts'
import { type CallFilter, type CallPage, listCalls } from '../store/list-calls.ts'
import { type Api, needs } from './auth.ts'
import { findCall, readCall } from './call-detail.ts'
import { callDetail } from './call-schema.ts'
import { asVcon, vconContent, vconTypeIn } from './call-vcon.ts'
import { connectionId, exactly, idOf, instantParameter, limit } from './parameters.ts'
import { always, at, bounded, instantOf, json, pageOf, unknown } from './responses.ts'

const STATES = ['open', 'waiting', 'working', 'done', 'skipped', 'attention'] as const

const summary = z
  .object({
    id: z.string(),
    connection: z.string(),
    externalId: z.string().describe('the phone system’s id'),
    state: z.enum(STATES),
    reason: z.string().nullable().describe('why it is in this state'),
    direction: z.enum(DIRECTIONS).nullable(),
    result: z.enum(RESULTS).nullable(),
    startedAt: at,
    endedAt: at.nullable(),
    updatedAt: at,
    talkMs: z.int().nullable(),
    customer: z.object({ phone: z.string().nullable(), name: z.string().nullable() }),
    agent: z.object({ name: z.string().nullable(), extension: z.string().nullable() }),
    flow: z.string().nullable(),
    analyzed: z.boolean().describe('true when there is an analysis'),
  })
  .openapi('CallSummary')

const list = createRoute({
  ...needs('viewer'),
  method: 'get',
  path: '/v1/calls',
  operationId: 'listCalls',
  tags: ['Calls'],
  summary: 'Calls, the latest first',
  request: {
    query: exactly({
      q: z.string().trim().min(1).max(512).optional().openapi({
        description: 'a phone number in any spelling, the id of a call, or the phone system’s own id of it',
        example: '+44 7700 900123',
      }),
      connection: connectionId.optional(),
      state: z.enum(STATES).optional().openapi({ description: 'where it is' }),
      direction: z.enum(DIRECTIONS).optional(),
      result: z.enum(RESULTS).optional().openapi({ description: 'how it ended technically' }),
      from: instantParameter('started then or later').optional(),
      to: instantParameter('started before').optional(),
      cursor: z
        .string()
        .regex(/^[\w-]{1,200}$/, { error: 'expected `next` of the page before' })
        .optional()
        .openapi({ description: '`next` of the page before' }),
      limit,
    }),
  },
  responses: { ...always, 200: json(pageOf(summary, 'CallPage'), 'A page of calls') },
})

const params = z.object({ id: idOf(ID_PREFIXES.call, 'a call') })

const show = createRoute({
  ...needs('viewer'),
  method: 'get',
  path: '/v1/calls/{id}',
  operationId: 'getCall',
  tags: ['Calls'],
  summary: 'One call: what is known of it, its analysis, its timeline, where it was written',
  request: {
    params,
    query: exactly({
      raw: z.enum(['true', 'false']).default('false').openapi({
        description: 'with the analysis as the service sent it',
      }),
    }),
  },
  responses: {
    ...always,
    ...unknown,
    200: {
      ...json(callDetail, 'The call, or the one it was joined into; a vCon where `Accept` asks for one'),
      content: { 'application/json': { schema: callDetail }, [VCON_JSON_TYPE]: { schema: vconContent } },
    },
  },
})

const rerunning = z
  .object({
    steps: z.int().describe('steps that were planned'),
    paidBefore: z
      .array(z.object({ connection: z.string(), at }))
      .describe('services that were handed the call before: it may be paid for again'),
  })
  .openapi('Rerunning')

const verdict = { takes: z.boolean(), why: z.string() }
const explained = z
  .object({
    flows: z
      .array(z.object({ name: z.string(), ...verdict }))
      .describe('in the order of the configuration; the first that takes the call has it'),
    flow: z.string().nullable().describe('null: no flow takes it'),
    forbidden: z.string().nullable().describe('why nobody is given the call for analysis'),
    backends: z
      .array(z.object({ connection: z.string(), ...verdict }))
      .describe('in the order in which they are asked'),
    write: z.array(z.string()),
  })
  .openapi('FlowExplained')

const rerun = createRoute({
  ...needs('operator'),
  method: 'post',
  path: '/v1/calls/{id}/rerun',
  operationId: 'rerunCall',
  tags: ['Calls'],
  summary: 'Do the work again on what is stored, with today’s flow',
  request: {
    params,
    body: {
      required: true,
      content: {
        'application/json': {
          schema: exactly({
            from: z.enum(['submit', 'match', 'write']).describe('the first step that is done again'),
            dryRun: z.boolean().default(false).describe('only say what it would do, and cost'),
          }).openapi('Rerun'),
        },
      },
    },
  },
  responses: {
    ...always,
    ...unknown,
    ...bounded,
    200: json(rerunning, 'What a dry run found'),
    202: json(rerunning, 'Planned'),
  },
})

/** An id becomes a part of an address at the CRM: dots would lead to the address above it, whatever is escaped. */
const isOneStep = (id: string): boolean => !/^\.{1,2}$|\p{Cc}/u.test(id)

const choose = createRoute({
  ...needs('operator'),
  method: 'post',
  path: '/v1/calls/{id}/record',
  operationId: 'chooseRecord',
  tags: ['Calls'],
  summary: 'Say which record of a CRM the call belongs to; it is written there',
  request: {
    params,
    body: {
      required: true,
      content: {
        'application/json': {
          schema: exactly({
            connection: connectionId,
            type: z.string().min(1).max(64).describe('contact, company, lead …, as the candidates have it'),
            id: z
              .string()
              .min(1)
              .max(256)
              .refine(isOneStep, { error: 'expected an id, and no way in a path' })
              .describe('the CRM’s id of the record'),
          }).openapi('ChosenRecord'),
        },
      },
    },
  },
  responses: {
    ...always,
    ...unknown,
    ...bounded,
    202: json(
      z.object({ steps: z.int().describe('steps that were planned') }).openapi('Choosing'),
      'Planned',
    ),
  },
})

const explain = createRoute({
  ...needs('viewer'),
  method: 'get',
  path: '/v1/calls/{id}/flow',
  operationId: 'explainFlow',
  tags: ['Calls'],
  summary:
    'Which flow takes the call by today’s configuration, which analysis service is asked first, and why',
  request: { params },
  responses: { ...always, ...unknown, 200: json(explained, 'Nothing is sent or changed') },
})

export function mountCalls(app: OpenAPIHono<Api>, deps: Deps): void {
  app.openapi(list, async (c) => {
    const { q, cursor = null, limit: size, ...filter } = c.req.valid('query')
    const page = await find(deps, q, filter, cursor, size)
    return c.json({ items: page.rows.map(summarised), next: page.next }, 200)
  })

  app.openapi(show, async (c) => {
    const { id } = c.req.valid('param')
    const detail = await readCall(deps, id, c.req.valid('query').raw === 'true')
    c.header('vary', 'accept')
    const type = vconTypeIn(c.req.header('accept'))
    // The schema of the route is that of JSON; a vCon is described beside it.
    if (type !== null)
      return c.body(JSON.stringify(asVcon(deps, detail)), 200, { 'content-type': type }) as never
    return c.json(detail, 200)
  })

  app.openapi(rerun, async (c) => {
    const { id } = c.req.valid('param')
    const { from, dryRun } = c.req.valid('json')
    const { steps, paidBefore } = await rerunCall(deps, id, { from, dryRun, actor: c.get('identity').actor })
    const paid = paidBefore.map(({ connection, at: ms }) => ({ connection, at: instantOf(ms) }))
    return c.json({ steps, paidBefore: paid }, dryRun ? 200 : 202)
  })

  app.openapi(choose, async (c) => {
    const { id } = c.req.valid('param')
    const { actor } = c.get('identity')
    return c.json(await chooseRecord(deps, id, { ...c.req.valid('json'), actor }), 202)
  })

  app.openapi(explain, async (c) => {
    const row = await findCall(deps.store, c.req.valid('param').id)
    const { write, ...rest } = await explainFlow(deps, row)
    return c.json({ ...rest, write: [...write] }, 200)
  })
}

/** What was typed is a number when it reads as one; digits that no call has as a number may be the phone system's id. */
async function find(
  { store: { db }, config }: Pick<Deps, 'store' | 'config'>,
  q: string | undefined,
  filter: CallFilter,
  cursor: string | null,
  size: number,
): Promise<CallPage> {
  if (q === undefined) return listCalls(db, filter, cursor, size)
  const phone = q.startsWith(`${ID_PREFIXES.call}_`) ? {} : phoneSearchKeys(q, config.region)
  if (phone.tail !== undefined) {
    const page = await listCalls(db, { ...filter, phone }, cursor, size)
    if (page.rows.length > 0 || cursor !== null) return page
  }
  return listCalls(db, { ...filter, id: q }, cursor, size)
}

function summarised(row: CallPage['rows'][number]) {
  const { customer, agent, talkMs } = callOf(row)
  return {
    id: row.id,
    connection: row.connection,
    externalId: row.external_id,
    state: row.state,
    reason: row.reason,
    direction: (row.direction as Call['direction'] | null) ?? null,
    result: (row.result as Call['result'] | null) ?? null,
    startedAt: instantOf(row.started_at),
    endedAt: instantOf(row.ended_at),
    updatedAt: instantOf(row.updated_at),
    talkMs: talkMs ?? null,
    customer: { phone: row.customer_phone ?? customer?.phone ?? null, name: customer?.name ?? null },
    agent: { name: agent?.name ?? null, extension: row.agent_extension },
    flow: row.flow,
    analyzed: row.analysis !== null,
  }
}
