import type { ConnectorContext } from '../../../src/connector/contract.ts'
import { ownerIdOf } from '../../../src/connector/crm-owner.ts'
import type { CrmRecord, WritePart, WrittenParts } from '../../../src/connector/crm-role.ts'
import { CordboardError } from '../../../src/errors.ts'
import { hubspot } from '../client.ts'
import { asCandidates, byId, withNumber } from '../map/match.ts'
import { type Activity, carriesOurs, REF_PROPERTIES, UTTERANCES, updatable, withRef } from '../map.ts'
import type { Config, CrmObject } from '../schema.ts'
import { saveFile } from './files.ts'
import { contactsBy } from './match.ts'
import { existingId, isRefusal } from './requests.ts'
import { emailSearch, instantSearch } from './searches.ts'
import { findTranscript, handOver } from './transcripts.ts'

/** Writing a part, and finding out whether it was written. */

type Context = ConnectorContext<Config>

export async function write(
  part: WritePart,
  record: CrmRecord,
  written: WrittenParts,
  ctx: Context,
): Promise<{ id: string }> {
  const api = hubspot(ctx)
  const { target, logged } = record
  if (part.kind === 'contact') return { id: part.externalId ?? (await createContact(part, ctx)) }
  if (part.key === UTTERANCES) return { id: await handOver(part, written, ctx) }
  if (part.kind === 'file') return { id: await saveFile(part, ctx) }
  const kind = activityOf(part)
  if (kind === 'call' && logged) {
    // HubSpot's own record: where it stands, whose it is and what it says are for those who made it.
    if (Object.keys(part.fields).length > 0) await api.update('call', logged.id, part.fields)
    return { id: logged.id }
  }
  const fields = part.externalId === null ? part.fields : changed(kind, part, record)
  const owned = await withFile(await withOwner(fields, ctx), part, written, ctx)
  const properties = withRef(kind, owned, part.idempotencyKey)
  if (part.externalId !== null) {
    await api.update(kind, part.externalId, properties)
    // The record may have been chosen anew since. What a person had it put on besides stays.
    if (target) await putOn(target, kind, part.externalId, ctx)
    return { id: part.externalId }
  }
  const unique = kind === 'call' ? ctx.config.externalIdProperty : undefined
  if (unique === undefined) return { id: await api.create(kind, properties, target) }
  const id = await api.upsert(kind, unique, part.idempotencyKey, properties)
  if (target) await putOn(target, kind, id, ctx)
  return { id }
}

/** That it cannot be put there says nothing of the activity, which was written a moment ago: it must not be made anew. */
async function putOn(
  target: { type: string; id: string },
  kind: Activity,
  id: string,
  ctx: Context,
): Promise<void> {
  try {
    await hubspot(ctx).associate(kind, id, target)
  } catch (error) {
    if (!isRefusal(error, 'not_found', 'gone')) throw error
    throw new CordboardError('rejected', `HubSpot: the ${target.type} of this call is no longer there`, {
      cause: error,
      fix: 'Rerun the call from match: the record is looked for anew',
    })
  }
}

/** Of a second write: what people decide stays theirs, unless a mapping of the operator names it. */
function changed(kind: Activity, { fields }: WritePart, record: CrmRecord): Record<string, string> {
  const mapped = Object.entries(fields).filter(
    ([name]) => kind === 'call' && Object.hasOwn(record.fields, name),
  )
  return { ...updatable(kind, fields), ...Object.fromEntries(mapped) }
}

/** HubSpot refuses a second contact with the same e-mail address and names the first: that one is meant. */
async function createContact(part: WritePart, ctx: Context): Promise<string> {
  try {
    return await hubspot(ctx).create('contact', part.fields, null)
  } catch (error) {
    const existing = existingId(error)
    if (existing === null) throw error
    return existing
  }
}

/** Plans name the agent by e-mail address; HubSpot wants the owner's id. A call without an owner is better than none. */
async function withOwner(fields: Record<string, string>, ctx: Context): Promise<Record<string, string>> {
  const { hubspot_owner_id: owner, ...others } = fields
  if (owner === undefined || !owner.includes('@')) return fields
  const id = await ownerIdOf(owner, ctx, (email) => hubspot(ctx).ownerOf(email))
  return id === null ? others : { ...others, hubspot_owner_id: id }
}

