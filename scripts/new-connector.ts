import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { CordboardError } from '../src/errors.ts'
import { registrySource } from './generate-registry.ts'

/** What `cordboard connector new <vendor>` made, and what it leaves to its author. */
export interface NewConnector {
  /** Paths from the root. */
  files: string[]
  remaining: string[]
}

const CODE = ['connector.ts', 'schema.ts', 'map.ts', 'client.ts', 'sandbox.ts'] as const

/**
 * A folder for a vendor, copied from the generic connector: its code runs, and the kit fails at exactly what only its
 * author can know. `root` is the checkout, as a folder URL.
 */
export async function newConnector(vendor: string, root: URL): Promise<NewConnector> {
  if (!/^(?!\d+$)[a-z\d][a-z\d-]{1,38}[a-z\d]$/.test(vendor)) {
    throw new CordboardError('bad_request', `${JSON.stringify(vendor)} cannot be the id of a connector`, {
      fix: 'Use 3 to 40 small letters, digits and dashes',
    })
  }
  const folder = new URL(`connectors/${vendor}/`, root)
  const generic = new URL('connectors/generic/', root)
  if (existsSync(folder)) {
    throw new CordboardError('bad_request', `There is already a connector ${vendor}`, {
      fix: `Look into connectors/${vendor}`,
    })
  }
  mkdirSync(new URL('fixtures/', folder), { recursive: true })
  const files = [...CODE, 'README.md', 'fixtures/connection.json']
  for (const file of CODE) {
    writeFileSync(new URL(file, folder), forVendor(readFileSync(new URL(file, generic), 'utf8'), vendor))
  }
  writeFileSync(new URL('README.md', folder), readmeFor(vendor))
  const connection = readFileSync(new URL('fixtures/connection.json', generic))
  writeFileSync(new URL('fixtures/connection.json', folder), connection)
  writeFileSync(new URL('connectors/index.ts', root), await registrySource(new URL('connectors/', root)))
  return {
    files: files.map((file) => `connectors/${vendor}/${file}`),
    remaining: [
      'connector.ts: the address of the vendor’s documentation, its roles, and how it signs (src/connector/verification.ts)',
      'schema.ts: the keys of the connection, and the fields that you read of what the vendor sends',
      'map.ts: what each request says of a call',
      'client.ts: the requests to the vendor; delete the file when there are none',
      'sandbox.ts: a stand-in that answers as the vendor’s documents say',
      'fixtures/: requests with their true signature, where they come from, and the events they mean',
      'README.md: the sections, and the date on which you compared all this with the vendor’s documents',
      `cordboard connector test ${vendor}: until it is green`,
    ],
  }
}

function forVendor(source: string, vendor: string): string {
  return source
    .replace(/\/\*\* Any system that can send signed JSON\..*?\*\//s, `/** ${nameOf(vendor)}. */`)
    .replace("id: 'generic'", `id: '${vendor}'`)
    .replace("name: 'Generic webhook'", `name: '${nameOf(vendor)}'`)
    .replace(/docs: '[^']*'/, `docs: '${docsOf(vendor)}'`)
    .replaceAll("'Generic: ", `'${nameOf(vendor)}: `)
}

const nameOf = (vendor: string): string =>
  vendor.replaceAll(/(^|-)(\w)/g, (_, dash: string, letter: string) => (dash && ' ') + letter.toUpperCase())

/** Reserved for examples: the kit refuses it until the author has put the real address in. */
const docsOf = (vendor: string): string => `https://${vendor}.example.com/docs`

const readmeFor = (vendor: string): string => `---
id: ${vendor}
name: ${nameOf(vendor)}
roles: telephony
docs: ${docsOf(vendor)}
verified:
---

# ${nameOf(vendor)}

## Set-up

## Permissions

## What is not documented
`

if (process.argv[1] !== undefined && pathToFileURL(process.argv[1]).href === import.meta.url) {
  const { files, remaining } = await newConnector(process.argv[2] ?? '', new URL('../', import.meta.url))
  console.log(`Made:\n${files.map((file) => `  ${file}`).join('\n')}\n\nLeft to do:`)
  console.log(remaining.map((item) => `  [ ] ${item}`).join('\n'))
}
