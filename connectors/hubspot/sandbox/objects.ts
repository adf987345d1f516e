import { type Context, Hono } from 'hono'
import { z } from 'zod'
import { ASSOCIATIONS } from '../map.ts'
import type { StoredFile, StoredProperty } from './account.ts'
import { heldBy, idsOn, KINDS, type Kind, type Records, type Stored, shown } from './records.ts'
import { missing, type Refusal, refusal, refuse } from './refusals.ts'
import { candidates, matches, msOf, SEARCH } from './search.ts'

/** The object and association routes. */

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
  properties: z.array(z.string()).default([]),
})
const TRANSCRIPT = z.object({
  engagementId: z.int(),
  transcriptCreateUtterances: z
    .array(
      z.object({
        speaker: z.object({ id: z.string(), name: z.string(), email: z.string().optional() }),
        text: z.string(),
        startTimeMillis: z.int(),
        endTimeMillis: z.int(),
      }),
    )
    .min(1),
})
const MERGE = z.object({ primaryObjectId: z.string(), objectIdToMerge: z.string() })

export interface ObjectOptions {
  now(): number
  properties: ReadonlyMap<string, StoredProperty>
  files: ReadonlyMap<string, StoredFile>
  /** A batch write locks its records for this long (error-handling guide: about two seconds). */
  lockMs: number
  /** The account's app hears of it. */
  tell(type: string, record: Pick<Stored, 'kind' | 'id'>, more?: Record<string, unknown>): void
}

