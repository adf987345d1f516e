import { Hono } from 'hono'
import { z } from 'zod'
import { type ConnectorContext, defineConnector } from '../../src/connector/contract.ts'
import { isOwnNumber, numberToMatch } from '../../src/connector/crm-plan.ts'
import type { CrmRecord, PlannedPart, SetUp, WritePart } from '../../src/connector/crm-role.ts'
import { failOn } from '../../src/connector/fail-on.ts'
import { readReply } from '../../src/connector/read.ts'
import type { CreateSandbox } from '../../src/connector/sandbox.ts'
import { secretList, secretValue } from '../../src/connector/secret.ts'
import type { OwnVendor } from './company.ts'

/**
 * A CRM of the tests' own that has calls of its own: its webhook names calls without telling of them, and tells what
 * happened to its records. Nothing of it is any vendor's.
 */

const config = z.object({
  baseUrl: z.url(),
  token: secretValue,
  hook: secretList,
  ownNumbers: z.array(z.string()).default([]),
})
type Context = ConnectorContext<z.output<typeof config>>

const told = z.object({
  calls: z.array(z.string()).optional(),
  ended: z.array(z.object({ id: z.string(), phone: z.string(), startedAt: z.string() })).optional(),
  changes: z
    .array(
      z.object({
        change: z.enum(['erased', 'deleted', 'merged']),
        type: z.string(),
        id: z.string(),
        into: z.string().optional(),
      }),
    )
    .optional(),
})
const loggedCall = z.object({ id: z.string(), phone: z.string(), startedAt: z.string() })
const people = z.array(
  z.object({
    type: z.string(),
    id: z.string(),
    name: z.string(),
    hasOpenDeal: z.boolean().default(false),
    isAgents: z.boolean().default(false),
    lastActivityAt: z.string().default('2026-01-01T00:00:00.000Z'),
    createdAt: z.string().default('2026-01-01T00:00:00.000Z'),
  }),
)
const field = z.object({ name: z.string(), label: z.string(), type: z.enum(['text', 'number', 'boolean']) })
const made = z.object({ id: z.string() })

const eventOf = ({ id, phone, startedAt }: z.output<typeof loggedCall>) => ({
  key: `${id}:ended`,
  callId: id,
  phase: 'ended' as const,
  facts: {
    direction: 'inbound' as const,
    result: 'answered' as const,
    from: { phone, phoneRaw: phone },
    startedAt,
    endedAt: startedAt,
    recordingExpected: false,
  },
})

async function ask(ctx: Context, method: string, path: string, json?: unknown): Promise<Response> {
  const headers = { authorization: `Bearer ${ctx.config.token}`, 'content-type': 'application/json' }
  const body = json === undefined ? {} : { body: JSON.stringify(json) }
  return ctx.fetch(`${ctx.config.baseUrl}${path}`, { method, headers, ...body })
}
const said = (response: Response, ctx: Context) => failOn(response, { what: 'Desk', now: ctx.now })

const connector = defineConnector({
  id: 'desk',
  name: 'Desk',
  docs: 'https://desk.example',
  config,
  check: async (ctx) => {
    await said(await ask(ctx, 'GET', '/people?phone='), ctx)
    return { says: 'fine' }
  },
  telephony: {
    webhook: {
      verify: ({ hook }) => ({ scheme: 'token', place: { header: 'x-desk-hook' }, secrets: hook }),
      receive: (request) => {
        const { calls = [], ended = [], changes = [] } = told.parse(request.json())
        const known = changes.map(({ into, ...change }) =>
          into === undefined ? change : { ...change, into },
        )
        return { events: ended.map(eventOf), lookUp: calls, changes: known }
      },
    },
    async lookUp(ids, ctx) {
      const events = []
      for (const id of ids) {
        const response = await ask(ctx, 'GET', `/calls/${id}`)
        if (response.status === 404) continue
        events.push(eventOf(await readReply(await said(response, ctx), loggedCall, 'Desk')))
      }
      return events
    },
  },
  crm: {
    indexLagMs: 0,
    async match(call, ctx) {
      const phone = numberToMatch(call, ctx.config, ctx.region)
      if (phone === null) return []
      const path = `/people?phone=${encodeURIComponent(phone)}`
      const found = await readReply(await said(await ask(ctx, 'GET', path), ctx), people, 'Desk')
      return found.map((one) => ({ ...one, reason: 'same number' }))
    },
    plan({ call, analysis, target, logged, fields }: CrmRecord): PlannedPart[] {
      const mapped = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, String(value)]))
      const own: Record<string, string> = logged ? mapped : { subject: call.reference ?? 'a call', ...mapped }
      const summary: Record<string, string> = analysis?.summary ? { summary: analysis.summary } : {}
      const on: Record<string, string> = target ? { on: `${target.type}/${target.id}` } : {}
      return [
        { key: 'call', kind: 'call', fields: { ...own, ...summary, ...(logged ? {} : on) } },
        { key: 'note', kind: 'note', fields: { text: call.reference ?? 'nothing', ...on } },
      ]
    },
    newContact({ customer }, { config, region }) {
      if (!customer?.phone || isOwnNumber(customer.phone, config, region)) return null
      return { key: 'contact', kind: 'contact', fields: { phone: customer.phone } }
    },
    async fields(ctx) {
      return readReply(await said(await ask(ctx, 'GET', '/fields'), ctx), z.array(field), 'Desk')
    },
    /** Its API makes every field but those that hold money. */
    async setUp(wanted, ctx) {
      const known = await readReply(await said(await ask(ctx, 'GET', '/fields'), ctx), z.array(field), 'Desk')
      const done: SetUp[] = []
      for (const one of wanted) {
        const what = `the field ${one.name} of calls`
        if (known.some(({ name }) => name === one.name)) done.push({ what, state: 'was there' })
        else if (one.name.includes('money'))
          done.push({ what, state: 'by hand', fix: `Make ${one.label} at Desk` })
        else {
          await said(await ask(ctx, 'POST', '/fields', one), ctx)
          done.push({ what, state: 'made' })
        }
      }
      return done
    },
    async write({ kind, externalId, fields, idempotencyKey }: WritePart, _record, _written, ctx) {
      const [method, path] =
        externalId === null ? ['POST', `/${kind}s`] : ['PATCH', `/${kind}s/${externalId}`]
      const response = await said(await ask(ctx, method, path, { ...fields, key: idempotencyKey }), ctx)
      return readReply(response, made, 'Desk')
    },
    async find({ kind, idempotencyKey }: WritePart, _record, _written, ctx) {
      const path = `/${kind}s?key=${encodeURIComponent(idempotencyKey)}`
      const [found] = await readReply(await said(await ask(ctx, 'GET', path), ctx), z.array(made), 'Desk')
      return found?.id ?? null
    },
  },
})

