import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningSandbox, serveSandbox } from '../../src/sandbox/serve.ts'
import { callNo } from '../faults/company.ts'
import { until } from '../faults/within.ts'
import { freshDatabase } from '../services/postgres.ts'
import { freshRedis } from '../services/redis.ts'
import { startS3 } from '../services/s3.ts'

/** The commands of a cluster as an operator meets them: PostgreSQL, Redis and a bucket, one process each. */

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const TOKEN = 'token-of-the-cluster-test'

let folder: string
let env: Record<string, string>
let sandbox: RunningSandbox
const ends: Array<() => Promise<unknown>> = []
const children: ChildProcess[] = []

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cordboard-cluster-'))
  const [database, redis, s3] = await Promise.all([freshDatabase(), freshRedis(), startS3()])
  ends.push(database.drop, redis.drop, () => s3.stop())
  const { PATH = '', HOME = '' } = process.env
  env = {
    PATH,
    HOME,
    DATABASE_URL: database.url,
    DATABASE_POOL: '6',
    REDIS_URL: redis.url,
    REDIS_PREFIX: redis.prefix,
    S3_ENDPOINT: s3.settings.endpoint,
    S3_BUCKET: s3.settings.bucket,
    S3_REGION: s3.settings.region,
    S3_ACCESS_KEY_ID: s3.settings.accessKeyId,
    S3_SECRET_ACCESS_KEY: s3.settings.secretAccessKey,
    CORDBOARD_TOKENS: `admin:${TOKEN}`,
  }
  // The port of the web process is known only when it runs: what the stand-ins send is sent by this test.
  sandbox = await serveSandbox({
    port: 0,
    publicUrl: 'http://127.0.0.1:1',
    deliver: async () => ({ status: 200 }),
  })
  ends.push(() => sandbox.stop())
  const connections = sandbox.world.configFile().connections as Record<string, Record<string, unknown>>
  const named: Record<string, string> = {}
  // As a configuration must: secrets by reference.
  for (const keys of Object.values(connections)) {
    for (const key of ['authToken', 'key', 'secret', 'apiKey', 'webhookSecret', 'token', 'appSecret']) {
      if (typeof keys[key] !== 'string') continue
      const name = `${String(keys.use)}_${key}`.toUpperCase()
      named[name] = keys[key]
      keys[key] = { $secret: name }
    }
  }
  env = { ...env, ...named }
  writeFileSync(
    join(folder, 'cordboard.config.json'),
    JSON.stringify({ ...sandbox.world.configFile(), connections, publicUrl: 'http://127.0.0.1:1' }),
  )
}, 60_000)

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await Promise.all(ends.map((end) => end()))
  rmSync(folder, { recursive: true, force: true })
})

function start(words: readonly string[], changed: Record<string, string> = {}): ChildProcess {
  const child = spawn(process.execPath, [MAIN, ...words], { cwd: folder, env: { ...env, ...changed } })
  children.push(child)
  return child
}

async function cordboard(words: readonly string[], changed: Record<string, string> = {}) {
  const child = start(words, changed)
  let [out, err] = ['', '']
  child.stdout?.on('data', (chunk: Buffer) => {
    out += chunk.toString()
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    err += chunk.toString()
  })
  const code = await new Promise((resolve) => child.on('close', resolve))
  return { code, out, err }
}

/** The address in what it announces. */
function address(child: ChildProcess): Promise<string> {
  let seen = ''
  return new Promise((resolve, reject) => {
    const hear = (chunk: Buffer) => {
      seen += chunk.toString()
      const found = /http:\/\/[\d.:]+/.exec(seen)?.[0]
      if (found !== undefined) resolve(found)
    }
    child.stdout?.on('data', hear)
    child.stderr?.on('data', (chunk: Buffer) => {
      seen += chunk.toString()
    })
    child.on('close', () => reject(new Error(`ended after: ${seen}`)))
  })
}

const ended = (child: ChildProcess) => new Promise((resolve) => child.on('close', resolve))

