import type { CallEvent } from '../../../src/call/facts.ts'
import type { Received } from '../../../src/connector/contract.ts'
import type { CrmChange } from '../../../src/connector/crm-role.ts'
import type { Change, Config } from '../schema.ts'

/** What a webhook says: which records changed, never what they say now. */

/** Calls are known by their number only: there is no `call.…` among the subscriptions. */
const CALLS = '0-48'
const TYPES: Readonly<Record<string, string>> = { '0-1': 'contact', '0-2': 'company' }

export function receiveChanges(list: readonly Change[], { calls }: Config): Received<CallEvent> {
  if (list.length === 0) return { ignored: 'an empty list of changes' }
  const lookUp = calls ? [...new Set(list.flatMap(callOf))] : []
  const changes = withoutDoubles(list.flatMap(changesOf))
  if (lookUp.length + changes.length === 0)
    return { ignored: `changes in HubSpot that no call needs: ${nameChanges(list)}` }
  return {
    events: [],
    ...(lookUp.length > 0 ? { lookUp } : {}),
    ...(changes.length > 0 ? { changes } : {}),
  }
}

function callOf({ subscriptionType, eventType, objectTypeId, objectId }: Change): string[] {
  const type = subscriptionType ?? eventType
  const isNews = type === 'object.creation' || type === 'object.propertyChange'
  return isNews && objectTypeId === CALLS && objectId !== undefined ? [objectId] : []
}

function changesOf(change: Change): CrmChange[] {
  const [kind = '', what] = (change.subscriptionType ?? change.eventType ?? '').split('.')
  const type = kind === 'object' ? TYPES[change.objectTypeId ?? ''] : kind
  if (type !== 'contact' && type !== 'company') return []
  const { objectId: id, primaryObjectId, newObjectId, mergedObjectIds = [] } = change
  if (what === 'privacyDeletion' && id !== undefined) return [{ change: 'erased', type, id }]
  if (what === 'deletion' && id !== undefined) return [{ change: 'deleted', type, id }]
  if (what !== 'merge') return []
  // Merging may make a record of its own: then the one that was kept is gone as well.
  const into = newObjectId ?? primaryObjectId ?? id
  const gone = [...new Set([...mergedObjectIds, primaryObjectId])]
  return gone.flatMap((one) =>
    one === undefined || into === undefined || one === into
      ? []
      : [{ change: 'merged', type, id: one, into }],
  )
}

/** A privacy deletion is told as an ordinary one too: what is erased is not only deleted. */
function withoutDoubles(changes: readonly CrmChange[]): CrmChange[] {
  const erased = new Set(changes.flatMap((one) => (one.change === 'erased' ? [`${one.type}/${one.id}`] : [])))
  const kept = changes.filter(({ change, type, id }) => change !== 'deleted' || !erased.has(`${type}/${id}`))
  return [...new Map(kept.map((one) => [JSON.stringify(one), one])).values()]
}

/** "contact.creation (2), object.creation of 0-48 (1)" */
function nameChanges(changes: readonly Change[]): string {
  const counts = new Map<string, number>()
  for (const { subscriptionType, eventType, objectTypeId } of changes) {
    const type = subscriptionType ?? eventType ?? 'unnamed change'
    const name = type.startsWith('object.') && objectTypeId ? `${type} of ${objectTypeId}` : type
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  const named = [...counts].slice(0, 8).map(([name, count]) => `${name.slice(0, 80)} (${count})`)
  return named.join(', ') + (counts.size > 8 ? ` and ${counts.size - 8} more kinds` : '')
}
