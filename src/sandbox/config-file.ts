import { writeFile } from 'node:fs/promises'
import { dirname, extname, join } from 'node:path'
import { loadConnector } from '../../connectors/index.ts'
import { type JsonSchema, ownSchema, property, secretKind } from '../config/own-keys.ts'
import type { SandboxWorld } from './world.ts'

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
  const env: string[] = ['# Keys of the sandbox: they open nothing real.']
  const referring: [string, Record<string, unknown>][] = []
  for (const [id, keys] of Object.entries(connections)) {
    const schema = ownSchema(await loadConnector(String(keys.use)))
    const written = Object.entries(keys).map(([key, value]) => [
      key,
      referred(value, property([schema], key), `${id}_${key}`, env),
    ])
    referring.push([id, Object.fromEntries(written)])
  }
  const envFile = join(dirname(file), '.env')
  const json = JSON.stringify({ ...rest, connections: Object.fromEntries(referring) }, null, 2)
  await writeFile(file, extname(file) === '.json' ? `${json}\n` : `export default ${json}\n`)
  await writeFile(envFile, `${env.join('\n')}\n`, { mode: 0o600 })
  return { configFile: file, envFile }
}

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
