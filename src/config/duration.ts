/** Mean Gregorian lengths: a retention of 12 months is a year, in leap years too. */
const UNIT_MS = {
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 604_800_000,
  month: 2_629_746_000,
  year: 31_556_952_000,
} as const

export const DURATION = /^([1-9]\d{0,5}) (minute|hour|day|week|month|year)s?$/

/** `30 days` in ms; undefined for `forever`. What does not match DURATION never gets here. */
export function durationMs(text: string): number | undefined {
  const [, count, unit] = DURATION.exec(text) ?? []
  return unit === undefined ? undefined : Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS]
}

/** The same in words, for people. */
export function durationText(ms: number | undefined): string {
  if (ms === undefined) return 'forever'
  for (const unit of ['year', 'month', 'week', 'day', 'hour', 'minute'] as const) {
    const count = ms / UNIT_MS[unit]
    if (Number.isInteger(count)) return `${count} ${unit}${count === 1 ? '' : 's'}`
  }
  return `${ms} ms`
}
