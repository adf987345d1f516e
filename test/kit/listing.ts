import { afterEach, describe, expect, it } from 'vitest'
import type { CallEvent } from '../../src/call/facts.ts'
import type { Connection, Keep } from '../../src/config/model.ts'
import type { Connector } from '../../src/connector/contract.ts'
import { createWebSigner } from '../../src/connector/web-signer.ts'
import type { Deps } from '../../src/pipeline/deps.ts'
import { eraseWhole } from '../../src/pipeline/erase-calls.ts'
import { createTaker } from '../../src/pipeline/listed.ts'
import { type Listing, listings, NOTHING, readListing, saveListing } from '../../src/pipeline/listing.ts'
import { countMissed, missedCalls } from '../../src/pipeline/missed.ts'
import { beginRegular, following } from '../../src/pipeline/regular.ts'
import { isLate } from '../../src/pipeline/replay.ts'
import { insertSteps, type Running } from '../../src/pipeline/step.ts'
import type { Store } from '../../src/store/port.ts'
import type { StepRow } from '../../src/store/schema.ts'
import { call, entry, NOW, step } from './rows.ts'
import type { OpenedStore } from './store.ts'

/** What reading a vendor's list of calls asks of a store, on the real one. What follows from it is told in scenarios. */
export function listingKit(name: string, open: () => Promise<OpenedStore>): void {
  const opened: OpenedStore[] = []
  afterEach(async () => {
    for (const one of opened.splice(0)) await one.drop()
  })
  const fresh = async (): Promise<Store> => {
    const made = await open()
    opened.push(made)
    return made.store
  }

  describe(`${name}: a vendor’s list of calls`, () => {
    it('stores what is new, one delivery for each call, and nothing the second time', async () => {
      const store = await fresh()
      const take = async () => {
        const taker = createTaker(running(store), listing(), false)
        await taker.take(ended(1).concat(ended(2), recorded(2)))
        return taker.end()
      }
      expect(await take()).toEqual({ listed: 2, new: 2, known: 0, events: 3 })
      expect(await told(store)).toEqual([['c1:ended'], ['c2:ended', 'c2:recorded']])
      await take()
      expect(await told(store)).toHaveLength(2)
    })

    it('takes a page of hundreds', async () => {
      const store = await fresh()
      const taker = createTaker(running(store), listing(), false)
      await taker.take(range(230).flatMap((n) => ended(n)))
      expect(await taker.end()).toMatchObject({ listed: 230, new: 230 })
      expect(await told(store)).toHaveLength(230)
    })

    it('leaves what a webhook told to its end, but for a recording; adds to what it left open', async () => {
      const store = await fresh()
      await known(store, 1, 'telephony', 'done')
      await known(store, 2, 'telephony', 'open')
      await known(store, 3, 'list', 'done')
      const taker = createTaker(running(store), listing(), false)
      const page = [1, 2, 3].flatMap((n) => [...ended(n), ...recorded(n)])
      await taker.take(page)
      expect(await taker.end()).toEqual({ listed: 3, new: 0, known: 3, events: 5 })
      expect(await told(store)).toEqual([
        ['c1:recorded'],
        ['c2:ended', 'c2:recorded'],
        ['c3:ended', 'c3:recorded'],
      ])
    })

    it('keeps a recording until its call is listed, and drops one of a call nobody knows', async () => {
      const store = await fresh()
      const taker = createTaker(running(store), listing(), false)
      await taker.take(recorded(1).concat(recorded(2)))
      expect(await told(store)).toEqual([])
      await taker.take(ended(2))
      expect(await taker.end()).toMatchObject({ listed: 1, new: 1, events: 2 })
      expect(await told(store)).toEqual([['c2:recorded', 'c2:ended']])
    })

    it('brings nothing back of a call that was erased because somebody asked for it', async () => {
      const store = await fresh()
      await known(store, 1, 'telephony', 'done')
      await known(store, 2, 'telephony', 'done')
      const { deps } = running(store)
      await eraseWhole(deps, ['call_1'])
      const left = await store.db.selectFrom('calls').select('id').execute()
      expect(left.map(({ id }) => id)).toEqual(['call_2'])
      // A second time, as after a crash: by the same key.
      await eraseWhole(deps, ['call_1', 'call_2'])
      for (const isReconciling of [false, true]) {
        const taker = createTaker(running(store), { ...listing(), begun: isReconciling }, isReconciling)
        await taker.take([1, 2, 3].flatMap((n) => [...ended(n), ...recorded(n)]))
        expect(await taker.end()).toMatchObject({ listed: 3, new: 1, known: 2 })
        expect(await told(store)).toEqual([['c3:ended', 'c3:recorded']])
      }
      expect(await store.db.selectFrom('erased').selectAll().execute()).toHaveLength(2)
    })

    it('brings back by itself nothing that is older than calls are kept, and all of it when a person asks', async () => {
      const store = await fresh()
      const over: Running = running(store)
      const deps = { ...over.deps, config: { ...over.deps.config, keep: { callsMs: 3_600_000 } as Keep } }
      const take = async (isReconciling: boolean) => {
        const taker = createTaker({ ...over, deps }, listing(), isReconciling)
        await taker.take(ended(1))
        return (await taker.end()).listed
      }
      expect([await take(true), await told(store)]).toEqual([0, []])
      expect([await take(false), await told(store)]).toEqual([1, [['c1:ended']]])
    })

    it('counts as new what a window that was cut off has stored', async () => {
      const store = await fresh()
      await known(store, 1, 'list', 'done', `/v1/listings/${listing().id}`, 'c1:ended')
      const taker = createTaker(running(store), { ...listing(), begun: true }, false)
      await taker.take(ended(1))
      expect(await taker.end()).toEqual({ listed: 1, new: 1, known: 0, events: 1 })
    })

    it('is kept, and so is how many calls it alone told of', async () => {
      const store = await fresh()
      const deps = { store, now: () => NOW }
      await store.atomic([], [saveListing(deps, listing()), saveListing(deps, { ...listing(), at: 7 })])
      expect(await readListing(store, listing().id)).toMatchObject({ at: 7 })
      expect(await listings(store)).toHaveLength(1)
      await store.atomic([], [countMissed(deps, 'a'), countMissed(deps, 'a'), countMissed(deps, 'b')])
      expect([...(await missedCalls(store)).values()]).toEqual([
        { connection: 'a', count: 2, lastAt: NOW },
        { connection: 'b', count: 1, lastAt: NOW },
      ])
    })

    it('is read again and again by one step, begun once however many workers begin', async () => {
      const store = await fresh()
      const { deps, connection } = running(store)
      await Promise.all([beginRegular(deps), beginRegular(deps), beginRegular(deps)])
      const rows = () =>
        store.db.selectFrom('steps').selectAll().where('kind', '=', 'list').orderBy('generation').execute()
      expect(await rows()).toMatchObject([{ generation: 0, state: 'waiting', lane: connection.id }])
      for (const generation of [0, 1]) {
        const one = (await rows()).find((row) => row.generation === generation) as StepRow
        const { queries, next } = following(deps, 'list', one, connection)
        const done = store.db.updateTable('steps').set({ state: 'done' }).where('id', '=', one.id)
        await store.atomic([], [done, ...queries, ...insertSteps(deps, next)])
      }
      expect((await rows()).map(({ generation, state }) => [Number(generation), state])).toEqual([
        [1, 'done'],
        [2, 'waiting'],
      ])
      expect(await beginRegular(deps)).toEqual([])
      expect(await isLate(deps)).toBe(false)
    })
  })
}

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)
const TIME = new Date(NOW - 7_200_000).toISOString()

