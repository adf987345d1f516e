import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '../../src/node/free-port.ts'
import { writeSandboxConfig } from '../../src/sandbox/config-file.ts'
import { type RunningSandbox, serveSandbox } from '../../src/sandbox/serve.ts'
import { run } from '../evidence/checkout.ts'
import { offline, WRANGLER, workerSettings } from '../evidence/worker-bundle.ts'
import { callNo } from '../faults/company.ts'
import { pause, until } from '../faults/within.ts'

/**
 * The whole thing on Cloudflare's own runtime, as `wrangler dev` runs it: D1, Queues and R2 in their local form, the company
 * of stand-ins on loopback. Only the clock of the Cron Trigger is rung by hand: locally it never rings by itself.
 */

const TOKEN = 'token-of-the-worker-test'
const CRM = 'sandbox-hubspot'
const WITHIN_MS = 120_000

let folder: string
let url: string
let sandbox: RunningSandbox
let wrangler: ChildProcess
let said = ''

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cordboard-wrangler-dev-'))
  const port = await freePort()
  url = `http://127.0.0.1:${port}`
  sandbox = await serveSandbox({
    port: 0,
    publicUrl: url,
    settings: { 'sandbox-transcripto': { pollMs: 2_000 } },
  })
  await writeSandboxConfig(sandbox.world, join(folder, 'cordboard.config.json'))
  // The same two files under the names that wrangler reads.
  renameSync(join(folder, '.env'), join(folder, '.dev.vars'))
  const vars = readFileSync(join(folder, '.dev.vars'), 'utf8')
  writeFileSync(join(folder, '.dev.vars'), `${vars}CORDBOARD_TOKENS=admin:${TOKEN}\nCORDBOARD_LOG=warn\n`)
  writeFileSync(join(folder, 'wrangler.toml'), workerSettings())
  const env = offline(folder)
  const migrated = await run(
    process.execPath,
    [WRANGLER, 'd1', 'migrations', 'apply', 'DB', '--local'],
    folder,
    env,
  )
  expect(migrated.code, migrated.err).toBe(0)
  const args = [WRANGLER, 'dev', '--local', '--ip', '127.0.0.1', '--port', String(port)]
  wrangler = spawn(process.execPath, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  for (const stream of [wrangler.stdout, wrangler.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
  }
  await until('the Worker is ready', isReady, WITHIN_MS).catch((cause: unknown) => {
    throw new Error(said, { cause })
  })
}, WITHIN_MS + 30_000)

afterAll(async () => {
  wrangler?.kill('SIGTERM')
  await sandbox?.stop()
  rmSync(folder, { recursive: true, force: true })
})

