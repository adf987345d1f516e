import { sql } from 'kysely'
import type { ErrorCode } from '../errors.ts'
import type { Query, Store } from '../store/port.ts'

/** Why a refused request was refused, as far as it can be told: what `doctor` looks at. */
export type Hint = 'url' | 'secret' | 'header' | null

interface Refusal {
  connection: string
  code: ErrorCode
  method: string
  path: string
  headerNames: string[]
  reason: string
  hint: Hint
}

/** Counts what was refused, in memory first: strangers must not be able to make the store write. */
export interface Refusals {
  add(refusal: Refusal): void
  /** Writes what was counted since the last time. */
  flush(): Promise<void>
}

interface Counted {
  refusal: Refusal
  count: number
  at: number
}

/** Under which requests for connections that are not there are counted together. No connection can have this id. */
export const NOBODY = { id: '-', secrets: [] } as const

const HOUR_MS = 3_600_000
/** Different (connection, code) pairs held between two flushes; connections are known ones, so this is ample. */
const MOST_KINDS = 1_000
/** What was refused longer ago says nothing about today's settings. */
const KEPT_MS = 7 * 86_400_000

/**
 * Counts refused requests in memory and writes the counts with the sweep: a flood of forged requests costs one row per
 * connection, code and hour, never a row each, and never the body. Connections are those of the configuration, and rows
 * are kept for a week: no sender decides how many there are.
 */
export function createRefusals(deps: { store: Store; now: () => number }): Refusals {
  const counts = new Map<string, Counted>()
  return {
    add(refusal: Refusal): void {
      const key = `${refusal.connection} ${refusal.code}`
      const known = counts.get(key)
      if (known) Object.assign(known, { refusal, count: known.count + 1, at: deps.now() })
      else if (counts.size < MOST_KINDS) counts.set(key, { refusal, count: 1, at: deps.now() })
    },
    async flush(): Promise<void> {
      if (counts.size === 0) return
      const taken = [...counts]
      counts.clear()
      try {
        await deps.store.atomic(
          [],
          taken.map(([, counted]) => toQuery(counted)),
        )
      } catch (error) {
        // What could not be written is counted on.
        for (const [key, counted] of taken) {
          const since = counts.get(key)
          counts.set(key, since ? { ...since, count: since.count + counted.count } : counted)
        }
        throw error
      }
    },
  }

  function toQuery({ refusal, count, at }: Counted): Query {
    const { connection, code, ...sample } = refusal
    const row = {
      connection,
      code,
      hour_at: at - (at % HOUR_MS),
      count,
      last_at: at,
      sample: JSON.stringify(sample),
    }
    return deps.store.db
      .insertInto('refusals')
      .values(row)
      .onConflict((conflict) =>
        conflict.columns(['connection', 'code', 'hour_at']).doUpdateSet((eb) => ({
          count: eb('refusals.count', '+', count),
          last_at: at,
          sample: row.sample,
        })),
      )
  }
}

/**
 * Erases what is too old. From one (connection, code) to the next through the key, whose oldest hour comes first, so that
 * it costs a few look-ups however much was refused.
 */
export async function eraseRefusals({ store, now }: { store: Store; now: () => number }): Promise<void> {
  const before = now() - KEPT_MS
  const old: { connection: string; code: string }[] = []
  for (let last = { connection: '', code: '' }; ; ) {
    const first = await store.db
      .selectFrom('refusals')
      .select(['connection', 'code', 'hour_at'])
      .where(sql<boolean>`(connection, code) > (${last.connection}, ${last.code})`)
      .orderBy('connection')
      .orderBy('code')
      .orderBy('hour_at')
      .limit(1)
      .executeTakeFirst()
    if (!first) break
    last = first
    if (Number(first.hour_at) < before) old.push(first)
  }
  if (old.length === 0) return
  await store.atomic(
    [],
    old.map(({ connection, code }) =>
      store.db
        .deleteFrom('refusals')
        .where('connection', '=', connection)
        .where('code', '=', code)
        .where('hour_at', '<', before),
    ),
  )
}
