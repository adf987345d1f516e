import { describe, expect, it } from 'vitest'
import { readBackfill, startBackfill, stopBackfill } from '../../src/pipeline/backfill.ts'
import { listings } from '../../src/pipeline/listing.ts'
import { missedCalls } from '../../src/pipeline/missed.ts'
import { sandboxVendors } from './company.ts'
import { type Installation, type InstallOptions, install, sampleCall } from './installation.ts'

/**
 * A vendor's webhooks get lost: the server was away, or the vendor gave up. Its own list of calls knows of them. What the
 * list brings goes the way of a webhook, and what webhooks have told stays as it is.
 */

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const RECONCILE = { every: '15 minutes', over: '24 hours' }

const withTwilio = (options: InstallOptions = {}) =>
  install({
    vendors: sandboxVendors('twilio', 'xosum', 'hubspot'),
    settings: { 'sandbox-twilio': { reconcile: RECONCILE } },
    ...options,
  })

/** Two calls that the stand-in has; the first is told by webhook, the second gets lost. */
async function oneOfTwo(world: Installation, phone: string): Promise<void> {
  await world.play(phone, await sampleCall(world.now(), { customerPhone: '+33639980011' }))
  world.place(phone, await sampleCall(world.now(), { customerPhone: '+33639980012' }))
}

const versions = async ({ store }: Installation) =>
  (await store.db.selectFrom('calls').select(['id', 'version', 'call']).orderBy('id').execute()).map((row) =>
    JSON.stringify(row),
  )
const missed = async ({ store }: Installation, phone: string) =>
  (await missedCalls(store)).get(phone)?.count ?? 0
const lists = (world: Installation) =>
  world.wire.sent('sandbox-twilio').filter((line) => line.includes('Calls'))

const begin = async (world: Installation, sinceMs: number, until?: number) => {
  const connection = world.deps.config.connections.get('sandbox-twilio')
  if (!connection) throw new RangeError('no such connection')
  const wish = { since: world.now() - sinceMs, until }
  return startBackfill(world.deps, connection, wish, { actor: 'test' })
}

describe('reconciliation', () => {
  for (const phone of ['sandbox-twilio', 'sandbox-zadarma'] as const) {
    it(`finds at ${phone} what no webhook told of, and leaves what one did`, async () => {
      const name = phone === 'sandbox-twilio' ? 'twilio' : 'zadarma'
      await using world = await install({
        vendors: sandboxVendors(name, 'xosum', 'hubspot'),
        settings: { [phone]: { reconcile: RECONCILE } },
      })
      await world.pass(16 * MINUTE_MS)
      await oneOfTwo(world, phone)
      await world.pass(13 * MINUTE_MS)
      const [told] = await versions(world)
      expect(world.crm('call')).toBe(1)

      await world.pass(40 * MINUTE_MS)
      const all = await versions(world)
      expect(all).toHaveLength(2)
      expect(all).toContain(told)
      expect(await world.calls()).toEqual([
        ['done', null],
        ['done', null],
      ])
      expect(world.crm('call')).toBe(2)
      expect(world.held('sandbox-xosum', 'submission')).toHaveLength(2)
      expect(await missed(world, phone)).toBe(1)
      const before = await versions(world)
      await world.pass(HOUR_MS)
      expect(await versions(world)).toEqual(before)
      expect(await missed(world, phone)).toBe(1)
    })
  }

  it('leaves a call to its webhook for some minutes, and counts none that came late', async () => {
    await using world = await withTwilio()
    await world.pass(16 * MINUTE_MS)
    await world.pass(8 * MINUTE_MS)
    const late = world.place('sandbox-twilio', await sampleCall(world.now()))
    await world.pass(8 * MINUTE_MS)
    expect(lists(world)).toHaveLength(2)
    expect(await world.calls()).toEqual([])
    for (const webhook of late) await world.send('sandbox-twilio', webhook)
    await world.pass(HOUR_MS)
    expect(await world.calls()).toEqual([['done', null]])
    expect(await missed(world, 'sandbox-twilio')).toBe(0)
  })

  it('does not count what ended before it was there', async () => {
    await using world = await withTwilio()
    world.place('sandbox-twilio', await sampleCall(world.now() - 2 * HOUR_MS))
    await world.pass(20 * MINUTE_MS)
    expect(await world.calls()).toHaveLength(1)
    expect(await missed(world, 'sandbox-twilio')).toBe(0)
  })

  it('ends a call of which only the beginning was told', async () => {
    await using world = await withTwilio()
    await world.pass(16 * MINUTE_MS)
    const [first] = world.place('sandbox-twilio', await sampleCall(world.now()))
    if (first) await world.send('sandbox-twilio', first)
    await world.pass(HOUR_MS)
    expect(await world.calls()).toEqual([['done', null]])
    expect(await missed(world, 'sandbox-twilio')).toBe(1)
  })

  it('is one for all workers, goes on after a restart, and stops when it is switched off', async () => {
    await using world = await withTwilio()
    await world.pass(16 * MINUTE_MS)
    await world.restart()
    await world.restart()
    await world.pass(15 * MINUTE_MS)
    expect(lists(world)).toHaveLength(2)
    const open = await world.store.db.selectFrom('steps').selectAll().where('kind', '=', 'list').execute()
    expect(open.map(({ state }) => state)).toEqual(['done', 'waiting'])
    for (const connection of world.deps.config.connections.values()) connection.reconcile = undefined
    await world.pass(HOUR_MS)
    expect(lists(world)).toHaveLength(2)
  })

  it('shows what keeps it, holds up no webhook, and goes on by itself', async () => {
    await using world = await withTwilio()
    world.fail('sandbox-twilio', { fault: { kind: 'status', status: 403 }, path: '/Calls.json' })
    await world.pass(16 * MINUTE_MS)
    const issue = () =>
      world.store.db.selectFrom('issues').selectAll().where('kind', '=', 'list').executeTakeFirst()
    expect(await issue()).toMatchObject({ code: 'forbidden', connection: 'sandbox-twilio', state: 'open' })
    await world.play('sandbox-twilio', await sampleCall(world.now()))
    await world.settle(10 * MINUTE_MS)
    expect(await world.calls()).toEqual([['done', null]])
    await world.pass(3 * HOUR_MS)
    expect(await issue()).toMatchObject({ state: 'resolved' })
  })

  it('waits in the middle of a list when the vendor says "too many", and begins no list anew', async () => {
    await using world = await withTwilio()
    world.fail('sandbox-twilio', {
      fault: { kind: 'status', status: 429, retryAfter: '7' },
      path: '/Recordings.json',
    })
    await world.pass(16 * MINUTE_MS)
    expect(lists(world)).toHaveLength(1)
    const [listing] = await listings(world.store)
    expect(listing?.endedAt).not.toBeNull()
  })
})

