import type { Call } from '../../src/call/call.ts'
import { type CheckResult, type ConnectorContext, defineConnector } from '../../src/connector/contract.ts'
import { numberToMatch } from '../../src/connector/crm-plan.ts'
import type { Candidate, CrmRecord, WritePart, WrittenParts } from '../../src/connector/crm-role.ts'
import { readAs } from '../../src/connector/read.ts'
import type { Verification } from '../../src/connector/verification.ts'
import { CordboardError } from '../../src/errors.ts'
import { companySearch, contactSearch, emailSearch, existingId, hubspot, instantSearch } from './client.ts'
import {
  type Activity,
  asCandidates,
  byId,
  CONTACT_PROPERTIES,
  carriesOurs,
  nameChanges,
  nameOf,
  newContact,
  plan,
  REF_PROPERTIES,
  updatable,
  withNumber,
  withRef,
} from './map.ts'
import { type Config, type CrmObject, changes, config } from './schema.ts'

type Context = ConnectorContext<Config>

export const connector = defineConnector({
  id: 'hubspot',
  name: 'HubSpot',
  docs: 'https://developers.hubspot.com/docs/api-reference/latest/crm/activities/calls/guide',
  config,
  check,
  budgets: ({ requestsPer10s, searchPerSecond }) => ({
    default: { limit: requestsPer10s, windowMs: 10_000, window: 'rolling' },
    search: { limit: searchPerSecond, windowMs: 1000, window: 'rolling' },
  }),
  crm: {
    // "A few moments" by the search guide; users report up to 30 s (HubSpot/hubspot-api-nodejs#545).
    indexLagMs: 30_000,
    match,
    plan,
    newContact,
    write,
    find,
    recordUrl,
    callback: {
      verify: verification,
      receive(request) {
        const list = readAs(changes, request.json(), 'HubSpot: the list of changes')
        if (list.length === 0) return { ignored: 'an empty list of changes' }
        // They say that a record changed, not what it says now; calls come from the phone system.
        return { ignored: `changes in HubSpot that no call needs: ${nameChanges(list)}` }
      },
    },
  },
})

// ── Whose call it is ────────────────────────────────────────────────────────────────────────────────────────────────

async function match(call: Call, ctx: Context): Promise<Candidate[]> {
  const api = hubspot(ctx)
  const withUrl = (candidate: Candidate): Candidate => {
    const url = recordUrl(candidate, ctx.config)
    return url === null ? candidate : { ...candidate, url }
  }
  const named = call.customer?.crm?.[ctx.connection]
  if (named !== undefined && /^\d{1,20}$/.test(named)) {
    const known = await api.get('contact', named, { properties: CONTACT_PROPERTIES })
    const reason = 'the phone system named this record'
    if (known) return [withUrl({ type: 'contact', id: known.id, ...nameOf(known), reason })]
  }
  const phone = numberToMatch(call, ctx.config, ctx.region)
  if (phone === null) return []
  const contacts = withNumber(await contactsBy(phone, ctx), phone, ctx.region)
  if (contacts.length > 0) return asCandidates('contact', contacts, ctx.now()).map(withUrl)
  // Second class, and searches are the scarcest budget: asked only when no person has the number.
  const companies = withNumber(await api.search('company', companySearch(phone)), phone, ctx.region)
  return asCandidates('company', companies, ctx.now()).map(withUrl)
}

async function contactsBy(phone: string, ctx: Context): Promise<CrmObject[]> {
  const api = hubspot(ctx)
  try {
    return await api.search('contact', contactSearch(phone, 'indexed'))
  } catch (error) {
    // The names of the phone index are not documented: an account without them refuses the search.
    if (!(error instanceof CordboardError) || error.code !== 'rejected') throw error
    ctx.log.warn('HubSpot refused the search in its phone index; searching the plain fields')
    return api.search('contact', contactSearch(phone, 'plain'))
  }
}

function recordUrl(target: { type: string; id: string }, { portalId, appUrl }: Config): string | null {
  const objectType = { contact: '0-1', company: '0-2', deal: '0-3', ticket: '0-5' }[target.type]
  if (portalId === undefined || objectType === undefined) return null
  return `${appUrl}/contacts/${portalId}/record/${objectType}/${encodeURIComponent(target.id)}`
}

// ── Writing ─────────────────────────────────────────────────────────────────────────────────────────────────────────

async function write(
  part: WritePart,
  record: CrmRecord,
  _: WrittenParts,
  ctx: Context,
): Promise<{ id: string }> {
  const api = hubspot(ctx)
  const { target } = record
  if (part.kind === 'contact') return { id: part.externalId ?? (await createContact(part, ctx)) }
  const kind = activityOf(part)
  const fields = part.externalId === null ? part.fields : updatable(kind, part.fields)
  const properties = withRef(kind, await withOwner(fields, ctx), part.idempotencyKey)
  if (part.externalId !== null) {
    await api.update(kind, part.externalId, properties)
    // The record may have been chosen anew since. What a person had it put on besides stays.
    if (target) await api.associate(kind, part.externalId, target)
    return { id: part.externalId }
  }
  const unique = kind === 'call' ? ctx.config.externalIdProperty : undefined
  if (unique === undefined) return { id: await api.create(kind, properties, target) }
  const id = await api.upsert(kind, unique, part.idempotencyKey, properties)
  if (target) await api.associate(kind, id, target)
  return { id }
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
  const id = (await ownerIdOf(owner, ctx)) ?? ctx.config.owners.fallback
  return id === undefined ? others : { ...others, hubspot_owner_id: id }
}

