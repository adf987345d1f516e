import type { ConnectorContext } from '../../../src/connector/contract.ts'
import type { CrmRecord, WritePart, WrittenParts } from '../../../src/connector/crm-role.ts'
import { encodeBase64, utf8 } from '../../../src/connector/encoding.ts'
import { CordboardError } from '../../../src/errors.ts'
import { quoted, salesforce, type Values } from '../client.ts'
import { fitted, placeOf, updatable, withAnalysis } from '../map.ts'
import { type Config, commentsOf, linkedFile, withId } from '../schema.ts'
import { detailsOf } from './refusal.ts'

type Context = ConnectorContext<Config>
type Fields = Record<string, string>

export async function write(
  part: WritePart,
  record: CrmRecord,
  written: WrittenParts,
  ctx: Context,
): Promise<{ id: string }> {
  if (part.kind === 'contact') return { id: part.externalId ?? (await createPerson(part, ctx)) }
  if (part.kind === 'file') return { id: part.externalId ?? (await createFile(part, record, written, ctx)) }
  const kind = activityOf(part)
  try {
    if (part.externalId === null) return { id: await createTask(part, record, ctx) }
    await updateTask(part.externalId, kind, part, record, ctx)
    return { id: part.externalId }
  } catch (error) {
    // The org is not as it was described: next time it is asked again.
    if (/^INVALID_(?:FIELD|OR_NULL_FOR_RESTRICTED_PICKLIST)/.test(detailsOf(error).errorCode ?? ''))
      salesforce(ctx).forget()
    throw error
  }
}

// ── Activities ──────────────────────────────────────────────────────────────────────────────────────────────────────

async function createTask(part: WritePart, record: CrmRecord, ctx: Context): Promise<string> {
  const api = salesforce(ctx)
  const field = await keyField(ctx)
  const key = part.idempotencyKey
  const planned = { ...part.fields, ...placeOf(record.target) }
  if (part.kind === 'call' && planned.Status === undefined) {
    const closed = await api.closedStatus()
    if (closed !== undefined) planned.Status = closed
  }
  const values = await taskValues(planned, 'createable', ctx)
  if (field === 'CallObject') return api.create('Task', { ...values, CallObject: key })
  try {
    return (await api.upsert('Task', field, key, values)) ?? (await expectTask(key, ctx))
  } catch (error) {
    const there = await sameTask(error, field, key, ctx)
    if (there === null) throw error
    await updateTask(there, activityOf(part), part, record, ctx)
    return there
  }
}

/**
 * The record that somebody else made with our key between our asking and our writing: the unique field names it, or the
 * upsert became an update, for which the subtype of a task may not be sent.
 */
async function sameTask(error: unknown, field: string, key: string, ctx: Context): Promise<string | null> {
  const { errorCode, existingId, field: shared } = detailsOf(error)
  if (errorCode === 'INVALID_FIELD_FOR_INSERT_UPDATE') return findTask(key, ctx)
  if (errorCode !== 'DUPLICATE_VALUE') return null
  if (shared?.toLowerCase() === field.toLowerCase()) return existingId ?? findTask(key, ctx)
  // Another unique field, which a mapping fills: no record of this call.
  const said = error instanceof CordboardError ? error.vendorSaid : undefined
  throw new CordboardError('rejected', 'Salesforce: a mapped value must be unique and is taken', {
    ...(said === undefined ? {} : { vendorSaid: said }),
    fix: 'Take the field out of the mapping, or allow the same value twice',
  })
}

