import { type Context, Hono } from 'hono'
import { z } from 'zod'
import { placedId } from '../../src/connector/placed-id.ts'
import {
  type CreateSandbox,
  createFaults,
  type SampleCall,
  type SandboxRecord,
} from '../../src/connector/sandbox.ts'
import { LINKS, placeIn } from './map.ts'
import { ACTIVITY, CALL_LOG, NOTE, PERSON, WEBHOOK } from './sandbox/bodies.ts'
import { activity, config } from './schema.ts'

/**
 * A stand-in of one Pipedrive company, written from its documents and its own client (the README names them): persons,
 * activities, call logs, notes, files, fields, webhooks and the token endpoint, as far as this connector calls them.
 */
const extras = z.object({
  indexLagMs: z.number().default(0),
  users: z
    .array(z.object({ id: z.int(), email: z.string() }))
    .default([{ id: 9001, email: 'alice.martin@example.com' }]),
  /** False: a search that is not exact finds beginnings only. */
  searchesInside: z.boolean().default(true),
  /** What a second field list would show. */
  customFields: z
    .array(
      z.object({
        of: z.enum(['person', 'deal']),
        field_code: z.string(),
        field_name: z.string(),
        field_type: z.string(),
        options: z.array(z.object({ id: z.int(), label: z.string() })).optional(),
      }),
    )
    .default([]),
})

type Kind = 'person' | 'organization' | 'deal' | 'activity' | 'callLog' | 'note' | 'file' | 'webhook'
interface Stored {
  id: string
  kind: Kind
  fields: Record<string, unknown>
  at: number
  changedAt: number
  searchableAt: number
}

const ACCESS_MS = 3_600_000
const MOST_WEBHOOKS = 40

