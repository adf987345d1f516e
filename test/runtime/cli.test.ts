import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** The command line as people and scripts meet it: a process with arguments, two streams and an exit code. */

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const SECRET = `whsec_${Buffer.from('a secret of the command line test').toString('base64')}`

interface Ended {
  code: number | null
  out: string
  err: string
}

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cordboard-cli-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

function start(words: readonly string[], env: Record<string, string> = {}): ChildProcess {
  const { PATH = '', HOME = '' } = process.env
  return spawn(process.execPath, [MAIN, ...words], { cwd: folder, env: { PATH, HOME, ...env } })
}

async function cordboard(words: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  return ended(start(words, env))
}

function ended(child: ChildProcess): Promise<Ended> {
  let [out, err] = ['', '']
  child.stdout?.on('data', (chunk: Buffer) => {
    out += chunk.toString()
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    err += chunk.toString()
  })
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })))
}

function firstMatch(child: ChildProcess, pattern: RegExp): Promise<string> {
  let seen = ''
  return new Promise((resolve, reject) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      seen += chunk.toString()
      const [, found] = pattern.exec(seen) ?? []
      if (found !== undefined) resolve(found)
    })
    child.on('close', () => reject(new Error(`ended after: ${seen}`)))
  })
}

function configure(extra = ''): void {
  writeFileSync(
    join(folder, 'cordboard.config.ts'),
    `import { defineConfig, secret } from 'cordboard'
export default defineConfig({
  publicUrl: 'https://calls.example.com',
  connections: { pbx: { use: 'generic', secret: secret('PBX_SECRET')${extra} } },
  flows: [{ from: ['pbx'], analyze: [], write: [] }],
})\n`,
  )
}

