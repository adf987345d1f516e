import { type Context, Hono } from 'hono'
import { asObject } from '../../src/connector/json.ts'
import { placedId } from '../../src/connector/placed-id.ts'
import {
  type CreateSandbox,
  createFaults,
  type SampleCall,
  type SandboxRecord,
  type SandboxWebhook,
} from '../../src/connector/sandbox.ts'
import { type Fields, holderOf, matches, objection, type Stored, text } from './sandbox/records.ts'
import { config } from './schema.ts'

/**
 * A stand-in of a Zoho CRM organisation, written from its documentation: tokens of an hour that come with the address of
 * their data centre, ten of them in ten minutes; outcomes record by record; unique fields; a search that shows a record
 * after half a minute; notes, attachments, notification channels that expire. The format of a notification, and the words
 * of its operations, are known from other users only.
 */
const TOKEN_MS = 3_600_000
const TOKENS_MS = 600_000
const INDEX_LAG_MS = 30_000
const WEEK_MS = 604_800_000
const PAGE = 200
const MODULES = ['Contacts', 'Leads', 'Accounts', 'Deals', 'Calls', 'Tasks', 'Notes']
/** Fields of the type phone, a fax's number among them. */
const PHONES = ['Phone', 'Mobile', 'Home_Phone', 'Fax']
const API = '/crm/v8'

