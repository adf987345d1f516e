import { expect, test } from 'vitest'
import { newId } from '../../src/call/ids.ts'
import { goOnReplaying, openReplays, replayDeliveries, stopReplay } from '../../src/pipeline/replay.ts'
import { newStep } from '../../src/pipeline/step.ts'
import type { DeliveryRow } from '../../src/store/schema.ts'
import { GENERIC, sandboxVendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, install } from './installation.ts'

// A replay of a hundred thousand deliveries takes minutes. It must not stand in the way of what comes in meanwhile, a restart
// in the middle must not end it, and no delivery may be put through twice by it.

const OPERATOR = { actor: 'operator', dryRun: false } as const
const PER_SECOND = 200
const AT_ONCE = 1_000
const BULK = '/bulk'

const installed = () => install({ vendors: { ...GENERIC, ...sandboxVendors('xosum', 'hubspot') } })

/** Deliveries that were read long ago, as the store has them. */
async function stored(it: Installation, count: number, row: Partial<DeliveryRow> = {}): Promise<void> {
  const entries = Array.from({ length: count }, (_, n) => {
    const at = it.now() - 3_600_000 + n
    const id = newId('dlv', at, it.deps.random)
    const delivery: DeliveryRow = {
      id,
      connection: 'pbx',
      role: 'telephony',
      received_at: at,
      method: 'POST',
      url: 'https://hooks.example.com/hooks/pbx',
      path: BULK,
      headers: new TextEncoder().encode('[]'),
      body: new TextEncoder().encode('{"type":"of no interest"}'),
      media_id: null,
      bytes: 2,
      dedupe_key: id,
      repeats: 0,
      state: 'used',
      reason: null,
      ...row,
    }
    const about = { subject: id, callId: null, connection: 'pbx', generation: 0, flow: null, lane: 'core' }
    return { delivery, step: { ...newStep(it.deps, { kind: 'merge', ...about }), state: 'done' as const } }
  })
  await Promise.all(entries.map((entry) => it.store.append(entry)))
}

/** How many times each delivery was put through again: must be once, all over. */
async function again(it: Installation) {
  const steps = await it.store.db
    .selectFrom('steps')
    .select(['subject', 'generation', 'due_at'])
    .where('generation', '>', 0)
    .where('kind', '=', 'merge')
    .execute()
  return {
    count: steps.length,
    distinct: new Set(steps.map((step) => step.subject)).size,
    generations: [...new Set(steps.map((step) => step.generation))],
    dueAt: steps.map((step) => Number(step.due_at)).sort((a, b) => a - b),
  }
}

/** What is due of the bulk counts as read: only who is put through, and when, is looked at. */
async function readBulk(it: Installation): Promise<void> {
  const { db } = it.store
  const bulk = db.selectFrom('deliveries').select('id').where('path', '=', BULK)
  const read = db.updateTable('steps').set({ state: 'done' }).where('subject', 'in', bulk)
  await it.store.atomic([], [read.where('state', '=', 'waiting').where('due_at', '<=', it.now())])
}

/** Sweeps until the replay is done; answers how long that took. */
async function through(it: Installation): Promise<number> {
  const from = it.now()
  while ((await openReplays(it.deps)).length > 0) {
    it.advance(2_000)
    await readBulk(it)
    await it.worker.sweep()
    if (it.now() - from > 600_000) throw new Error('the replay does not end')
  }
  it.advance(10_000)
  await readBulk(it)
  await it.settle()
  return it.now() - from
}

test('a large replay goes on by itself at its rate: each delivery once, no call and no record twice', async () => {
  await using it = await installed()
  await stored(it, 1_200)
  const calls = 4
  for (let call = 0; call < calls; call++) {
    const about = {
      callId: `c-${call}`,
      facts: { direction: 'inbound', result: 'busy', from: '+33639980001' },
    }
    for (const phase of ['ringing', 'answered', 'ended'])
      await it.send('pbx', genericWebhook([{ key: `${call}-${phase}`, phase, ...about }]))
  }
  await it.settle()
  expect([it.crm('call'), (await it.calls()).length]).toEqual([calls, calls])

  const start = it.now()
  const answer = await replayDeliveries(it.deps, { connection: 'pbx' }, OPERATOR)
  expect(answer).toMatchObject({ matched: 1_212, replayed: AT_ONCE, replay: expect.stringMatching(/^rpl_/) })
  // What comes in from now on is not part of it.
  await it.send('pbx', genericWebhook([{ key: 'late', callId: 'late', phase: 'ringing', facts: {} }]))
  await through(it)
  const { count, distinct, generations, dueAt } = await again(it)
  expect([count, distinct, generations]).toEqual([1_212, 1_212, [1]])
  for (const [n, at] of dueAt.entries())
    expect(at).toBeGreaterThanOrEqual(start + Math.floor((n * 1_000) / PER_SECOND))
  expect([it.crm('call'), (await it.calls()).length]).toEqual([calls, calls + 1])
  const { db } = it.store
  const left = db.selectFrom('deliveries').select('id').where('state', '=', 'new').where('path', '!=', BULK)
  expect(await left.execute()).toEqual([])
})

