import { type Context, Hono } from 'hono'
import { z } from 'zod'
import { normalisePhone } from '../../src/call/phone.ts'
import { asObject } from '../../src/connector/json.ts'
import { placedId } from '../../src/connector/placed-id.ts'
import {
  type CreateSandbox,
  createFaults,
  type SampleCall,
  type SandboxRecord,
} from '../../src/connector/sandbox.ts'
import { LISTS } from './map.ts'
import { CALL, ENTITY, NOTE, TASK, UNSORTED, WEBHOOK } from './sandbox/bodies.ts'
import { config } from './schema.ts'

/**
 * A stand-in of one Kommo account, written from its documents and its own library (the README names them): records, notes,
 * calls, tasks, fields, users, webhooks and the token endpoint, as far as this connector calls them.
 */
const extras = z.object({
  region: z.string().default('FR'),
  indexLagMs: z.number().default(0),
  /** Kommo allows 7; tests whose clock stands still would wait for ever. */
  refusesBeyond: z.number().default(1000),
  isAdmin: z.boolean().default(true),
  users: z
    .array(z.object({ id: z.int(), email: z.string() }))
    .default([{ id: 9001, email: 'alice.martin@example.com' }]),
  customFields: z
    .array(
      z.object({
        of: z.enum(['contacts', 'leads', 'companies']),
        id: z.int(),
        name: z.string(),
        code: z.string().nullable(),
        type: z.string(),
        enums: z.array(z.object({ id: z.int(), value: z.string() })).optional(),
      }),
    )
    .default([]),
})

const ENTITIES: readonly string[] = Object.values(LISTS)
interface Stored {
  id: string
  /** `contacts`, `leads` …, `notes`, `tasks`, `webhooks`. */
  list: string
  /** Of notes: the list and the id of their record. */
  on?: { list: string; id: string }
  fields: Record<string, unknown>
  at: number
  changedAt: number
  searchableAt: number
}

type FieldName = { field_id?: number | undefined; field_code?: string | undefined }
const ACCOUNT_ID = '31000001'
const ACCESS_MS = 86_400_000

