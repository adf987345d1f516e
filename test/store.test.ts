import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import type { Worker } from 'node:worker_threads'
import { sql } from 'kysely'
import { afterEach, describe, expect, it } from 'vitest'
import { DELIVERY_COLUMNS, STEP_COLUMNS } from '../src/store/binds.ts'
import { MIGRATIONS } from '../src/store/migrations.ts'
import { openSqliteStore, type SqliteOptions, type SqliteStore } from '../src/store/sqlite.ts'
import { entry, NOW } from './kit/rows.ts'
import { count, storeKit } from './kit/store.ts'

const CHILD = fileURLToPath(new URL('./kit/store-child.ts', import.meta.url))

async function openTemp(options: Omit<SqliteOptions, 'file'> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'cordboard-store-'))
  const file = join(folder, 'data', 'cordboard.db')
  let store = await openSqliteStore({ file, ...options })
  await store.migrate()
  return {
    file,
    store,
    commits: () => store.stats().commits,
    async reopen(): Promise<SqliteStore> {
      await store.close()
      store = await openSqliteStore({ file, ...options })
      return store
    },
    async drop() {
      await store.close()
      await rm(folder, { recursive: true })
    },
  }
}

storeKit('SQLite', openTemp)

describe('the SQLite file', () => {
  let dropping: Array<() => Promise<void>> = []
  async function temp(options: Omit<SqliteOptions, 'file'> = {}) {
    const opened = await openTemp(options)
    dropping.push(opened.drop)
    return opened
  }
  afterEach(async () => {
    for (const drop of dropping) await drop()
    dropping = []
  })
  const unavailable = { code: 'storage_unavailable', retry: 'later' }

  it('is for its owner only, and every commit reaches the disk', async () => {
    const { file, store } = await temp()
    for (const name of [file, `${file}-wal`]) expect((await stat(name)).mode & 0o077).toBe(0)
    const pragmas = ['journal_mode', 'synchronous', 'page_size'].map((name) => ({
      compile: () => sql.raw(`pragma ${name}`).compile(store.db),
    }))
    expect(await store.atomic([], pragmas)).toEqual([
      [{ journal_mode: 'wal' }],
      [{ synchronous: 2 }],
      [{ page_size: 8192 }],
    ])
  })

  it('carries every column of an append', async () => {
    const { store } = await temp()
    const columns = async (table: string) => {
      const { rows } = await sql<{ name: string }>`select name from pragma_table_info(${table})`.execute(
        store.db,
      )
      return rows.map((row) => row.name).sort()
    }
    expect([...DELIVERY_COLUMNS, 'headers', 'body'].sort()).toEqual(await columns('deliveries'))
    expect([...STEP_COLUMNS].sort()).toEqual(await columns('steps'))
  })

  it('is only read through db', async () => {
    const { store } = await temp()
    const write = store.db.insertInto('settings').values({ name: 'a', value: 'b', updated_at: 1 })
    await expect(write.execute()).rejects.toThrow(/readonly/)
    await expect(write.returningAll().execute()).rejects.toThrow(/readonly/)
    await expect(store.db.transaction().execute(async () => 1)).rejects.toThrow(/atomic/)
  })

  it('says so while another process holds its lock, and goes on afterwards', async () => {
    const { file, store } = await temp({ busyMs: 30 })
    const other = new DatabaseSync(file)
    other.exec('begin immediate')
    for (const attempt of [store.append(entry('a')), store.check()]) {
      await expect(attempt).rejects.toMatchObject(unavailable)
    }
    other.exec('rollback')
    other.close()
    await store.append(entry('a'))
    await store.check()
  })

  it('refuses when the disk is full and recovers when it is not', async () => {
    const { store } = await temp()
    const full = (pages: number) => ({
      compile: () => sql.raw(`pragma max_page_count = ${pages}`).compile(store.db),
    })
    await store.append(entry('before'))
    await store.atomic([], [full(1)])
    const big = { delivery: { body: new Uint8Array(200_000) } }
    const ends = await Promise.allSettled([store.append(entry('small')), store.append(entry('big', big))])
    expect(ends.map((end) => end.status === 'rejected' && end.reason)).toMatchObject([
      unavailable,
      unavailable,
    ])
    // The limit belongs to the connection, which is opened anew after such an error: now there is space again.
    await store.append(entry('big', big))
    expect(await count(store, 'deliveries')).toBe(2)
  })

  it('rejects everyone who waits when the writer dies, and starts it again', async () => {
    const threads: Worker[] = []
    const see = (worker: Worker) => threads.push(worker)
    process.on('worker', see)
    const { store } = await temp()
    process.off('worker', see)
    await store.append(entry('before'))
    const waiting = [store.append(entry('a')), store.append(entry('b')), store.check()]
    const ended = threads.map((thread) => once(thread, 'exit'))
    for (const thread of threads) void thread.terminate()
    for (const end of await Promise.allSettled(waiting)) {
      expect(end).toMatchObject({ status: 'rejected', reason: unavailable })
    }
    await Promise.all(ended)
    await expect(store.check()).rejects.toMatchObject(unavailable)
    await expect
      .poll(
        () =>
          store.check().then(
            () => 'ok',
            () => 'down',
          ),
        { timeout: 10_000 },
      )
      .toBe('ok')
    await store.append(entry('after'))
  })

  it('can be closed while its writer is down', async () => {
    const threads: Worker[] = []
    const see = (worker: Worker) => threads.push(worker)
    process.on('worker', see)
    const { store } = await temp()
    process.off('worker', see)
    await Promise.all(threads.map((thread) => thread.terminate()))
    await store.close()
    await expect(store.append(entry('late'))).rejects.toMatchObject(unavailable)
  })

  it('can be copied while it is written to', async () => {
    const { file, store } = await temp()
    await Promise.all(Array.from({ length: 100 }, (_, n) => store.append(entry(n))))
    const more = Array.from({ length: 500 }, (_, n) => store.append(entry(`later ${n}`)))
    await store.backup(`${file}.copy`)
    await Promise.all(more)
    const copy = new DatabaseSync(`${file}.copy`, { readOnly: true })
    expect(copy.prepare('pragma integrity_check').get()).toEqual({ integrity_check: 'ok' })
    const { n } = copy.prepare('select count(*) as n from deliveries').get() ?? {}
    expect(Number(n)).toBeGreaterThanOrEqual(100)
    copy.close()
  })

  it('refuses to open where it cannot be', async () => {
    await expect(openSqliteStore({ file: '/dev/null/cordboard.db' })).rejects.toThrow()
  })

  it('is migrated once by two processes that start at once', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cordboard-store-'))
    const file = join(folder, 'cordboard.db')
    const runs = await Promise.all(
      ['a', 'b'].map(async () => {
        const child = spawn(process.execPath, [CHILD, 'migrate', file], {
          stdio: ['ignore', 'pipe', 'inherit'],
        })
        let out = ''
        child.stdout.on('data', (chunk) => {
          out += String(chunk)
        })
        expect(await once(child, 'close')).toEqual([0, null])
        return JSON.parse(out) as string[]
      }),
    )
    expect(runs.map((names) => names.length).sort()).toEqual([0, MIGRATIONS.length])
    await rm(folder, { recursive: true })
  })

  it('has everything that was acknowledged before a kill -9', async () => {
    const { file, store } = await temp({ clock: () => NOW })
    const acknowledged: string[] = []
    for (const round of [1, 2, 3]) {
      const child = spawn(process.execPath, [CHILD, 'append', file, `r${round}`], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let out = ''
      child.stdout.on('data', (chunk) => {
        out += String(chunk)
        // Somewhere in the middle of its work, another place each time.
        if (out.length > round * 2_500) child.kill('SIGKILL')
      })
      expect(await once(child, 'close')).toEqual([null, 'SIGKILL'])
      acknowledged.push(...out.split('\n').slice(0, -1))
    }
    const rows = await store.db.selectFrom('deliveries').select('id').execute()
    const stored = new Set(rows.map((row) => row.id))
    expect(acknowledged.length).toBeGreaterThan(100)
    expect(acknowledged.filter((id) => !stored.has(id))).toEqual([])
    expect(await count(store, 'steps')).toBe(stored.size)
    expect((await sql`pragma integrity_check`.execute(store.db)).rows).toEqual([{ integrity_check: 'ok' }])
  })
})
