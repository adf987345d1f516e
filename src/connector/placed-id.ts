/**
 * The id of what stands on a record of a CRM, with that record before it: `contact/7/123`. A CRM that has no search for its
 * parts changes and moves them only through the record, and where a person chooses another one later, the first is no
 * longer known from anything else.
 */
export interface Place {
  type: string
  id: string
}

export const placedId = (place: Place | null, id: string): string =>
  place ? `${place.type}/${place.id}/${id}` : id

/** `place` is null where the part stands on no record, or was written before its record was kept with it. */
export function readPlacedId(placed: string): { place: Place | null; id: string } {
  const [type, on, id] = placed.split('/')
  return type !== undefined && on !== undefined && id !== undefined
    ? { place: { type, id: on }, id }
    : { place: null, id: placed }
}

export const isSamePlace = (one: Place | null, other: Place | null): boolean =>
  one?.type === other?.type && one?.id === other?.id