describe('without a configuration', () => {
  it('help begins with examples, and plain when it is not a terminal', async () => {
    const { code, out, err } = await cordboard(['--help'])
    expect([code, err]).toEqual([0, ''])
    expect(out.split('\n')[0]).toBe('Examples')
    expect(out).toContain('doctor')
    expect((await cordboard(['--version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  it('a mistyped command is usage, with a suggestion on stderr', async () => {
    const { code, out, err } = await cordboard(['docter'])
    expect([code, out]).toEqual([2, ''])
    expect(err).toContain('There is no command docter')
    expect(err).toContain('Did you mean: cordboard doctor')
  })

  it('what needs one ends with 3 and says how to get one; init asks nobody', async () => {
    const [serve, calls, init] = await Promise.all([
      cordboard(['serve', '--port', '0']),
      cordboard(['calls']),
      cordboard(['init']),
    ])
    expect(serve.code).toBe(3)
    expect(serve.err).toContain('cordboard init')
    expect(calls.code).toBe(1)
    expect(calls.err).toContain('There is no store in .data')
    expect(init.code).toBe(2)
    expect(init.err).toContain('--phone, --analysis, --crm')
  })

  it('what init writes is refused only for what must be filled in; a CRM that is the phone system takes its calls', async () => {
    const asked = ['init', '--phone', 'bitrix24', '--analysis', 'none', '--crm', 'bitrix24']
    const wrong = await Promise.all([
      cordboard([...asked, '--region', 'France']),
      cordboard([...asked, '--public-url', 'calls.example.com']),
      cordboard(['init', '--phone', 'salesforce', '--analysis', 'none', '--crm', 'hubspot']),
    ])
    expect(wrong.map(({ code }) => code)).toEqual([2, 2, 2])
    expect(wrong.map(({ err }) => err)).toEqual([
      expect.stringContaining('two letters of a country'),
      expect.stringContaining('an absolute https URL'),
      expect.stringContaining('connectors/salesforce/README.md'),
    ])
    const { code, err } = await cordboard([...asked, '--region', 'RU'])
    expect([code, err]).toEqual([0, expect.stringContaining('fill in what is empty in cordboard.config.ts')])
    expect(readFileSync(join(folder, 'cordboard.config.ts'), 'utf8')).toContain('calls: true')
    const check = await cordboard(['config', 'check'])
    expect([check.code, check.err.match(/^ {2}connections.*$/gm)]).toEqual([
      3,
      ['  connections.bitrix24.baseUrl', '  connections.bitrix24'],
    ])
  })
})

describe('with a configuration', () => {
  it('that is wrong: every problem at once, exit 3, and no port is opened', async () => {
    configure(", baseURL: 'https://x.example'")
    const { code, out, err } = await cordboard(['serve', '--port', '0'])
    expect([code, out]).toEqual([3, ''])
    expect(err).toContain('cordboard.config.ts has 2 problems')
    expect(err).toContain('Did you mean baseUrl?')
    expect(err).toContain('The secret PBX_SECRET is not set')
  })

  it('that is right: checked, printed without its secrets', async () => {
    configure()
    const env = { PBX_SECRET: SECRET }
    const [check, print] = await Promise.all([
      cordboard(['config', 'check'], env),
      cordboard(['config', 'print'], env),
    ])
    expect(check).toMatchObject({ code: 0, out: '✔ cordboard.config.ts, 1 connection, 1 flow\n' })
    expect(print.out).toContain('•••• env PBX_SECRET (set)')
    expect(print.out).not.toContain(SECRET.slice(6))
    const { connections } = JSON.parse(print.out)
    expect(connections.pbx).toMatchObject({ concurrency: 8, reconcile: null, gather: null })
  })

  it('whose fields are mapped, and whose secret is a letter of every key: printed all the same', async () => {
    const file = 'mapped.json'
    writeFileSync(
      join(folder, file),
      JSON.stringify({
        connections: {
          crm: { use: 'hubspot', token: { $secret: 'LETTER' } },
          pbx: { use: 'generic', secret: { $secret: 'PBX_SECRET' } },
        },
        flows: [{ from: ['pbx'], analyze: [], write: { crm: { call_summary: 'summary' } } }],
      }),
    )
    const print = await cordboard(['config', 'print', '--config', file], { PBX_SECRET: SECRET, LETTER: 't' })
    expect([print.code, print.err]).toEqual([0, ''])
    const { flows, connections } = JSON.parse(print.out)
    expect(flows[0].fields).toEqual({ crm: ['call_summary'] })
    expect(connections.crm.settings.token).toBe('•••')
  })

  it('sent to where nobody listens: says how to start a server; a mistyped connector gets a suggestion', async () => {
    configure()
    const env = { PBX_SECRET: SECRET }
    const [nobody, mistyped] = await Promise.all([
      cordboard(['send', 'generic', 'missed', '--to', 'http://127.0.0.1:9'], env),
      cordboard(['send', 'genric', 'missed'], env),
    ])
    expect(nobody).toMatchObject({ code: 1, err: expect.stringMatching(/no_server.*\n.*cordboard serve/) })
    expect(mistyped).toMatchObject({ code: 2, err: expect.stringContaining('Did you mean generic?') })
  })

  it('of the sandbox: its file is JSON, no keys of others are written over, a taken port is said to be taken', async () => {
    writeFileSync(join(folder, '.env'), 'MINE=1\n')
    const [asTs, over] = await Promise.all([
      cordboard(['sandbox', '--port', '0', '--only', 'generic', '--write', 'sandbox.config.ts']),
      cordboard(['sandbox', '--port', '0', '--only', 'generic', '--write', 'sandbox.json']),
    ])
    expect(asTs).toMatchObject({ code: 2, err: expect.stringContaining('ends in .json') })
    expect(over).toMatchObject({ code: 2, err: expect.stringContaining('.env is here already') })
    expect(readFileSync(join(folder, '.env'), 'utf8')).toBe('MINE=1\n')
    rmSync(join(folder, '.env'))
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as AddressInfo
    const second = await cordboard(['sandbox', '--port', `${port - 1}`, '--only', 'generic'])
    taken.close()
    expect(second).toMatchObject({ code: 3, err: expect.stringContaining('Another program listens there') })
  })

  it('serves, takes a delivery, refuses a tampered one, shows the call, stops in order', async () => {
    configure()
    const env = { PBX_SECRET: SECRET }
    const child = start(['serve', '--port', '0'], env)
    const end = ended(child)
    const url = await firstMatch(child, /listening on (http:\/\/127\.0\.0\.1:\d+)\n/)
    const token = readFileSync(join(folder, '.data/admin-token'), 'utf8').trim()
    expect(statSync(join(folder, '.data/admin-token')).mode & 0o777).toBe(0o600)

    const second = cordboard(['serve', '--port', '0'], env)
    const sent = await cordboard(['send', 'generic', 'answered-and-ended', '--json'], env)
    expect(sent.code).toBe(0)
    expect(JSON.parse(sent.out)).toMatchObject({ connection: 'pbx', tampered: false })
    const tampered = await cordboard(['send', 'generic', 'missed', '--tamper'], env)
    expect(tampered.code).toBe(0)
    expect(tampered.out).toContain('401')
    expect(await second).toMatchObject({ code: 3, out: '' })

    let calls: Ended
    do calls = await cordboard(['calls', '--json'], env)
    while (calls.out === '' && calls.code === 0)
    const { id }: { id: string } = JSON.parse(calls.out.split('\n')[0] ?? '')
    const shown = await cordboard(['show', id, '--json', '--url', url, '--token', token])
    expect(JSON.parse(shown.out)).toMatchObject({ id, call: { source: { connection: 'pbx' } } })
    expect((await cordboard(['show', id], env)).out).toContain('Timeline')
    const wrong = await cordboard(['calls', '--url', url, '--token', 'not-the-token'])
    expect(wrong).toMatchObject({ code: 1, out: '' })
    expect(wrong.err).toContain('unauthorized')

    child.kill('SIGTERM')
    const { code, out, err } = await end
    expect(code).toBe(0)
    expect(out).toBe(`listening on ${url}\n`)
    expect(err.match(new RegExp(token, 'g'))).toHaveLength(1)
    expect(err).not.toContain(SECRET)
  }, 60_000)
})