describe('on workerd', { timeout: WITHIN_MS + 30_000 }, () => {
  it('calls travel from both phone systems to the CRM, once each, by webhook and by polling, past failures', async () => {
    const answers: number[] = []
    // The CRM and a service are down for a moment.
    sandbox.world.vendor(CRM).fail({ fault: { kind: 'status', status: 503 }, times: 3 })
    sandbox.world.vendor('sandbox-xosum').fail({ fault: { kind: 'status', status: 500 }, times: 1 })
    for (let at = 0; at < 6; at += 1) {
      const connection = at % 2 === 0 ? 'sandbox-twilio' : 'sandbox-zadarma'
      for (const webhook of sandbox.world.vendor(connection).place?.(await callNo(at)) ?? []) {
        answers.push(await sandbox.send(connection, webhook))
        // Sent again by a vendor whose timer was faster.
        if (at < 2) answers.push(await sandbox.send(connection, webhook))
      }
    }
    expect(answers.every((status) => status >= 200 && status < 300)).toBe(true)
    await settled(6)

    expect(held(CRM, 'call')).toHaveLength(6)
    expect(new Set(held(CRM, 'call').map(({ key }) => key)).size).toBe(6)
    expect(new Set(held(CRM, 'note').map(({ key }) => key)).size).toBe(held(CRM, 'note').length)
    expect(
      held('sandbox-xosum', 'submission').length + held('sandbox-transcripto', 'submission').length,
    ).toBe(6)
    const { items } = await get<{ items: { id: string; analyzed: boolean; state: string }[] }>('/v1/calls')
    expect(items.map(({ analyzed, state }) => `${state} ${analyzed}`)).toEqual(Array(6).fill('done true'))
    const details = await Promise.all(
      items.map(({ id }) => get<{ timeline: { says: string }[] }>(`/v1/calls/${id}`)),
    )
    const lines = details.flatMap(({ timeline }) => timeline.map(({ says }) => says)).join('\n')
    expect(lines).toMatch(/by callback/)
    expect(lines).toMatch(/by poll/)
  })

  it('refuses what is not signed, and keeps a body too large for a row in R2', async () => {
    const [webhook] = sandbox.world.vendor('sandbox-twilio').place?.(await callNo(50)) ?? []
    if (!webhook) throw new Error('the phone system sends nothing')
    expect(await sandbox.send('sandbox-twilio', webhook, (body) => `${body}&Changed=1`)).toBe(401)
    const large = { ...webhook, body: `${webhook.body}&Padding=${'x'.repeat(300 * 1024)}` }
    expect(await sandbox.send('sandbox-twilio', large)).toBe(200)
    const stored = await get<{ items: { id: string; bytes: number }[] }>(
      '/v1/deliveries?connection=sandbox-twilio',
    )
    const [found] = stored.items.filter(({ bytes }) => bytes > 256 * 1024)
    expect(found).toBeDefined()
    const { body } = await get<{ body: { content: string } }>(`/v1/deliveries/${found?.id}`)
    expect(body.content.length).toBe(found?.bytes)
  })

  it('one CRM that answers nobody does not stop the others', async () => {
    const written = held(CRM, 'call').length
    const others = held('sandbox-transcripto', 'submission').length
    sandbox.world.vendor(CRM).fail({ fault: { kind: 'hang' }, times: 4 })
    for (let at = 100; at < 104; at += 1) {
      for (const webhook of sandbox.world.vendor('sandbox-zadarma').place?.(await callNo(at)) ?? [])
        await sandbox.send('sandbox-zadarma', webhook)
    }
    // Those that the CRM keeps waiting share no batch with an analysis: all four are made meanwhile.
    await untilSwept(
      'all four are analysed',
      async () => held('sandbox-transcripto', 'submission').length >= others + 4,
    )
    expect(held(CRM, 'call')).toHaveLength(written)
  })

  it('tells its state, and logs no secret and no number', async () => {
    const ready = await get<{ status: string; parts: { part: string; ok: boolean }[] }>('/readyz')
    expect(ready.parts.filter(({ ok }) => !ok)).toEqual([])
    const secrets = [...sandbox.world.vendors.keys()].flatMap(
      (id) => sandbox.senders.get(id)?.settings as object,
    )
    for (const value of secrets.flatMap((settings) => Object.values(settings ?? {})))
      if (typeof value === 'string' && value.length > 12 && !value.startsWith('http'))
        expect(said).not.toContain(value)
    expect(said).not.toMatch(/\+33639/)
  })
})

const held = (connection: string, kind: string) =>
  sandbox.world
    .vendor(connection)
    .book()
    .filter((record) => record.kind === kind)

async function isReady(): Promise<boolean> {
  try {
    return (await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(2_000) })).ok
  } catch {
    return false
  }
}

async function get<Answer>(path: string): Promise<Answer> {
  const response = await fetch(url + path, { headers: { authorization: `Bearer ${TOKEN}` } })
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
  return (await response.json()) as Answer
}

/** The minute of the Cron Trigger, as often as somebody wants it. */
async function sweep(): Promise<void> {
  const response = await fetch(`${url}/cdn-cgi/handler/scheduled?cron=*+*+*+*+*`)
  await response.arrayBuffer()
}

async function untilSwept(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + WITHIN_MS
  while (!(await isSo())) {
    if (Date.now() > end) {
      const { items } = await get<{ items: unknown[] }>('/v1/calls')
      throw new Error(`in vain until ${what}: ${JSON.stringify(items, null, 1)}\n${said.slice(-4_000)}`)
    }
    await sweep()
    await pause(300)
  }
}

async function settled(calls: number): Promise<void> {
  await untilSwept('every call is done', async () => {
    const { items } = await get<{ items: { state: string }[] }>('/v1/calls')
    return items.length === calls && items.every(({ state }) => state === 'done')
  })
}
