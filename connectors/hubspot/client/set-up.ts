import type { ConnectorContext } from '../../../src/connector/contract.ts'
import type { CrmField, SetUp, WantedField } from '../../../src/connector/crm-role.ts'
import type { CordboardError } from '../../../src/errors.ts'
import { hubspot } from '../client.ts'
import { definitionOf, GROUP, toField, uniqueDefinition } from '../map/fields.ts'
import type { Config, Property } from '../schema.ts'
import { isRefusal } from './requests.ts'

/** The properties of calls that a mapping names, and the unique one: what is there, and what can be made. */

type Context = ConnectorContext<Config>

export async function fields(ctx: Context): Promise<CrmField[]> {
  const { externalIdProperty } = ctx.config
  const marks = ['hs_call_external_id', ...(externalIdProperty === undefined ? [] : [externalIdProperty])]
  const all = await hubspot(ctx).callProperties()
  return all
    .filter(({ archived }) => !archived)
    .map((property) => toField(property, marks))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

export async function setUp(wanted: readonly WantedField[], ctx: Context): Promise<SetUp[]> {
  const api = hubspot(ctx)
  const { externalIdProperty: unique } = ctx.config
  const known = new Map((await api.callProperties()).map((property) => [property.name, property]))
  const isMissing = [...wanted.map(({ name }) => name), ...(unique === undefined ? [] : [unique])].some(
    (name) => !known.has(name),
  )
  const done: SetUp[] = []
  // A property must be of a group; it is made only where one has to be.
  if (isMissing) {
    const what = `the group ${GROUP.name} of the properties of calls`
    const group = await made(what, () => api.createGroup(GROUP.name, GROUP.label))
    done.push(group)
  }
  for (const field of wanted) {
    const what = nameOf(field.name)
    if (known.has(field.name)) done.push({ what, state: 'was there' })
    else done.push(await made(what, () => api.createCallProperty(definitionOf(field))))
  }
  if (unique !== undefined) done.push(await uniqueProperty(unique, known.get(unique), ctx))
  return done
}

const nameOf = (name: string): string => `the property ${name} of calls`

/** Whether calls may have a unique property is not documented: HubSpot is asked for one, and its answer counts. */
async function uniqueProperty(name: string, known: Property | undefined, ctx: Context): Promise<SetUp> {
  const what = `the unique property ${name} of calls`
  if (known?.hasUniqueValue) return { what, state: 'was there' }
  const without = 'remove externalIdProperty: then calls are found again by what stands in them'
  if (known) {
    // It cannot be made unique later (properties guide, read 2026-11-20).
    return { what, state: 'by hand', fix: `It is there and not unique: name another one, or ${without}` }
  }
  const result = await made(what, () => hubspot(ctx).createCallProperty(uniqueDefinition(name)))
  if (result.state !== 'was there') {
    if (result.state === 'by hand' && !result.fix?.startsWith('Grant'))
      return { ...result, fix: `${result.fix}; or ${without}` }
    return result
  }
  // Made by somebody else at this very moment.
  const { hasUniqueValue } = await hubspot(ctx).callProperty(name)
  return hasUniqueValue
    ? result
    : { what, state: 'by hand', fix: `It is there and not unique: name another one, or ${without}` }
}

/** What HubSpot refuses for good is for a person; any other failure is the set-up's own. */
async function made(what: string, make: () => Promise<void>): Promise<SetUp> {
  try {
    await make()
    return { what, state: 'made' }
  } catch (error) {
    if (isRefusal(error, 'duplicate')) return { what, state: 'was there' }
    if (!isRefusal(error, 'forbidden', 'rejected')) throw error
    return { what, state: 'by hand', fix: fixOf(what, error) }
  }
}

function fixOf(what: string, { code, vendorSaid }: CordboardError): string {
  // "One of the schema write scopes" (the definition of the properties API, read 2026-11-20).
  if (code === 'forbidden') return `Grant crm.schemas.contacts.write in HubSpot, or make ${what} there`
  return `Make ${what} in HubSpot under Settings → Properties → Calls${vendorSaid ? ` (it said: ${vendorSaid})` : ''}`
}
