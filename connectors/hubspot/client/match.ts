import type { Call } from '../../../src/call/call.ts'
import type { ConnectorContext } from '../../../src/connector/contract.ts'
import { NAMED } from '../../../src/connector/crm-match.ts'
import { agentIdOf } from '../../../src/connector/crm-owner.ts'
import { numberToMatch } from '../../../src/connector/crm-plan.ts'
import type { Candidate, Preference } from '../../../src/connector/crm-role.ts'
import { hubspot } from '../client.ts'
import { asCandidates, CONTACT_PROPERTIES, type Facts, nameOf, withNumber } from '../map/match.ts'
import type { Config, CrmObject } from '../schema.ts'
import { isRefusal } from './requests.ts'
import { companySearch, contactSearch } from './searches.ts'

/** Whose call it is. */

type Context = ConnectorContext<Config>

export async function match(call: Call, ctx: Context, asked: readonly Preference[]): Promise<Candidate[]> {
  const api = hubspot(ctx)
  const withUrl = (candidate: Candidate): Candidate => {
    const url = recordUrl(candidate, ctx.config)
    return url === null ? candidate : { ...candidate, url }
  }
  const candidatesOf = async (type: 'contact' | 'company', records: readonly CrmObject[]) =>
    asCandidates(type, records, ctx.now(), await factsOf(type, records, call, ctx, asked)).map(withUrl)
  const named = call.customer?.crm?.[ctx.connection]
  if (named !== undefined && /^\d{1,20}$/.test(named)) {
    const known = await api.get('contact', named, { properties: CONTACT_PROPERTIES })
    const isLogged = call.source.connection === ctx.connection
    const reason = isLogged ? 'the call was logged on it' : NAMED
    if (known) return [withUrl({ type: 'contact', id: known.id, ...nameOf(known), reason })]
  }
  const phone = numberToMatch(call, ctx.config, ctx.region)
  if (phone === null) return []
  const contacts = withNumber(await contactsBy(phone, ctx), phone, ctx.region)
  if (contacts.length > 0) return candidatesOf('contact', contacts)
  // Second class, and searches are the scarcest budget: asked only when no person has the number.
  return candidatesOf(
    'company',
    withNumber(await api.search('company', companySearch(phone)), phone, ctx.region),
  )
}

export async function contactsBy(phone: string, ctx: Context): Promise<CrmObject[]> {
  const api = hubspot(ctx)
  try {
    return await api.search('contact', contactSearch(phone, 'indexed'))
  } catch (error) {
    // The names of the phone index are not documented: an account without them refuses the search.
    if (!isRefusal(error, 'rejected')) throw error
    ctx.log.warn('HubSpot refused the search in its phone index; searching the plain fields')
    return api.search('contact', contactSearch(phone, 'plain'))
  }
}

export function recordUrl(target: { type: string; id: string }, { portalId, appUrl }: Config): string | null {
  const objectType = { contact: '0-1', company: '0-2', deal: '0-3', ticket: '0-5' }[target.type]
  if (portalId === undefined || objectType === undefined) return null
  return `${appUrl}/contacts/${portalId}/record/${objectType}/${encodeURIComponent(target.id)}`
}

// ── What the flow's rule asks for ───────────────────────────────────────────────────────────────────────────────────

/** More of them share the number of a switchboard: then no rule that costs requests is worth them. */
const MOST_ASKED = 20
/** Deals that are looked at for one call. */
const MOST_DEALS = 500

async function factsOf(
  type: 'contact' | 'company',
  records: readonly CrmObject[],
  call: Call,
  ctx: Context,
  asked: readonly Preference[],
): Promise<Facts> {
  if (records.length < 2 || records.length > MOST_ASKED) return {}
  const [agent, openDeals] = await Promise.all([
    asked.includes('owner is the agent')
      ? agentIdOf(call, ctx, (email) => hubspot(ctx).ownerOf(email))
      : null,
    asked.includes('open deal') ? openDealsOf(type, records, ctx) : null,
  ])
  return { ...(agent === null ? {} : { agent }), ...(openDeals === null ? {} : { openDeals }) }
}

/** Which records stand on a deal that is not closed. A deal nobody looked at leaves it open, unless another one decides. */
async function openDealsOf(
  type: 'contact' | 'company',
  records: readonly CrmObject[],
  ctx: Context,
): Promise<Map<string, boolean> | null> {
  const api = hubspot(ctx)
  const ids = records.map(({ id }) => id)
  try {
    const deals = await api.associated(type, 'deal', ids)
    const all = [...new Set(ids.flatMap((id) => deals.get(id)?.ids ?? []))].slice(0, MOST_DEALS)
    const read = await api.readMany('deal', all, ['hs_is_closed'])
    const isOpen = new Map(read.map(({ id, properties }) => [id, properties.hs_is_closed !== 'true']))
    const verdicts = new Map<string, boolean>()
    for (const id of ids) {
      const { ids: own = [], isWhole = true } = deals.get(id) ?? {}
      const known = own.map((deal) => isOpen.get(deal))
      if (known.includes(true)) verdicts.set(id, true)
      else if (isWhole && !known.includes(undefined)) verdicts.set(id, false)
    }
    return verdicts
  } catch (error) {
    if (!isRefusal(error, 'forbidden')) throw error
    ctx.log.warn('HubSpot does not let us read deals: no record is known to have an open one', {
      fix: error.fix,
    })
    return null
  }
}
