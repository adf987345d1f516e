import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { z } from 'zod'
import { nationalForm, normalisePhone, phoneTail } from '../../src/call/phone.ts'
import { type CreateSandbox, createFaults, type SandboxRecord } from '../../src/connector/sandbox.ts'
import { ASSOCIATIONS } from './map.ts'
import { config, type Search } from './schema.ts'

/**
 * A stand-in of one HubSpot account, written from its guides: the dated object, association, owner, property and
 * account routes that this connector calls. Searches see a record only `indexLagMs` after it was written; reads by id
 * and through associations see it at once (HubSpot documents the first, not the second).
 */
const extras = z.object({
  region: z.string().optional(),
  indexLagMs: z.number().default(0),
  /** Absent: the token has every scope. */
  scopes: z.array(z.string()).optional(),
  people: z.array(z.object({ id: z.string(), email: z.string() })).default([]),
})

const KINDS = {
  contacts: 'contact',
  companies: 'company',
  calls: 'call',
  notes: 'note',
  tasks: 'task',
} as const
type Kind = (typeof KINDS)[keyof typeof KINDS]

interface Stored {
  id: string
  kind: Kind
  properties: Record<string, string | null>
  /** `<kind>/<id>` of the records it stands on, and of what stands on it. */
  on: Set<string>
  createdAt: number
  updatedAt: number
  searchableAt: number
  /** What HubSpot works out of the numbers: searchable, not writable. */
  phones: Record<string, string>
}

const ANY_STRINGS = z.record(z.string(), z.string())
const CREATE = z.object({
  properties: ANY_STRINGS,
  associations: z.array(
    z.object({
      to: z.object({ id: z.string() }),
      types: z.array(z.object({ associationCategory: z.string(), associationTypeId: z.int() })).min(1),
    }),
  ),
})
const UPDATE = z.object({ properties: ANY_STRINGS })
const UPSERT = z.object({
  inputs: z
    .array(z.object({ id: z.string(), idProperty: z.string(), properties: ANY_STRINGS }))
    .min(1)
    .max(100),
})
const READ = z.object({
  inputs: z
    .array(z.object({ id: z.string() }))
    .min(1)
    .max(100),
})
const FILTER = z.object({
  propertyName: z.string(),
  operator: z.enum(['EQ', 'CONTAINS_TOKEN', 'BETWEEN']),
  value: z.string(),
  highValue: z.string().optional(),
})
const SEARCH = z.object({
  filterGroups: z.array(z.object({ filters: z.array(FILTER).min(1).max(6) })).max(5),
  limit: z.int().min(1).max(200).default(10),
})

