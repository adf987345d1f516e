import { type Context, Hono } from 'hono'
import { z } from 'zod'
import { type CreateSandbox, createFaults, type SandboxRecord } from '../../src/connector/sandbox.ts'
import { createOAuth, identityOf } from './sandbox/oauth.ts'
import {
  type Column,
  describedColumn,
  type Objection,
  objectionTo,
  objectsOf,
  PREFIXES,
  type Row,
  refuse,
  type Value,
} from './sandbox/objects.ts'
import { logCall } from './sandbox/place.ts'
import { objectionToQuery, parseSoql, select, shown } from './sandbox/soql.ts'
import { isFound, parseSosl } from './sandbox/sosl.ts'
import { config } from './schema.ts'

/**
 * A stand-in of one Salesforce org, written from its guides: tokens, records of the objects that calls need with their
 * lengths, picklists and unique fields, SOQL and SOSL as far as this connector speaks them, and the limit of a day. A search
 * sees a record only `indexLagMs` after it was written; SOQL and reads see it at once.
 */
const extras = z.object({
  indexLagMs: z.number().default(0),
  tokenLifeMs: z.number().default(7_200_000),
  rotates: z.boolean().default(false),
  dailyLimit: z.number().default(100_000),
  /** False: the external id is an External ID only. */
  uniqueKey: z.boolean().default(true),
  hidden: z.array(z.string()).default([]),
  readOnly: z.array(z.string()).default([]),
  /** Two writes below one account at the same moment: the later one is refused. */
  locks: z.boolean().default(false),
  /** Refuses a lead or contact whose e-mail address is there already, and names the other. */
  duplicateRule: z.boolean().default(false),
  /** Addresses that tokens name one after the other; the last one stays. Default: its own. */
  instanceUrls: z.array(z.string()).default([]),
  /** Records that are there already, with fields that only Salesforce fills. */
  records: z
    .array(z.object({ type: z.string(), values: z.record(z.string(), z.union([z.string(), z.boolean()])) }))
    .default([]),
  users: z.array(z.object({ email: z.string(), timeZone: z.string().default('UTC') })).default([]),
})

const DAY_MS = 86_400_000
const PAGE = 200
const RECORD = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]))

