import type { Call } from '../../src/call/call.ts'
import { type CheckResult, type ConnectorContext, defineConnector } from '../../src/connector/contract.ts'
import { asks, NAMED } from '../../src/connector/crm-match.ts'
import { agentIdOf, ownerIdOf } from '../../src/connector/crm-owner.ts'
import { carriesRef, numberToMatch, refLine } from '../../src/connector/crm-plan.ts'
import type {
  Candidate,
  CrmField,
  CrmRecord,
  Preference,
  WritePart,
  WrittenParts,
} from '../../src/connector/crm-role.ts'
import { escapeHtml } from '../../src/connector/crm-text.ts'
import { isSamePlace, type Place, placedId, readPlacedId } from '../../src/connector/placed-id.ts'
import { readAs } from '../../src/connector/read.ts'
import { CordboardError } from '../../src/errors.ts'
import {
  type Body,
  calls,
  linkOf,
  linkQuery,
  lookUp,
  missingWebhooks,
  pipedrive,
  subscribe,
} from './client.ts'
import {
  asCandidates,
  fieldsPathOf,
  isOurs,
  newContact,
  placeIn,
  plan,
  receive,
  searchesFor,
  updatable,
  withNumber,
} from './map.ts'
import { type Config, config, delivery, type Field, type FoundPerson } from './schema.ts'

type Context = ConnectorContext<Config>
type Warning = { what: string; fix: string }

const ACTIVITIES = '/api/v2/activities'
const DAY_MS = 86_400_000

export const connector = defineConnector({
  id: 'pipedrive',
  name: 'Pipedrive',
  docs: 'https://developers.pipedrive.com/docs/api/v1/CallLogs',
  config,
  check,
  budgets: ({ requestsPer2s, searchesPer2s }) => ({
    default: { limit: requestsPer2s, windowMs: 2000, window: 'rolling' },
    search: { limit: searchesPer2s, windowMs: 2000, window: 'rolling' },
  }),
  telephony: {
    webhook: {
      // Webhooks are not signed; the login is all there is.
      verify: ({ webhookPassword }) => ({
        scheme: 'token',
        place: { basic: 'password' },
        secrets: webhookPassword ?? [],
      }),
      receive: (request, ctx) => receive(readAs(delivery, request.json(), 'Pipedrive: the webhook'), ctx),
    },
    lookUp,
    calls,
    subscribe,
    recordingWaitMs: 0,
  },
  crm: {
    // Not documented for the search; lists are asked wherever there is one.
    indexLagMs: 60_000,
    match,
    plan,
    newContact,
    write,
    find,
    fields,
    recordUrl,
  },
})

// ── Whose call it is ────────────────────────────────────────────────────────────────────────────────────────────────

async function match(call: Call, ctx: Context, asked: readonly Preference[]): Promise<Candidate[]> {
  const api = pipedrive(ctx)
  const withUrl = (candidate: Candidate): Candidate => {
    const url = recordUrl(candidate, ctx.config)
    return url === null ? candidate : { ...candidate, url }
  }
  const named = call.customer?.crm?.[ctx.connection]
  if (named !== undefined && /^\d{1,15}$/.test(named)) {
    const known = await api.person(named)
    const name = known?.name ? { name: known.name } : {}
    if (known) return [withUrl({ type: 'person', id: known.id, ...name, reason: NAMED })]
  }
  const phone = numberToMatch(call, ctx.config, ctx.region)
  if (phone === null) return []
  const found = await personsBy(phone, ctx)
  const isAsked = asks(found.length, asked)
  const ids = found.map(({ id }) => id)
  const details = isAsked(...asked)
    ? await api.persons(ids, { include_fields: 'open_deals_count' })
    : new Map()
  const agentId = isAsked('owner is the agent') ? await agentIdOf(call, ctx, userOf(ctx)) : null
  return asCandidates(found, details, agentId).map(withUrl)
}

/** One after the other: searches are the scarcest budget, and cost the most of the day's tokens. */
async function personsBy(phone: string, ctx: Context): Promise<FoundPerson[]> {
  const api = pipedrive(ctx)
  const { wide, narrow } = searchesFor(phone)
  const found: FoundPerson[] = []
  for (const search of wide) found.push(...(await api.searchPersons(search, 'phone')))
  for (const search of narrow) {
    if (withNumber(found, phone, ctx.region).length > 0) break
    found.push(...(await api.searchPersons(search, 'phone')))
  }
  return withNumber(found, phone, ctx.region)
}

