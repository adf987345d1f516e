import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { CordboardError } from '../../src/errors.ts'
import { rerunCall } from '../../src/pipeline/rerun.ts'
import { claimQuery, expireQuery, renewQuery } from '../../src/store/claim.ts'
import { GENERIC, sandboxVendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, install, sampleCall, seeded } from './installation.ts'

// A worker stops half-way: it is killed, or frozen and comes back. Another takes the step over when the lease has run
// out; the one that comes back neither sends nor commits anything; and what kills every worker is put aside.

const ENDED = {
  key: 'c:ended',
  callId: 'c',
  phase: 'ended',
  facts: { direction: 'inbound', from: '+33639980001', result: 'busy' },
}
const VENDORS = { vendors: { ...GENERIC, ...sandboxVendors('xosum', 'hubspot') } }
const CRM = 'sandbox-hubspot'
const steps = (it: Installation) =>
  it.store.db.selectFrom('steps').select(['kind', 'state', 'crashes', 'code']).orderBy('created_at').execute()

test('a step whose worker was killed is run by another one within thirty seconds', async () => {
  await using it = await install(VENDORS)
  it.fail(CRM, { path: '/search', fault: { kind: 'hang' } })
  await it.send('pbx', genericWebhook([ENDED]))
  await it.work()
  await it.crash()
  await it.pass(15_000)
  expect(it.crm('call')).toBe(0)
  await it.pass(15_000)
  expect([it.crm('call'), await it.calls()]).toEqual([1, [['done', null]]])
})

test('a frozen worker that comes back after its lease was lost sends nothing and commits nothing', async () => {
  await using it = await install(VENDORS)
  it.fail(CRM, { path: '/search', fault: { kind: 'hang' } })
  await it.send('pbx', genericWebhook([ENDED]))
  await it.work()
  const { wire } = it
  // Frozen: it neither renews its lease nor sees the time pass; another worker takes over.
  const frozen = it.queue
  await it.crash({ keepsWaiting: true })
  it.advance(25_000)
  await it.settle(20_000)
  expect([it.crm('call'), it.crm('contact')]).toEqual([1, 1])
  const [sent, attempts] = [
    wire.sent(CRM).length,
    await it.store.db.selectFrom('attempts').select('id').execute(),
  ]
  wire.release()
  await frozen.idle()
  expect(wire.sent(CRM).length).toBe(sent)
  expect(await it.store.db.selectFrom('attempts').select('id').execute()).toEqual(attempts)
  expect([it.crm('call'), it.crm('contact'), await it.calls()]).toEqual([1, 1, [['done', null]]])
})

test('after its lease has run out a step sends nothing more, even before anybody took it over', async () => {
  await using it = await install(VENDORS)
  it.fail(CRM, { path: '/search', fault: { kind: 'hang' } })
  await it.send('pbx', genericWebhook([ENDED]))
  await it.work()
  const sent = it.wire.sent(CRM).length
  it.advance(19_000)
  it.wire.release()
  await it.queue.idle()
  expect(it.wire.sent(CRM).length).toBe(sent)
  // It gives the step back by itself: no crash is counted.
  expect((await steps(it)).map((step) => [step.kind, step.state, step.crashes])).toEqual([
    ['merge', 'done', 0],
    ['match', 'waiting', 0],
  ])
  await it.settle()
  expect(await it.calls()).toEqual([['done', null]])
})

