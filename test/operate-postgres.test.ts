import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Config } from '../src/config/model.ts'
import { auditRow } from '../src/pipeline/audit.ts'
import { createBreakers } from '../src/pipeline/breaker.ts'
import type { Deps } from '../src/pipeline/deps.ts'
import { createIssueWatch } from '../src/pipeline/issues.ts'
import { goOnReplaying, openReplays, replayDeliveries, stopReplay } from '../src/pipeline/replay.ts'
import { enforceRetention } from '../src/pipeline/retention.ts'
import { createStandstillWatch, oldestWaiting } from '../src/pipeline/standstill.ts'
import { createSweep } from '../src/pipeline/sweep.ts'
import { createTurn, sinceSweep } from '../src/pipeline/turn.ts'
import { openPostgresStore, type PostgresStore } from '../src/store/postgres.ts'
import { storeDeps } from './kit/deps.ts'
import { seeded } from './scenarios/installation.ts'
import { freshDatabase } from './services/postgres.ts'
import { attemptRow, callRow, deliveryRow, id, stepRow } from './unit/http-world.ts'

// What keeps an installation going is told in test/scenarios, on SQLite. The same statements on PostgreSQL, where several
// processes really run them at once.

const START = Date.UTC(2026, 10, 20, 12)
const DAY = 86_400_000
const ACTOR = { actor: 'operator', dryRun: false } as const

let database: Awaited<ReturnType<typeof freshDatabase>>
let store: PostgresStore
let clock = START
const now = () => clock
const random = seeded(3)

const keep = { audioMs: undefined, transcriptMs: 2 * DAY, deliveriesMs: 2 * DAY, callsMs: 7 * DAY }
const deps = (): Deps => storeDeps(store, now, { keep, random })

beforeAll(async () => {
  database = await freshDatabase()
  store = await openPostgresStore({ url: database.url, clock: now })
  await store.migrate()
})
afterAll(async () => {
  await store.close()
  await database.drop()
})
beforeEach(async () => {
  clock = START
  const tables = ['settings', 'steps', 'deliveries', 'issues', 'calls', 'attempts', 'refusals'] as const
  await store.atomic(
    [],
    tables.map((table) => store.db.deleteFrom(table)),
  )
})

test('of thirty workers that want the turn at once one gets it, and only when it is over', async () => {
  const turns = Array.from({ length: 30 }, () => createTurn(store, 5_000))
  const taken = async () => {
    const all = await Promise.all(turns.map((turn) => turn.take()))
    return all.flatMap((isOurs, at) => (isOurs ? [at] : []))
  }
  expect(await sinceSweep(store)).toBeNull()
  const [first, ...others] = await taken()
  expect(others).toEqual([])
  for (let n = 0; n < 5; n++) {
    clock += 2_000
    expect(await taken()).toEqual([first])
  }
  clock += 5_000
  expect(await sinceSweep(store)).toBeGreaterThanOrEqual(5_000)
  expect(await taken()).toHaveLength(1)
  expect(await turns[7]?.take(true)).toBe(true)
  expect(await taken()).toEqual([7])
})

test('the oldest due step of each lane is found, and one that nobody takes opens an issue', async () => {
  const rows = [
    stepRow({ lane: 'b', due_at: START - 5_000 }),
    stepRow({ lane: 'b', due_at: START - 9_000 }),
    stepRow({ lane: 'a-b', due_at: START + 9_000 }),
    stepRow({ lane: 'c', state: 'done' }),
  ]
  await store.atomic(
    [],
    rows.map((row) => store.db.insertInto('steps').values(row)),
  )
  const oldest = await oldestWaiting(store)
  expect(oldest.map(({ lane, dueForMs }) => [lane, dueForMs]).sort()).toEqual([
    ['a-b', -9_000],
    ['b', 9_000],
  ])
  const watch = createStandstillWatch(deps())
  for (let n = 0; n < 40; n++) {
    await watch(await oldestWaiting(store), [])
    clock += 2_000
  }
  const issues = store.db.selectFrom('issues').select(['connection', 'code', 'state', 'count'])
  expect(await issues.orderBy('connection').execute()).toMatchObject([
    { connection: 'a-b', code: 'standstill', state: 'open' },
    { connection: 'b', code: 'standstill', state: 'open' },
  ])
  await store.atomic([], [store.db.deleteFrom('steps')])
  await watch(await oldestWaiting(store), [])
  expect((await issues.execute()).map(({ state }) => state)).toEqual(['resolved', 'resolved'])
})