export const createSandbox: CreateSandbox = (options) => {
  const { now, random } = options
  const account = config.parse(options.account)
  const { region, indexLagMs, refusesBeyond, isAdmin, users, customFields } = extras.parse(options.account)
  const records = new Map<string, Stored>()
  const access = new Map<string, number>()
  const refreshTokens = new Set(account.oauth ? [account.oauth.refreshToken] : [])
  const audio = new Map<string, SampleCall['audio']>()
  const faults = createFaults()
  const app = new Hono()
  let lastId = 1000
  let asked: number[] = []

  function store(
    list: string,
    fields: Stored['fields'],
    on?: Stored['on'],
    searchableAt = now() + indexLagMs,
  ) {
    lastId += 1 + Math.floor(random() * 9)
    const record: Stored = {
      id: String(lastId),
      list,
      fields,
      at: now(),
      changedAt: now(),
      searchableAt,
      ...(on === undefined ? {} : { on }),
    }
    records.set(record.id, record)
    return record
  }
  const of = (list: string, id: unknown): Stored | undefined => {
    const found = records.get(String(id))
    return found?.list === list ? found : undefined
  }
  const all = (list: string) => [...records.values()].filter((one) => one.list === list).reverse()
  const seconds = (ms: number) => Math.floor(ms / 1000)
  const shown = (one: Stored) => ({
    ...one.fields,
    id: Number(one.id),
    ...(one.on ? { entity_id: Number(one.on.id) } : {}),
    created_at: seconds(one.at),
    updated_at: seconds(one.changedAt),
    account_id: Number(ACCOUNT_ID),
    ...(one.list === 'contacts'
      ? { _embedded: { leads: leadsOf(one.id).map((lead) => ({ id: Number(lead.id) })) } }
      : {}),
  })
  const leadsOf = (contact: string) => all('leads').filter(({ fields }) => String(fields.contact) === contact)

  /** Nothing found is no content. */
  function page(c: Context, name: string, found: readonly Stored[]): Response {
    const limit = Number(c.req.query('limit') ?? 50)
    if (limit > 250) return problem(c, 400, 'limit must be at most 250')
    const from = (Number(c.req.query('page') ?? 1) - 1) * limit
    const items = found.slice(from, from + limit)
    return items.length === 0
      ? c.body(null, 204)
      : c.json({ _page: 1, _embedded: { [name]: items.map(shown) } })
  }
  const problem = (c: Context, status: 400 | 401 | 403 | 404 | 429, detail: string) =>
    c.json({ title: 'Error', type: 'https://httpstatus.es', status, detail }, status, {
      'content-type': 'application/problem+json',
    })
  const made = (c: Context, name: string, items: readonly Stored[]) =>
    c.json({ _embedded: { [name]: items.map(({ id }) => ({ id: Number(id), request_id: '0' })) } })
  async function listIn<Schema extends z.ZodType>(
    c: Context,
    schema: Schema,
  ): Promise<z.output<Schema>[] | null> {
    return (
      z
        .array(schema)
        .min(1)
        .safeParse(await c.req.json().catch(() => null)).data ?? null
    )
  }
  /** What stands in brackets: `filter[id][0]=1`. */
  const many = (c: Context, name: string) =>
    [...new URL(c.req.url).searchParams]
      .filter(([key]) => key.startsWith(`${name}[`))
      .map(([, value]) => value)

  app.onError((error) => Promise.reject(error))
  app.use(faults.middleware)
  app.get('/records/:name', (c) => {
    const kept = audio.get(c.req.param('name'))
    return kept ? c.body(new Uint8Array(kept.bytes), 200, { 'content-type': 'audio/mpeg' }) : c.notFound()
  })
  app.post('/oauth2/access_token', async (c) => {
    const form = z.record(z.string(), z.string()).parse(await c.req.json())
    const { oauth } = account
    const isOurs =
      form.client_id === oauth?.clientId &&
      form.client_secret === oauth?.clientSecret &&
      form.redirect_uri === oauth?.redirectUri
    if (!isOurs) return problem(c, 401, 'client is not authorised')
    // Used once: whoever sends it again is refused.
    if (form.grant_type !== 'refresh_token' || !refreshTokens.delete(form.refresh_token ?? ''))
      return problem(c, 400, 'refresh token is not valid')
    const given = `stand-in-access-${access.size + 1}`
    const keep = `stand-in-refresh-${access.size + 1}`
    access.set(given, now() + ACCESS_MS)
    refreshTokens.add(keep)
    return c.json({ token_type: 'Bearer', expires_in: 86_400, access_token: given, refresh_token: keep })
  })
  app.use(async (c, next) => {
    const bearer = /^Bearer (.+)$/.exec(c.req.header('authorization') ?? '')?.[1] ?? ''
    const isGood = account.token === undefined ? (access.get(bearer) ?? 0) > now() : bearer === account.token
    if (!isGood) return problem(c, 401, 'Unauthorized')
    asked = asked.filter((at) => now() - at < 1000)
    if (asked.push(now()) > refusesBeyond) return problem(c, 429, 'Too many requests')
    return next()
  })

  app.get('/api/v4/account', (c) =>
    c.json({ id: Number(ACCOUNT_ID), name: 'Stand-in', subdomain: 'stand-in' }),
  )
  app.get('/api/v4/users', (c) => {
    if (!isAdmin) return problem(c, 403, 'Only for administrators')
    const limit = Number(c.req.query('limit') ?? 50)
    const from = (Number(c.req.query('page') ?? 1) - 1) * limit
    const some = users.slice(from, from + Math.min(limit, 250))
    return some.length === 0 ? c.body(null, 204) : c.json({ _embedded: { users: some } })
  })

  app.get('/api/v4/tasks', (c) => {
    const ids = many(c, 'filter[entity_id]')
    const type = c.req.query('filter[entity_type]')
    const since = Number(c.req.query('filter[updated_at][from]') ?? 0)
    const found = all('tasks').filter(
      ({ fields, changedAt }) =>
        seconds(changedAt) >= since &&
        (type === undefined || fields.entity_type === type) &&
        (ids.length === 0 || ids.includes(String(fields.entity_id))),
    )
    return page(c, 'tasks', found)
  })
  app.post('/api/v4/tasks', async (c) => {
    const list = await listIn(c, TASK)
    if (!list) return problem(c, 400, 'Request validation failed')
    const strange = list.find(
      (one) => one.entity_id !== undefined && !of(one.entity_type ?? '', one.entity_id),
    )
    if (strange) return problem(c, 400, 'entity_id: NotSupportedChoice')
    return made(
      c,
      'tasks',
      list.map((one) => store('tasks', one)),
    )
  })
  app.patch('/api/v4/tasks/:id', async (c) => {
    const { entity_id, entity_type = '' } = TASK.partial()
      .catch({})
      .parse(await c.req.json())
    if (entity_id !== undefined && !of(entity_type, entity_id))
      return problem(c, 400, 'entity_id: NotSupportedChoice')
    return change(c, of('tasks', c.req.param('id')), TASK.partial())
  })

  app.get('/api/v4/webhooks', (c) => {
    if (!isAdmin) return problem(c, 403, 'Only for administrators')
    const destination = c.req.query('filter[destination]')
    return page(
      c,
      'webhooks',
      all('webhooks').filter(({ fields }) => destination === undefined || fields.destination === destination),
    )
  })
  app.post('/api/v4/webhooks', async (c) => {
    const body = WEBHOOK.safeParse(await c.req.json().catch(() => null)).data
    if (!isAdmin) return problem(c, 403, 'Only for administrators')
    if (!body) return problem(c, 400, 'Request validation failed')
    const before = all('webhooks').find(({ fields }) => fields.destination === body.destination)
    if (before) Object.assign(before.fields, body, { disabled: false })
    return c.json(shown(before ?? store('webhooks', { ...body, disabled: false })), 201)
  })

  /** Kommo's own search for the number: one active lead, else the contact or the company; else nothing is added. */
  app.post('/api/v4/calls', async (c) => {
    const list = await listIn(c, CALL)
    if (!list) return problem(c, 400, 'Request validation failed')
    const calls: unknown[] = []
    const errors: unknown[] = []
    for (const { direction, created_by: _, responsible_user_id: user, ...params } of list) {
      const found = ['contacts', 'companies'].flatMap((name) =>
        all(name).filter((one) => has(one, params.phone)),
      )[0]
      const open = found ? leadsOf(found.id).filter(({ fields }) => !fields.closed_at) : []
      const on = open.length === 1 ? open[0] : found
      if (!on) {
        errors.push({
          title: 'Entity not found',
          detail: `Entity not found by phone ${params.phone}`,
          status: 263,
          request_id: '0',
        })
        continue
      }
      const note_type = direction === 'inbound' ? 'call_in' : 'call_out'
      store('notes', { note_type, params, responsible_user_id: user }, { list: on.list, id: on.id })
      calls.push({ entity_id: Number(on.id), entity_type: on.list.slice(0, -1), request_id: '0' })
    }
    return c.json({ _total_items: calls.length, errors, _embedded: { calls } })
  })
  app.get('/api/v4/calls', (c) => c.json({ title: 'Method Not Allowed', status: 405 }, 405))

  app.post('/api/v4/leads/unsorted/sip', async (c) => {
    const list = await listIn(c, UNSORTED)
    if (!list) return problem(c, 400, 'Request validation failed')
    const unsorted = list.map(({ metadata, _embedded: { lead, contacts } }) => {
      const contact = store('contacts', contacts[0] ?? {})
      const made = store('leads', { ...lead, contact: Number(contact.id), unsorted: metadata })
      const embedded = { contacts: [{ id: Number(contact.id) }], leads: [{ id: Number(made.id) }] }
      return { uid: `uid-${made.id}`, request_id: '0', _embedded: embedded }
    })
    return c.json({ _total_items: unsorted.length, _embedded: { unsorted } })
  })

  // Behind the fixed ones: the first part of these is the kind of the record.
  app.get('/api/v4/:list', (c) => {
    const { list } = c.req.param()
    if (!ENTITIES.includes(list)) return problem(c, 404, 'Not found')
    const query = c.req.query('query')?.toLowerCase()
    const ids = many(c, 'filter[id]')
    const found = all(list).filter(
      (one) =>
        (ids.length === 0 || ids.includes(one.id)) &&
        (query === undefined ||
          (one.searchableAt <= now() && JSON.stringify(one.fields).toLowerCase().includes(query))),
    )
    return page(c, list, found)
  })
  app.post('/api/v4/:list', async (c) => {
    const { list } = c.req.param()
    const items = ENTITIES.includes(list) ? await listIn(c, ENTITY) : null
    if (!items) return problem(c, 400, 'Request validation failed')
    return made(
      c,
      list,
      items.map((one) => store(list, one)),
    )
  })
  app.get('/api/v4/:list/custom_fields', (c) => {
    const own = customFields.filter((one) => one.of === c.req.param('list'))
    const items = own.map(({ of: _, ...one }) => ({ ...one, is_api_only: false }))
    return items.length === 0 ? c.body(null, 204) : c.json({ _embedded: { custom_fields: items } })
  })
  app.get('/api/v4/:list/notes', (c) => page(c, 'notes', notesOf(c, c.req.param('list'))))
  app.get('/api/v4/:list/:id', (c) => {
    const found = of(c.req.param('list'), c.req.param('id'))
    return found ? c.json(shown(found)) : c.body(null, 204)
  })
  app.patch('/api/v4/:list/:id', async (c) => {
    const { list, id } = c.req.param()
    return change(c, of(list, id), ENTITY.partial())
  })
  app.patch('/api/v4/:list/notes/:id', async (c) => {
    const found = of('notes', c.req.param('id'))
    // A note names the record that it stands on; that another one moves it is not documented.
    const { entity_id: on } = asObject(await c.req.json().catch(() => null)) ?? {}
    if (on !== undefined && String(on) !== found?.on?.id)
      return problem(c, 400, 'entity_id: NotSupportedChoice')
    return change(c, found?.on?.list === c.req.param('list') ? found : undefined, NOTE)
  })
  app.get('/api/v4/:list/:id/notes', (c) => {
    const { list, id } = c.req.param()
    return page(
      c,
      'notes',
      notesOf(c, list).filter(({ on }) => on?.id === id),
    )
  })
  app.post('/api/v4/:list/:id/notes', async (c) => {
    const { list, id } = c.req.param()
    const items = await listIn(c, NOTE)
    if (!items || !of(list, id)) return problem(c, items ? 404 : 400, 'Request validation failed')
    return made(
      c,
      'notes',
      items.map((one) => store('notes', one, { list, id })),
    )
  })

  function notesOf(c: Context, list: string): Stored[] {
    const types = many(c, 'filter[note_type]')
    const since = Number(c.req.query('filter[updated_at][from]') ?? 0)
    const until = Number(c.req.query('filter[updated_at][to]') ?? Number.POSITIVE_INFINITY)
    return all('notes').filter(
      ({ on, fields, changedAt }) =>
        on?.list === list &&
        seconds(changedAt) >= since &&
        seconds(changedAt) <= until &&
        (types.length === 0 || types.includes(String(fields.note_type))),
    )
  }
  async function change(c: Context, found: Stored | undefined, schema: z.ZodType): Promise<Response> {
    const asked = schema.safeParse(await c.req.json().catch(() => null))
    if (!found) return problem(c, 404, 'Not found')
    if (!asked.success) return problem(c, 400, 'Request validation failed')
    const { custom_fields_values: values = [] } = ENTITY.catch({}).parse(asked.data)
    const before = ENTITY.catch({}).parse(found.fields).custom_fields_values ?? []
    Object.assign(found.fields, asked.data)
    // Only the fields that are named are changed.
    const others = before.filter((one) => !values.some((other) => isSameField(one, other)))
    if (values.length > 0) found.fields.custom_fields_values = [...others, ...values]
    found.changedAt = now()
    return c.json({ id: Number(found.id), updated_at: seconds(found.changedAt) })
  }
  const placeIn = (on: Stored['on'] | undefined, fields: Stored['fields']) => {
    if (on) return { type: on.list, id: on.id }
    const { entity_type: type, entity_id: id } = fields
    return typeof type === 'string' ? { type, id: String(id) } : null
  }
  const isSameField = (one: FieldName, other: FieldName) =>
    one.field_id === other.field_id && one.field_code === other.field_code
  const has = ({ fields }: Stored, phone: string) =>
    (ENTITY.parse(fields).custom_fields_values ?? []).some(
      ({ field_code, values }) =>
        field_code === 'PHONE' &&
        values.some(
          ({ value }) => normalisePhone(String(value), region).e164 === normalisePhone(phone, region).e164,
        ),
    )

  /** A call of another telephony, as the note of the contact that it belongs to. */
  function place(call: SampleCall) {
    const contact = addContact({ name: 'Jean Dupont', phone: call.customerPhone })
    if (call.audio) audio.set(`${call.id}.mp3`, call.audio)
    const link = `${options.baseUrl}/records/${call.id}.mp3`
    const duration = Math.round(call.talkMs / 1000)
    const call_status = { answered: 4, no_answer: 6, busy: 7 }[call.result]
    const isIn = call.direction === 'inbound'
    const params = { uniq: call.id, link, phone: call.customerPhone, duration, source: 'other', call_status }
    const endedAt = call.startedAt + call.ringMs + call.talkMs
    const fields = { note_type: isIn ? 'call_in' : 'call_out', params, created_by: 9001 }
    const kept = store('notes', fields, { list: 'contacts', id: contact })
    kept.at = endedAt
    const old = { UNIQ: call.id, LINK: link, PHONE: call.customerPhone, DURATION: duration, SRC: 'other' }
    const item: Record<string, string> = {
      id: kept.id,
      element_id: contact,
      element_type: '1',
      note_type: isIn ? '10' : '11',
      text: JSON.stringify({ ...old, call_status: String(call_status) }),
      created_by: '9001',
      created_at: String(seconds(endedAt)),
    }
    const form = new URLSearchParams()
    for (const [name, value] of Object.entries(item)) form.append(`contacts[note][0][note][${name}]`, value)
    form.append('account[id]', ACCOUNT_ID)
    form.append('account[subdomain]', 'stand-in')
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    return [
      {
        says: 'note of a contact',
        method: 'POST',
        path: `/${account.hookToken?.[0] ?? 'secret'}`,
        headers,
        body: form.toString(),
      },
    ]
  }
  function addContact({ name, phone }: { name: string; phone: string }): string {
    const custom_fields_values = [{ field_code: 'PHONE', values: [{ value: phone, enum_code: 'WORK' }] }]
    return store('contacts', { name, custom_fields_values }, undefined, Number.NEGATIVE_INFINITY).id
  }

  return {
    app,
    fail: faults.fail,
    place,
    addContact,
    book: () =>
      [...records.values()].map(({ id, list, on, fields }): SandboxRecord => {
        const params = z
          .object({ uniq: z.string().optional(), text: z.string().optional() })
          .safeParse(fields.params)
        const text = String(params.data?.text ?? fields.text ?? '')
        const key = params.data?.uniq ?? /Cordboard ref (\S+)$/.exec(text)?.[1] ?? null
        const isCall = list === 'notes' && String(fields.note_type).startsWith('call_')
        return {
          kind: isCall ? 'call' : list.replace(/s$/, ''),
          id: placedId(placeIn(on, fields), id),
          key,
          fields: { ...fields, ...(on ? { on: `${on.list}/${on.id}` } : {}) },
        }
      }),
  }
}
