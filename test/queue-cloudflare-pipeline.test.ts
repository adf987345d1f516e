import { sql } from 'kysely'
import { describe, expect, it as test } from 'vitest'
import { createWorker } from '../src/pipeline/work.ts'
import { type CloudflareQueue, createCloudflareQueue } from '../src/queue/cloudflare.ts'
import type { StepKind, StepRow } from '../src/store/schema.ts'
import { createStoreBudgets } from '../src/store/store-budgets.ts'
import { type Consumer, createConsumer } from '../src/worker/consumer.ts'
import { step as stepOf } from './kit/rows.ts'
import { cloud, ENDED, type Share } from './queue-cloudflare-cloud.ts'
import { GENERIC, sandboxVendors } from './scenarios/company.ts'
import { genericWebhook } from './scenarios/generic.ts'
import { type Installation, install, sampleCall } from './scenarios/installation.ts'

const CRM = 'sandbox-hubspot'
const SERVICE = 'sandbox-transcripto'

/** The installation's store and vendors, with Workers that live for one batch in place of its worker. */
async function onCloudflare(it: Installation, options: { version?: string; room?: number } = {}) {
  // The one it began with is over.
  await it.worker.sweep()
  const its = cloud(it.now)
  const invoked = { others: 0, recordings: 0 }
  /** As an entry does: everything that is not the store is made anew. */
  function invocation(): Consumer & { queue: Consumer['queue'] } {
    const queue: CloudflareQueue = createCloudflareQueue({
      queues: its.queues,
      streams: (lane) => it.deps.config.connections.get(lane)?.connector.analysis !== undefined,
      waitUntil: its.waitUntil,
      now: it.now,
      log: it.deps.log,
    })
    const budgets = createStoreBudgets({ store: it.deps.store, random: it.deps.random })
    const { version = 'v1', room } = options
    return createConsumer(
      { ...it.deps, queue, budgets },
      { deadLetters: 'dead', version, ...(room === undefined ? {} : { sweep: { room } }) },
    )
  }
  /** What receives webhooks rings, too. */
  it.deps.queue = {
    ...it.deps.queue,
    wake: (bells) =>
      createCloudflareQueue({ ...its, streams: () => true, now: it.now, log: it.deps.log }).wake(bells),
  }
  const deliver = async (share: Share | 'dead') => {
    await its.settled()
    const done = await its.deliver(share, (messages) => {
      if (share !== 'dead') invoked[share] += 1
      return invocation().queue({ queue: share, messages })
    })
    await its.settled()
    return done
  }
  /** All messages that are due. */
  const drain = async () => {
    while ((await deliver('others')) || (await deliver('recordings')));
  }
  /** A minute after the other, with what cron does. */
  const minutes = async (count: number) => {
    for (let n = 0; n < count; n++) {
      await drain()
      for (let second = 0; second < 60; second += 5) {
        it.advance(5_000)
        await drain()
      }
      await invocation().scheduled()
      await drain()
    }
  }
  return { ...its, invoked, invocation, deliver, drain, minutes }
}

const stepsOf = (it: Installation) =>
  it.store.db.selectFrom('steps').select(['kind', 'state', 'code', 'crashes']).orderBy('id').execute()

async function plant(it: Installation, steps: StepRow[]): Promise<void> {
  await it.store.atomic(
    [],
    steps.map((row) => it.store.db.insertInto('steps').values(row)),
  )
}