function recordUrl({ type, id }: { type: string; id: string }, { appUrl }: Config): string | null {
  const page = { person: 'person', contact: 'person', organization: 'organization', deal: 'deal' }[type]
  return appUrl === undefined || page === undefined ? null : `${appUrl}/${page}/${encodeURIComponent(id)}`
}

const userOf = (ctx: Context) => (email: string) => pipedrive(ctx).userOf(email)

// ── Writing ─────────────────────────────────────────────────────────────────────────────────────────────────────────

async function write(
  part: WritePart,
  record: CrmRecord,
  written: WrittenParts,
  ctx: Context,
): Promise<{ id: string }> {
  const { kind, externalId } = part
  if (part.key === 'fields') return writeFields(part, record, ctx)
  if (kind === 'contact') return { id: externalId ?? (await createPerson(part, ctx)) }
  // What a file says is never changed, nor what a call log says: neither has an update.
  if (kind === 'file') return { id: externalId ?? (await upload(part, record, written, ctx)) }
  if (kind === 'note') return writeNote(part, record, ctx)
  if (kind === 'call' && record.logged) return addTo(record.logged.id, part, ctx)
  if (kind === 'call' && ctx.config.log === 'callLog')
    return { id: externalId ?? (await createCallLog(part, record, ctx)) }
  if (kind === 'call' || kind === 'task') return writeActivity(part, record, ctx)
  throw new CordboardError('internal', `Pipedrive: nothing plans a part of the kind ${kind}`)
}

async function writeActivity(part: WritePart, { target }: CrmRecord, ctx: Context): Promise<{ id: string }> {
  const api = pipedrive(ctx)
  const { externalId, kind } = part
  const planned = externalId === null ? part.fields : updatable(kind, part.fields)
  const { owner, note, ...others } = planned
  const ownerId = await ownerIdOf(owner, ctx, userOf(ctx))
  const body: Body = {
    ...others,
    note: withRef(note, part.idempotencyKey),
    ...(ownerId === null ? {} : { owner_id: Number(ownerId) }),
  }
  const on = standOf(target)
  if (externalId === null) {
    const made = { ...body, done: kind === 'call', ...participation(target) }
    return { id: placedId(on, await api.create(ACTIVITIES, made)) }
  }
  const { place, id } = readPlacedId(externalId)
  // What was written before its record was kept with it says by itself where it stands.
  const before = place ?? placeIn(await api.activity(id))
  // Whoever else takes part in it, and what people linked it to since, stays until another record is chosen.
  const isMoved = on !== null && !isSamePlace(before, on)
  await api.change(ACTIVITIES, id, { ...body, ...(isMoved ? participation(target) : {}) })
  return { id: isMoved || place === null ? placedId(on, id) : externalId }
}

/** The record by the field that names it: other CRMs’ word for a person is taken too. */
function standOf(target: CrmRecord['target']): Place | null {
  const link = target && linkOf(target)
  return link ? { type: link.name.replace('_id', ''), id: link.id } : null
}

/** An activity has its person as the primary one of those who take part. */
function participation(target: CrmRecord['target']): Body {
  const link = target && linkOf(target)
  if (link?.name !== 'person_id') return linkBody(target)
  return { participants: [{ person_id: Number(link.id), primary: true }] }
}

/** Ids are numbers but for those of leads. */
function linkBody(target: CrmRecord['target']): Body {
  const link = target && linkOf(target)
  return link ? { [link.name]: link.name === 'lead_id' ? link.id : Number(link.id) } : {}
}

/** Always for the user of the credentials: only their own call logs are listed, and what is not listed is not found again. */
async function createCallLog(part: WritePart, { target }: CrmRecord, ctx: Context): Promise<string> {
  const { note, ...others } = part.fields
  const body = { ...others, note: withRef(note, part.idempotencyKey), ...linkBody(target) }
  return pipedrive(ctx).create('/v1/callLogs', body)
}

