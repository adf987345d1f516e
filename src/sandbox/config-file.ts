import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { SandboxWorld } from './world.ts'

/** Keys of the sandbox company's connections that are secrets: the file refers to them, the .env holds them. */
const SECRET_KEYS = new Set(['authToken', 'secret', 'apiKey', 'webhookSecret', 'token', 'appSecret'])

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
  const referring = Object.entries(connections).map(([id, keys]) => {
    const written = Object.entries(keys).map(([key, value]) => {
      if (!SECRET_KEYS.has(key) || typeof value !== 'string') return [key, value]
      const name = `${id}_${key}`
        .replaceAll(/([a-z])([A-Z])/g, '$1_$2')
        .replaceAll('-', '_')
        .toUpperCase()
      env.push(`${name}=${value}`)
      return [key, { $secret: name }]
    })
    return [id, Object.fromEntries(written)]
  })
  const envFile = join(dirname(file), '.env')
  await writeFile(
    file,
    `${JSON.stringify({ ...rest, connections: Object.fromEntries(referring) }, null, 2)}\n`,
  )
  await writeFile(envFile, `${env.join('\n')}\n`, { mode: 0o600 })
  return { configFile: file, envFile }
}
