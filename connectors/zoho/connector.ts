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
import { isSamePlace, placedId, readPlacedId } from '../../src/connector/placed-id.ts'
import { readAs } from '../../src/connector/read.ts'
import { CordboardError } from '../../src/errors.ts'
import { checkAccount, describeFields, setUpFields } from './client/describe.ts'
import { fetchRecording, listCalls, lookUp, subscribe } from './client/source.ts'
import { doubledBy, escaped, get, idOf, pages, searchFound, upload, userIdOf, writeOne } from './client.ts'
import {
  asCandidates,
  emptied,
  holderOf,
  nameOf,
  newContact,
  plan,
  recordOf,
  relationOf,
  withNumber,
} from './map.ts'
import {
  type Config,
  type CrmEntity,
  config,
  crmRecords,
  type Found,
  found,
  isRecordType,
  MODULES,
  notification,
  type RecordType,
} from './schema.ts'

type Context = ConnectorContext<Config>

const webhook: WebhookSide<Config, CallEvent> = {
  // "This value is sent back in the callback to ensure that the notification is from Zoho CRM": there is nothing else.
  verify: ({ notificationToken }) => ({
    scheme: 'token',
    place: { field: 'token' },
    // Without one nothing verifies: notifications are refused, never taken unchecked.
    secrets: notificationToken ?? [],
  }),
  reply: { status: 200 },
  receive(request, ctx) {
    const { module, operation, ids } = readAs(notification, request.json(), 'Zoho: the notification')
    const [type] = Object.entries(MODULES).find(([, name]) => name === module) ?? []
    const isDeletion = /delete/i.test(operation)
    if (type !== undefined && isDeletion && ids.length > 0)
      return { events: [], changes: ids.map((id) => ({ change: 'deleted', type, id })) }
    if (module !== 'Calls' || isDeletion || ids.length === 0)
      return { ignored: `${operation} of ${ids.length} ${module} tells nothing that is needed` }
    if (!ctx.config.calls) return { ignored: 'calls is not set: Zoho is not the phone system' }
    return { events: [], lookUp: ids }
  },
}

export const connector = defineConnector({
  id: 'zoho',
  name: 'Zoho CRM',
  docs: 'https://www.zoho.com/crm/developer/docs/api/v8/',
  config,
  check: checkAccount,
  // Credits by edition and users, which no answer tells: only what the operator names is kept to.
  budgets: ({ requestsPerDay }) =>
    requestsPerDay === undefined
      ? {}
      : { default: { limit: requestsPerDay, windowMs: 86_400_000, window: 'rolling' } },
  telephony: { webhook, recording: fetchRecording, calls: listCalls, lookUp, subscribe },
  crm: {
    // Searches are indexed; how far they lag is not documented.
    indexLagMs: 60_000,
    match,
    plan,
    newContact,
    write,
    find,
    fields: describeFields,
    setUp: setUpFields,
    recordUrl: ({ type, id }, { crmUrl }) =>
      crmUrl !== undefined && isRecordType(type)
        ? `${crmUrl}/tab/${MODULES[type]}/${encodeURIComponent(id)}`
        : null,
  },
})

// ── Whose call it is ────────────────────────────────────────────────────────────────────────────────────────────────

/** "You can search for a maximum of 10 criteria." */
const MOST_CRITERIA = 10

async function match(call: Call, ctx: Context, asked: readonly Preference[]): Promise<Candidate[]> {
  const known = await named(call, ctx)
  if (known) return [known]
  const phone = numberToMatch(call, ctx.config, ctx.region)
  if (phone === null) return []
  for (const type of ['contact', 'lead', 'account'] as const) {
    const records = await carrying(type, phone, ctx)
    if (records.length === 0) continue
    const user = asks(records.length, asked)('owner is the agent') ? await agentOf(call, ctx) : null
    return asCandidates(type, records, user ?? undefined).map((candidate) => ({
      ...candidate,
      ...linkOf(candidate, ctx),
    }))
  }
  return []
}

const linkOf = (target: { type: string; id: string }, { config: { crmUrl } }: Context): { url?: string } =>
  crmUrl !== undefined && isRecordType(target.type)
    ? { url: `${crmUrl}/tab/${MODULES[target.type]}/${target.id}` }
    : {}

/** `lead:12`, or the digits alone for a contact. */
async function named(call: Call, ctx: Context): Promise<Candidate | null> {
  const said = call.customer?.crm?.[ctx.connection]
  const [, type = 'contact', id] = /^(?:(\w+):)?(\d{1,30})$/.exec(said ?? '') ?? []
  if (id === undefined || !isRecordType(type)) return null
  const names = type === 'account' ? 'Account_Name' : type === 'deal' ? 'Deal_Name' : 'Full_Name,Last_Name'
  const answer = await get(
    `/${MODULES[type]}`,
    { ids: id, fields: names },
    crmRecords,
    `read ${MODULES[type]}`,
    ctx,
  )
  const [record] = answer?.data ?? []
  return record
    ? {
        type,
        id,
        ...nameOf(record),
        reason: NAMED,
        ...linkOf({ type, id }, ctx),
      }
    : null
}