export function createObjects(records: Records, options: ObjectOptions): Hono {
  const { now, properties: known, files, lockMs, tell } = options
  const { all, of, store, change, join, remove } = records
  const app = new Hono()
  const objects = '/crm/objects/:version/:type'
  let lockedUntil = 0

  /** What HubSpot would say against these properties; null when it takes them. */
  function objection(kind: Kind, properties: Record<string, string>, self?: Stored): Refusal | null {
    if (['call', 'note', 'task'].includes(kind) && !self && !properties.hs_timestamp)
      return refusal('Property values were not valid: hs_timestamp is required')
    if (!isInstant(properties.hs_timestamp)) return refusal('hs_timestamp was not a valid long')
    for (const [name, value] of Object.entries(kind === 'call' ? properties : {})) {
      const property = known.get(name)
      if (!property && !/^(?:hs_|hubspot_)/.test(name)) return refusal(`Property "${name}" does not exist`)
      const allowed = property?.options.map((option) => option.value) ?? []
      // An empty value clears the field.
      if (property?.type === 'enumeration' && value !== '' && !allowed.includes(value))
        return refusal(`${value} was not one of the allowed options: [${allowed.join(', ')}]`)
      if (property?.type === 'number' && value !== '' && !Number.isFinite(Number(value)))
        return refusal(`${name} is no number`)
    }
    if ((properties.hs_note_body?.length ?? 0) > 65_536)
      return refusal('hs_note_body is longer than 65536 characters')
    const attached = properties.hs_attachment_ids?.split(';').filter(Boolean) ?? []
    if (attached.some((id) => !files.has(id)))
      return refusal('hs_attachment_ids names a file that is not there')
    if (!/^\d*$/.test(properties.hubspot_owner_id ?? '')) return refusal('hubspot_owner_id is no number')
    const email = kind === 'contact' ? properties.email?.toLowerCase() : undefined
    const double = email && all.values().find((other) => isOther(other, email, self))
    if (!double) return null
    return { status: 409, category: 'CONFLICT', message: `Contact already exists. Existing ID: ${double.id}` }
  }
  const isInstant = (value: string | undefined) => !value || Math.abs(msOf(value)) < 8.64e15
  const isOther = (other: Stored, email: string, self: Stored | undefined) =>
    other.kind === 'contact' && other !== self && other.properties.email?.toLowerCase() === email

  type Handler<Schema extends z.ZodType> = (c: Context, kind: Kind, asked: z.output<Schema>) => Response
  const taking =
    <Schema extends z.ZodType>(schema: Schema, handler: Handler<Schema>) =>
    async (c: Context) => {
      const kind = new Map<string, Kind>(Object.entries(KINDS)).get(c.req.param('type') ?? '')
      if (!kind) return refuse(c, missing('This object type'))
      const asked = schema.safeParse(await c.req.json().catch(() => null))
      return asked.success ? handler(c, kind, asked.data) : refuse(c, refusal('Invalid input JSON'))
    }

  const search = taking(SEARCH, (c, kind, { filterGroups, limit, after, sorts, properties }) => {
    const found = [...candidates(records, filterGroups)].filter(
      (record) =>
        record.kind === kind && record.searchableAt <= now() && matches(heldBy(record), filterGroups),
    )
    const [by] = sorts
    if (by !== undefined)
      found.sort(
        (a, b) => msOf(heldBy(a)[by] ?? '') - msOf(heldBy(b)[by] ?? '') || Number(a.id) - Number(b.id),
      )
    const from = Number(after)
    if (from + limit > 10_000) return refuse(c, refusal('A search shows 10000 records at most'))
    const to = from + limit
    return c.json({
      total: found.length,
      results: found.slice(from, to).map((record) => shown(record, properties)),
      ...(to < found.length ? { paging: { next: { after: String(to) } } } : {}),
    })
  })
  const readMany = taking(READ, (c, kind, { inputs, properties }) => {
    const found = inputs.flatMap(({ id }) => of(kind, id) ?? [])
    const lost = inputs.filter(({ id }) => !of(kind, id)).map(({ id }) => id)
    const results = found.map((record) => shown(record, properties))
    if (lost.length === 0) return c.json({ status: 'COMPLETE', results })
    const errors = [
      {
        status: 'error',
        category: 'OBJECT_NOT_FOUND',
        message: 'Could not get some objects',
        context: { ids: lost },
      },
    ]
    return c.json({ status: 'COMPLETE', results, errors, numErrors: 1 }, 207)
  })
  const upsert = taking(UPSERT, (c, kind, { inputs }) => {
    if (now() < lockedUntil)
      return refuse(c, { status: 423, category: 'LOCKED', message: 'This operation is locked' })
    const results: Record<string, unknown>[] = []
    const errors: { status: string; category: string; message: string }[] = []
    for (const { id, idProperty, properties } of inputs) {
      if (!known.get(idProperty)?.hasUniqueValue)
        return refuse(c, refusal(`Unable to perform upsert by non-unique property ${idProperty}`))
      const same = all.values().find((one) => one.kind === kind && one.properties[idProperty] === id)
      const no = objection(kind, properties, same)
      if (no) errors.push({ status: 'error', category: no.category, message: no.message })
      else {
        const record = same ? changed(same, properties) : made(kind, properties)
        results.push({ ...shown(record, Object.keys(properties)), new: !same })
      }
    }
    lockedUntil = now() + lockMs
    if (errors.length === 0) return c.json({ status: 'COMPLETE', results })
    return c.json({ status: 'COMPLETE', results, errors, numErrors: errors.length }, 207)
  })
  const list = taking(z.unknown(), (c, kind) => {
    const found = [...all.values()].filter((record) => record.kind === kind)
    const limit = Number(c.req.query('limit') ?? 10)
    return c.json({ results: found.slice(0, limit).map((record) => shown(record, namesIn(c))) })
  })
  const create = taking(CREATE, (c, kind, asked) => {
    const no = objection(kind, asked.properties)
    if (no) return refuse(c, no)
    const others: Stored[] = []
    for (const { to, types } of asked.associations) {
      const pairs = Object.entries(ASSOCIATIONS[kind] ?? {})
      const target = pairs.find(([, id]) => id === types[0]?.associationTypeId)?.[0]
      const other = of(target as Kind, to.id)
      if (!other) return refuse(c, refusal(`No ${target ?? 'record'} of this association exists`))
      others.push(other)
    }
    const record = made(kind, asked.properties)
    for (const other of others) join(record, other)
    return c.json(shown(record, Object.keys(asked.properties)), 201)
  })
  const get = taking(z.unknown(), (c, kind) => {
    const record = located(kind, c)
    if (!record) return refuse(c, missing('resource'))
    return c.json(shown(record, namesIn(c), c.req.query('associations')))
  })
  const update = taking(UPDATE, (c, kind, { properties }) => {
    const record = located(kind, c)
    if (!record) return refuse(c, missing('resource'))
    // "Ignored" (calls guide): what is not there, and what only HubSpot writes.
    const taken = Object.entries(properties).filter(
      ([name]) => kind !== 'call' || known.has(name) || /^(?:hs_|hubspot_)/.test(name),
    )
    const no = objection(kind, Object.fromEntries(taken), record)
    if (no) return refuse(c, no)
    return c.json(shown(changed(record, Object.fromEntries(taken)), Object.keys(properties)))
  })
  const archive = taking(z.unknown(), (c, kind) => {
    const record = located(kind, c)
    if (record) remove(record)
    if (record) tell('deletion', record)
    return c.body(null, 204)
  })
  const erase = taking(z.object({ objectId: z.string() }), (c, kind, { objectId }) => {
    const record = of(kind, objectId)
    if (!record) return refuse(c, missing('resource'))
    remove(record)
    // Both are told (changelog on contact.privacyDeletion, read 2026-11-27).
    tell('deletion', record)
    tell('privacyDeletion', record)
    return c.body(null, 204)
  })
  const merge = taking(MERGE, (c, kind, { primaryObjectId, objectIdToMerge }) => {
    const [kept, gone] = [of(kind, primaryObjectId), of(kind, objectIdToMerge)]
    if (!kept || !gone) return refuse(c, missing('resource'))
    for (const other of all.values()) if (other.on.has(`${kind}/${gone.id}`)) join(kept, other)
    remove(gone)
    const ids = { primaryObjectId: Number(kept.id), mergedObjectIds: [Number(gone.id)] }
    tell('merge', kept, { ...ids, newObjectId: Number(kept.id), numberOfPropertiesMoved: 0 })
    return c.json(shown(kept, []))
  })
  app.post(`${objects}/search`, search)
  app.post(`${objects}/batch/read`, readMany)
  app.post(`${objects}/batch/upsert`, upsert)
  app.post(`${objects}/gdpr-delete`, erase)
  app.post(`${objects}/merge`, merge)
  app.get(objects, list).post(objects, create)
  app.get(`${objects}/:id`, get).patch(`${objects}/:id`, update).delete(`${objects}/:id`, archive)

  app.put('/crm/objects/:version/:from/:fromId/associations/default/:to/:toId', (c) => {
    const { from, fromId, to, toId } = c.req.param()
    const one = of(from as Kind, fromId)
    const other = of(to as Kind, toId)
    if (!one || !other) return refuse(c, missing('One of the records'))
    join(one, other)
    return c.json({ status: 'COMPLETE', results: [{ from: { id: fromId }, to: { id: toId } }] })
  })
  app.post('/crm/associations/:version/:from/:to/batch/read', async (c) => {
    const kinds = new Map<string, Kind>(Object.entries(KINDS))
    const [from, to] = [kinds.get(c.req.param('from')), kinds.get(c.req.param('to'))]
    const asked = READ.safeParse(await c.req.json().catch(() => null))
    if (!from || !asked.success) return refuse(c, refusal('Invalid input JSON'))
    // Those that stand on nothing are left out.
    const results = asked.data.inputs.flatMap(({ id }) => {
      const record = of(from, id)
      const ids = record ? idsOn(record, to) : []
      const types = [{ category: 'HUBSPOT_DEFINED', typeId: 1, label: null }]
      const others = ids.map((toObjectId) => ({ toObjectId, associationTypes: types }))
      return ids.length === 0 ? [] : [{ from: { id }, to: others }]
    })
    return c.json({ status: 'COMPLETE', results })
  })

  app.post('/crm/extensions/calling/:version/transcripts', async (c) => {
    const asked = TRANSCRIPT.safeParse(await c.req.json().catch(() => null))
    const call = asked.success ? of('call', String(asked.data.engagementId)) : undefined
    if (!call || !asked.success) return refuse(c, refusal('Invalid input JSON'))
    const id = `t-${call.id}`
    change(call, { hs_call_transcription_id: id, hs_call_transcript: JSON.stringify(asked.data) })
    return c.json({ id }, 201)
  })

  function located(kind: Kind, c: Context): Stored | undefined {
    const id = c.req.param('id')
    const property = c.req.query('idProperty')
    if (property === undefined) return of(kind, id)
    return all.values().find((record) => record.kind === kind && record.properties[property] === id)
  }
  const namesIn = (c: Context) => c.req.query('properties')?.split(',') ?? []

  function made(kind: Kind, properties: Record<string, string>): Stored {
    const record = store(kind, properties)
    tell('creation', record)
    return record
  }
  function changed(record: Stored, properties: Record<string, string>): Stored {
    const news = Object.entries(properties).filter(([name, value]) => record.properties[name] !== value)
    change(record, properties)
    for (const [propertyName, propertyValue] of news)
      tell('propertyChange', record, { propertyName, propertyValue })
    return record
  }

  return app
}