describe('a backfill', () => {
  const place = async (world: Installation, days: number) => {
    for (let day = 1; day <= days; day += 1) {
      const startedAt = world.now() - day * DAY_MS
      const customerPhone = `+3363998${String(100 + day).padStart(4, '0')}`
      world.place('sandbox-twilio', await sampleCall(startedAt, { customerPhone }))
    }
  }

  it('brings the calls of its time, once, whoever told of them before', async () => {
    await using world = await withTwilio({ settings: {} })
    await place(world, 5)
    await world.play('sandbox-twilio', await sampleCall(world.now() - HOUR_MS))
    await world.settle()
    const told = await versions(world)
    const { id } = await begin(world, 3.5 * DAY_MS)
    await world.settle(10 * MINUTE_MS)
    expect(await readBackfill(world.store, id)).toMatchObject({
      state: 'done',
      counts: { listed: 4, new: 3, known: 1 },
    })
    expect(await world.calls()).toHaveLength(4)
    expect(world.crm('call')).toBe(4)
    expect(await versions(world)).toEqual(expect.arrayContaining(told))

    const again = await begin(world, 3.5 * DAY_MS)
    await world.settle(10 * MINUTE_MS)
    expect(again.id).not.toBe(id)
    expect(await readBackfill(world.store, again.id)).toMatchObject({
      state: 'done',
      counts: { listed: 4, new: 0, known: 4, events: 0 },
    })
    expect(world.crm('call')).toBe(4)
  })

  it('ends where it was told to', async () => {
    await using world = await withTwilio({ settings: {} })
    await place(world, 5)
    const { id } = await begin(world, 4.5 * DAY_MS, world.now() - 1.5 * DAY_MS)
    await world.settle()
    expect((await readBackfill(world.store, id))?.counts).toMatchObject({ listed: 3, new: 3 })
  })

  it('goes on where it was when it is killed, and counts as if it had not been', async () => {
    const run = async (kill: boolean) => {
      await using world = await withTwilio({
        settings: {},
        flows: [{ from: ['sandbox-twilio'], analyze: [], write: [] }],
      })
      await place(world, 5)
      await place(world, 5)
      const { id } = await begin(world, 5.5 * DAY_MS)
      // The calls of the first window are stored when the process dies, and read; their recordings are not asked for yet.
      if (kill) {
        world.fail('sandbox-twilio', { fault: { kind: 'hang' }, path: '/Recordings.json' })
        await world.work()
        expect(await readBackfill(world.store, id)).toMatchObject({ begun: true, counts: { listed: 0 } })
        expect(await world.calls()).toHaveLength(2)
        await world.crash()
        await world.pass(MINUTE_MS)
      }
      await world.settle()
      const { counts } = (await readBackfill(world.store, id)) ?? {}
      return { counts, calls: (await world.calls()).length }
    }
    const whole = await run(false)
    expect(whole).toMatchObject({ counts: { listed: 10, new: 10, known: 0 }, calls: 10 })
    expect(await run(true)).toEqual(whole)
  })

  it('is the same one for whoever asks again, and is let go when it was stuck', async () => {
    await using world = await withTwilio({ settings: {} })
    await place(world, 2)
    world.fail('sandbox-twilio', { fault: { kind: 'status', status: 403 }, path: '/Calls.json' })
    const { id } = await begin(world, 3 * DAY_MS)
    await world.work()
    expect(await readBackfill(world.store, id)).toMatchObject({ state: 'stuck', code: 'forbidden' })
    await expect(begin(world, 9 * DAY_MS)).rejects.toMatchObject({ code: 'conflict' })
    expect((await begin(world, 2.9 * DAY_MS)).id).toBe(id)
    await world.settle()
    expect(await readBackfill(world.store, id)).toMatchObject({ state: 'done', counts: { new: 2 } })
  })
})

