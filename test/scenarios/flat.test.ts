import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import type { CompiledQuery, RootOperationNode } from 'kysely'
import { expect, test } from 'vitest'
import { CordboardError } from '../../src/errors.ts'
import { createBreakers } from '../../src/pipeline/breaker.ts'
import type { Deps } from '../../src/pipeline/deps.ts'
import { createIssueWatch, openIssue } from '../../src/pipeline/issues.ts'
import { createSweep } from '../../src/pipeline/sweep.ts'
import type { Store } from '../../src/store/port.ts'
import { GENERIC } from './company.ts'
import { DESK, DESK_SETTINGS, deskWebhook } from './desk-crm.ts'
import { type Installation, install, sampleCall } from './installation.ts'

// The sweep runs every two seconds beside the requests, in the same thread. It has to cost the same with ten calls stored
// and with ten million, and with a million steps waiting for a vendor that is away.

/** Tables that grow with the calls: none may be read from end to end. */
const GROWING = [
  'deliveries',
  'events',
  'call_keys',
  'calls',
  'steps',
  'attempts',
  'submissions',
  'results',
  'writebacks',
  'writeback_parts',
  'people',
  'audit',
]

/** The same store, writing down every statement it is given. */
function listening(store: Store, heard: CompiledQuery[]): Store {
  const db = store.db.withPlugin({
    transformQuery: ({ node, queryId }) => {
      heard.push(store.db.getExecutor().compileQuery(node as RootOperationNode, queryId))
      return node
    },
    transformResult: async ({ result }) => result,
  })
  return {
    ...store,
    db,
    atomic: (guards, queries) => {
      heard.push(...queries.map((query) => query.compile()))
      return store.atomic(guards, queries)
    },
  }
}

async function sweepOf(
  it: Installation,
): Promise<{ deps: Deps; heard: CompiledQuery[]; sweep: () => Promise<void> }> {
  const heard: CompiledQuery[] = []
  const deps = { ...it.deps, store: listening(it.store, heard) }
  const watch = { breakers: createBreakers(deps), issues: createIssueWatch(deps) }
  return { deps, heard, sweep: createSweep(deps, watch, 20_000) }
}

test('every statement of the sweep finds what it looks for through an index', async () => {
  await using it = await install({
    config: { keep: { deliveries: '1 day', transcript: '1 day', calls: '7 days' } },
  })
  for (let n = 0; n < 3; n++) await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle(5_000)
  it.advance(8 * 86_400_000)
  const { db } = it.store
  const open = {
    code: 'quota',
    says: 'none left',
    failures: 1,
    opened_at: it.now(),
    retry_at: it.now() + 60_000,
  }
  await it.store.atomic(
    [],
    [
      db.insertInto('breakers').values({ connection: 'sandbox-xosum', state: 'open', ...open }),
      db.updateTable('steps').set({ state: 'parked', code: 'connection_gone' }).where('kind', '=', 'write'),
      db.updateTable('steps').set({ state: 'waiting', lease: null }).where('kind', '=', 'submit'),
      db
        .updateTable('steps')
        .set({ state: 'working', lease: 'x', lease_until: 1, crashes: 4 })
        .where('kind', '=', 'match'),
      db
        .updateTable('calls')
        .set({ state: 'waiting', wait_until: 1 })
        .where('id', 'in', db.selectFrom('calls').select('id').limit(1)),
    ],
  )
  const { heard, sweep } = await sweepOf(it)
  await sweep()
  await sweep()
  expect(heard.length).toBeGreaterThan(40)

  const reader = new DatabaseSync(it.file, { readOnly: true })
  reader.function('store_now', { deterministic: true }, () => BigInt(it.now()))
  const scans = new Set<string>()
  for (const { sql, parameters } of heard) {
    const plan = reader.prepare(`explain query plan ${sql}`).all(...(parameters as SQLInputValue[]))
    for (const { detail } of plan) {
      const table = /^SCAN (\w+)/.exec(String(detail))?.[1]
      if (table !== undefined && GROWING.includes(table)) scans.add(`${String(detail)}: ${sql}`)
    }
  }
  reader.close()
  expect([...scans]).toEqual([])
})

