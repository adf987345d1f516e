/** Local times without an offset, as many phone systems write them, and instants. Zones are IANA names. */

const formats = new Map<string, Intl.DateTimeFormat>()

/** Whether the runtime knows a time zone by this name. */
export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name })
    return true
  } catch {
    return false
  }
}

/** The wall clock of a zone: `2026-03-04 11:22:33`. */
export function toWallClock(ms: number, timeZone: string): string {
  let format = formats.get(timeZone)
  if (!format) {
    const two = '2-digit'
    const fields = { year: 'numeric', month: two, day: two, hour: two, minute: two, second: two } as const
    format = new Intl.DateTimeFormat('en-US', { timeZone, hourCycle: 'h23', ...fields })
    formats.set(timeZone, format)
  }
  const part: Partial<Record<string, string>> = {}
  for (const { type, value } of format.formatToParts(ms)) part[type] = value
  return `${part.year}-${part.month}-${part.day} ${part.hour}:${part.minute}:${part.second}`
}

const DAY_MS = 86_400_000
const QUARTER_MS = 900_000
const readAsUtc = (wall: string): number => Date.parse(`${wall.replace(' ', 'T')}Z`)

/** Formatting a date is slow, calls are mostly of today, and zones change at quarters of an hour only. */
const offsets = new Map<string, number>()
const MOST_OFFSETS = 1000

function offsetAt(ms: number, timeZone: string): number {
  const quarter = Math.floor(ms / QUARTER_MS)
  const key = `${timeZone} ${quarter}`
  let offset = offsets.get(key)
  if (offset === undefined) {
    offset = readAsUtc(toWallClock(quarter * QUARTER_MS, timeZone)) - quarter * QUARTER_MS
    if (offsets.size >= MOST_OFFSETS) offsets.clear()
    offsets.set(key, offset)
  }
  return offset
}

/**
 * A wall clock to its instant. An hour that comes twice in autumn is taken for the first time, one that spring skips
 * for as much later as was skipped: what a clock that nobody set would have shown.
 */
export function toInstant(wall: string, timeZone: string): string {
  const asUtc = readAsUtc(wall)
  // A day before and after, no zone is still in the same change.
  const before = asUtc - offsetAt(asUtc - DAY_MS, timeZone)
  const after = asUtc - offsetAt(asUtc + DAY_MS, timeZone)
  const fits = before === after ? before : [before, after].find((ms) => ms + offsetAt(ms, timeZone) === asUtc)
  return new Date(fits ?? before).toISOString()
}
