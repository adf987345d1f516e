import { afterAll, beforeAll, expect, test } from 'vitest'
import type { AnalysisRole, BatchSide, SubmitRequest } from '../src/connector/contract.ts'
import { CordboardError } from '../src/errors.ts'
import { halve, handBack, sent } from '../src/pipeline/batch-end.ts'
import { close, gatherOf, join } from '../src/pipeline/gather.ts'
import type { Outcome, Running } from '../src/pipeline/step.ts'
import { openPostgresStore, type PostgresStore } from '../src/store/postgres.ts'
import type { BatchRow, SubmissionRow } from '../src/store/schema.ts'
import { seeded } from './scenarios/installation.ts'
import { freshDatabase } from './services/postgres.ts'
import { stepRow } from './unit/http-world.ts'

// What gathering does is told in test/scenarios, on SQLite, which knows one writer. Here many workers join, and one closes
// what they are joining.

const NOW = Date.UTC(2026, 10, 20, 12)
const random = seeded(5)
const COUNT = 6
let database: Awaited<ReturnType<typeof freshDatabase>>
let store: PostgresStore

beforeAll(async () => {
  database = await freshDatabase()
  store = await openPostgresStore({ url: database.url, clock: () => NOW })
  await store.migrate()
})
afterAll(async () => {
  await store.close()
  await database.drop()
})

const side: BatchSide<unknown> = {
  maxCount: 100,
  maxBytes: 1e9,
  maxAgeMs: 1e6,
  validate: () => undefined,
  submit: async () => [],
}

function running(connection: string, nth: number): Running {
  const step = stepRow({
    id: `stp_${String(nth).padStart(26, '0')}`,
    kind: 'submit',
    connection,
    lane: connection,
    state: 'waiting',
  })
  return {
    deps: { store, now: () => NOW, random, queue: { wake: () => undefined } },
    step,
    connection: {
      id: connection,
      settings: {},
      region: undefined,
      connector: { analysis: { batch: side } as unknown as AnalysisRole<unknown> },
      gather: { count: COUNT, bytes: 1e6, ageMs: 60_000 },
    },
    commit: (queries: Parameters<Running['commit']>[0]) => store.atomic([], queries),
  } as unknown as Running
}

async function gather(connection: string, nth: number): Promise<Outcome> {
  const one = running(connection, nth)
  await store.atomic([], [store.db.insertInto('steps').values(one.step)])
  const limits = gatherOf(one)
  if (!limits) throw new Error('it gathers')
  const request = {
    text: { turns: [{ party: 'agent', text: 'x'.repeat(nth % 50) }] },
  } as unknown as SubmitRequest
  return join(one, limits, { id: `sub_${String(nth).padStart(26, '0')}` } as SubmissionRow, request)
}

const batches = (connection: string) =>
  store.db
    .selectFrom('batches')
    .selectAll()
    .where('connection', '=', connection)
    .orderBy('created_at')
    .execute()
const members = async (batch: string) => {
  const rows = await store.db.selectFrom('batch_members').selectAll().where('batch_id', '=', batch).execute()
  return rows.map((row) => ({ ...row, bytes: Number(row.bytes) }))
}
const commit = ({ queries = [], next = [] }: Outcome) =>
  store.atomic([], [...queries, ...next.map((step) => store.db.insertInto('steps').values(step))])

test('workers that join at once, while others close, are each in one batch, and it knows how many', async () => {
  const joining = Array.from({ length: 60 }, (_, nth) => gather('races', nth))
  const closer = (async () => {
    for (let i = 0; i < 30; i++) {
      for (const { id: batch } of await batches('races'))
        await store.atomic([], close(running('races', 900), batch))
    }
  })()
  await Promise.all([...joining, closer])
  const all = await batches('races')
  const counted = await Promise.all(
    all.map(async (batch) => {
      const inside = await members(batch.id)
      expect([Number(batch.count), Number(batch.bytes)]).toEqual([
        inside.length,
        inside.reduce((sum, { bytes }) => sum + bytes, 0),
      ])
      expect(inside.length).toBeLessThanOrEqual(COUNT)
      return inside.length
    }),
  )
  expect(counted.reduce((sum, one) => sum + one, 0)).toBe(60)
  expect(all.filter(({ state }) => state === 'gathering').length).toBeLessThanOrEqual(1)
})

test('a batch is halved, given back and sent', async () => {
  for (let nth = 100; nth < 105; nth++) await gather('ends', nth)
  const [row] = (await batches('ends')) as [BatchRow]
  const worker = running('ends', 901)
  await commit(await halve(worker, row, 5))
  const other = (await batches('ends')).find((one) => one.id !== row.id) as BatchRow
  expect([(await members(row.id)).length, (await members(other.id)).length]).toEqual([3, 2])
  const error = new CordboardError('auth', 'No', { vendorSaid: 'no' })
  await commit(
    handBack({ ...worker, step: { ...worker.step, attempts: 2 } }, { ...row, checkpoint: '{}' }, error),
  )
  expect((await members(row.id)).map(({ failed }) => JSON.parse(failed ?? '{}').code)).toEqual(
    Array(3).fill('auth'),
  )
  await commit(sent(worker, other, 'handed over'))
  const steps = await store.db
    .selectFrom('steps')
    .select(['attempts', 'awaiting'])
    .where('connection', '=', 'ends')
    .where('kind', '=', 'submit')
    .orderBy('id')
    .execute()
  expect(steps.map(({ attempts }) => Number(attempts))).toEqual([2, 2, 2, 0, 0])
})
