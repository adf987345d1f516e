import type { Call } from '../../src/call/call.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { phoneSpellings } from '../../src/call/phone.ts'
import { type ConnectorContext, defineConnector, type WebhookSide } from '../../src/connector/contract.ts'
import { asks, NAMED } from '../../src/connector/crm-match.ts'
import { agentIdOf, ownerIdOf } from '../../src/connector/crm-owner.ts'
import { carriesRef, numberToMatch, refLine } from '../../src/connector/crm-plan.ts'
import type {
  Candidate,
  CrmRecord,
  Preference,
  WritePart,
  WrittenParts,
} from '../../src/connector/crm-role.ts'
import { nestForm } from '../../src/connector/nested-form.ts'
import { placedId, readPlacedId } from '../../src/connector/placed-id.ts'
import { readAs } from '../../src/connector/read.ts'
import { CordboardError } from '../../src/errors.ts'
import { moveActivity, moveCall, moveComment, statisticOf } from './client/move.ts'
import {
  ask,
  behind,
  checkPortal,
  describeFields,
  fetchRecording,
  listCalls,
  lookUp,
  setUpFields,
  subscribe,
} from './client.ts'
import {
  asCandidates,
  holderOf,
  isOfApplication,
  nameOf,
  newContact,
  ownOf,
  plan,
  TYPE_IDS,
  toCallEvent,
  withNumber,
} from './map.ts'
import {
  attachedRecord,
  attachedTranscript,
  type Config,
  callEnd,
  config,
  crmRecords,
  done,
  duplicates,
  envelope,
  listed,
  madeId,
  madeTodo,
  recordEvent,
  registered,
  users,
} from './schema.ts'

type Context = ConnectorContext<Config>

const webhook: WebhookSide<Config, CallEvent> = {
  // Nothing is signed: the token of the form is all there is (safe-event-handlers.md, read 2026-11-27).
  verify: ({ applicationToken }) => ({
    scheme: 'token',
    place: { field: 'auth[application_token]' },
    // Without one nothing verifies: events are refused, never taken unchecked.
    secrets: applicationToken ?? [],
  }),
  reply: { status: 200 },
  receive(request, ctx) {
    const body = nestForm(request.form())
    const event = readAs(envelope, body, 'Bitrix24: the event').event.toUpperCase()
    const [, deleted] = /^ONCRM(CONTACT|COMPANY|LEAD|DEAL)DELETE$/.exec(event) ?? []
    if (deleted !== undefined) {
      const { ID: id } = readAs(recordEvent, body, `Bitrix24: ${event}`).data.FIELDS
      return { events: [], changes: [{ change: 'deleted', type: deleted.toLowerCase(), id }] }
    }
    if (event !== 'ONVOXIMPLANTCALLEND') return { ignored: `${event} tells nothing that is needed` }
    if (!ctx.config.calls) return { ignored: 'calls is not set: Bitrix24 is not the phone system' }
    const { data } = readAs(callEnd, body, 'Bitrix24: ONVOXIMPLANTCALLEND')
    if (isOfApplication(data)) return { events: [], lookUp: [data.CALL_ID] }
    const read = toCallEvent(data, 'end', ctx)
    return read ? { events: [read] } : { ignored: 'an informational call: nobody talked' }
  },
}

export const connector = defineConnector({
  id: 'bitrix24',
  name: 'Bitrix24',
  docs: 'https://apidocs.bitrix24.com/',
  config,
  check: checkPortal,
  // A bucket of 50 that drains by the rate (limits.md): who stays below the rate never meets it, and others share it.
  budgets: ({ requestsPerSecond }) => ({
    default: { limit: requestsPerSecond * 10, windowMs: 10_000, window: 'rolling' },
  }),
  telephony: {
    webhook,
    recording: fetchRecording,
    calls: listCalls,
    lookUp,
    subscribe,
    // How long after the call's end a recording comes is not documented.
    recordingWaitMs: 600_000,
  },
  crm: {
    // Not documented: how long fresh records are missing from the search of duplicates and from the statistics.
    indexLagMs: 30_000,
    match,
    plan,
    newContact,
    write,
    find,
    fields: describeFields,
    setUp: setUpFields,
    recordUrl: ({ type, id }, { baseUrl }) =>
      Object.hasOwn(TYPE_IDS, type) ? `${baseUrl}/crm/${type}/details/${encodeURIComponent(id)}/` : null,
  },
})

// ── Whose call it is ────────────────────────────────────────────────────────────────────────────────────────────────