/** All phone fields by the number itself; where that finds nobody, the two usual ones by its other spellings. */
async function carrying(type: RecordType, phone: string, ctx: Context): Promise<CrmEntity[]> {
  const module = MODULES[type]
  const search = (query: Record<string, string>) =>
    pages(`/${module}/search`, query, crmRecords, `search ${module}`, ctx)
  const direct = withNumber(await search({ phone }), phone, ctx.region)
  if (direct.length > 0) return direct
  const fields = type === 'account' ? ['Phone'] : ['Phone', 'Mobile']
  const others = phoneSpellings(phone).filter((spelling) => spelling !== phone)
  const criteria = fields.flatMap((field) => others.map((number) => `(${field}:equals:${escaped(number)})`))
  const found: CrmEntity[] = []
  for (let at = 0; at < criteria.length; at += MOST_CRITERIA) {
    const some = criteria.slice(at, at + MOST_CRITERIA)
    found.push(...(await search({ criteria: some.length === 1 ? `${some[0]}` : `(${some.join('or')})` })))
  }
  return withNumber(found, phone, ctx.region)
}

/** Calls that Zoho tells of have its users as agents. */
function agentOf(call: Call, ctx: Context): Promise<string | null> {
  const own = call.source.connection === ctx.connection ? call.agent?.id : undefined
  return agentIdOf(call, ctx, (email) => userIdOf(email, ctx), own)
}

// ── Writing ─────────────────────────────────────────────────────────────────────────────────────────────────────────

async function write(
  part: WritePart,
  record: CrmRecord,
  written: WrittenParts,
  ctx: Context,
): Promise<{ id: string }> {
  if (part.kind === 'contact') return { id: part.externalId ?? (await createPerson(part, ctx)) }
  if (part.kind === 'call') return { id: await writeCall(part, record, ctx) }
  if (part.kind === 'task') return { id: await writeTask(part, record, ctx) }
  if (part.kind === 'note') return { id: await writeNote(part, record, written, ctx) }
  // A file cannot be changed, and the transcript of one call hardly ever is: the first one stays.
  return { id: part.externalId ?? (await attach(part, record, written, ctx)) }
}

const withRef = (text: string | undefined, key: string): string =>
  `${text ?? ''}\n\n${refLine(key)}`.trimStart()

async function ownerFor({ owner }: WritePart['fields'], ctx: Context): Promise<Record<string, unknown>> {
  const user = await ownerIdOf(owner, ctx, (email) => userIdOf(email, ctx))
  return user === null ? {} : { Owner: { id: user } }
}

async function writeCall(part: WritePart, { target, logged }: CrmRecord, ctx: Context): Promise<string> {
  const fields = recordOf(part.fields)
  const { externalIdField } = ctx.config
  if (logged) {
    if (Object.keys(fields).length > 0) await update('Calls', logged.id, fields, ctx)
    return logged.id
  }
  const said = { ...fields, Description: withRef(part.fields.Description, part.idempotencyKey) }
  if (part.externalId !== null) {
    const { relation, id, externalId } = moved(part.externalId, target)
    await update('Calls', id, { ...said, ...relation }, ctx)
    return externalId
  }
  const unique = externalIdField === undefined ? {} : { [externalIdField]: part.idempotencyKey }
  const what = 'log a call'
  try {
    const call = { ...said, ...relationOf(target), ...(await ownerFor(part.fields, ctx)), ...unique }
    return placedId(target, idOf(await writeOne('POST', '/Calls', call, what, ctx), what))
  } catch (error) {
    const double = doubledBy(error)
    if (double === null || externalIdField === undefined || double.field !== externalIdField) throw error
    // On which record it stands is not told: the next write puts it on the one that is chosen.
    return double.existingId
  }
}

/** What a later write says of the record: nothing, unless another one was chosen. Whatever people set by hand stays. */
function moved(externalId: string, target: CrmRecord['target']) {
  const { place, id } = readPlacedId(externalId)
  if (isSamePlace(place, target)) return { relation: {}, id, externalId }
  return { relation: { ...emptied(place), ...relationOf(target) }, id, externalId: placedId(target, id) }
}

async function update(
  module: string,
  id: string,
  fields: Record<string, unknown>,
  ctx: Context,
): Promise<void> {
  const what = `update one of ${module}`
  idOf(await writeOne('PUT', `/${module}/${encodeURIComponent(id)}`, fields, what, ctx), what)
}

async function writeTask(part: WritePart, { target }: CrmRecord, ctx: Context): Promise<string> {
  const Description = withRef(part.fields.Description, part.idempotencyKey)
  // A person may have put it off, closed it, or given it to somebody else: only what it says is written again.
  if (part.externalId !== null) {
    const { relation, id, externalId } = moved(part.externalId, target)
    await update('Tasks', id, { Description, ...relation }, ctx)
    return externalId
  }
  const owner = await ownerFor(part.fields, ctx)
  const task = {
    ...recordOf(part.fields),
    ...relationOf(target),
    ...owner,
    Status: 'Not Started',
    Description,
  }
  return placedId(target, idOf(await writeOne('POST', '/Tasks', task, 'make a task', ctx), 'make a task'))
}