describe('the commands of a cluster', { timeout: 120_000 }, () => {
  it('nothing starts on a database that is not prepared', async () => {
    const [serve, work] = await Promise.all([
      cordboard(['serve', '--port', '0']),
      cordboard(['work', '--port', '0']),
    ])
    for (const { code, err } of [serve, work]) {
      expect(code).toBe(3)
      expect(err).toContain('Run once: cordboard migrate')
    }
  })

  it('migrates once, however many do it at once', async () => {
    const all = await Promise.all(Array.from({ length: 3 }, () => cordboard(['migrate', '--json'])))
    expect(all.map(({ code, err }) => [code, err])).toEqual([0, 1, 2].map(() => [0, '']))
    const ran = all.map(({ out }) => (JSON.parse(out) as { migrated: string[] }).migrated)
    expect(ran.filter((names) => names.length > 0)).toHaveLength(1)
    expect((await cordboard(['migrate'])).out).toBe('up to date\n')
  })

  it('says what is missing or wrong before anything opens', async () => {
    const [tokens, url, work, media] = await Promise.all([
      cordboard(['serve', '--port', '0'], { CORDBOARD_TOKENS: '' }),
      cordboard(['serve', '--port', '0'], {
        DATABASE_URL: 'mysql://user:geheim@db/x',
        REDIS_URL: 'http://geheim',
      }),
      cordboard(['work', '--port', '0'], { DATABASE_URL: '' }),
      cordboard(['work', '--port', '0'], { S3_BUCKET: '', CORDBOARD_DATA: join(folder, 'other') }),
    ])
    expect([tokens.code, url.code, work.code, media.code]).toEqual([3, 3, 3, 3])
    expect(tokens.err).toContain('CORDBOARD_TOKENS')
    expect(url.err).toContain('DATABASE_URL')
    expect(url.err).toContain('REDIS_URL')
    expect(url.err).not.toContain('geheim')
    expect(work.err).toContain('DATABASE_URL is not set')
    expect(media.err).toContain('sees other media than the rest of the installation')
  })

  it('calls cross from the web process over two workers to the CRM, and every process ends in order', async () => {
    const web = start(['serve', '--port', '0'])
    const workers = [start(['work', '--port', '0']), start(['work', '--port', '0'])]
    const [url, ...probes] = await Promise.all([web, ...workers].map(address))
    const api = (path: string, token = TOKEN) =>
      fetch(`${url}${path}`, { headers: { authorization: `Bearer ${token}` } })

    const calls = await Promise.all(
      Array.from({ length: 6 }, (_, at) =>
        // Results by webhook would go to a port that is not known yet: those calls have nothing to analyse.
        callNo(at + 1, at % 2 === 0 ? { result: 'no_answer' } : {}),
      ),
    )
    for (const [at, call] of calls.entries()) {
      const connection = at % 2 === 0 ? 'sandbox-twilio' : 'sandbox-zadarma'
      for (const webhook of sandbox.world.vendor(connection).place?.(call) ?? []) {
        const signed = await sandbox.sign(connection, webhook)
        const target = new URL(signed.url)
        const { method, headers, body } = signed
        const sent = await fetch(`${url}${target.pathname}${target.search}`, {
          method,
          headers,
          ...(method === 'GET' ? {} : { body }),
        })
        expect(sent.status).toBe(200)
      }
    }
    const written = () =>
      sandbox.world
        .vendor('sandbox-hubspot')
        .book()
        .filter(({ kind }) => kind === 'call').length
    await until('all calls are in the CRM', () => written() === calls.length, 90_000)

    const ready = (await (await fetch(`${url}/readyz`)).json()) as {
      config: string
      parts: { part: string; ok: boolean }[]
    }
    expect(ready.parts.map(({ part, ok }) => [part, ok])).toEqual(ready.parts.map(({ part }) => [part, true]))
    expect(ready.parts.map(({ part }) => part)).toEqual(
      expect.arrayContaining(['store', 'migrations', 'queue', 'media', 'redis']),
    )
    // Replicas that disagree are seen by it.
    const probe = (await (await fetch(`${probes[0]}/readyz`)).json()) as { config: string }
    expect(probe.config).toBe(ready.config)
    expect((await fetch(`${probes[0]}/metrics`)).status).toBe(401)
    expect((await fetch(`${probes[0]}/hooks/sandbox-twilio/status`, { method: 'POST' })).status).toBe(404)
    expect((await fetch(`${url}/admin/queues`)).status).toBe(401)
    const password = Buffer.from(`anyone:${TOKEN}`).toString('base64')
    const board = await fetch(`${url}/admin/queues`, { headers: { authorization: `Basic ${password}` } })
    expect(board.status).toBe(200)

    const listed = (await (await api('/v1/calls')).json()) as { calls?: unknown[]; items?: unknown[] }
    expect((listed.calls ?? listed.items)?.length).toBe(calls.length)
    const own = await cordboard(['calls', '--json'])
    expect(own.err).toBe('')
    expect(own.out.trim().split('\n')).toHaveLength(calls.length)

    const doctor = await cordboard(['doctor', '--json'])
    const findings = doctor.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { area: string; level: string })
    for (const area of ['store', 'redis', 'media', 'work']) {
      expect(findings.find((finding) => finding.area === area)).toMatchObject({ level: 'ok' })
    }

    const all = Promise.all([web, ...workers].map(ended))
    for (const child of [web, ...workers]) child.kill('SIGTERM')
    expect(await all).toEqual([0, 0, 0])
  })
})
