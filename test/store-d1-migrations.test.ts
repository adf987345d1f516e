import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import { MIGRATIONS } from '../src/store/migrations.ts'
import { openSqliteStore } from '../src/store/sqlite.ts'

const FOLDER = new URL('../src/store/d1-migrations/', import.meta.url)

it('the files for D1 make the tables that SQLite has; test/worker/store.test.ts runs them on D1', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cordboard-d1-'))
  try {
    const file = join(folder, 'cordboard.db')
    const store = await openSqliteStore({ file })
    await store.migrate()
    await store.close()
    const byStore = new DatabaseSync(file, { readOnly: true })
    const byFiles = new DatabaseSync(':memory:')
    const names = readdirSync(FOLDER).sort()
    for (const name of names) byFiles.exec(readFileSync(new URL(name, FOLDER), 'utf8'))

    expect(names).toEqual(MIGRATIONS.map(({ name }) => `${name}.sql`))
    expect(schemaOf(byFiles)).toEqual(schemaOf(byStore))
    const ran = byFiles.prepare('select name from migrations order by name').all()
    expect(ran.map(({ name }) => name)).toEqual(MIGRATIONS.map(({ name }) => name))
    byStore.close()
    byFiles.close()
  } finally {
    await rm(folder, { recursive: true })
  }
})

/** Every table and index as it was written, but for the spaces. */
function schemaOf(db: DatabaseSync) {
  const rows = db.prepare('select type, name, tbl_name, sql from sqlite_master order by name').all()
  expect(rows.length).toBeGreaterThan(40)
  return rows.map(({ sql, ...row }) => ({ ...row, sql: sql && String(sql).replaceAll(/\s+/g, ' ') }))
}