export const createSandbox: CreateSandbox = (options) => {
  const { now, random } = options
  const account = config.parse(options.account)
  const { indexLagMs, scopes, people, region } = extras.parse(options.account)
  const portalId = Number(account.portalId ?? 24_000_001)
  const records = new Map<string, Stored>()
  /** By the last seven digits of a number, so that a search does not read every contact. */
  const byTail = new Map<string, Set<Stored>>()
  const faults = createFaults()
  const app = new Hono()
  let lastId = 100_000_000_000

  const of = (kind: Kind, id: string | undefined) => records.get(`${kind}/${id}`)

  function store(kind: Kind, properties: Record<string, string>, searchableAt: number): Stored {
    lastId += 1 + Math.floor(random() * 1000)
    const at = now()
    const id = String(lastId)
    const on = new Set<string>()
    const record: Stored = {
      id,
      kind,
      properties,
      on,
      createdAt: at,
      updatedAt: at,
      searchableAt,
      phones: {},
    }
    records.set(`${kind}/${id}`, record)
    index(record)
    return record
  }

  function index(record: Stored): void {
    record.phones = phoneIndex(record, region)
    for (const phone of [record.properties.phone, record.properties.mobilephone]) {
      const tail = phoneTail(phone ?? '')
      if (tail !== '') byTail.set(tail, (byTail.get(tail) ?? new Set()).add(record))
    }
  }

  /** All records that a search might mean. */
  function candidates(groups: Search['filterGroups']): Iterable<Stored> {
    const tails = groups.flatMap(({ filters }) =>
      filters.map(({ operator, value }) => (operator === 'BETWEEN' ? '' : phoneTail(value))),
    )
    if (tails.length === 0 || tails.some((tail) => tail.length < 7)) return records.values()
    return new Set(tails.flatMap((tail) => [...(byTail.get(tail) ?? [])]))
  }

  function join(one: Stored, other: Stored): void {
    one.on.add(`${other.kind}/${other.id}`)
    other.on.add(`${one.kind}/${one.id}`)
  }

  function shown(record: Stored, associations = ''): Record<string, unknown> {
    const named: Record<string, { results: { id: string; type: string }[] }> = {}
    for (const type of associations.split(',').filter(Boolean)) {
      const kind = KINDS[type as keyof typeof KINDS]
      const ids = [...record.on]
        .filter((key) => key.startsWith(`${kind}/`))
        .map((key) => key.split('/')[1] ?? '')
      if (ids.length > 0)
        named[type] = { results: ids.map((id) => ({ id, type: `${record.kind}_to_${kind}` })) }
    }
    return {
      id: record.id,
      properties: { ...record.properties, hs_object_id: record.id, ...record.phones },
      createdAt: new Date(record.createdAt).toISOString(),
      updatedAt: new Date(record.updatedAt).toISOString(),
      archived: false,
      ...(Object.keys(named).length > 0 ? { associations: named } : {}),
    }
  }

  /** What HubSpot would say against these properties; null when it takes them. */
  function objection(kind: Kind, properties: Record<string, string>, self?: Stored): Refusal | null {
    if (kind !== 'contact' && kind !== 'company' && !self && !properties.hs_timestamp) {
      return refusal('Property values were not valid: hs_timestamp is required')
    }
    if ((properties.hs_note_body?.length ?? 0) > 65_536)
      return refusal('hs_note_body is longer than 65536 characters')
    const direction = properties.hs_call_direction
    if (direction !== undefined && !['INBOUND', 'OUTBOUND'].includes(direction)) {
      return refusal(`${direction} was not one of the allowed options: [INBOUND, OUTBOUND]`)
    }
    for (const name of ['hs_call_duration', 'hubspot_owner_id']) {
      if (!/^\d*$/.test(properties[name] ?? '')) return refusal(`${name} is no number`)
    }
    const email = kind === 'contact' ? properties.email?.toLowerCase() : undefined
    if (!email) return null
    const double = records
      .values()
      .find(
        (other) => other.kind === kind && other !== self && other.properties.email?.toLowerCase() === email,
      )
    if (!double) return null
    return { status: 409, category: 'CONFLICT', message: `Contact already exists. Existing ID: ${double.id}` }
  }

  // A request that is made to hang ends with its caller's abort: that is no error of the stand-in.
  app.onError((error) => Promise.reject(error))
  app.use(faults.middleware)
  app.use(async (c, next) => {
    if (c.req.header('authorization') === `Bearer ${account.token}`) return next()
    return refuse(c, {
      status: 401,
      category: 'INVALID_AUTHENTICATION',
      message: 'Authentication credentials not found.',
    })
  })
  app.use(scopeCheck(scopes))
  app.use(limiter(now, account.requestsPer10s, Math.max(5, account.searchPerSecond)))

  app.get('/account-info/:version/details', (c) =>
    c.json({ portalId, accountType: 'DEVELOPER_TEST', uiDomain: 'app.hubspot.com', timeZone: 'UTC' }),
  )
  app.get('/crm/owners/:version', (c) => {
    const email = c.req.query('email')
    const all = people.map((person) => ({
      ...person,
      type: 'PERSON',
      userId: Number(person.id) + 1,
      archived: false,
    }))
    return c.json({ results: email === undefined ? all : all.filter((person) => person.email === email) })
  })
  app.get('/crm/properties/:version/calls/:name', (c) => {
    const name = c.req.param('name')
    if (name !== account.externalIdProperty) return refuse(c, missing(`Property ${name}`))
    return c.json({ name, label: name, type: 'string', fieldType: 'text', hasUniqueValue: true })
  })
  app.put('/crm/objects/:version/:from/:fromId/associations/default/:to/:toId', (c) => {
    const { from, fromId, to, toId } = c.req.param()
    const one = of(from as Kind, fromId)
    const other = of(to as Kind, toId)
    if (!one || !other) return refuse(c, missing('One of the records'))
    join(one, other)
    return c.json({ status: 'COMPLETE', results: [{ from: { id: fromId }, to: { id: toId } }] })
  })

  const objects = '/crm/objects/:version/:type'
  type Handler<Schema extends z.ZodType> = (c: Context, kind: Kind, asked: z.output<Schema>) => Response
  const taking =
    <Schema extends z.ZodType>(schema: Schema, handler: Handler<Schema>) =>
    async (c: Context) => {
      const kind = new Map<string, Kind>(Object.entries(KINDS)).get(c.req.param('type') ?? '')
      if (!kind) return refuse(c, missing('This object type'))
      const asked = schema.safeParse(await c.req.json().catch(() => null))
      return asked.success ? handler(c, kind, asked.data) : refuse(c, refusal('Invalid input JSON'))
    }

  const search = taking(SEARCH, (c, kind, { filterGroups, limit }) => {
    const found = [...candidates(filterGroups)].filter(
      (record) => record.kind === kind && record.searchableAt <= now() && matches(record, filterGroups),
    )
    return c.json({ total: found.length, results: found.slice(0, limit).map((record) => shown(record)) })
  })
  const readMany = taking(READ, (c, kind, { inputs }) => {
    const found = inputs.flatMap(({ id }) => of(kind, id) ?? [])
    return c.json({ status: 'COMPLETE', results: found.map((record) => shown(record)) })
  })
  const upsert = taking(UPSERT, (c, kind, { inputs }) => {
    const results: Record<string, unknown>[] = []
    const errors: { status: string; category: string; message: string }[] = []
    for (const { id, idProperty, properties } of inputs) {
      if (idProperty !== account.externalIdProperty) {
        return refuse(c, refusal(`Unable to perform upsert by non-unique property ${idProperty}`))
      }
      const same = records.values().find((one) => one.kind === kind && one.properties[idProperty] === id)
      const no = objection(kind, properties, same)
      if (no) errors.push({ status: 'error', category: no.category, message: no.message })
      else results.push({ ...shown(same ? change(same, properties) : make(kind, properties)), new: !same })
    }
    if (errors.length === 0) return c.json({ status: 'COMPLETE', results })
    return c.json({ status: 'COMPLETE', results, errors, numErrors: errors.length }, 207)
  })
  const list = taking(z.unknown(), (c, kind) => {
    const all = [...records.values()].filter((record) => record.kind === kind)
    const limit = Number(c.req.query('limit') ?? 10)
    return c.json({ results: all.slice(0, limit).map((record) => shown(record)) })
  })
  const create = taking(CREATE, (c, kind, asked) => {
    const no = objection(kind, asked.properties)
    if (no) return refuse(c, no)
    const others: Stored[] = []
    for (const { to, types } of asked.associations) {
      const known = Object.entries(ASSOCIATIONS[kind] ?? {})
      const target = known.find(([, id]) => id === types[0]?.associationTypeId)?.[0]
      const other = of(target as Kind, to.id)
      if (!other) return refuse(c, refusal(`No ${target ?? 'record'} of this association exists`))
      others.push(other)
    }
    const record = make(kind, asked.properties)
    for (const other of others) join(record, other)
    return c.json(shown(record), 201)
  })
  const get = taking(z.unknown(), (c, kind) => {
    const record = located(kind, c)
    return record ? c.json(shown(record, c.req.query('associations'))) : refuse(c, missing('resource'))
  })
  const update = taking(UPDATE, (c, kind, { properties }) => {
    const record = located(kind, c)
    if (!record) return refuse(c, missing('resource'))
    const no = objection(kind, properties, record)
    return no ? refuse(c, no) : c.json(shown(change(record, properties)))
  })
  app.post(`${objects}/search`, search)
  app.post(`${objects}/batch/read`, readMany)
  app.post(`${objects}/batch/upsert`, upsert)
  app.get(objects, list).post(objects, create)
  app.get(`${objects}/:id`, get).patch(`${objects}/:id`, update)

  function located(kind: Kind, c: Context): Stored | undefined {
    const id = c.req.param('id')
    const property = c.req.query('idProperty')
    if (property === undefined) return of(kind, id)
    return records.values().find((record) => record.kind === kind && record.properties[property] === id)
  }
  function make(kind: Kind, properties: Record<string, string>): Stored {
    return store(kind, properties, now() + indexLagMs)
  }
  function change(record: Stored, properties: Record<string, string>): Stored {
    Object.assign(record.properties, properties)
    record.updatedAt = now()
    index(record)
    return record
  }

  return {
    app,
    fail: faults.fail,
    book: () =>
      [...records.values()].map(
        ({ kind, id, properties, on }): SandboxRecord => ({
          kind,
          id,
          key: keyOf(properties),
          fields: { ...properties, associations: [...on].sort() },
        }),
      ),
    addContact: ({ name, phone }) =>
      store('contact', { firstname: name, phone }, Number.NEGATIVE_INFINITY).id,
  }
}

