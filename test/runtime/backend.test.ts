import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { serve } from '@hono/node-server'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createSandbox } from '../../connectors/transcripto/sandbox.ts'
import type { VendorSandbox } from '../../src/connector/sandbox.ts'
import { testSigner } from '../kit/signer.ts'

/** `cordboard backend` as people type it, against a vendor's stand-in on this machine. */

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const RECORDING = fileURLToPath(new URL('../../src/sandbox/recordings/very-short.wav', import.meta.url))
const TOKEN = 'token-of-the-backend-test'
const PBX = `whsec_${'c2VjcmV0'.repeat(4)}`

let vendor: VendorSandbox
let seen: string[] = []
let folder: string
let server: ReturnType<typeof serve>
let baseUrl: string
beforeAll(async () => {
  const fetch = (request: Request) => {
    seen.push(`${request.method} ${new URL(request.url).pathname}`)
    return vendor.app.fetch(request)
  }
  const at = await new Promise<AddressInfo>((resolve) => {
    server = serve({ port: 0, hostname: '127.0.0.1', fetch }, resolve)
  })
  baseUrl = `http://127.0.0.1:${at.port}`
})
afterAll(() => new Promise<void>((resolve) => server.close(() => resolve())))

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cordboard-backend-'))
  seen = []
  let n = 0
  vendor = createSandbox({
    now: Date.now,
    random: () => (++n * 0.618) % 1,
    // The vendor takes no time, so that the test takes none.
    later: (_, work) => setImmediate(work),
    baseUrl,
    signer: testSigner,
    account: { token: TOKEN },
    deliver: async () => ({ status: 200 }),
    transcriptOf: () => null,
  })
  const vendorSide = { use: 'transcripto', baseUrl, token: { $secret: 'TOKEN' }, allowPrivate: ['127.0.0.1'] }
  const config = {
    connections: { calls: vendorSide, pbx: { use: 'generic', secret: { $secret: 'PBX' } } },
    flows: [{ from: ['pbx'], analyze: ['calls'], write: [] }],
  }
  writeFileSync(join(folder, 'cordboard.config.json'), JSON.stringify(config))
})
afterEach(() => rmSync(folder, { recursive: true }))

interface Ended {
  code: number | null
  out: string
  err: string
}

function run(file: string, words: readonly string[], env: Record<string, string>, says = ''): Promise<Ended> {
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(file, words, { cwd: folder, env: { PATH, HOME, TOKEN, PBX, NO_COLOR: '1', ...env } })
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString()
    if (says !== '' && out.includes('[y/N]')) child.stdin.end(says)
  })
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString()
  })
  if (says === '') child.stdin.end()
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })))
}

const backend = (words: string, env: Record<string, string> = {}) =>
  run(process.execPath, [MAIN, 'backend', ...words.split(' ')], env)

