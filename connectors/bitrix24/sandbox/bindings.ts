import { asObject } from '../../../src/connector/json.ts'
import { type Fields, refused, type Said, type Stored, text } from './said.ts'

/** What stands on which record: comments and activities are bound, and loosed again, one record at a time. */

const TYPE_NAMES: Readonly<Record<string, string>> = { 1: 'lead', 2: 'deal', 3: 'contact', 4: 'company' }
export const placeOf = (typeId: unknown, id: unknown): string =>
  `${TYPE_NAMES[text(typeId)] ?? ''}/${text(id)}`

type Get = (kind: string, id: unknown) => Stored | undefined

export function bindings(
  get: Get,
  activityOf: (id: string) => Stored | undefined,
): Record<string, (params: Fields) => Said> {
  const isThere = (place: string) => {
    const [kind = '', id] = place.split('/')
    return get(kind, id) !== undefined
  }
  const comment = (params: Fields) => {
    const { OWNER_ID, ENTITY_TYPE, ENTITY_ID } = asObject(params.fields) ?? {}
    return {
      comment: get('comment', OWNER_ID),
      place: `${text(ENTITY_TYPE).toLowerCase()}/${text(ENTITY_ID)}`,
    }
  }
  const activity = ({ activityId, entityTypeId, entityId }: Fields) => ({
    activity: activityOf(text(activityId)),
    place: placeOf(entityTypeId, entityId),
  })
  return {
    // "The method does not check whether the CRM entity and the timeline record exist"; here it says false then.
    'crm.timeline.bindings.bind': (params) => {
      const { comment: found, place } = comment(params)
      if (!found || !isThere(place)) return { result: false }
      if (!found.on.includes(place)) found.on.push(place)
      return { result: true }
    },
    'crm.timeline.bindings.unbind': (params) => {
      const { comment: found, place } = comment(params)
      if (!found?.on.includes(place)) return refused('', 'Not found.')
      found.on = found.on.filter((one) => one !== place)
      return { result: true }
    },
    'crm.activity.binding.add': (params) => {
      const { activity: found, place } = activity(params)
      if (!found) return refused('NOT_FOUND', 'Element not found')
      if (!isThere(place)) return refused('OWNER_NOT_FOUND', 'Owner of the element not found')
      if (found.on.includes(place)) return refused('ACTIVITY_IS_ALREADY_BOUND', 'It is bound to it')
      found.on.push(place)
      return { result: true }
    },
    'crm.activity.binding.delete': (params) => {
      const { activity: found, place } = activity(params)
      if (!found) return refused('NOT_FOUND', 'Element not found')
      if (!found.on.includes(place)) return refused('BINDING_NOT_FOUND', 'It is not bound to it')
      if (found.on.length === 1)
        return refused('LAST_BINDING_CANNOT_BE_DELETED', 'It is bound to nothing else')
      found.on = found.on.filter((one) => one !== place)
      return { result: true }
    },
  }
}