export const createSandbox: CreateSandbox = ({ now, random, baseUrl, account: given }) => {
  const account = config.parse(given)
  const faults = createFaults()
  const records = new Map<string, Stored>()
  const tokens = new Map<string, number>()
  const audio = new Map<string, Uint8Array>()
  const watches = new Map<string, Fields>()
  let granted: number[] = []
  let lastId = 5_545_974_000_000_000_000n
  const { fallback = '5545974000000000001', map } = account.owners
  const users = [...new Set([fallback, ...Object.values(map)])].map((id) => ({
    id,
    email: `user${id}@example.com`,
  }))
  users.push({ id: '5545974000000000012', email: 'alice.martin@example.com' })

  function nextId(): string {
    lastId += 1n + BigInt(Math.floor(random() * 1000))
    return String(lastId)
  }
  function store(module: string, fields: Fields, searchableAt = now() + INDEX_LAG_MS): Stored {
    const record = { module, id: nextId(), fields, createdAt: now(), searchableAt }
    records.set(`${module}/${record.id}`, record)
    return record
  }
  const of = (module: string) => [...records.values()].filter((record) => record.module === module)
  const world = {
    of,
    unique: account.externalIdField,
    isUser: (id: string) => users.some((user) => user.id === id),
  }

  const app = new Hono()
  app.onError((error) => Promise.reject(error))
  app.use(faults.middleware)
  app.post('/oauth/v2/token', async (c) => {
    const form = await c.req.parseBody()
    const isKnown = form.client_id === account.clientId && form.client_secret === account.clientSecret
    if (!isKnown) return c.json({ error: 'invalid_client' })
    if (form.refresh_token !== account.refreshToken) return c.json({ error: 'invalid_code' })
    granted = granted.filter((at) => now() - at < TOKENS_MS)
    if (granted.length >= 10) {
      const error_description =
        'You have made too many requests continuously. Please try again after some time.'
      return c.json({ error: 'Access Denied', error_description }, 400)
    }
    granted.push(now())
    const token = `1000.${Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16)).join('')}`
    tokens.set(token, now() + TOKEN_MS)
    const api_domain = account.baseUrl === undefined ? 'https://www.zohoapis.com' : baseUrl
    return c.json({ access_token: token, api_domain, token_type: 'Bearer', expires_in: TOKEN_MS / 1000 })
  })
  app.get('/recordings/:id', (c) => {
    const bytes = audio.get(c.req.param('id'))
    return bytes
      ? c.body(bytes as Uint8Array<ArrayBuffer>, 200, { 'content-type': 'audio/mpeg' })
      : c.notFound()
  })
  app.use(`${API}/*`, async (c, next) => {
    const [, token = ''] = /^Zoho-oauthtoken (\S+)$/.exec(c.req.header('authorization') ?? '') ?? []
    if ((tokens.get(token) ?? 0) > now()) return next()
    return c.json(
      { code: 'INVALID_TOKEN', details: {}, message: 'invalid oauth token', status: 'error' },
      401,
    )
  })

  app.get(`${API}/users`, (c) => c.json({ users, info: { more_records: false } }))
  app.get(`${API}/settings/fields`, (c) => c.json({ fields: callFields(account) }))

  app.get(`${API}/actions/watch`, (c) => {
    const found = watches.get(c.req.query('channel_id') ?? '')
    return found ? c.json({ watch: [found], info: { more_records: false } }) : c.body(null, 204)
  })
  const watch = async (c: Context) => {
    const { watch: asked } = asObject(await c.req.json().catch(() => null)) ?? {}
    const channel = asObject(Array.isArray(asked) ? asked[0] : null) ?? {}
    const id = text(channel.channel_id)
    const expiry = Date.parse(text(channel.channel_expiry))
    const details = { channel_id: id }
    const isNew = c.req.method === 'POST'
    if (isNew === watches.has(id) || text(channel.token).length > 50) {
      const refused = { code: 'INVALID_DATA', details, message: 'invalid data', status: 'error' }
      return c.json({ watch: [refused] }, 400)
    }
    const isLong = !(expiry - now() <= WEEK_MS)
    const channel_expiry = isLong ? new Date(now() + 3_600_000).toISOString() : channel.channel_expiry
    watches.set(id, { ...channel, channel_expiry })
    const message = 'Successfully subscribed for actions-watch of the given module'
    return c.json({ watch: [{ code: 'SUCCESS', details, message, status: 'success' }] }, isNew ? 201 : 200)
  }
  app.post(`${API}/actions/watch`, watch).put(`${API}/actions/watch`, watch)

  app.get(`${API}/:module/search`, (c) => {
    const { phone, criteria } = c.req.query()
    const found = of(c.req.param('module')).filter((record) => {
      if (record.searchableAt > now()) return false
      if (criteria !== undefined) return matches(record, criteria)
      return PHONES.some((name) => record.fields[name] === phone)
    })
    return page(c, found)
  })
  app.get(`${API}/:module`, (c) => {
    const { ids, fields } = c.req.query()
    if (fields === undefined) {
      const details = { param_name: 'fields' }
      const message = 'One of the expected parameter is missing'
      return c.json({ code: 'REQUIRED_PARAM_MISSING', details, message, status: 'error' }, 400)
    }
    const wanted = ids?.split(',')
    return page(
      c,
      of(c.req.param('module')).filter(({ id }) => wanted === undefined || wanted.includes(id)),
    )
  })
  app.post(`${API}/:module`, (c) => insert(c, c.req.param('module'), {}))
  app.put(`${API}/:module/:id`, async (c) => {
    const record = records.get(`${c.req.param('module')}/${c.req.param('id')}`)
    if (!record) {
      const refused = {
        code: 'INVALID_DATA',
        details: { api_name: 'id' },
        message: 'the id given seems to be invalid',
      }
      return c.json({ data: [{ ...refused, status: 'error' }] }, 400)
    }
    const fields = await sent(c)
    const no = objection(record.module, fields, record, world)
    if (no) return c.json({ data: [{ ...no, status: 'error' }] }, 400)
    Object.assign(record.fields, fields)
    return c.json({ data: [success(record.id, 'record updated')] })
  })
  app.get(`${API}/:module/:id/Notes`, (c) => page(c, on('Notes', c)))
  app.get(`${API}/:module/:id/Attachments`, (c) => page(c, on('Attachments', c)))
  app.post(`${API}/:module/:id/Notes`, (c) => {
    const parent = `${c.req.param('module')}/${c.req.param('id')}`
    return insert(c, 'Notes', { Parent_Id: parent })
  })
  app.post(`${API}/:module/:id/Attachments`, async (c) => {
    const parent = `${c.req.param('module')}/${c.req.param('id')}`
    const { file } = await c.req.parseBody()
    if (!records.has(parent) || !(file instanceof File)) {
      const refused = {
        code: 'INVALID_DATA',
        details: {},
        message: 'the related id given seems to be invalid',
      }
      return c.json({ data: [{ ...refused, status: 'error' }] }, 400)
    }
    const text = await file.text()
    const { id } = store('Attachments', { File_Name: file.name, Parent_Id: parent, text })
    return c.json({ data: [success(id, 'attachment uploaded successfully')] })
  })

  const on = (module: string, c: Context) =>
    of(module).filter(({ fields }) => fields.Parent_Id === `${c.req.param('module')}/${c.req.param('id')}`)

  async function sent(c: Context): Promise<Fields> {
    const { data } = asObject(await c.req.json().catch(() => null)) ?? {}
    return asObject(Array.isArray(data) ? data[0] : null) ?? {}
  }
  async function insert(c: Context, module: string, more: Fields): Promise<Response> {
    const parent = text(more.Parent_Id)
    if (!MODULES.includes(module) || (parent !== '' && !records.has(parent))) {
      const message = 'the module name given seems to be invalid'
      return c.json({ code: 'INVALID_MODULE', details: {}, message, status: 'error' }, 400)
    }
    const fields = await sent(c)
    const no = objection(module, fields, undefined, world)
    // Several records may fare differently: the status says little.
    if (no) return c.json({ data: [{ ...no, status: 'error' }] }, no.code === 'DUPLICATE_DATA' ? 202 : 400)
    const owner = fields.Owner ?? { id: fallback }
    const { id } = store(module, { ...fields, ...more, Owner: owner })
    return c.json({ data: [success(id, 'record added')] }, 201)
  }

  return {
    app,
    fail: faults.fail,
    book: () => [
      ...[...records.values()].map(
        ({ module, id, fields }): SandboxRecord => ({
          kind: module,
          id: module === 'Calls' || module === 'Tasks' ? placedId(holderOf(fields), id) : id,
          key: keyOf(fields, account.externalIdField),
          fields,
        }),
      ),
      ...[...watches].map(([id, fields]) => ({ kind: 'channel', id, key: null, fields })),
    ],
    addContact: ({ name, phone }) =>
      store('Contacts', { Last_Name: name, Full_Name: name, Phone: phone }, 0).id,
    place,
  }

  /** Logged on the contact that has the number; the notification names the record alone. */
  function place(sample: SampleCall): SandboxWebhook[] {
    const who = { Last_Name: 'Dupont', Full_Name: 'Jean Dupont', Phone: sample.customerPhone }
    const contact = of('Contacts').find(({ fields }) => fields.Phone === who.Phone) ?? store('Contacts', who)
    const seconds = Math.round(sample.talkMs / 1000)
    const two = (value: number) => String(value).padStart(2, '0')
    const isMissed = sample.direction === 'inbound' && sample.result !== 'answered'
    const call = store('Calls', {
      Subject: `Call with ${who.Full_Name}`,
      Call_Type: isMissed ? 'Missed' : sample.direction === 'inbound' ? 'Inbound' : 'Outbound',
      Call_Start_Time: new Date(sample.startedAt).toISOString().replace(/\.\d+Z$/, '+00:00'),
      Call_Duration: `${two(Math.floor(seconds / 60))}:${two(seconds % 60)}`,
      Call_Duration_in_seconds: seconds,
      Call_Status: 'Completed',
      Dialled_Number: sample.direction === 'outbound' ? sample.customerPhone : null,
      Who_Id: { id: contact.id, name: who.Full_Name },
      Owner: { id: '5545974000000000012', name: sample.agent.name, email: 'alice.martin@example.com' },
    })
    if (sample.audio && account.recordingField !== undefined) {
      audio.set(call.id, sample.audio.bytes)
      call.fields[account.recordingField] = `${baseUrl}/recordings/${call.id}`
    }
    const body = {
      server_time: now(),
      query_params: {},
      module: 'Calls',
      resource_uri: `${baseUrl}${API}/Calls`,
      ids: [call.id],
      affected_fields: [],
      operation: 'insert',
      channel_id: account.channelId,
      token: account.notificationToken?.[0] ?? '',
    }
    const headers = { 'content-type': 'application/json' }
    return [{ says: 'Calls.create', method: 'POST', path: '', headers, body: JSON.stringify(body) }]
  }
}