// ── Search ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Area code and local number, without the country code: how the search guide describes the phone index. */
function phoneIndex({ kind, properties }: Stored, region: string | undefined): Record<string, string> {
  if (kind !== 'contact') return {}
  const national = (phone: string | null | undefined) => {
    const { e164 } = normalisePhone(phone, region)
    return (e164 && nationalForm(e164)) ?? phone?.replace(/\D/g, '') ?? ''
  }
  return {
    hs_searchable_calculated_phone_number: national(properties.phone),
    hs_searchable_calculated_mobile_number: national(properties.mobilephone),
  }
}

function matches(record: Stored, groups: Search['filterGroups']): boolean {
  const properties: Stored['properties'] = { ...record.properties, ...record.phones }
  return groups.some(({ filters }) =>
    filters.every(({ propertyName, operator, value, highValue }) => {
      const held = properties[propertyName]
      if (!held) return false
      if (operator === 'EQ') return held.toLowerCase() === value.toLowerCase()
      if (operator === 'BETWEEN') {
        const at = /^\d+$/.test(held) ? Number(held) : Date.parse(held)
        return at >= Number(value) && at <= Number(highValue)
      }
      const tokens = held.toLowerCase().split(/[^\p{L}\p{N}]+/u)
      const wanted = value.toLowerCase().replaceAll('*', '')
      return tokens.some(
        (token) =>
          token === wanted ||
          (value.startsWith('*') && token.endsWith(wanted)) ||
          (value.endsWith('*') && token.startsWith(wanted)),
      )
    }),
  )
}

