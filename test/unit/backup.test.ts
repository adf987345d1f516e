import { chmodSync, existsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { expect, test } from 'vitest'
import { emptyConfig } from '../../src/cli/configured.ts'
import { backupStore } from '../../src/node/backup.ts'
import { noticeRestored } from '../../src/node/notice-restored.ts'
import { openDeps, STORE_FILE } from '../../src/node/open.ts'
import { restoredAt } from '../../src/pipeline/restored.ts'
import type { Store } from '../../src/store/port.ts'
import { openPostgresStore } from '../../src/store/postgres.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { emptyFolder } from '../evidence/checkout.ts'
import { until } from '../faults/within.ts'
import { startPostgres } from '../services/postgres.ts'

// Who finds out that a store is an older copy, and when.

const lines: string[] = []
const say = (line: string) => void lines.push(line)
const log = { debug: say, info: say, warn: say, error: say }
const notice = (store: Store, at: number) => noticeRestored(store, { now: () => at, log })

async function makeStore(file: string): Promise<void> {
  const store = await openSqliteStore({ file })
  await store.migrate()
  await store.close()
}

test('a copy says that it is one; the store it was made of does not', async () => {
  using folder = emptyFolder()
  const file = join(folder.path, STORE_FILE)
  await makeStore(file)
  const copy = join(folder.path, 'backup.db')
  const { bytes } = await backupStore(file, copy)
  expect([statSync(copy).size, existsSync(`${copy}-wal`), existsSync(`${copy}.partial`)]).toEqual([
    bytes,
    false,
    false,
  ])
  if (process.platform !== 'win32') expect(statSync(copy).mode & 0o777).toBe(0o600)

  const original = await openSqliteStore({ file })
  expect([await notice(original, 1_000), await restoredAt(original)]).toEqual([false, null])
  await original.close()
  const store = await openSqliteStore({ file: copy })
  expect([await notice(store, 2_000), await restoredAt(store)]).toEqual([true, 2_000])
  expect([await notice(store, 3_000), await restoredAt(store)]).toEqual([false, 2_000])
  await store.close()
})

test('what is there is not written over, and a copy that fails leaves nothing', async () => {
  using folder = emptyFolder()
  const file = join(folder.path, STORE_FILE)
  await makeStore(file)
  const there = join(folder.path, 'backup.db')
  writeFileSync(there, 'precious')
  await expect(backupStore(file, there)).rejects.toMatchObject({ code: 'bad_request' })
  expect(statSync(there).size).toBe(8)
  const none = join(folder.path, 'none.db')
  writeFileSync(file, 'this is no database, whatever it is called'.repeat(100))
  await expect(backupStore(file, none)).rejects.toThrow()
  expect([existsSync(none), existsSync(`${none}.partial`)]).toEqual([false, false])
})

test('whoever only looks at a copy leaves it one; whoever goes to work on it marks it', async () => {
  using folder = emptyFolder()
  const original = join(folder.path, 'original.db')
  await makeStore(original)
  await backupStore(original, join(folder.path, STORE_FILE))
  const marks: (number | null)[] = []
  for (const works of [false, true]) {
    const deps = await openDeps({ config: emptyConfig, dataDir: folder.path, works, now: () => 5_000, log })
    marks.push(await restoredAt(deps.store))
    await deps.queue.stop(0)
    await deps.close()
  }
  expect(marks).toEqual([null, 5_000])
  expect(lines).toContain('this store was put back from an older copy')
})

test('a database is the same after a restart of its server, and another after its return to an earlier moment', {
  timeout: 60_000,
}, async () => {
  const server = await startPostgres()
  const look = async (at: number) => {
    const store = await openPostgresStore({ url: server.url, maxConnections: 6 })
    try {
      await store.migrate()
      return [await notice(store, at), await restoredAt(store)]
    } finally {
      await store.close()
    }
  }
  try {
    expect([await look(1_000), await look(2_000)]).toEqual([
      [false, null],
      [false, null],
    ])
    await server.restart('immediate')
    expect(await look(3_000)).toEqual([false, null])

    // As a return to an earlier moment begins: from the log there is, after which another timeline is written.
    const [{ data_directory: data } = {}] = await query(server.url, 'show data_directory')
    await query(server.url, "alter system set restore_command = 'false'")
    await server.stop('immediate')
    const signal = join(String(data), 'recovery.signal')
    writeFileSync(signal, '')
    chmodSync(signal, 0o666)
    await server.start()
    const isBack = async () =>
      (await query(server.url, 'select pg_is_in_recovery() as still'))[0]?.still === false
    await until('it takes writes again', isBack, 20_000)
    expect([await look(4_000), await look(5_000)]).toEqual([
      [true, 4_000],
      [false, 4_000],
    ])
  } finally {
    await server.drop()
  }
})

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}
