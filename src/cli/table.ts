/** Columns as wide as their longest cell; the last one is left as it is. Empty text for an absent value. */
export function table(given: readonly (readonly (string | null | undefined)[])[]): string[] {
  // A row is a line, whatever stands in it.
  const rows = given.map((row) => row.map((cell) => (cell ?? '').replaceAll(/[\r\n]+/g, ' ')))
  const widths: number[] = []
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length)
  }
  return rows.map((row) =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
}

/** `6:42`, `1:02:03`. */
export function clockText(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return ''
  const seconds = Math.round(ms / 1000)
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
  const two = (n: number) => String(n).padStart(2, '0')
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`
}

/** `2026-11-20 14:03:11` of an instant, UTC as everywhere. */
export function dayAndTime(instant: string | null | undefined): string {
  return instant ? instant.slice(0, 19).replace('T', ' ') : ''
}