const createSandbox: CreateSandbox = ({ account }) => {
  const records = new Map<string, { kind: string; id: string; fields: Record<string, unknown> }>()
  let lastId = 50
  const put = (kind: string, fields: Record<string, unknown>, id = String(++lastId)) => {
    records.set(`${kind}/${id}`, { kind, id, fields })
    return id
  }
  const singular = (plural: string) => (plural === 'people' ? 'contact' : plural.replace(/s$/, ''))
  const app = new Hono()
  app.use(async (c, next) =>
    c.req.header('authorization') === `Bearer ${account.token}` ? next() : c.json({ error: 'who?' }, 401),
  )
  const named: unknown[] = []
  app.get('/fields', (c) => c.json(named))
  app.post('/fields', async (c) => {
    named.push(await c.req.json())
    return c.json({})
  })
  app.get('/people', (c) => {
    const phone = c.req.query('phone')
    const found = [...records.values()].filter(
      ({ kind, fields }) => kind === 'contact' && fields.phone === phone,
    )
    return c.json(
      found.map(({ id, fields }) => ({ type: 'contact', name: 'Somebody', ...fields, phone: undefined, id })),
    )
  })
  app.get('/:kind', (c) => {
    const kind = singular(c.req.param('kind'))
    const found = [...records.values()].filter(
      (one) => one.kind === kind && one.fields.key === c.req.query('key'),
    )
    return c.json(found.map(({ id }) => ({ id })))
  })
  app.get('/:kind/:id', (c) => {
    const { kind, id } = c.req.param()
    const found = records.get(`${singular(kind)}/${id}`)
    return found ? c.json({ ...found.fields, id }) : c.json({ error: 'no' }, 404)
  })
  app.post('/:kind', async (c) => {
    const fields = z.record(z.string(), z.unknown()).parse(await c.req.json())
    return c.json({ id: put(singular(c.req.param('kind')), fields) })
  })
  app.patch('/:kind/:id', async (c) => {
    const { kind, id } = c.req.param()
    const found = records.get(`${singular(kind)}/${id}`)
    if (!found) return c.json({ error: 'no' }, 404)
    Object.assign(found.fields, z.record(z.string(), z.unknown()).parse(await c.req.json()))
    return c.json({ id })
  })
  app.delete('/:kind/:id', (c) => {
    const { kind, id } = c.req.param()
    return c.json({ gone: records.delete(`${singular(kind)}/${id}`) })
  })
  return {
    app,
    fail: () => undefined,
    book: () => [...records.values()].map((one) => ({ ...one, key: String(one.fields.key ?? '') || null })),
    addContact: ({ name, phone }) => put('contact', { name, phone }),
    /** One line per call: what a dialler of the CRM's own wrote. */
    place: ({ id, customerPhone, startedAt }) => {
      put(
        'call',
        { phone: customerPhone, startedAt: new Date(startedAt).toISOString(), notes: 'own words' },
        id,
      )
      return []
    },
  }
}

/** The vendor as `install` takes it. */
export const DESK: OwnVendor = { connector, createSandbox }
export const DESK_SETTINGS = { token: 'desk-token-0001', hook: 'desk-hook-secret-0001' }

let sent = 0
/** A webhook of it; each is another delivery. */
export function deskWebhook(body: z.input<typeof told>) {
  sent += 1
  const headers = { 'content-type': 'application/json' }
  return {
    says: 'changed',
    method: 'POST',
    path: '',
    headers,
    body: JSON.stringify({ ...body, nr: sent }),
  }
}
