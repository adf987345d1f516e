import type { Call, Recording } from '../../../src/call/call.ts'
import type { CallEvent } from '../../../src/call/facts.ts'
import type { ConnectorContext } from '../../../src/connector/contract.ts'
import { failOn } from '../../../src/connector/fail-on.ts'
import { namedHost } from '../../../src/connector/recording-host.ts'
import { CordboardError } from '../../../src/errors.ts'
import { hubspot } from '../client.ts'
import { CONTACT_PROPERTIES } from '../map/match.ts'
import { CALL_PROPERTIES, isOurs, toEvents } from '../map/source.ts'
import type { Config, CrmObject, Owner } from '../schema.ts'
import { isRefusal } from './requests.ts'
import { windowSearch } from './searches.ts'

/** HubSpot as a source: the calls that others log in it. */

type Context = ConnectorContext<Config>

const RECORDING_MAX_BYTES = 2 * 1024 ** 3
/** Beyond it a search refuses to page on (search guide, read 2026-11-20). */
const MOST_FOUND = 10_000

export async function lookUp(ids: readonly string[], ctx: Context): Promise<CallEvent[]> {
  if (!ctx.config.calls) return []
  const wanted = [...new Set(ids)].filter((id) => /^\d{1,20}$/.test(id))
  return eventsOf(await hubspot(ctx).readMany('call', wanted, propertiesOf(ctx.config)), ctx)
}

export async function* calls(since: string, ctx: Context, until?: string): AsyncGenerator<CallEvent[]> {
  if (!ctx.config.calls) return
  yield* listed(Date.parse(since), until === undefined ? ctx.now() : Date.parse(until), ctx)
}

/** What took place or was changed between two instants; a window that holds more than a search shows is halved. */
async function* listed(from: number, to: number, ctx: Context): AsyncGenerator<CallEvent[]> {
  const properties = propertiesOf(ctx.config)
  const api = hubspot(ctx)
  const first = await api.page('call', windowSearch(from, to, properties))
  if (first.total > MOST_FOUND && to > from) {
    const middle = Math.floor((from + to) / 2)
    yield* listed(from, middle, ctx)
    yield* listed(middle + 1, to, ctx)
    return
  }
  for (let page = first; ; ) {
    yield await eventsOf(page.results, ctx)
    if (page.after === undefined) return
    page = await api.page('call', { ...windowSearch(from, to, properties), after: page.after })
  }
}

const propertiesOf = ({ externalIdProperty }: Config): string[] => [
  ...CALL_PROPERTIES,
  ...(externalIdProperty === undefined ? [] : [externalIdProperty]),
]

/** Those that Cordboard did not write, with whom they are with and who handled them. */
async function eventsOf(records: readonly CrmObject[], ctx: Context): Promise<CallEvent[]> {
  const theirs = records.filter((record) => !isOurs(record, ctx.config))
  if (theirs.length === 0) return []
  const api = hubspot(ctx)
  const on = await api.associated(
    'call',
    'contact',
    theirs.map(({ id }) => id),
  )
  const contactIds = [...new Set([...on.values()].flatMap(({ ids }) => ids))]
  const contacts = await api.readMany('contact', contactIds, CONTACT_PROPERTIES)
  const owners = await ownersOf(theirs, ctx)
  return theirs.flatMap((record) => {
    const ids = on.get(record.id)?.ids ?? []
    const beside = {
      contacts: contacts.filter(({ id }) => ids.includes(id)),
      owner: owners.get(record.properties.hubspot_owner_id ?? '') ?? null,
    }
    return toEvents(record, beside, ctx)
  })
}

async function ownersOf(records: readonly CrmObject[], ctx: Context): Promise<Map<string, Owner>> {
  const api = hubspot(ctx)
  const ids = new Set(records.map(({ properties }) => properties.hubspot_owner_id).filter(Boolean))
  const known = new Map<string, Owner>()
  for (const id of ids) {
    if (!id) continue
    try {
      const owner = await api.owner(id)
      if (owner) known.set(id, owner)
    } catch (error) {
      if (!isRefusal(error, 'forbidden')) throw error
      ctx.log.warn('HubSpot does not let us read owners: calls have no agent', { fix: error.fix })
      return known
    }
  }
  return known
}

// ── Recordings ──────────────────────────────────────────────────────────────────────────────────────────────────────

export async function recording(asked: Recording, _: Call, ctx: Context): Promise<Response> {
  const { recordingAuth, recordingToken, token } = ctx.config
  const url = reachable(asked, ctx.config)
  const response = await ctx.fetch(url, {
    headers: recordingAuth === 'bearer' ? { authorization: `Bearer ${recordingToken ?? token}` } : {},
    // Of whoever keeps the recording: none of HubSpot's budgets.
    bucket: 'recordings',
    redirects: 3,
    maxBytes: RECORDING_MAX_BYTES,
  })
  return failOn(response, { what: 'HubSpot: fetch the recording that a call links to', now: ctx.now })
}

/** The link itself, for whoever may follow it without a token. */
export async function recordingUrl(asked: Recording, _: Call, ctx: Context): Promise<string | null> {
  return ctx.config.recordingAuth === 'none' ? reachable(asked, ctx.config).href : null
}

/** Whoever may log a call in HubSpot writes this link: where a token is sent is for the operator to say. */
function reachable({ url }: Recording, { recordingHosts }: Config): URL {
  const link = url === undefined ? null : URL.parse(url)
  if (link?.protocol !== 'https:')
    throw new CordboardError('not_found', 'HubSpot: the call has no link to its recording')
  return namedHost(link, recordingHosts, 'HubSpot')
}