async function ownerIdOf(email: string, ctx: Context): Promise<string | null> {
  try {
    return await hubspot(ctx).ownerOf(email)
  } catch (error) {
    if (!(error instanceof CordboardError) || error.code !== 'forbidden') throw error
    ctx.log.warn('HubSpot does not let us read owners', { fix: error.fix })
    return null
  }
}

function activityOf({ kind }: WritePart): Activity {
  if (kind === 'call' || kind === 'note' || kind === 'task') return kind
  throw new CordboardError('internal', `HubSpot: nothing plans a part of the kind ${kind}`)
}

// ── Finding again ───────────────────────────────────────────────────────────────────────────────────────────────────

async function find(
  part: WritePart,
  record: CrmRecord,
  _: WrittenParts,
  ctx: Context,
): Promise<string | null> {
  if (part.kind === 'contact') return findContact(part, ctx)
  const kind = activityOf(part)
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

// ── Credentials ─────────────────────────────────────────────────────────────────────────────────────────────────────

async function check(ctx: Context): Promise<CheckResult> {
  const api = hubspot(ctx)
  const { config } = ctx
  const warnings: { what: string; fix: string }[] = []
  const grant = (scope: string) => `Grant ${scope} to the service key or app in HubSpot`
  /** False when the scope is missing; any other failure is the check's own. */
  async function allowed(asking: Promise<unknown>, what: string, fix: string): Promise<void> {
    try {
      await asking
    } catch (error) {
      if (!(error instanceof CordboardError) || !['forbidden', 'not_found'].includes(error.code)) throw error
      warnings.push({ what, fix })
    }
  }
  let portal: string | null = null
  const readAccount = async () => {
    portal = String((await api.account()).portalId)
  }
  const contactScopes = grant('crm.objects.contacts.read and crm.objects.contacts.write')
  // First alone: a refused token is said once, not six times.
  await allowed(api.peek('contact'), 'Contacts cannot be read: no call finds its record', contactScopes)
  await Promise.all([
    allowed(
      readAccount(),
      'The account’s details cannot be read',
      'Nothing, unless portalId should be checked',
    ),
    allowed(api.peek('call'), 'Calls cannot be read: none is found again after a lost answer', contactScopes),
    allowed(
      api.peek('company'),
      'Companies cannot be read: none is matched',
      grant('crm.objects.companies.read'),
    ),
    allowed(
      api.mayReadOwners(),
      'Owners cannot be read: calls stay without one',
      grant('crm.objects.owners.read'),
    ),
    checkUnique(api, config, warnings),
  ])
  if (portal !== null && config.portalId === undefined) {
    warnings.push({ what: 'There are no links to records', fix: `Set portalId to "${portal}"` })
  } else if (portal !== null && portal !== config.portalId) {
    warnings.push({
      what: 'The token belongs to another account than portalId says',
      fix: `Set portalId to "${portal}"`,
    })
  }
  if (ctx.region === undefined) {
    warnings.push({
      what: 'Numbers that HubSpot holds without a country code are not matched',
      fix: 'Set region to the country of this account, such as "DE"',
    })
  }
  return { says: portal === null ? 'account not named' : `account ${portal}`, warnings }
}

/** Whether `hasUniqueValue` may be set on calls is not documented; what HubSpot says of the property is. */
async function checkUnique(
  api: ReturnType<typeof hubspot>,
  config: Config,
  warnings: { what: string; fix: string }[],
) {
  const name = config.externalIdProperty
  if (name === undefined) return
  const fix = `Make ${name} as a unique single-line text property of calls, or remove externalIdProperty`
  try {
    const { hasUniqueValue } = await api.callProperty(name)
    if (!hasUniqueValue) warnings.push({ what: `The property ${name} of calls is not unique`, fix })
  } catch (error) {
    if (!(error instanceof CordboardError) || !['forbidden', 'not_found'].includes(error.code)) throw error
    warnings.push({ what: `The property ${name} of calls cannot be read`, fix })
  }
}

/**
 * Signature v3; only these escapes of the URL are decoded before it is signed.
 * https://developers.hubspot.com/docs/apps/legacy-apps/authentication/validating-requests (read 2026-11-20)
 */
function verification({ appSecret }: Config): Verification {
  const urlDecoded = '%3A %2F %3F %40 %21 %24 %27 %28 %29 %2A %2C %3B'.split(' ')
  const timestamp = 'x-hubspot-request-timestamp'
  return {
    scheme: 'hmac',
    hash: 'sha256',
    encoding: 'base64',
    header: 'x-hubspot-signature-v3',
    signed: [{ method: true }, { urlDecoded }, { body: true }, { header: timestamp }],
    // Without a secret nothing verifies: deliveries are refused, never taken unsigned.
    secrets: appSecret ?? [],
    freshness: { header: timestamp, unit: 'ms', toleranceMs: 300_000 },
  }
}