const FIELDS = ['ID', 'ASSIGNED_BY_ID', 'DATE_CREATE', 'LAST_ACTIVITY_TIME']
/** Only what the type has (crm.contact.fields and its like, read 2026-11-27). */
const OWN_FIELDS: Readonly<Record<string, readonly string[]>> = {
  contact: ['NAME', 'LAST_NAME', 'PHONE'],
  lead: ['TITLE', 'NAME', 'LAST_NAME', 'PHONE'],
  company: ['TITLE', 'PHONE'],
  deal: ['TITLE'],
}
const MOST_VALUES = 20
/** From so many duplicates of one type on, the types behind it are left out of the answer. */
const HIDES_OTHERS = 20
const MOST_RECORDS = 50

async function match(call: Call, ctx: Context, asked: readonly Preference[]): Promise<Candidate[]> {
  const known = await named(call, ctx)
  if (known) return [known]
  const phone = numberToMatch(call, ctx.config, ctx.region)
  if (phone === null) return []
  const find = (entity?: string) => {
    const values = phoneSpellings(phone).slice(0, MOST_VALUES)
    const params = { type: 'PHONE', values, ...(entity === undefined ? {} : { entity_type: entity }) }
    return ask('crm.duplicate.findbycomm', params, duplicates, ctx)
  }
  const { result: all } = await find()
  for (const type of ['contact', 'lead', 'company']) {
    const name = type.toUpperCase()
    const isHidden = all[name] === undefined && Object.values(all).some((ids) => ids.length >= HIDES_OTHERS)
    const ids = isHidden ? (await find(name)).result[name] : all[name]
    if (ids === undefined || ids.length === 0) continue
    const records = withNumber(await recordsOf(type, ids, ctx), phone, ctx.region)
    if (records.length === 0) continue
    const isAsked = asks(records.length, asked)
    const user = isAsked('owner is the agent') ? await agentOf(call, ctx) : null
    const withDeals = isAsked('open deal') ? await openDeals(type, records, ctx) : undefined
    return asCandidates(type, records, { user: user ?? undefined, withDeals })
  }
  return []
}

/** `lead:12`, or the digits alone for a contact. */
async function named(call: Call, ctx: Context): Promise<Candidate | null> {
  const said = call.customer?.crm?.[ctx.connection]
  const [, type = 'contact', id] = /^(?:(contact|company|lead|deal):)?(\d{1,20})$/.exec(said ?? '') ?? []
  if (id === undefined) return null
  const [record] = await recordsOf(type, [id], ctx)
  return record ? { type, id, ...nameOf(record), reason: NAMED } : null
}

async function recordsOf(type: string, ids: readonly string[], ctx: Context) {
  const select = [...FIELDS, ...(OWN_FIELDS[type] ?? [])]
  const params = { filter: { '@ID': ids.slice(0, MOST_RECORDS) }, select }
  return (await ask(`crm.${type}.list`, params, crmRecords, ctx)).result
}

/** Ids of those with a deal that is not closed; a deal is asked for by its main contact or company. */
async function openDeals(type: string, records: readonly { ID: string }[], ctx: Context) {
  if (type === 'lead') return undefined
  const by = type === 'contact' ? 'CONTACT_ID' : 'COMPANY_ID'
  const found = await Promise.all(
    records.map(async ({ ID }) => {
      const filter = { [by]: ID, CLOSED: 'N' }
      const { result } = await ask('crm.deal.list', { filter, select: ['ID'] }, listed, ctx)
      return result.length > 0 ? [ID] : []
    }),
  )
  return new Set(found.flat())
}

/** Agents of Bitrix24's own telephony are its users. */
function agentOf(call: Call, ctx: Context): Promise<string | null> {
  const own = call.source.connection === ctx.connection ? call.agent?.id : undefined
  return agentIdOf(call, ctx, userWith(ctx), own)
}

/** The user of an e-mail address. */
const userWith = (ctx: Context) => async (email: string) => {
  const { result } = await ask('user.get', { FILTER: { EMAIL: email, ACTIVE: true } }, users, ctx)
  return result.find(({ EMAIL }) => EMAIL?.toLowerCase() === email.toLowerCase())?.ID ?? null
}

// ── Writing ─────────────────────────────────────────────────────────────────────────────────────────────────────────

async function write(
  part: WritePart,
  record: CrmRecord,
  written: WrittenParts,
  ctx: Context,
): Promise<{ id: string }> {
  if (part.kind === 'contact') return { id: part.externalId ?? (await createPerson(part, ctx)) }
  if (part.kind === 'task') return { id: await writeTodo(part, targetOf(record), ctx) }
  if (part.kind === 'note') return { id: await writeComment(part, targetOf(record), ctx) }
  if (part.kind === 'file') return { id: await attach(part, callIdOf(record, written), ctx) }
  // First: it changes nothing that is not there, and doing it again is harmless.
  await writeOwnFields(part, record, ctx)
  return { id: await writeCall(part, record, ctx) }
}

