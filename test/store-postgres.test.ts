import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import { afterEach, describe, expect, it } from 'vitest'
import { claimQuery, expireQuery } from '../src/store/claim.ts'
import { isUniqueViolation, type Query } from '../src/store/port.ts'
import type { PostgresStore } from '../src/store/postgres.ts'
import { entry, NOW, step } from './kit/rows.ts'
import { count, storeKit } from './kit/store.ts'
import { createTemps, openTemp, raw, setting } from './kit/store-postgres.ts'

const CHILD = fileURLToPath(new URL('./kit/store-child.ts', import.meta.url))

storeKit('PostgreSQL', openTemp, { interleavings: 2_000 })

const { temp, empty, open, besides, drop } = createTemps()
afterEach(drop)

const range = (n: number): number[] => Array.from({ length: n }, (_, at) => at)

describe('the PostgreSQL database', () => {
  it('is migrated once by two processes that start at once', async () => {
    const url = await empty()
    const store = await open(url)
    expect(await store.pending()).toContain('0001-first')
    const runs = await Promise.all(
      ['a', 'b'].map(async () => {
        const child = spawn(process.execPath, [CHILD, 'migrate', url], {
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
    expect(runs.filter((names) => names.length === 0)).toHaveLength(1)
    expect(runs.flat()).toContain('0001-first')
    expect(await store.pending()).toEqual([])
    expect(
      (await store.db.selectFrom('migrations').select('name').execute()).map(({ name }) => name),
    ).toEqual(runs.flat())
  })

  it('has everything that was acknowledged before a kill -9', async () => {
    const { url, store } = await temp()
    const acknowledged: string[] = []
    for (const round of [1, 2, 3]) {
      const child = spawn(process.execPath, [CHILD, 'append', url, `r${round}`], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let out = ''
      child.stdout.on('data', (chunk) => {
        out += String(chunk)
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
  })

  it('orders text by its bytes, whatever language it was made for', async () => {
    const { url, store } = await temp()
    const { rows } = await (await besides(url)).query(
      `select table_name, column_name from information_schema.columns
       where table_schema = 'public' and data_type = 'text' and collation_name is distinct from 'C'`,
    )
    expect(rows).toEqual([])
    for (const name of ['b', 'B', 'a', '_', 'é', '0']) await store.atomic([], [setting(store, name)])
    const names = await store.db.selectFrom('settings').select('name').orderBy('name').execute()
    expect(names.map((row) => row.name)).toEqual(['0', 'B', '_', 'a', 'b', 'é'])
  })

  it('is only read through db', async () => {
    const { store } = await temp()
    const write = store.db.insertInto('settings').values({ name: 'a', value: 'b', updated_at: 1 })
    await expect(write.execute()).rejects.toThrow(/read-only/)
    await expect(store.db.transaction().execute(async () => 1)).rejects.toThrow(/atomic/)
  })

  it('gives integers of 64 bits as numbers, also sums and counts, and bytes as plain bytes', async () => {
    const { store } = await temp()
    const most = Number.MAX_SAFE_INTEGER
    await store.append(entry('a', { delivery: { received_at: most, bytes: most } }))
    await store.atomic([], [setting(store, 'a'), raw(store, `update settings set updated_at = ${most}`)])
    const query = sql`select updated_at, ${BigInt(most)}::bigint as given, (select sum(bytes) from deliveries) as sum,
      (select count(*) from deliveries) as n, (select received_at from deliveries) as at from settings`
    expect((await query.execute(store.db)).rows).toEqual([
      { updated_at: most, given: most, sum: most, n: 1, at: most },
    ])
    const { headers } = await store.db.selectFrom('deliveries').select('headers').executeTakeFirstOrThrow()
    expect(Object.getPrototypeOf(headers)).toBe(Uint8Array.prototype)
  })

  it('stores text with U+0000, which PostgreSQL has no room for, with a mark in its place', async () => {
    const { store } = await temp()
    const nul = { path: '/a\0b "quoted" \\ \ud800', dedupe_key: 'k\0' }
    expect(await store.append(entry('a', { delivery: nul }))).toEqual({ id: 'dlv_a', repeats: 0 })
    expect(await store.append(entry('b', { delivery: nul }))).toEqual({ id: 'dlv_a', repeats: 1 })
    const found = store.db.selectFrom('deliveries').select('path').where('dedupe_key', '=', 'k\0')
    expect(await found.execute()).toEqual([{ path: '/a\ufffdb "quoted" \\ \ufffd' }])
    expect(await store.atomic([], [setting(store, 'a\0'), found])).toMatchObject([[], [{}]])
  })

  it('loses one bad member of a large group, and no other', async () => {
    const { store } = await temp()
    const ends = await Promise.allSettled(
      range(500).map((n) => store.append(entry(n, n === 321 ? { step: { due_at: 1.5 } } : {}))),
    )
    expect(ends.flatMap((end, at) => (end.status === 'rejected' ? [at] : []))).toEqual([321])
    expect([await count(store, 'deliveries'), await count(store, 'steps')]).toEqual([499, 499])
  })

  it('counts repetitions of one group and of others in the same way', async () => {
    const { store } = await temp()
    const same = { delivery: { dedupe_key: 'same' } }
    const answers = await Promise.all([
      store.append(entry('a', same)),
      store.append(entry('b', same)),
      store.append(entry('other')),
      store.append(entry('c', same)),
    ])
    expect(answers).toEqual([
      { id: 'dlv_a', repeats: 0 },
      { id: 'dlv_a', repeats: 1 },
      { id: 'dlv_other', repeats: 0 },
      { id: 'dlv_a', repeats: 2 },
    ])
    expect(await store.append(entry('d', same))).toEqual({ id: 'dlv_a', repeats: 3 })
  })

  it('says nothing of rows in its errors', async () => {
    const { store } = await temp()
    await store.append(entry('a'))
    const secret = 'tel:+33639980001'
    const add = setting(store, secret)
    const errors = await Promise.all(
      [
        store.atomic([], [add, add]),
        store.atomic([], [raw(store, `select '${secret}'::bigint`)]),
        store.atomic([], [raw(store, `insert into settings values ('${secret}', null, 0)`)]),
        store.append(entry('b', { delivery: { path: secret }, step: { subject: 'dlv_a' } })),
        sql`select ${secret}::bigint`.execute(store.db),
      ].map((work) =>
        Promise.resolve(work).then(
          () => null,
          (error: unknown) => error,
        ),
      ),
    )
    expect(errors.filter(isUniqueViolation)).toHaveLength(2)
    for (const error of errors) {
      expect(error).toBeInstanceOf(Error)
      expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toMatch(/3363998/)
    }
    expect(String(errors[0])).toMatch(/settings_pkey/)
  })

  it('answers an atomic only when its commit is on the disk, however many share the wait', async () => {
    const { url, store } = await temp()
    const other = await besides(url)
    // The server's own writer would do it a moment later: many rounds, each looked at at once.
    for (const round of range(20)) {
      const ends = await Promise.all(
        range(40).map((n) =>
          store.atomic(
            [],
            [setting(store, `${round} ${n}`), raw(store, 'select pg_current_wal_insert_lsn()::text as at')],
          ),
        ),
      )
      const places = ends.map((end) => (end === 'lost' ? '' : String(end[1]?.[0]?.at)))
      const { rows } = await other.query(
        'select count(*)::int as behind from unnest($1::pg_lsn[]) as at where at > pg_current_wal_flush_lsn()',
        [places],
      )
      expect(rows).toEqual([{ behind: 0 }])
    }
  })

  it('waits for the disk where the database does not, and leaves stricter settings alone', async () => {
    const url = await empty()
    const other = await besides(url)
    const name = new URL(url).pathname.slice(1)
    for (const [given, seen] of [
      ['off', 'on'],
      ['remote_apply', 'remote_apply'],
    ]) {
      await other.query(`alter database ${name} set synchronous_commit = ${given}`)
      const store = await open(url)
      expect(await store.atomic([], [raw(store, 'show synchronous_commit')])).toEqual([
        [{ synchronous_commit: seen }],
      ])
      await store.close()
    }
  })
})

describe('locks of the PostgreSQL database', () => {
  it('judge a lease when the row is theirs, not when they began to wait for it', async () => {
    const { url, store } = await temp()
    const until = (await store.now()) + 400
    await store.atomic(
      [],
      [
        store.db
          .insertInto('steps')
          .values(step('a', { state: 'working', lease: 'mine', lease_until: until })),
      ],
    )
    const other = await besides(url)
    await other.query('begin; select 1 from steps for update')
    const late = store.atomic([{ step: 'stp_a', lease: 'mine' }], [setting(store, 'late')])
    await other.query('select pg_sleep(0.5)')
    await other.query('rollback')
    expect(await late).toBe('lost')
    expect(await count(store, 'settings')).toBe(0)
  })

  it('that two atomics hold the other way round end well for both', async () => {
    const { url, store } = await temp()
    await store.atomic([], [setting(store, 'a'), setting(store, 'b')])
    const second = await open(url)
    const both = (on: PostgresStore, ...names: string[]) =>
      on.atomic(
        [],
        names.flatMap((name) => [
          raw(on, `update settings set updated_at = updated_at + 1 where name = '${name}'`),
          raw(on, 'select pg_sleep(0.3)'),
        ]),
      )
    await Promise.all([both(store, 'a', 'b'), both(second, 'b', 'a')])
    const rows = await store.db.selectFrom('settings').select('updated_at').execute()
    expect(rows).toEqual([{ updated_at: NOW + 2 }, { updated_at: NOW + 2 }])
  })

  it('are not what two groups with the same deliveries wait for each other over', async () => {
    const { url, store } = await temp()
    const second = await open(url)
    const names = range(300)
    const answers = await Promise.all([
      ...names.map((n) => store.append(entry(`a${n}`, { delivery: { dedupe_key: `k${n}` } }))),
      ...names.toReversed().map((n) => second.append(entry(`b${n}`, { delivery: { dedupe_key: `k${n}` } }))),
    ])
    expect(answers.filter(({ repeats }) => repeats === 0)).toHaveLength(300)
    expect(await count(store, 'deliveries')).toBe(300)
    const { rows } = await (await besides(url)).query(
      'select deadlocks::int from pg_stat_database where datname = current_database()',
    )
    expect(rows).toEqual([{ deadlocks: 0 }])
  })

  it('are taken oldest first through the index of what is due, however many wait', async () => {
    const { url, store } = await temp()
    const other = await besides(url)
    const columns = Object.keys(step('x')).join(', ')
    // One lane with a thousand due and many to come, as after a day of trouble; and steps that are done.
    await other.query(
      `insert into steps (${columns}) select 'stp_' || n, 'write', 'lane' || n % 5, 'call_' || n, 'call_' || n, 'c', 1,
         null, null, case when n % 2 = 0 then 'waiting' else 'done' end,
         ${NOW} + case when n < 5000 then -n else n * 1000 end, 0, 0, null, null, null, null, null, ${NOW}, ${NOW}, 0
       from generate_series(1, 100000) as n`,
    )
    await other.query(
      `update steps set state = 'working', lease = 'gone', lease_until = ${NOW} where id in ('stp_7', 'stp_9')`,
    )
    await other.query('analyze')
    const plans = async (query: Query) => {
      const { sql: text, parameters } = query.compile()
      const told = parameters
        .map((value) => (typeof value === 'string' ? `'${value}'` : String(value)))
        .join()
      await other.query(`prepare it as ${text}`)
      const found: string[] = []
      // As it is planned for these values, and as a prepared statement is planned for all.
      for (const mode of ['force_custom_plan', 'force_generic_plan']) {
        await other.query(`set plan_cache_mode = ${mode}`)
        const { rows } = await other.query(`explain (format text) execute it (${told})`)
        found.push(rows.map((row) => String(row['QUERY PLAN'])).join('\n'))
      }
      await other.query('deallocate it')
      return found
    }
    for (const plan of await plans(claimQuery(store, { lane: 'lane2', room: 20, lease: 'x', leaseMs: 1 }))) {
      expect(plan).toMatch(/Index Scan using steps_due/)
      expect(plan).toMatch(/Index Cond: .*lane = .*due_at <=/)
      expect(plan).toMatch(/Index Scan using steps_pkey/)
      expect(plan).not.toMatch(/Seq Scan|Sort/)
    }
    for (const plan of await plans(expireQuery(store, 20))) {
      expect(plan).toMatch(/Index Scan using steps_held/)
      expect(plan).not.toMatch(/Seq Scan|Sort/)
    }
    const query = claimQuery(store, { lane: 'lane2', room: 3, lease: 'x', leaseMs: 1 })
    const [rows] = (await store.atomic([], [query])) as Record<string, unknown>[][]
    expect(rows?.map((row) => row.id).sort()).toEqual(['stp_4972', 'stp_4982', 'stp_4992'])
  })
})
