import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CallFilter, callsQuery, listCalls } from '../../src/store/list-calls.ts'
import type { CallRow } from '../../src/store/schema.ts'
import { openSqliteStore, type SqliteStore } from '../../src/store/sqlite.ts'
import { call, NOW } from '../kit/rows.ts'

const ALICE = { customer_phone: '+447700900123', customer_tail: '0900123' }
/** Another country, the same last seven digits. */
const ALIKE = { customer_phone: '+4930900123', customer_tail: '0900123' }

const STORED: CallRow[] = [
  call('A1', { started_at: NOW + 1, ...ALICE, analysis: '{"summary":"long"}' }),
  call('A2', { started_at: NOW + 2, ...ALIKE, connection: 'support-lyon', state: 'done' }),
  // Three in the same millisecond: the id decides.
  call('B1', { started_at: NOW + 3, direction: 'outbound' }),
  call('B2', { started_at: NOW + 3, result: 'busy' }),
  call('B3', { started_at: NOW + 3, state: 'done' }),
  call('C1', { started_at: NOW + 4, ...ALICE, joined_into: 'call_A1' }),
]

describe('the list of calls', () => {
  let folder = ''
  let store: SqliteStore
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cordboard-list-'))
    store = await openSqliteStore({ file: join(folder, 'cordboard.db') })
    await store.migrate()
    const { db } = store
    const keys = [
      { connection: 'support-paris', external_id: 'ext-A1', call_id: 'call_A1' },
      { connection: 'support-paris', external_id: 'leg 2 of A1', call_id: 'call_A1' },
    ]
    const queries = STORED.map((row) => db.insertInto('calls').values(row))
    await store.atomic([], [...queries, db.insertInto('call_keys').values(keys)])
  })
  afterAll(async () => {
    await store.close()
    await rm(folder, { recursive: true })
  })

  const names = async (filter: CallFilter, limit = 50) => {
    const { rows } = await listCalls(store.db, filter, null, limit)
    return rows.map((row) => row.id.slice('call_'.length))
  }

  it.each<[string, CallFilter, string[]]>([
    ['the latest first', {}, ['B3', 'B2', 'B1', 'A2', 'A1']],
    ['of a number', { phone: { e164: '+447700900123' } }, ['A1']],
    ['of a number and its like', { phone: { e164: '+447700900123', tail: '0900123' } }, ['A2', 'A1']],
    ['of the end of a number', { phone: { tail: '0900123' } }, ['A2', 'A1']],
    ['of no number', { phone: {} }, []],
    ['of a connection', { connection: 'support-lyon' }, ['A2']],
    ['in a state', { state: 'done' }, ['B3', 'A2']],
    ['by direction', { direction: 'outbound' }, ['B1']],
    ['by result', { result: 'busy' }, ['B2']],
    ['from an instant, which belongs to it', { from: NOW + 3 }, ['B3', 'B2', 'B1']],
    ['to an instant, which does not', { to: NOW + 3 }, ['A2', 'A1']],
    ['by our id', { id: 'call_A1' }, ['A1']],
    ['by the id of a call that was joined into it', { id: 'call_C1' }, ['A1']],
    ['by any id of the phone system', { id: 'leg 2 of A1' }, ['A1']],
    ['by an id nobody knows', { id: "' or 1=1" }, []],
    ['by several at once', { state: 'done', connection: 'support-paris', from: NOW }, ['B3']],
  ])('gives them %s', async (_what, filter, expected) => {
    expect(await names(filter)).toEqual(expected)
  })

  it.each([1, 2, 3, 5])('gives each call once when read %i at a time', async (size) => {
    const seen: string[] = []
    let cursor: string | null = null
    let pages = 0
    do {
      const page = await listCalls(store.db, {}, cursor, size)
      seen.push(...page.rows.map((row) => row.id))
      cursor = page.next
      pages += 1
      if (cursor !== null) expect(cursor).toMatch(/^[\w-]+$/)
    } while (cursor !== null)
    expect(seen).toEqual(['call_B3', 'call_B2', 'call_B1', 'call_A2', 'call_A1'])
    expect(pages).toBe(Math.ceil(5 / size))
  })

  it('keeps the limit within bounds', async () => {
    expect(await names({}, 0)).toHaveLength(1)
    expect(await names({}, 1e9)).toHaveLength(5)
  })

  it('says whether there is an analysis, without reading it', async () => {
    const { rows } = await listCalls(store.db, {}, null, 50)
    expect(rows.map((row) => row.analysis)).toEqual([null, null, null, null, '{}'])
    const all = await store.db.selectFrom('calls').selectAll().where('id', '=', 'call_A1').execute()
    expect(rows[4]).toEqual({ ...all[0], analysis: '{}' })
  })

  it.each(['', 'x', '!!!', btoa('1'), btoa("1 ' or 1=1"), btoa('abc call_A1'), 'ö'])(
    'refuses the cursor %j',
    async (cursor) => {
      await expect(listCalls(store.db, {}, cursor, 5)).rejects.toMatchObject({ code: 'bad_request' })
    },
  )

  it.each<[string, CallFilter, boolean?]>([
    ['calls_started', {}],
    ['calls_started', { from: NOW }],
    ['calls_started', { to: NOW }],
    ['calls_started', { from: NOW, to: NOW + 5 }],
    ['calls_phone', { phone: { e164: '+447700900123' } }],
    ['calls_tail', { phone: { tail: '0900123' } }],
    ['calls_connection', { connection: 'support-paris' }],
    ['calls_state', { state: 'done' }],
    ['calls_direction', { direction: 'inbound' }],
    ['calls_result', { result: 'busy' }],
    ['call_keys_external', { id: 'call_A1' }, true],
  ])('reads it from the index %s for %j', async (index, filter, sorts = false) => {
    for (const cursor of [null, btoa(`${NOW} call_A1`).replaceAll('=', '')]) {
      const query = callsQuery(store.db, filter, cursor, 50).compile()
      const plan = await store.db.executeQuery<{ detail: string }>({
        ...query,
        sql: `explain query plan ${query.sql}`,
      })
      const text = plan.rows.map((row) => row.detail).join('\n')
      expect(text).toContain(`USING INDEX ${index}`)
      // In the order of the index: nothing is read that is not shown. By id there are only a few to sort.
      if (!sorts) expect(text).not.toContain('TEMP B-TREE')
      expect(text).not.toMatch(/SCAN (?!calls USING INDEX calls_started$)/m)
    }
  })

  it('has an index for what claims and the sweep look for', async () => {
    const { rows } = await sql<{ detail: string }>`explain query plan
      select id from steps where lane = ${'core'} and state = 'waiting' and due_at <= store_now()
      order by due_at limit 5`.execute(store.db)
    expect(rows.map((row) => row.detail).join()).toContain('steps_due (lane=? AND due_at<?)')
  })
})