/** Pipedrive's own record of the call: what is there stays, ours is one block behind it. */
async function addTo(id: string, part: WritePart, ctx: Context): Promise<{ id: string }> {
  const { addition } = part.fields
  if (addition === undefined) return { id }
  const api = pipedrive(ctx)
  const before = (await api.activity(id)).note ?? ''
  const mark = '<p><strong>Cordboard</strong></p>'
  const kept = isOurs(before) && before.includes(mark) ? before.slice(0, before.indexOf(mark)) : before
  await api.change(ACTIVITIES, id, { note: `${kept}${mark}${withRef(addition, part.idempotencyKey)}` })
  return { id }
}

async function writeNote(part: WritePart, { target }: CrmRecord, ctx: Context): Promise<{ id: string }> {
  const api = pipedrive(ctx)
  const body = { content: withRef(part.fields.content, part.idempotencyKey), ...linkBody(target) }
  if (part.externalId === null) return { id: await api.create('/v1/notes', body) }
  await api.change('/v1/notes', part.externalId, body)
  return { id: part.externalId }
}

/** On its record, and on the activity of the call where that is ours. */
function upload(
  part: WritePart,
  { target }: CrmRecord,
  written: WrittenParts,
  ctx: Context,
): Promise<string> {
  const { call } = written
  const isActivity = call !== undefined && ctx.config.log === 'activity'
  const onActivity = isActivity ? { activity_id: readPlacedId(call).id } : {}
  const { name = 'transcript.txt', text = '' } = part.fields
  return pipedrive(ctx).upload(name, text, { ...linkQuery(target), ...onActivity })
}

function createPerson({ fields }: WritePart, ctx: Context): Promise<string> {
  const { name, phone, email } = fields
  return pipedrive(ctx).create('/api/v2/persons', {
    name,
    ...(phone === undefined ? {} : { phones: [{ value: phone, primary: true, label: 'work' }] }),
    ...(email === undefined ? {} : { emails: [{ value: email, primary: true, label: 'work' }] }),
  })
}

/** The operator's own fields of the record. Setting them again sets the same: there is nothing to find. */
async function writeFields(part: WritePart, { target }: CrmRecord, ctx: Context): Promise<{ id: string }> {
  const holder = target && fieldsPathOf(target.type)
  if (!target || !holder)
    throw new CordboardError('internal', 'Pipedrive: fields were planned for no person or deal')
  const api = pipedrive(ctx)
  const known = new Map((await api.fields(holder)).map((field) => [field.field_code, field]))
  const values: Body = {}
  for (const [name, value] of Object.entries(part.fields)) {
    const field = known.get(name)
    if (field) values[name] = valueFor(field, JSON.parse(value))
    else ctx.log.warn(`Pipedrive: a mapped field is none of this ${holder}`, { field: name })
  }
  if (Object.keys(values).length > 0)
    await api.change(`/api/v2/${holder}s`, target.id, { custom_fields: values })
  return { id: target.id }
}

/** Choices are written by their ids; a mapping names them by their labels. */
function valueFor(field: Field, value: unknown): unknown {
  if (field.field_type !== 'enum' && field.field_type !== 'set') {
    const isText = ['varchar', 'text', 'varchar_auto', 'phone', 'date', 'time'].includes(field.field_type)
    return isText ? String(value) : value
  }
  const option = field.options?.find(
    ({ id, label }) => label.toLowerCase() === String(value).toLowerCase() || String(id) === String(value),
  )
  if (!option) {
    throw new CordboardError('rejected', `Pipedrive: ${field.field_name} has no option of this name`, {
      fix: 'Add the option in Pipedrive, or change the mapping, then rerun the call',
    })
  }
  return field.field_type === 'set' ? [option.id] : option.id
}

const withRef = (html: string | undefined, key: string): string =>
  `${html ?? ''}<p>${escapeHtml(refLine(key))}</p>`

// ── Finding again ───────────────────────────────────────────────────────────────────────────────────────────────────