/** Plans name the file by its part; HubSpot wants its id. What people attached to the note besides stays. */
async function withFile(
  fields: Record<string, string>,
  { externalId }: WritePart,
  written: WrittenParts,
  ctx: Context,
): Promise<Record<string, string>> {
  const { hs_attachment_ids: wanted, ...others } = fields
  const file = wanted === undefined ? undefined : written[wanted]
  if (file === undefined) return others
  const names = { properties: ['hs_attachment_ids'] }
  const note = externalId === null ? null : await hubspot(ctx).get('note', externalId, names)
  const attached = note?.properties.hs_attachment_ids?.split(';').filter(Boolean) ?? []
  return { ...others, hs_attachment_ids: [...new Set([...attached, file])].join(';') }
}

function activityOf({ kind }: WritePart): Activity {
  if (kind === 'call' || kind === 'note' || kind === 'task') return kind
  throw new CordboardError('internal', `HubSpot: nothing plans a part of the kind ${kind}`)
}

// ── Finding again ───────────────────────────────────────────────────────────────────────────────────────────────────

export async function find(
  part: WritePart,
  record: CrmRecord,
  written: WrittenParts,
  ctx: Context,
): Promise<string | null> {
  if (part.kind === 'contact') return findContact(part, ctx)
  if (part.key === UTTERANCES) return findTranscript(written, ctx)
  // Sent again under its name it takes the place of the first; and no note points at a file whose end is not known.
  if (part.kind === 'file') return null
  const kind = activityOf(part)
  if (kind === 'call' && record.logged) return record.logged.id
  const key = part.idempotencyKey
  const unique = kind === 'call' ? ctx.config.externalIdProperty : undefined
  if (unique !== undefined) return findUnique(key, unique, record.target, ctx)
  const beside = await onRecord(kind, record.target, ctx)
  const at = part.fields.hs_timestamp
  const ours =
    beside.find((found) => carriesOurs(found, key)) ??
    (at === undefined ? [] : await hubspot(ctx).search(kind, instantSearch(at, REF_PROPERTIES))).find(
      (found) => carriesOurs(found, key),
    )
  return ours?.id ?? null
}

/** The newest activities of the record itself: not through the search index, which lags. */
async function onRecord(kind: Activity, target: CrmRecord['target'], ctx: Context): Promise<CrmObject[]> {
  if (target?.type !== 'contact' && target?.type !== 'company') return []
  const api = hubspot(ctx)
  const properties = ['hs_object_id']
  const holder = await api.get(target.type, target.id, { properties, associations: [kind] })
  const ids = Object.values(holder?.associations ?? {}).flatMap(({ results }) => results.map(({ id }) => id))
  const newest = [...new Set(ids)].sort(byId).slice(-100)
  return newest.length === 0 ? [] : api.readMany(kind, newest, REF_PROPERTIES)
}

/**
 * By the unique property. A call that is there but not yet on its record counts as not found: sending it again is
 * harmless then, and puts it there.
 */
async function findUnique(key: string, idProperty: string, target: CrmRecord['target'], ctx: Context) {
  const type = target?.type === 'contact' || target?.type === 'company' ? target.type : undefined
  const found = await hubspot(ctx).get('call', key, {
    properties: [idProperty],
    idProperty,
    ...(type === undefined ? {} : { associations: [type] }),
  })
  if (!found) return null
  const on = Object.values(found.associations ?? {}).flatMap(({ results }) => results.map(({ id }) => id))
  return type === undefined || (target && on.includes(target.id)) ? found.id : null
}

/** A contact has no place for our key; one with the same address or number is the one we meant, whoever made it. */
async function findContact({ fields }: WritePart, ctx: Context): Promise<string | null> {
  const { email, phone } = fields
  const byEmail = email === undefined ? [] : await hubspot(ctx).search('contact', emailSearch(email))
  const same =
    byEmail.length > 0 || phone === undefined
      ? byEmail
      : withNumber(await contactsBy(phone, ctx), phone, ctx.region)
  return asCandidates('contact', same, ctx.now())[0]?.id ?? null
}
