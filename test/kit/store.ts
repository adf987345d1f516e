import { type RawBuilder, sql } from 'kysely'
import { afterEach, describe, expect, it } from 'vitest'
import { claimQuery, expireQuery, renewQuery } from '../../src/store/claim.ts'
import { isUniqueViolation, type Query, type Rows, type Store } from '../../src/store/port.ts'
import type { StepRow } from '../../src/store/schema.ts'
import { interleave } from './interleave.ts'
import { call, entry, NOW, step } from './rows.ts'

/** What every driver of the store must do, against its real database. */

export interface StoreKitOptions {
  clock?: () => number
  maxWaiting?: number
}

export interface OpenedStore {
  /** Migrated and empty. */
  store: Store
  /** Closes it and opens the same database again. */
  reopen(): Promise<Store>
  /** Closes whatever is open and removes the database. */
  drop(): Promise<void>
  /** Where the driver can tell: commits so far. */
  commits?(): number
}

export async function count(store: Store, table: 'deliveries' | 'steps' | 'settings' | 'attempts' | 'calls') {
  const row = await store.db
    .selectFrom(table)
    .select((is) => is.fn.countAll<number>().as('n'))
    .executeTakeFirstOrThrow()
  return Number(row.n)
}

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

export function storeKit(
  name: string,
  open: (options: StoreKitOptions) => Promise<OpenedStore>,
  size: { interleavings?: number } = {},
): void {
  const opened: OpenedStore[] = []
  let time = NOW
  const clock = () => time

  async function fresh(options: StoreKitOptions = { clock }): Promise<OpenedStore> {
    time = NOW
    const made = await open(options)
    opened.push(made)
    return made
  }
  afterEach(async () => {
    for (const one of opened.splice(0)) await one.drop()
  })

  const setting = (store: Store, key: string): Query =>
    store.db.insertInto('settings').values({ name: key, value: 'x', updated_at: NOW })
  const addSteps = (store: Store, rows: StepRow[]) => {
    const inserts = rows.map((row) => store.db.insertInto('steps').values(row))
    return store.atomic([], inserts)
  }
  const claim = async (store: Store, lane: string, room: number, lease: string, leaseMs = 1_000) => {
    const answer = await store.atomic([], [claimQuery(store, { lane, room, lease, leaseMs })])
    return answer === 'lost' ? [] : (answer[0] ?? []).map((row) => String(row.id))
  }

  describe(`${name}: appending`, () => {
    it('keeps what it acknowledged over a restart, byte for byte', async () => {
      const { store, reopen } = await fresh()
      const every = Uint8Array.from(range(256))
      const sent = entry('a', { delivery: { body: every, headers: every.subarray(10, 20) } })
      expect(await store.append(sent)).toEqual({ id: 'dlv_a', repeats: 0 })
      await store.append(entry('empty', { delivery: { body: new Uint8Array(0) } }))
      await store.append(entry('elsewhere', { delivery: { body: null, media_id: 'm1' } }))
      const again = await reopen()
      const rows = await again.db.selectFrom('deliveries').selectAll().orderBy('id').execute()
      expect(
        rows.map((row) => ({ ...row, headers: [...row.headers], body: row.body && [...row.body] })),
      ).toEqual(
        [sent, entry('elsewhere', { delivery: { body: null, media_id: 'm1' } }), entry('empty')].map(
          ({ delivery }) => ({
            ...delivery,
            headers: [...delivery.headers],
            body: delivery.id === 'dlv_empty' ? [] : delivery.body && [...delivery.body],
            ...(delivery.id === 'dlv_empty' ? { bytes: expect.any(Number) } : {}),
          }),
        ),
      )
      expect(await again.db.selectFrom('steps').selectAll().where('id', '=', 'stp_a').execute()).toEqual([
        sent.step,
      ])
    })

    it('can be read as soon as it is acknowledged', async () => {
      const { store } = await fresh()
      await Promise.all(
        range(200).map(async (n) => {
          await store.append(entry(n))
          const found = await store.db.selectFrom('steps').select('id').where('id', '=', `stp_${n}`).execute()
          expect(found).toHaveLength(1)
        }),
      )
    })

    it('shares commits between those that arrive together', async () => {
      const { store, commits } = await fresh()
      const before = commits?.() ?? 0
      await Promise.all(range(2_000).map((n) => store.append(entry(n))))
      expect(await count(store, 'deliveries')).toBe(2_000)
      if (commits !== undefined) expect(commits() - before).toBeLessThan(200)
    })

    it('lets a bad member fail alone, with nothing of it stored', async () => {
      const { store } = await fresh()
      await store.append(entry('first'))
      const ends = await Promise.allSettled([
        ...range(40).map((n) => store.append(entry(n))),
        // The key of its step exists, and the key of its row.
        store.append(entry('bad1', { step: { subject: 'dlv_first' } })),
        store.append(entry('bad2', { delivery: { id: 'dlv_first' } })),
        store.atomic([], [setting(store, 'kept')]),
        store.atomic([], [setting(store, 'never'), store.db.insertInto('steps').values(step('first'))]),
        store.atomic([], [setting(store, 'neither'), raw(store, sql`select nothing from nowhere`)]),
        ...range(40).map((n) => store.append(entry(`more${n}`))),
      ])
      const failed = ends.filter((end) => end.status === 'rejected').map((end) => end.reason)
      expect(failed).toHaveLength(4)
      expect(failed.filter(isUniqueViolation)).toHaveLength(3)
      expect(await count(store, 'deliveries')).toBe(81)
      expect(await count(store, 'steps')).toBe(81)
      expect(await store.db.selectFrom('settings').select('name').execute()).toEqual([{ name: 'kept' }])
    })

    it('stores 10,000 repetitions, 32 at a time, as one delivery and one step', async () => {
      const { store } = await fresh()
      let left = 10_000
      const ids = new Set<string>()
      const repeats = new Set<number>()
      await Promise.all(
        range(32).map(async (worker) => {
          while (left > 0) {
            left -= 1
            const answer = await store.append(
              entry(`${worker}-${left}`, { delivery: { dedupe_key: 'same' } }),
            )
            ids.add(answer.id)
            repeats.add(answer.repeats)
          }
        }),
      )
      expect(ids.size).toBe(1)
      expect(repeats.size).toBe(10_000)
      expect(await count(store, 'steps')).toBe(1)
      expect(await store.db.selectFrom('deliveries').select(['id', 'repeats']).execute()).toEqual([
        { id: [...ids][0], repeats: 9_999 },
      ])
    })

    it('tells connections apart', async () => {
      const { store } = await fresh()
      await store.append(entry('a', { delivery: { dedupe_key: 'same' } }))
      const other = entry('b', { delivery: { dedupe_key: 'same', connection: 'support-lyon' } })
      expect(await store.append(other)).toEqual({ id: 'dlv_b', repeats: 0 })
    })

    it('refuses at once when too many wait, and stores the others', async () => {
      const { store } = await fresh({ clock, maxWaiting: 10 })
      const ends = await Promise.allSettled(range(100).map((n) => store.append(entry(n))))
      const refused = ends.filter((end) => end.status === 'rejected')
      expect(refused.length).toBeGreaterThan(0)
      for (const { reason } of refused) expect(reason).toMatchObject({ code: 'overloaded', retry: 'later' })
      expect(await count(store, 'deliveries')).toBe(100 - refused.length)
      await store.append(entry('later'))
    })

    it('finishes what was accepted before it closes, and then accepts nothing', async () => {
      const { store, reopen } = await fresh()
      const accepted = range(100).map((n) => store.append(entry(n)))
      const again = reopen()
      await expect(store.append(entry('late'))).rejects.toMatchObject({ code: 'storage_unavailable' })
      await Promise.all(accepted)
      expect(await count(await again, 'deliveries')).toBe(100)
    })
  })

  describe(`${name}: atomic`, () => {
    it('answers the rows of each query in order', async () => {
      const { store } = await fresh()
      const answer = await store.atomic(
        [],
        [
          setting(store, 'a'),
          store.db.insertInto('settings').values({ name: 'b', value: 'y', updated_at: 5 }).returningAll(),
          store.db.selectFrom('settings').select('name').orderBy('name'),
          store.db.updateTable('settings').set({ value: 'z' }).where('name', '=', 'nobody').returning('name'),
        ],
      )
      expect(answer).toEqual([
        [],
        [{ name: 'b', value: 'y', updated_at: 5 }],
        [{ name: 'a' }, { name: 'b' }],
        [],
      ])
      expect(await store.atomic([], [])).toEqual([])
    })

    it.each([
      ['the lease is another one', { lease: 'mine' }, 'other'],
      ['the step is no longer held', { state: 'waiting' }, 'mine'],
      ['the lease has run out', { lease_until: NOW }, 'mine'],
      ['the step is gone', { id: 'stp_elsewhere' }, 'mine'],
    ])('persists nothing when %s', async (_why, change, lease) => {
      const { store } = await fresh()
      const held = step('a', { state: 'working', lease: 'mine', lease_until: NOW + 1_000, ...change })
      await addSteps(store, [held])
      const done = store.db.updateTable('steps').set({ state: 'done' })
      expect(await store.atomic([{ step: 'stp_a', lease }], [setting(store, 'a'), done])).toBe('lost')
      expect(await count(store, 'settings')).toBe(0)
      expect(await store.db.selectFrom('steps').selectAll().execute()).toEqual([held])
    })

    it('judges a lease by the clock of the store, also within one batch', async () => {
      const { store } = await fresh()
      await addSteps(store, [step('a', { state: 'working', lease: 'mine', lease_until: NOW + 1_000 })])
      time = NOW + 999
      expect(await store.atomic([{ step: 'stp_a', lease: 'mine' }], [setting(store, 'in time')])).toEqual([
        [],
      ])
      time = NOW + 1_000
      expect(await store.atomic([{ step: 'stp_a', lease: 'mine' }], [setting(store, 'too late')])).toBe(
        'lost',
      )
      expect(await store.now()).toBe(NOW + 1_000)
      const read = await store.db.selectNoFrom(store.clock.as('now')).executeTakeFirstOrThrow()
      expect(Number(read.now)).toBe(NOW + 1_000)
    })

    it('guards a call by its version, and one that must not exist yet by version 0', async () => {
      const { store } = await fresh()
      const save = (version: number) =>
        store.atomic(
          [{ call: 'call_a', version }],
          [
            store.db
              .insertInto('calls')
              .values(call('a', { version: version + 1 }))
              .onConflict((on) => on.column('id').doUpdateSet({ version: version + 1 })),
          ],
        )
      expect(await save(1)).toBe('lost')
      // Eight at once: one makes it, the others must fold again.
      const first = await Promise.all(range(8).map(() => save(0)))
      expect(first.filter((end) => end !== 'lost')).toHaveLength(1)
      expect(await save(0)).toBe('lost')
      const next = await Promise.all(range(8).map(() => save(1)))
      expect(next.filter((end) => end !== 'lost')).toHaveLength(1)
      expect(await store.db.selectFrom('calls').select('version').execute()).toEqual([{ version: 2 }])
    })

    it('needs all guards to hold', async () => {
      const { store } = await fresh()
      await addSteps(store, [step('a', { state: 'working', lease: 'mine', lease_until: NOW + 1_000 })])
      const guards = [
        { step: 'stp_a', lease: 'mine' },
        { call: 'call_a', version: 3 },
      ]
      expect(await store.atomic(guards, [setting(store, 'a')])).toBe('lost')
      const [row] = await store.db.selectFrom('steps').select('fence').execute()
      expect(row).toEqual({ fence: 0 })
    })

    it.each([
      ['a Date', new Date(NOW)],
      ['undefined', undefined],
      ['a boolean', true],
      ['NaN', Number.NaN],
      ['an object', { a: 1 }],
    ])('refuses %s as a parameter, for reading as for writing', async (_what, value) => {
      const { store } = await fresh()
      const query = sql`update settings set updated_at = 1 where name = ${value}`
      await expect(store.atomic([], [raw(store, query)])).rejects.toThrow(/parameter 1 is/i)
      await expect(sql`select ${value} as it`.execute(store.db)).rejects.toThrow(/parameter 1 is/i)
      const bad = { step: { due_at: value } }
      await expect(store.append(entry('a', bad))).rejects.toThrow(/due_at/)
      expect(await count(store, 'deliveries')).toBe(0)
    })
  })

  describe(`${name}: claiming`, () => {
    it('takes what is due of the lane, oldest first, as much as there is room for', async () => {
      const { store } = await fresh()
      await addSteps(store, [
        ...range(5).map((n) => step(n, { due_at: NOW - n })),
        step('future', { due_at: NOW + 1 }),
        step('other', { lane: 'hubspot' }),
        step('parked', { state: 'parked' }),
      ])
      expect((await claim(store, 'core', 2, 'L1')).sort()).toEqual(['stp_3', 'stp_4'])
      expect((await claim(store, 'core', 9, 'L2')).sort()).toEqual(['stp_0', 'stp_1', 'stp_2'])
      expect(await claim(store, 'core', 9, 'L3')).toEqual([])
      time = NOW + 1
      expect(await claim(store, 'core', 9, 'L4', 500)).toEqual(['stp_future'])
      const held = await store.db.selectFrom('steps').selectAll().where('lease', '=', 'L4').execute()
      expect(held).toMatchObject([{ state: 'working', lease_until: NOW + 501, updated_at: NOW + 1 }])
    })

    it('gives each step to one of eight claimers', async () => {
      const { store } = await fresh()
      await addSteps(
        store,
        range(1_000).map((n) => step(n)),
      )
      const taken: string[] = []
      await Promise.all(
        range(8).map(async (worker) => {
          for (;;) {
            const ids = await claim(store, 'core', 7, `lease ${worker}`)
            if (ids.length === 0) return
            taken.push(...ids)
          }
        }),
      )
      expect(taken).toHaveLength(1_000)
      expect(new Set(taken).size).toBe(1_000)
    })

    it('gives the share that is asked for: steps that stream recordings, or all others', async () => {
      const { store } = await fresh()
      const kinds = ['poll', 'submit', 'write', 'submit', 'match']
      await addSteps(
        store,
        kinds.map((kind, n) => step(n, { kind, lane: 'xosum', due_at: NOW - 10 + n })),
      )
      const take = async (share: 'recordings' | 'others' | undefined, room: number) => {
        const query = claimQuery(store, { lane: 'xosum', room, lease: 'mine', leaseMs: 500, share })
        const result = await store.atomic([], [query])
        return (result as Rows).flat().map(({ kind }) => kind)
      }
      expect(await take('recordings', 1)).toEqual(['submit'])
      expect((await take('others', 2)).sort()).toEqual(['poll', 'write'])
      expect((await take(undefined, 9)).sort()).toEqual(['match', 'submit'])
      expect(await take('recordings', 9)).toEqual([])
    })

    it('renews a lease that holds and no other', async () => {
      const { store } = await fresh()
      await addSteps(store, [step('a')])
      await claim(store, 'core', 1, 'mine', 1_000)
      const renew = (lease: string) =>
        store.atomic([], [renewQuery(store, { step: 'stp_a', lease, leaseMs: 1_000 })])
      time = NOW + 900
      expect(await renew('mine')).toEqual([[{ id: 'stp_a', lease_until: NOW + 1_900 }]])
      expect(await renew('other')).toEqual([[]])
      time = NOW + 1_900
      expect(await renew('mine')).toEqual([[]])
      const freed = await store.atomic([], [expireQuery(store, 10)])
      expect(freed).toMatchObject([[{ id: 'stp_a', state: 'waiting', lease: null, crashes: 1 }]])
    })

    it('lets nobody commit without the lease, in any interleaving of two workers and the sweep', async () => {
      const { store } = await fresh()
      const seed = Math.floor(Math.random() * 2 ** 31)
      const outcome = await interleave(store, size.interleavings ?? 10_000, seed, (ms) => {
        time += ms
      })
      expect(outcome.wrong, `seed ${seed}`).toEqual([])
      expect(await count(store, 'attempts')).toBe(outcome.commits)
      // Not a test of nothing: some commit, and some come back with a lease that they once had.
      expect(outcome.commits).toBeGreaterThan(0)
      expect(outcome.zombies).toBeGreaterThan(0)
    }, 120_000)
  })

  describe(`${name}: upkeep`, () => {
    it('migrates once, however often and from however many it is asked', async () => {
      const { store } = await fresh()
      expect(await Promise.all([store.migrate(), store.migrate()])).toEqual([[], []])
      const ran = await store.db.selectFrom('migrations').select('name').execute()
      expect(ran.map((row) => row.name)).toContain('0001-first')
    })

    it('can be checked', async () => {
      const { store } = await fresh()
      await store.check()
      await store.check()
    })
  })
}

/** A query written as text. */
function raw(store: Store, query: RawBuilder<unknown>): Query {
  return { compile: () => query.compile(store.db) }
}