test('a step that takes its worker down again and again is tried apart, then put aside; the rest goes on', async () => {
  await using it = await install(VENDORS)
  await it.send('pbx', genericWebhook([ENDED]))
  const match = () =>
    it.store.db.selectFrom('steps').selectAll().where('kind', '=', 'match').executeTakeFirst()
  const kill = async () => {
    it.fail(CRM, { path: '/search', fault: { kind: 'hang' } })
    it.advance(Math.max(0, ((await match())?.due_at ?? 0) - it.now()))
    await it.work()
    await it.crash()
    it.advance(21_000)
    await it.worker.sweep()
  }
  for (let n = 0; n < 3; n++) await kill()
  const step = await match()
  expect(step).toMatchObject({ state: 'waiting', crashes: 3 })
  expect(step?.due_at).toBeGreaterThan(it.now() + 120_000)
  await it.send('pbx', genericWebhook([{ ...ENDED, key: 'd:ended', callId: 'd' }]))
  await it.pass(60_000)
  expect(it.crm('call')).toBe(1)

  for (let n = 3; n < 6; n++) await kill()
  expect(await steps(it)).toContainEqual({ kind: 'match', state: 'dead', crashes: 6, code: 'poisoned' })
  expect((await it.calls())[0]).toEqual(['attention', expect.stringMatching(/^poisoned: /)])
  const issues = await it.store.db.selectFrom('issues').select(['kind', 'code']).execute()
  expect(issues).toEqual([{ kind: 'match', code: 'poisoned' }])
})

test('a store that cannot take a result gets the step back, and no crash is counted', async () => {
  await using it = await install(VENDORS)
  await it.send('pbx', genericWebhook([ENDED]))
  const { atomic } = it.store
  let failing = 1
  it.store.atomic = (guards, queries) =>
    guards.length > 0 && failing-- > 0
      ? Promise.reject(new CordboardError('storage_unavailable', 'The disk is full'))
      : atomic(guards, queries)
  await it.settle()
  expect([it.crm('call'), new Set((await steps(it)).map((step) => step.crashes))]).toEqual([1, new Set([0])])
})

