import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Connection } from '../src/config/model.ts'
import type { CrmChange } from '../src/connector/crm-role.ts'
import { crmChanges } from '../src/pipeline/crm-change.ts'
import type { Running } from '../src/pipeline/step.ts'
import { openPostgresStore, type PostgresStore } from '../src/store/postgres.ts'
import { storeDeps } from './kit/deps.ts'
import { freshDatabase } from './services/postgres.ts'
import { callRow, deliveryRow, stepRow } from './unit/http-world.ts'

// What a CRM tells of its records is told in test/scenarios/crm-changes.test.ts, on SQLite. The same statements on
// PostgreSQL.

const NOW = Date.UTC(2026, 10, 20, 12)
let database: Awaited<ReturnType<typeof freshDatabase>>
let store: PostgresStore
const now = () => NOW

beforeAll(async () => {
  database = await freshDatabase()
  store = await openPostgresStore({ url: database.url, clock: now })
  await store.migrate()
})
afterAll(async () => {
  await store.close()
  await database.drop()
})

/** A merge under way, as the pipeline has it. */
function running(): Running {
  return {
    deps: storeDeps(store, now),
    step: stepRow(),
    connection: { id: 'crm' } as Connection,
    signal: new AbortController().signal,
    context: () => {
      throw new Error('nobody is asked')
    },
    commit: async (queries) => {
      const rows = await store.atomic([], queries)
      return rows === 'lost' ? [] : rows
    },
  }
}

async function change(...changes: CrmChange[]): Promise<string[]> {
  const { queries, says } = await crmChanges(running(), changes)
  await store.atomic([], queries)
  return says
}

test('merged, deleted and erased records take their calls with them', async () => {
  const { db } = store
  const writeback = (id: string, call: string, record: string, candidates = '[]') => {
    const of = { id, call_id: call, connection: 'crm', state: 'written' as const, candidates, chosen: 0 }
    const target = { target_type: 'contact', target_id: record, target_reason: 'same number' }
    return db.insertInto('writebacks').values({ ...of, ...target, matched_at: NOW, written_at: NOW })
  }
  const calls = Array.from({ length: 50 }, () => callRow({ customer_phone: '+33639980001' }))
  const joined = callRow({ joined_into: calls[0]?.id ?? '' })
  const [other, told] = [callRow(), deliveryRow()]
  const event = { connection: 'support', event_key: 'k', call_id: other.id, phase: 'ended', event: '{}' }
  const candidates = JSON.stringify([
    { type: 'contact', id: '1', name: 'Anne', reason: 'same number' },
    { type: 'contact', id: '2', name: 'Bruno', reason: 'same number' },
  ])
  await store.atomic(
    [],
    [
      ...[...calls, joined, other].map((row) => db.insertInto('calls').values(row)),
      ...calls.slice(1).map((row, n) => writeback(`wbk_${n}`, row.id, n % 2 === 0 ? '0' : '1')),
      writeback('wbk_joined', joined.id, '1'),
      writeback('wbk_other', other.id, '2', candidates),
      db.insertInto('deliveries').values(told),
      db.insertInto('events').values({ ...event, delivery_id: told.id, received_at: NOW }),
      db.insertInto('writeback_parts').values({
        ...{ writeback_id: 'wbk_other', part: 'contact', kind: 'contact', external_id: '2', intent_at: null },
        ...{ hash: 'h', fields: null, written_at: NOW },
      }),
      db.insertInto('people').values({
        ...{ connection: 'crm', phone: '+33639980001', writeback_id: 'wbk_0', created_at: NOW },
        ...{ external_type: 'contact', external_id: '1' },
      }),
    ],
  )
  const says = await change(
    { change: 'merged', type: 'contact', id: '0', into: '1' },
    { change: 'erased', type: 'contact', id: '1' },
  )
  expect(says).toEqual(['contact merged', '50 calls erased with their contact'])
  const left = await db.selectFrom('writebacks').select(['id', 'candidates']).execute()
  expect(left.map(({ id }) => id)).toEqual(['wbk_other'])
  expect(left[0]?.candidates).not.toContain('Anne')
  expect(await db.selectFrom('calls').select('id').execute()).toEqual([{ id: other.id }])
  expect(await db.selectFrom('people').selectAll().execute()).toEqual([])

  await change({ change: 'deleted', type: 'contact', id: '2' })
  const part = await db.selectFrom('writeback_parts').select(['external_id', 'hash']).execute()
  expect(part).toEqual([{ external_id: null, hash: null }])
  await store.atomic([], [db.updateTable('writebacks').set({ target_type: 'contact', target_id: '3' })])
  await change({ change: 'erased', type: 'contact', id: '3' })
  for (const table of ['calls', 'events', 'deliveries', 'writebacks', 'writeback_parts'] as const)
    expect(await db.selectFrom(table).selectAll().execute()).toEqual([])
})