describe('a call', () => {
  test('goes from the phone system to the CRM by messages alone, its submission by a queue of its own', async () => {
    await using it = await install({
      vendors: { ...GENERIC, ...sandboxVendors('transcripto', 'hubspot') },
      flows: [{ name: 'all', from: ['pbx'], analyze: [SERVICE], write: [CRM], unknownCaller: 'create' }],
    })
    const cf = await onCloudflare(it)
    await it.play('pbx', await sampleCall(it.now()))
    await cf.drain()
    expect(it.held(SERVICE, 'submission')).toHaveLength(1)
    expect(cf.sent.recordings.flat()).toHaveLength(1)
    for (let n = 0; n < 40 && it.crm('call') === 0; n++) {
      it.advance(30_000)
      await cf.drain()
      // Nothing is due: only the service's own time goes by.
      await it.work()
    }
    expect([it.crm('call'), await it.calls()]).toEqual([1, [['done', null]]])
    expect(cf.invoked.recordings).toBe(1)
  })

  test('whose bells are all lost goes on with the sweeps', async () => {
    await using it = await install({ vendors: { ...GENERIC, ...sandboxVendors('hubspot') } })
    const cf = await onCloudflare(it)
    await it.send('pbx', genericWebhook([ENDED]))
    for (let n = 0; n < 4; n++) {
      await cf.settled()
      for (const share of ['others', 'recordings'] as const) cf.waiting[share] = []
      it.advance(60_000)
      await cf.invocation().scheduled()
      await cf.deliver('others')
    }
    expect(await it.calls()).toEqual([['done', null]])
  })

  test('whose CRM has no budget left comes back when it has, and uses up no attempt', async () => {
    await using it = await install({
      vendors: { ...GENERIC, ...sandboxVendors('hubspot') },
      settings: { [CRM]: { requestsPer10s: 8 } },
    })
    const cf = await onCloudflare(it)
    for (const callId of ['a', 'b', 'c'])
      await it.send('pbx', genericWebhook([{ ...ENDED, key: `${callId}:ended`, callId }]))
    for (let n = 0; n < 60 && it.crm('call') < 3; n++) {
      await cf.drain()
      it.advance(5_000)
    }
    expect(it.crm('call')).toBe(3)
    expect(it.logged.join()).toContain('"code":"rate_limited"')
    const steps = await it.store.db.selectFrom('steps').select(['kind', 'attempts']).execute()
    for (const { attempts } of steps) expect(attempts).toBeLessThanOrEqual(1)
  })
})

describe('a submission', () => {
  test('is taken by the messages of its own queue, and by no others', async () => {
    await using it = await install({ vendors: { ...GENERIC, ...sandboxVendors('transcripto', 'hubspot') } })
    const cf = await onCloudflare(it)
    const at = { connection: SERVICE, lane: SERVICE, due_at: it.now(), created_at: it.now() }
    await plant(it, [
      stepOf('1', { kind: 'submit', ...at }),
      stepOf('2', { kind: 'poll', ...at, due_at: it.now() - 1 }),
    ])
    const touched = async () => {
      const steps = it.store.db.selectFrom('steps').select('kind')
      return (await steps.where('updated_at', '>=', at.created_at).execute()).map(({ kind }) => kind)
    }
    const ring = (share: Share, step: string) =>
      cf.waiting[share].push({ body: { v: 1, step, lane: SERVICE, share }, at: 0, attempts: 0 })
    ring('recordings', '')
    await cf.deliver('recordings')
    expect(await touched()).toEqual(['submit'])
    ring('others', 'stp_1')
    await cf.deliver('others')
    expect((await touched()).sort()).toEqual(['poll', 'submit'])
  })
})

describe('a CRM that is down', () => {
  test('has its breaker opened by Workers that know nothing of each other, and is left alone by their messages', async () => {
    await using it = await install({ vendors: { ...GENERIC, ...sandboxVendors('hubspot') } })
    const cf = await onCloudflare(it)
    it.fail(CRM, { fault: { kind: 'status', status: 503 }, times: 1_000 })
    for (let n = 0; n < 8; n++) {
      await it.send('pbx', genericWebhook([{ ...ENDED, key: `c${n}:ended`, callId: `c${n}` }]))
      await cf.drain()
      it.advance(1_000)
    }
    const breaker = await it.store.db.selectFrom('breakers').selectAll().executeTakeFirstOrThrow()
    expect(breaker).toMatchObject({ connection: CRM, state: 'open', failures: 5 })
    const asked = it.wire.sent(CRM).length
    expect(asked).toBe(5)
    await cf.minutes(5)
    // One try with each sweep at most, however many steps wait, and no messages that breed.
    expect(it.wire.sent(CRM).length - asked).toBeLessThanOrEqual(5)
    expect(cf.waiting.others.length).toBeLessThanOrEqual(8)
  })
})

