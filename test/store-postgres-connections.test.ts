import { sql } from 'kysely'
import { afterEach, describe, expect, it } from 'vitest'
import { entry } from './kit/rows.ts'
import { count } from './kit/store.ts'
import { createTemps, raw, setting } from './kit/store-postgres.ts'

const { temp, empty, open, besides, drop } = createTemps()
afterEach(drop)

const range = (n: number): number[] => Array.from({ length: n }, (_, at) => at)
const unavailable = { code: 'storage_unavailable', retry: 'later' }

describe('connections to PostgreSQL', () => {
  const others = `select pid from pg_stat_activity where application_name = 'cordboard'
    and datname = current_database()`

  it('are named, bounded, and ended by close', async () => {
    const { url, store } = await temp({ maxConnections: 6 })
    const other = await besides(url)
    await Promise.all([
      ...range(300).map((n) => store.append(entry(n))),
      ...range(300).map((n) => store.atomic([], [setting(store, String(n))])),
      ...range(300).map(() => store.now()),
    ])
    const { rowCount } = await other.query(others)
    expect(rowCount).toBeGreaterThan(2)
    expect(rowCount).toBeLessThanOrEqual(6)
    await store.close()
    await expect(store.append(entry('late'))).rejects.toMatchObject(unavailable)
    await expect(store.atomic([], [])).rejects.toMatchObject(unavailable)
    await expect.poll(async () => (await other.query(others)).rowCount).toBe(0)
  })

  it('that are idle may be ended by the server: the next request makes others', async () => {
    const { url, store } = await temp()
    await Promise.all([store.append(entry('a')), store.check(), store.now()])
    const other = await besides(url)
    const { rowCount } = await other.query(`select pg_terminate_backend(pid) from (${others}) as them`)
    expect(rowCount).toBe(3)
    await expect
      .poll(() => Object.values(store.stats().connections).map(({ open }) => open))
      .toEqual([0, 0, 0])
    await Promise.all([store.append(entry('b')), store.check(), store.now()])
    expect(await count(store, 'deliveries')).toBe(2)
  })

  it('that are at work may be ended as well: whoever waits is told, the rest goes on', async () => {
    const { url, store } = await temp()
    const other = await besides(url)
    const busy = [
      store.atomic([], [setting(store, 'never'), raw(store, 'select pg_sleep(60)')]),
      sql`select pg_sleep(60)`.execute(store.db),
    ]
    const told = Promise.allSettled(busy)
    await expect
      .poll(async () => (await other.query(`${others} and wait_event = 'PgSleep'`)).rowCount)
      .toBe(2)
    await other.query(`select pg_terminate_backend(pid) from (${others} and wait_event = 'PgSleep') as them`)
    for (const end of await told) expect(end).toMatchObject({ status: 'rejected', reason: unavailable })
    await store.append(entry('a'))
    await store.check()
    expect(await store.db.selectFrom('settings').select('name').execute()).toEqual([{ name: 'store.check' }])
  })

  it('are kept when a statement takes too long', async () => {
    const { store } = await temp({ statementTimeoutMs: 100 })
    const slow = store.atomic([], [setting(store, 'never'), raw(store, 'select pg_sleep(60)')])
    await expect(slow).rejects.toMatchObject(unavailable)
    await expect(sql`select pg_sleep(60)`.execute(store.db)).rejects.toMatchObject(unavailable)
    await store.check()
    expect(await count(store, 'settings')).toBe(1)
    expect(store.stats().connections).toMatchObject({ work: { open: 1 }, read: { open: 1 } })
  })

  it('forget what they had prepared when a migration changes it under them', async () => {
    const { url, store } = await temp()
    const other = await besides(url)
    const add = (name: string) =>
      store.db.insertInto('settings').values({ name, value: 'x', updated_at: 1 }).returningAll()
    for (const n of range(20)) await store.atomic([], [add(`before ${n}`)])
    await store.db.selectFrom('settings').selectAll().execute()
    await other.query('alter table settings add column more text')
    expect(await store.atomic([], [add('after')])).toMatchObject([[{ name: 'after' }]])
    expect(
      await store.db.selectFrom('settings').selectAll().where('name', '=', 'after').execute(),
    ).toHaveLength(1)
    expect(await store.db.selectFrom('settings').selectAll().execute()).toHaveLength(21)
  })

  it('with a wrong password, or a URL that is none, are refused without a word of them', async () => {
    const url = await empty()
    const wrong = new URL(url)
    wrong.username = 'nobody_of_this_name'
    wrong.password = 'canary-password'
    for (const given of [wrong.href, 'postgres://someone:canary-password@db.example.com:port/calls']) {
      const store = await open(given)
      const work = [store.pending(), store.migrate(), store.append(entry('a')), store.check()]
      for (const end of await Promise.allSettled(work)) {
        expect(end).toMatchObject({ status: 'rejected', reason: unavailable })
        const { reason } = end as PromiseRejectedResult
        expect(JSON.stringify(reason, Object.getOwnPropertyNames(reason))).not.toMatch(/canary/)
      }
    }
    const store = await open(wrong.href)
    await expect(store.pending()).rejects.toMatchObject({ fix: expect.stringMatching(/DATABASE_URL/) })
  })
})
