import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { emptyFolder, read, root, run } from './checkout.ts'
import { blocksOf } from './pages.ts'
import { offline, THREE_CONNECTORS, WRANGLER } from './worker-bundle.ts'

/**
 * What somebody gets who installs the package: it is packed from a copy of the checkout, installed in an empty folder
 * without anything but npm, and used there.
 */

const COPIED = [
  'bin',
  'connectors',
  'openapi',
  'scripts',
  'src',
  'types',
  'test/kit',
  'docs',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'tsconfig.build.worker.json',
  'tsconfig.worker.json',
  'wrangler.toml',
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
]

/** Where a published file may be. */
const ALLOWED =
  /^(?:package\.json|LICENSE|wrangler\.toml|(?:README|CHANGELOG|ARCHITECTURE|CONTRIBUTING|SECURITY)\.md|docs\/[\w-]+\.md|bin\/cordboard\.js|dist\/(?:src|connectors|openapi|scripts|test\/kit)\/.+)$/

interface Packed {
  filename: string
  size: number
  unpackedSize: number
  files: { path: string }[]
}

const copy = emptyFolder()
const project = emptyFolder()
let packed: Packed
let paths: string[] = []

beforeAll(async () => {
  for (const name of COPIED) cpSync(join(root, name), join(copy.path, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(copy.path, 'node_modules'), 'dir')
  // `prepack` builds: its output must not be taken for the list.
  const pack = await run('npm', ['pack', '--json', '--silent', '--pack-destination', project.path], copy.path)
  expect(pack.code, pack.err).toBe(0)
  const answer: unknown = JSON.parse(pack.out.slice(pack.out.search(/^[[{]/m)))
  // A list up to npm 11, an object by package name from npm 12 on.
  const [first] = Object.values(answer as Record<string, Packed>)
  if (!first) throw new Error('npm packed nothing')
  packed = first
  paths = packed.files.map(({ path }) => path)

  writeFileSync(join(project.path, 'package.json'), '{ "private": true, "type": "module" }\n')
  const tarball = `./${readdirSync(project.path).find((file) => file.endsWith('.tgz'))}`
  const quiet = ['--omit=dev', '--no-audit', '--no-fund', '--prefer-offline']
  const install = await run('npm', ['install', ...quiet, tarball], project.path)
  expect(install.code, install.err).toBe(0)
}, 300_000)

// Some ten thousand files.
afterAll(() => {
  copy[Symbol.dispose]()
  project[Symbol.dispose]()
}, 60_000)

describe('the packed tarball', () => {
  it('holds compiled code and its declarations, and no sources', () => {
    expect(paths.filter((path) => /\.tsx?$/.test(path) && !path.endsWith('.d.ts'))).toEqual([])
    expect(paths.filter((path) => path.endsWith('.js')).length).toBeGreaterThan(100)
    const { size, unpackedSize, files } = packed
    console.log(`packed ${kb(size)}, unpacked ${kb(unpackedSize)}, ${files.length} files`)
  })

  it('holds nothing but what is meant for others', () => {
    expect(paths.filter((path) => !ALLOWED.test(path))).toEqual([])
    // Fixtures are of the connectors: their keys open nothing, which the kit checks.
    const fixtures = paths.filter(
      (path) => /fixture/i.test(path) && !/^dist\/connectors\/[\w-]+\/fixtures\//.test(path),
    )
    expect(fixtures.filter((path) => !/fixtures?\.(?:js|d\.ts)$/.test(path))).toEqual([])
    expect(paths.filter((path) => /(?:^|\/)\.env|\.pem$|\.db$|admin-token|\.test\./.test(path))).toEqual([])
  })

  it('has the recordings, the API document and the fixtures that are read at run time', () => {
    for (const path of [
      'dist/src/sandbox/recordings/support-invoice.mp3',
      'dist/openapi/cordboard.yaml',
      'dist/connectors/generic/fixtures/answered-and-ended.json',
    ])
      expect(paths).toContain(path)
  })

  it('has what a Worker is made of, and every migration of D1', () => {
    for (const file of ['worker', 'index', 'worker/configuration', 'worker/no-transport', 'worker/zod/index'])
      expect(paths).toContain(`dist/src/${file}.js`)
    const migrations = readdirSync(join(root, 'src/store/d1-migrations'))
    expect(migrations.length).toBeGreaterThan(0)
    for (const file of migrations) expect(paths).toContain(`dist/src/store/d1-migrations/${file}`)
  })
})

describe('installed in an empty folder', () => {
  it('the demo runs from the packed tarball in an empty folder', { timeout: 120_000 }, async () => {
    const demo = await run('npx', ['--no-install', 'cordboard', 'demo', '--once', '--json'], project.path)
    const summary = JSON.parse(demo.out.trimEnd().split('\n').at(-1) ?? '')
    expect(summary, demo.out.slice(-2000)).toMatchObject({ dead: 0, crmRecords: summary.calls })
    expect(summary.calls).toBeGreaterThanOrEqual(8)
    expect(demo.code, demo.out.slice(-2000)).toBe(0)
  })

  it('types and loads a configuration and a connector', { timeout: 60_000 }, async () => {
    writeFileSync(
      join(project.path, 'use.ts'),
      `import { defineConfig, defineConnector, secret } from 'cordboard'
import type { connectorKit } from 'cordboard/kit'

export const config = defineConfig({
  connections: { phone: { use: 'generic', secret: secret('PHONE_SECRET') } },
  flows: [{ from: ['phone'], when: (call) => (call.talkMs ?? 0) > 1000, analyze: [], write: [] }],
})
// @ts-expect-error flows are required
defineConfig({ connections: {} })
export const define: typeof defineConnector = defineConnector
export type Kit = typeof connectorKit
`,
    )
    const options = { strict: true, noEmit: true, target: 'es2024', module: 'nodenext', types: [] }
    writeFileSync(
      join(project.path, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: options, files: ['use.ts'] }),
    )
    const compiler = join(root, 'node_modules/typescript7/bin/tsc')
    const checked = await run(process.execPath, [compiler, '-p', project.path], project.path)
    expect(checked.out + checked.err).toBe('')

    const script = `const { defineConfig, secret } = await import('cordboard')
      console.log(JSON.stringify(defineConfig({ connections: {}, flows: [], x: secret('A', 'B') })),
        import.meta.resolve('cordboard/kit'))`
    const loaded = await run(process.execPath, ['--input-type=module', '-e', script], project.path)
    expect(loaded.out, loaded.err).toContain('{"connections":{},"flows":[],"x":{"$secret":["A","B"]}}')
    const [kit = ''] = /file:\S+/.exec(loaded.out) ?? []
    expect(existsSync(new URL(kit))).toBe(true)
  })

  it('is bundled into a Worker, with the settings of docs/cloudflare.md', { timeout: 60_000 }, async () => {
    const folder = join(project.path, 'worker')
    mkdirSync(folder)
    symlinkSync(join(project.path, 'node_modules'), join(folder, 'node_modules'), 'dir')
    // wrangler, which the operator installs beside the package, brings it.
    symlinkSync(join(root, 'node_modules/esbuild'), join(project.path, 'node_modules/esbuild'), 'dir')
    writeFileSync(join(folder, 'cordboard.config.ts'), THREE_CONNECTORS)
    const ready = blocksOf('docs/cloudflare.md').find(({ language }) => language === 'toml')
    writeFileSync(join(folder, 'wrangler.toml'), settingsOfPackage(ready?.text ?? ''))

    const wrote = await run('npx', ['--no-install', 'cordboard', 'cloudflare'], folder)
    expect(wrote.code, wrote.err).toBe(0)
    const written = readFileSync(join(folder, '.cordboard/worker.ts'), 'utf8')
    const imports = [...written.matchAll(/from "([^"]+)"/g)].map(([, path = '']) => path)
    expect(imports.length).toBe(5)
    for (const path of imports) expect(existsSync(join(folder, '.cordboard', path)), path).toBe(true)

    const args = [WRANGLER, 'deploy', '--dry-run', '--outdir', 'out']
    const bundled = await run(process.execPath, args, folder, offline(folder))
    expect(bundled.code, bundled.out + bundled.err).toBe(0)
    const modules = readdirSync(join(folder, 'out')).filter((file) => file.endsWith('.mjs'))
    expect(modules.length).toBeGreaterThan(3)
    const text = modules.map((file) => readFileSync(join(folder, 'out', file), 'utf8')).join('\n')
    for (const part of ['node:fs', 'node:sqlite', 'bullmq', 'ioredis'])
      expect(text.includes(part), part).toBe(false)
    console.log(`a Worker of the package: ${kb(text.length)}, ${kb(gzipSync(text).length)} gzip`)
  })

  it('brings the pinned Node along where there is one for the machine', () => {
    const known = ['linux-x64', 'linux-arm64', 'darwin-arm64', 'win32-x64']
    if (!known.includes(`${process.platform}-${process.arch}`)) return
    const node = join(project.path, 'node_modules/.bin', process.platform === 'win32' ? 'node.cmd' : 'node')
    expect(statSync(node).size).toBeGreaterThan(0)
  })
})

/** wrangler.toml with the `migrations_dir` of a project that uses the package. */
function settingsOfPackage(shown: string): string {
  const [migrations = ''] = shown.match(/^migrations_dir = .*$/m) ?? []
  return read('wrangler.toml').replace(/^migrations_dir = .*$/m, migrations)
}

const kb = (bytes: number) => `${Math.round(bytes / 1024)} KB`
