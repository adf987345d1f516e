import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newConnector } from '../../scripts/new-connector.ts'

/**
 * The story: somebody types `cordboard connector new acme-voice` in a checkout. The folder runs at once, and the kit fails
 * at what only they can know. The checkout of this test holds one connector and links to everything else.
 */
const checkout = fileURLToPath(new URL('../../', import.meta.url))
let folder = ''
let root: URL

beforeAll(() => {
  folder = mkdtempSync(`${tmpdir()}/cordboard-new-`)
  root = pathToFileURL(`${folder}/`)
  for (const name of ['src', 'scripts', 'node_modules', 'package.json'])
    symlinkSync(`${checkout}${name}`, `${folder}/${name}`)
  mkdirSync(`${folder}/test`)
  symlinkSync(`${checkout}test/kit`, `${folder}/test/kit`)
  cpSync(`${checkout}connectors/generic`, `${folder}/connectors/generic`, { recursive: true })
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('a new connector loads, and the kit tells exactly what is left', { timeout: 60_000 }, async () => {
  const made = await newConnector('acme-voice', root)
  expect(made.files).toContain('connectors/acme-voice/connector.ts')
  expect(made.remaining.length).toBeGreaterThan(5)
  expect(readFileSync(new URL('connectors/index.ts', root), 'utf8')).toContain(
    "'acme-voice': () => import('./acme-voice/connector.ts')",
  )

  writeFileSync(
    `${folder}/test/kit.test.ts`,
    `import { connectorKit } from './kit/connector.ts'
import { connector } from '../connectors/acme-voice/connector.ts'
connectorKit(connector, new URL('../connectors/acme-voice/', import.meta.url))
`,
  )
  const vitest = fileURLToPath(new URL('node_modules/vitest/vitest.mjs', pathToFileURL(checkout)))
  const output = `${folder}/report.json`
  const args = [vitest, 'run', '--root', folder, '--reporter=json', `--outputFile=${output}`]
  const ran = spawnSync(process.execPath, args, { encoding: 'utf8' })
  expect(existsSync(output), ran.stderr).toBe(true)
  const report = JSON.parse(readFileSync(output, 'utf8')) as {
    testResults: { assertionResults: { title: string; status: string }[] }[]
  }
  const tests = report.testResults.flatMap((file) => file.assertionResults)
  expect(tests.filter(({ status }) => status === 'failed').map(({ title }) => title)).toEqual([
    'the README begins with id, name, roles, docs and the date of verification',
    'the README says how to set it up, which permissions it needs and what is not documented',
    'the telephony webhooks have fixtures',
  ])
  expect(tests.filter(({ status }) => status === 'passed').length).toBeGreaterThan(15)
})

test('an id may begin with a digit, as some vendors’ names do', async () => {
  await newConnector('8x8', root)
  const { connectorIds, loadConnector } = (await import(
    `${new URL('connectors/index.ts', root).href}?with=8x8`
  )) as typeof import('../../connectors/index.ts')
  expect(connectorIds).toContain('8x8')
  expect(await loadConnector('8x8')).toMatchObject({ id: '8x8', name: '8x8' })
})

test('an id that is taken or no id is refused', async () => {
  for (const vendor of ['generic', '', 'A', '../x', 'a b', '-ab', 'ab-', '123', 'constructor/..']) {
    await expect(newConnector(vendor, root)).rejects.toMatchObject({ code: 'bad_request' })
  }
})
