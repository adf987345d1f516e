import { sql } from 'kysely'
import type { Deps } from '../pipeline/deps.ts'
import { markRestored } from '../pipeline/restored.ts'
import type { Query, Store } from '../store/port.ts'

/** A copy made by `cordboard backup` says so; the store it was made of never does. */
export const COPY = 'store.copy'
/** Which database of which server it lies in. */
const HOME = 'store.home'

/**
 * Sees that the store was put back from an older copy, without anybody saying so, and marks it before any work begins.
 * Safe when several processes see it at once. Answers whether it was.
 */
export async function noticeRestored(
  store: Store,
  { now, log }: Pick<Deps, 'log' | 'now'>,
): Promise<boolean> {
  const { db } = store
  const rows = await db.selectFrom('settings').selectAll().where('name', 'in', [COPY, HOME]).execute()
  const known = new Map(rows.map((row) => [row.name, row.value]))
  const home = store.dialect === 'postgres' ? await homeOf(store) : null
  const before = known.get(HOME) ?? null
  const isMoved = home !== null && before !== null && isAnother(before, home)
  const isRestored = isMoved || known.has(COPY)
  const queries: Query[] = []
  if (isRestored) queries.push(markRestored(store, now()))
  if (known.has(COPY)) queries.push(db.deleteFrom('settings').where('name', '=', COPY))
  if (home !== null && (before === null || isMoved)) {
    const update = { value: home, updated_at: now() }
    queries.push(
      db
        .insertInto('settings')
        .values({ name: HOME, ...update })
        .onConflict((conflict) => conflict.column('name').doUpdateSet(update)),
    )
  }
  if (queries.length > 0) await store.atomic([], queries)
  if (isRestored) {
    const says = 'what may have been done since is looked for at the vendors before it is done again'
    log.warn('this store was put back from an older copy', { says })
  }
  return isRestored
}

/**
 * `<tables>/<server>`. The first half changes when the tables were loaded from a dump: they have other numbers then. The
 * second when the server was brought back to an earlier moment, or another took its place, which may not have heard
 * everything: that begins another timeline.
 */
async function homeOf({ db }: Store): Promise<string> {
  const tables = await sql<{ id: string }>`
    select d.oid || '.' || 'settings'::regclass::oid as id
    from pg_database d where d.datname = current_database()`.execute(db)
  const server = sql<{ id: string }>`
    select s.system_identifier || '.' || left(pg_walfile_name(pg_current_wal_lsn()), 8) as id
    from pg_control_system() s`
  // Hosted databases may keep theirs to themselves.
  const told = await server.execute(db).catch(() => ({ rows: [] }))
  return `${tables.rows[0]?.id ?? ''}/${told.rows[0]?.id ?? ''}`
}

function isAnother(before: string, home: string): boolean {
  const [tables, server] = home.split('/')
  const [knownTables, knownServer] = before.split('/')
  return tables !== knownTables || Boolean(server && knownServer && server !== knownServer)
}