async function find(
  part: WritePart,
  record: CrmRecord,
  _: WrittenParts,
  ctx: Context,
): Promise<string | null> {
  const api = pipedrive(ctx)
  const { target } = record
  const isIt = (text: string | null | undefined) => carriesRef(text, part.idempotencyKey)
  if (part.key === 'fields') return null
  if (part.kind === 'contact') return findPerson(part, ctx)
  if (part.kind === 'file') return api.findFile(part.fields.name ?? '')
  if (part.kind === 'note') return target ? api.findNote(target, isIt) : null
  if (part.kind === 'call' && ctx.config.log === 'callLog')
    return (await api.callLogs(4)).find(({ note }) => isIt(note))?.id ?? null
  // Nothing of a call is written before its end; a day covers clocks that differ.
  const endedAt = Date.parse(record.call.endedAt ?? record.call.startedAt ?? '')
  const since = new Date(Math.max(0, (Number.isNaN(endedAt) ? ctx.now() - 30 * DAY_MS : endedAt) - DAY_MS))
  const found = await api.findActivity(target, since.toISOString(), ({ note }) => isIt(note))
  return found && placedId(placeIn(found), found.id)
}

/** A person has no place for our key; one with the same address or number is the one we meant, whoever made it. */
async function findPerson({ fields: { email, phone } }: WritePart, ctx: Context): Promise<string | null> {
  const byPhone = phone === undefined ? [] : await personsBy(phone, ctx)
  if (byPhone.length > 0 || email === undefined) return byPhone[0]?.id ?? null
  const byEmail = await pipedrive(ctx).searchPersons({ term: email, exact: true }, 'email')
  const isSame = (other: string) => other.toLowerCase() === email.toLowerCase()
  return byEmail.find(({ emails }) => emails?.some(isSame))?.id ?? null
}

// ── Fields ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const TYPES: Record<string, CrmField['type']> = {
  varchar: 'text',
  varchar_auto: 'text',
  text: 'text',
  phone: 'text',
  double: 'number',
  date: 'date',
  enum: 'choice',
  set: 'choice',
}

async function fields(ctx: Context): Promise<CrmField[]> {
  const api = pipedrive(ctx)
  const all: CrmField[] = []
  for (const holder of ['person', 'deal'] as const) {
    for (const field of await api.fields(holder)) {
      if (field.is_custom_field !== true) continue
      const type = TYPES[field.field_type]
      all.push({
        name: field.field_code,
        label: `${holder === 'person' ? 'Person' : 'Deal'}: ${field.field_name}`,
        type: type ?? 'text',
        // Pipedrive cuts what is longer without a word (pipedrive/client-nodejs#23).
        ...(field.field_type.startsWith('varchar') ? { maxLength: 255 } : {}),
        ...(type === 'choice' ? { choices: (field.options ?? []).map(({ label }) => label) } : {}),
        ...(type === undefined ? { readOnly: `fields of the type ${field.field_type} are not written` } : {}),
      })
    }
  }
  return all
}

// ── Credentials ─────────────────────────────────────────────────────────────────────────────────────────────────────

async function check(ctx: Context): Promise<CheckResult> {
  const { company_domain: company } = await pipedrive(ctx).me()
  const warnings: Warning[] = []
  if (ctx.region === undefined) {
    warnings.push({
      what: 'Numbers that Pipedrive holds without a country code are not matched',
      fix: 'Set region to the country of this account, such as "DE"',
    })
  }
  if (ctx.config.appUrl === undefined && company) {
    warnings.push({
      what: 'There are no links to records',
      fix: `Set appUrl to https://${company}.pipedrive.com`,
    })
  }
  warnings.push(...(await webhookWarnings(ctx)))
  return { says: company ? `company ${company}` : 'credentials accepted', warnings }
}

async function webhookWarnings(ctx: Context): Promise<Warning[]> {
  if (!ctx.config.calls || ctx.hookUrl === undefined) return []
  try {
    const missing = await missingWebhooks(ctx.hookUrl, ctx)
    if (missing.length === 0) return []
    const events = missing.map((one) => `${one.event_action}.${one.event_object}`).join(', ')
    return [{ what: `There is no webhook for ${events}`, fix: 'Subscribe, as the README says' }]
  } catch (error) {
    if (!(error instanceof CordboardError) || error.code !== 'forbidden') throw error
    return [
      { what: 'Webhooks cannot be read: whether calls arrive is not known', fix: 'Grant the scope admin' },
    ]
  }
}
