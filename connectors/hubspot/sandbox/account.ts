import { Hono } from 'hono'
import { z } from 'zod'
import { missing, refusal, refuse } from './refusals.ts'

/** What an account has beside records: properties of calls, owners, files. */

const PROPERTY = z.object({
  name: z.string().regex(/^[a-z][a-z0-9_]*$/),
  label: z.string().min(1),
  type: z.enum(['bool', 'date', 'datetime', 'enumeration', 'number', 'phone_number', 'string']),
  fieldType: z.string(),
  groupName: z.string(),
  hasUniqueValue: z.boolean().default(false),
  options: z.array(z.object({ label: z.string(), value: z.string() })).default([]),
  calculated: z.boolean().default(false),
  modificationMetadata: z.object({ readOnlyValue: z.boolean() }).default({ readOnlyValue: false }),
})
export type StoredProperty = z.output<typeof PROPERTY>

const own = (name: string, type: StoredProperty['type'], more: Partial<StoredProperty> = {}) =>
  PROPERTY.parse({ name, label: name, type, fieldType: 'text', groupName: 'call', ...more })

/** Some of those that HubSpot has itself. */
const DEFAULTS = [
  own('hs_timestamp', 'datetime'),
  own('hs_call_title', 'string'),
  own('hs_call_body', 'string'),
  own('hs_call_external_id', 'string'),
  own('hs_call_direction', 'enumeration', {
    options: ['INBOUND', 'OUTBOUND'].map((value) => ({ label: value, value })),
  }),
  own('hs_call_duration', 'number'),
  own('hs_call_recording_url', 'string'),
  own('hs_body_preview', 'string', { calculated: true }),
  own('hs_createdate', 'datetime', { modificationMetadata: { readOnlyValue: true } }),
]

export interface AccountOptions {
  portalId: number
  people: readonly {
    id: string
    email: string
    firstName?: string | undefined
    lastName?: string | undefined
  }[]
  /** One that was made by hand. */
  unique: string | undefined
  /** Whether the account takes a unique property of calls: that it does is not documented. */
  takesUnique: boolean
  nextId(): string
}

export interface StoredFile {
  id: string
  name: string
  folder: string
  text: string
  access: string
}

export function createAccount({ portalId, people, unique, takesUnique, nextId }: AccountOptions) {
  const properties = new Map(DEFAULTS.map((property) => [property.name, property]))
  const groups = new Set(['call'])
  const files = new Map<string, StoredFile>()
  if (unique !== undefined) properties.set(unique, own(unique, 'string', { hasUniqueValue: true }))
  const app = new Hono()

  app.get('/account-info/:version/details', (c) =>
    c.json({ portalId, accountType: 'DEVELOPER_TEST', uiDomain: 'app.hubspot.com', timeZone: 'UTC' }),
  )

  const persons = people.map((person) => ({
    ...person,
    type: 'PERSON',
    userId: Number(person.id) + 1,
    archived: false,
  }))
  app.get('/crm/owners/:version', (c) => {
    const email = c.req.query('email')
    return c.json({ results: persons.filter((person) => email === undefined || person.email === email) })
  })
  app.get('/crm/owners/:version/:id', (c) => {
    const person = persons.find(({ id }) => id === c.req.param('id'))
    return person ? c.json(person) : refuse(c, missing('Owner'))
  })

  app.get('/crm/properties/:version/calls', (c) => c.json({ results: [...properties.values()] }))
  app.get('/crm/properties/:version/calls/:name', (c) => {
    const name = c.req.param('name')
    const property = properties.get(name)
    return property ? c.json(property) : refuse(c, missing(`Property ${name}`))
  })
  app.post('/crm/properties/:version/calls/groups', async (c) => {
    const asked = z.object({ name: z.string(), label: z.string() }).safeParse(await c.req.json())
    if (!asked.success) return refuse(c, refusal('Invalid input JSON'))
    const { name } = asked.data
    if (groups.has(name)) return refuse(c, doubled(`Property group ${name}`))
    groups.add(name)
    return c.json({ ...asked.data, displayOrder: -1, archived: false }, 201)
  })
  app.post('/crm/properties/:version/calls', async (c) => {
    const asked = PROPERTY.safeParse(await c.req.json())
    if (!asked.success) return refuse(c, refusal('Invalid input JSON'))
    const { name, groupName, hasUniqueValue, type, options } = asked.data
    if (properties.has(name)) return refuse(c, doubled(`Property ${name}`))
    if (!groups.has(groupName)) return refuse(c, refusal(`Property group ${groupName} does not exist`))
    if (hasUniqueValue && !takesUnique)
      return refuse(c, refusal('Properties of this object type cannot be unique'))
    if (type === 'bool' && options.length !== 2)
      return refuse(c, refusal('Boolean properties must have exactly two options'))
    properties.set(name, asked.data)
    return c.json(asked.data, 201)
  })

  app.get('/files/:version/files/search', (c) => c.json({ results: [] }))
  app.on(['POST', 'PUT'], ['/files/:version/files', '/files/:version/files/:id'], async (c) => {
    const form = await c.req.formData()
    const content = form.get('file')
    const options = OPTIONS.safeParse(JSON.parse(String(form.get('options') ?? 'null')))
    if (!(content instanceof Blob) || !options.success)
      return refuse(c, refusal('file and options.access are required'))
    const id = c.req.param('id')
    const text = await content.text()
    const { access, overwrite } = options.data
    if (c.req.method === 'PUT') {
      const stored = files.get(id ?? '')
      if (!stored) return refuse(c, missing('File'))
      Object.assign(stored, { text, access })
      return c.json({ id: stored.id, name: stored.name, access })
    }
    const folder = form.get('folderPath')
    if (typeof folder !== 'string') return refuse(c, refusal('folderPath or folderId is required'))
    let name = String(form.get('fileName') ?? 'file')
    const same = [...files.values()].find((file) => file.folder === folder && file.name === name)
    if (same && overwrite) files.delete(same.id)
    else if (same) name = name.replace(/(?=\.\w+$)/, `-${files.size}`)
    const file = { id: nextId(), name, folder, text, access }
    files.set(file.id, file)
    return c.json({ id: file.id, name, access, parentFolderId: '1' }, 201)
  })

  app.get('/crm/extensions/calling/:version/transcripts/:id', (c) => refuse(c, missing('Transcript')))

  return { app, properties, files }
}

const OPTIONS = z.object({
  access: z.enum(['PUBLIC_INDEXABLE', 'PUBLIC_NOT_INDEXABLE', 'PRIVATE']),
  overwrite: z.boolean().default(false),
})

const doubled = (what: string) => ({
  status: 409 as const,
  category: 'OBJECT_ALREADY_EXISTS',
  message: `${what} already exists`,
})