describe('a backfill that somebody stops', () => {
  const placeEach = async (world: Installation, days: number) => {
    for (let day = 1; day <= days; day += 1) {
      const customerPhone = `+3363998${String(100 + day).padStart(4, '0')}`
      world.place('sandbox-twilio', await sampleCall(world.now() - day * DAY_MS, { customerPhone }))
    }
  }
  const stop = (world: Installation, id: string) => stopBackfill(world.deps, id, { actor: 'operator ops' })

  it('in the middle of a window lists no more; what it has brought goes on, and the rest can be asked for anew', async () => {
    await using world = await withTwilio({ settings: {} })
    await placeEach(world, 5)
    const { id } = await begin(world, 5.5 * DAY_MS)
    // The calls of the first window are stored; the worker waits for their recordings.
    world.fail('sandbox-twilio', { fault: { kind: 'hang' }, path: '/Recordings.json' })
    await world.work()
    const brought = (await world.calls()).length
    expect(brought).toBeGreaterThan(0)
    expect(brought).toBeLessThan(5)
    const stopped = await stop(world, id)
    expect(stopped).toMatchObject({ state: 'stopped', counts: { listed: 0 } })
    // Whoever had it in hand commits nothing of it any more.
    const held = world.store.db.selectFrom('steps').select(['state', 'lease']).where('subject', '=', id)
    expect(await held.execute()).toEqual([{ state: 'done', lease: null }])
    const asked = lists(world).length
    await world.pass(10 * MINUTE_MS)
    await world.settle(10 * MINUTE_MS)
    expect(await readBackfill(world.store, id)).toEqual(stopped)
    expect(lists(world)).toHaveLength(asked)
    expect(world.crm('call')).toBe(brought)
    const audit = await world.store.db.selectFrom('audit').selectAll().where('subject', '=', id).execute()
    expect(audit.map(({ action, actor }) => `${action} by ${actor}`)).toEqual(
      expect.arrayContaining(['stop backfill by operator ops']),
    )

    const again = await begin(world, 5.5 * DAY_MS)
    expect(again.id).not.toBe(id)
    await world.settle(10 * MINUTE_MS)
    expect(await readBackfill(world.store, again.id)).toMatchObject({ state: 'done', counts: { listed: 5 } })
    expect(world.crm('call')).toBe(5)
  })

  it('because it is stuck needs nobody any more', async () => {
    await using world = await withTwilio({ settings: {} })
    world.fail('sandbox-twilio', { fault: { kind: 'status', status: 403 }, path: '/Calls.json' })
    const { id } = await begin(world, 3 * DAY_MS)
    await world.work()
    expect(await readBackfill(world.store, id)).toMatchObject({ state: 'stuck' })
    expect(await stop(world, id)).toMatchObject({ state: 'stopped' })
    const left = await world.store.db.selectFrom('steps').selectAll().where('subject', '=', id).execute()
    expect(left.map(({ state }) => state)).toEqual(['done'])
  })

  it('is none once it has ended, was stopped, or is a reconciliation', async () => {
    await using world = await withTwilio()
    await world.pass(MINUTE_MS)
    const { id } = await begin(world, 3 * DAY_MS)
    expect(await stop(world, id)).toMatchObject({ id })
    expect(await stop(world, id)).toBeNull()
    expect(await stop(world, 'sandbox-twilio')).toBeNull()
    const done = await begin(world, 3 * DAY_MS)
    await world.settle(10 * MINUTE_MS)
    expect(await stop(world, done.id)).toBeNull()
    expect(await readBackfill(world.store, done.id)).toMatchObject({ state: 'done' })
  })
})
