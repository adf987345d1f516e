import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/**
 * Everything that is generated from something else: the registry, what connectors can do, the vendors' types, our own OpenAPI
 * document, D1's files.
 */
const GENERATORS = [
  'generate-registry.ts',
  'generate-capabilities.ts',
  'generate-vendor-types.ts',
  'generate-openapi.ts',
  'generate-d1-migrations.ts',
]

/** `--check` changes nothing and fails when something is not up to date. */
let failed = false
for (const generator of GENERATORS) {
  const script = fileURLToPath(new URL(generator, import.meta.url))
  const { status } = spawnSync(process.execPath, [script, ...process.argv.slice(2)], { stdio: 'inherit' })
  if (status !== 0) {
    failed = true
    console.error(`${generator} failed; run: npm run gen`)
  }
}
process.exitCode = failed ? 1 : 0