test('whether an issue about a delivery is over is asked of the unreadable ones, not of all there are', async () => {
  await using it = await install()
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle()
  const watch = createIssueWatch(it.deps)
  const error = new CordboardError('invalid_payload', 'cannot be read')
  const where = { kind: 'merge', connection: 'sandbox-twilio', delivery_id: 'dlv_1' } as const
  await it.store.atomic([], [openIssue(it.deps, where, error)])
  await watch.refresh()

  const reader = new DatabaseSync(it.file, { readOnly: true })
  const plans = watch.worked('merge', 'sandbox-twilio').flatMap((query) => {
    const { sql, parameters } = query.compile()
    return reader.prepare(`explain query plan ${sql}`).all(...(parameters as SQLInputValue[]))
  })
  reader.close()
  const used = plans.map(({ detail }) => String(detail)).filter((detail) => /deliveries/.test(detail))
  expect(used).toEqual([expect.stringContaining('deliveries_trouble')])
})

test('a record that was merged or deleted leads to what we made of it through an index', async () => {
  await using it = await install({
    vendors: { ...GENERIC, desk: { use: DESK, settings: DESK_SETTINGS } },
    flows: [{ name: 'f', from: ['pbx', 'desk'], analyze: [], write: ['desk'] }],
  })
  const heard: CompiledQuery[] = []
  it.deps.store = listening(it.store, heard)
  const merged = { change: 'merged', type: 'contact', id: '1', into: '2' } as const
  await it.send('desk', deskWebhook({ changes: [merged, { change: 'deleted', type: 'contact', id: '3' }] }))
  await it.work()
  const reader = new DatabaseSync(it.file, { readOnly: true })
  const used = (table: string) => {
    const mine = heard.filter(({ sql }) => new RegExp(`^(update|delete from) "${table}"`).test(sql))
    const plans = mine.map(({ sql, parameters }) =>
      reader.prepare(`explain query plan ${sql}`).all(...(parameters as SQLInputValue[])),
    )
    return new Set(plans.map(([first]) => /INDEX (\w+)/.exec(String(first?.detail))?.[1]))
  }
  expect(used('writeback_parts')).toEqual(new Set(['writeback_parts_contact']))
  expect(used('people')).toEqual(new Set(['people_record']))
  expect(used('writebacks')).toEqual(new Set(['writebacks_by_record']))
  reader.close()
})

test('a sweep over 50,000 waiting and 50,000 parked steps reads a handful of rows', async () => {
  await using it = await install()
  const { db } = it.store
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle()
  const copies = (state: 'waiting' | 'parked', code: string | null) => ({
    sql: `insert into steps select 'stp_${state}_' || value, 'match', 'sandbox-hubspot', 'call_${state}_' || value, call_id,
      'sandbox-hubspot', 1, 'from-sandbox-twilio', null, '${state}', ?, 0, 0, null, null, ${code === null ? 'null' : `'${code}'`},
      null, null, created_at, updated_at, 0 from (select * from steps where kind = 'merge' limit 1), json_each(?)`,
    parameters: [it.now() + 3_600_000, JSON.stringify(Array.from({ length: 50_000 }, (_, n) => n))],
  })
  for (const { sql: text, parameters } of [copies('waiting', null), copies('parked', 'auth')])
    await it.store.atomic([], [{ compile: () => ({ sql: text, parameters }) as unknown as CompiledQuery }])
  const open = { code: 'auth', says: 'no', failures: 1, opened_at: it.now(), retry_at: it.now() + 3_600_000 }
  await it.store.atomic(
    [],
    [db.insertInto('breakers').values({ connection: 'sandbox-hubspot', state: 'open', ...open })],
  )
  const { sweep, heard } = await sweepOf(it)
  await sweep()
  const before = performance.now()
  heard.length = 0
  await sweep()
  // Not a measurement: a scan of 100,000 rows, or an update of all, would take many times this on any machine.
  expect(performance.now() - before).toBeLessThan(1_000)
  expect(heard.length).toBeLessThan(60)
})