test('a replay that three processes go on with at once puts each delivery through once, and can be stopped', async () => {
  const rows = Array.from({ length: 2_500 }, (_, n) => deliveryRow({ received_at: START - 60_000 + n }))
  for (let at = 0; at < rows.length; at += 500)
    await store.atomic(
      [],
      rows.slice(at, at + 500).map((row) => store.db.insertInto('deliveries').values(row)),
    )
  const mine = deps()
  const answer = await replayDeliveries(mine, { state: 'used', since: START - 60_000 }, ACTOR)
  expect(answer).toMatchObject({ matched: 2_500, replayed: 1_000 })
  const read = store.db.updateTable('steps').set({ state: 'done' })
  while ((await openReplays(mine)).length > 0) {
    clock += 2_000
    await store.atomic([], [read])
    await Promise.all([goOnReplaying(deps()), goOnReplaying(deps()), goOnReplaying(deps())])
    if (clock > START + 60_000) throw new Error('the replay does not end')
  }
  const steps = await store.db.selectFrom('steps').select(['subject', 'generation']).execute()
  expect([steps.length, new Set(steps.map(({ subject }) => subject)).size]).toEqual([2_500, 2_500])

  const { replay = '' } = await replayDeliveries(mine, { connection: 'support' }, ACTOR)
  expect(await stopReplay(mine, replay, ACTOR)).toMatchObject({ replayed: 1_000 })
  expect(await openReplays(mine)).toEqual([])
})

test('retention leaves nothing of what is over, and all of what is not', async () => {
  const { db } = store
  const over = Array.from({ length: 60 }, (_, n) =>
    callRow({ started_at: START - 8 * DAY + n, id: id('call') }),
  )
  const young = callRow({ started_at: START - 6 * DAY })
  const joined = callRow({ joined_into: over[0]?.id ?? '', started_at: START - DAY })
  const calls = [...over, young, joined]
  const wbk = calls.map((call) => ({ id: id('wbk'), call_id: call.id }))
  const people = Array.from({ length: 30 }, (_, n) => ({
    connection: 'crm',
    phone: `+4470090000${n + 10}`,
    writeback_id: 'wbk',
    external_type: null,
    external_id: null,
    created_at: START - (n % 2 === 0 ? 8 : 6) * DAY,
  }))
  const refusal = { connection: 'support', code: 'too_large', count: 1, last_at: 0, sample: '{}' }
  await store.atomic(
    [],
    [
      ...calls.flatMap((call, n) => [
        db.insertInto('calls').values(call),
        db.insertInto('steps').values(stepRow({ call_id: call.id, state: 'done' })),
        db.insertInto('attempts').values(attemptRow({ call_id: call.id, at: call.started_at })),
        db.insertInto('call_keys').values({ connection: 'support', external_id: `${n}`, call_id: call.id }),
        db.insertInto('writeback_parts').values({
          writeback_id: wbk[n]?.id ?? '',
          part: 'call',
          kind: 'call',
          intent_at: null,
          external_id: '1',
          hash: null,
          fields: null,
          written_at: null,
        }),
        db.insertInto('writebacks').values({
          id: wbk[n]?.id ?? '',
          call_id: call.id,
          connection: 'crm',
          state: 'written',
          target_type: null,
          target_id: null,
          target_reason: null,
          candidates: '[]',
          chosen: 0,
          matched_at: null,
          written_at: null,
        }),
      ]),
      ...people.map((person) => db.insertInto('people').values(person)),
      ...[9, 3].map((days) =>
        db.insertInto('attempts').values(attemptRow({ id: id('att', START - days * DAY), call_id: null })),
      ),
      ...[9, 6, 1].map((days) =>
        db
          .insertInto('deliveries')
          .values(
            deliveryRow({ received_at: START - days * DAY, state: days === 1 ? 'used' : 'unreadable' }),
          ),
      ),
      ...[9, 1].map((days) => db.insertInto('refusals').values({ ...refusal, hour_at: START - days * DAY })),
      auditRow({ ...deps(), now: () => START - 800 * DAY }, 'admin', 'replay', 'filter', ''),
    ],
  )
  await enforceRetention(deps())
  const count = async (
    table: 'calls' | 'steps' | 'attempts' | 'call_keys' | 'writebacks' | 'writeback_parts',
  ) => (await db.selectFrom(table).selectAll().execute()).length
  const left = []
  for (const table of ['calls', 'steps', 'attempts', 'call_keys', 'writebacks', 'writeback_parts'] as const)
    left.push(await count(table))
  expect(left).toEqual([1, 1, 1, 1, 1, 1])
  expect(await db.selectFrom('people').select('phone').execute()).toHaveLength(15)
  expect(await db.selectFrom('deliveries').select('state').orderBy('id').execute()).toEqual([
    { state: 'unreadable' },
    { state: 'used' },
  ])
  expect(await db.selectFrom('refusals').select('code').execute()).toHaveLength(1)
  const old = db
    .selectFrom('audit')
    .select('id')
    .where('id', '<', id('aud', START - 700 * DAY))
  expect(await old.execute()).toEqual([])
})

