import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { emptyFolder, root, run } from './checkout.ts'
import { type Block, blocksOf, PAGES } from './pages.ts'

/**
 * Somebody reads the pages and types what stands there: the README in an empty folder, the rest beside a running server that
 * has taken a call. Configurations that are shown are checked.
 */

const PROGRAM = join(root, 'bin/cordboard.js')
const CONFIG = `import { defineConfig, secret } from 'cordboard'
export default defineConfig({
  region: 'FR',
  connections: { phone: { use: 'generic', secret: secret('PHONE_SECRET') } },
  flows: [{ from: ['phone'], analyze: [], write: [] }],
})
`
const folder = emptyFolder()
const empty = emptyFolder()
let server: ChildProcess

beforeAll(async () => {
  // As npm would have put it there.
  for (const { path } of [folder, empty]) {
    mkdirSync(join(path, 'node_modules/.bin'), { recursive: true })
    symlinkSync(PROGRAM, join(path, 'node_modules/.bin/cordboard'))
  }
  writeFileSync(join(folder.path, 'cordboard.config.ts'), CONFIG)
  writeFileSync(
    join(folder.path, '.env'),
    `PHONE_SECRET=whsec_${Buffer.from('a secret of the evidence').toString('base64')}\n`,
  )
  server = spawn(process.execPath, [PROGRAM, 'serve', '--port', '0'], {
    cwd: folder.path,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  await new Promise<void>((resolve, reject) => {
    server.stdout?.once('data', () => resolve())
    server.once('exit', (code) => reject(new Error(`the server ended with ${code}`)))
  })
  const sent = await run(process.execPath, [PROGRAM, 'send', 'generic', 'answered-and-ended'], folder.path)
  expect(sent.code, sent.out + sent.err).toBe(0)
}, 60_000)

afterAll(async () => {
  const ended = new Promise((resolve) => server.once('exit', resolve))
  server.kill('SIGTERM')
  await ended
  folder[Symbol.dispose]()
  empty[Symbol.dispose]()
}, 60_000)

const blocks = PAGES.flatMap((page) => blocksOf(page))

describe.runIf(process.platform !== 'win32')('what the pages tell people to type', () => {
  const marked = blocks.filter(({ runs }) => runs).map((block): [string, Block] => [nameOf(block), block])

  it('is there', () => expect(marked.length).toBeGreaterThanOrEqual(5))

  it.each(marked)('%s', { timeout: 120_000 }, async (_, { page, text }) => {
    const cwd = page === 'README.md' ? empty.path : folder.path
    const ran = await run('sh', ['-euc', text], cwd)
    expect(ran.code, `${ran.out.slice(-1500)}\n${ran.err.slice(-1500)}`).toBe(0)
  })
})

describe('configurations that are shown', () => {
  const shown = blocks.filter(
    ({ language, text }) =>
      (language === 'ts' && text.includes('export default defineConfig')) ||
      (language === 'json' && text.includes('"connections"')),
  )

  it('are there', () => expect(shown.length).toBeGreaterThanOrEqual(3))

  it.each(shown.map((block): [string, Block] => [`${block.page}, ${block.language}`, block]))(
    'pass the check: %s',
    { timeout: 30_000 },
    async (_, { language, text }) => {
      using here = emptyFolder()
      writeFileSync(join(here.path, `cordboard.config.${language}`), text)
      const names = [...text.matchAll(/secret\('(\w+)'\)|"\$secret": "(\w+)"/g)].map(
        ([, ts, json]) => ts ?? json ?? '',
      )
      const secrets = Object.fromEntries(names.map((name) => [name, `whsec_${'c2VjcmV0'.repeat(4)}`]))
      const checked = await run(process.execPath, [PROGRAM, 'config', 'check'], here.path, secrets)
      expect(checked.code, checked.err).toBe(0)
    },
  )
})

const nameOf = ({ page, text }: Block) => `${page}: ${text.split('\n')[0]}`