export const createSandbox: CreateSandbox = (options) => {
  const { now, random, baseUrl } = options
  const account = config.parse(options.account)
  const extra = extras.parse(options.account)
  const path = `/services/data/v${account.apiVersion}`
  const objects = objectsOf({ ...account, ...extra })
  const tables = new Map([...objects.keys()].map((type) => [type, new Map<string, Row>()]))
  const searchableAt = new Map<string, number>()
  /** `Task.<field>.<value>` → id, for the fields that tasks are asked for by their key. */
  const byKey = new Map<string, string[]>()
  const locked = new Set<string>()
  /** The recycle bin. */
  const deleted = new Map<string, { type: string; row: Row }>()
  const faults = createFaults()
  const requests: number[] = []
  const cursors = new Map<string, unknown[]>()
  const recordings = new Map<string, Uint8Array>()
  const app = new Hono()
  let lastId = 0
  let logins = 0
  const oauth = createOAuth({
    now,
    random,
    account,
    tokenLifeMs: extra.tokenLifeMs,
    rotates: extra.rotates,
    instanceUrl: () => extra.instanceUrls[Math.min(logins++, extra.instanceUrls.length - 1)] ?? baseUrl,
  })

  const table = (type: string): Map<string, Row> => tables.get(type) ?? new Map()
  const rowOf = (type: string, id: string): Row | undefined => table(type).get(id.slice(0, 15))

  function insert(type: string, values: Record<string, Value>, isSearchable = false): Row {
    const id = idOf(PREFIXES[type] ?? '000', ++lastId)
    const row: Row = { CreatedDate: stamp(), ...values, Id: id }
    if (type === 'Task') touch(row)
    if (type === 'Contact' || type === 'Lead')
      row.Name = [row.FirstName, row.LastName].filter(Boolean).join(' ')
    if (type === 'Lead') row.IsConverted = values.IsConverted ?? false
    table(type).set(id.slice(0, 15), row)
    searchableAt.set(id, isSearchable ? Number.NEGATIVE_INFINITY : now() + extra.indexLagMs)
    index(type, row)
    return row
  }

  const stamp = (): string => `${new Date(now()).toISOString().slice(0, -1)}+0000`
  function touch(row: Row): void {
    Object.assign(row, { LastModifiedDate: stamp(), IsClosed: row.Status === 'Completed' })
  }

  const KEYS = ['CallObject', ...(account.externalIdField === undefined ? [] : [account.externalIdField])]
  function index(type: string, row: Row): void {
    if (type !== 'Task') return
    for (const field of KEYS) {
      const key = keyOf(field, row[field] ?? null)
      const ids = byKey.get(key) ?? []
      if (row[field] && !ids.includes(row.Id)) byKey.set(key, [...ids, row.Id])
    }
  }
  const keyOf = (field: string, value: Value) => `${field}.${String(value).toLowerCase()}`

  for (const { email, timeZone } of [{ email: 'integration@example.com', timeZone: 'UTC' }, ...extra.users]) {
    insert('User', { Email: email, IsActive: true, TimeZoneSidKey: timeZone })
  }
  for (const ApiName of ['Not Started', 'In Progress', 'Completed', 'Deferred']) {
    insert('TaskStatus', { ApiName, IsClosed: ApiName === 'Completed' })
  }

  for (const { type, values } of extra.records) insert(type, values, true)

  // ── What is refused ───────────────────────────────────────────────────────────────────────────────────────────────

  const said = ({ status, ...one }: Objection): Response => Response.json([one], { status })
  const missing = () =>
    said({ status: 404, errorCode: 'NOT_FOUND', message: 'The requested resource does not exist' })

  function objection(type: string, values: Record<string, unknown>, self?: Row): Objection | null {
    const columns = objects.get(type) ?? []
    const no = objectionTo(type, columns, values, self ? 'updateable' : 'createable')
    if (no) return no
    for (const [name, value] of Object.entries(values)) {
      const { unique, type: kind } = columns.find((one) => one.name === name) ?? {}
      const target = kind === 'reference' && typeof value === 'string' ? value : null
      if (target !== null && deleted.has(target.slice(0, 15)))
        return { ...refuse('ENTITY_IS_DELETED', 'entity is deleted'), status: 404 }
      if (target !== null && ![...tables.values()].some((rows) => rows.has(target.slice(0, 15))))
        return refuse('INVALID_CROSS_REFERENCE_KEY', 'invalid cross reference id', name)
      const double = unique && value ? withValue(type, name, value).find((row) => row !== self) : undefined
      if (double) {
        const message = `duplicate value found: ${name} duplicates value on record with id: ${double.Id}`
        return refuse('DUPLICATE_VALUE', message)
      }
    }
    const { WhoId, WhatId } = { ...self, ...values }
    if (typeof WhoId === 'string' && WhoId.startsWith('00Q') && WhatId)
      return refuse(
        'FIELD_INTEGRITY_EXCEPTION',
        'You cannot relate a lead and another record to one task',
        'WhatId',
      )
    return null
  }

  function withValue(type: string, field: string, value: unknown): Row[] {
    if (type === 'Task' && KEYS.includes(field) && typeof value === 'string')
      return (byKey.get(keyOf(field, value)) ?? []).flatMap((id) => rowOf('Task', id) ?? [])
    return [...table(type).values()].filter((row) => row[field] === value)
  }

  /** A duplicate rule of the org; how its answer is built up is known from users, not from the pages that were read. */
  function doubleOf(c: Context, type: string, { Email }: Record<string, Value>): Response | null {
    if (!extra.duplicateRule || typeof Email !== 'string' || !['Contact', 'Lead'].includes(type)) return null
    const double = ['Contact', 'Lead'].flatMap((one) => withValue(one, 'Email', Email))[0]
    if (!double) return null
    const isAsked = /includeRecordDetails=true/.test(c.req.header('sforce-duplicate-rule-header') ?? '')
    const matchRecords = isAsked ? [{ record: { Id: double.Id } }] : []
    const error = {
      errorCode: 'DUPLICATES_DETECTED',
      message: 'Use one of these records?',
      duplicateResult: { allowSave: false, matchResults: [{ matchRecords }] },
    }
    return c.json([error], 400)
  }

  // ── Routes ────────────────────────────────────────────────────────────────────────────────────────────────────────

  // A request that is made to hang ends with its caller's abort: that is no error of the stand-in.
  app.onError((error) => Promise.reject(error))
  app.use(faults.middleware)
  app.post('/services/oauth2/token', (c) => oauth.answer(c))
  app.use('/services/data/*', sessions)
  app.get(path, (c) => c.json({ identity: identityOf(account.baseUrl), sobjects: `${path}/sobjects` }))
  app.get(`${path}/query`, (c) => answered(c, []))
  // With what lies in the recycle bin.
  app.get(`${path}/queryAll`, (c) => answered(c, [...deleted.values()]))
  function answered(c: Context, bin: { type: string; row: Row }[]): Response {
    const soql = parseSoql(c.req.query('q') ?? '')
    if (!soql) return said(refuse('MALFORMED_QUERY', 'unexpected token'))
    const columns = objects.get(soql.type)
    if (!columns) return said(refuse('INVALID_TYPE', `sObject type '${soql.type}' is not supported.`))
    const no = objectionToQuery(soql, columns)
    if (no) return said(no)
    const keyed = soql.where.find(({ field }) => KEYS.includes(field))
    const rows =
      keyed?.values.flatMap((value) => withValue(soql.type, keyed.field, value)) ?? table(soql.type).values()
    const thrown = bin.filter(({ type }) => type === soql.type).map(({ row }) => row)
    const records = select(soql, [...rows, ...thrown]).map((row) => shown(row, soql.fields, soql.type, path))
    return c.json(page(records, 0))
  }
  app.get(`${path}/query/:cursor`, (c) => {
    const [, cursor = '', from = ''] = /^(\w+)-(\d+)$/.exec(c.req.param('cursor')) ?? []
    const records = cursors.get(cursor)
    return records ? c.json(page(records, Number(from), cursor)) : missing()
  })
  app.get(`${path}/search`, (c) => {
    const sosl = parseSosl(c.req.query('q') ?? '')
    if (!sosl) return said(refuse('MALFORMED_SEARCH', 'unexpected token'))
    const searchRecords: Record<string, unknown>[] = []
    for (const { type, fields, isConverted, limit } of sosl.returning) {
      const unknown = fields.find((name) => !objects.get(type)?.some((one) => one.name === name))
      if (unknown) return said(refuse('INVALID_FIELD', `No such column '${unknown}' on entity '${type}'`))
      const found = [...table(type).values()].filter(
        (row) =>
          (searchableAt.get(row.Id) ?? 0) <= now() &&
          (isConverted === null || row.IsConverted === isConverted) &&
          isFound(row, sosl.terms),
      )
      searchRecords.push(...found.slice(0, limit).map((row) => shown(row, fields, type, path)))
    }
    return c.json({ searchRecords })
  })
  app.get(`${path}/sobjects/:type/describe`, (c) => {
    const name = c.req.param('type')
    const columns = objects.get(name)
    return columns ? c.json({ name, fields: columns.map(describedColumn) }) : missing()
  })
  app.post(`${path}/sobjects/:type`, (c) => save(c, c.req.param('type'), undefined))
  app
    .get(`${path}/sobjects/:type/:id`, (c) => {
      const { type, id } = c.req.param()
      const row = rowOf(type, id)
      const names =
        c.req.query('fields')?.split(',') ?? objects.get(type)?.map(({ name }: Column) => name) ?? []
      return row ? c.json(shown(row, names, type, path)) : missing()
    })
    .patch((c) => {
      const { type, id } = c.req.param()
      const row = rowOf(type, id)
      return row ? save(c, type, row) : gone(id)
    })
    .delete((c) => {
      const { type, id } = c.req.param()
      const row = rowOf(type, id)
      if (!row || !table(type).delete(id.slice(0, 15))) return gone(id)
      deleted.set(id.slice(0, 15), { type, row: { ...row, IsDeleted: true } })
      return c.body(null, 204)
    })
  app.patch(`${path}/sobjects/:type/:field/:value`, async (c) => {
    const { type, field, value } = c.req.param()
    if (!objects.get(type)?.some((one) => one.name === field && one.externalId)) return missing()
    const same = withValue(type, field, value)
    if (same.length > 1)
      return c.json(
        same.map(({ Id }) => `${path}/sobjects/${type}/${Id}`),
        300,
      )
    return save(c, type, same[0], { [field]: value })
  })

  /** What a query found is kept as it was: pages of 200, the fewest that may be asked for. */
  function page(records: unknown[], from: number, known?: string) {
    const to = from + PAGE
    const done = to >= records.length
    const cursor = known ?? `01g${cursors.size}`
    if (!done) cursors.set(cursor, records)
    const more = done ? {} : { nextRecordsUrl: `${path}/query/${cursor}-${to}` }
    return { totalSize: records.length, done, ...more, records: records.slice(from, to) }
  }

  // Not Salesforce's: where the dialler keeps its recordings.
  app.get('/recordings/:file', (c) => {
    const bytes = recordings.get(c.req.param('file'))
    return bytes ? c.body(new Uint8Array(bytes), 200, { 'content-type': 'audio/mpeg' }) : c.notFound()
  })

  const gone = (id: string) =>
    deleted.has(id.slice(0, 15))
      ? said({ status: 404, errorCode: 'ENTITY_IS_DELETED', message: 'entity is deleted' })
      : missing()

  /** Between asking whether a record is there and making it, others get their turn: as it is with any database. */
  async function save(
    c: Context,
    type: string,
    self?: Row,
    key: Record<string, string> = {},
  ): Promise<Response> {
    if (!objects.has(type)) return missing()
    const sent = RECORD.safeParse(await c.req.json().catch(() => null))
    if (!sent.success) return said(refuse('JSON_PARSER_ERROR', 'Unexpected character'))
    const parent = [sent.data.WhatId, sent.data.WhoId].find((id) => typeof id === 'string')
    const lock = extra.locks && typeof parent === 'string' ? parent.slice(0, 15) : undefined
    if (lock !== undefined && locked.has(lock))
      return said(refuse('UNABLE_TO_LOCK_ROW', 'unable to obtain exclusive access to this record'))
    if (lock !== undefined) locked.add(lock)
    await new Promise<void>((resolve) => setTimeout(resolve))
    if (lock !== undefined) locked.delete(lock)
    const values = self ? sent.data : { ...sent.data, ...key }
    const no = objection(type, values, self)
    if (no) return said(no)
    const double = self ? null : doubleOf(c, type, values)
    if (double) return double
    if (self) {
      Object.assign(self, values)
      if (type === 'Task') touch(self)
      index(type, self)
      return Object.keys(key).length > 0
        ? c.json({ id: self.Id, success: true, errors: [], created: false })
        : c.body(null, 204)
    }
    const row = insert(
      type,
      type === 'Task' ? { Status: 'Not Started', Priority: 'Normal', ...values } : values,
    )
    if (type === 'ContentVersion' && row.FirstPublishLocationId) {
      insert('ContentDocumentLink', {
        LinkedEntityId: row.FirstPublishLocationId,
        'ContentDocument.Title': row.Title ?? null,
        'ContentDocument.LatestPublishedVersionId': row.Id,
      })
    }
    return c.json(
      { id: row.Id, success: true, errors: [], ...(Object.keys(key).length > 0 ? { created: true } : {}) },
      201,
    )
  }

  /** Who may ask, and how often in a day. */
  async function sessions(c: Context, next: () => Promise<void>): Promise<Response | undefined> {
    if (!oauth.isGood(/^Bearer (.+)$/.exec(c.req.header('authorization') ?? '')?.[1] ?? '')) {
      return said({ status: 401, errorCode: 'INVALID_SESSION_ID', message: 'Session expired or invalid' })
    }
    while (requests[0] !== undefined && requests[0] <= now() - DAY_MS) requests.shift()
    if (requests.length >= extra.dailyLimit)
      return said({
        status: 403,
        errorCode: 'REQUEST_LIMIT_EXCEEDED',
        message: 'TotalRequests Limit exceeded.',
      })
    requests.push(now())
    await next()
    c.header('Sforce-Limit-Info', `api-usage=${requests.length}/${extra.dailyLimit}`)
    return undefined
  }

  return {
    app,
    fail: faults.fail,
    book: () =>
      ['Task', 'Contact', 'Lead', 'Account', 'ContentVersion'].flatMap((type) =>
        [...table(type).values()].map(
          ({ Id, ...fields }): SandboxRecord => ({
            kind: kindOf(type, fields),
            id: Id,
            key: keyIn(fields),
            fields,
          }),
        ),
      ),
    place: (call) => {
      const find = (type: string, field: string, value: string) => withValue(type, field, value)[0]
      if (call.audio) recordings.set(`${call.id}.${call.audio.format}`, call.audio.bytes)
      return logCall(call, { account, baseUrl, insert, find })
    },
    addContact: ({ name, phone }) => insert('Contact', { LastName: name, Phone: phone }, true).Id,
  }

  function keyIn(fields: Record<string, Value>): string | null {
    const key = KEYS.map((name) => fields[name]).find((value) => typeof value === 'string')
    return typeof key === 'string' ? key : null
  }
}

function kindOf(type: string, { TaskSubtype }: Record<string, Value>): string {
  if (type === 'Task') return TaskSubtype === 'Call' ? 'call' : 'task'
  return { Contact: 'contact', Lead: 'contact', Account: 'company', ContentVersion: 'file' }[type] ?? type
}

/** 15 characters, and three that carry the case of the letters before. */
function idOf(prefix: string, count: number): string {
  const id = `${prefix}d0000${String(count).padStart(7, '0')}`
  const signs = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ012345'
  const ends = [0, 5, 10].map((at) => {
    const bits = [...id.slice(at, at + 5)].reduce(
      (sum, char, bit) => sum + (/[A-Z]/.test(char) ? 2 ** bit : 0),
      0,
    )
    return signs[bits] ?? 'A'
  })
  return id + ends.join('')
}