describe('a worker of one invocation', () => {
  test('does not sweep, renews what it holds, and hands back what the store did not take', async () => {
    await using it = await install({ vendors: { ...GENERIC, ...sandboxVendors('hubspot') } })
    const every: number[] = []
    const ended: number[] = []
    const before = await it.store.db.selectFrom('settings').selectAll().execute()
    const worker = createWorker(it.deps, {
      every: (ms) => {
        every.push(ms)
        return () => void ended.push(ms)
      },
    })
    worker.start({ sweeps: false })
    expect(every).toEqual([20_000 / 3])
    await worker.stop(0)
    expect(ended).toEqual(every)
    expect(await it.store.db.selectFrom('settings').selectAll().execute()).toEqual(before)
  })

  test('that dies leaves its step to the sweep', async () => {
    await using it = await install({ vendors: { ...GENERIC, ...sandboxVendors('hubspot') } })
    const cf = await onCloudflare(it)
    await it.send('pbx', genericWebhook([ENDED]))
    const { db } = it.store
    const held = { state: 'working', lease: 'of a dead one', lease_until: it.now() + 20_000 } as const
    await it.store.atomic([], [db.updateTable('steps').set(held)])
    // Its message comes again and finds nothing to take.
    await cf.drain()
    expect((await stepsOf(it)).map(({ state }) => state)).toEqual(['working'])
    await cf.minutes(1)
    expect(await it.calls()).toEqual([['done', null]])
  })

  test('whose store is away gives all messages back and never throws', async () => {
    await using it = await install({ vendors: { ...GENERIC, ...sandboxVendors('hubspot') } })
    const cf = await onCloudflare(it)
    await it.send('pbx', genericWebhook([ENDED]))
    const { store } = it.deps
    it.deps.store = { ...store, db: store.db.withTables<{ nowhere: object }>() as typeof store.db }
    const broken = () => Promise.reject(new Error('D1 is overloaded'))
    it.deps.store = {
      ...store,
      db: store.db.withPlugin({
        transformQuery: () => {
          throw new Error('D1 is overloaded')
        },
        transformResult: async ({ result }) => result,
      }),
      atomic: broken,
    }
    await cf.drain()
    expect(cf.waiting.others.map(({ attempts, at }) => [attempts, at - it.now()])).toEqual([[1, 2_000]])
    it.deps.store = store
    it.advance(2_000)
    await cf.drain()
    // Nobody has the number: the CRM's search is given its time.
    it.advance(30_000)
    await cf.drain()
    expect(await it.calls()).toEqual([['done', null]])
  })
})

describe('a dead letter', () => {
  const dead = async (it: Installation, bodies: unknown[]) => {
    const cf = await onCloudflare(it)
    cf.waiting.dead.push(...bodies.map((body) => ({ body, at: it.now(), attempts: 0 })))
    await cf.deliver('dead')
    return cf
  }
  const issues = (it: Installation) =>
    it.store.db
      .selectFrom('issues')
      .select(['kind', 'code', 'connection', 'state', 'step_id', 'says'])
      .execute()

  test('opens an issue that names the step, which the sweep finds; it is over when nothing is due there', async () => {
    await using it = await install({ vendors: { ...GENERIC, ...sandboxVendors('hubspot') } })
    const quiet = it.deps.queue
    await it.send('pbx', genericWebhook([ENDED]))
    const { id } = await it.store.db.selectFrom('steps').select('id').executeTakeFirstOrThrow()
    const cf = await dead(it, [{ v: 1, step: id, lane: 'core', share: 'others' }])
    expect(cf.waiting.dead).toEqual([])
    expect(await issues(it)).toEqual([
      {
        kind: 'lane',
        code: 'standstill',
        connection: 'core',
        state: 'open',
        step_id: id,
        says: expect.stringContaining(`The bell of ${id} in the lane core was given up after its retries`),
      },
    ])
    it.deps.queue = quiet
    await cf.minutes(2)
    expect(await it.calls()).toEqual([['done', null]])
    expect((await issues(it)).map(({ state }) => state)).toEqual(['resolved'])
  })

  test('of work that was done meanwhile, of a lane that is none and of nobody says nothing', async () => {
    await using it = await install({ vendors: { ...GENERIC, ...sandboxVendors('hubspot') } })
    await it.send('pbx', genericWebhook([ENDED]))
    await it.settle()
    const { id } = await it.store.db.selectFrom('steps').select('id').executeTakeFirstOrThrow()
    const cf = await dead(it, [
      { v: 1, step: id, lane: 'core', share: 'others' },
      { v: 1, step: '', lane: 'no-such-lane', share: 'others' },
      { v: 7 },
    ])
    expect([await issues(it), cf.waiting.dead]).toEqual([[], []])
  })

  test('waits for a store that is away', async () => {
    await using it = await install({ vendors: { ...GENERIC, ...sandboxVendors('hubspot') } })
    const { store } = it.deps
    it.deps.store = { ...store, atomic: () => Promise.reject(new Error('D1 is overloaded')) }
    const cf = await dead(it, [{ v: 1, step: '', lane: 'core', share: 'others' }])
    expect(cf.waiting.dead.map(({ at }) => at - it.now())).toEqual([600_000])
    it.deps.store = store
    it.advance(600_000)
    await cf.deliver('dead')
    expect((await issues(it)).map(({ connection, step_id }) => [connection, step_id])).toEqual([
      ['core', null],
    ])
  })
})

