import { applyD1Migrations, reset } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { sql } from 'kysely'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { ERRORS, type ErrorCode } from '../../src/errors.ts'
import { claimQuery, expireQuery } from '../../src/store/claim.ts'
import { type D1Options, type D1Store, openD1Store } from '../../src/store/d1.ts'
import { MIGRATIONS } from '../../src/store/migrations.ts'
import { isUniqueViolation, type Query } from '../../src/store/port.ts'
import { entry, NOW, step } from '../kit/rows.ts'
import { count, storeKit } from '../kit/store.ts'

async function openTemp(options: Omit<D1Options, 'database'> = {}) {
  let store = openD1Store({ database: env.DB, ...options })
  await store.migrate()
  return {
    store,
    commits: () => store.stats().requests,
    async reopen(): Promise<D1Store> {
      await store.close()
      store = openD1Store({ database: env.DB, ...options })
      return store
    },
    async drop() {
      await store.close()
      await reset()
    },
  }
}

// A batch takes workerd some five ms: a hundred steps are a thousand of them.
storeKit('D1', openTemp, { interleavings: 100 })

const range = (n: number): number[] => Array.from({ length: n }, (_, at) => at)
const raw = (store: D1Store, text: string): Query => ({ compile: () => sql.raw(text).compile(store.db) })
const setting = (store: D1Store, name: string): Query =>
  store.db.insertInto('settings').values({ name, value: 'x', updated_at: NOW })
const caught = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => null,
    (error: unknown) => error,
  )