/** What once was registered stays a call, and what was a comment a comment, whichever record is chosen later. */
async function writeCall(part: WritePart, record: CrmRecord, ctx: Context): Promise<string> {
  const { externalId, fields } = part
  if (record.logged) return record.logged.id
  if (externalId === null) {
    if (fields.comment !== undefined) return writeComment(part, targetOf(record), ctx)
    return placedId(record.target, await registerCall(part, record, ctx))
  }
  if (isComment(externalId)) return writeComment(part, targetOf(record), ctx)
  return record.target ? moveCall(externalId, record.target, ctx) : externalId
}

/** The ids of comments are digits, those of calls are not. */
const isComment = (externalId: string): boolean => /^\d+$/.test(readPlacedId(externalId).id)

function targetOf({ target }: CrmRecord): { type: string; id: string } {
  if (target && Object.hasOwn(TYPE_IDS, target.type)) return target
  throw new CordboardError('rejected', 'Bitrix24: this needs a lead, deal, contact or company to stand on')
}

function callIdOf({ logged }: CrmRecord, written: WrittenParts): string {
  const id = logged?.id ?? written.call
  if (id !== undefined) return id
  throw new CordboardError('internal', 'Bitrix24: a file comes behind its call')
}

/** Bitrix24 ignores the name of a field that the record's type does not have. */
async function writeOwnFields({ fields }: WritePart, { target }: CrmRecord, ctx: Context): Promise<void> {
  const own = ownOf(fields)
  if (!target || Object.keys(own).length === 0) return
  await ask(`crm.${target.type}.update`, { id: target.id, fields: own }, done, ctx)
}

/**
 * Registering again within 30 minutes brings the same call as long as EXTERNAL_CALL_ID and the rest are the same
 * (telephony.externalCall.register, read 2026-11-27): an attempt that broke off between the two is gone on with.
 */
async function registerCall(part: WritePart, { target }: CrmRecord, ctx: Context): Promise<string> {
  const { owner, USER_PHONE_INNER: inner, DURATION, STATUS_CODE, FAILED_REASON, ...call } = part.fields
  const user = await ownerIdOf(owner, ctx, userWith(ctx))
  if (user === null && inner === undefined) {
    throw new CordboardError('rejected', 'Bitrix24: a call needs a user, and its agent is none', {
      fix: 'Name the agent in owners.map, or set owners.fallback, then rerun the call',
    })
  }
  const who = user === null ? { USER_PHONE_INNER: inner } : { USER_ID: user }
  const told = Object.entries(call).filter(([name]) => !name.startsWith('own.'))
  const chat = { ADD_TO_CHAT: ctx.config.chat ? 1 : 0 }
  const { result } = await ask(
    'telephony.externalCall.register',
    {
      ...Object.fromEntries(told),
      ...who,
      ...chat,
      SHOW: 0,
      CRM_CREATE: 0,
      ...(target ? { CRM_ENTITY_TYPE: target.type.toUpperCase(), CRM_ENTITY_ID: target.id } : {}),
      EXTERNAL_CALL_ID: part.idempotencyKey,
    },
    registered,
    ctx,
  )
  const ending = {
    DURATION,
    ...(STATUS_CODE ? { STATUS_CODE } : {}),
    ...(FAILED_REASON ? { FAILED_REASON } : {}),
  }
  const finish = { CALL_ID: result.CALL_ID, ...who, ...ending, ...chat }
  await behind(ask('telephony.externalCall.finish', finish, done, ctx))
  return result.CALL_ID
}

async function attach(part: WritePart, call: string, ctx: Context): Promise<string> {
  const { url, messages } = part.fields
  const callId = readPlacedId(call).id
  if (isComment(call)) {
    ctx.log.warn('Bitrix24: the call is a comment, and takes neither transcript nor recording')
    return call
  }
  if (url !== undefined) {
    // A second one replaces the first.
    const params = { CALL_ID: callId, RECORD_URL: url }
    return (await ask('telephony.externalCall.attachRecord', params, attachedRecord, ctx)).result.FILE_ID
  }
  // What a second transcript does to the first is not documented: there is only one.
  if (part.externalId !== null) return part.externalId
  const params = { CALL_ID: callId, MESSAGES: JSON.parse(messages ?? '[]') }
  return (await ask('telephony.call.attachTranscription', params, attachedTranscript, ctx)).result
    .TRANSCRIPT_ID
}

