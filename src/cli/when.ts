const AGO_MS: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `2d` ago, or the text itself: the API reads days and instants. */
export function instantOf(when: string): string {
  const [, count, unit] = /^(\d{1,5})([mhd])$/.exec(when) ?? []
  const ms = unit === undefined ? undefined : AGO_MS[unit]
  return ms === undefined ? when : new Date(Date.now() - Number(count) * ms).toISOString()
}