describe('the D1 database', () => {
  afterEach(() => reset())
  const temp = async (options: Omit<D1Options, 'database'> = {}) => (await openTemp(options)).store

  it('takes a hundred parameters in a statement, and one more is refused before it is sent', async () => {
    const store = await temp()
    const read = (parameters: number) =>
      store.db.selectFrom('settings').select('name').where('name', 'in', range(parameters).map(String))
    expect(await read(100).execute()).toEqual([])
    const before = store.stats().requests
    for (const refused of [read(101).execute(), store.atomic([], [setting(store, 'a'), read(101)])]) {
      await expect(refused).rejects.toMatchObject({ code: 'internal', retry: 'never' })
      await expect(refused).rejects.toThrow(/101 parameters, D1 takes 100/)
    }
    expect(store.stats().requests).toBe(before)
  })

  it('gives integers back as they were stored, up to 2^53, and refuses a bigint beyond', async () => {
    const store = await temp()
    const most = Number.MAX_SAFE_INTEGER
    await store.append(entry('a', { delivery: { received_at: most, bytes: BigInt(most) } }))
    await store.append(entry('b', { delivery: { received_at: -most, bytes: BigInt(-most) } }))
    const rows = await store.db
      .selectFrom('deliveries')
      .select(['received_at', 'bytes'])
      .orderBy('id')
      .execute()
    expect(rows).toEqual([
      { received_at: most, bytes: most },
      { received_at: -most, bytes: -most },
    ])
    for (const beyond of [2n ** 53n, -(2n ** 53n)]) {
      const bad = entry('c', { delivery: { bytes: beyond } })
      await expect(store.append(bad)).rejects.toThrow(/2\^53.*as text/)
      await expect(sql`select ${beyond} as it`.execute(store.db)).rejects.toThrow(/2\^53/)
    }
    expect(await count(store, 'deliveries')).toBe(2)
  })

  it('gives bytes as plain bytes, read or returned, and none as none', async () => {
    const store = await temp()
    const sealed = Uint8Array.from([0, 1, 255]).subarray(1)
    const row = { connection: 'c', version: 1, sealed, issued_at: null, expires_at: null, lease: null }
    const insert = store.db
      .insertInto('tokens')
      .values([
        { ...row, name: 'a', lease_until: null, failed_at: null, failure: null },
        { ...row, name: 'b', lease_until: null, failed_at: null, failure: null, sealed: new Uint8Array(0) },
        { ...row, name: 'c', lease_until: null, failed_at: null, failure: null, sealed: null },
      ])
      .returning('sealed')
    const read = store.db.selectFrom('tokens').select('sealed').orderBy('name')
    const answer = await store.atomic([], [insert, read])
    const wanted = [{ sealed: Uint8Array.of(1, 255) }, { sealed: new Uint8Array(0) }, { sealed: null }]
    expect(answer).toEqual([wanted, wanted])
    expect(await read.execute()).toEqual(wanted)
  })

  it('tells a guard that no longer holds from a constraint of the batch', async () => {
    const store = await temp({ clock: () => NOW })
    const held = step('a', { state: 'working', lease: 'mine', lease_until: NOW + 1 })
    await store.atomic([], [store.db.insertInto('steps').values(held)])
    const guard = { step: 'stp_a', lease: 'mine' }
    const without = raw(store, `insert into settings (name, value, updated_at) values ('a', null, 1)`)
    await expect(store.atomic([guard], [without])).rejects.toMatchObject({ code: 'internal' })
    expect(
      isUniqueViolation(await caught(store.atomic([guard], [store.db.insertInto('steps').values(held)]))),
    ).toBe(true)
    expect(await store.atomic([{ ...guard, lease: 'other' }], [without])).toBe('lost')
    // Nobody's guard: a mistake in the batch.
    const fence = raw(store, `update steps set fence = null`)
    await expect(store.atomic([], [fence])).rejects.toThrow(/steps\.fence/)
    expect(await store.db.selectFrom('steps').selectAll().execute()).toEqual([held])
  })

  it('loses one bad member of a large group, and no other', async () => {
    const store = await temp()
    const ends = await Promise.allSettled(
      range(120).map((n) => store.append(entry(n, n === 77 ? { step: { due_at: 1.5 } } : {}))),
    )
    expect(ends.flatMap((end, at) => (end.status === 'rejected' ? [at] : []))).toEqual([77])
    expect([await count(store, 'deliveries'), await count(store, 'steps')]).toEqual([119, 119])
  })

  it('counts repetitions of one group and of others in the same way', async () => {
    const store = await temp()
    const same = { delivery: { dedupe_key: 'same' } }
    const names = ['a', 'b', 'other', 'c']
    const answers = await Promise.all(
      names.map((name) => store.append(entry(name, name === 'other' ? {} : same))),
    )
    expect(answers).toEqual([
      { id: 'dlv_a', repeats: 0 },
      { id: 'dlv_a', repeats: 1 },
      { id: 'dlv_other', repeats: 0 },
      { id: 'dlv_a', repeats: 2 },
    ])
    expect(await store.append(entry('d', same))).toEqual({ id: 'dlv_a', repeats: 3 })
    expect(await count(store, 'steps')).toBe(2)
  })

  it.each([
    ['appends', (store: D1Store, n: number) => store.append(entry(n))],
    ['batches', (store: D1Store, n: number) => store.atomic([], [setting(store, `${n}`)])],
  ])('is closed when all %s that were accepted are stored', async (_what, write) => {
    const store = await temp()
    const works = range(200).map((n) => write(store, n))
    await store.close()
    const stored = 'select (select count(*) from deliveries) + (select count(*) from settings) as n'
    expect(await env.DB.prepare(stored).first('n')).toBe(200)
    expect(await Promise.all(works)).toHaveLength(200)
    await expect(write(store, 200)).rejects.toMatchObject({ code: 'storage_unavailable' })
  })

  it('tells the time itself, in whole milliseconds', async () => {
    const store = await temp()
    const before = Date.now()
    const now = await store.now()
    expect(Number.isInteger(now)).toBe(true)
    // workerd stops its own clock while it computes.
    expect(Math.abs(now - before)).toBeLessThan(5_000)
    await store.atomic([], [store.db.insertInto('steps').values(step('a', { due_at: now }))])
    const claim = claimQuery(store, { lane: 'core', room: 1, lease: 'mine', leaseMs: 60_000 })
    const [[held] = []] = (await store.atomic([], [claim])) as Record<string, unknown>[][]
    expect(Number(held?.lease_until) - Number(held?.updated_at)).toBe(60_000)
    expect(await store.atomic([{ step: 'stp_a', lease: 'mine' }], [setting(store, 'a')])).toEqual([[]])
  })

  it('finds what is due, and what has run out, by their indexes', async () => {
    const store = await temp()
    const claim = claimQuery(store, { lane: 'core', room: 20, lease: 'x', leaseMs: 1 })
    for (const [query, index] of [
      [claim, /USING INDEX steps_due \(lane=\? AND due_at<\?\)/],
      [expireQuery(store, 20), /USING INDEX steps_held \(lease_until<\?\)/],
    ] as const) {
      const { sql: text, parameters } = query.compile()
      const { results } = await env.DB.prepare(`explain query plan ${text}`)
        .bind(...parameters)
        .all<{ detail: string }>()
      const plan = results.map(({ detail }) => detail).join('\n')
      expect(plan).toMatch(index)
      expect(plan).not.toMatch(/SCAN|TEMP B-TREE/)
    }
  })

  it('is only read through db', async () => {
    const store = await temp()
    const write = store.db.insertInto('settings').values({ name: 'a', value: 'b', updated_at: 1 })
    await expect(write.execute()).rejects.toThrow(/read-only/)
    await expect(sql`delete from settings`.execute(store.db)).rejects.toThrow(/read-only/)
    await expect(store.db.transaction().execute(async () => 1)).rejects.toThrow(/atomic/)
    expect(
      await store.db
        .with('one', (db) => db.selectFrom('settings').select('name'))
        .selectFrom('one')
        .selectAll()
        .execute(),
    ).toEqual([])
  })

  it('says nothing of rows in its errors', async () => {
    const store = await temp()
    await store.append(entry('a'))
    const secret = 'tel:+33639980001'
    const add = setting(store, secret)
    const errors = await Promise.all(
      [
        store.atomic([], [add, add]),
        store.atomic(
          [],
          [store.db.insertInto('settings').values({ name: secret, value: null as never, updated_at: 0 })],
        ),
        store.atomic(
          [],
          [store.db.insertInto('settings').values({ name: 'b', value: '', updated_at: secret as never })],
        ),
        store.append(entry('b', { delivery: { path: secret }, step: { subject: 'dlv_a' } })),
        sql`select json_extract(${secret}, '$')`.execute(store.db),
      ].map(caught),
    )
    expect(errors.filter(isUniqueViolation)).toHaveLength(2)
    for (const error of errors) {
      expect(error).toBeInstanceOf(Error)
      expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toMatch(/3363998/)
    }
    expect(String(errors[0])).toMatch(/settings\.name/)
  })

  it('refuses requests at once when too many wait for their turn, and carries out the others', async () => {
    const store = await temp({ maxWaiting: 10 })
    const ends = await Promise.allSettled(range(100).map((n) => store.atomic([], [setting(store, `${n}`)])))
    const refused = ends.filter((end) => end.status === 'rejected')
    expect(refused.length).toBeGreaterThan(0)
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'overloaded', retry: 'later' })
    expect(await count(store, 'settings')).toBe(100 - refused.length)
  })
})