test('a sweep lets go what may go on, past what has to stay where it is', async () => {
  const { db } = store
  const flow = { name: 'main', analyze: [] }
  const config = {
    ...deps().config,
    connections: new Map([['crm', { id: 'crm', connector: {} }]]),
    flows: [flow],
  } as unknown as Config
  const its = { ...deps(), config }
  const parked = (code: string, n: number, fields: Partial<Parameters<typeof stepRow>[0]> = {}) =>
    stepRow({ id: `stp_${code}${n}`, kind: 'write', connection: 'crm', state: 'parked', code, ...fields })
  const waiting = (n: number) =>
    callRow({ id: `call_${n}`, external_id: `c${n}`, state: 'waiting', wait_until: START - 10 + n })
  const merge = (n: number) =>
    stepRow({
      kind: 'merge',
      subject: `call_${n}`,
      connection: waiting(n).connection,
      generation: waiting(n).version,
      state: 'parked',
      code: 'connection_gone',
    })
  const gone = { call_id: 'call_x', kind: 'submit' } as const
  const rows = [
    ...[1, 2, 3].map((n) => parked('flow_gone', n, { flow: 'nobody has it' })),
    ...[1, 2, 3].map((n) => parked('connection_gone', n, gone)),
    parked('quota', 1),
    ...[1, 2, 3].map((n) => parked('config', n, { updated_at: START - 1 })),
    merge(1),
    merge(2),
  ]
  const calls = [...[1, 2, 3].map(waiting), callRow({ id: 'call_x', connection: 'nobody has it' })]
  await store.atomic(
    [],
    [
      ...rows.map((row) => db.insertInto('steps').values(row)),
      ...calls.map((row) => db.insertInto('calls').values(row)),
    ],
  )
  const watch = { breakers: createBreakers(its), issues: createIssueWatch(its) }
  const sweep = createSweep(its, watch, 20_000, { room: 2, erasures: 0 })
  const left = async () => {
    const stuck = await db.selectFrom('steps').select('code').where('state', '=', 'parked').execute()
    return Object.fromEntries(
      ['quota', 'config', 'flow_gone', 'connection_gone'].map((code) => [
        code,
        stuck.filter((row) => row.code === code).length,
      ]),
    )
  }
  await sweep()
  await sweep()
  expect(await left()).toEqual({ quota: 0, config: 0, flow_gone: 3, connection_gone: 5 })
  const merges = await db.selectFrom('steps').select('subject').where('kind', '=', 'merge').execute()
  expect(merges.map(({ subject }) => subject).toSorted()).toEqual(['call_1', 'call_2', 'call_3'])
})
