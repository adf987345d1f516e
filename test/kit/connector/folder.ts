import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What the kit reads of a connector's folder, so that it runs where there are no files as well. */
export interface ConnectorFolder {
  name: string
  /** Names of what stands in it. */
  files: readonly string[]
  /** Empty when there is none. */
  readme: string
  /** Texts of `fixtures/*.json` by their names. */
  fixtures: Readonly<Record<string, string>>
  /** The module `sandbox.ts`. */
  sandbox(): Promise<unknown>
}

/** The folder as it stands on the disk. What is missing in it is for the form tests to report. */
export function readFolder(folder: URL): ConnectorFolder {
  const path = fileURLToPath(folder.href)
  const files = readdirSync(path)
  const fixtures = files.includes('fixtures') ? readdirSync(join(path, 'fixtures')) : []
  const text = (file: string) => readFileSync(join(path, file), 'utf8')
  return {
    name: folder.pathname.split('/').filter(Boolean).at(-1) ?? '',
    files,
    readme: files.includes('README.md') ? text('README.md') : '',
    fixtures: Object.fromEntries(
      fixtures.filter((name) => name.endsWith('.json')).map((name) => [name, text(`fixtures/${name}`)]),
    ),
    sandbox: () => import(new URL('sandbox.ts', folder).href),
  }
}