async function updateTask(
  id: string,
  kind: 'call' | 'task',
  { fields, idempotencyKey }: WritePart,
  record: CrmRecord,
  ctx: Context,
): Promise<void> {
  const isLogged = kind === 'call' && record.logged !== null
  const planned = isLogged
    ? await besideOthers(id, fields, idempotencyKey, ctx)
    : { ...updatable(kind, fields), ...placeOf(record.target) }
  const values = await taskValues(planned, 'updateable', ctx)
  if (Object.keys(values).length === 0) return
  try {
    await salesforce(ctx).update('Task', id, values)
  } catch (error) {
    if (detailsOf(error).errorCode !== 'ENTITY_IS_DELETED' || !(await isThere(id, ctx))) throw error
    // It is the contact or account that was deleted: the activity must not be made anew.
    throw new CordboardError('rejected', 'Salesforce: the record of this call is no longer there', {
      cause: error,
      fix: 'Rerun the call from match: the record is looked for anew',
    })
  }
}

const isThere = async (id: string, ctx: Context): Promise<boolean> =>
  (await salesforce(ctx).query(withId, `SELECT Id FROM Task WHERE Id = ${quoted(id)} LIMIT 1`)).length > 0

/** The comments of a record that is not ours, with ours among them. */
async function besideOthers(
  id: string,
  { Description: ours, ...own }: Fields,
  key: string,
  ctx: Context,
): Promise<Fields> {
  if (ours === undefined) return own
  const soql = `SELECT Id, Description FROM Task WHERE Id = ${quoted(id)} LIMIT 1`
  const [standing] = await salesforce(ctx).query(commentsOf, soql)
  if (!standing)
    throw new CordboardError('not_found', 'Salesforce: the activity of this call is no longer there')
  return { ...own, Description: withAnalysis(standing.Description ?? '', ours, key) }
}

/** As the org takes it: with the owner's id and the owner's day, and without what it has no field for. */
async function taskValues(planned: Fields, way: 'createable' | 'updateable', ctx: Context): Promise<Values> {
  const { OwnerId: owner, ...others } = planned
  const { id, timeZone } = await ownerFor(owner, ctx)
  const all = id === undefined ? others : { ...others, OwnerId: id }
  const { values, leftOut } = fitted(all, await salesforce(ctx).describe('Task'), way, timeZone)
  if (leftOut.length > 0)
    ctx.log.warn('Salesforce takes not all fields of an activity', { leftOut: leftOut.join(', ') })
  return values
}

/** Plans name the agent by e-mail address. An activity without an owner becomes the integration user's. */
async function ownerFor(
  owner: string | undefined,
  ctx: Context,
): Promise<{ id: string | undefined; timeZone: string }> {
  const { owners, timeZone } = ctx.config
  const known = owner === undefined ? undefined : await salesforce(ctx).user(owner)
  if (known) return { id: known.Id, timeZone: known.TimeZoneSidKey ?? timeZone }
  // A queue is no user, and may own activities.
  const id = owner?.includes('@') ? owners.fallback : owner
  return { id, timeZone }
}

/**
 * The field that carries our key: without one that Salesforce takes, nothing would keep a call from being written twice.
 */
async function keyField(ctx: Context): Promise<string> {
  const name = ctx.config.externalIdField ?? 'CallObject'
  const field = (await salesforce(ctx).describe('Task')).find((one) => one.name === name)
  if (field?.createable && (name === 'CallObject' || field.externalId)) return name
  throw new CordboardError(
    'forbidden',
    `Salesforce: the field ${name} of activities cannot be written by our key`,
    {
      why: field
        ? 'It is read-only for this user, or no External ID'
        : 'The org has no such field, or hides it',
      fix: 'Make an External ID field of activities as the README says, show it to the integration user, and name it in externalIdField',
    },
  )
}

function activityOf({ kind }: WritePart): 'call' | 'task' {
  if (kind === 'call' || kind === 'task') return kind
  throw new CordboardError('internal', `Salesforce: nothing plans a part of the kind ${kind}`)
}

// ── Persons and files ───────────────────────────────────────────────────────────────────────────────────────────────

/** Tells which record it was that a duplicate rule found. https://developer.salesforce.com/docs/platform/api-rest/guide/headers-duplicaterules.html (read 2026-11-20) */
const DUPLICATE_RULES = { 'Sforce-Duplicate-Rule-Header': 'includeRecordDetails=true' }