test('a step that cannot be concluded while others are given back is given back as well', async () => {
  await using it = await install(VENDORS)
  await it.worker.sweep()
  for (const callId of ['c', 'd']) await it.send('pbx', genericWebhook([{ ...ENDED, key: callId, callId }]))
  const { atomic } = it.store
  const full = new CordboardError('storage_unavailable', 'The disk is full')
  const [both, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let conclusions = 0
  it.store.atomic = async (guards, queries) => {
    if (guards.length > 0) {
      conclusions += 1
      if (conclusions === 2) both.resolve()
      await (conclusions === 1 ? both : second).promise
      throw full
    }
    // The second one fails while the first one is on its way back.
    if (conclusions === 2) {
      second.resolve()
      await Promise.all(running)
    }
    return atomic(guards, queries)
  }
  const running = await it.queue.take('core', 2)
  await Promise.race(running)
  await it.worker.renew()
  await it.worker.renew()
  it.store.atomic = atomic
  expect((await steps(it)).map(({ kind, state, crashes }) => [kind, state, crashes])).toEqual([
    ['merge', 'waiting', 0],
    ['merge', 'waiting', 0],
  ])
})

test('a worker that is told to stop gives its steps back at once', async () => {
  await using it = await install(VENDORS)
  it.fail(CRM, { path: '/search', fault: { kind: 'hang' } })
  await it.send('pbx', genericWebhook([ENDED]))
  await it.work()
  await it.restart()
  const [, match] = await it.store.db
    .selectFrom('steps')
    .select(['state', 'attempts', 'crashes'])
    .orderBy('created_at')
    .execute()
  expect(match).toEqual({ state: 'waiting', attempts: 0, crashes: 0 })
  await it.settle()
  expect([it.crm('call'), await it.store.db.selectFrom('breakers').selectAll().execute()]).toEqual([1, []])
})

test('in ten thousand random interleavings of two workers every effect that is committed happens once', async () => {
  await using it = await install(VENDORS)
  const random = seeded(4711)
  const { store } = it
  const { db } = store
  const LEASE = 100
  let token = 0
  let interleavings = 0

  // A round: three steps, two workers that claim, freeze, renew, come back late, die; until all steps are done.
  for (let round = 0; interleavings < 10_000; round++) {
    const ids = ['x', 'y', 'z'].map((name) => `stp_${round}_${name}`)
    await store.atomic(
      [],
      ids.map((id) => db.insertInto('steps').values(row(id, it.now()))),
    )
    const book = new Map<string, number>()
    const workers = [new Map<string, string>(), new Map<string, string>()]
    while ((await undone(ids)) > 0) {
      interleavings++
      const mine = workers[random() < 0.5 ? 0 : 1] ?? new Map()
      const [held] = [...mine].sort(() => random() - 0.5)
      const dice = random()
      if (dice < 0.3) {
        token++
        const lease = `lease-${token}`
        const rows = await store.atomic(
          [],
          [claimQuery(store, { lane: 'property', room: 2, lease, leaseMs: LEASE })],
        )
        for (const step of rows === 'lost' ? [] : (rows[0] ?? [])) mine.set(String(step.id), lease)
      } else if (dice < 0.45 && held) {
        await store.atomic([], [renewQuery(store, { step: held[0], lease: held[1], leaseMs: LEASE })])
      } else if (dice < 0.7 && held) {
        // The effect is committed with the step's end, under its lease: zombies try as well.
        mine.delete(held[0])
        const done = await store.atomic(
          [{ step: held[0], lease: held[1] }],
          [
            db
              .updateTable('steps')
              .set({ state: 'done', lease: null, lease_until: null })
              .where('id', '=', held[0]),
          ],
        )
        if (done !== 'lost') book.set(held[0], (book.get(held[0]) ?? 0) + 1)
      } else if (dice < 0.75) {
        mine.clear()
      } else if (dice < 0.9) {
        it.advance(Math.floor(random() * 80))
      } else {
        await store.atomic([], [expireQuery(store, 10)])
      }
    }
    expect([...book.values()]).toEqual([1, 1, 1])
    expect([...book.keys()].sort()).toEqual(ids)
  }

  async function undone(ids: readonly string[]): Promise<number> {
    const left = await db
      .selectFrom('steps')
      .select(sql<number>`count(*)`.as('count'))
      .where('id', 'in', ids)
      .where('state', '!=', 'done')
      .executeTakeFirst()
    return Number(left?.count ?? 0)
  }
})

function row(id: string, now: number) {
  return {
    id,
    kind: 'merge' as const,
    lane: 'property',
    subject: id,
    call_id: null,
    connection: 'property',
    generation: 0,
    flow: null,
    flow_version: null,
    state: 'waiting' as const,
    due_at: now,
    attempts: 0,
    crashes: 0,
    lease: null,
    lease_until: null,
    code: null,
    reason: null,
    awaiting: null,
    created_at: now,
    updated_at: now,
    fence: 0,
  }
}

test('a whole pipeline whose workers die and freeze at random writes everything exactly once', async () => {
  const random = seeded(7)
  await using it = await install({ random, settings: { [CRM]: { indexLagMs: 5_000 } } })
  const calls = 12
  for (let n = 0; n < calls; n++)
    await it.play(n % 2 ? 'sandbox-zadarma' : 'sandbox-twilio', await sampleCall(it.now()))
  for (let n = 0; n < 25; n++) {
    const connection = ['sandbox-xosum', 'sandbox-transcripto', CRM][Math.floor(random() * 3)] ?? CRM
    it.fail(connection, { fault: { kind: random() < 0.5 ? 'commit_then_hang' : 'hang' } })
    await it.work()
    await it.crash()
    await it.pass(20_000 + Math.floor(random() * 20_000))
  }
  await it.settle()
  // What was poisoned on the way is run again by a person.
  for (const { id, state } of await it.store.db.selectFrom('calls').select(['id', 'state']).execute())
    if (state !== 'done') await rerunCall(it.deps, id, { from: 'match', actor: 'operator' })
  await it.settle()
  expect([it.crm('call'), it.crm('contact'), new Set((await it.calls()).map(([state]) => state))]).toEqual([
    calls,
    1,
    new Set(['done']),
  ])
})
