import { existsSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { dirname, extname, join } from 'node:path'
import { loadConnector } from '../../connectors/index.ts'
import { type JsonSchema, ownSchema, property, secretKind } from '../config/own-keys.ts'
import { CordboardError } from '../errors.ts'
import type { SandboxWorld } from './world.ts'

const MARK = '# Keys of the sandbox: they open nothing real.'

/**
 * Writes the sandbox company as an operator would write a real one: a configuration whose secrets are references (JSON, or a module
 * where the name of the file is not that of JSON), and a .env beside it that holds them.
 */
export async function writeSandboxConfig(
  world: SandboxWorld,
  file: string,
): Promise<{ configFile: string; envFile: string }> {
  const { connections, ...rest } = world.configFile() as {
    connections: Record<string, Record<string, unknown>>
  }
  const env: string[] = [MARK]
  const referring: [string, Record<string, unknown>][] = []
  for (const [id, keys] of Object.entries(connections)) {
    const schema = ownSchema(await loadConnector(String(keys.use)))
    const written = Object.entries(keys).map(([key, value]) => [
      key,
      referred(value, property([schema], key), `${id}_${key}`, env),
    ])
    referring.push([id, Object.fromEntries(written)])
  }
  const envFile = envBeside(file)
  const json = JSON.stringify({ ...rest, connections: Object.fromEntries(referring) }, null, 2)
  await writeFile(
    file,
    extname(file) === '.json'
      ? `${json}
`
      : `export default ${json}
`,
  )
  await writeFile(envFile, `${env.join('\n')}\n`, { mode: 0o600 })
  return { configFile: file, envFile }
}

/** Refuses a name that nothing would read, and to write over keys or a configuration that are not the sandbox's own. */
export function mayWriteSandboxConfig(file: string): void {
  const refuse = (message: string, fix: string) => new CordboardError('bad_request', message, { fix })
  if (!file.endsWith('.json'))
    throw refuse(
      `What is written is JSON: ${file} would not be read as that`,
      'Name a file that ends in .json',
    )
  const env = envBeside(file)
  const isOurs = existsSync(env) && readFileSync(env, 'utf8').startsWith(MARK)
  const there = [file, env].filter((one) => existsSync(one))
  if (there.length > 0 && !isOurs) {
    const fix = 'Name a file in another folder: keys and configurations of others are not written over'
    throw refuse(`${there.join(' and ')} ${there.length === 1 ? 'is' : 'are'} here already`, fix)
  }
}

const envBeside = (file: string): string => join(dirname(file), '.env')

/** The connector says which of its keys are secrets, those within others too. */
function referred(value: unknown, schemas: readonly JsonSchema[], path: string, env: string[]): unknown {
  if (typeof value === 'string') {
    if (secretKind(schemas) === null) return value
    const name = path
      .replaceAll(/([a-z])([A-Z])/g, '$1_$2')
      .replaceAll('-', '_')
      .toUpperCase()
    env.push(`${name}=${value}`)
    return { $secret: name }
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const inner = Object.entries(value).map(([key, one]) => [
    key,
    referred(one, property(schemas, key), `${path}_${key}`, env),
  ])
  return Object.fromEntries(inner)
}
