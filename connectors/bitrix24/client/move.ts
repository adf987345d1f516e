import type { ConnectorContext } from '../../../src/connector/contract.ts'
import { isSamePlace, type Place, placedId, readPlacedId } from '../../../src/connector/placed-id.ts'
import { CordboardError } from '../../../src/errors.ts'
import { ask } from '../client.ts'
import { TYPE_IDS } from '../map.ts'
import { type Config, type Statistic, statistics, yesOrNo } from '../schema.ts'

/**
 * What stands on a record is put on the one that was chosen later: bound there, then loosed from the first one. Both halves may
 * be done again, so that a move that broke off is ended by the next attempt. Whatever people bound it to beside stays.
 */

type Context = ConnectorContext<Config>
type Method = (method: string, place: Place) => Promise<void>

/** A comment, and what is written over it once it may be reached through its new record. Returns its new id. */
export const moveComment = (
  externalId: string,
  target: Place,
  ctx: Context,
  write: (id: string) => Promise<void>,
): Promise<string> => {
  const { id } = readPlacedId(externalId)
  return move(externalId, target, write, (method, { type, id: ENTITY_ID }) => {
    const fields = { OWNER_ID: id, ENTITY_ID, ENTITY_TYPE: type }
    return granted(`crm.timeline.bindings.${method === 'add' ? 'bind' : 'unbind'}`, { fields }, ctx)
  })
}

/** A to-do, likewise. */
export const moveActivity = (
  externalId: string,
  target: Place,
  ctx: Context,
  write: (id: string) => Promise<void>,
): Promise<string> => move(externalId, target, write, bindingOf(readPlacedId(externalId).id, ctx))

/** A call that was registered, by its activity; in the statistics it stays where it was registered. */
export async function moveCall(externalId: string, target: Place, ctx: Context): Promise<string> {
  const { place, id } = readPlacedId(externalId)
  if (isSamePlace(place, target)) return externalId
  const activity = (await statisticOf({ CALL_ID: id }, ctx))?.CRM_ACTIVITY_ID
  if (activity === undefined || activity === '0') return externalId
  const bind = bindingOf(activity, ctx)
  await bind('add', target)
  if (place) await bind('delete', place)
  return placedId(target, id)
}

export async function statisticOf(
  filter: Record<string, string>,
  ctx: Context,
): Promise<Statistic | undefined> {
  return (await ask('voximplant.statistic.get', { FILTER: filter }, statistics, ctx)).result[0]
}

async function move(
  externalId: string,
  target: Place,
  write: (id: string) => Promise<void>,
  bind: Method,
): Promise<string> {
  const { place, id } = readPlacedId(externalId)
  if (isSamePlace(place, target)) {
    await write(id)
    return externalId
  }
  await bind('add', target)
  await write(id)
  if (place) await bind('delete', place)
  return placedId(target, id)
}

const bindingOf =
  (activityId: string, ctx: Context): Method =>
  (method, { type, id: entityId }) =>
    granted(`crm.activity.binding.${method}`, { activityId, entityTypeId: TYPE_IDS[type], entityId }, ctx)

/** A missing right is told with `false`, and 200. */
async function granted(method: string, params: Record<string, unknown>, ctx: Context): Promise<void> {
  try {
    if ((await ask(method, params, yesOrNo, ctx)).result) return
  } catch (error) {
    if (!(error instanceof CordboardError)) throw error
    if (isSo(method, error)) return
    if (error.code !== 'not_found' || !error.vendorSaid?.includes('OWNER_NOT_FOUND')) throw error
    throw new CordboardError('rejected', `${error.message}: the record is not there`, {
      cause: error,
      fix: 'Choose a record that is there for this call',
    })
  }
  throw new CordboardError('forbidden', `Bitrix24: ${method}: the record may not be changed`, {
    fix: 'Let the user of the connection change this record, then rerun the call',
  })
}

/** Bound already, or loose already: an earlier attempt got so far, or a person did it, or the first record is gone. */
function isSo(method: string, { code, vendorSaid = '' }: CordboardError): boolean {
  if (method.endsWith('.add')) return vendorSaid.includes('ACTIVITY_IS_ALREADY_BOUND')
  if (/\.(?:unbind|delete)$/.test(method))
    return code === 'not_found' || vendorSaid.includes('BINDING_NOT_FOUND')
  return false
}
