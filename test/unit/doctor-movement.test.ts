import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { movementFindings } from '../../src/cli/doctor/movement.ts'
import type { Config, Connection } from '../../src/config/model.ts'
import { EMBEDDED } from '../../src/node/services.ts'
import type { StepRow } from '../../src/store/schema.ts'
import { openSqliteStore, type SqliteStore } from '../../src/store/sqlite.ts'
import { stepRow } from './http-world.ts'

// "Nothing moves" has several causes, and the doctor names the one it is: a cluster without a worker looks healthy otherwise.

const NOW = Date.UTC(2026, 10, 20, 12)
const MINUTE = 60_000

let store: SqliteStore
let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cordboard-moves-'))
  store = await openSqliteStore({ file: join(folder, 'cordboard.db'), clock: () => NOW })
  await store.migrate()
})
afterEach(async () => {
  await store.close()
  await rm(folder, { recursive: true })
})

const config = { connections: new Map([['crm', {} as Connection]]) } as unknown as Config

async function findings(shared: boolean, isRunning = true) {
  const services = shared ? { ...EMBEDDED, databaseUrl: 'postgres://host.invalid/db' } : EMBEDDED
  const configured = { file: '', config, secrets: [], originOf: () => null, services }
  const running = isRunning ? { pid: 1, url: 'http://127.0.0.1:8080', startedAt: '' } : null
  const found = await movementFindings(store.db, { configured, running, now: () => NOW })
  return found.map(({ level, connection, says }) => `${level} ${connection ?? '-'}: ${says}`)
}

const swept = (ago: number) =>
  store.atomic(
    [],
    [store.db.insertInto('settings').values({ name: 'sweep', value: 'w', updated_at: NOW - ago })],
  )
const steps = (...rows: Partial<StepRow>[]) =>
  store.atomic(
    [],
    rows.map((row) =>
      store.db.insertInto('steps').values(stepRow({ lane: 'crm', connection: 'crm', ...row })),
    ),
  )

describe('the doctor, where nothing moves', () => {
  it('says nothing while everything does', async () => {
    await swept(3_000)
    await steps({ due_at: NOW - 5_000 }, { due_at: NOW + MINUTE }, { state: 'done' })
    expect(await findings(true)).toEqual([])
  })

  it('names a cluster in which no worker runs, and nothing else of what follows from that', async () => {
    await steps({ due_at: NOW - 30 * MINUTE })
    expect(await findings(true)).toEqual(['problem -: no worker has ever looked for work'])
    await swept(10 * MINUTE)
    expect(await findings(true)).toEqual(['problem -: no worker has looked for work for 10 min'])
    expect(await findings(false)).toEqual(['problem -: no worker has looked for work for 10 min'])
    expect(await findings(false, false)).toEqual([
      'problem crm: due steps wait, the oldest for 30 min: no worker takes them',
    ])
  })

  it('names what holds each lane', async () => {
    await swept(0)
    await steps({ due_at: NOW - 5 * MINUTE }, { lane: 'removed', due_at: NOW - 5 * MINUTE })
    expect(await findings(true)).toEqual([
      'problem crm: due steps wait, the oldest for 5 min: no worker takes them',
      'problem removed: due steps wait, the oldest for 5 min: the configuration has no such connection',
    ])
    await steps({ state: 'working', lease: 'l', lease_until: NOW + 9_000 })
    expect((await findings(true))[0]).toBe(
      'warning crm: due steps wait, the oldest for 5 min: 1 of its steps are under way',
    )
    const open = { state: 'open', code: 'vendor_down', says: '', failures: 5, retry_at: NOW } as const
    const row = { connection: 'crm', ...open, opened_at: NOW - 4 * MINUTE }
    await store.atomic([], [store.db.insertInto('breakers').values(row)])
    expect((await findings(true))[0]).toBe(
      'warning crm: due steps wait, the oldest for 5 min: its breaker has been open for 4 min (vendor_down)',
    )
  })

  it('names what is parked or dead, and for what, without listing for ever', async () => {
    await swept(0)
    await steps(
      ...Array.from({ length: 3 }, () => ({ state: 'parked', code: 'auth' }) as const),
      ...Array.from(
        { length: 7 },
        (_, n) => ({ state: 'dead', code: 'rejected', connection: `c${n}` }) as const,
      ),
    )
    const found = await findings(true)
    expect(found[0]).toBe('warning crm: 3 steps parked (auth)')
    expect(found).toHaveLength(6)
    expect(found.at(-1)).toBe('warning -: 3 more steps are stuck')
  })
})
