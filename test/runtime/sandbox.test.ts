import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectorIds, loadConnector } from '../../connectors/index.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/model.ts'
import { readRawConfig } from '../../src/node/config-file.ts'
import { freePort } from '../../src/node/free-port.ts'
import { createLog } from '../../src/node/log.ts'
import { type RunningServer, startServer } from '../../src/node/serve.ts'
import { writeSandboxConfig } from '../../src/sandbox/config-file.ts'
import { createControl } from '../../src/sandbox/control.ts'
import { everyone, flowOfAll } from '../../src/sandbox/everyone.ts'
import { CUSTOMERS, DEMO_CALLS, toSampleCall } from '../../src/sandbox/sample-calls.ts'
import { type RunningSandbox, serveSandbox } from '../../src/sandbox/serve.ts'
import { SANDBOX_CONNECTIONS } from '../../src/sandbox/world.ts'

/**
 * `cordboard sandbox` stands in for every vendor: the configuration that it writes starts a Cordboard, and a call of
 * each phone system ends in the CRM.
 */

const folder = mkdtempSync(join(tmpdir(), 'cordboard-sandbox-'))
const CRM = 'sandbox-hubspot'
let sandbox: RunningSandbox
let config: Config
let server: RunningServer
let env: NodeJS.Dict<string>
let written: { connections: Record<string, Record<string, unknown>> }

beforeAll(async () => {
  const port = await freePort()
  const connections = everyone()
  const publicUrl = `http://127.0.0.1:${port}`
  sandbox = await serveSandbox({ port: 0, publicUrl, connections, flows: [flowOfAll(connections)] })
  const files = await writeSandboxConfig(sandbox.world, join(folder, 'cordboard.config.json'))
  written = JSON.parse(await readFile(files.configFile, 'utf8'))
  env = parseEnv(await readFile(files.envFile, 'utf8'))
  expect(statSync(files.envFile).mode & 0o077).toBe(0)
  const loaded = await loadConfig(written, {
    connectors: { ids: connectorIds, load: loadConnector },
    resolveSecret: (name) => env[name],
  })
  if ('problems' in loaded) throw new Error(JSON.stringify(loaded.problems, null, 1))
  config = loaded.config
  const log = createLog({ level: 'error' })
  server = await startServer({ config, dataDir: folder, port, tokens: [], log })
})

afterAll(async () => {
  await server?.stop(2_000)
  await sandbox?.stop()
  rmSync(folder, { recursive: true, force: true })
})

describe('the sandbox of all vendors', () => {
  it('has a connection of each, and the company in front', () => {
    const uses = [...config.connections.values()].map(({ connector }) => connector.id)
    expect(uses.toSorted()).toEqual(connectorIds.filter((id) => id !== 'intake').toSorted())
    expect([...sandbox.urls.keys()].slice(0, 5)).toEqual(Object.keys(SANDBOX_CONNECTIONS))
  })

  it('writes a module where the name is that of one, and it says the same', async () => {
    const { configFile } = await writeSandboxConfig(
      sandbox.world,
      join(mkdtempSync(join(folder, 'module-')), 'cordboard.config.ts'),
    )
    const found = await readRawConfig(configFile, folder)
    expect(found?.raw).toEqual({ value: written })
  })

  it('writes no secret into the configuration, and each into the environment', () => {
    const keys = (id: string) =>
      Object.entries(written.connections[id] ?? {}).flatMap(([key, value]) =>
        typeof value === 'object' && value !== null && '$secret' in value ? [key] : [],
      )
    expect(keys('sandbox-vonage')).toContain('privateKey')
    expect(keys('sandbox-amazon-connect')).toEqual(expect.arrayContaining(['token', 'secretAccessKey']))
    expect(keys('sandbox-ringcentral')).toEqual(
      expect.arrayContaining(['clientSecret', 'jwt', 'verificationToken']),
    )
    for (const [id, connection] of config.connections) {
      const text = JSON.stringify(written.connections[id])
      for (const secret of connection.secrets) expect(text.includes(secret), id).toBe(false)
    }
  })

  it('leads to no vendor: what it writes names only this machine and addresses for examples', () => {
    for (const [id, { settings }] of config.connections) {
      const reached = Object.entries(settings as object).filter(([key]) =>
        /(?:^base|^accounts|auth)Url$/.test(key),
      )
      for (const [key, url] of reached) expect(String(url), `${id}.${key}`).toMatch(/^http:\/\/127\.0\.0\.1:/)
    }
  })

  it('takes some of them only, and says which there are', () => {
    expect(Object.keys(everyone(['hubspot', 'aircall']))).toEqual(['sandbox-hubspot', 'sandbox-aircall'])
    expect(() => everyone(['aircal'])).toThrow(/aircal/)
    const alone = everyone(['aircall'])
    expect(flowOfAll(alone)).toMatchObject({ from: ['sandbox-aircall'], analyze: [], write: [] })
  })

  it('a call of every phone system ends in the CRM', { timeout: 90_000 }, async () => {
    const phones = [...config.connections.values()].filter(
      ({ connector: { telephony, crm } }) => telephony && !crm,
    )
    expect(phones.length).toBeGreaterThan(17)
    const [demo] = DEMO_CALLS
    if (!demo) throw new Error('there is no sample call')
    const crm = sandbox.world.vendor(CRM)
    for (const customer of CUSTOMERS) crm.addContact?.(customer)
    for (const { id } of phones) {
      // Some minutes ago: some vendors take that long until a recording can be fetched.
      const sample = await toSampleCall(demo, `test-${id}`, Date.now() - 300_000)
      for (const webhook of sandbox.world.vendor(id).place?.(sample) ?? []) {
        const status = await sandbox.send(id, webhook)
        expect([200, 201, 202, 204], `${id}: ${webhook.says}`).toContain(status)
      }
    }
    const written = () => crm.book().filter(({ kind }) => kind === 'call').length
    await expect.poll(written, { timeout: 80_000, interval: 250 }).toBe(phones.length)
  })

  it('the control plays calls of those who have any, and says who they are', async () => {
    const control = createControl(sandbox)
    const play = (body: unknown) => control.request('/calls', { method: 'POST', body: JSON.stringify(body) })
    const played = await play({ connection: 'sandbox-justcall', result: 'no_answer' })
    expect(await played.json()).toMatchObject({
      sent: expect.arrayContaining([expect.objectContaining({ status: 200 })]),
    })
    for (const connection of ['sandbox-xosum', 'nobody']) {
      const answer = await play({ connection })
      expect(answer.status).toBe(404)
      expect(await answer.json()).toMatchObject({
        known: expect.arrayContaining(['sandbox-twilio', 'sandbox-3cx']),
      })
    }
  })

  it('is none for pages that a browser shows on this machine, whatever name leads them here', async () => {
    const control = createControl(sandbox)
    const page = { method: 'POST', headers: { origin: 'https://evil.example' }, body: '{}' }
    for (const path of ['/calls', '/faults']) expect((await control.request(path, page)).status).toBe(403)
    expect((await control.request('http://evil.example/book/sandbox-hubspot')).status).toBe(403)
    expect((await control.request('http://127.0.0.1/book/sandbox-hubspot')).status).toBe(200)
    const stand = sandbox.urls.get('sandbox-xosum') ?? ''
    const answers = [await fetch(`${stand}/v1/calls`, page), await fetch(`${stand}/v1/calls`)]
    expect(answers.map(({ status }) => status === 403)).toEqual([true, false])
  })
})
