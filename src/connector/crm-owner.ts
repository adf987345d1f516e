import type { Call } from '../call/call.ts'
import { asCordboardError } from '../errors.ts'
import type { ConnectorContext } from './contract.ts'
import { type CrmSettings, ownerOf } from './crm-plan.ts'

/** The CRM's id of the user with an e-mail address; null: nobody has it. */
type LookUp = (email: string) => Promise<string | null>
type Context = Pick<ConnectorContext<Pick<CrmSettings, 'owners'>>, 'config' | 'log'>

/**
 * Whose a record becomes: plans name the user's id, or the e-mail address that is looked up when they are sent. Where nobody has
 * it, or users may not be read, the fallback: a call without an owner is better than none.
 */
export async function ownerIdOf(
  owner: string | undefined,
  ctx: Context,
  lookUp: LookUp,
): Promise<string | null> {
  if (owner === undefined) return null
  return (await userIdOf(owner, ctx, lookUp)) ?? ctx.config.owners.fallback ?? null
}

/**
 * The agent of a call among the CRM's users, for the rule "owner is the agent". Whoever gets the calls of all others is not
 * their agent: there is no fallback. `own`: the agent's id, where the CRM itself told of the call.
 */
export async function agentIdOf(
  call: Call,
  ctx: Context,
  lookUp: LookUp,
  own?: string | undefined,
): Promise<string | null> {
  const { by, map } = ctx.config.owners
  return userIdOf(own ?? ownerOf(call, { owners: { by, map } }), ctx, lookUp)
}

async function userIdOf(owner: string | undefined, ctx: Context, lookUp: LookUp): Promise<string | null> {
  if (owner === undefined || !owner.includes('@')) return owner ?? null
  try {
    return await lookUp(owner)
  } catch (thrown) {
    const error = asCordboardError(thrown)
    if (error.code !== 'forbidden') throw error
    ctx.log.warn('The CRM does not let us read its users', { fix: error.fix })
    return null
  }
}
