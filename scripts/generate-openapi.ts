/**
 * Writes openapi/cordboard.yaml from the routes; with --check only says whether it is what the routes say.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { stringify } from 'yaml'
import type { AppDeps } from '../src/app.ts'
import { createApi } from '../src/http/api.ts'
import { describeApi } from '../src/http/document.ts'

const FILE = new URL('../openapi/cordboard.yaml', import.meta.url)
const HEAD = '# Generated from the routes in src/http by scripts/generate-openapi.ts. Do not edit.\n'

/** Routes look at their dependencies when a request comes, and none comes here. */
export function openApiYaml(): string {
  const document = describeApi(createApi({} as AppDeps))
  // Without aliases: not every reader of OpenAPI knows them. A width of 0 keeps every text on one line.
  return HEAD + stringify(document, { aliasDuplicateObjects: false, lineWidth: 0 })
}

if (import.meta.main) {
  const text = openApiYaml()
  if (!process.argv.includes('--check')) {
    await writeFile(FILE, text)
  } else if ((await readFile(FILE, 'utf8').catch(() => '')) !== text) {
    console.error('openapi/cordboard.yaml is not what the routes say. Run: node scripts/generate-openapi.ts')
    process.exitCode = 1
  }
}