/** Where a duplicate rule of the org names the record that is there: that one is meant. */
async function createPerson(part: WritePart, ctx: Context): Promise<string> {
  const api = salesforce(ctx)
  const type = ctx.config.unknownCallerAs
  const { values, leftOut } = fitted(part.fields, await api.describe(type), 'createable', ctx.config.timeZone)
  if (leftOut.length > 0)
    ctx.log.warn(`Salesforce takes not all fields of a ${type}`, { leftOut: leftOut.join(', ') })
  try {
    return await api.create(type, values, DUPLICATE_RULES)
  } catch (error) {
    const { errorCode, existingId } = detailsOf(error)
    if (errorCode !== 'DUPLICATES_DETECTED' || existingId === undefined) throw error
    return existingId
  }
}

/** Published on the activity itself in the same request: there is no moment at which it hangs on nothing. */
async function createFile(
  part: WritePart,
  record: CrmRecord,
  written: WrittenParts,
  ctx: Context,
): Promise<string> {
  const { text = '', ...names } = part.fields
  const on = holderOf(record, written)
  const where: Values = on === undefined ? {} : { FirstPublishLocationId: on }
  return salesforce(ctx).create('ContentVersion', {
    ...names,
    ...where,
    VersionData: encodeBase64(utf8(text)),
  })
}

const holderOf = (record: CrmRecord, written: WrittenParts): string | undefined =>
  written.call ?? record.logged?.id ?? record.target?.id

// ── Finding again ───────────────────────────────────────────────────────────────────────────────────────────────────

/** By SOQL, which reads what is stored: the search index is not asked, and its lag does not count. */
export async function find(
  part: WritePart,
  record: CrmRecord,
  written: WrittenParts,
  ctx: Context,
): Promise<string | null> {
  if (part.kind === 'contact') return findPerson(part, ctx)
  if (part.kind === 'file') return findFile(part, holderOf(record, written), ctx)
  return findTask(part.idempotencyKey, ctx)
}

async function findTask(key: string, ctx: Context): Promise<string | null> {
  const field = ctx.config.externalIdField ?? 'CallObject'
  const soql = `SELECT Id FROM Task WHERE ${field} = ${quoted(key)} ORDER BY CreatedDate ASC LIMIT 1`
  const [task] = await salesforce(ctx).query(withId, soql)
  return task?.Id ?? null
}

async function expectTask(key: string, ctx: Context): Promise<string> {
  const id = await findTask(key, ctx)
  if (id !== null) return id
  throw new CordboardError('vendor_down', 'Salesforce: the activity that was written is not found by its key')
}

/** A person has no place for our key; the oldest one with the same address or number is the one we meant, whoever made it. */
async function findPerson({ fields }: WritePart, ctx: Context): Promise<string | null> {
  const type = ctx.config.unknownCallerAs
  const open = type === 'Lead' ? ' AND IsConverted = false' : ''
  for (const name of ['Email', 'Phone'] as const) {
    const value = fields[name]
    if (value === undefined) continue
    const soql = `SELECT Id FROM ${type} WHERE ${name} = ${quoted(value)}${open} ORDER BY CreatedDate ASC LIMIT 1`
    const [same] = await salesforce(ctx).query(withId, soql)
    if (same) return same.Id
  }
  return null
}

/** By its name, which holds the call's id, among the files of the record that it was published on. */
async function findFile(
  { fields }: WritePart,
  holder: string | undefined,
  ctx: Context,
): Promise<string | null> {
  if (holder === undefined) return null
  const soql =
    'SELECT ContentDocument.Title, ContentDocument.LatestPublishedVersionId FROM ContentDocumentLink ' +
    `WHERE LinkedEntityId = ${quoted(holder)}`
  const files = await salesforce(ctx).query(linkedFile, soql)
  const same = files.find(({ ContentDocument }) => ContentDocument.Title === fields.Title)
  return same?.ContentDocument.LatestPublishedVersionId ?? null
}