async function writeComment(
  part: WritePart,
  target: { type: string; id: string },
  ctx: Context,
): Promise<string> {
  const text = part.fields.comment
  const COMMENT = `${text ?? ''}\n\n${refLine(part.idempotencyKey)}`
  if (part.externalId !== null) {
    return moveComment(part.externalId, target, ctx, async (id) => {
      // A call that would be registered by now has no text of its own: what the comment says stays.
      if (text !== undefined) await ask('crm.timeline.comment.update', { id, fields: { COMMENT } }, done, ctx)
    })
  }
  const fields = { ENTITY_TYPE: target.type, ENTITY_ID: target.id, COMMENT }
  return placedId(target, (await ask('crm.timeline.comment.add', { fields }, madeId, ctx)).result)
}

async function writeTodo(
  part: WritePart,
  target: { type: string; id: string },
  ctx: Context,
): Promise<string> {
  const { title, description = '', deadline, owner } = part.fields
  const value = `${description}\n\n${refLine(part.idempotencyKey)}`
  const on = { ownerTypeId: TYPE_IDS[target.type], ownerId: target.id }
  if (part.externalId !== null) {
    // A person may have put it off, or given it to somebody else: only what it says is written again.
    return moveActivity(part.externalId, target, ctx, (id) =>
      unlessDone(ask('crm.activity.todo.updateDescription', { id, ...on, value }, done, ctx)),
    )
  }
  const user = await ownerIdOf(owner, ctx, userWith(ctx))
  const who = user === null ? {} : { responsibleId: user }
  const params = { ...on, title, description: value, deadline, ...who }
  return placedId(target, (await ask('crm.activity.todo.add', params, madeTodo, ctx)).result.id)
}

/** A to-do that a person has closed is left as it is. The word is Bitrix24's own code, no note to ourselves. */
async function unlessDone(work: Promise<unknown>): Promise<void> {
  try {
    await work
  } catch (error) {
    const isDone =
      error instanceof CordboardError && error.vendorSaid?.includes('CAN_NOT_UPDATE_COMPLETED_TODO')
    if (!isDone) throw error
  }
}

const ORIGINATOR = 'cordboard'

async function createPerson(part: WritePart, ctx: Context): Promise<string> {
  const { phone, name, email, owner } = part.fields
  const user = await ownerIdOf(owner, ctx, userWith(ctx))
  const fields = {
    NAME: name ?? phone,
    ...(part.type === 'lead' ? { TITLE: name ?? phone } : {}),
    PHONE: [{ VALUE: phone, VALUE_TYPE: 'WORK' }],
    ...(email === undefined ? {} : { EMAIL: [{ VALUE: email, VALUE_TYPE: 'WORK' }] }),
    ...(user === null ? {} : { ASSIGNED_BY_ID: user }),
    ORIGINATOR_ID: ORIGINATOR,
    ORIGIN_ID: part.idempotencyKey,
  }
  return (await ask(`crm.${part.type ?? 'contact'}.add`, { fields }, madeId, ctx)).result
}

// ── Finding again ───────────────────────────────────────────────────────────────────────────────────────────────────

async function find(
  part: WritePart,
  record: CrmRecord,
  written: WrittenParts,
  ctx: Context,
): Promise<string | null> {
  const key = part.idempotencyKey
  if (part.kind === 'contact') {
    const params = { filter: { ORIGINATOR_ID: ORIGINATOR, ORIGIN_ID: key }, select: ['ID'] }
    return (await ask(`crm.${part.type ?? 'contact'}.list`, params, listed, ctx)).result[0]?.ID ?? null
  }
  if (part.kind === 'file') {
    const id = record.logged?.id ?? written.call
    const isCall = id !== undefined && !isComment(id)
    const call = isCall ? await statisticOf({ CALL_ID: readPlacedId(id).id }, ctx) : null
    return (part.fields.url === undefined ? call?.TRANSCRIPT_ID : call?.RECORD_FILE_ID) ?? null
  }
  if (part.kind === 'call' && part.fields.comment === undefined) {
    const call = await statisticOf({ EXTERNAL_CALL_ID: key }, ctx)
    // Where it was registered, whichever record was chosen since.
    return call ? placedId(holderOf(call), call.CALL_ID) : null
  }
  const { type, id } = targetOf(record)
  const isTask = part.kind === 'task'
  const filter = isTask
    ? { OWNER_TYPE_ID: TYPE_IDS[type], OWNER_ID: id }
    : { ENTITY_TYPE: type, ENTITY_ID: id }
  const params = { filter, order: { ID: 'DESC' }, select: ['ID', isTask ? 'DESCRIPTION' : 'COMMENT'] }
  const method = isTask ? 'crm.activity.list' : 'crm.timeline.comment.list'
  // The newest fifty of the record: it was made minutes ago.
  const { result } = await ask(method, params, listed, ctx)
  const own = result.find(({ COMMENT, DESCRIPTION }) => carriesRef(COMMENT ?? DESCRIPTION, key))
  return own ? placedId({ type, id }, own.ID) : null
}
