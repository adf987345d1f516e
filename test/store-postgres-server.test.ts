import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { sql } from 'kysely'
import { afterEach, expect, it } from 'vitest'
import { openPostgresStore, type PostgresStore } from '../src/store/postgres.ts'
import { entry, NOW } from './kit/rows.ts'
import { count } from './kit/store.ts'
import { type PostgresServer, startPostgres } from './services/postgres.ts'

// What the store does while its server crashes, is away, or says nothing any more. A server of its own for each.

const LONG = 60_000
const unavailable = { code: 'storage_unavailable', retry: 'later' }
const WORKERS = Array.from({ length: 16 }, (_, n) => n)

let dropping: Array<() => Promise<unknown>> = []
afterEach(async () => {
  for (const drop of dropping.reverse()) await drop()
  dropping = []
})

async function open(): Promise<{ server: PostgresServer; store: PostgresStore }> {
  const server = await startPostgres()
  dropping.push(() => server.drop())
  return { server, store: await use(server.url) }
}

async function use(url: string, statementTimeoutMs = 15_000): Promise<PostgresStore> {
  const store = await openPostgresStore({ url, statementTimeoutMs })
  dropping.push(() => store.close())
  await store.migrate()
  return store
}

const note = (store: PostgresStore, name: string) =>
  store.atomic([], [store.db.insertInto('settings').values({ name, value: 'x', updated_at: NOW })])

/** How an attempt ended, and how long that took. */
async function ended(work: Promise<unknown>): Promise<{ reason: unknown; ms: number }> {
  const from = performance.now()
  const reason = await work.then(
    () => null,
    (error: unknown) => error,
  )
  return { reason, ms: performance.now() - from }
}

it('has what it acknowledged before its server crashed, and goes on by itself', {
  timeout: LONG,
}, async () => {
  const { server, store } = await open()
  const appended: string[] = []
  const noted: string[] = []
  const reasons: unknown[] = []
  let isOver = false
  let next = 0

  /** As senders do: what was refused is sent again, under the key it had. */
  const send = async () => {
    while (!isOver) {
      const name = next++
      for (let isStored = false; !isStored && !isOver; ) {
        const { reason } = await ended(
          store.append(entry(name)).then(({ id }) => {
            appended.push(id)
            isStored = true
          }),
        )
        if (reason !== null) reasons.push(reason)
        await ended(
          note(store, `${name} ${reasons.length}`).then(() => noted.push(`${name} ${reasons.length}`)),
        )
      }
    }
  }
  const senders = WORKERS.map(send)
  for (const round of [1, 2, 3]) {
    const before = appended.length
    await expect.poll(() => appended.length, { timeout: 20_000 }).toBeGreaterThan(before + 200 * round)
    await server.restart('immediate')
  }
  const before = appended.length
  await expect.poll(() => appended.length, { timeout: 20_000 }).toBeGreaterThan(before + 200)
  isOver = true
  await Promise.all(senders)

  expect(reasons.length).toBeGreaterThan(0)
  for (const reason of reasons) expect(reason).toMatchObject(unavailable)
  const deliveries = await store.db.selectFrom('deliveries').select('id').execute()
  const stored = new Set(deliveries.map(({ id }) => id))
  expect(appended.filter((id) => !stored.has(id))).toEqual([])
  expect(new Set(appended).size).toBe(appended.length)
  expect(await count(store, 'steps')).toBe(stored.size)
  const settings = await store.db.selectFrom('settings').select('name').execute()
  const kept = new Set(settings.map(({ name }) => name))
  expect(noted.filter((name) => !kept.has(name))).toEqual([])
  expect(noted.length).toBeGreaterThan(600)
})

it('says at once that its server is away, and takes appends when it is back', { timeout: LONG }, async () => {
  const { server, store } = await open()
  await store.append(entry('before'))
  await server.stop()
  const all = [...WORKERS.map((n) => store.append(entry(n))), store.check(), store.now(), store.migrate()]
  for (const { reason, ms } of await Promise.all(all.map(ended))) {
    expect(reason).toMatchObject(unavailable)
    expect(ms).toBeLessThan(3_000)
  }
  await server.start()
  await store.append(entry('after'))
  await store.check()
  expect(await count(store, 'deliveries')).toBe(2)
})

it('is told within three seconds or so when a server says nothing any more', { timeout: LONG }, async () => {
  const server = await startPostgres()
  dropping.push(() => server.drop())
  const wire = await createWire(server.url)
  dropping.push(wire.close)
  const store = await use(wire.url, 3_000)
  await Promise.all([store.append(entry('before')), store.check()])

  wire.isCut = true
  const first = ended(store.append(entry('first')))
  const check = ended(store.check())
  // The last one comes when both connections are already waiting.
  const later = await Promise.all(
    WORKERS.map(async (n) => {
      await new Promise(setImmediate)
      return ended(store.append(entry(n)))
    }),
  )
  for (const { reason, ms } of [await first, ...later]) {
    expect(reason).toMatchObject(unavailable)
    expect(ms).toBeLessThan(4_000)
  }
  // Where no connection is left, a new one is not made either.
  const { reason, ms } = await ended(store.append(entry('none')))
  expect(reason).toMatchObject(unavailable)
  expect(ms).toBeLessThan(3_000)
  expect((await check).reason).toMatchObject(unavailable)

  wire.isCut = false
  await store.append(entry('after'))
  const rows = await store.db.selectFrom('deliveries').select('id').execute()
  expect(rows.map(({ id }) => id)).toEqual(expect.arrayContaining(['dlv_after', 'dlv_before']))
})

it('lives on when its connections break without a word, idle and at work', { timeout: LONG }, async () => {
  const { server } = await open()
  const wire = await createWire(server.url)
  dropping.push(wire.close)
  const store = await use(wire.url)
  await Promise.all([store.append(entry('before')), store.now()])
  const asleep = sql<{ n: number }>`select count(*) as n from pg_stat_activity where wait_event = 'PgSleep'`
  const slow = [
    store.atomic([], [{ compile: () => sql`select pg_sleep(60)`.compile(store.db) }]),
    sql`select pg_sleep(60)`.execute(store.db),
  ].map(ended)
  await expect.poll(async () => (await asleep.execute(store.db)).rows).toEqual([{ n: 2 }])
  wire.break()
  for (const end of slow) expect((await end).reason).toMatchObject(unavailable)
  const left = () => Object.values(store.stats().connections).map((connections) => connections.open)
  await expect.poll(left).toEqual([0, 0, 0])
  await Promise.all([store.append(entry('after')), store.check(), store.now()])
  expect(await count(store, 'deliveries')).toBe(2)
})

/** A wire to the server that can swallow everything, as a network does that has lost its way. */
async function createWire(to: string) {
  const { hostname, port } = new URL(to)
  const sockets = new Set<Socket>()
  const destroy = () => {
    for (const socket of sockets) socket.destroy()
  }
  const wire = { isCut: false, url: '', break: destroy, close: async () => undefined as unknown }
  const door = createServer((near) => {
    const far = connect(Number(port), hostname)
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
      one.on('data', (bytes) => {
        if (!wire.isCut) other.write(bytes)
      })
    }
  })
  door.listen(0, '127.0.0.1')
  await once(door, 'listening')
  const url = new URL(to)
  url.port = String((door.address() as AddressInfo).port)
  wire.url = url.href
  wire.close = async () => {
    destroy()
    door.close()
    await once(door, 'close')
  }
  return wire
}
