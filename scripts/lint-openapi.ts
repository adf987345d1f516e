import { readdirSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { createConfig, lint } from '@redocly/openapi-core'

/** Lints every openapi/*.yaml, and fails when one has a problem. */

const FOLDER = new URL('../openapi/', import.meta.url)
/** Written by us from our routes; the others are written from a vendor's pages. */
const OWN = 'cordboard.yaml'

const everywhere = {
  // Vendors have licences of their own, and say no to what is wrong with HTTP 200.
  'info-license': 'off',
  'info-license-strict': 'off',
  'operation-4xx-response': 'off',
  // Where every customer has an address of their own, an example stands for it.
  'no-server-example.com': 'off',
  'security-defined': 'error',
  'operation-operationId': 'error',
  'operation-summary': 'error',
  'no-unused-components': 'error',
  'no-invalid-media-type-examples': 'error',
  'no-invalid-parameter-examples': 'error',
} as const

/** Ours says of an open route that it is open by saying nothing. */
const ours = { 'security-defined': 'off' } as const

/** What was written from a page says from which, operation by operation. */
const fromPages = {
  'rule/operation-has-its-page': {
    subject: { type: 'Operation' },
    assertions: { required: ['externalDocs'] },
    message: 'An operation links to its page (externalDocs)',
    severity: 'error',
  },
} as const

/** `file:line message` for every problem; warnings count as well. */
export async function lintOpenapi(file: URL): Promise<string[]> {
  const isOwn = file.pathname.endsWith(`/${OWN}`)
  const config = await createConfig({
    extends: ['recommended'],
    rules: { ...everywhere, ...(isOwn ? ours : fromPages) },
  })
  const problems = await lint({ ref: fileURLToPath(file), config })
  return problems.map(({ message, ruleId, location: [at] }) => {
    const name = file.pathname.split('/').at(-1)
    return `${name}${at?.pointer ?? ''}: ${message.split('\n')[0]} (${ruleId})`
  })
}

export const openapiFiles = (): URL[] =>
  readdirSync(FOLDER)
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .map((name) => new URL(name, FOLDER))

if (process.argv[1] !== undefined && pathToFileURL(process.argv[1]).href === import.meta.url) {
  const problems = (await Promise.all(openapiFiles().map(lintOpenapi))).flat()
  for (const problem of problems) console.error(problem)
  if (problems.length > 0) process.exitCode = 1
  else console.log(`${openapiFiles().length} OpenAPI documents without a problem`)
}