describe('the sweep of a minute', () => {
  /** Queries asked of the store, each statement of a batch counted by itself. */
  function counting(it: Installation) {
    let asked = 0
    const { store } = it.deps
    it.deps.store = {
      ...store,
      db: store.db.withPlugin({
        transformQuery: ({ node }) => {
          asked += 1
          return node
        },
        transformResult: async ({ result }) => result,
      }),
    }
    return () => {
      const count = asked
      asked = 0
      return count
    }
  }
  const many = (it: Installation, count: number, kind: StepKind, change: Partial<StepRow>) =>
    plant(
      it,
      Array.from({ length: count }, (_, n) =>
        stepOf(`${kind}${n}`, { kind, subject: `${kind}${n}`, connection: CRM, lane: CRM, ...change }),
      ),
    )

  test('asks little of the store, and does no more than it has room for, whatever there is', async () => {
    await using it = await install({ vendors: { ...GENERIC, ...sandboxVendors('transcripto', 'hubspot') } })
    const asked = counting(it)
    const idle = await onCloudflare(it, { room: 3 })
    await idle.invocation().scheduled()
    asked()
    it.advance(60_000)
    await idle.invocation().scheduled()
    const little = asked()
    await many(it, 200, 'write', { state: 'working', lease: 'gone', lease_until: it.now() - 1, crashes: 3 })
    await many(it, 200, 'match', { state: 'parked', code: 'auth' })
    it.advance(60_000)
    await idle.invocation().scheduled()
    const much = asked()
    expect(little).toBeLessThanOrEqual(30)
    expect(much).toBeLessThanOrEqual(50)
    const states = await it.store.db
      .selectFrom('steps')
      .select(['kind', 'state', sql<number>`count(*)`.as('count')])
      .groupBy(['kind', 'state'])
      .orderBy('kind')
      .orderBy('state')
      .execute()
    expect(states.map(({ kind, state, count }) => [kind, state, Number(count)])).toEqual([
      ['match', 'parked', 197],
      ['match', 'waiting', 3],
      ['write', 'waiting', 3],
      ['write', 'working', 197],
    ])
  })

  test('lets go what a configuration has put right once for each version', async () => {
    await using it = await install({ vendors: { ...GENERIC, ...sandboxVendors('hubspot') } })
    await (await onCloudflare(it, { version: 'v1' })).invocation().scheduled()
    await many(it, 1, 'match', { state: 'parked', code: 'config', updated_at: it.now() })
    const state = async () => (await stepsOf(it)).map((step) => step.state)
    it.advance(60_000)
    await (await onCloudflare(it, { version: 'v1' })).invocation().scheduled()
    expect(await state()).toEqual(['parked'])
    it.advance(60_000)
    await (await onCloudflare(it, { version: 'v2' })).invocation().scheduled()
    expect(await state()).toEqual(['waiting'])
  })
})
