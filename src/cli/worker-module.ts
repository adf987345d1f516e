import { dirname, extname, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadConfig } from '../config/load.ts'
import { at, type ConfigProblem, pathText } from '../config/problem.ts'
import { secretReferences } from '../config/secrets.ts'

/** The module that wrangler bundles a Worker from. */

/** Long enough for every rule that a secret must keep. */
const SOME_SECRET = 'x'.repeat(64)

interface Registry {
  connectorIds: readonly string[]
  loadConnector: Parameters<typeof loadConfig>[1]['connectors']['load']
}

/** What is wrong with a configuration, as far as it can be said where the secrets are not. */
export async function problemsWithoutSecrets(raw: unknown, registry: Registry): Promise<ConfigProblem[]> {
  const { connectorIds: ids, loadConnector: load } = registry
  const loaded = await loadConfig(raw, { connectors: { ids, load }, resolveSecret: () => SOME_SECRET })
  if (!('problems' in loaded)) return []
  const secrets = secretReferences(raw)
    .filter(({ names }) => names.length > 0)
    .map(({ path }) => pathText(path))
  return loaded.problems.filter(({ path }) => !secrets.some((secret) => path.startsWith(secret)))
}

/** Ids of the connectors that a configuration names; its own connectors it brings along. */
export function namedConnectors(raw: unknown): string[] {
  const connections = at(raw, ['connections'])
  const all = typeof connections === 'object' && connections !== null ? Object.values(connections) : []
  const ids = all.map((connection) => at(connection, ['use'])).filter((use) => typeof use === 'string')
  return [...new Set(ids)].sort()
}

/**
 * Its text. Paths are relative to its place, into this very program: the version that wrote it is the version that runs,
 * in a checkout (TypeScript) and in the published package (compiled) alike.
 */
export function workerModule(place: { file: string; config: string; connectors: readonly string[] }): string {
  const ending = extname(import.meta.url)
  const from = (file: string) => quote(importPath(dirname(place.file), file))
  const own = (path: string) => from(fileURLToPath(new URL(`../../${path}${ending}`, import.meta.url)))
  // Static imports: the settings of each are checked before the first answer.
  const imports = place.connectors.map(
    (id, i) => `import { connector as connector${i} } from ${own(`connectors/${id}/connector`)}\n`,
  )
  return `// Written by cordboard cloudflare: do not edit.
import config from ${from(place.config)}
import { cloudflareWorker } from ${own('src/worker')}
${imports.join('')}
export default cloudflareWorker({ config, connectors: [${place.connectors.map((_, i) => `connector${i}`).join(', ')}] })
`
}

function importPath(folder: string, file: string): string {
  const path = relative(folder, file).replaceAll('\\', '/')
  return path.startsWith('.') ? path : `./${path}`
}

const quote = (text: string): string => JSON.stringify(text)
