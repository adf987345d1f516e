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
import { nestForm } from '../../src/connector/nested-form.ts'
import { isSamePlace, placedId, readPlacedId } from '../../src/connector/placed-id.ts'
import { CordboardError } from '../../src/errors.ts'
import {
  type Body,
  calls,
  fetchRecording,
  isSubscribed,
  kommo,
  linkTo,
  listOfType,
  segment,
  subscribe,
} from './client.ts'
import {
  asCandidates,
  type EntityType,
  isEntityType,
  isOpen,
  leadIdsOf,
  newContact,
  placeOf,
  plan,
  queriesFor,
  readNoteId,
  receive,
  type Target,
  withNumber,
} from './map.ts'
import { type Config, config, type Entity, type Field } from './schema.ts'

type Context = ConnectorContext<Config>
type Warning = { what: string; fix: string }

const DAY_S = 86_400
const CALL_NOTES = ['call_in', 'call_out']

export const connector = defineConnector({
  id: 'kommo',
  name: 'Kommo / amoCRM',
  docs: 'https://www.amocrm.ru/developers/content/crm_platform/calls-api',
  config,
  check,
  budgets: ({ requestsPerSecond }) => ({
    default: { limit: requestsPerSecond, windowMs: 1000, window: 'rolling' },
  }),
  telephony: {
    webhook: {
      // Webhooks of an account are not signed: what they can be given is an address that nobody guesses.
      verify: ({ hookToken }) => ({ scheme: 'token', place: { path: true }, secrets: hookToken ?? [] }),
      // 100 to 299 within two seconds; a hundred other answers in two hours end the webhook.
      reply: { status: 200 },
      receive: (request, ctx) => receive(nestForm(request.form()), ctx),
    },
    recording: fetchRecording,
    recordingUrl: linkTo,
    calls,
    subscribe,
  },
  crm: {
    // Not documented for the search; notes and tasks are read from their record.
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
  const api = kommo(ctx)
  const named = call.customer?.crm?.[ctx.connection]
  if (named !== undefined && /^\d{1,15}$/.test(named)) {
    const known = await api.one('contact', named)
    if (known && known.is_deleted !== true) {
      const [candidate] = asCandidates('contact', [known], null, null)
      if (candidate) return placed([{ ...candidate, reason: NAMED }], [known], ctx)
    }
  }
  const phone = numberToMatch(call, ctx.config, ctx.region)
  if (phone === null) return []
  const contacts = await carrying('contact', phone, ctx)
  const type = contacts.length > 0 ? 'contact' : 'company'
  const found = contacts.length > 0 ? contacts : await carrying('company', phone, ctx)
  const isAsked = asks(found.length, asked)
  const open = isAsked('open deal') ? await openLeadsOf(found, ctx) : null
  const agentId = isAsked('owner is the agent') ? await agentIdOf(call, ctx, userOf(ctx)) : null
  return placed(asCandidates(type, found, open, agentId), found, ctx)
}

/** Errors are never taken for "nobody": that is how doubles come about. */
async function carrying(type: EntityType, phone: string, ctx: Context): Promise<Entity[]> {
  const found: Entity[] = []
  for (const query of queriesFor(phone)) found.push(...(await kommo(ctx).search(type, query)))
  return withNumber(found, phone, ctx.region)
}

async function openLeadsOf(found: readonly Entity[], ctx: Context): Promise<Set<string>> {
  const leads = await kommo(ctx).leads([...new Set(found.flatMap(leadIdsOf))])
  return new Set(leads.filter(isOpen).map(({ id }) => id))
}

/** With links, and the only open lead of a contact instead of it, where that is wanted. */
async function placed(candidates: Candidate[], found: readonly Entity[], ctx: Context): Promise<Candidate[]> {
  const isOnLead = ctx.config.attachTo === 'openLead' && candidates[0]?.type === 'contact'
  const open = isOnLead ? await openLeadsOf(found, ctx) : new Set<string>()
  const chosen = candidates.map((candidate) => {
    const contact = found.find(({ id }) => id === candidate.id)
    const [lead, another] = contact ? leadIdsOf(contact).filter((id) => open.has(id)) : []
    const isOne = lead !== undefined && another === undefined
    const placed: Candidate = isOne
      ? { ...candidate, type: 'lead', id: lead, reason: `${candidate.reason}, its only open lead` }
      : candidate
    const url = recordUrl(placed, ctx.config)
    return url === null ? placed : { ...placed, url }
  })
  // Two people of one lead are one record then.
  return [...new Map(chosen.map((one) => [`${one.type}/${one.id}`, one])).values()]
}

function recordUrl({ type, id }: { type: string; id: string }, { baseUrl }: Config): string | null {
  return isEntityType(type) ? `${baseUrl}/${listOfType(type)}/detail/${segment(id)}` : null
}

const userOf = (ctx: Context) => (email: string) => kommo(ctx).userOf(email)

// ── Writing ─────────────────────────────────────────────────────────────────────────────────────────────────────────

async function write(
  part: WritePart,
  record: CrmRecord,
  _: WrittenParts,
  ctx: Context,
): Promise<{ id: string }> {
  const { key, kind, externalId } = part
  const place = placeOf(record)
  if (key === 'fields') return writeFields(part, place, ctx)
  if (kind === 'contact') return { id: externalId ?? (await createContact(part, ctx)) }
  if (kind === 'call') return writeCall(part, record, place, ctx)
  if (kind === 'note') return writeNote(part, await noteBody(part, ctx), place, ctx)
  if (kind === 'task') return writeTask(part, place, ctx)
  throw new CordboardError('internal', `Kommo: nothing plans a part of the kind ${kind}`)
}

async function writeCall(part: WritePart, { logged }: CrmRecord, place: Target | null, ctx: Context) {
  const { externalId } = part
  // Kommo's own record of the call is left as it is; a call that Kommo placed cannot be changed.
  if (logged) return { id: logged.id }
  if (ctx.config.log === 'note') return writeNote(part, await callBody(part, ctx), place, ctx)
  if (externalId !== null) return { id: externalId }
  const { note_type, params, responsible_user_id } = await callBody(part, ctx)
  const direction = note_type === 'call_in' ? 'inbound' : 'outbound'
  await kommo(ctx).addCall({ direction, ...params, ...(responsible_user_id ? { responsible_user_id } : {}) })
  // What is answered names the record, and no id of the call: it is known by our key.
  return { id: part.idempotencyKey }
}

async function callBody({ fields, idempotencyKey }: WritePart, ctx: Context) {
  const { note_type = 'call_in', owner, shown, phone = '', link, call_result, call_status, duration } = fields
  const user = await ownerIdOf(owner, ctx, userOf(ctx))
  return {
    note_type,
    params: {
      uniq: idempotencyKey,
      source: ctx.config.source,
      duration: Number(duration ?? 0),
      phone,
      ...(link === undefined ? {} : { link }),
      ...(call_result === undefined ? {} : { call_result }),
      ...(call_status === undefined ? {} : { call_status: Number(call_status) }),
      // Who is shown: a user, or the name of somebody who is none.
      ...(user === null
        ? shown === undefined
          ? {}
          : { call_responsible: shown }
        : { call_responsible: Number(user) }),
    },
    ...(user === null ? {} : { responsible_user_id: Number(user) }),
  }
}

async function noteBody({ fields, idempotencyKey }: WritePart, { config }: Context): Promise<Body> {
  const text = withRef(fields.text, idempotencyKey)
  const params = config.noteType === 'common' ? { text } : { service: config.source, text }
  return { note_type: config.noteType, params }
}

/** A note is only reached through the kind of its record, and names it; that it can move to another is not documented. */
async function writeNote({ externalId }: WritePart, body: Body, place: Target | null, ctx: Context) {
  const api = kommo(ctx)
  if (externalId !== null) {
    const { list, on, id } = readNoteId(externalId)
    // Who is responsible for it may have been changed by a person.
    const { responsible_user_id: _, ...kept } = body
    const its = on === null ? {} : { entity_id: Number(on) }
    await api.change(`/api/v4/${segment(list)}/notes/${segment(id)}`, { ...its, ...kept })
    return { id: externalId }
  }
  if (!place) throw new CordboardError('internal', 'Kommo: a note was planned for no record')
  const list = listOfType(place.type)
  const id = await api.create('notes', `/api/v4/${list}/${segment(place.id)}/notes`, {
    entity_id: Number(place.id),
    ...body,
  })
  return { id: placedId({ type: list, id: place.id }, id) }
}

async function writeTask(
  { externalId, fields, idempotencyKey }: WritePart,
  place: Target | null,
  ctx: Context,
) {
  const api = kommo(ctx)
  const text = withRef(fields.text, idempotencyKey)
  const stand = place && { type: listOfType(place.type), id: place.id }
  const on = stand ? { entity_id: Number(stand.id), entity_type: stand.type } : {}
  if (externalId !== null) {
    const { place: before, id } = readPlacedId(externalId)
    // A person may have put it off, reassigned, completed, or moved it: it moves only when another record was chosen.
    const isMoved = before !== null && !isSamePlace(before, stand)
    await api.change(`/api/v4/tasks/${segment(id)}`, isMoved ? { text, ...on } : { text })
    return { id: isMoved ? placedId(stand, id) : externalId }
  }
  const user = await ownerIdOf(fields.owner, ctx, userOf(ctx))
  const id = await api.create('tasks', '/api/v4/tasks', {
    text,
    complete_till: Number(fields.complete_till),
    task_type_id: Number(fields.task_type_id),
    ...(user === null ? {} : { responsible_user_id: Number(user) }),
    ...on,
  })
  return { id: placedId(stand, id) }
}

function createContact({ fields, idempotencyKey }: WritePart, ctx: Context): Promise<string> {
  const { name, phone, email, called_at, duration, dialed } = fields
  const value = (field_code: string, text: string | undefined) =>
    text === undefined ? [] : [{ field_code, values: [{ value: text, enum_code: 'WORK' }] }]
  const contact = { name, custom_fields_values: [...value('PHONE', phone), ...value('EMAIL', email)] }
  if (ctx.config.unknownCallers === 'contact')
    return kommo(ctx).create('contacts', '/api/v4/contacts', contact)
  const { source, pipelineId } = ctx.config
  const at = Number(called_at ?? Math.floor(ctx.now() / 1000))
  return kommo(ctx).addUnsorted({
    source_name: source,
    source_uid: ctx.connection,
    created_at: at,
    ...(pipelineId === undefined ? {} : { pipeline_id: pipelineId }),
    metadata: {
      from: phone,
      phone: dialed ?? '',
      called_at: at,
      duration: Number(duration ?? 0),
      service_code: source,
      uniq: idempotencyKey,
      // The call’s own note comes from us.
      is_call_event_needed: false,
    },
    _embedded: { lead: { name }, contacts: [contact] },
  })
}

/** The operator's own fields, by id or code. Setting them again sets the same: there is nothing to find. */
async function writeFields(
  { fields }: WritePart,
  place: Target | null,
  ctx: Context,
): Promise<{ id: string }> {
  if (!place || !isEntityType(place.type))
    throw new CordboardError('internal', 'Kommo: fields were planned for no record')
  const api = kommo(ctx)
  const known = await api.fields(place.type)
  const values: Body[] = []
  for (const [name, value] of Object.entries(fields)) {
    const own = known.find(({ id, code }) => id === name || code === name)
    if (own) values.push({ field_id: Number(own.id), values: [valueFor(own, JSON.parse(value))] })
    else ctx.log.warn('Kommo: a mapped field is none of this kind of record', { field: name })
  }
  const path = `/api/v4/${listOfType(place.type)}/${segment(place.id)}`
  if (values.length > 0) await api.change(path, { custom_fields_values: values })
  return { id: place.id }
}

const CHOICES = ['select', 'radiobutton', 'multiselect']

function valueFor(own: Field, value: unknown): Body {
  if (CHOICES.includes(own.type)) {
    const option = own.enums?.find((one) => one.value.toLowerCase() === String(value).toLowerCase())
    if (option) return { enum_id: option.id }
    throw new CordboardError('rejected', `Kommo: ${own.name} has no value of this name`, {
      fix: 'Add it in Kommo, or change the mapping, then rerun the call',
    })
  }
  if (own.type === 'numeric' || own.type === 'price') return { value: Number(value) }
  if (own.type === 'checkbox') return { value: value === true || value === 'true' }
  if (own.type === 'date' || own.type === 'date_time') {
    const ms = Date.parse(String(value))
    return { value: Number.isNaN(ms) ? value : Math.floor(ms / 1000) }
  }
  return { value: String(value) }
}

const withRef = (text: string | undefined, key: string): string => `${text ?? ''}\n${refLine(key)}`

// ── Finding again ───────────────────────────────────────────────────────────────────────────────────────────────────

async function find(
  part: WritePart,
  record: CrmRecord,
  _: WrittenParts,
  ctx: Context,
): Promise<string | null> {
  const api = kommo(ctx)
  const { key, kind, idempotencyKey } = part
  const place = placeOf(record)
  if (key === 'fields') return null
  if (kind === 'contact') {
    const phone = part.fields.phone
    return phone === undefined ? null : ((await carrying('contact', phone, ctx))[0]?.id ?? null)
  }
  // Nothing of a call is written before its end; a day covers clocks that differ.
  const endedAt = Date.parse(record.call.endedAt ?? record.call.startedAt ?? '')
  const since = Math.max(0, Math.floor((Number.isNaN(endedAt) ? ctx.now() : endedAt) / 1000) - DAY_S)
  const isCall = ({ params }: { params?: { uniq?: string | null | undefined } | null | undefined }) =>
    params?.uniq === idempotencyKey
  // Wherever Kommo put it; it has no id that a later write could use.
  if (kind === 'call' && ctx.config.log === 'call')
    return (await api.findNote(null, CALL_NOTES, since, isCall)) === null ? null : idempotencyKey
  if (!place) return null
  if (kind === 'call') return api.findNote(place, CALL_NOTES, since, isCall)
  if (kind === 'task') return api.findTask(place, since, (text) => carriesRef(text, idempotencyKey))
  return api.findNote(place, [ctx.config.noteType], since, ({ params }) =>
    carriesRef(params?.text, idempotencyKey),
  )
}

// ── Fields ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const TYPES: Record<string, CrmField['type']> = {
  text: 'text',
  textarea: 'text',
  url: 'text',
  numeric: 'number',
  price: 'number',
  checkbox: 'boolean',
  date: 'date',
  birthday: 'date',
  date_time: 'datetime',
  select: 'choice',
  radiobutton: 'choice',
  multiselect: 'choice',
}

async function fields(ctx: Context): Promise<CrmField[]> {
  const all: CrmField[] = []
  for (const type of ['contact', 'lead', 'company'] as const) {
    for (const own of await kommo(ctx).fields(type)) {
      const kind = TYPES[own.type]
      all.push({
        name: own.id,
        label: `${type[0]?.toUpperCase()}${type.slice(1)}: ${own.name}`,
        type: kind ?? 'text',
        ...(kind === 'choice' ? { choices: (own.enums ?? []).map(({ value }) => value) } : {}),
        ...(kind === undefined ? { readOnly: `fields of the type ${own.type} are not written` } : {}),
      })
    }
  }
  return all
}

// ── Credentials ────────────────────────────────────────────────────────────────────────────────────────────────────

async function check(ctx: Context): Promise<CheckResult> {
  const { id, subdomain } = await kommo(ctx).account()
  const { accountId, hookToken, calls } = ctx.config
  const warnings: Warning[] = []
  if (accountId !== undefined && accountId !== id)
    warnings.push({
      what: 'The token belongs to another account than accountId says',
      fix: `Set accountId to "${id}"`,
    })
  if (ctx.region === undefined) {
    warnings.push({
      what: 'Numbers that Kommo holds without a country code are not matched',
      fix: 'Set region to the country of this account, such as "DE"',
    })
  }
  const [secret] = hookToken ?? []
  if (calls && secret !== undefined && ctx.hookUrl !== undefined)
    warnings.push(...(await webhookWarnings(`${ctx.hookUrl}/${segment(secret)}`, ctx)))
  return { says: `account ${subdomain ?? id}`, warnings }
}

async function webhookWarnings(destination: string, ctx: Context): Promise<Warning[]> {
  try {
    if (await isSubscribed(destination, ctx)) return []
    return [{ what: 'There is no active webhook for this connection', fix: 'Subscribe, as the README says' }]
  } catch (error) {
    if (!(error instanceof CordboardError) || error.code !== 'forbidden') throw error
    const what = 'Webhooks cannot be read: whether calls arrive is not known'
    return [{ what, fix: 'Connect it as an administrator' }]
  }
}