// Every command is a process of its own, on a machine that may be busy.
describe('cordboard backend', { timeout: 120_000 }, () => {
  it('lists what a connection can be asked for, and the options of one resource', async () => {
    const [all, one, json] = await Promise.all([
      backend('calls'),
      backend('calls tasks'),
      backend('calls tasks --json'),
    ])
    expect(all).toMatchObject({ code: 0 })
    expect(all.out).toMatch(/^tasks +list +tasks by any criterion/)
    expect(all.out).toMatch(/^calls +add .*\(may cost money\)$/m)
    expect(one.out).toMatch(/\[--where TEXT …\] +a criterion as name=value/)
    expect(one.out).toContain('https://docs.transcripto.eu')
    const lines = json.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines.map(({ verb }) => verb)).toEqual(['list', 'show', 'analysis'])
    expect(seen).toEqual([])
  })

  it('shows an answer as a table, or as JSON; a resource with one verb needs no second word', async () => {
    const [table, json] = await Promise.all([backend('calls tariff'), backend('calls tariff show --json')])
    expect(table).toMatchObject({ code: 0, err: '' })
    expect(table.out).toMatch(/^tariff\.remaining_resources\.available_call_minutes +9655$/m)
    expect(JSON.parse(json.out)).toMatchObject({ tariff: { name: 'Sandbox' } })
  })

  it.each([
    ['calls taks', 'calls has no resource taks', 'Did you mean tasks?'],
    ['cals tasks list', 'There is no connection cals', 'Did you mean calls?'],
    [
      'pbx tasks list',
      'pbx (Generic webhook) has nothing to be done by hand',
      'Name a connection of another',
    ],
    ['calls tasks list --wehre a=b', 'tasks list has no option --wehre', 'Did you mean --where?'],
    ['calls calls add --yes', 'This needs a file', '--file PATH'],
    ['calls calls add --file nowhere.wav', 'There is no file nowhere.wav', '--file PATH'],
    ['calls directories add --name Sales', 'changes what others see, and nobody can be asked', '--yes'],
  ])('%s is usage: nothing is sent', async (words, message, fix) => {
    const { code, out, err } = await backend(words)
    expect([code, out]).toEqual([2, ''])
    expect(err).toContain(message)
    expect(err).toContain(fix)
    expect(seen).toEqual([])
  })

  it('sends a file, and saves one; never over one that is there, unless told to', async () => {
    const added = await backend(`calls calls add --file ${RECORDING} --operator-name Ivan --yes --json`)
    expect(added).toMatchObject({ code: 0, err: '' })
    const { code } = JSON.parse(added.out) as { code: string }
    expect(vendor.book()).toMatchObject([
      { id: code, fields: { operator_name: 'Ivan', bytes: readFileSync(RECORDING).length } },
    ])

    const nowhere = await backend(`calls files audio --code ${code}`)
    expect(nowhere.err).toContain('Say where it goes with --out PATH')
    expect(nowhere.code).toBe(2)
    const saved = await backend(`calls files audio --code ${code} --out call.wav`)
    expect(saved).toMatchObject({ code: 0, err: '' })
    expect(readFileSync(join(folder, 'call.wav'))).toEqual(readFileSync(RECORDING))

    seen = []
    const again = await backend(`calls files txt --code ${code} --out call.wav`)
    expect([again.code, seen]).toEqual([2, []])
    expect(again.err).toContain('call.wav is there already')
    expect(readFileSync(join(folder, 'call.wav'))).toEqual(readFileSync(RECORDING))
    expect((await backend(`calls files txt --code ${code} --out call.wav --yes`)).code).toBe(0)
    expect(readFileSync(join(folder, 'call.wav'), 'utf8')).toContain('sandbox call_report_task')
    expect(readdirSync(folder).filter((name) => name.includes('.part'))).toEqual([])
  })

  it('leaves nothing behind when the file does not come', async () => {
    const { code, err } = await backend(
      'calls files audio --code 9360911d-34ce-4e1f-9259-2ba0a1b96ae7 --out call.wav',
    )
    expect(code).toBe(4)
    expect(err).toContain('Task not found for the user')
    expect(existsSync(join(folder, 'call.wav'))).toBe(false)
  })

  it('ends with 4 when the vendor refuses, and tells nobody the credentials', async () => {
    const { code, out, err } = await backend('calls tariff', { TOKEN: 'another-token' })
    expect([code, out]).toEqual([4, ''])
    expect(err).toContain('auth')
    vendor.fail({ fault: { kind: 'status', status: 403, body: { says: `no ${TOKEN}` } } })
    const quoted = await backend('calls tariff')
    expect(quoted.code).toBe(4)
    expect(quoted.err).toContain('no •••')
    expect(quoted.err).not.toContain(TOKEN)
  })

  it('shows no terminal what only a terminal would obey', async () => {
    await backend('calls directories add --name=a\u001b[31mred --yes')
    const { out } = await backend('calls directories list')
    expect(out).toContain('a [31mred')
    expect(out).not.toContain('\u001b')
  })

  it.runIf(existsSync('/usr/bin/script'))('asks a person first', async () => {
    const line = `'${process.execPath}' '${MAIN}' backend calls directories add --name Sales`
    const no = await run('/usr/bin/script', ['-qec', line, '/dev/null'], {}, 'n\n')
    expect(no.out).toContain('directories add changes what others see. Do it? [y/N]')
    expect([no.code, seen]).toEqual([1, []])
    const yes = await run('/usr/bin/script', ['-qec', line, '/dev/null'], {}, 'y\n')
    expect([yes.code, seen]).toEqual([0, ['POST /user/directories']])
  })
})