const ended = (n: number): CallEvent[] => [
  { key: `c${n}:ended`, callId: `ext-${n}`, phase: 'ended', facts: { startedAt: TIME, endedAt: TIME } },
]
const recorded = (n: number): CallEvent[] => [
  { key: `c${n}:recorded`, callId: `ext-${n}`, phase: 'recorded', facts: {} },
]

const listing = (): Listing => ({
  id: 'bfl_00000000000000000000000001',
  connection: 'support-paris',
  since: NOW - 86_400_000,
  until: NOW,
  at: NOW - 86_400_000,
  spanMs: 86_400_000,
  begun: false,
  counts: NOTHING,
  startedAt: NOW,
  endedAt: null,
})

function running(store: Store): Running {
  const telephony = { webhook: {}, async *calls() {} }
  const connection = {
    id: 'support-paris',
    connector: { telephony } as unknown as Connector,
    reconcile: { everyMs: 900_000, overMs: 86_400_000 },
  } as Connection
  const deps = {
    store,
    config: { publicUrl: undefined, connections: new Map([[connection.id, connection]]), keep: {} },
    media: { delete: async () => undefined },
    now: () => NOW,
    random: Math.random,
    signer: createWebSigner(),
    queue: { wake: () => undefined },
  } as unknown as Deps
  return { deps, connection } as Running
}

/** A call that is known: one event of it, by a delivery of this role. */
async function known(
  store: Store,
  n: number,
  role: 'telephony' | 'list',
  state: 'open' | 'done',
  path = '/status',
  key = `c${n}:ringing`,
): Promise<void> {
  const { db } = store
  const connection = 'support-paris'
  const { delivery } = entry(`of-${n}`, { delivery: { role, path, state: 'used', dedupe_key: `k${n}` } })
  await store.append({ delivery, step: step(`of-${n}`, { subject: delivery.id }) })
  const event = { connection, event_key: key, call_id: `call_${n}`, delivery_id: delivery.id }
  await store.atomic(
    [],
    [
      db.insertInto('calls').values(call(n, { state, external_id: `ext-${n}` })),
      db.insertInto('call_keys').values({ connection, external_id: `ext-${n}`, call_id: `call_${n}` }),
      db.insertInto('events').values({ ...event, phase: 'ringing', received_at: NOW, event: '{}' }),
    ],
  )
}

/** Keys of the events in the deliveries of lists. */
async function told(store: Store): Promise<string[][]> {
  const rows = await store.db
    .selectFrom('deliveries')
    .select('body')
    .where('role', '=', 'list')
    .where('state', '=', 'new')
    .execute()
  const all = rows.map(({ body }) => {
    const { events } = JSON.parse(new TextDecoder().decode(body ?? new Uint8Array())) as {
      events: CallEvent[]
    }
    return events.map(({ key }) => key)
  })
  return all.toSorted((a, b) => (String(a) < String(b) ? -1 : 1))
}