const success = (id: string, message: string) => ({
  code: 'SUCCESS',
  details: { id },
  message,
  status: 'success',
})

function page(c: Context, found: readonly Stored[]): Response {
  const size = Number(c.req.query('per_page') ?? PAGE)
  const from = (Number(c.req.query('page') ?? 1) - 1) * size
  const data = found.slice(from, from + size).map(({ id, fields, createdAt }) => {
    const at = new Date(createdAt).toISOString().replace(/\.\d+Z$/, '+00:00')
    return { ...fields, id, Created_Time: at, Last_Activity_Time: fields.Last_Activity_Time ?? at }
  })
  return data.length === 0
    ? c.body(null, 204)
    : c.json({ data, info: { more_records: found.length > from + size } })
}

function keyOf(fields: Fields, unique: string | undefined): string | null {
  const said = text(fields.Description) || text(fields.Note_Content)
  return text(fields[unique ?? '']) || (/Cordboard ref (\S+)\s*$/.exec(said)?.[1] ?? null)
}

function callFields({
  externalIdField,
  recordingField,
  statusField,
}: ReturnType<typeof config.parse>): Fields[] {
  const own = [recordingField, statusField].filter((name) => name !== undefined)
  return [
    {
      api_name: 'Subject',
      field_label: 'Subject',
      data_type: 'text',
      length: 255,
      custom_field: false,
      unique: {},
    },
    {
      api_name: 'Score',
      field_label: 'Score',
      data_type: 'double',
      length: 16,
      custom_field: true,
      unique: {},
    },
    {
      api_name: 'Mood',
      field_label: 'Mood',
      data_type: 'picklist',
      length: 120,
      custom_field: true,
      pick_list_values: [{ display_value: 'Glad', actual_value: 'glad' }, { display_value: 'Sad' }],
    },
    {
      api_name: 'Sum',
      field_label: 'Sum',
      data_type: 'currency',
      custom_field: true,
      read_only: true,
      unique: {},
    },
    { api_name: 'Where', field_label: 'Where', data_type: 'lookup', custom_field: true, unique: {} },
    ...own.map((api_name) => ({
      api_name,
      field_label: api_name,
      data_type: 'website',
      custom_field: false,
      unique: {},
    })),
    ...(externalIdField === undefined
      ? []
      : [
          {
            api_name: externalIdField,
            field_label: 'Id',
            data_type: 'text',
            custom_field: true,
            unique: { casesensitive: '1' },
          },
        ]),
  ]
}
