import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { CordboardError } from '../../src/errors.ts'
import { createBreakers } from '../../src/pipeline/breaker.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'

// How long a connection is left alone: after a vendor was down for a moment, and while it stays down.

const DOWN = new CordboardError('timeout', 'silent')

async function world() {
  const folder = await mkdtemp(join(tmpdir(), 'cordboard-breaker-'))
  const store = await openSqliteStore({ file: join(folder, 'store.db') })
  await store.migrate()
  let now = 1_000_000
  const silent = () => undefined
  const config = { connections: new Map([['crm', {}]]) } as never
  const log = { debug: silent, info: silent, warn: silent, error: silent }
  const breakers = createBreakers({ store, now: () => now, random: () => 0.5, log, config })
  const row = () =>
    store.db.selectFrom('breakers').selectAll().where('connection', '=', 'crm').executeTakeFirstOrThrow()
  return {
    breakers,
    row,
    async fail(times: number) {
      for (let i = 0; i < times; i += 1) await store.atomic([], breakers.failed('crm', DOWN))
    },
    async pauseMs() {
      return ((await row()).retry_at ?? 0) - now
    },
    pass(ms: number) {
      now += ms
    },
    async succeed() {
      await store.atomic([], breakers.succeeded('crm'))
    },
    async [Symbol.asyncDispose]() {
      await store.close()
      await rm(folder, { recursive: true })
    },
  }
}

describe('a breaker', () => {
  it('opens for 15 s however many steps were under way and failed with the first', async () => {
    await using it = await world()
    await it.fail(4)
    expect((await it.row()).state).toBe('closed')
    await it.fail(28)
    expect((await it.row()).state).toBe('open')
    expect(await it.pauseMs()).toBe(15_000)
  })

  it('lets one step try when the pause is over, and waits longer each time that one fails, up to 5 min', async () => {
    await using it = await world()
    await it.fail(16)
    const pauses: number[] = []
    for (let tries = 0; tries < 7; tries += 1) {
      it.pass(await it.pauseMs())
      expect(it.breakers.room('crm', 8)).toEqual({ room: 1, at: null })
      // Looking at the store again, as every sweep does, makes room for no second one.
      await it.breakers.refresh()
      expect(it.breakers.room('crm', 8).room).toBe(0)
      await it.fail(1)
      pauses.push(await it.pauseMs())
    }
    expect(pauses).toEqual([30_000, 60_000, 120_000, 240_000, 300_000, 300_000, 300_000])
  })

  it('closes with the first answer, and begins anew', async () => {
    await using it = await world()
    await it.fail(5)
    it.pass(15_000)
    expect(it.breakers.room('crm', 8).room).toBe(1)
    await it.succeed()
    expect(await it.row()).toMatchObject({ state: 'closed', failures: 0, retry_at: null })
    expect(it.breakers.room('crm', 8).room).toBe(8)
    await it.fail(5)
    expect(await it.pauseMs()).toBe(15_000)
  })

  it('lets another one try when nothing was heard of the first for as long as a pause', async () => {
    await using it = await world()
    await it.fail(5)
    it.pass(15_000)
    expect(it.breakers.room('crm', 8).room).toBe(1)
    expect(it.breakers.room('crm', 8).room).toBe(0)
    it.pass(15_000)
    expect(it.breakers.room('crm', 8).room).toBe(1)
  })
})
