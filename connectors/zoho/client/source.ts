import type { Call, Recording } from '../../../src/call/call.ts'
import type { CallEvent } from '../../../src/call/facts.ts'
import type { ConnectorContext } from '../../../src/connector/contract.ts'
import { failOn } from '../../../src/connector/fail-on.ts'
import { CordboardError } from '../../../src/errors.ts'
import { get, idOf, pages, put } from '../client.ts'
import { holderOf, isOurs, isPlanned, toCallEvent, zoned } from '../map.ts'
import {
  type Config,
  type CrmEntity,
  crmRecords,
  isRecordType,
  type LoggedCall,
  loggedCalls,
  MODULES,
  watches,
  watchOutcomes,
} from '../schema.ts'

/** Calls that others log in Zoho (PhoneBridge, people), where `calls` says that they are a phone system's. */

type Context = ConnectorContext<Config>

const RECORDING_MAX_BYTES = 4 * 1024 ** 3
const AT_ONCE = 100
const DAY_MS = 86_400_000
/** Zoho's search answers 2,000 records at most, ten pages of 200 (of the dossier’s search; a day has fewer calls). */
const MOST_PAGES = 10

const CALL_FIELDS = [
  'Subject',
  'Call_Type',
  'Call_Start_Time',
  'Call_Duration',
  'Call_Duration_in_seconds',
  'Call_Status',
  'Description',
  'Dialled_Number',
  'Who_Id',
  'What_Id',
  'Owner',
]

const fieldsOf = ({ recordingField, externalIdField }: Config): string =>
  [...CALL_FIELDS, recordingField, externalIdField].filter((name) => name !== undefined).join(',')

/** Notifications bring ids and nothing else. */
export async function lookUp(ids: readonly string[], ctx: Context): Promise<CallEvent[]> {
  const events: CallEvent[] = []
  for (let at = 0; ctx.config.calls && at < ids.length; at += AT_ONCE) {
    const query = { ids: ids.slice(at, at + AT_ONCE).join(','), fields: fieldsOf(ctx.config) }
    const answer = await get('/Calls', query, loggedCalls, 'read calls', ctx)
    events.push(...(await toEvents(answer?.data ?? [], ctx)))
  }
  return events
}

/** A day at a time and the oldest first: the search has an end. */
export async function* listCalls(since: string, ctx: Context, until?: string): AsyncIterable<CallEvent[]> {
  const end = until === undefined ? ctx.now() : Math.min(Date.parse(until), ctx.now())
  for (let from = Date.parse(since); ctx.config.calls && from < end; from += DAY_MS) {
    const to = Math.min(from + DAY_MS, end)
    const [a, b] = [from, to].map((ms) => zoned(new Date(ms).toISOString()))
    const query = { criteria: `(Call_Start_Time:between:${a},${b})`, fields: fieldsOf(ctx.config) }
    const found = await pages('/Calls/search', query, loggedCalls, 'list calls', ctx, MOST_PAGES)
    yield await toEvents(found, ctx)
  }
}

async function toEvents(calls: readonly LoggedCall[], ctx: Context): Promise<CallEvent[]> {
  const told = calls.filter((call) => !isOurs(call, ctx.config) && !isPlanned(call, ctx.now()))
  const holders = await readHolders(told, ctx)
  return told.map((call) => {
    const holder = holderOf(call)
    return toCallEvent(call, holder ? holders.get(`${holder.type}/${holder.id}`) : undefined, ctx)
  })
}

/** Calls do not say the number of an inbound caller: that of the record they were logged on is the customer's. */
async function readHolders(calls: readonly LoggedCall[], ctx: Context): Promise<Map<string, CrmEntity>> {
  const holders = new Map<string, CrmEntity>()
  const byType = Map.groupBy(
    calls.map(holderOf).filter((holder) => holder !== null),
    ({ type }) => type,
  )
  for (const [type, wanted] of byType) {
    if (!isRecordType(type) || type === 'deal') continue
    const ids = [...new Set(wanted.map(({ id }) => id))]
    for (let at = 0; at < ids.length; at += AT_ONCE) {
      const names = type === 'account' ? 'Account_Name,Phone' : 'Full_Name,First_Name,Last_Name,Phone,Mobile'
      const query = { ids: ids.slice(at, at + AT_ONCE).join(','), fields: names }
      const answer = await get(`/${MODULES[type]}`, query, crmRecords, `read ${MODULES[type]}`, ctx)
      for (const record of answer?.data ?? []) holders.set(`${type}/${record.id}`, record)
    }
  }
  return holders
}

export async function fetchRecording(recording: Recording, _: Call, ctx: Context): Promise<Response> {
  const what = 'Zoho: fetch the recording'
  const field = ctx.config.recordingField
  const query = { ids: recording.key, fields: fieldsOf(ctx.config) }
  const answer = await get('/Calls', query, loggedCalls, 'read calls', ctx)
  const link = field === undefined ? undefined : answer?.data[0]?.[field]
  if (typeof link !== 'string' || !URL.canParse(link)) {
    throw new CordboardError('not_found', `${what}: the call has no address of one`, {
      fix: 'Set recordingField to the field of calls that holds it',
    })
  }
  // Recordings lie outside of Zoho: our token is none of their business.
  const audio = await ctx.fetch(link, { bucket: 'media', redirects: 3, maxBytes: RECORDING_MAX_BYTES })
  const codeOf = (status: number) => (status === 401 || status === 403 ? 'gone' : undefined)
  return failOn(audio, { what, now: ctx.now, codeOf })
}

const CALLS = ['Calls.create', 'Calls.edit']
const DELETIONS = ['Contacts.delete', 'Leads.delete', 'Accounts.delete', 'Deals.delete']
/** "A maximum of one week from the time they are enabled", else an hour (notifications/enable, read 2026-11-27). */
const EXPIRES_MS = 7 * DAY_MS - 3_600_000

/** Makes the channel, or lets it live on for another week: to be done again before that is over. */
export async function subscribe(url: string, ctx: Context): Promise<void> {
  const { calls, notificationToken, channelId } = ctx.config
  const token = notificationToken?.[0]
  if (token === undefined || token.length > 50) {
    throw new CordboardError('config', 'Zoho: notifications need a token of at most 50 characters', {
      fix: 'Set notificationToken to a random text of 32 characters or more',
    })
  }
  const known = await get('/actions/watch', { channel_id: channelId }, watches, 'read the channels', ctx)
  const isThere = known?.watch.some(({ channel_id }) => channel_id === channelId)
  const channel = {
    channel_id: channelId,
    events: [...(calls ? CALLS : []), ...DELETIONS],
    channel_expiry: zoned(new Date(ctx.now() + EXPIRES_MS).toISOString()),
    token,
    notify_url: url,
  }
  const what = 'make the channel'
  const method = isThere ? 'PUT' : 'POST'
  const { watch } = await put(method, '/actions/watch', { watch: [channel] }, watchOutcomes, what, ctx)
  const [outcome] = watch
  if (outcome && outcome.code !== 'SUCCESS') idOf(outcome, what)
}
