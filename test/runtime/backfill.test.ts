import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { serve } from '@hono/node-server'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createSandbox } from '../../connectors/twilio/sandbox.ts'
import type { SampleCall, VendorSandbox } from '../../src/connector/sandbox.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { testSigner } from '../kit/signer.ts'

/** `cordboard backfill` and `cordboard subscribe` as people type them, with a vendor's stand-in on this machine. */

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const ACCOUNT = { accountSid: `AC${'5'.repeat(32)}`, authToken: 'token-of-the-backfill-test' }
const HOUR_MS = 3_600_000

let vendor: VendorSandbox
let folder: string
let server: ReturnType<typeof serve>
beforeAll(async () => {
  const fetch = (request: Request) => vendor.app.fetch(request)
  const at = await new Promise<AddressInfo>((resolve) => {
    server = serve({ port: 0, hostname: '127.0.0.1', fetch }, resolve)
  })
  const baseUrl = `http://127.0.0.1:${at.port}`
  let n = 0
  vendor = createSandbox({
    now: Date.now,
    random: () => (++n * 0.618) % 1,
    later: (_, work) => setImmediate(work),
    baseUrl,
    signer: testSigner,
    account: ACCOUNT,
    deliver: async () => ({ status: 200 }),
    transcriptOf: () => null,
  })
  for (const hours of [2, 30, 60, 100]) vendor.place?.(call(hours))
  folder = mkdtempSync(join(tmpdir(), 'cordboard-backfill-'))
  const { authToken: _, accountSid } = ACCOUNT
  const phone = {
    use: 'twilio',
    accountSid,
    baseUrl,
    authToken: { $secret: 'TOKEN' },
    allowPrivate: ['127.0.0.1'],
  }
  const config = { connections: { phone }, flows: [{ from: ['phone'], analyze: [], write: [] }] }
  writeFileSync(join(folder, 'cordboard.config.json'), JSON.stringify(config))
  const store = await openSqliteStore({ file: join(folder, '.data', 'cordboard.db') })
  await store.migrate()
  await store.close()
})
afterAll(async () => {
  rmSync(folder, { recursive: true })
  await new Promise<void>((resolve) => server.close(() => resolve()))
})

const call = (hoursAgo: number): SampleCall => ({
  id: `call-${hoursAgo}`,
  direction: 'inbound',
  customerPhone: '+33639980001',
  ownPhone: '+33199001234',
  agent: { extension: '101', name: 'Alice Martin' },
  result: 'answered',
  startedAt: Date.now() - hoursAgo * HOUR_MS,
  ringMs: 4_000,
  talkMs: 50_000,
})

async function cordboard(...words: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const env = {
    PATH: process.env.PATH,
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
    TOKEN: ACCOUNT.authToken,
  }
  const child = spawn(process.execPath, [MAIN, ...words], { cwd: folder, env })
  let out = ''
  let err = ''
  child.stdout.on('data', (piece) => {
    out += piece
  })
  child.stderr.on('data', (piece) => {
    err += piece
  })
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  return { code, out, err }
}

it('reads a vendor’s list without a server, counts, and stores nothing twice', async () => {
  const first = await cordboard('backfill', 'phone', '--since', '3d', '--json')
  expect([first.code, first.err]).toEqual([0, expect.stringContaining('cordboard serve')])
  expect(JSON.parse(first.out)).toMatchObject({ state: 'done', listed: 3, new: 3, known: 0 })
  const again = await cordboard('backfill', 'phone', '--since', '3d')
  expect([again.code, again.out]).toEqual([0, '3 calls listed: 0 new, 3 known; 0 events stored\n'])
}, 60_000)

it('says what is wrong with what was asked for', async () => {
  const unknown = 'bfl_01JDX3M8E0W5H4ZK6R2T9QYBVC'
  const [nobody, later, none, hook, stop, batch] = await Promise.all([
    cordboard('backfill', 'nobody', '--since', '3d'),
    cordboard('backfill', 'phone', '--since', '3d', '--until', '4d'),
    cordboard('backfill', 'phone'),
    cordboard('subscribe', 'phone'),
    cordboard('backfill', '--stop', unknown),
    cordboard('import', '--stop', unknown.replace('bfl', 'imp')),
  ])
  expect([stop.code, stop.err]).toEqual([
    1,
    expect.stringContaining(`There is no backfill ${unknown} under way`),
  ])
  expect([batch.code, batch.err]).toEqual([1, expect.stringContaining('There is no batch imp_')])
  expect([nobody.code, nobody.err]).toEqual([1, expect.stringContaining('There is no connection nobody')])
  expect([later.code, later.err]).toEqual([2, expect.stringContaining('since must lie before until')])
  expect([none.code, none.err]).toEqual([2, expect.stringContaining('--since')])
  expect([hook.code, hook.err]).toEqual([2, expect.stringContaining('cannot be created by its API')])
}, 60_000)