function keyOf(properties: Stored['properties']): string | null {
  const body = properties.hs_call_body ?? properties.hs_note_body ?? properties.hs_task_body ?? ''
  return properties.hs_call_external_id ?? /<p>Cordboard ref ([^<]+)<\/p>$/.exec(body)?.[1] ?? null
}

// ── Refusals ────────────────────────────────────────────────────────────────────────────────────────────────────────

interface Refusal {
  status: 400 | 401 | 403 | 404 | 409
  category: string
  message: string
  errors?: unknown[]
}

function refusal(message: string): Refusal {
  return { status: 400, category: 'VALIDATION_ERROR', message }
}

function missing(what: string): Refusal {
  return { status: 404, category: 'OBJECT_NOT_FOUND', message: `${what} not found` }
}

function refuse(c: Context, { status, ...said }: Refusal): Response {
  return c.json({ status: 'error', correlationId: '00000000-0000-4000-8000-000000000000', ...said }, status)
}

/** Calls, notes and tasks have no scope of their own: they go with contacts. */
function scopeCheck(scopes: readonly string[] | undefined): MiddlewareHandler {
  return async (c, next) => {
    const verb = c.req.method === 'GET' || /\/(?:search|read)$/.test(c.req.path) ? 'read' : 'write'
    const kind = /\/(owners|companies)\//.exec(`${c.req.path}/`)?.[1] ?? 'contacts'
    const needed = `crm.objects.${kind}.${verb}`
    if (!c.req.path.includes(`/crm/o`) || !scopes || scopes.includes(needed)) return next()
    return refuse(c, {
      status: 403,
      category: 'MISSING_SCOPES',
      message: 'This app hasn’t been granted all required scopes to make this call.',
      errors: [
        { message: 'One or more scopes are required.', context: { requiredGranularScopes: [needed] } },
      ],
    })
  }
}

/** Searches count by the second and the account, everything else by ten seconds and the app. */
function limiter(now: () => number, per10s: number, searches: number): MiddlewareHandler {
  const general = rolling(per10s, 10_000)
  const search = rolling(searches, 1000)
  return async (c, next) => {
    const isSearch = c.req.path.endsWith('/search')
    if (isSearch ? search(now()) : general(now())) return next()
    const policyName = isSearch ? 'SECONDLY' : 'TEN_SECONDLY_ROLLING'
    const message = isSearch
      ? 'You have reached your secondly limit.'
      : 'You have reached your ten_secondly_rolling limit.'
    return c.json(
      { status: 'error', message, errorType: 'RATE_LIMIT', policyName, requestId: 'stand-in' },
      429,
    )
  }
}

function rolling(limit: number, windowMs: number): (now: number) => boolean {
  let taken: number[] = []
  return (at) => {
    if (taken.length >= limit) taken = taken.filter((before) => at - before < windowMs)
    if (taken.length >= limit) return false
    taken.push(at)
    return true
  }
}
