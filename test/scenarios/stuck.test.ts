import type { RootOperationNode } from 'kysely'
import { expect, test } from 'vitest'
import { createBreakers } from '../../src/pipeline/breaker.ts'
import { createIssueWatch } from '../../src/pipeline/issues.ts'
import { createSweep } from '../../src/pipeline/sweep.ts'
import { sinceSweep } from '../../src/pipeline/turn.ts'
import type { Store } from '../../src/store/port.ts'
import type { StepRow } from '../../src/store/schema.ts'
import { stepRow } from '../unit/http-world.ts'
import { type Installation, install, sampleCall } from './installation.ts'

// Several workers share one sweep, and where nothing moves somebody must see it: a step that is due and that nobody takes is
// silence, and silence looks like peace.

const LEASE_MS = 20_000
const TURN_MS = LEASE_MS / 4

/** Another worker's sweep on the same store, and how often it really swept. */
function sweeper(it: Installation) {
  let swept = 0
  let wakes = 0
  const db = it.store.db.withPlugin({
    transformQuery: ({ node, queryId }) => {
      const { sql } = it.store.db.getExecutor().compileQuery(node as RootOperationNode, queryId)
      // Which calls have waited long enough: asked once by whoever sweeps, and by nobody else.
      if (sql.includes('"wait_until" <=')) swept += 1
      return node
    },
    transformResult: async ({ result }) => result,
  })
  const store: Store = { ...it.store, db }
  const wake = () => {
    wakes += 1
  }
  const queue = { ...it.deps.queue, wake }
  const deps = { ...it.deps, store, queue }
  const sweep = createSweep(
    deps,
    { breakers: createBreakers(deps), issues: createIssueWatch(deps) },
    LEASE_MS,
  )
  return { sweep, swept: () => swept, wakes: () => wakes }
}

test('of several workers one sweeps at a time, and each rings its own lanes', async () => {
  await using it = await install()
  const workers = [sweeper(it), sweeper(it), sweeper(it)]
  // Each sweeps when it starts: the last one has the newest configuration.
  for (const { sweep } of workers) await sweep()
  expect(workers.map((worker) => worker.swept())).toEqual([1, 1, 1])
  for (let n = 0; n < 20; n++) {
    it.advance(2_000)
    await Promise.all(workers.map(({ sweep }) => sweep()))
  }
  expect(workers.map((worker) => worker.swept())).toEqual([1, 1, 21])
  expect(workers.map((worker) => worker.wakes())).toEqual([21, 21, 21])
})

test('when the worker that sweeps is gone, another one does within a turn, and only one', async () => {
  await using it = await install()
  const [gone, first, second] = [sweeper(it), sweeper(it), sweeper(it)]
  for (const { sweep } of [first, second, gone]) await sweep()
  const others = async () => {
    await Promise.all([first.sweep(), second.sweep()])
    return first.swept() + second.swept() - 2
  }
  it.advance(TURN_MS - 1)
  expect(await others()).toBe(0)
  it.advance(1)
  expect(await others()).toBe(1)
  it.advance(2_000)
  expect(await others()).toBe(2)
  // One that was only frozen finds that it is not its turn.
  await gone.sweep()
  expect(gone.swept()).toBe(1)
  expect(await sinceSweep(it.store)).toBeLessThanOrEqual(TURN_MS / 2)
  it.advance(600_000)
  expect(await sinceSweep(it.store)).toBeGreaterThanOrEqual(600_000)
})

test('a worker whose clock is wrong takes no turn that is not over by the store’s clock', async () => {
  await using it = await install()
  const right = sweeper(it)
  const wrong = sweeper({ ...it, deps: { ...it.deps, now: () => it.now() + 600_000 } })
  await wrong.sweep()
  await right.sweep()
  it.advance(2_000)
  await wrong.sweep()
  expect(wrong.swept()).toBe(1)
})

const insert = (it: Installation, ...rows: Partial<StepRow>[]) =>
  it.store.atomic(
    [],
    rows.map((row) =>
      it.store.db.insertInto('steps').values(stepRow({ lane: 'gone', connection: 'gone', ...row })),
    ),
  )

const issues = (it: Installation) =>
  it.store.db
    .selectFrom('issues')
    .select(['code', 'connection', 'state', 'count'])
    .where('kind', '=', 'lane')
    .execute()

/** Sweeps as they would come in this time, while nobody takes anything. */
async function idle(it: Installation, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 2_000) {
    it.advance(2_000)
    await it.worker.sweep()
  }
}

test('a due step that nobody takes for a minute opens an issue, once, and it is over when something moves', async () => {
  await using it = await install()
  await it.worker.sweep()
  await insert(it, { id: 'stp_1', due_at: it.now() })
  await idle(it, 58_000)
  expect(await issues(it)).toEqual([])
  await idle(it, 60_000)
  const open = { code: 'standstill', connection: 'gone', state: 'open', count: 1 }
  expect(await issues(it)).toEqual([open])
  expect(it.logged.filter((line) => line.includes('nothing moves'))).toHaveLength(1)

  await insert(it, { id: 'stp_2', due_at: it.now() - 1 })
  await it.store.atomic([], [it.store.db.deleteFrom('steps').where('id', '=', 'stp_1')])
  await idle(it, 2_000)
  expect(await issues(it)).toEqual([{ ...open, state: 'resolved' }])
  await idle(it, 64_000)
  expect(await issues(it)).toEqual([{ ...open, count: 2 }])
  await it.store.atomic([], [it.store.db.deleteFrom('steps').where('id', '=', 'stp_2')])
  await idle(it, 2_000)
  expect((await issues(it))[0]?.state).toBe('resolved')
})

test('a backlog that is worked off, a lane whose step runs, and one that its breaker holds are no standstill', async () => {
  await using it = await install()
  await it.worker.sweep()
  const start = it.now()
  const lease = { state: 'working', lease: 'x', lease_until: start + 10 * 60_000 } as const
  const backlog = Array.from({ length: 100 }, (_, n) => ({ id: `stp_${n}`, due_at: start - 100_000 + n }))
  await insert(
    it,
    ...backlog,
    { lane: 'busy', due_at: start },
    { lane: 'busy', ...lease },
    { lane: 'held', due_at: start },
  )
  const open = { state: 'open', code: 'vendor_down', says: '', failures: 5, opened_at: start } as const
  const breaker = { connection: 'held', ...open, retry_at: start + 3_600_000 }
  await it.store.atomic([], [it.store.db.insertInto('breakers').values(breaker)])
  for (const { id } of backlog.slice(0, 90)) {
    await it.store.atomic([], [it.store.db.deleteFrom('steps').where('id', '=', id)])
    await idle(it, 2_000)
  }
  expect(await issues(it)).toEqual([])
})

test('after an outage of hours work goes on without an alarm', async () => {
  await using it = await install()
  for (let n = 0; n < 5; n++) await it.play('sandbox-twilio', await sampleCall(it.now()))
  it.advance(3 * 3_600_000)
  await it.crash()
  await it.settle()
  expect(await issues(it)).toEqual([])
  expect(it.crm('call')).toBe(5)
})
