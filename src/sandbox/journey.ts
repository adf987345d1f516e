import type { Deps } from '../pipeline/deps.ts'

/** One line of a call's journey, for people. */
export interface JourneyLine {
  at: number
  stage: string
  connection: string
  says: string
  id: string
}

const STAGES: Readonly<Record<string, string>> = {
  merge: 'heard',
  submit: 'submitted',
  poll: 'analysis',
  callback: 'analysis',
  match: 'match',
  write: 'written',
}

/** Reads what the pipeline has noted since the last time it was asked: straight from the store, as the API would. */
export function createJourney({ store }: Pick<Deps, 'store'>): () => Promise<JourneyLine[]> {
  let after = ''
  return async function next() {
    const rows = await store.db
      .selectFrom('attempts')
      .selectAll()
      .where('id', '>', after)
      .orderBy('id')
      .limit(500)
      .execute()
    after = rows.at(-1)?.id ?? after
    return rows.map((row) => ({
      at: row.at + row.took_ms,
      stage:
        row.outcome === 'ok'
          ? (STAGES[row.kind] ?? row.kind)
          : row.outcome === 'again'
            ? 'retry'
            : row.outcome,
      connection: row.connection,
      says: row.code === null ? row.says : `${row.code}: ${row.says}`,
      id: row.call_id ?? row.step_id,
    }))
  }
}
