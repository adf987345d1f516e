import { afterEach, expect, it } from 'vitest'
import { CordboardError } from '../src/errors.ts'
import { createIssueWatch, openIssue } from '../src/pipeline/issues.ts'
import { settleCall } from '../src/pipeline/settle.ts'
import type { Query } from '../src/store/port.ts'
import type { PostgresStore } from '../src/store/postgres.ts'
import { call, NOW, step } from './kit/rows.ts'
import { createTemps } from './kit/store-postgres.ts'

// Statements of the pipeline that decide by rows which another transaction is just changing. SQLite knows one writer; here
// each story has a second one, which stops in the middle until the first has done what it can.

const { temp, besides, drop } = createTemps()
afterEach(drop)

interface World {
  store: PostgresStore
  deps: { store: PostgresStore; now: () => number; random: () => number }
  /** The other transaction, begun: runs what it is given. */
  other(queries: readonly Query[]): Promise<void>
  /** Starts the work; commits the other one when the work has ended or waits for a lock. */
  beside(work: () => Promise<unknown>): Promise<void>
}

async function world(): Promise<World> {
  const { url, store } = await temp()
  const [client, watch] = [await besides(url), await besides(url)]
  await client.query('begin')
  return {
    store,
    deps: { store, now: () => NOW + 5, random: () => 0.5 },
    async other(queries) {
      for (const query of queries) {
        const { sql, parameters } = query.compile()
        await client.query(sql, [...parameters])
      }
    },
    async beside(work) {
      let isOver = false
      const done = work().finally(() => {
        isOver = true
      })
      const isWaiting = async () => {
        const { rowCount } = await watch.query(
          `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        )
        return isOver || rowCount === 1
      }
      await expect.poll(isWaiting, { timeout: 10_000 }).toBe(true)
      await client.query('commit')
      await done
    },
  }
}

const until = Date.now() + 3_600_000
const held = (name: string, change: object = {}) =>
  step(name, { state: 'working', lease: name, lease_until: until, call_id: 'call_a', ...change })

it('a call is done when its last step ends while a merge sets it to working', async () => {
  const { store, deps, other, beside } = await world()
  const { db } = store
  await store.atomic(
    [],
    [
      db.insertInto('calls').values(call('a', { state: 'done' })),
      db.insertInto('steps').values(held('last', { kind: 'write' })),
    ],
  )
  await other([
    db.updateTable('calls').set({ state: 'working', version: 2 }).where('id', '=', 'call_a'),
    ...settleCall(deps, 'call_a'),
  ])
  await beside(() =>
    store.atomic(
      [{ step: 'stp_last', lease: 'last' }],
      [db.updateTable('steps').set({ state: 'done' }), ...settleCall(deps, 'call_a')],
    ),
  )
  expect(await db.selectFrom('calls').select(['state', 'version']).execute()).toEqual([
    { state: 'done', version: 2 },
  ])
})

it('an issue stays open when another step gets stuck while one goes well', async () => {
  const { store, deps, other, beside } = await world()
  const { db } = store
  const where = { kind: 'write' as const, connection: 'crm', step_id: 'stp_stuck' }
  const issue = () => openIssue(deps, where, new CordboardError('rejected', 'no'))
  await store.atomic(
    [],
    [db.insertInto('steps').values(held('stuck', { kind: 'write', connection: 'crm' })), issue()],
  )
  const watch = createIssueWatch(deps)
  await watch.refresh()
  await other([db.updateTable('steps').set({ state: 'dead', code: 'rejected' }), issue()])
  await beside(() => store.atomic([], watch.worked('write', 'crm')))
  expect(await db.selectFrom('issues').select(['state', 'count']).execute()).toEqual([
    { state: 'open', count: 2 },
  ])
})