describe('a D1 that fails', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  /** Its outages cannot be made here: one that answers everything in this way, in the words of Cloudflare's list of D1's errors. */
  function broken(answer: () => Promise<never>): D1Store {
    const statement = { bind: () => statement, all: answer } as unknown as D1PreparedStatement
    return openD1Store({ database: { prepare: () => statement, batch: answer } as unknown as D1Database })
  }

  it.each([
    ['D1_ERROR: D1 DB is overloaded. Requests queued for too long.', 'overloaded'],
    ['D1_ERROR: Too many API requests by single Worker invocation.', 'overloaded'],
    ['D1_ERROR: Network connection lost.', 'storage_unavailable'],
    ['D1_ERROR: Exceeded maximum DB size', 'storage_unavailable'],
    ['D1_ERROR: database or disk is full: SQLITE_FULL', 'storage_unavailable'],
    [
      'D1_ERROR: D1 DB storage operation exceeded timeout which caused object to be reset.',
      'storage_unavailable',
    ],
  ] satisfies Array<[string, ErrorCode]>)('with %j has what comes sent again later', async (says, code) => {
    const store = broken(() => Promise.reject(new Error(says)))
    const works = [
      ...range(120).map((n) => store.append(entry(n))),
      store.atomic([{ step: 'stp_a', lease: 'mine' }], [setting(store, 'a')]),
      store.db.selectFrom('settings').selectAll().execute(),
      store.check(),
      store.now(),
    ]
    for (const error of await Promise.all(works.map(caught))) {
      expect(error).toMatchObject({ code, retry: 'later', why: says.replace('D1_ERROR: ', '') })
    }
    expect(ERRORS[code].status).toBe(503)
    // The first group learnt it for all that waited.
    expect(store.stats()).toMatchObject({ requests: 5, waiting: 0, waitingBytes: 0 })
  })

  it('by saying nothing is not waited for until the sender hangs up', async () => {
    vi.useFakeTimers()
    const store = broken(() => new Promise(() => undefined))
    const ends = Promise.all([
      ...range(120).map((n) => caught(store.append(entry(n)))),
      caught(store.check()),
    ])
    await vi.advanceTimersByTimeAsync(4_000)
    for (const error of await ends) expect(error).toMatchObject({ code: 'storage_unavailable' })
    expect(store.stats()).toMatchObject({ requests: 2, waiting: 0 })
  })
})

