import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { command } from '../../src/cli/commands/cloudflare.ts'
import { createIo, type Io } from '../../src/cli/io.ts'
import { bundleWorker } from '../../src/cli/worker-bundle.ts'

let folder: string
const said: string[] = []
beforeEach(() => {
  said.length = 0
  folder = mkdtempSync(join(tmpdir(), 'cordboard-cloudflare-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function run(flags: Record<string, string> = {}): Promise<number> {
  const say = (line: string) => void said.push(line)
  const io: Io = { ...createIo({ debug: false }), out: say, err: say, cwd: folder, env: {} }
  return command.run({ flags, args: [], more: {}, io })
}

const write = (config: unknown) =>
  writeFileSync(join(folder, 'cordboard.config.json'), JSON.stringify(config))
const written = () => readFileSync(join(folder, '.cordboard/worker.ts'), 'utf8')

const bundled = (name: string) => readFileSync(join(folder, '.cordboard/worker', name), 'utf8')
const imports = (text: string) =>
  [...text.matchAll(/(import\(|from)"\.\/([\w-]+\.mjs)"/g)].map(([, how, name = '']) => ({
    name,
    isLazy: how === 'import(',
  }))
const times = () =>
  Object.fromEntries(
    readdirSync(join(folder, '.cordboard/worker')).map((name) => [
      name,
      statSync(join(folder, '.cordboard/worker', name)).mtimeMs,
    ]),
  )

const phone = {
  use: 'zadarma',
  key: 'user-key',
  secret: { $secret: 'PHONE_SECRET' },
  timeZone: 'Europe/Paris',
}
const crm = { use: 'hubspot', token: { $secret: 'CRM_TOKEN' } }
const flows = [{ from: ['phone'], analyze: [], write: ['crm', 'crm-2'] }]

describe('cordboard cloudflare', () => {
  it('writes a module with the configuration and each connector once, without any secret being set', async () => {
    write({ connections: { phone, crm, 'crm-2': crm }, flows })
    expect(await run()).toBe(0)
    const imports = [...written().matchAll(/from "([^"]+)"/g)].map(([, path = '']) => path)
    expect(imports).toEqual([
      '../cordboard.config.json',
      expect.stringMatching(/^\.\.\/.*\/src\/worker\.ts$/),
      expect.stringMatching(/\/connectors\/hubspot\/connector\.ts$/),
      expect.stringMatching(/\/connectors\/zadarma\/connector\.ts$/),
    ])
    expect(written()).toContain('connectors: [connector0, connector1]')
  })

  it('bundles it into modules, of which the API, the work and HubSpot’s client are loaded when they are needed', async () => {
    write({ connections: { phone, crm, 'crm-2': crm }, flows })
    expect(await run()).toBe(0)
    const lazy = imports(bundled('worker.mjs')).filter(({ isLazy }) => isLazy)
    expect(lazy.map(({ name }) => name.replace(/-.*/, '')).sort()).toEqual(['api', 'consumer', 'records'])
    for (const { name } of lazy) expect(bundled(name).length).toBeGreaterThan(10_000)
    expect(said.join('\n')).toMatch(/worker\.mjs: .* with hubspot, zadarma, \d+ KB gzip/)
  })

  it('leaves modules alone that are right already, and takes away those of an earlier bundle', async () => {
    write({ connections: { phone, crm, 'crm-2': crm }, flows })
    await run()
    const before = times()
    writeFileSync(join(folder, '.cordboard/worker/chunk-ABCDEFGH.mjs'), '')
    writeFileSync(join(folder, '.cordboard/worker/mine.js'), '')
    await run()
    expect(times()).toEqual({ ...before, 'mine.js': expect.any(Number) })
  })

  it('lists every mistake that does not need the secrets to be seen, and writes nothing', async () => {
    write({
      connections: { phone: { ...phone, use: 'zadama' }, crm: { ...crm, token: 'plain text' } },
      flows,
    })
    expect(await run()).toBe(3)
    const text = said.join('\n')
    for (const part of ['Did you mean zadarma?', 'A secret stands in the configuration itself', 'crm-2'])
      expect(text).toContain(part)
    expect(text).not.toContain('plain text')
    expect(written).toThrow('ENOENT')
  })

  it('says that there is no configuration, or that it cannot be read', async () => {
    await expect(run()).rejects.toMatchObject({
      code: 'config',
      message: 'There is no configuration in this folder',
    })
    writeFileSync(join(folder, 'cordboard.config.json'), '{')
    expect(await run()).toBe(3)
  })
})

describe('the bundle of a Worker', () => {
  const bundle = (...lines: string[]) => {
    writeFileSync(join(folder, 'module.ts'), lines.join('\n'))
    return bundleWorker(join(folder, 'module.ts'), join(folder, '.cordboard/worker'))
  }
  const names = async (...lines: string[]) =>
    Object.keys((await bundle(...lines)).meta.inputs).map((path) => path.replace(/.*\//, ''))

  it('holds what its configuration imports from cordboard, and no more of it', async () => {
    const few = await names(
      `import { defineConfig, secret } from 'cordboard'`,
      'export default defineConfig(secret)',
    )
    expect(few).toContain('define.ts')
    expect(few).not.toContain('vcon.ts')
    expect(await names(`import { toVcon } from 'cordboard'`, 'export default toVcon')).toContain('vcon.ts')
  })

  it('asks the runtime for the modules of Node, by statement and by require', async () => {
    writeFileSync(join(folder, 'common.cjs'), `module.exports = require('events')`)
    await bundle(
      `import common from './common.cjs'`,
      `import { join } from 'path'`,
      `import { Buffer } from 'node:buffer'`,
      `export default [common, join, Buffer]`,
    )
    const asked = [...bundled('worker.mjs').matchAll(/from"(node:\w+)"/g)].map(([, name]) => name)
    expect(asked.sort()).toEqual(['node:buffer', 'node:events', 'node:path'])
    expect(bundled('worker.mjs')).not.toContain('require(')
  })

  it('says what cannot be bundled', async () => {
    const lost = bundle(`import { lost } from 'cordboard'`, 'export default lost')
    await expect(lost).rejects.toMatchObject({
      code: 'config',
      why: expect.stringMatching(/No matching export.*lost.*module\.ts:1/),
    })
  })
})
