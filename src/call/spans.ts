/** Stretches of time within a call, in milliseconds from its start. */
export interface Span {
  startMs: number
  endMs: number
}

/** In order, with those that overlap or touch made one. */
export function merged(spans: readonly Span[]): Span[] {
  const result: Span[] = []
  for (const { startMs, endMs } of spans.toSorted((a, b) => a.startMs - b.startMs)) {
    const before = result.at(-1)
    if (before && startMs <= before.endMs) before.endMs = Math.max(before.endMs, endMs)
    else result.push({ startMs, endMs })
  }
  return result
}

/** Of spans that do not overlap. */
export const length = (spans: readonly Span[]): number =>
  spans.reduce((sum, { startMs, endMs }) => sum + endMs - startMs, 0)

/** How long at least so many of the lists were under way at once; within a list spans do not overlap. */
export function sweep(lists: readonly (readonly Span[])[], atLeast: number): number {
  const changes = lists.flat().flatMap(({ startMs, endMs }) => [
    { at: startMs, by: 1 },
    { at: endMs, by: -1 },
  ])
  let under = 0
  let before = 0
  let sum = 0
  for (const { at, by } of changes.sort((a, b) => a.at - b.at)) {
    if (under >= atLeast) sum += at - before
    under += by
    before = at
  }
  return sum
}
