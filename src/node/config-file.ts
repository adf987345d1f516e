import { existsSync, readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { dirname, extname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseEnv } from 'node:util'
import { type Connectors, type Loaded, loadConfig } from '../config/load.ts'
import type { ConfigProblem } from '../config/problem.ts'
import { CordboardError } from '../errors.ts'

/** In the order they are looked for. */
const FILE_NAMES = ['cordboard.config.ts', 'cordboard.config.js', 'cordboard.config.json'] as const

/** Where the value of a secret comes from; null when it is not set. */
export type OriginOf = (name: string) => string | null

export interface ConfigSource {
  file: string
  loaded: Loaded
  originOf: OriginOf
  /** Where secrets come from, settings of the servers come from. */
  readSetting: (name: string) => string | undefined
}

export interface ReadOptions {
  /** The file as given by the user; default: looked for in `cwd`. */
  given: string | undefined
  cwd: string
  env: NodeJS.ProcessEnv
  connectors: Connectors
}

/** Null when there is none and none was named. */
function findConfigFile(given: string | undefined, cwd: string): string | null {
  if (given !== undefined) {
    const file = resolve(cwd, given)
    if (existsSync(file)) return file
    throw new CordboardError('config', `There is no file ${given}`, {
      fix: 'Correct --config, or write one: cordboard init',
    })
  }
  return FILE_NAMES.map((name) => join(cwd, name)).find((file) => existsSync(file)) ?? null
}

/** Finds and reads the configuration as it is written; null when there is none. */
export async function readRawConfig(
  given: string | undefined,
  cwd: string,
): Promise<{ file: string; raw: { value: unknown } | { problem: ConfigProblem } } | null> {
  const file = findConfigFile(given, cwd)
  return file === null ? null : { file, raw: await readRaw(file) }
}

/** Finds, reads and checks the configuration; null when there is none. */
export async function readConfig(options: ReadOptions): Promise<ConfigSource | null> {
  const { given, cwd, env, connectors } = options
  const found = await readRawConfig(given, cwd)
  if (found === null) return null
  const { file, raw } = found
  const { resolveSecret, originOf } = secretsOf(env, join(dirname(file), '.env'))
  if ('problem' in raw)
    return { file, loaded: { problems: [raw.problem] }, originOf, readSetting: resolveSecret }
  const loaded = await loadConfig(raw.value, { connectors, resolveSecret })
  return { file, loaded, originOf, readSetting: resolveSecret }
}

async function readRaw(file: string): Promise<{ value: unknown } | { problem: ConfigProblem }> {
  try {
    if (extname(file) === '.json') return { value: JSON.parse(readFileSync(file, 'utf8')) as unknown }
    resolveOurselves()
    const loaded: { default?: unknown } = await import(pathToFileURL(file).href)
    if (loaded.default !== undefined) return { value: loaded.default }
    const fix = 'Write: export default defineConfig({ … })'
    return {
      problem: { ...about(file), what: 'The file exports no configuration', seen: 'no default export', fix },
    }
  } catch (error) {
    const seen = error instanceof Error ? error.message : String(error)
    const fix = extname(file) === '.json' ? 'Correct the JSON at this place' : 'Correct the file'
    return { problem: { ...about(file), what: 'The file cannot be read', seen, fix } }
  }
}

function about(file: string) {
  return {
    path: file,
    expected: extname(file) === '.json' ? 'JSON' : 'a module that exports the configuration',
  }
}

let resolving = false

/**
 * `import { defineConfig } from 'cordboard'` means this very program: a configuration beside no node_modules works, and
 * the version that reads it is the version that typed it.
 */
function resolveOurselves(): void {
  if (resolving) return
  resolving = true
  const entry = new URL(`../index${extname(import.meta.url)}`, import.meta.url).href
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === 'cordboard' ? { url: entry, shortCircuit: true } : next(specifier, context),
  })
}

/** Secrets from the environment, from files that `<name>_FILE` names (Docker, Kubernetes), else from `.env`. */
export function secretsOf(env: NodeJS.ProcessEnv, dotEnvFile: string) {
  let dotEnv: Record<string, string | undefined> = {}
  try {
    dotEnv = parseEnv(readFileSync(dotEnvFile, 'utf8'))
  } catch {
    // There is none: the usual case in production.
  }
  // Compose files and charts set what is not wanted to the empty text: it must not hide the file beside it.
  const fileOf = (name: string) => env[`${name}_FILE`] || dotEnv[`${name}_FILE`] || undefined
  const isGiven = (name: string) =>
    env[name] !== undefined && (env[name] !== '' || fileOf(name) === undefined)
  return {
    resolveSecret(name: string): string | undefined {
      const file = fileOf(name)
      if (!isGiven(name) && file !== undefined) return fromFile(name, file)
      return env[name] ?? dotEnv[name]
    },
    originOf(name: string): string | null {
      if (isGiven(name)) return `env ${name}`
      const file = fileOf(name)
      if (file !== undefined) return `file ${file}`
      return dotEnv[name] === undefined ? null : `.env ${name}`
    },
  }
}

function fromFile(name: string, file: string): string {
  try {
    // Editors and `echo` end a file with a line break, which is no part of the secret.
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    throw new CordboardError('config', `The file that ${name}_FILE names cannot be read`, {
      why: code,
      fix: `Correct ${name}_FILE, or let this process read the file`,
    })
  }
}
