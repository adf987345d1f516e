import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { reconciliationFindings } from '../../src/cli/doctor/reconciliation.ts'
import { refusalFindings } from '../../src/cli/doctor/refusals.ts'
import type { Connection } from '../../src/config/model.ts'
import { type Listing, NOTHING, saveListing } from '../../src/pipeline/listing.ts'
import { countMissed } from '../../src/pipeline/missed.ts'
import { openSqliteStore, type SqliteStore } from '../../src/store/sqlite.ts'
import { entry } from '../kit/rows.ts'

const NOW = Date.UTC(2026, 10, 20, 12)
const HOUR_MS = 3_600_000
const pbx = {
  id: 'pbx',
  connector: { id: 'acme' },
  reconcile: { everyMs: HOUR_MS, overMs: 24 * HOUR_MS },
} as Connection

let store: SqliteStore
let folder: string
async function open() {
  folder = await mkdtemp(join(tmpdir(), 'cordboard-doctor-'))
  store = await openSqliteStore({ file: join(folder, 'cordboard.db') })
  await store.migrate()
}
afterEach(async () => {
  await store.close()
  await rm(folder, { recursive: true })
})

const look = (connection = pbx) =>
  reconciliationFindings(
    {
      db: store.db,
      now: () => NOW,
      running: null,
      configured: { services: { databaseUrl: 'postgres://db' } },
    } as unknown as Parameters<typeof reconciliationFindings>[0],
    connection,
  )
const at = (agoMs: number) => ({ store, now: () => NOW - agoMs })

it('tells of calls that no webhook told of lately, and of nothing where nothing is compared', async () => {
  await open()
  expect(await look()).toEqual([])
  await store.atomic([], [countMissed(at(9 * 24 * HOUR_MS), 'pbx')])
  expect(await look()).toEqual([])
  await store.atomic([], [countMissed(at(HOUR_MS), 'pbx')])
  expect(await look()).toMatchObject([{ level: 'warning', says: expect.stringContaining('2 calls came') }])
  expect(await look({ ...pbx, reconcile: undefined })).toEqual([])
})

it('tells when the list has not been read to its end for several turns', async () => {
  await open()
  const listing: Listing = {
    id: 'pbx',
    connection: 'pbx',
    since: 0,
    until: 1,
    at: 0,
    spanMs: 1,
    begun: true,
    counts: NOTHING,
    startedAt: NOW,
    endedAt: null,
    watchedSince: NOW - 9 * HOUR_MS,
    lastAt: NOW - 3 * HOUR_MS,
  }
  await store.atomic([], [saveListing(at(0), listing)])
  expect(await look()).toEqual([])
  await store.atomic([], [saveListing(at(0), { ...listing, lastAt: NOW - 5 * HOUR_MS })])
  expect(await look()).toMatchObject([
    { level: 'warning', says: expect.stringContaining('last read to its end') },
  ])
})

it('still tells of refused webhooks when the list has brought calls since', async () => {
  await open()
  const at = NOW - HOUR_MS
  const list = entry('by-list', { delivery: { connection: 'pbx', role: 'list', received_at: NOW } })
  await store.append(list)
  const sample = JSON.stringify({ reason: 'the signature does not fit', hint: 'header' })
  const row = { connection: 'pbx', code: 'webhook_signature', hour_at: at, count: 3, last_at: at, sample }
  await store.atomic([], [store.db.insertInto('refusals').values(row)])
  const verify = () => ({ scheme: 'token', place: { header: 'x-token' }, secrets: ['secret-of-this-test'] })
  const signed = { ...pbx, connector: { id: 'acme', name: 'Acme', telephony: { webhook: { verify } } } }
  const patient = { db: store.db, now: () => NOW, configured: { config: {} } }
  const found = await refusalFindings(
    patient as unknown as Parameters<typeof refusalFindings>[0],
    signed as unknown as Connection,
  )
  expect(found).toMatchObject([
    { level: 'problem', says: expect.stringContaining('3 deliveries were refused') },
  ])
})
