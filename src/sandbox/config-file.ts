import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { loadConnector } from '../../connectors/index.ts'
import { ownSchema, property, secretKind } from '../config/own-keys.ts'
import type { SandboxWorld } from './world.ts'

/**
 * Writes the sandbox company as an operator would write a real one: a JSON configuration whose secrets are references,
 * and a .env beside it that holds them.
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
    const written = Object.entries(keys).map(([key, value]) => {
      // The connector says which of its keys are secrets: the file refers to them, the .env holds them.
      if (secretKind(property([schema], key)) === null || typeof value !== 'string') return [key, value]
      const name = `${id}_${key}`
        .replaceAll(/([a-z])([A-Z])/g, '$1_$2')
        .replaceAll('-', '_')
        .toUpperCase()
      env.push(`${name}=${value}`)
      return [key, { $secret: name }]
    })
    referring.push([id, Object.fromEntries(written)])
  }
  const envFile = join(dirname(file), '.env')
  await writeFile(
    file,
    `${JSON.stringify({ ...rest, connections: Object.fromEntries(referring) }, null, 2)}\n`,
  )
  await writeFile(envFile, `${env.join('\n')}\n`, { mode: 0o600 })
  return { configFile: file, envFile }
}