const callIdOf = (logged: CrmRecord['logged'], { call }: WrittenParts): string | undefined =>
  logged?.id ?? (call === undefined ? undefined : readPlacedId(call).id)

/** On the record, where people read it; of a call that has none, on the call. */
function placeOfNote({ target, logged }: CrmRecord, written: WrittenParts): string {
  if (target && isRecordType(target.type)) return `/${MODULES[target.type]}/${encodeURIComponent(target.id)}`
  const call = callIdOf(logged, written)
  if (call !== undefined) return `/Calls/${call}`
  throw new CordboardError(
    'rejected',
    'Zoho: a note needs a contact, lead, account, deal or call to stand on',
  )
}

async function writeNote(
  part: WritePart,
  record: CrmRecord,
  written: WrittenParts,
  ctx: Context,
): Promise<string> {
  const { title, content } = part.fields
  const note = { Note_Title: title, Note_Content: withRef(content, part.idempotencyKey) }
  if (part.externalId !== null) {
    await update('Notes', part.externalId, note, ctx)
    return part.externalId
  }
  const path = `${placeOfNote(record, written)}/Notes`
  return idOf(await writeOne('POST', path, note, 'write a note', ctx), 'write a note')
}

async function attach(
  part: WritePart,
  { logged }: CrmRecord,
  written: WrittenParts,
  ctx: Context,
): Promise<string> {
  const { name = 'transcript.txt', text = '' } = part.fields
  const call = callIdOf(logged, written)
  if (call === undefined) throw new CordboardError('internal', 'Zoho: a file comes behind its call')
  const form = () => {
    const data = new FormData()
    data.append('file', new Blob([text], { type: 'text/plain' }), name)
    return data
  }
  return idOf(await upload(`/Calls/${call}/Attachments`, form, 'attach a file', ctx), 'attach a file')
}

/** Zoho refuses a second one with the same value of a unique field, and names the first: that one is meant. */
async function createPerson(part: WritePart, ctx: Context): Promise<string> {
  const what = `make a ${part.type ?? 'contact'}`
  try {
    const person = { ...recordOf(part.fields), ...(await ownerFor(part.fields, ctx)) }
    const module = part.type === 'lead' ? 'Leads' : 'Contacts'
    return idOf(await writeOne('POST', `/${module}`, person, what, ctx), what)
  } catch (error) {
    const double = doubledBy(error)
    if (double === null) throw error
    return double.existingId
  }
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
    const type = part.type === 'lead' ? 'lead' : 'contact'
    return asCandidates(type, await carrying(type, part.fields.Phone ?? '', ctx))[0]?.id ?? null
  }
  if (part.kind === 'call') return findCall(part, ctx)
  if (part.kind === 'task') return findTask(part, record, ctx)
  if (part.kind === 'note') {
    // Read from the record itself, not from the index.
    const query = { fields: 'Note_Title,Note_Content' }
    const notes = await pages(`${placeOfNote(record, written)}/Notes`, query, found, 'read the notes', ctx, 3)
    return notes.find(({ Note_Content }) => carriesRef(Note_Content, key))?.id ?? null
  }
  const call = callIdOf(record.logged, written)
  if (call === undefined) return null
  const files = await pages(
    `/Calls/${call}/Attachments`,
    { fields: 'File_Name' },
    found,
    'read the files',
    ctx,
  )
  return files.find(({ File_Name }) => File_Name === part.fields.name)?.id ?? null
}

/** By the unique field, else among the calls of the same second. */
async function findCall({ fields, idempotencyKey: key }: WritePart, ctx: Context): Promise<string | null> {
  const { externalIdField } = ctx.config
  if (externalIdField !== undefined) {
    const same = await searchFound('Calls', `(${externalIdField}:equals:${escaped(key)})`, ctx)
    return placedIn(same.find((call) => call[externalIdField] === key))
  }
  const at = fields.Call_Start_Time
  const same = at === undefined ? [] : await searchFound('Calls', `(Call_Start_Time:equals:${at})`, ctx, 3)
  return placedIn(same.find(({ Description }) => carriesRef(Description, key)))
}

/** With the record it stands on, which need not be the one that is chosen by now. */
const placedIn = (one: Found | undefined): string | null =>
  one === undefined ? null : placedId(holderOf(one), one.id)

async function findTask({ fields, idempotencyKey: key }: WritePart, { target }: CrmRecord, ctx: Context) {
  const on =
    target && (target.type === 'contact' ? `(Who_Id:equals:${target.id})` : `(What_Id:equals:${target.id})`)
  const due = fields.Due_Date === undefined ? null : `(Due_Date:equals:${fields.Due_Date})`
  const criteria = [on, due].filter((one) => one !== null)
  if (criteria.length === 0) return null
  const all = await searchFound(
    'Tasks',
    criteria.length === 1 ? criteria.join('') : `(${criteria.join('and')})`,
    ctx,
    3,
  )
  return placedIn(all.find(({ Description }) => carriesRef(Description, key)))
}