describe('the migrations of D1', () => {
  afterEach(() => reset())

  const schema = async () => {
    const { results } = await env.DB.prepare(
      `select type, name, tbl_name, sql from sqlite_master where name not like '\\_cf\\_%' escape '\\' and name <> 'd1_migrations'
       and name not like 'sqlite\\_%' escape '\\' order by name`,
    ).all()
    return results
  }

  it('as files make what the store makes by itself, and say that they have run', async () => {
    await applyD1Migrations(env.DB, env.D1_MIGRATIONS)
    const store = openD1Store({ database: env.DB })
    const byFiles = await schema()
    expect(byFiles.length).toBeGreaterThan(40)
    expect(await store.pending()).toEqual([])
    expect(await store.migrate()).toEqual([])
    const ran = await store.db.selectFrom('migrations').selectAll().orderBy('name').execute()
    expect(ran.map(({ name }) => name)).toEqual(MIGRATIONS.map(({ name }) => name))
    for (const { at } of ran) expect(Math.abs(at - Date.now())).toBeLessThan(60_000)

    await reset()
    expect(await store.migrate()).toEqual(MIGRATIONS.map(({ name }) => name))
    expect(await schema()).toEqual(byFiles)
  })

  it('are run once by two stores that start at once, and are missed until then', async () => {
    const [one, other] = [openD1Store({ database: env.DB }), openD1Store({ database: env.DB })]
    const names = MIGRATIONS.map(({ name }) => name)
    expect(await one.pending()).toEqual(names)
    const runs = await Promise.all([one.migrate(), other.migrate()])
    expect(runs.flat().sort()).toEqual(names)
    expect(await other.pending()).toEqual([])
  })

  it('touch nothing when they have run by other means', async () => {
    const { store } = await openTemp()
    await store.append(entry('a'))
    await expect(applyD1Migrations(env.DB, env.D1_MIGRATIONS)).rejects.toThrow(/migrations\.name/)
    expect(await count(store, 'deliveries')).toBe(1)
  })
})
