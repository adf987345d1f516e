import type { Store } from '../../src/store/port.ts'

/** What must never be read where everybody looks: numbers, names, secrets, words of a conversation. */
export interface Canaries {
  add(kind: string, value: string): void
  /** Throws when one occurs in the logged lines or in what the store keeps for people to read. */
  check(logged: readonly string[], db: Store['db']): Promise<void>
}

export function createCanaries(): Canaries {
  const canaries = new Map<string, string>()
  return {
    add(kind, value) {
      if (value.length >= 4) canaries.set(value, kind)
    },
    async check(logged, db) {
      const [attempts, issues, refusals, steps, calls, breakers, deliveries, submissions, audit] =
        await Promise.all([
          db.selectFrom('attempts').select('says').execute(),
          db.selectFrom('issues').select(['says', 'fix']).execute(),
          db.selectFrom('refusals').select('sample').execute(),
          db.selectFrom('steps').select('reason').execute(),
          db.selectFrom('calls').select('reason').execute(),
          db.selectFrom('breakers').select('says').execute(),
          db.selectFrom('deliveries').select('reason').execute(),
          db.selectFrom('submissions').select('reason').execute(),
          db.selectFrom('audit').select('detail').execute(),
        ])
      const places = {
        logged,
        attempts,
        issues,
        refusals,
        steps,
        calls,
        breakers,
        deliveries,
        submissions,
        audit,
      }
      for (const [place, rows] of Object.entries(places)) {
        for (const row of rows) {
          const text = typeof row === 'string' ? row : Object.values(row).join(' ')
          for (const [value, kind] of canaries)
            if (text.includes(value)) throw new Error(`${place} tell a ${kind}: ${text.slice(0, 200)}`)
        }
      }
    },
  }
}
