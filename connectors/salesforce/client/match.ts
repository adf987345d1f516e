import type { Call } from '../../../src/call/call.ts'
import type { ConnectorContext } from '../../../src/connector/contract.ts'
import { asks, NAMED } from '../../../src/connector/crm-match.ts'
import { agentIdOf } from '../../../src/connector/crm-owner.ts'
import { numberToMatch } from '../../../src/connector/crm-plan.ts'
import type { Candidate, Preference } from '../../../src/connector/crm-role.ts'
import { quoted, salesforce } from '../client.ts'
import {
  asCandidates,
  fieldsOf,
  isSameId,
  ofOneStanding,
  phoneSearch,
  recordUrl,
  withNumber,
} from '../map.ts'
import { type Config, dealOf, person, RECORD_ID } from '../schema.ts'

type Context = ConnectorContext<Config>
type Known = Candidate & { ownerId?: string }

export async function match(call: Call, ctx: Context, asked: readonly Preference[]): Promise<Candidate[]> {
  const named = call.customer?.crm?.[ctx.connection]
  if (named !== undefined) {
    const record = await namedRecord(named, ctx)
    if (record) return [record]
  }
  const phone = numberToMatch(call, ctx.config, ctx.region)
  if (phone === null) return []
  const all = await salesforce(ctx).search(phoneSearch(phone, ctx.config))
  const standing = ofOneStanding(withNumber(all, phone, ctx.region))
  const known = asCandidates(standing, ctx.now(), ctx.config)
  const isAsked = asks(known.length, asked)
  const [agent, deals] = await Promise.all([
    isAsked('owner is the agent') ? agentIdOf(call, ctx, userOf(ctx)) : null,
    isAsked('open deal') ? openDeals(known, ctx) : undefined,
  ])
  return known.map(({ ownerId, ...candidate }) => ({
    ...candidate,
    ...(agent === null || ownerId === undefined ? {} : { isAgents: isSameId(agent, ownerId) }),
    ...(deals === undefined ? {} : { hasOpenDeal: deals.has(candidate.id) }),
  }))
}

const OBJECTS = { '003': 'Contact', '00Q': 'Lead', '001': 'Account' } as const

/** The record that the phone system named, if it is there; of a lead that was converted, the contact that it became. */
async function namedRecord(id: string, ctx: Context): Promise<Candidate | null> {
  const type = RECORD_ID.test(id) ? OBJECTS[id.slice(0, 3) as keyof typeof OBJECTS] : undefined
  if (type === undefined) return null
  const fields = `${fieldsOf(type, ctx.config)}${type === 'Lead' ? ', ConvertedContactId' : ''}`
  const soql = `SELECT ${fields} FROM ${type} WHERE Id = ${quoted(id)} LIMIT 1`
  const [record] = await salesforce(ctx).query(person, soql)
  if (!record) return null
  const became = record.IsConverted === true ? record.ConvertedContactId : undefined
  if (record.IsConverted === true && became === undefined) return null
  const personal = record.IsPersonAccount ? record.PersonContactId : undefined
  const contact = became ?? personal
  const target =
    contact === undefined ? { type: type.toLowerCase(), id: record.Id } : { type: 'contact', id: contact }
  const url = recordUrl(target, ctx.config)
  return {
    ...target,
    ...(record.Name === undefined ? {} : { name: record.Name }),
    reason: NAMED,
    ...(url === null ? {} : { url }),
  }
}

const userOf = (ctx: Context) => async (email: string) => (await salesforce(ctx).user(email))?.Id ?? null

/** Ids of those with an opportunity that is not closed: contacts by their roles in it, accounts by their own; leads have none. */
async function openDeals(known: readonly Known[], ctx: Context): Promise<Set<string> | undefined> {
  const type = known[0]?.type
  if (type !== 'contact' && type !== 'account') return undefined
  const ids = known.map(({ id }) => quoted(id)).join(', ')
  const soql =
    type === 'contact'
      ? `SELECT ContactId FROM OpportunityContactRole WHERE ContactId IN (${ids}) AND Opportunity.IsClosed = false`
      : `SELECT AccountId FROM Opportunity WHERE AccountId IN (${ids}) AND IsClosed = false`
  const rows = await salesforce(ctx).query(dealOf, soql)
  return new Set(rows.flatMap(({ ContactId, AccountId }) => ContactId ?? AccountId ?? []))
}
