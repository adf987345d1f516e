import { type Fields, phonesOf, refused, type Said, type Stored, text } from './said.ts'

/** By digits, and no more of the types behind one that has twenty. */
export function duplicates(
  { values, entity_type: only }: Fields,
  of: (kind: string) => Stored[],
  now: number,
): Said {
  if (!Array.isArray(values) || values.length > 20) return refused('', 'Communication values is not defined')
  const wanted = new Set(values.map((value) => text(value).replace(/\D/g, '')))
  const result: Record<string, number[]> = {}
  for (const kind of ['lead', 'contact', 'company']) {
    if (only !== undefined && text(only).toLowerCase() !== kind) continue
    const found = of(kind).filter(
      ({ fields, searchableAt }) =>
        searchableAt <= now && phonesOf(fields).some((phone) => wanted.has(phone.replace(/\D/g, ''))),
    )
    if (found.length > 0) result[kind.toUpperCase()] = found.slice(0, 20).map(({ id }) => Number(id))
    if (found.length >= 20) break
  }
  return { result: Object.keys(result).length === 0 ? [] : result }
}
