import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { command } from '../../src/cli/commands/cloudflare.ts'
import { createIo, type Io } from '../../src/cli/io.ts'

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
    const lazy = imports(bundled('worker.js')).filter(({ isLazy }) => isLazy)
    expect(lazy.map(({ name }) => name.replace(/-.*/, '')).sort()).toEqual(['api', 'consumer', 'records'])
    for (const { name } of lazy) expect(bundled(name).length).toBeGreaterThan(10_000)
    expect(said.join('\n')).toMatch(/worker\.js: .* with hubspot, zadarma, \d+ KB gzip/)
  })

  it('leaves modules alone that are right already, and takes away those of an earlier bundle', async () => {
    write({ connections: { phone, crm, 'crm-2': crm }, flows })
    await run()
    const before = times()
    writeFileSync(join(folder, '.cordboard/worker/chunk-ABCDEFGH.js'), '')
    writeFileSync(join(folder, '.cordboard/worker/mine.js'), '')
    await run()
    expect(times()).toEqual({ ...before, 'mine.js': expect.any(Number) })
  })

  it('takes whatever a configuration imports from cordboard, and says what cannot be bundled', async () => {
    const config = (more: string) => `${more}
export default { connections: { 'own-phone': { use: { ...own } } }, flows: [] }
const own = { id: 'own', name: 'Own', docs: 'https://example.com', config: z.object({}) }
`
    const file = join(folder, 'cordboard.config.mjs')
    const zod = `import { z } from '${join(root, 'src/worker/zod/index.ts')}'`
    const vcon = `import { readVcon } from '${join(root, 'src/index.ts')}'\nglobalThis.readVcon = readVcon`
    writeFileSync(file, config(`${zod}\n${vcon}`))
    expect(await run({ config: file })).toBe(0)
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