test('a process that dies in the middle of it delays it: another one goes on where it was, page by page', async () => {
  await using it = await installed()
  await stored(it, 1_500)
  const { atomic } = it.store
  let pages = 0
  it.store.atomic = async (guards, queries) => {
    if (queries.length > 50 && ++pages > 3) throw new Error('the power failed')
    return atomic(guards, queries)
  }
  await expect(replayDeliveries(it.deps, { connection: 'pbx' }, OPERATOR)).rejects.toThrow('power')
  it.store.atomic = atomic
  expect(await openReplays(it.deps)).toMatchObject([{ matched: 1_500, replayed: 270 }])
  await it.crash()
  await through(it)
  expect(await again(it)).toMatchObject({ count: 1_500, distinct: 1_500, generations: [1] })
  const audit = await it.store.db.selectFrom('audit').select(['action', 'detail']).execute()
  expect(audit).toEqual([{ action: 'replay', detail: '{"connection":"pbx","matched":1500}' }])
})

test('two that go on with the same replay at once put nothing through twice', async () => {
  await using it = await installed()
  await stored(it, 2_500)
  await replayDeliveries(it.deps, { connection: 'pbx' }, OPERATOR)
  for (let round = 0; round < 6; round++) {
    it.advance(2_000)
    await readBulk(it)
    await Promise.all([goOnReplaying(it.deps), goOnReplaying(it.deps), goOnReplaying(it.deps)])
  }
  const { count, distinct, generations } = await again(it)
  expect([count, distinct, generations]).toEqual([2_500, 2_500, [1]])
})

test.each([
  ['has gone on', 4_500],
  ['has done it', 2_000],
])(
  'one that was suspended in the middle of a page finds that another %s, and leaves it alone',
  async (_, count) => {
    await using it = await installed()
    await stored(it, count)
    await replayDeliveries(it.deps, { connection: 'pbx' }, OPERATOR)
    it.advance(5_000)
    await readBulk(it)
    const { atomic } = it.store
    let suspended = 0
    const store = {
      ...it.store,
      atomic: async (...batch: Parameters<typeof atomic>) => {
        if (suspended++ === 0) {
          await goOnReplaying(it.deps)
          it.advance(5_000)
          await it.work()
        }
        return atomic(...batch)
      },
    }
    expect(await goOnReplaying({ ...it.deps, store })).toEqual([])
    await through(it)
    expect(await again(it)).toMatchObject({ count, distinct: count, generations: [1] })
    // What the other one had put through was read meanwhile, and stays so.
    const all = await it.store.db.selectFrom('deliveries').select('state').orderBy('id').execute()
    expect([...new Set(all.slice(AT_ONCE, AT_ONCE + 90).map(({ state }) => state))]).toEqual(['ignored'])
  },
)

test('it waits while the workers are behind, and one follows the other', async () => {
  await using it = await installed()
  await stored(it, 1_500)
  await stored(it, 1_100, { connection: 'other' })
  await replayDeliveries(it.deps, { connection: 'pbx' }, OPERATOR)
  await replayDeliveries(it.deps, { connection: 'other' }, OPERATOR)
  it.advance(60_000)
  // Nobody has worked: what is planned is a minute late.
  expect(await goOnReplaying(it.deps)).toEqual([])
  expect((await openReplays(it.deps)).map(({ replayed }) => replayed)).toEqual([AT_ONCE, AT_ONCE])
  await through(it)
  expect(await again(it)).toMatchObject({ count: 2_600, distinct: 2_600 })
})

test('it can be stopped: what is on its way goes on, nothing more is added', async () => {
  await using it = await installed()
  await stored(it, 1_500)
  const { replay = '' } = await replayDeliveries(it.deps, { state: 'used' }, OPERATOR)
  expect(await stopReplay(it.deps, replay, { actor: 'admin' })).toMatchObject({ replayed: AT_ONCE })
  expect(await stopReplay(it.deps, replay, { actor: 'admin' })).toBeNull()
  await through(it)
  expect(await again(it)).toMatchObject({ count: AT_ONCE, distinct: AT_ONCE })
  const audit = await it.store.db.selectFrom('audit').select(['actor', 'action', 'subject']).execute()
  expect(audit).toContainEqual({ actor: 'admin', action: 'stop replay', subject: replay })
})

test('one that finds nothing, or a few, is over at once', async () => {
  await using it = await installed()
  await stored(it, 3, { state: 'unreadable' })
  const none = await replayDeliveries(it.deps, { state: 'unreadable', since: it.now() }, OPERATOR)
  expect(none).toEqual({ matched: 0, replayed: 0, sample: [] })
  const few = await replayDeliveries(it.deps, { state: 'unreadable', since: it.now() - 7_200_000 }, OPERATOR)
  expect(few).toEqual({ matched: 3, replayed: 3, sample: expect.any(Array) })
  expect(await openReplays(it.deps)).toEqual([])
})