export const createSandbox: CreateSandbox = (options) => {
  const { now, random } = options
  const account = config.parse(options.account)
  const { indexLagMs, users, searchesInside, customFields } = extras.parse(options.account)
  const records = new Map<string, Stored>()
  const faults = createFaults()
  const app = new Hono()
  const access = new Map<string, number>()
  const refreshTokens = new Set(account.oauth ? [account.oauth.refreshToken] : [])
  let lastId = 1000
  let searched: number[] = []

  function store(kind: Kind, fields: Record<string, unknown>, searchableAt = now() + indexLagMs): Stored {
    lastId += 1 + Math.floor(random() * 9)
    const record = { id: String(lastId), kind, fields, at: now(), changedAt: now(), searchableAt }
    records.set(record.id, record)
    return record
  }
  const of = (kind: Kind, id: unknown): Stored | undefined => {
    const found = records.get(String(id))
    return found?.kind === kind ? found : undefined
  }
  const all = (kind: Kind) => [...records.values()].filter((record) => record.kind === kind)
  const newest = (kind: Kind) => all(kind).sort((a, b) => b.at - a.at || Number(b.id) - Number(a.id))
  const stamp = (ms: number) => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
  const shown = ({ id, kind, fields, at, changedAt }: Stored) => ({
    ...fields,
    id: kind === 'callLog' ? id : Number(id),
    add_time: stamp(at),
    update_time: stamp(changedAt),
  })
  const ok = (c: Context, data: unknown, status: 200 | 201 = 200) =>
    c.json({ success: true, data, additional_data: { next_cursor: null } }, status)
  const no = (c: Context, status: 400 | 401 | 403 | 404 | 410 | 429, error: string) =>
    c.json({ success: false, error, error_info: 'Please check developers.pipedrive.com', data: null }, status)
  const body = async (c: Context): Promise<unknown> => c.req.json().catch(() => null)

  /** What stands for a record that is named and not there. */
  function strangers(fields: Record<string, unknown>): string | null {
    const named: [string, Kind][] = [
      ['person_id', 'person'],
      ['org_id', 'organization'],
      ['deal_id', 'deal'],
    ]
    const missing = named.find(([name, kind]) => fields[name] !== undefined && !of(kind, fields[name]))
    return missing ? `${missing[0]} does not exist` : null
  }

  /** The person of an activity is its primary participant. */
  function activityFields(asked: z.output<typeof ACTIVITY>): Record<string, unknown> {
    const person = asked.participants?.find(({ primary }) => primary)?.person_id
    return { ...asked, ...(person === undefined ? {} : { person_id: person }) }
  }

  app.onError((error) => Promise.reject(error))
  app.use(faults.middleware)
  app.post('/oauth/token', async (c) => {
    const { oauth } = account
    const login = oauth && btoa(`${oauth.clientId}:${oauth.clientSecret}`)
    if (c.req.header('authorization') !== `Basic ${login}`) return c.json({ error: 'invalid_client' }, 401)
    const form = new URLSearchParams(await c.req.text())
    if (form.get('grant_type') !== 'refresh_token' || !refreshTokens.has(form.get('refresh_token') ?? ''))
      return c.json({ error: 'invalid_grant' }, 400)
    const given = `stand-in-access-${access.size + 1}`
    const keep = `stand-in-refresh-${access.size + 1}`
    access.set(given, now() + ACCESS_MS)
    refreshTokens.clear()
    refreshTokens.add(keep)
    const api_domain = options.baseUrl
    return c.json({
      access_token: given,
      refresh_token: keep,
      token_type: 'Bearer',
      expires_in: 3600,
      api_domain,
    })
  })
  app.use(async (c, next) => {
    const bearer = /^Bearer (.+)$/.exec(c.req.header('authorization') ?? '')?.[1]
    const isGood =
      account.apiToken === undefined
        ? (access.get(bearer ?? '') ?? 0) > now()
        : c.req.header('x-api-token') === account.apiToken
    return isGood ? next() : no(c, 401, 'unauthorized access')
  })

  app.get('/v1/users/me', (c) => ok(c, { id: 9000, company_domain: 'stand-in', name: 'Stand-in' }))
  app.get('/v1/users/find', (c) => {
    const term = (c.req.query('term') ?? '').toLowerCase()
    return ok(
      c,
      users.filter(({ email }) => email.toLowerCase().includes(term)),
    )
  })

  app.get('/api/v2/persons/search', (c) => {
    searched = searched.filter((at) => now() - at < 2000)
    if (searched.push(now()) > 10) {
      c.header('x-ratelimit-limit', '10')
      c.header('x-ratelimit-remaining', '0')
      c.header('x-ratelimit-reset', '2')
      return no(c, 429, 'request over limit')
    }
    const term = (c.req.query('term') ?? '').toLowerCase()
    const isExact = c.req.query('exact_match') === 'true'
    if (term.length < (isExact ? 1 : 2)) return no(c, 400, 'term must be at least 2 characters')
    const name = c.req.query('fields') === 'email' ? 'emails' : 'phones'
    const hits = (text: string) =>
      isExact ? text === term : searchesInside ? text.includes(term) : text.startsWith(term)
    const items = all('person')
      .filter(({ searchableAt }) => searchableAt <= now())
      .map(({ id, fields }) => ({ id, fields: PERSON.parse(fields) }))
      .filter(({ fields }) => (fields[name] ?? []).some(({ value }) => hits(value.toLowerCase())))
    const item = ({ id, fields }: (typeof items)[number]) => ({
      result_score: 1,
      item: {
        id: Number(id),
        type: 'person',
        name: fields.name,
        phones: (fields.phones ?? []).map(({ value }) => value),
        emails: (fields.emails ?? []).map(({ value }) => value),
        owner: fields.owner_id === undefined ? null : { id: fields.owner_id },
      },
    })
    return ok(c, { items: items.slice(0, Number(c.req.query('limit') ?? 100)).map(item) })
  })
  app.get('/api/v2/persons', (c) => {
    const ids = (c.req.query('ids') ?? '').split(',')
    const counted = c.req.query('include_fields')?.split(',').includes('open_deals_count')
    const open = (id: string) =>
      all('deal').filter(({ fields }) => String(fields.person_id) === id && fields.status === 'open').length
    const found = ids.flatMap((id) => of('person', id) ?? [])
    return ok(
      c,
      found.map((one) => ({ ...shown(one), ...(counted ? { open_deals_count: open(one.id) } : {}) })),
    )
  })
  app.post('/api/v2/persons', async (c) => {
    const asked = PERSON.safeParse(await body(c))
    if (!asked.success) return no(c, 400, 'Validation failed: name: Required')
    return ok(c, shown(store('person', asked.data)), 201)
  })

  for (const kind of ['person', 'deal', 'activity'] as const) {
    const path = `/api/v2/${kind === 'activity' ? 'activities' : `${kind}s`}/:id`
    app.get(path, (c) => {
      const found = of(kind, c.req.param('id'))
      return found ? ok(c, shown(found)) : no(c, 404, `${kind} not found`)
    })
    app.patch(path, async (c) => {
      const found = of(kind, c.req.param('id'))
      if (!found) return no(c, 404, `${kind} not found`)
      const asked = (kind === 'activity' ? ACTIVITY : PERSON.partial()).safeParse(await body(c))
      if (!asked.success) return no(c, 400, 'Validation failed')
      const { custom_fields = {}, ...others } = asked.data as z.output<typeof ACTIVITY> & {
        custom_fields?: Record<string, unknown>
      }
      const bad = Object.entries(custom_fields).find(([name, value]) => !takes(kind, name, value))
      if (bad) return no(c, 400, `Validation failed: custom_fields: ${bad[0]}`)
      const strange = strangers(activityFields(others))
      if (strange) return no(c, 400, strange)
      const before = (found.fields.custom_fields ?? {}) as Record<string, unknown>
      Object.assign(found.fields, activityFields(others), { custom_fields: { ...before, ...custom_fields } })
      found.changedAt = now()
      return ok(c, shown(found))
    })
    app.get(`/api/v2/${kind}Fields`, (c) => {
      const own = customFields.filter((one) => one.of === kind)
      const first = { field_code: 'name', field_name: 'Name', field_type: 'varchar', is_custom_field: false }
      return ok(c, [first, ...own.map(({ of: _, ...one }) => ({ ...one, is_custom_field: true }))])
    })
  }

  function takes(kind: string, name: string, value: unknown): boolean {
    const field = customFields.find((one) => one.of === kind && one.field_code === name)
    if (field?.field_type === 'enum') return field.options?.some(({ id }) => id === value) === true
    if (field?.field_type === 'set')
      return Array.isArray(value) && value.every((one) => field.options?.some(({ id }) => id === one))
    if (field?.field_type === 'double') return typeof value === 'number'
    return field !== undefined
  }

  app.get('/api/v2/activities', (c) => {
    const ids = c.req.query('ids')?.split(',')
    const since = Date.parse(c.req.query('updated_since') ?? '1970-01-01')
    const until = Date.parse(c.req.query('updated_until') ?? '2999-01-01')
    const limit = Number(c.req.query('limit') ?? 100)
    if (limit > 500) return no(c, 400, 'limit must be at most 500')
    const wanted = Object.values(LINKS).flatMap((name) => {
      const value = c.req.query(name)
      return value === undefined ? [] : [{ name, value }]
    })
    const found = newest('activity').filter(
      ({ id, fields, changedAt }) =>
        (ids?.includes(id) ?? true) &&
        changedAt >= since &&
        changedAt < until &&
        wanted.every(({ name, value }) => String(fields[name]) === value),
    )
    if (c.req.query('sort_direction') === 'asc') found.reverse()
    const from = Number(c.req.query('cursor') ?? 0)
    const next = from + limit < found.length ? String(from + limit) : null
    const data = found.slice(from, from + limit).map(shown)
    return c.json({ success: true, data, additional_data: { next_cursor: next } })
  })
  app.post('/api/v2/activities', async (c) => {
    const asked = ACTIVITY.safeParse(await body(c))
    if (!asked.success) return no(c, 400, `Validation failed: ${asked.error.issues[0]?.path.join('.')}`)
    const fields = activityFields(asked.data)
    const strange = strangers(fields)
    return strange ? no(c, 400, strange) : ok(c, shown(store('activity', { done: false, ...fields })), 201)
  })

  app.get('/v1/callLogs', (c) => {
    const limit = Number(c.req.query('limit') ?? 50)
    if (limit > 50) return no(c, 400, 'limit must be at most 50')
    const own = newest('callLog').filter(({ fields }) =>
      [undefined, 9000].includes(fields.user_id as undefined),
    )
    const start = Number(c.req.query('start') ?? 0)
    return ok(c, own.slice(start, start + limit).map(shown))
  })
  app.post('/v1/callLogs', async (c) => {
    const asked = CALL_LOG.safeParse(await body(c))
    if (!asked.success) return no(c, 400, `${asked.error.issues[0]?.path.join('.')} is not valid`)
    if (asked.data.deal_id !== undefined && asked.data.lead_id !== undefined)
      return no(c, 400, 'deal_id and lead_id cannot both be given')
    const strange = strangers(asked.data)
    if (strange) return no(c, 400, strange)
    const { subject = 'Call', note = '', person_id, deal_id, org_id, activity_id } = asked.data
    const beside =
      activity_id ??
      Number(store('activity', { type: 'call', subject, note, done: true, person_id, deal_id, org_id }).id)
    return ok(c, shown(store('callLog', { ...asked.data, activity_id: beside, has_recording: false })), 201)
  })

  app.get('/v1/notes', (c) => {
    const wanted = Object.values(LINKS).filter((name) => c.req.query(name) !== undefined)
    const found = newest('note').filter(({ fields }) =>
      wanted.every((name) => String(fields[name]) === c.req.query(name)),
    )
    return ok(c, found.slice(0, Number(c.req.query('limit') ?? 100)).map(shown))
  })
  app.post('/v1/notes', async (c) => {
    const asked = NOTE.safeParse(await body(c))
    if (!asked.success) return no(c, 400, 'Note content is missing or invalid')
    const { content: _, ...links } = asked.data
    if (Object.keys(links).length === 0)
      return no(c, 400, 'A note needs a deal, lead, person or organization')
    const strange = strangers(links)
    return strange ? no(c, 400, strange) : ok(c, shown(store('note', asked.data)), 201)
  })
  app.put('/v1/notes/:id', async (c) => {
    const found = of('note', c.req.param('id'))
    if (!found) return no(c, 404, 'Note not found')
    const asked = NOTE.partial().safeParse(await body(c))
    if (!asked.success) return no(c, 400, 'Note content is missing or invalid')
    Object.assign(found.fields, asked.data)
    found.changedAt = now()
    return ok(c, shown(found))
  })

  app.get('/v1/files', (c) =>
    ok(
      c,
      newest('file')
        .slice(0, Number(c.req.query('limit') ?? 100))
        .map(shown),
    ),
  )
  app.post('/v1/files', async (c) => {
    const form = await c.req.formData().catch(() => null)
    const file = form?.get('file')
    if (!(file instanceof File)) return no(c, 400, 'No file')
    const links = Object.values(LINKS).map((name) => [name, form?.get(name)])
    const given = Object.fromEntries(links.filter(([, value]) => value != null))
    const strange = strangers(given)
    if (strange) return no(c, 400, strange)
    const fields = {
      ...given,
      activity_id: form?.get('activity_id'),
      name: file.name,
      text: await file.text(),
    }
    return ok(c, shown(store('file', fields)), 201)
  })

  app.get('/v1/webhooks', (c) =>
    ok(
      c,
      all('webhook').map((one) => ({ ...shown(one), http_auth_password: undefined, is_active: 1 })),
    ),
  )
  app.post('/v1/webhooks', async (c) => {
    const asked = WEBHOOK.safeParse(await body(c))
    if (!asked.success) return no(c, 400, 'subscription_url, event_action or event_object is not valid')
    if (all('webhook').length >= MOST_WEBHOOKS) return no(c, 403, 'Webhook limit reached')
    return ok(c, shown(store('webhook', asked.data)), 201)
  })

  /** A dialler's call: its person, its activity and the call log beside it; Pipedrive tells of the activity. */
  function place(call: SampleCall) {
    const person = Number(addContact({ name: 'Jean Dupont', phone: call.customerPhone }))
    const isInbound = call.direction === 'inbound'
    const wall = (ms: number) => new Date(ms).toISOString().slice(0, 19).replace('T', ' ')
    const activity = store('activity', {
      type: 'call',
      subject: 'Call',
      done: true,
      person_id: person,
      owner_id: 9001,
      due_date: wall(call.startedAt).slice(0, 10),
      due_time: wall(call.startedAt).slice(11, 16),
      note: '',
    })
    store('callLog', {
      activity_id: Number(activity.id),
      outcome: { answered: 'connected', no_answer: 'no_answer', busy: 'busy' }[call.result],
      from_phone_number: isInbound ? call.customerPhone : call.ownPhone,
      to_phone_number: isInbound ? call.ownPhone : call.customerPhone,
      start_time: wall(call.startedAt),
      end_time: wall(call.startedAt + call.ringMs + call.talkMs),
      duration: String(Math.round(call.talkMs / 1000)),
    })
    const meta = { action: 'create', entity: 'activity', entity_id: activity.id, version: '2.0', attempt: 1 }
    return [
      {
        says: 'activity create',
        method: 'POST',
        path: '',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ meta, data: shown(activity), previous: null }),
      },
    ]
  }
  function addContact({ name, phone }: { name: string; phone: string }): string {
    return store('person', { name, phones: [{ value: phone, primary: true }] }, Number.NEGATIVE_INFINITY).id
  }

  return {
    app,
    fail: faults.fail,
    place,
    addContact,
    book: () =>
      [...records.values()].map(({ id, kind, fields }): SandboxRecord => {
        const isTask = kind === 'activity' && fields.done !== true
        const text = String(fields.note ?? fields.content ?? '')
        return {
          kind: isTask ? 'task' : kind,
          id: kind === 'activity' ? placedId(placeIn(activity.parse({ ...fields, id })), id) : id,
          key: /Cordboard ref (\S+?)<\/p>/.exec(text)?.[1] ?? null,
          fields,
        }
      }),
  }
}
